"""Which slices to label next: those whose error would shift the ejection fraction most, and that differ.

A slice's score is the part of the heart that is in doubt there, in voxels over the heart's voxels: the uncertainty
summed up (so that a large doubtful slice counts more than a small one), what flickers in time, and doubt about whether
a ventricle still reaches a slice at its base or apex. The ends of the contraction count more, for they make the EF.
Picks are greedy: each next one has the highest score after a penalty for being like one that a person has labelled or
that was picked before, in its place or to the network's eye. Deterministic. All weights are ours, held against the
errors of the shipped model. Pure numpy; knows no network, file or window.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Mask, Structure
from glrp_napari.extent import find_apex_first
from glrp_napari.slice_states import SliceState

Region = Literal["base", "middle", "apex"]
Cause = Literal["uncertain", "flickers", "may end here"]
CAUSES: tuple[Cause, ...] = ("uncertain", "flickers", "may end here")

LEAST_UNCERTAINTY = 0.1
"""Less than this is the noise of a sure network, which adds up over a large background."""
PHASE_WEIGHT = 1.25
"""A slice in end diastole or end systole counts so many times one between them."""
NEAR_SLICES = 1.0
NEAR_CYCLE = 0.15
"""Distances, in slices and in parts of the heart cycle, at which likeness by place falls to 1/e."""
EMBEDDING_WEIGHT = 0.5
"""How far being alike to the network's eye counts as being alike."""


@dataclass(frozen=True, eq=False)
class Segmented:
    """What a run leaves of a study: `mask` and `uncertainty` (0…1) both (T, Z, Y, X), `states` (T, Z) of `SliceState`.

    Only PREDICTED slices are suggested; `states` None: all are. `embedding` (T, Z, C) is the network's view of each
    slice, None where there is none. Raises ValueError for shapes that do not fit.
    """

    mask: Mask
    uncertainty: NDArray[Any]
    states: NDArray[np.uint8] | None = None
    embedding: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        places = self.mask.shape[:2]
        found = [self.uncertainty.shape == self.mask.shape]
        found += [each is None or each.shape[:2] == places for each in (self.states, self.embedding)]
        if self.mask.ndim != 4 or not all(found):
            shapes = [None if a is None else a.shape for a in (self.uncertainty, self.states, self.embedding)]
            raise ValueError(f"found uncertainty, states and embedding of {shapes} for a mask of {self.mask.shape}")

    @property
    def slice_states(self) -> NDArray[np.uint8]:
        """The states (T, Z)."""
        given = self.states
        return np.full(self.mask.shape[:2], SliceState.PREDICTED, np.uint8) if given is None else given


@dataclass(frozen=True)
class Suggestion:
    """A slice to label next: its place, its score, and why.

    `study` counts the studies given. `structure` is the one in most doubt (None: the slice is empty), `share` its part
    of that structure's voxels in the frame; `region` and `cause` say where in the heart and for what reason.
    """

    study: int
    frame: int
    slice: int
    score: float
    structure: Structure | None
    share: float
    region: Region
    cause: Cause


@dataclass(frozen=True, eq=False)
class Doubts:
    """Measures of every slice: `causes` (T, Z, 3) in voxels by cause, `areas` and `doubts` (T, Z, 3) by structure."""

    causes: NDArray[np.float64]
    areas: NDArray[np.float64]
    doubts: NDArray[np.float64]


def suggest(studies: Sequence[Segmented], count: int = 10) -> tuple[Suggestion, ...]:
    """Up to `count` slices of one or several studies, best first; each differs from those before it."""
    doubts = [measure_doubts(study) for study in studies]
    scores = [score_slices(study, doubt) for study, doubt in zip(studies, doubts, strict=True)]
    picks = pick_spread(studies, scores, count)
    regions = [_name_regions(study.mask, doubt) for study, doubt in zip(studies, doubts, strict=True)]
    return tuple(_describe(i, t, z, float(scores[i][t, z]), doubts[i], regions[i]) for i, t, z in picks)


