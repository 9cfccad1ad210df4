"""The AHA's 17-segment model on short-axis slices: which of segments 1 to 16 a voxel of the LV's wall belongs to.

After Cerqueira et al., Circulation 105:539, 2002. Segment 17, the apical cap, has no cavity on a short axis and is left
out. Pure: it knows masks and geometry, no thickness and no windows. Angles are in degrees about the middle of the
cavity, measured in mm from the direction of growing x towards that of growing y (clockwise on the screen).
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from glrp_napari.anatomy_checks import keep_largest
from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.extent import find_apex_first

Point = tuple[float, float]
"""A place in a slice: (y, x) in pixels."""
Reference = Literal["anterior", "inferior"]
Angles = NDArray[np.float64]

_ROUND = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
SEGMENTS: dict[int, str] = {
    **{1 + i: f"basal {name}" for i, name in enumerate(_ROUND)},
    **{7 + i: f"mid {name}" for i, name in enumerate(_ROUND)},
    **{13 + i: f"apical {name}" for i, name in enumerate(("anterior", "septal", "inferior", "lateral"))},
}
"""Names of the segments that a short-axis stack shows, by the AHA's numbers."""

_SIXTHS = np.array([2, 3, 4, 5, 6, 1])
_QUARTERS = np.array([14, 15, 16, 13])
"""Segments in order from the anterior insertion through the septum; the apical septum is centred on the others'."""
_ANTERIOR = np.array([0.0, -1.0, 1.0]) / np.sqrt(2)
"""The anterior insertion lies in front of and above the inferior one (LPS)."""
_TOUCH = 1.5
"""Greatest distance between RV and wall that still counts as touching, in pixels."""


class Insertions(BaseModel):
    """Directions in which the RV's free wall meets the LV, in degrees. They enclose the septum (less than 180°)."""

    model_config = ConfigDict(frozen=True)

    anterior_deg: float
    inferior_deg: float


def find_insertion_points(plane: Mask, geometry: Geometry) -> tuple[Point, Point] | None:
    """Anterior and inferior insertion point in a slice (Y, X): the two ends of the border that RV and wall share.

    That is where RV, myocardium and outside meet. Which is anterior follows from the patient's axes; where a header has
    none, the upper one is (the usual display). None where there is no cavity or the RV does not touch the wall.
    """
    pixel_mm = geometry.spacing_mm[1:]
    right = keep_largest(plane == Structure.RV)
    if not right.any() or not (plane == Structure.LV).any():
        return None
    near = ndimage.distance_transform_edt(~right, sampling=pixel_mm) <= _TOUCH * max(pixel_mm)
    shared = np.argwhere((plane == Structure.MYO) & near)
    if len(shared) < 3:
        return None
    angles = _measure_angles(plane, geometry, shared)
    order = np.argsort(angles)
    gaps = np.diff(angles[order], append=angles[order][0] + 360)
    last = int(gaps.argmax())
    ends = [shared[order[last]], shared[order[(last + 1) % len(order)]]]
    ends.sort(key=lambda end: _measure_height(end, geometry), reverse=True)
    (y0, x0), (y1, x1) = (end.tolist() for end in ends)
    return (y0, x0), (y1, x1)


def find_insertions(labels: Mask, geometry: Geometry, apex_first: bool | None = None) -> Insertions:
    """The insertions of one frame (Z, Y, X): the middle (median) of those in its basal and mid slices.

    Raises ValueError where no slice shows them.
    """
    found = []
    for z, level in enumerate(_find_levels(labels, apex_first)):
        points = find_insertion_points(labels[z], geometry) if level in (0, 1) else None
        if points is not None:
            found.append([measure_angle(labels[z], geometry, point) for point in points])
    if not found:
        raise ValueError("no slice shows where the RV meets the LV: expected insertion points to be given")
    anterior, inferior = (_find_middle(angles) for angles in np.array(found).T)
    return Insertions(anterior_deg=anterior, inferior_deg=inferior)


