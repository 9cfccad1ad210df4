"""Thickness of the LV's wall at end-diastole and end-systole, voxel by voxel and by AHA segment.

Method: each voxel of the wall is as thick as its distances to the endocardium and to the epicardium add up to. For
parallel borders that is the length of the chord of the centreline method (Sheehan et al., Circulation 74:293, 1986)
through it, without chords that could cross. Measured within the slice, as on short-axis cines by hand (SCMR 2020), so a
wall that runs obliquely through the slice is a little thinner than measured. Pure: no images, files or windows.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.extent import Extents, find_apex_first, keep_inside
from glrp_napari.measure import Phases
from glrp_napari.segments import SEGMENTS, Insertions, Reference, assign_segments

Values = NDArray[np.float64]
Pixel = tuple[float, float]

_STEP_MM = 0.4
"""Distance between the points of a border."""


class SegmentThickness(BaseModel):
    """One of the 16 segments: mean thickness in mm at both phases, and thickening in % of end-diastole.

    None where the segment holds no wall in a slice with a cavity.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    name: str
    ed_mm: float | None
    es_mm: float | None
    thickening_percent: float | None


def measure_thickness(labels: Mask, geometry: Geometry) -> NDArray[np.float32]:
    """Thickness in mm of the wall in one frame (Z, Y, X), in each of its voxels; NaN elsewhere.

    Slices without a cavity have none. In-plane spacing may differ between y and x.
    """
    result = np.full(labels.shape, np.nan, np.float32)
    pixel_mm = geometry.spacing_mm[1:]
    for plane, values in zip(labels, result, strict=True):
        wall = plane == Structure.MYO
        cavity = ndimage.binary_fill_holes(plane == Structure.LV)
        borders = [_trace_border(region, pixel_mm) for region in (cavity, ndimage.binary_fill_holes(wall | cavity))]
        if wall.any() and all(map(len, borders)):
            points = np.argwhere(wall) * pixel_mm
            values[wall] = sum(cKDTree(border).query(points)[0] for border in borders)
    return result


def measure_segments(
    mask: Mask,
    geometry: Geometry,
    phases: Phases,
    *,
    extents: Extents | None = None,
    insertions: Mapping[int, Insertions] | None = None,
    apex_first: bool | None = None,
    reference: Reference = "anterior",
) -> tuple[SegmentThickness, ...]:
    """Thickness and thickening of segments 1 to 16 from a mask (T, Z, Y, X).

    `extents` and `insertions` are by frame; a phase's own thirds and insertion points hold for it, found where not
    given (see `segments.assign_segments`). Raises ValueError without both phases, and where a phase has fewer than
    three slices with a cavity or no insertion points.
    """
    if phases.ed is None or phases.es is None:
        raise ValueError(f"thickening needs end-diastole and end-systole: found {phases}")
    if apex_first is None:
        apex_first = find_apex_first(mask[phases.ed])
    measured = []
    for frame in (phases.ed, phases.es):
        labels = keep_inside(mask[frame], extents[frame]) if extents and frame in extents else mask[frame]
        given = insertions.get(frame) if insertions else None
        numbers = assign_segments(labels, geometry, given, apex_first=apex_first, reference=reference)
        measured.append(average_segments(measure_thickness(labels, geometry), numbers))
    return tuple(_describe(number, measured[0].get(number), measured[1].get(number)) for number in SEGMENTS)


def average_segments(thickness: NDArray[np.float32], numbers: Mask) -> dict[int, float]:
    """Mean thickness in mm of each segment that has any, from a map and the segments of its voxels.

    The mean is along the wall: a voxel stands for a piece of it that is the shorter the thicker the wall is there
    (ours).
    """
    known = np.isfinite(thickness) & (thickness > 0)
    return {
        int(number): float(1 / np.mean(1 / thickness[known & (numbers == number)], dtype=np.float64))
        for number in np.unique(numbers[known & (numbers > 0)])
    }


def _describe(number: int, ed_mm: float | None, es_mm: float | None) -> SegmentThickness:
    thickening = None if ed_mm is None or es_mm is None else round(100 * (es_mm - ed_mm) / ed_mm, 1)
    ed, es = (None if value is None else round(value, 2) for value in (ed_mm, es_mm))
    return SegmentThickness(number=number, name=SEGMENTS[number], ed_mm=ed, es_mm=es, thickening_percent=thickening)


def _trace_border(region: NDArray[np.bool_], pixel_mm: Pixel) -> Values:
    """Points (N, 2) in mm all along a region's border (Y, X), between the pixels; none where there is no region.

    The staircase of the pixels is smoothed first: the nearest corner of it would be too near.
    """
    sigma = max(pixel_mm) / np.array(pixel_mm)
    smooth = ndimage.gaussian_filter(np.pad(region.astype(np.float64), 4), sigma)
    lines = [(line - 4) * pixel_mm for line in find_contours(smooth, 0.5)]
    return np.concatenate([_resample(line) for line in lines]) if lines else np.empty((0, 2))


def _resample(line: Values) -> Values:
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    steps = np.linspace(0, along[-1], 2 + int(along[-1] / _STEP_MM))
    return np.stack([np.interp(steps, along, line[:, axis]) for axis in (0, 1)], axis=1)