def measure_doubts(study: Segmented) -> Doubts:
    """The doubt in each slice, frame by frame."""
    frames, slices = study.mask.shape[:2]
    causes, areas, doubts = (np.zeros((frames, slices, 3)) for _ in range(3))
    segmented = study.slice_states != SliceState.UNTOUCHED
    for t in np.flatnonzero(segmented.any(1)).tolist():
        unsure = study.uncertainty[t].astype(np.float32)
        unsure[unsure < LEAST_UNCERTAINTY] = 0
        causes[t, :, 0] = unsure.sum((1, 2))
        causes[t, :, 1] = _measure_flicker(study.mask, segmented, t)
        for i, structure in enumerate(Structure):
            inside = study.mask[t] == structure
            areas[t, :, i] = inside.sum((1, 2))
            doubts[t, :, i] = np.where(inside, unsure, 0).sum((1, 2))
            if structure != Structure.MYO:
                causes[t, :, 2] += _measure_ends(inside, unsure)
    return Doubts(causes, areas, doubts)


def score_slices(study: Segmented, doubts: Doubts) -> NDArray[np.float64]:
    """Scores (T, Z): the doubt over the heart's voxels in a frame, more at ED and ES; 0 where nothing was segmented."""
    segmented = study.slice_states != SliceState.UNTOUCHED
    frames = segmented.any(1)
    hearts = doubts.areas[frames].sum((1, 2))
    heart = float(hearts.mean()) if hearts.any() else 1.0
    scores = doubts.causes.sum(2) / heart
    if frames.sum() > 1:
        cavity = np.where(frames, doubts.areas[:, :, list(Structure).index(Structure.LV)].sum(1), np.nan)
        if np.nanmax(cavity) > 0:
            scores[[np.nanargmax(cavity), np.nanargmin(cavity)]] *= PHASE_WEIGHT
    return np.where(segmented, scores, 0.0)


def pick_spread(
    studies: Sequence[Segmented], scores: Sequence[NDArray[np.float64]], count: int
) -> list[tuple[int, int, int]]:
    """Places (study, t, z), greedily by score × (1 − likeness to what is labelled or picked already)."""
    places = [(i, t, z) for i, study in enumerate(studies) for t, z in np.ndindex(*study.mask.shape[:2])]
    states = np.array([studies[i].slice_states[t, z] for i, t, z in places])
    score = np.array([scores[i][t, z] for i, t, z in places])
    likeness = _Likeness(studies, places, states != SliceState.UNTOUCHED)
    free = (states == SliceState.PREDICTED) & (score > 0)
    unlike = np.ones(len(places))
    for known in np.flatnonzero(states > SliceState.PREDICTED):
        unlike = np.minimum(unlike, 1 - likeness.measure(int(known)))
    picked: list[tuple[int, int, int]] = []
    while free.any() and len(picked) < count:
        best = int(np.argmax(np.where(free, score * unlike, -1.0)))
        picked.append(places[best])
        free[best] = False
        unlike = np.minimum(unlike, 1 - likeness.measure(best))
    return picked


class _Likeness:
    """How alike slices are, 0…1: by place within a study, or to the network's eye in any study."""

    def __init__(
        self, studies: Sequence[Segmented], places: Iterable[tuple[int, int, int]], seen: NDArray[np.bool_]
    ) -> None:
        self._places = np.array(list(places)).reshape(-1, 3)
        self._frames = np.array([len(study.mask) for study in studies])
        self._views = _stack_views(studies, seen)

    def measure(self, one: int) -> NDArray[np.float64]:
        """The likeness of every slice to that at index `one`; frames go round, for the heart does."""
        study, t, z = self._places[one]
        frames = int(self._frames[study])
        steps = np.abs(self._places[:, 1] - t)
        cycle = np.minimum(steps, frames - steps) / frames
        place = np.exp(-np.abs(self._places[:, 2] - z) / NEAR_SLICES - cycle / NEAR_CYCLE)
        place = np.where(self._places[:, 0] == study, place, 0.0)
        seen = EMBEDDING_WEIGHT * np.clip(self._views @ self._views[one], 0.0, 1.0)
        result: NDArray[np.float64] = 1 - (1 - place) * (1 - seen)
        return result


