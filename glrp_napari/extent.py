"""Where the ventricles begin and end in the stack: which slices count, and at which end the apex is.

The reader of a study has the last word on base and apex, phase by phase, so that a volume never depends on a label that
strayed into the atrium. Pure: it knows masks, no volumes, files or windows. Slices count from 0.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict
from scipy import ndimage

from glrp_napari.anatomy_checks import measure_open_share
from glrp_napari.cine import Mask, Structure


def _check_order(slices: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= slices[0] <= slices[1]:
        raise ValueError(f"first and last slice: found {slices}, expected 0 <= first <= last")
    return slices


Slices = Annotated[tuple[int, int], AfterValidator(_check_order)]
"""First and last slice, both inside; which of them is the base depends on the stack."""

SURROUNDED = 0.5
"""Least part of the cavity's outline that borders on myocardium in a slice of the LV (SCMR 2020)."""


class Extent(BaseModel):
    """The slices of each ventricle in one frame; None: no slice counts. The myocardium goes with the LV."""

    model_config = ConfigDict(frozen=True)

    lv: Slices | None = None
    rv: Slices | None = None

    def holds(self, level: int) -> bool:
        """Whether a slice counts to either ventricle."""
        return any(ends is not None and ends[0] <= level <= ends[1] for ends in (self.lv, self.rv))


Extents = Mapping[int, Extent]
"""Extents by frame; a frame that is not named counts with all its slices."""


def propose_extent(labels: Mask) -> Extent:
    """The extent of one frame (Z, Y, X) as its mask suggests it, for the reader to correct.

    A slice is the LV's where at least half of the cavity's outline borders on myocardium (Schulz-Menger et al. 2020,
    LV base), or where there is myocardium only beyond its apical end (the cap, which counts for mass; the same beyond
    the base is a stray). The RV's are those that hold any of it. Of several runs of slices the one that holds most
    voxels counts (ours). Where no myocardium is drawn at all, the LV's slices are those that hold any of its cavity.
    """
    rv, myocardium, lv = (np.count_nonzero(labels == s, axis=(1, 2)) for s in Structure)
    surrounded = np.array([_is_surrounded(plane) for plane in labels], bool) | ~myocardium.any()
    cavity = _find_run((lv > 0) & surrounded, lv + myocardium)
    solid = (lv == 0) & (myocardium > 0)
    return Extent(
        lv=_find_run(solid, myocardium) if cavity is None else _add_cap(cavity, solid, find_apex_first(labels)),
        rv=_find_run(rv > 0, rv),
    )


def keep_inside(labels: Mask, extent: Extent) -> Mask:
    """A copy of one frame (Z, Y, X) without the labels outside of `extent`.

    Raises ValueError where the extent names a slice that the frame does not have.
    """
    result = labels.copy()
    for structures, slices in (((Structure.LV, Structure.MYO), extent.lv), ((Structure.RV,), extent.rv)):
        if slices is not None and slices[1] >= len(labels):
            raise ValueError(f"the extent reaches slice {slices[1]}: expected at most {len(labels) - 1}")
        outside = np.ones(len(labels), bool)
        if slices is not None:
            outside[slices[0] : slices[1] + 1] = False
        result[outside[:, None, None] & np.isin(labels, structures)] = 0
    return result


def find_apex_first(labels: Mask) -> bool:
    """Whether slice 0 of a frame (Z, Y, X) is at the apex: the heart is wider at its base (ours).

    Raises ValueError for a frame without any label.
    """
    area = np.count_nonzero(labels, axis=(1, 2))
    filled = np.flatnonzero(area)
    if len(filled) == 0:
        raise ValueError("the frame holds no label: where its apex is cannot be told")
    return bool(np.average(np.arange(len(area)), weights=area) > (filled[0] + filled[-1]) / 2)


def _is_surrounded(plane: Mask) -> bool:
    return 1 - measure_open_share(plane == Structure.LV, plane == Structure.MYO) >= SURROUNDED


def _add_cap(cavity: tuple[int, int], solid: NDArray[np.bool_], apex_first: bool) -> tuple[int, int]:
    """The slices of a cavity and the `solid` ones (Z,) that follow at its apical end."""
    first, last = cavity
    while apex_first and first > 0 and solid[first - 1]:
        first -= 1
    while not apex_first and last + 1 < len(solid) and solid[last + 1]:
        last += 1
    return first, last


def _find_run(kept: NDArray[np.bool_], weight: NDArray[np.int_]) -> tuple[int, int] | None:
    """First and last index of the run of `kept` that weighs most."""
    runs, count = ndimage.label(kept)
    if count == 0:
        return None
    best = 1 + int(np.argmax(ndimage.sum_labels(weight, runs, np.arange(1, count + 1))))
    inside = np.flatnonzero(runs == best)
    return int(inside[0]), int(inside[-1])
