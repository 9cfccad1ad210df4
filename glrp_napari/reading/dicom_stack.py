"""The images of one series set in order: positions along the slice normal, times within each position.

Whatever does not fill a complete (T, Z) grid is named and refused. It must not open files itself.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from glrp_napari.cine import Geometry
from glrp_napari.reading.dicom_headers import Image
from glrp_napari.reading.dicom_pixels import read_pixels
from glrp_napari.reading.dicom_series import plane_normal, split_places
from glrp_napari.reading.directions import angle_between, build_geometry
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.frame_times import UNKNOWN

_SAME_DEGREES = 0.5
_EVEN_MM, _EVEN_SHARE = 0.1, 0.01
_TIME_TAGS = ("TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber")
Place = list[Image]


@dataclass(frozen=True)
class Stack:
    """Images as `phases[t][z]`, z along the slice normal, with the geometry of a frame, times (ms) and warnings."""

    phases: tuple[tuple[Image, ...], ...]
    geometry: Geometry
    frame_ms: tuple[float, ...] | None
    warnings: tuple[str, ...]


def arrange_stack(path: Path, images: tuple[Image, ...]) -> Stack:
    """Order the images of one series.

    Raises `ReadError` for two patients, several matrix or pixel sizes, planes that are not parallel, a position with
    more or fewer images than the others, a missing slice, or images whose order in time no tag gives.
    """
    if len({image.patient for image in images}) > 1:
        raise ReadError(path, "images of more than one patient in one series", "those of one")
    _check_alike(path, images, "matrix size", lambda image: image.size)
    _check_alike(path, images, "pixel spacing", lambda image: tuple(np.round(image.spacing_mm, 4).tolist()))
    reference = _find_reference(images)
    places, copies = _drop_copies(split_places(images, plane_normal(reference)))
    slice_mm, uneven = _measure_distance(path, places)
    ordered = [_order_place(path, place) for place in places]
    _check_counts(path, places)
    frame_ms, unsure = _median_times(ordered)
    y, x = reference.spacing_mm
    row, column = reference.directions
    directions = np.stack([row, column, plane_normal(reference)], axis=1)
    geometry, _ = build_geometry(path, (x, y, slice_mm), directions, ordered[0][0].position)
    return Stack(tuple(zip(*ordered, strict=True)), geometry, frame_ms, (*copies, *uneven, *unsure))


def _check_alike(path: Path, images: tuple[Image, ...], what: str, get: Callable[[Image], Any]) -> None:
    counts = Counter(get(image) for image in images)
    if len(counts) > 1:
        (usual, _), *others = counts.most_common()
        odd = next(image for image in images if get(image) == others[0][0])
        raise ReadError(odd.file, f"the {what} {others[0][0]}", f"{usual} as in the rest of the series")


def _find_reference(images: tuple[Image, ...]) -> Image:
    """An image with the usual orientation; all others must share it."""
    usual = Counter(image.directions for image in images).most_common(1)[0][0]
    for directions in {image.directions for image in images}:
        turn = max(angle_between(np.array(a), np.array(b)) for a, b in zip(directions, usual, strict=True))
        if turn > _SAME_DEGREES:
            odd = next(image for image in images if image.directions == directions)
            raise ReadError(odd.file, f"a plane turned by {turn:.0f}°", "one parallel to the rest of its series")
    return next(image for image in images if image.directions == usual)


def _drop_copies(places: list[Place]) -> tuple[list[Place], tuple[str, ...]]:
    """Places without images that are there twice: the same identifier, or the same pixels where there are too many."""
    single = [list({image.uid: image for image in place}.values()) for place in places]
    counts = Counter(len(place) for place in single)
    usual = min(counts, key=lambda count: (-counts[count], count))
    single = [_drop_equal_pixels(place) if len(place) > usual else place for place in single]
    dropped = sum(map(len, places)) - sum(map(len, single))
    return single, (f"{dropped} images are there twice and were left out",) if dropped else ()


def _drop_equal_pixels(place: Place) -> Place:
    return list({read_pixels([image]).tobytes(): image for image in reversed(place)}.values())[::-1]


def _order_place(path: Path, place: Place) -> list[Image]:
    """One position's images in time, by the first tag that all have and that tells all apart."""
    triggers = Counter(image.times[0] for image in place)
    trigger, count = triggers.most_common(1)[0]
    if trigger is not None and len(triggers) > 1 and count > 1 and None not in triggers:
        raise ReadError(path, f"{count} images with trigger time {trigger:g} ms at {_name(place)}", "one each")
    for tag in range(len(_TIME_TAGS)):
        values = [image.times[tag] for image in place]
        if None not in values and len(set(values)) == len(place):
            return sorted(place, key=lambda image: image.times[tag] or 0.0)
    if len(place) > 1:
        expected = "one that tells them apart: " + ", ".join(_TIME_TAGS)
        raise ReadError(path, f"no tag that orders the {len(place)} images at {_name(place)}", expected)
    return place


def _check_counts(path: Path, places: list[Place]) -> None:
    counts = Counter(len(place) for place in places)
    usual = max(counts, key=lambda count: (counts[count], count))
    for place in places:
        if len(place) != usual:
            raise ReadError(path, f"{len(place)} frames at {_name(place)}", f"{usual} as at the other positions")


def _measure_distance(path: Path, places: list[Place]) -> tuple[float, tuple[str, ...]]:
    """Distance of neighbouring slices in mm, with a warning where the header or the slices' centres disagree."""
    first, said = places[0][0], places[0][0].slice_mm
    if len(places) == 1:
        if said is None or said <= 0:
            raise ReadError(path, "one slice of unknown thickness", "SpacingBetweenSlices or SliceThickness")
        return said, ()
    normal = plane_normal(first)
    steps = [float(np.dot(np.subtract(b[0].position, a[0].position), normal)) for a, b in pairwise(places)]
    least = min(steps)
    for step, place in zip(steps, places, strict=False):
        if step > 1.5 * least:
            raise ReadError(path, f"{step:.1f} mm to the slice after {_name(place)}", f"{least:.1f} mm: one is missing")
        if step - least > max(_EVEN_MM, _EVEN_SHARE * least):
            raise ReadError(path, f"{step:.2f} mm to the slice after {_name(place)}", f"{least:.2f} mm as elsewhere")
    distance = float(np.mean(steps))
    shift = np.subtract(places[-1][0].position, first.position) - normal * sum(steps)
    warnings = []
    if np.linalg.norm(shift) > max(first.spacing_mm):
        warnings.append(f"the slices are shifted sideways by {np.linalg.norm(shift):.1f} mm from first to last")
    if said is not None and distance > 1.5 * said:
        warnings.append(f"the slices lie {distance:.1f} mm apart but the header says {said:.1f} mm: are some missing?")
    return distance, tuple(warnings)


def _median_times(ordered: list[list[Image]]) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """The median over the slices of each phase's trigger time; these differ a little from slice to slice."""
    if len(ordered[0]) == 1:
        return None, ()
    triggers = [[image.times[0] for image in place] for place in ordered]
    if any(len(set(times)) < len(times) or None in times for times in triggers):
        return None, (f"trigger times are missing; {UNKNOWN}",)
    times = np.median(np.array(triggers, dtype=np.float64), axis=0)
    return tuple(float(time) for time in times), ()


def _name(place: Place) -> str:
    return "position ({:.1f}, {:.1f}, {:.1f}) mm".format(*place[0].position)
