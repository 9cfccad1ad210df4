"""Carrying a person's edit to other frames and slices: the edit, not the mask.

An edit moves outlines; how far, in mm, is the difference of the signed distances to the outlines after and before it.
That difference is carried along with the heart's motion and moves the outlines found there, so that what was right in
the other frame stays, and a small error of the registration moves no outline that the person left alone. Pure: it
knows masks and motions, no images, undo or windows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.cine import Mask
from glrp_napari.masks import NOWHERE, Region, join_outlines, measure_depth, split_outlines
from glrp_napari.registration import Motion, carry

Pixel = tuple[float, float]
REACH_MM = 2.0
"""So near to what was changed an outline may move."""
LEVELS = 2
"""An edit reaches so many slices further, a little less in each, and never past another edited one."""


@dataclass(frozen=True, eq=False)
class Edit:
    """How a person's edit moved the outlines of a slice (Y, X): RV, epicardium and LV.

    `shifts_mm` (3, Y, X) is by how much depth grew; `drawn` are the outlines after, where there was none before
    (None elsewhere); `near` (Y, X) is 1 about what was changed.
    """

    shifts_mm: NDArray[np.float64]
    drawn: tuple[NDArray[np.float64] | None, ...]
    near: NDArray[np.float64]


def find_edit(before: Mask, after: Mask, pixel_mm: Pixel) -> Edit:
    """The edit that made `after` of `before`, both (Y, X). Raises ValueError where nothing was changed."""
    changed = before != after
    if before.shape != after.shape or not changed.any():
        raise ValueError("this slice is as it was before: expected an edit to carry on")
    pairs = list(zip(split_outlines(before), split_outlines(after), strict=True))
    depths = [(measure_depth(old, pixel_mm), measure_depth(new, pixel_mm)) for old, new in pairs]
    shifts = np.stack([new - old for old, new in depths])
    drawn = tuple(d[1] if not old.any() and new.any() else None for (old, new), d in zip(pairs, depths, strict=True))
    near = ndimage.distance_transform_edt(~changed, sampling=pixel_mm) <= REACH_MM
    return Edit(shifts, drawn, near.astype(np.float64))


def carry_edit(edit: Edit, motion: Motion) -> Edit:
    """The edit as it lies after the heart's motion."""
    shifts = np.stack([carry(shift, motion) for shift in edit.shifts_mm])
    drawn = tuple(None if depth is None else carry(depth, motion) for depth in edit.drawn)
    return Edit(shifts, drawn, carry(edit.near, motion))


def apply_edit(edit: Edit, labels: Mask, pixel_mm: Pixel, part: float = 1.0) -> Mask:
    """A slice (Y, X) with its outlines moved as in the edit, or a `part` of the way.

    A structure that was drawn anew is added; one that this slice lacks is not made up from a change of its outline.
    """
    near = edit.near > 0.5
    moved = [
        np.where(near, _move(region, shift, drawn, pixel_mm, part), region)
        for region, shift, drawn in zip(split_outlines(labels), edit.shifts_mm, edit.drawn, strict=True)
    ]
    return np.where(near, join_outlines(moved), labels).astype(np.uint8)


def spread_edits(edits: Mapping[int, Edit], frame: Mask, pixel_mm: Pixel) -> Iterator[tuple[int, Mask]]:
    """The slices of a frame (Z, Y, X) about those whose edits are given, as (slice, labels) where something changes.

    By shape: between two edited slices each edit counts the more, the nearer it is; on the outside it fades within
    `LEVELS` slices. A slice without labels stays empty.
    """
    for z, labels in enumerate(frame):
        result = labels
        for source, part in _find_parts(z, sorted(edits)):
            result = apply_edit(edits[source], result, pixel_mm, part)
        if z not in edits and labels.any() and not np.array_equal(result, labels):
            yield z, result


def _find_parts(z: int, edited: list[int]) -> list[tuple[int, float]]:
    below, above = [i for i in edited if i < z][-1:], [i for i in edited if i > z][:1]
    if below and above:
        gap = above[0] - below[0]
        return [(below[0], (above[0] - z) / gap), (above[0], (z - below[0]) / gap)]
    return [(i, 1 - abs(z - i) / (LEVELS + 1)) for i in below + above if abs(z - i) <= LEVELS]


def _move(
    region: Region, shift: NDArray[np.float64], drawn: NDArray[np.float64] | None, pixel_mm: Pixel, part: float
) -> Region:
    if drawn is not None:
        return region | (drawn > (1 - part) * max(float(drawn.max()), 0.0))
    erases = float(shift.min()) < -NOWHERE / 2
    if not region.any() or (erases and part < 0.5):
        return region
    return np.asarray(measure_depth(region, pixel_mm) + part * shift > 0)
