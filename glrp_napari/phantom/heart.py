"""The ventricles as analytic shapes that beat: radii, volumes and borders in mm, without pixels or intensities.

Heights are in mm above the epicardial apex, which stands still while the valve plane descends towards it.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glrp_napari.phantom.anatomy import FILLING, WIDEST, Anatomy

Values = NDArray[np.floating[Any]]


def contract(anatomy: Anatomy, phase: float) -> float:
    """Contraction at a phase of the cycle (0 to 1): 0 at end-diastole, 1 at end-systole.

    Systole lasts Weissler's ejection time (Circulation 37:149, 1968) and 50 ms; then come early filling, diastasis and
    the atrial kick, which brings a fifth of the stroke volume.
    """
    rr_ms = 60000.0 / anatomy.heart_rate_bpm
    systole = (463.0 - 1.7 * anatomy.heart_rate_bpm) / rr_ms
    knots = np.array([0, systole, systole + 0.42 * (1 - systole), 1 - 0.16, 1])
    levels = np.array([0, 1, 0.26, 0.2, 0])
    i = int(np.clip(np.searchsorted(knots, phase, "right") - 1, 0, 3))
    u = (phase - knots[i]) / (knots[i + 1] - knots[i])
    return float(levels[i] + (levels[i + 1] - levels[i]) * (3 * u**2 - 2 * u**3))


class Heart:
    """The ventricles at one moment. The wall has the same volume at every moment; volumes in ml."""

    def __init__(self, anatomy: Anatomy, contraction: float) -> None:
        self.anatomy = anatomy
        self.contraction = contraction
        self.lv_ml = anatomy.lv_edv_ml * (1 - anatomy.lv_ef * contraction)
        self.rv_ml = anatomy.lv_edv_ml * anatomy.rv_edv_ratio * (1 - anatomy.rv_ef * contraction)
        radius, length = anatomy.lv_radius_mm, anatomy.lv_length_mm
        outer_ml = np.pi * FILLING * (radius + anatomy.wall_mm) ** 2 * (length + anatomy.apex_mm) / 1000
        self.wall_ml = float(outer_ml - anatomy.lv_edv_ml)
        self.height_ed_mm = length + anatomy.apex_mm
        self.length_mm = length * (1 - 0.28 * anatomy.lv_ef * contraction)
        self.height_mm = self.length_mm + anatomy.apex_mm
        self.radius_mm = float(np.sqrt(self.lv_ml * 1000 / (np.pi * FILLING * self.length_mm)))
        self.outer_mm = float(np.sqrt((self.lv_ml + self.wall_ml) * 1000 / (np.pi * FILLING * self.height_mm)))

    def endo_mm(self, height: float) -> float:
        """Mean radius of the LV's cavity at a height; at the valve plane's above it."""
        return self.radius_mm * _profile(min((height - self.anatomy.apex_mm) / self.length_mm, 1.0))

    def epi_mm(self, height: float) -> float:
        """Mean outer radius of the wall at a height; at the valve plane's above it."""
        return self.outer_mm * _profile(min(height / self.height_mm, 1.0))

    def shape_section(self, theta: Values) -> Values:
        """Radius over its mean in each direction, for the cavity and the wall alike."""
        return np.asarray(1 + self.anatomy.ellipticity * np.cos(2 * (theta - float(np.radians(self.anatomy.oval_deg)))))

    def shape_wall(self, theta: Values) -> Values:
        """Outer radius over its mean in each direction: smaller at an infarct, with the section's area unchanged."""
        area = np.mean(self._thin(np.linspace(0, 2 * np.pi, 180, endpoint=False)) ** 2)
        return np.asarray(self._thin(theta) / float(np.sqrt(area)))

    def _thin(self, theta: Values) -> Values:
        away = 1 - np.cos(theta - float(np.radians(self.anatomy.infarct_deg)))
        lost = self.anatomy.thinning * (1 - self.radius_mm / self.outer_mm)
        return np.asarray(1 - lost * np.exp(-12 * away**2))

    def rv_distance(self, along: Values, across: Values, height: float, reach_mm: float) -> Values:
        """Distance in mm to the border of the RV's outline, negative inside (the LV lies over a part of it).

        `along` is the coordinate from the LV's centre towards the free wall, `across` the one upwards, `reach_mm` the
        greatest width from septum to free wall.
        """
        start = 0.16 * self.height_ed_mm
        level = min(max((height - start) / (self.height_mm - start), 1e-3), 1.1)
        epi = max(self.epi_mm(height), 1.0)
        width = reach_mm * level**0.55
        centre = 0.55 * epi + 0.3 * width
        bent = along + 0.15 / epi * across**2 - centre
        a = np.where(bent > 0, np.float32(epi + width - centre), np.float32(0.6 * epi))
        half = (0.72 * epi + 0.45 * width) * min(1.0, 0.5 + 2 * level)
        b = np.where(across < 0, np.float32(1.05 * half), np.float32(0.9 * half))
        u, v = bent / a, across / b
        value = np.sqrt(u**2 + v**2)
        slope = np.sqrt((u / a) ** 2 + (v / b) ** 2) + np.float32(1e-6)
        return np.asarray((value - 1) * value / slope if height > start else value + 20)

    def rv_valve_mm(self, across: Values) -> Values:
        """Height of the RV's end: higher in front, where the outflow tract begins."""
        return np.asarray(np.clip(self.height_mm + 2 + 0.15 * across, self.height_mm - 8, self.height_mm + 10))

    @cached_property
    def rv_reach_mm(self) -> float:
        """The width from septum to free wall at which the RV holds its volume, by counting on a coarse grid."""
        reaches = np.array([0.5, 10.0, 20.0, 32.0, 46.0, 64.0, 90.0])
        along, across = np.meshgrid(np.arange(-40, 150, 3.0), np.arange(-90, 91, 3.0))
        theta = np.arctan2(across, along) + np.radians(self.anatomy.septum_deg)
        r = np.hypot(along, across) / (self.shape_section(theta) * self.shape_wall(theta))
        layer_mm = (self.height_mm + 10) / 12
        volumes = np.zeros(len(reaches))
        for height in (np.arange(12) + 0.5) * layer_mm:
            free = float(height) < self.rv_valve_mm(across)
            if height < self.height_mm:
                free &= r > self.epi_mm(float(height))
            for i, reach in enumerate(reaches):
                inside = free & (self.rv_distance(along, across, float(height), float(reach)) < 0)
                volumes[i] += inside.sum() * 9.0 * layer_mm / 1000
        return float(np.interp(self.rv_ml, volumes, reaches))


def _profile(u: float) -> float:
    """Relative radius of a ventricle at the relative height u."""
    return float(np.sqrt(max(1 - ((u - WIDEST) / WIDEST) ** 2, 0.0)))
