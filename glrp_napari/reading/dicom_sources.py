"""Which DICOM images a cine was read from: found again in its folder and held against its voxels.

A cine keeps no identifiers; what refers to its images (DICOM SEG) asks here. It must not know what they are needed for.
"""

from collections.abc import Sequence

import numpy as np

from glrp_napari.cine import Cine
from glrp_napari.reading.dicom_headers import Image, read_headers
from glrp_napari.reading.dicom_pixels import read_pixels
from glrp_napari.reading.dicom_series import rank_candidates
from glrp_napari.reading.dicom_stack import Stack, arrange_stack
from glrp_napari.reading.errors import ReadError

Phases = tuple[tuple[Image, ...], ...]
"""The image behind each frame and slice, as `phases[t][z]`; its pixel grid is that of the cine's (Y, X)."""


def find_sources(cine: Cine, frames: Sequence[int]) -> Phases:
    """The images that a cine was read from: the series of its folder with its shape, geometry and times.

    The voxels of `frames` are read again and must be the cine's. Raises `ReadError` for a cine that was not read from
    DICOM, or whose images are not there any more as they were.
    """
    path = cine.source.path
    if path is None or cine.source.format != "DICOM":
        raise ReadError(path or cine.source.name, f"a study from {cine.source.format}", "one read from DICOM")
    for candidate in rank_candidates(read_headers(path).images):
        if candidate.series.slices != cine.images.shape[1]:
            continue
        try:
            stack = arrange_stack(path, candidate.images)
        except ReadError:
            continue  # a series that makes no stack is not where the cine came from
        if _is_stack_of(stack, cine) and _has_voxels(stack.phases, cine, frames):
            return stack.phases
    raise ReadError(path, "no series with this study's images", "the images that it was read from, unchanged")


def source_key(uid: str, frame_number: int | None) -> str:
    """How an `Image` is named by its SOP Instance UID and, in a multi-frame file, its frame (from 1)."""
    return f"{uid}#{(frame_number or 1) - 1}"


def _is_stack_of(stack: Stack, cine: Cine) -> bool:
    shape = (len(stack.phases), len(stack.phases[0]), *stack.phases[0][0].size)
    return shape == cine.images.shape and (stack.geometry, stack.frame_ms) == (cine.geometry, cine.frame_ms)


def _has_voxels(phases: Phases, cine: Cine, frames: Sequence[int]) -> bool:
    return all(np.array_equal(read_pixels(phases[t]), cine.images[t]) for t in frames)
