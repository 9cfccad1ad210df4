"""Mending the outline of one structure in a slice: smoothing in mm, closing a ring, pushing a piece of the border.

New slices (Y, X) from old ones; keeps no state and knows no window, undo or file. What is done to a structure is paid
for by what lies about it: an LV that grows takes from its wall, an epicardium that grows takes from outside and the RV.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.anatomy_checks import keep_largest
from glrp_napari.cine import Mask, Structure
from glrp_napari.masks import Region, join_outlines, measure_depth, split_outlines

Pixel = tuple[float, float]
Point = tuple[float, float]
"""A place in a slice: (y, x) in pixels."""
SMOOTHING_MM = 3.0
THINNEST_MM = 1.5
"""Wall that closing a ring puts where there is none; at least one pixel."""


def smooth_outline(labels: Mask, structure: Structure, pixel_mm: Pixel) -> Mask:
    """The slice with the filled outline of a structure smoothed and its area kept; MYO smooths the epicardium.

    The outline is where the region, blurred by a Gaussian of `SMOOTHING_MM`, reaches the level that keeps its area:
    corners and spikes narrower than that go. Raises ValueError where the structure is not in the slice.
    """
    outlines = split_outlines(labels)
    index = list(Structure).index(structure)
    region = outlines[index]
    if not region.any():
        raise ValueError("the chosen structure is not on this slice: expected one to smooth")
    blurred = ndimage.gaussian_filter(region.astype(np.float64), np.array(SMOOTHING_MM) / pixel_mm)
    kept = int(np.count_nonzero(region))
    level = np.partition(blurred.ravel(), -kept)[-kept]
    return _replace(labels, structure, (blurred >= level) & (blurred > 0.1))


def close_ring(labels: Mask, pixel_mm: Pixel) -> Mask:
    """The slice with a closed ring of myocardium about the LV, whose own outline stays, holes filled.

    Where the wall is open it becomes as thick as it is elsewhere (the median of its directions from the cavity's
    middle), and nowhere thinner than `THINNEST_MM`. Raises ValueError for a slice without LV.
    """
    cavity = ndimage.binary_fill_holes(keep_largest(labels == Structure.LV))
    if not cavity.any():
        raise ValueError("there is no LV on this slice: expected one to close the ring about")
    wall = labels == Structure.MYO
    away = -measure_depth(cavity, pixel_mm)
    sectors = _find_sectors(cavity, pixel_mm)
    walled = np.unique(sectors[wall])
    thinnest = max(THINNEST_MM, 1.01 * max(pixel_mm))
    thickness = float(np.median([away[wall & (sectors == s)].max() for s in walled])) if len(walled) else 0.0
    mended = (away <= max(thickness, thinnest)) & ~np.isin(sectors, walled)
    epi = ndimage.binary_fill_holes(wall | mended | (away <= thinnest))
    return join_outlines([labels == Structure.RV, epi, cavity])


def push_border(labels: Mask, structure: Structure, start: Point, end: Point, radius: float, pixel_mm: Pixel) -> Mask:
    """The slice after dragging a round brush of `radius` pixels from one point to another across a border.

    The structure's filled outline goes along with the brush: what lies under it moves by the drag, fully in its middle
    and less towards its rim. So a drag from inside pushes the border out, one from outside pushes it in.
    """
    rows, columns = np.indices(labels.shape, dtype=np.float64)
    drag = np.subtract(end, start)
    distance = np.hypot(rows - end[0], columns - end[1]) / max(radius, 1.0)
    weight = np.clip(1 - distance**2, 0, 1) ** 2
    depth = measure_depth(split_outlines(labels)[list(Structure).index(structure)], pixel_mm)
    places = [rows - weight * drag[0], columns - weight * drag[1]]
    moved = ndimage.map_coordinates(depth, places, order=1, mode="nearest") > 0
    return _replace(labels, structure, np.where(weight > 0, moved, depth > 0))


def _replace(labels: Mask, structure: Structure, region: Region) -> Mask:
    """The slice with another filled outline of one structure: it takes what it covers, what it leaves goes back."""
    result = labels.copy()
    if structure is Structure.MYO:
        result[(labels >= Structure.MYO) & ~region] = 0
        result[region & (labels < Structure.MYO)] = Structure.MYO
        return result
    result[(labels == structure) & ~region] = Structure.MYO if structure is Structure.LV else 0
    free = region if structure is Structure.LV else region & (labels < Structure.MYO)
    result[free] = structure
    return result


def _find_sectors(cavity: Region, pixel_mm: Pixel) -> NDArray[np.int_]:
    """The direction (Y, X), in steps of 6°, in which each pixel lies from the cavity's middle."""
    middle = np.argwhere(cavity).mean(0)
    rows, columns = np.indices(cavity.shape)
    angle = np.degrees(np.arctan2((rows - middle[0]) * pixel_mm[0], (columns - middle[1]) * pixel_mm[1]))
    return np.asarray(((angle + 180) // 6).astype(int) % 60)
