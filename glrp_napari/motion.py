"""End-diastole and end-systole of a cine that is not segmented yet, from its images alone.

Pure: it knows images, no masks, files or windows.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.measure import UNCHOSEN, Phases

MIDDLE = 0.34
"""Part of the stack that is looked at: towards the base the atria fill while the ventricles empty."""
MOVING = 0.95
"""Quantile of the voxels' variation over time above which they count as moving."""
_SMOOTH_PX = 2.0
_MIN_FRAMES = 3


def estimate_phases(images: NDArray[np.generic]) -> Phases:
    """ED and ES of images (T, Z, Y, X), to within a frame or two: where the moving voxels are brightest and darkest.

    When the ventricles empty, bright blood gives way to wall, and wall to the lung outside (ours; balanced
    steady-state cines, where blood is bright). Within two frames of the experts on two Sunnybrook studies and an ACDC
    one. Nothing is estimated for fewer than three frames or a picture that does not move.
    """
    frames, slices = images.shape[:2]
    if frames < _MIN_FRAMES:
        return UNCHOSEN
    first = int(slices * (1 - MIDDLE) / 2)
    middle = images[:, first : slices - first].astype(np.float32)
    variation = ndimage.gaussian_filter(middle.std(axis=0), (0, _SMOOTH_PX, _SMOOTH_PX))
    weight = np.where(variation >= np.quantile(variation, MOVING), variation, 0)
    if not weight.any():
        return UNCHOSEN
    brightness = (middle * weight).sum(axis=(1, 2, 3))
    return Phases(int(brightness.argmax()), int(brightness.argmin()))
