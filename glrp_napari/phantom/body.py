"""What does not beat: the pixel grid, smooth textures, the trunk with its organs, and the scanner.

Coordinates: x to the image's right, y down, in mm from the image's centre; z in mm from the first slice to the apex.
Fat is negative: in a balanced sequence it is out of phase with water, hence the dark line where the two share a voxel.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from glrp_napari.phantom.anatomy import Anatomy
from glrp_napari.phantom.heart import Heart

Plane = NDArray[np.floating[Any]]
"""Values of one image, float32 throughout (a stray float64 would only cost time)."""
TEXTURES_MM = {
    "fine": 1.0,
    "grain": 2.0,
    "net": 2.4,
    "patch": 7.0,
    "spot": 7.0,
    "wave": 22.0,
    "swell": 22.0,
    "broad": 40.0,
}
"""Correlation lengths of the smooth random textures (zero mean, unit deviation)."""


class Body:
    """Everything of a phantom that holds for all its frames, drawn from its seed."""

    def __init__(self, seed: int, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self.heart_ed = Heart(anatomy, 0.0)
        rng = np.random.default_rng((seed, 2))
        half = (anatomy.pixels - 1) / 2 * anatomy.pixel_mm
        axis = np.linspace(-half, half, anatomy.pixels, dtype=np.float32)
        self.x, self.y = np.meshgrid(axis, axis)
        self.textures = {name: self._make_texture(rng, scale) for name, scale in TEXTURES_MM.items()}
        angle = rng.uniform(0, 2 * np.pi, anatomy.slices)
        size = anatomy.breathing_mm * rng.uniform(0, 1, anatomy.slices)
        self.flow = 1 + 0.06 * rng.standard_normal(anatomy.slices)
        self.shifts_mm = size[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
        self.heart_xy = rng.uniform([-5, -20], [25, 15])
        self.drift_rad = rng.uniform(0, 2 * np.pi)
        self.valve_tilt = float(rng.normal(0, 0.09))
        self.base_mm = anatomy.slice_mm * rng.uniform(0.4, 1.0)
        self.chance: list[float] = rng.uniform(0, 1, 50).tolist()
        self.organs: list[list[float]] = rng.uniform(0, 1, (5, 6)).tolist()
        self.vessels: list[list[float]] = rng.uniform(0, 1, (60, 4)).tolist()
        self.centre_xy = self._place_trunk()
        self.gain = self._make_gain(rng)
        self.window = self._make_window()

    def acquire(self, picture: Plane, rng: np.random.Generator) -> NDArray[np.int16]:
        """The stored magnitude image of a signed picture: coil gain, complex noise, the measured part of k-space."""
        signal = (picture * self.gain).astype(np.complex64)
        noise = rng.standard_normal((2, *picture.shape), np.float32) * np.float32(self.anatomy.noise)
        signal += noise[0] + 1j * noise[1]
        magnitude = np.abs(fft.ifft2(fft.fft2(signal) * self.window)) * self.anatomy.blood_level
        return np.asarray(np.clip(magnitude, 0, 32767), np.int16)

    def paint_trunk(self, z_mm: float, shift_y_mm: float) -> Plane:
        """Lungs with vessels, abdomen, chest wall and fat at a level; the abdomen follows the breath."""
        a, c, t = self.anatomy, self.chance, self.textures
        x, y = self.x + 4 * t["wave"], self.y + 4 * t["swell"]
        depth = self._find_depth(x, y, z_mm)
        fat_mm = a.fat_mm * (1 + 0.3 * t["broad"])
        inner_mm = fat_mm + np.float32(14 + 10 * c[2]) + 5 * t["swell"]
        image: Plane = a.lung * (1 + 0.35 * t["patch"] + 0.3 * t["grain"])
        self._paint_vessels(image, z_mm)
        image = self._paint_abdomen(image, x, y - np.float32(shift_y_mm), z_mm)
        image = over(image, self._make_muscle(x, y, inner_mm - depth, z_mm), self.cover(depth - inner_mm, 2.0))
        skin = -a.fat * (1 + 0.05 * t["patch"] + 0.1 * t["wave"]) * (1 - np.clip(t["spot"] - 1.9, 0, 0.8))
        image = over(image, skin, self.cover(depth - fat_mm, 1.5))
        return over(image, 0.0, self.cover(depth))

    def cover(self, distance: Plane, softness_mm: float = 0.0) -> Plane:
        """Part of each pixel that lies inside a border, from the signed distance to it in mm (negative inside)."""
        width = np.float32(max(self.anatomy.pixel_mm, softness_mm))
        return np.asarray(np.clip(0.5 - distance / width, 0, 1))

    def _make_texture(self, rng: np.random.Generator, scale_mm: float) -> Plane:
        pixels, sigma = self.anatomy.pixels, scale_mm / self.anatomy.pixel_mm
        step = max(1, int(sigma / 2))
        size = pixels // step + 2
        coarse = ndimage.gaussian_filter(rng.standard_normal((size, size), np.float32), sigma / step)
        texture = ndimage.zoom(coarse, step, order=1)[:pixels, :pixels] if step > 1 else coarse[:pixels, :pixels]
        return np.asarray((texture - texture.mean()) / texture.std(), np.float32)

    def bend_plane(self, box: tuple[slice, slice]) -> tuple[Plane, Plane]:
        """A smooth random displacement (x, y) in mm that leaves areas as they are: the curl of a random potential."""
        x, y = np.zeros_like(self.x[box]), np.zeros_like(self.x[box])
        for name, size_mm in (("wave", 1.3), ("patch", 0.6)):
            down, right = np.gradient(self.textures[name][box])
            x += down * (size_mm / down.std())
            y -= right * (size_mm / down.std())
        return x, y

    def _make_gain(self, rng: np.random.Generator) -> Plane:
        angle = float(np.radians(rng.normal(210, 50)))
        ramp = (self.x * np.cos(angle) + self.y * np.sin(angle)) / 100 + 0.15 * self.textures["broad"]
        return np.asarray(np.exp(self.anatomy.bias * ramp), np.float32)

    def _make_window(self) -> Plane:
        k = np.abs(fft.fftfreq(self.anatomy.pixels)).astype(np.float32) * 2 / self.anatomy.resolution
        edge = np.clip((1 - k) / 0.25, 0, 1)
        return np.asarray(edge[:, None] * edge[None, :], np.float32)

    def _place_trunk(self) -> tuple[float, float]:
        """Centre of the trunk: its left wall some millimetres from the RV, its right one clear of the LV."""
        a, c = self.anatomy, self.chance
        heart = self.heart_ed
        wall = a.fat_mm * 1.2 + 20
        left = heart.outer_mm + heart.rv_reach_mm * abs(np.cos(np.radians(a.septum_deg))) + wall + 18 * c[6]
        right = heart.outer_mm + wall + 10
        half = a.body_width_mm / 2
        return float(self.heart_xy[0] + max(half - left, right - half)), float(self.heart_xy[1] + 20 + 25 * c[7])

    def _find_depth(self, x: Plane, y: Plane, z_mm: float) -> Plane:
        """Depth under the skin in mm; the section of the trunk moves to the right towards the apex."""
        a, c = self.anatomy, self.chance
        turn = float(np.radians(-25 + 50 * c[5]))
        dx, dy = x - np.float32(self.centre_xy[0] + (0.2 + 0.3 * c[17]) * z_mm), y - np.float32(self.centre_xy[1])
        half = a.body_width_mm / 2
        tall = half * (1.5 + 0.6 * c[8])
        u = (dx * float(np.cos(turn)) + dy * float(np.sin(turn))) / half
        v = (dy * float(np.cos(turn)) - dx * float(np.sin(turn))) / tall
        value = np.hypot(u, v)
        return (1 - value) * value / (np.hypot(u / half, v / tall) + np.float32(1e-6))

    def _make_muscle(self, x: Plane, y: Plane, within: Plane, z_mm: float) -> Plane:
        """The chest wall at a distance from the pleura: muscle with streaks of fat, and ribs."""
        a, c, t = self.anatomy, self.chance, self.textures
        muscle: Plane = a.muscle * (1 + 0.08 * t["grain"] + 0.1 * t["patch"])
        streak = np.exp(-(((within - 11 - 3 * t["wave"]) / 1.2) ** 2)) * (t["patch"] > -0.2)
        muscle = over(muscle, -0.7 * a.fat, streak)
        along = np.cos(np.arctan2(y, x) * 13 + np.float32(6 * c[3] + 0.08 * z_mm)) - 0.5
        rib = self.cover(np.abs(within - 5) - 3.5) * np.clip(6 * along, 0, 1)
        marrow = self.cover(np.abs(within - 5) - 2.0) * np.clip(6 * along - 1, 0, 1)
        return over(over(muscle, 0.1, rib), -a.fat * (0.3 + 0.6 * c[4]), marrow)

    def _paint_vessels(self, image: Plane, z_mm: float) -> None:
        """Lung vessels as bright as blood, wandering from slice to slice."""
        hx, hy = self.heart_xy[0] + 25, self.heart_xy[1] - 35
        for u, v, w, s in self.vessels:
            x, y = hx + 160 * (u - 0.5) + (w - 0.5) * z_mm, hy + 140 * (v - 0.6) + (s - 0.5) * z_mm
            radius = 0.6 + 2.6 * w**4 + 0.3 * float(np.cos(z_mm / 6 + 6 * s))
            value = self.anatomy.rv_blood * (0.6 + 0.4 * s)
            self._paint_disc(image, x, y, radius, radius * (1 + 1.5 * s**2), value, 3 * s)

    def _paint_abdomen(self, image: Plane, x: Plane, y: Plane, z_mm: float) -> Plane:
        """Liver, stomach, bowel or spleen in fat, aorta and spine below the diaphragm's dome."""
        a, c, t = self.anatomy, self.chance, self.textures
        hx, hy = (float(v) for v in self.heart_xy)
        inside: Plane = -a.fat * (0.75 + 0.2 * c[9]) * (1 + 0.12 * t["patch"] + 0.1 * t["grain"])
        liver = a.liver * (1 + 0.05 * t["grain"] + 0.08 * t["swell"] + 0.6 * np.clip(t["spot"] - 1.7, 0, 0.8))
        border = x - np.float32(hx + 10 + 50 * (c[10] - 0.5)) - 0.4 * (y - np.float32(hy + 60))
        inside = over(inside, liver, self.cover(border, 1.5))
        for k, (p, q, r, s, u, turn) in enumerate(self.organs):
            px, py = hx + 20 + 70 * p + 0.2 * z_mm * (q - 0.5), hy + 60 + 75 * q - 0.25 * z_mm
            value = a.stomach if k == 0 else a.liver * (0.7 + u)
            self._paint_disc(inside, px, py, 13 + 24 * r, 11 + 18 * s, a.muscle, 3 * turn)
            self._paint_disc(inside, px, py, 10 + 24 * r, 8 + 18 * s, value * (1 + 0.12 * t["patch"]), 3 * turn)
        top = np.float32(hy + 40 + 12 * c[11] - (0.3 + 0.2 * c[16]) * z_mm)
        dome = top + 18 * ((x - np.float32(hx - 20)) / 70) ** 2
        image = over(image, inside, self.cover(dome - y, 2.0))
        image = over(image, a.muscle, self.cover(np.abs(y - dome) - 1.2))
        self._paint_disc(image, hx + 20 + 40 * c[12], hy + 95 + 20 * c[13], 21, 17, a.muscle * (1.2 + 0.1 * t["grain"]))
        aorta = hx + 45 + 25 * c[14], hy + 42 + 15 * c[15]
        self._paint_disc(image, *aorta, 14, 13.5, -a.fat * 0.9)
        self._paint_disc(image, *aorta, 11.5, 11, a.muscle)
        self._paint_disc(image, *aorta, 10, 9.5, 0.95)
        return image

    def _paint_disc(
        self, image: Plane, x: float, y: float, rx: float, ry: float, value: float | Plane, turn: float = 0.0
    ) -> None:
        """Paint a filled ellipse in place, touching only its own neighbourhood."""
        a = self.anatomy
        reach, middle = max(rx, ry) + 3, (a.pixels - 1) / 2
        corner = [int(max(0, (v - reach) / a.pixel_mm + middle)) for v in (y, x)]
        end = [int(max(0, (v + reach) / a.pixel_mm + middle + 2)) for v in (y, x)]
        box = (slice(corner[0], end[0]), slice(corner[1], end[1]))
        warp = min(rx, ry) / 12
        dx = self.x[box] - np.float32(x) + warp * self.textures["patch"][box]
        dy = self.y[box] - np.float32(y) + warp * self.textures["spot"][box]
        cos, sin = float(np.cos(turn)), float(np.sin(turn))
        distance = (np.hypot((dx * cos + dy * sin) / rx, (dy * cos - dx * sin) / ry) - 1) * min(rx, ry)
        image[box] = over(image[box], value if isinstance(value, float | int) else value[box], self.cover(distance))


def over(below: Plane | float, value: Plane | float, cover: Plane) -> Plane:
    """`value` painted over `below` to the part `cover`."""
    return np.asarray(below + (value - below) * cover, np.float32)
