"""Pure edits of masks: new label arrays from old ones. It keeps no state and knows no window, undo or file.

Filling, erasing and painting are napari's; copying a slice is an assignment. What needs thought is here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.cine import Mask, Structure

Region = NDArray[np.bool_]
NOWHERE = 1000.0


def interpolate_slices(mask: Mask, first: int, last: int) -> Mask:
    """A copy of a mask (Z, Y, X) whose slices strictly between two labelled ones are interpolated from them.

    Shape-based interpolation (Raya and Udupa, IEEE TMI 9:32, 1990): signed distances to the outlines are averaged. The
    outlines are the RV's, the epicardium's (MYO and LV together) and the LV's, so that an LV inside of its wall stays
    inside; where outlines meet, LV goes before MYO and MYO before RV. A structure that only one of the two slices has
    tapers towards the other. Raises ValueError where there is nothing between, or both slices are empty.
    """
    if mask.ndim != 3 or not 0 <= first < last - 1 < len(mask) - 1:
        raise ValueError(f"slices to interpolate between: found {first} and {last} in a mask of shape {mask.shape}")
    if not mask[[first, last]].any():
        raise ValueError(f"slices {first} and {last} are both empty: expected a label in at least one")
    result = mask.copy()
    pairs = list(zip(split_outlines(mask[first]), split_outlines(mask[last]), strict=True))
    for z in range(first + 1, last):
        result[z] = join_outlines([_blend(start, end, (z - first) / (last - first)) for start, end in pairs])
    return result


def split_outlines(labels: Mask) -> list[Region]:
    """The filled outlines (Y, X) of a slice: the RV's, the epicardium's (which holds the LV) and the LV's."""
    return [labels == Structure.RV, labels >= Structure.MYO, labels == Structure.LV]


def join_outlines(outlines: Sequence[Region]) -> Mask:
    """A slice (Y, X) from filled outlines; where they meet, LV goes before MYO and MYO before RV."""
    rv, epi, lv = outlines
    return np.select([lv & epi, epi, rv], [Structure.LV, Structure.MYO, Structure.RV], 0).astype(np.uint8)


def measure_depth(region: Region, pixel_mm: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.float64]:
    """Distance (Y, X) to the region's border, positive inside, in mm (in pixels, where no size is given).

    An empty region's border is `NOWHERE` away, and so is that of one that fills everything.
    """
    if not region.any() or region.all():
        return np.full(region.shape, NOWHERE if region.any() else -NOWHERE)
    inside = ndimage.distance_transform_edt(region, sampling=pixel_mm)
    return np.asarray(inside - ndimage.distance_transform_edt(~region, sampling=pixel_mm))


def find_box(region: Region, margin: Sequence[int]) -> tuple[slice, slice]:
    """The rows and columns that hold a region (Y, X), which is not empty, and so many more (y, x) on either side."""
    rows, columns = (
        slice(max(0, int(where.min()) - more), int(where.max()) + more + 1)
        for where, more in zip(np.nonzero(region), margin, strict=True)
    )
    return rows, columns


def _blend(start: Region, end: Region, part: float) -> Region:
    """The region a `part` of the way from one to the other."""
    if not start.any() or not end.any():
        region, gone = (start, part) if start.any() else (end, 1 - part)
        distance = measure_depth(region)
        return np.asarray(distance > gone * distance.max()) & region.any()
    return np.asarray((1 - part) * measure_depth(start) + part * measure_depth(end) > 0)
