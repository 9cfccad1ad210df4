"""What a phantom is made of: one body, one heart and one scan, and the ranges to draw them from.

It knows nothing of pixels, so that a test can ask for a heart by its figures and training can be kept from some hearts.
"""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from glrp_napari.cine import Positive

WIDEST = 0.72
"""Relative height of a ventricle's widest section."""
FILLING = 1 - (WIDEST**3 + (1 - WIDEST) ** 3) / (3 * WIDEST**2)
"""Volume of a ventricle over that of its cylinder: an ellipsoid, widest at `WIDEST`, that the valve plane cuts."""

Intervals = tuple[tuple[float, float], ...]


class Anatomy(BaseModel):
    """One body, one heart and one scan. Lengths in mm; tissue intensities relative to the blood in the LV."""

    model_config = ConfigDict(frozen=True)

    lv_edv_ml: Positive = 140.0
    lv_ef: float = Field(0.6, gt=0, lt=0.9)
    lv_slenderness: Positive = 1.55
    """Length of the LV cavity over its diameter at ED."""
    wall_mm: Positive = 8.5
    rv_edv_ratio: Positive = 1.05
    """RV over LV end-diastolic volume."""
    rv_ef: float = Field(0.55, gt=0, lt=0.9)
    septum_deg: float = 160.0
    """Direction from the LV's centre to the RV's in the image, clockwise from the right."""
    ellipticity: float = Field(0.05, ge=0, lt=0.3)
    oval_deg: float = 60.0
    """Direction in which the LV's section is widest."""
    thinning: float = Field(0.0, ge=0, lt=0.8)
    """Part of the wall lost in the middle of an infarct."""
    infarct_deg: float = 20.0
    axis_tilt: float = Field(0.06, ge=0, lt=0.5)
    """In-plane drift of the LV's axis per mm of height."""
    trabeculae: float = Field(0.5, ge=0, le=1)
    body_width_mm: Positive = 250.0
    fat_mm: Positive = 14.0
    """Thickness of the subcutaneous fat."""
    epicardial_fat_mm: float = Field(3.0, ge=0)
    rv_blood: Positive = 0.9
    myocardium: Positive = 0.4
    fat: Positive = 1.2
    lung: Positive = 0.08
    muscle: Positive = 0.36
    liver: Positive = 0.36
    stomach: Positive = 0.6
    blood_level: Positive = 220.0
    """Intensity of the blood in the stored image."""
    noise: float = Field(0.02, ge=0)
    """Standard deviation of the noise in each channel, relative to the blood."""
    bias: float = Field(0.35, ge=0)
    """Logarithm of the coil's gain over 100 mm."""
    resolution: float = Field(0.85, gt=0.3, le=1)
    """Part of k-space that was measured."""
    breathing_mm: float = Field(2.0, ge=0)
    """Largest shift of a slice's breath-hold."""
    heart_rate_bpm: float = Field(68.0, ge=30, le=110)
    frames: int = Field(25, ge=2)
    slices: int = Field(11, ge=1)
    pixels: int = Field(224, ge=32)
    pixel_mm: Positive = 1.4
    slice_mm: Positive = 8.0

    @property
    def lv_radius_mm(self) -> float:
        """Largest radius of the LV cavity at ED, from its volume and slenderness."""
        return float((self.lv_edv_ml * 1000 / (2 * np.pi * self.lv_slenderness * FILLING)) ** (1 / 3))

    @property
    def lv_length_mm(self) -> float:
        """Length of the LV cavity at ED."""
        return 2 * self.lv_slenderness * self.lv_radius_mm

    @property
    def apex_mm(self) -> float:
        """Thickness of the wall at the apex, the same at every moment."""
        return 0.6 * self.wall_mm


RANGES: dict[str, Intervals] = {
    "lv_edv_ml": ((65, 150), (65, 150), (150, 260)),
    "lv_ef": ((0.33, 0.62),),
    "lv_slenderness": ((1.25, 1.65),),
    "wall_mm": ((6.0, 12.0),),
    "rv_edv_ratio": ((0.7, 1.1), (0.9, 1.5)),
    "rv_ef": ((0.3, 0.65),),
    "septum_deg": ((125, 200),),
    "ellipticity": ((0.0, 0.1),),
    "oval_deg": ((0, 180),),
    "thinning": ((0.0, 0.0), (0.0, 0.0), (0.1, 0.5)),
    "infarct_deg": ((0, 360),),
    "axis_tilt": ((0.0, 0.15),),
    "trabeculae": ((0.2, 1.0),),
    "body_width_mm": ((210, 300),),
    "fat_mm": ((5, 28),),
    "epicardial_fat_mm": ((0, 7),),
    "rv_blood": ((0.75, 1.05),),
    "myocardium": ((0.30, 0.50),),
    "fat": ((0.8, 1.6),),
    "lung": ((0.03, 0.18),),
    "muscle": ((0.25, 0.45),),
    "liver": ((0.25, 0.55),),
    "stomach": ((0.15, 1.3),),
    "blood_level": ((80, 400),),
    "noise": ((0.008, 0.04),),
    "bias": ((0.0, 0.6),),
    "resolution": ((0.7, 1.0),),
    "breathing_mm": ((0.0, 4.0),),
    "heart_rate_bpm": ((50, 90),),
    "pixel_mm": ((1.2, 1.6),),
}
"""Intervals of every sampled value for training; one of a value's intervals is chosen evenly, then a point in it."""

HELD_OUT: dict[str, Intervals] = {
    "lv_ef": ((0.25, 0.32), (0.63, 0.70)),
    "wall_mm": ((4.8, 5.8), (12.3, 14.5)),
    "septum_deg": ((105, 124), (201, 220)),
    "myocardium": ((0.26, 0.29), (0.51, 0.56)),
    "body_width_mm": ((190, 208), (302, 320)),
}
"""Intervals that training never sees, disjoint from those of `RANGES`, which hold for all other values."""


def sample_anatomy(rng: np.random.Generator, ranges: Literal["training", "held-out"] = "training") -> Anatomy:
    """A random anatomy within `RANGES`, or outside of them in every value of `HELD_OUT`.

    The 8 to 11 slices, 8 mm apart or up to 10 in a long heart, reach from above the valve plane to the apex.
    """
    intervals = RANGES | HELD_OUT if ranges == "held-out" else RANGES
    values = {name: float(rng.uniform(*rng.choice(choices))) for name, choices in intervals.items()}
    grid = {"frames": int(rng.integers(20, 31)), "pixels": int(rng.choice([192, 208, 224, 240, 256]))}
    anatomy = Anatomy.model_validate(values | grid)
    height = anatomy.lv_length_mm + anatomy.apex_mm
    slices = int(np.clip(np.ceil(height / 8 + 1.2), 8, 11))
    return anatomy.model_copy(update={"slices": slices, "slice_mm": max(8.0, round(height / (slices - 1.2), 1))})
