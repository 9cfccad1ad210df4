"""Which series of an export is the short-axis cine: images grouped, described and ranked.

It must not open files. Scanners that keep each slice of a stack as a series of its own are met by joining these.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import count
from glrp_napari.reading.dicom_headers import Image
from glrp_napari.reading.series import Series

SAME_PLACE_MM = 0.1
_OBLIQUE = np.cos(np.radians(15.0))
_SHORT = re.compile(r"(^|[^a-z])(sax|sa|short|kurz)", re.IGNORECASE)
_LONG = re.compile(r"lax|(^|[^a-z])(la|long|lvot|rvot)([^a-z]|$)|[234] ?-?_?ch", re.IGNORECASE)
Rank = tuple[int, int, bool, int, int]


@dataclass(frozen=True)
class Candidate:
    """Images that could be one cine, and how likely they are a short-axis stack: the greater `rank`, the likelier."""

    series: Series
    images: tuple[Image, ...]
    uids: frozenset[str]
    normal: tuple[float, ...]
    rank: Rank


def rank_candidates(images: Iterable[Image]) -> tuple[Candidate, ...]:
    """The series among `images`, the likeliest short-axis cine first.

    Stacks of parallel slices with several frames come before single-plane cines and these before still images; then
    count what the description says, oblique planes, and the numbers of slices and frames.
    """
    by_series: dict[str, list[Image]] = {}
    for image in images:
        by_series.setdefault(image.series, []).append(image)
    groups = _join_single_slices(list(by_series.values()))
    keys = _name_keys(groups)
    candidates = [_describe_candidate(key, group) for key, group in zip(keys, groups, strict=True)]
    return tuple(sorted(candidates, key=lambda one: one.rank, reverse=True))


def plane_normal(image: Image) -> NDArray[np.float64]:
    """Unit normal of the image's plane: row direction × column direction."""
    return np.cross(*np.asarray(image.directions))


def split_places(images: Iterable[Image], normal: NDArray[np.float64]) -> list[list[Image]]:
    """Images by their position along `normal`, in its direction; within 0.1 mm is the same position."""
    places: list[list[Image]] = []
    last = -np.inf
    for depth, image in sorted(((float(np.dot(normal, one.position)), one) for one in images), key=lambda p: p[0]):
        if depth - last > SAME_PLACE_MM:
            places.append([])
        places[-1].append(image)
        last = depth
    return places


def _describe_candidate(key: str, images: list[Image]) -> Candidate:
    orientation = Counter(image.directions for image in images).most_common(1)[0][0]
    normal = np.cross(*np.asarray(orientation))
    parallel = [image for image in images if abs(np.dot(plane_normal(image), normal)) > 0.999]
    places = split_places(parallel, normal)
    slices, frames = len(places), max(len(place) for place in places)
    label = images[0].label
    counts = f"{count(slices, 'slice')} × {count(frames, 'frame')}"
    line = f"{key}: {label}, {counts}" if label else f"{key}: {counts}"
    moving = frames > 1
    return Candidate(
        series=Series(key, line, frames, slices),
        images=tuple(images),
        uids=frozenset(image.series for image in images),
        normal=tuple(normal.tolist()),
        rank=(moving + (moving and slices > 1), _judge_label(label), max(abs(normal)) < _OBLIQUE, slices, frames),
    )


def _judge_label(label: str) -> int:
    """1 for a description that says short axis, -1 for one that says another view, else 0."""
    if _SHORT.search(label):
        return 1
    return -1 if _LONG.search(label) else 0


def _join_single_slices(groups: list[list[Image]]) -> list[list[Image]]:
    """Series that hold one position each and are alike but for it, joined into one stack; the others as they are."""
    alike: dict[object, list[list[Image]]] = {}
    for group in groups:
        places = split_places(group, plane_normal(group[0]))
        one = group[0]
        directions = tuple(np.round(np.ravel(one.directions), 3).tolist())
        kind = (one.patient, one.size, directions, one.spacing_mm, len(group)) if len(places) == 1 else one.series
        alike.setdefault(kind, []).append(group)
    joined: list[list[Image]] = []
    for parts in alike.values():
        everything = [image for part in parts for image in part]
        distinct = len(split_places(everything, plane_normal(everything[0]))) == len(parts)
        cine = len(parts) > 2 and len(parts[0]) > 1 and distinct
        joined.extend([everything] if cine else parts)
    return joined


def _name_keys(groups: list[list[Image]]) -> list[str]:
    """A short key for each group: its series number, its first to last where joined, made unique by a letter."""
    names = []
    for group in groups:
        numbers = sorted({image.number for image in group if image.number is not None})
        ends = numbers if len(numbers) < 2 else [numbers[0], numbers[-1]]
        names.append("-".join(str(number) for number in ends) or "none")
    counts, seen = Counter(names), Counter[str]()
    keys = []
    for name in names:
        seen[name] += 1
        keys.append(name if counts[name] == 1 else f"{name}.{seen[name]}")
    return keys
