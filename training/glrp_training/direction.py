"""Which end of a stack is the base: the direction in which positions are counted (method §2), without labels.

Pre-training must not see masks, so nothing here knows masks or trained networks. The paper does not say how the
direction is found: all of this but the numbering is ours.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from glrp_napari.cine import Geometry

_TO_APEX = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)
"""From base to apex a heart points to the patient's left, front and feet (LPS)."""
_LEAST_COSINE = 0.5
_SQUARE_COSINE = float(np.cos(np.radians(10.0)))
_SMOOTH_MM = (3.0, 1.0)
"""Of motion, which is noisy at edges, and of grey values."""
_SEARCH_MM, _MOTION_MM, _BLOOD_MM = 40.0, 50.0, 20.0
"""Standard deviations of the windows in which the heart, its motion and its blood are looked for."""
_NEAR = float(np.exp(-2.0))
"""A window's value two standard deviations from its centre."""
Image = NDArray[np.float32]


def number_positions(slices: int, apex_first: bool) -> NDArray[np.float32]:
    """Positions x = n/m of m slices in the order of the stack, n = 1…m from base to apex (paper, position label)."""
    positions = np.arange(1, slices + 1, dtype=np.float32) / np.float32(slices)
    return positions[::-1].copy() if apex_first else positions


def estimate_apex_first(frames: NDArray[Any], geometry: Geometry) -> bool:
    """Whether a patient's stack begins at the apex. `frames` (T, Z, Y, X) are all that there are; one is the least.

    The header decides where it can be trusted, else the images do.
    """
    said = read_apex_first(geometry)
    return measure_base_lead(frames, geometry.spacing_mm) < 0 if said is None else said


def read_apex_first(geometry: Geometry) -> bool | None:
    """What the header says of it, None where it is not to be trusted.

    It is not where the slices are square to the body (within 10°): a short axis never is, but a header without an
    orientation always. Nor where they stand more than 60° off the direction in which hearts lie.
    """
    axis = np.asarray(geometry.axes[0])
    cosine = float(axis @ _TO_APEX)
    if np.abs(axis).max() > _SQUARE_COSINE or abs(cosine) < _LEAST_COSINE:
        return None
    return cosine < 0


def measure_base_lead(frames: NDArray[Any], spacing_mm: tuple[float, float, float]) -> float:
    """How far a stack's content leans to its first slice (above 0: that is the base), at most 2.

    The base moves more than the apex and holds more blood. So this is the sum of two centres of gravity along the
    stack: of the motion between `frames` (T, Z, Y, X), and of the bright area in the middle of that motion. A stack
    turned round only changes its sign.
    """
    values = np.asarray(frames, np.float32)
    pixel_mm = spacing_mm[1:]
    motion = _smooth(values.std(0), _SMOOTH_MM[0], pixel_mm)
    centre_mm = _find_heart(motion.mean(0), pixel_mm)
    near = _make_window(motion.shape[1:], pixel_mm, centre_mm, _BLOOD_MM)
    bright = _smooth(values.max(0), _SMOOTH_MM[1], pixel_mm)
    blood = bright > np.median(bright[:, near > _NEAR])
    around = _make_window(motion.shape[1:], pixel_mm, centre_mm, _MOTION_MM)
    return _lean((motion * around).sum((1, 2))) + _lean((blood * near).sum((1, 2)))


def _find_heart(motion: Image, pixel_mm: tuple[float, float]) -> tuple[float, float]:
    """Centre (y, x) of the strongest motion in mm from the image's middle; the middle itself where nothing moves."""
    seen = motion * _make_window(motion.shape, pixel_mm, (0.0, 0.0), _SEARCH_MM)
    strong = np.where(seen > 0.5 * seen.max(), seen, 0)
    total = float(strong.sum())
    if total == 0:
        return 0.0, 0.0
    y, x = (_measure_mm(n, mm) for n, mm in zip(motion.shape, pixel_mm, strict=True))
    return float(strong.sum(1) @ y) / total, float(strong.sum(0) @ x) / total


def _make_window(
    shape: tuple[int, ...], pixel_mm: tuple[float, float], centre_mm: tuple[float, float], width_mm: float
) -> Image:
    """Gaussian (Y, X) of standard deviation `width_mm` around a centre."""
    y, x = (
        np.exp(-(((_measure_mm(n, mm) - c) / width_mm) ** 2) / 2)
        for n, mm, c in zip(shape, pixel_mm, centre_mm, strict=True)
    )
    window: Image = y[:, None] * x[None]
    return window


def _measure_mm(pixels: int, pixel_mm: float) -> Image:
    """Where the pixels of a row lie, in mm from its middle."""
    return ((np.arange(pixels) - (pixels - 1) / 2) * pixel_mm).astype(np.float32)


def _smooth(images: Image, width_mm: float, pixel_mm: tuple[float, float]) -> Image:
    """Slices (Z, Y, X) smoothed in the plane."""
    smoothed: Image = gaussian_filter(images, (0, *(width_mm / mm for mm in pixel_mm)))
    return smoothed


def _lean(weights: Image) -> float:
    """Centre of gravity of the slices' weights: 1 if all lies on the first, -1 on the last, 0 without any."""
    total = float(weights.sum())
    return float(np.linspace(1, -1, len(weights)) @ weights) / total if total > 0 else 0.0