def _stack_views(studies: Sequence[Segmented], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Embeddings (N, C) about their mean, of unit length, so that products are cosines; zero where there is none."""
    widths = {study.embedding.shape[2] for study in studies if study.embedding is not None}
    if len(widths) != 1 or any(study.embedding is None for study in studies):
        return np.zeros((len(seen), 1))
    (width,) = widths
    views = np.concatenate([np.asarray(study.embedding, np.float64).reshape(-1, width) for study in studies])
    views -= views[seen].mean(0) if seen.any() else 0.0
    views[~seen] = 0.0
    lengths = np.linalg.norm(views, axis=1, keepdims=True)
    return views / np.where(lengths > 0, lengths, 1.0)


def _measure_flicker(mask: Mask, segmented: NDArray[np.bool_], t: int) -> NDArray[np.float64]:
    """Voxels of each slice unlike in the frames before and after, which agree; the first frame follows the last.

    Only those with four such neighbours count: where the motion turns, an outline goes and comes by a voxel or two.
    """
    before, after = (t - 1) % len(mask), (t + 1) % len(mask)
    if before == after:
        return np.zeros(mask.shape[1])
    flicker = np.pad((mask[before] == mask[after]) & (mask[t] != mask[before]), ((0, 0), (1, 1), (1, 1)))
    inner = flicker[:, 1:-1, 1:-1].copy()
    for beside in (flicker[:, :-2, 1:-1], flicker[:, 2:, 1:-1], flicker[:, 1:-1, :-2], flicker[:, 1:-1, 2:]):
        inner &= beside
    known = segmented[before] & segmented[after] & segmented[t]
    return np.where(known, inner.sum((1, 2)), 0).astype(np.float64)


def _measure_ends(inside: NDArray[np.bool_], unsure: NDArray[np.float32]) -> NDArray[np.float64]:
    """Doubt (Z) within the outline of a ventricle's first and last slice, there and in the empty slice beside it."""
    result = np.zeros(len(inside))
    filled = np.flatnonzero(inside.any((1, 2)))
    if len(filled):
        for last, beyond in ((filled[0], filled[0] - 1), (filled[-1], filled[-1] + 1)):
            result[last] += unsure[last][inside[last]].sum()
            if 0 <= beyond < len(inside):
                result[beyond] += unsure[beyond][inside[last]].sum()
    return result


def _name_regions(mask: Mask, doubts: Doubts) -> list[Region]:
    """Thirds of the stack of slices that hold any of the heart in any frame."""
    areas = doubts.areas.sum((0, 2))
    filled = np.flatnonzero(areas)
    if not len(filled):
        return ["middle"] * len(areas)
    first, last = filled[0], filled[-1]
    apex_first = find_apex_first(mask[doubts.areas.sum((1, 2)).argmax()])
    parts = (np.arange(len(areas)) - first + 0.5) / (last - first + 1)
    names: tuple[Region, Region, Region] = ("apex", "middle", "base") if apex_first else ("base", "middle", "apex")
    return [names[0] if part < 1 / 3 else names[1] if part < 2 / 3 else names[2] for part in parts]


def _describe(study: int, t: int, z: int, score: float, doubts: Doubts, regions: Sequence[Region]) -> Suggestion:
    areas = doubts.areas[t]
    index = int(np.argmax(doubts.doubts[t, z])) if areas[z].any() else None
    cause = CAUSES[int(np.argmax(doubts.causes[t, z] * (0.5, 1.0, 1.0)))]
    return Suggestion(
        study=study,
        frame=t,
        slice=z,
        score=score,
        structure=None if index is None else list(Structure)[index],
        share=0.0 if index is None else float(areas[z, index] / areas[:, index].sum()),
        region=regions[z],
        cause=cause,
    )
