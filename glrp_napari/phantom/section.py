"""One slice: the trunk, painted once, and the heart painted into it at any moment, with partial volume over the slice.

The truth comes from the same coverages as the light, so that mask and picture cannot disagree.
"""

import numpy as np

from glrp_napari.cine import Mask
from glrp_napari.phantom.body import Body, Plane, over
from glrp_napari.phantom.heart import Heart

SUBSLICES = 4
NOTHING_MM = 8.0
"""How far a section that does not reach this height stays from every pixel."""
SURROUND_MM = 26.0
"""Room around the ventricles for fat, atria and vessels."""


class Section:
    """The slice `index` of a body, 0 at the base."""

    def __init__(self, body: Body, index: int) -> None:
        self.body, self.anatomy = body, body.anatomy
        self.z_mm = index * body.anatomy.slice_mm
        y, x = body.shifts_mm[index].tolist()
        self.flow = float(body.flow[index])
        self.trunk = body.paint_trunk(self.z_mm, y)
        drift = self.anatomy.axis_tilt * (self.z_mm - 40)
        centre = body.heart_xy + (x, y) + drift * np.array([np.cos(body.drift_rad), np.sin(body.drift_rad)])
        self.box = self._find_box(centre)
        self.t = {name: texture[self.box] for name, texture in body.textures.items()}
        self._lay_axes(centre)
        self._mix_tissue()

    def paint(self, heart: Heart) -> tuple[Plane, Mask]:
        """The signed picture (Y, X) relative to the LV's blood, and the label that fills most of each voxel."""
        layers = np.zeros((5, *self.x.shape), np.float32)
        shape = heart.shape_wall(self.theta)
        first = heart.height_ed_mm + self.body.base_mm - self.z_mm
        for k in range(SUBSLICES):
            height = first - ((k + 0.5) / SUBSLICES - 0.5) * self.anatomy.slice_mm
            if height > -12:
                self._add_level(heart, height, shape.astype(np.float32), layers)
        rv, myo, lv, light, covered = layers / SUBSLICES
        picture, labels = self.trunk.copy(), np.zeros(self.trunk.shape, np.uint8)
        picture[self.box] = light + (1 - covered) * picture[self.box]
        labels[self.box] = np.argmax(np.stack([1 - rv - myo - lv, rv, myo, lv]), 0)
        return picture, labels

    def _find_box(self, centre: np.ndarray) -> tuple[slice, slice]:
        """The part of the image that the heart can reach."""
        a = self.anatomy
        heart = self.body.heart_ed
        septum = np.radians(a.septum_deg)
        half = heart.outer_mm * 1.15 + SURROUND_MM
        ends = []
        for middle, direction in zip(centre[::-1], (np.sin(septum), np.cos(septum)), strict=True):
            reach = heart.rv_reach_mm * (abs(direction) + 0.35)
            low, high = middle - half - reach * (direction < 0.4), middle + half + reach * (direction > -0.4)
            to_index = [(v / a.pixel_mm + (a.pixels - 1) / 2) for v in (low, high)]
            ends.append(slice(max(0, int(to_index[0])), max(0, int(to_index[1]) + 2)))
        return ends[0], ends[1]

    def _lay_axes(self, centre: np.ndarray) -> None:
        """Coordinates from the LV's axis, slightly bent, so that no border is a plain curve."""
        a, b = self.anatomy, self.body
        bend_x, bend_y = b.bend_plane(self.box)
        self.x = b.x[self.box] - np.float32(centre[0]) + bend_x
        self.y = b.y[self.box] - np.float32(centre[1]) + bend_y
        self.theta = np.arctan2(self.y, self.x)
        turn = float(np.radians(a.septum_deg))
        cos, sin = float(np.cos(turn)), float(np.sin(turn))
        self.along, self.across = self.x * cos + self.y * sin, self.y * cos - self.x * sin
        self.r = np.hypot(self.x, self.y) / b.heart_ed.shape_section(self.theta)

    def _mix_tissue(self) -> None:
        """Intensities that hold for all frames."""
        a, t = self.anatomy, self.t
        self.blood = self.flow * (1 + 0.06 * t["fine"] + 0.04 * t["wave"])
        self.myocardium = a.myocardium * (1 + 0.05 * t["fine"] + 0.06 * t["patch"])
        self.fat = -a.fat * (0.85 + 0.06 * t["grain"] + 0.1 * t["patch"])

    def _add_level(self, heart: Heart, height: float, shape: Plane, layers: Plane) -> None:
        """Add the coverage of RV, MYO and LV, the heart's light, and what it covers, at one height."""
        body, cover = self.body, self.body.cover
        thick = np.float32(self.anatomy.slice_mm / SUBSLICES)
        level = np.float32(height) + self.across * body.valve_tilt
        ventricle = np.clip(0.5 - (level - np.float32(heart.height_mm)) / thick, 0, 1)
        rv_open = np.clip(0.5 - (level - heart.rv_valve_mm(self.across).astype(np.float32)) / thick, 0, 1)
        to_epi = self.r - (heart.epi_mm(height) or -NOTHING_MM) * shape
        to_rv = heart.rv_distance(self.along, self.across, height, heart.rv_reach_mm).astype(np.float32)
        epi, endo = cover(to_epi), cover(self.r - (heart.endo_mm(height) or -NOTHING_MM))
        rv = cover(to_rv) * (1 - epi * ventricle) * rv_open
        halo = self._wrap_fat(heart, height, np.minimum(to_epi, to_rv))
        light = self._paint_above(heart, height, to_rv)
        light = over(light, self.myocardium, np.maximum(epi * ventricle, cover(to_rv - 2.0) * rv_open))
        light = over(light, self._fill_rv(heart, height), rv)
        light = over(light, self._fill_lv(heart, height), endo * ventricle)
        layers[0] += rv
        layers[1] += (epi - endo) * ventricle
        layers[2] += endo * ventricle
        layers[3] += light * halo
        layers[4] += halo

    def _wrap_fat(self, heart: Heart, height: float, outside: Plane) -> Plane:
        """What the heart covers with its fat: in places none, much of it in front and at the apex."""
        a, t = self.anatomy, self.t
        low = 1 - min(max(height / heart.height_mm, 0.0), 1.0)
        front = np.clip(np.cos(self.theta - np.float32(np.radians(a.septum_deg + 30))), 0, 1)
        pad = low * (1 + np.cos(self.theta - np.float32(6.28 * self.body.chance[29])))
        thick = a.epicardial_fat_mm * (0.9 * t["wave"] + 0.7 * t["patch"] + 1.2 * pad + 1.6 * front - 0.1)
        return self.body.cover(outside - 2.2 - np.clip(thick, 0, 16))

    def _paint_above(self, heart: Heart, height: float, to_rv: Plane) -> Plane:
        """Fat, and above the valves in it both atria, the outflow tract to the lungs and the aortic root."""
        if height < heart.height_mm - 14:
            return self.fat
        a, c = self.anatomy, self.body.chance
        epi = heart.epi_mm(heart.height_mm)
        full = 0.85 + 0.15 * heart.contraction
        rooms = (
            (-0.12, -0.12, 0.92 * full, 0.84 * full, 1.0),
            (1.1 + 0.2 * c[22], -0.45, 0.72 * full, 0.6 * full, a.rv_blood),
            (0.8, 0.75 + 0.2 * c[23], 0.5, 0.42, a.rv_blood),
            (0.3, 0.25 + 0.2 * c[24], 0.45, 0.42, 1.0),
        )
        near = float(np.clip(2 - (height - heart.height_mm) / 8, 0, 1))
        light = over(self.fat, a.rv_blood * self.blood, near * self.body.cover(to_rv))
        for along, across, rx, ry, level in rooms:
            u, v = (self.along - along * epi) / (rx * epi), (self.across - across * epi) / (ry * epi)
            distance = (np.sqrt(u**2 + v**2) - 1) * (min(rx, ry) * epi)
            light = over(light, self.myocardium, self.body.cover(distance - 1.5))
            light = over(light, level * self.blood, self.body.cover(distance))
        return light

    def _fill_rv(self, heart: Heart, height: float) -> Plane:
        """Blood of the RV with trabeculae, more of them towards the apex."""
        a, t = self.anatomy, self.t
        low = 1 - min(max(height / heart.height_mm, 0.0), 1.0)
        dark = np.clip((t["net"] + 0.6 * t["patch"] - 1.7 + 1.6 * low) * 0.9, 0, 0.85) * a.trabeculae
        return over(a.rv_blood * self._stir(heart), self.myocardium, dark)

    def _stir(self, heart: Heart) -> Plane:
        """Blood whose clouds move with the beat."""
        shift = int(12 * heart.contraction)
        return self.blood + 0.05 * np.roll(self.t["patch"], (shift, shift // 2), (0, 1))

    def _fill_lv(self, heart: Heart, height: float) -> Plane:
        """Blood of the LV with trabeculae along the wall and the two papillary muscles."""
        a, c, t = self.anatomy, self.body.chance, self.t
        u = (height - a.apex_mm) / heart.length_mm
        radius = max(heart.endo_mm(height), 1.0)
        depth = 4 + 7 * (1 - min(max(u, 0.0), 1.0))
        edge = np.clip((self.r - radius + depth) / depth, 0, 1) * (min(1.25 - u, 1.0) * a.trabeculae**0.5)
        cavity = over(self._stir(heart), self.myocardium, np.clip((t["net"] - 3.4 + 4.6 * edge) * 1.2, 0, 0.95))
        if not 0.12 < u < 0.75:
            return cavity
        grown = (3.4 + 2.0 * c[25] + 1.2 * heart.contraction) * (a.wall_mm / 8.5) ** 0.5
        size = grown * float(np.sin(np.pi * (u - 0.08) / 0.72)) ** 0.6
        for side, jitter in ((-1, c[26]), (1, c[27])):
            angle = float(np.radians(a.septum_deg + 180 + side * (42 + 25 * jitter)))
            far = radius - size * (0.4 + 1.2 * (u if c[28] > 0.3 else u**2))
            inward = self.x * float(np.cos(angle)) + self.y * float(np.sin(angle)) - np.float32(far)
            aside = self.y * float(np.cos(angle)) - self.x * float(np.sin(angle))
            distance = np.hypot(inward / 1.4, aside) - size + 0.9 * t["net"]
            cavity = over(cavity, self.myocardium, self.body.cover(distance))
        return cavity
