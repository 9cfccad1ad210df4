"""Pure edits of masks: new label arrays from old ones. It keeps no state and knows no window, undo or file.

Filling, erasing and painting are napari's; copying a slice is an assignment. What needs thought is here.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.cine import Mask, Structure


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
    outlines = [(_outline(mask[first], s), _outline(mask[last], s)) for s in Structure]
    for z in range(first + 1, last):
        rv, epi, lv = (_blend(start, end, (z - first) / (last - first)) for start, end in outlines)
        result[z] = np.select([lv & epi, epi, rv], [Structure.LV, Structure.MYO, Structure.RV], 0)
    return result


def _outline(labels: Mask, structure: Structure) -> NDArray[np.bool_]:
    """The filled outline (Y, X) of a structure; the myocardium's is the epicardium and holds the LV."""
    return np.asarray(labels >= structure if structure is Structure.MYO else labels == structure)


def _blend(start: NDArray[np.bool_], end: NDArray[np.bool_], part: float) -> NDArray[np.bool_]:
    """The region a `part` of the way from one to the other."""
    if not start.any() or not end.any():
        region, gone = (start, part) if start.any() else (end, 1 - part)
        distance = _measure_depth(region)
        return np.asarray(distance > gone * distance.max()) & region.any()
    return np.asarray((1 - part) * _measure_depth(start) + part * _measure_depth(end) > 0)


def _measure_depth(region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance in pixels to the region's border, positive inside."""
    return np.asarray(ndimage.distance_transform_edt(region) - ndimage.distance_transform_edt(~region))
