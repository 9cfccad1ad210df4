"""How the heart moves in a slice of a cine, found by registering its images. It knows no labels, edits or windows.

Thirion's demons with fast symmetric forces (Vercauteren et al., "Symmetric log-domain diffeomorphic registration",
MICCAI 2008), as SimpleITK has them, on the part of the slice that is of interest. Every frame is registered to the
one that the motion is wanted from, beginning with the motion found for the frame before: nothing drifts along the
cycle. On a patient's whole cine B-splines took 25 times as long (0.5 s a frame) for masks carried a little better (Dice
0.02 to 0.05): too slow to wait for.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.masks import find_box

Motion = NDArray[np.float64]
"""Where each pixel's tissue lies in the frame that was started from, minus where it lies here: (2, Y, X), pixels."""
Box = tuple[slice, slice]

MARGIN_MM = 15.0
"""Of the image about the labels: the heart moves less, and the registration wants some ground."""
ITERATIONS = 30
STIFFNESS_PIXELS = 1.0
"""Standard deviation of the Gaussian that keeps the motion smooth."""
SMOOTHING_MM = 1.0
_LEVELS, _POINTS = 256, 15


def follow(images: NDArray[Any], start: int, pixel_mm: tuple[float, float]) -> Iterator[tuple[int, Motion]]:
    """The motion from frame `start` to every other one of a slice (T, Y, X), as (frame, motion).

    From `start` it goes both ways round the cycle at once, nearest first; the last frame is before the first. Raises
    ValueError for a frame that is not there. Ceasing to iterate ends the work.
    """
    frames = len(images)
    if not 0 <= start < frames:
        raise ValueError(f"the motion starts from frame {start}: expected 0 to {frames - 1}")
    pictures = [_prepare(image, pixel_mm) for image in images]
    fields: dict[int, sitk.Image | None] = {1: None, -1: None}
    for step in range(1, frames // 2 + 1):
        for way in (1, -1):
            if way == -1 and 2 * step == frames:
                continue
            frame = (start + way * step) % frames
            field = fields[way] = _register(pictures[frame], pictures[start], fields[way])
            yield frame, _read(field, pixel_mm)


def find_surroundings(region: NDArray[np.bool_], pixel_mm: tuple[float, float]) -> Box:
    """The part of a slice (Y, X) to register: the region with a margin. Raises ValueError for an empty region."""
    if not region.any():
        raise ValueError("nothing is labelled where the motion is wanted")
    return find_box(region, [int(np.ceil(MARGIN_MM / mm)) for mm in pixel_mm])


def carry(values: NDArray[np.float64], motion: Motion) -> NDArray[np.float64]:
    """Values (Y, X) of the starting frame as they lie after the motion."""
    places = np.indices(values.shape, dtype=np.float64) + motion
    return np.asarray(ndimage.map_coordinates(values, places, order=1, mode="nearest"))


def _prepare(image: NDArray[Any], pixel_mm: tuple[float, float]) -> sitk.Image:
    picture = sitk.GetImageFromArray(np.nan_to_num(image.astype(np.float32)))
    picture.SetSpacing(pixel_mm[::-1])
    smooth: sitk.Image = sitk.SmoothingRecursiveGaussian(picture, SMOOTHING_MM)
    return smooth


def _register(here: sitk.Image, there: sitk.Image, begin: sitk.Image | None) -> sitk.Image:
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(ITERATIONS)
    demons.SetStandardDeviations(STIFFNESS_PIXELS)
    demons.SetNumberOfThreads(1)  # the slices are small: threads would only wait for each other
    if begin is None:
        begin = sitk.Image(here.GetSize(), sitk.sitkVectorFloat64)
        begin.CopyInformation(here)
    field: sitk.Image = demons.Execute(here, sitk.HistogramMatching(there, here, _LEVELS, _POINTS), begin)
    return field


def _read(field: sitk.Image, pixel_mm: tuple[float, float]) -> Motion:
    shifts = sitk.GetArrayFromImage(field)  # (Y, X, 2), x first, mm
    return np.stack([shifts[..., 1] / pixel_mm[0], shifts[..., 0] / pixel_mm[1]])
