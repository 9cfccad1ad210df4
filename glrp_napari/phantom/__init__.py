"""A procedural beating short-axis heart with exact masks: sample data, demo, tests and training slices.

Everything follows from a seed. It knows no file format and no network. The labelling rule is ACDC's: papillary muscles
and trabeculae are dark in the image but belong to the cavity; the free wall of the RV, the atria and the vessels carry
no label.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Geometry, Mask, Source
from glrp_napari.phantom.anatomy import HELD_OUT, RANGES, Anatomy, sample_anatomy
from glrp_napari.phantom.body import Body
from glrp_napari.phantom.heart import Heart, contract
from glrp_napari.phantom.section import Section

__all__ = ["HELD_OUT", "RANGES", "Anatomy", "Heart", "Phantom", "contract", "make_phantom", "sample_anatomy"]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A cine and its exact truth: `mask` (T, Z, Y, X) holds the label that fills most of each voxel.

    `shifts_mm` (Z, 2) are the breathing shifts of the slices along y and x.
    """

    cine: Cine
    mask: Mask
    anatomy: Anatomy
    shifts_mm: NDArray[np.float64]


def make_phantom(
    seed: int,
    anatomy: Anatomy | None = None,
    frames: Sequence[int] | None = None,
    slices: Sequence[int] | None = None,
) -> Phantom:
    """The phantom of a seed; without `anatomy` one is drawn from the training ranges by the same seed.

    `frames` and `slices` (contiguous) render only those; their voxels equal those of the whole cine. Frame 0 is
    end-diastole, slice 0 the base. Raises ValueError for an index outside of the cine.
    """
    anatomy = anatomy or sample_anatomy(np.random.default_rng((seed, 0)))
    frames = _check_indices("frame", frames, anatomy.frames)
    slices = _check_indices("slice", slices, anatomy.slices)
    if list(slices) != list(range(slices[0], slices[0] + len(slices))):
        raise ValueError(f"slices are contiguous and ascending: found {list(slices)}")
    body = Body(seed, anatomy)
    hearts = [Heart(anatomy, contract(anatomy, frame / anatomy.frames)) for frame in frames]
    images = np.empty((len(frames), len(slices), anatomy.pixels, anatomy.pixels), np.int16)
    mask = np.empty(images.shape, np.uint8)
    for j, index in enumerate(slices):
        section = Section(body, index)
        for i, (frame, heart) in enumerate(zip(frames, hearts, strict=True)):
            picture, mask[i, j] = section.paint(heart)
            images[i, j] = body.acquire(picture, np.random.default_rng((seed, 1, frame, index)))
    frame_ms = tuple(frame * 60000.0 / anatomy.heart_rate_bpm / anatomy.frames for frame in frames)
    source = Source(name=f"phantom-{seed:04d}", format="phantom", file_shape=images.shape)
    cine = Cine(images=images, geometry=_place_stack(anatomy, slices[0]), source=source, frame_ms=frame_ms)
    return Phantom(cine, mask, anatomy, body.shifts_mm[slices[0] : slices[0] + len(slices)])


def _check_indices(noun: str, indices: Sequence[int] | None, count: int) -> Sequence[int]:
    if indices is None:
        return range(count)
    if not indices or min(indices) < 0 or max(indices) >= count:
        raise ValueError(f"the phantom's {noun}s are 0 to {count - 1}: found {list(indices)}")
    return indices


def _place_stack(anatomy: Anatomy, first: int) -> Geometry:
    """A usual short-axis stack, slices from base to apex, anterior up, the RV on the left."""
    apex = np.array([0.62, -0.60, -0.50]) / np.linalg.norm([0.62, -0.60, -0.50])
    down = np.array([0.0, 0.3, -1.0])
    down -= apex * (down @ apex)
    down /= np.linalg.norm(down)
    right = np.cross(apex, down)
    corner = -(anatomy.pixels - 1) / 2 * anatomy.pixel_mm * (down + right)
    origin = corner + (first - anatomy.slices / 2) * anatomy.slice_mm * apex
    return Geometry(
        spacing_mm=(anatomy.slice_mm, anatomy.pixel_mm, anatomy.pixel_mm),
        axes=(_as_triple(apex), _as_triple(down), _as_triple(right)),
        origin_mm=_as_triple(origin),
    )


def _as_triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z