def measure_angle(plane: Mask, geometry: Geometry, point: Point) -> float:
    """Direction (-180° to 180°) of a point of a slice (Y, X) from the cavity's middle.

    Raises ValueError where the slice has no cavity.
    """
    return float(_measure_angles(plane, geometry, np.array([point]))[0])


def assign_segments(
    labels: Mask,
    geometry: Geometry,
    insertions: Insertions | None = None,
    *,
    apex_first: bool | None = None,
    reference: Reference = "anterior",
) -> Mask:
    """AHA number (1 to 16) of each voxel of the wall in one frame (Z, Y, X); 0 elsewhere.

    The slices with cavity and wall are cut in thirds from base to apex; the basal and mid ones have six segments of
    60°, counted from the `reference` insertion, the apical ones four of 90°. Without `insertions` they are found, and
    so is `apex_first` (`extent.find_apex_first`). Slices that do not count are to be cut away before
    (`extent.keep_inside`). Raises ValueError for fewer than three slices, and as `find_insertions` does.
    """
    given = insertions or find_insertions(labels, geometry, apex_first)
    result = np.zeros(labels.shape, np.uint8)
    for z, level in enumerate(_find_levels(labels, apex_first)):
        if level < 0:
            continue
        wall = np.argwhere(labels[z] == Structure.MYO)
        turned = _turn(_measure_angles(labels[z], geometry, wall), given, reference)
        if level < 2:
            numbers = _SIXTHS[(turned // 60).astype(int) % 6] + 6 * level
        else:
            numbers = _QUARTERS[((turned - 15) // 90).astype(int) % 4]
        result[z][tuple(wall.T)] = numbers
    return result


def _turn(angles: Angles, insertions: Insertions, reference: Reference) -> Angles:
    """Angles (0° to 360°) from the anterior insertion through the septum; as reference the inferior one is at 120°."""
    septum = _wrap(insertions.inferior_deg - insertions.anterior_deg)
    start = insertions.anterior_deg if reference == "anterior" else insertions.inferior_deg
    turned = np.copysign(1.0, septum) * (angles - start) + (0 if reference == "anterior" else 120)
    return np.asarray(turned % 360)


def _find_levels(labels: Mask, apex_first: bool | None) -> NDArray[np.int_]:
    """0 (basal), 1 (mid) or 2 (apical) of each slice (Z,); -1 for those without cavity or wall."""
    counted = np.flatnonzero([(p == Structure.LV).any() and (p == Structure.MYO).any() for p in labels])
    if len(counted) < 3:
        raise ValueError(f"found {len(counted)} slices with cavity and wall: the segments need at least 3")
    if find_apex_first(labels) if apex_first is None else apex_first:
        counted = counted[::-1]
    levels = np.full(len(labels), -1)
    levels[counted] = (3 * (np.arange(len(counted)) + 0.5) / len(counted)).astype(int)
    return levels


def _measure_angles(plane: Mask, geometry: Geometry, points: NDArray[Any]) -> Angles:
    """Directions (N,) of points (N, 2) of a slice from the middle of its cavity."""
    cavity = np.argwhere(plane == Structure.LV)
    if len(cavity) == 0:
        raise ValueError("the slice has no LV cavity: expected one to measure angles about")
    y_mm, x_mm = ((points - cavity.mean(0)) * geometry.spacing_mm[1:]).T
    return np.asarray(np.degrees(np.arctan2(y_mm, x_mm)), np.float64)


def _measure_height(point: NDArray[np.int_], geometry: Geometry) -> float:
    """How far to the front and top of the patient a point of a slice lies, in mm."""
    steps = np.asarray(geometry.axes[1:]) @ _ANTERIOR * geometry.spacing_mm[1:]
    return float(steps @ point)


def _find_middle(angles: Angles) -> float:
    """Median of angles, which may lie on both sides of 180°."""
    radians = np.radians(angles)
    mean = np.degrees(np.arctan2(np.sin(radians).sum(), np.cos(radians).sum()))
    return float(_wrap(mean + np.median(_wrap(angles - mean))))


def _wrap(angle: Angles | float) -> Angles:
    return np.asarray((np.asarray(angle) + 180) % 360 - 180)
