"""How well a model segments a data set, or phantoms it was not trained on: the product's own path, then `evaluate`."""

import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from glrp_napari.cine import Cine, Mask
from glrp_napari.messages import Notice, Progress
from glrp_napari.phantom import Phantom, make_phantom, sample_anatomy
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.reading.names import study_name
from glrp_napari.refine import CrfSettings
from glrp_napari.segment import FrameResult, Segmenter, segment
from glrp_napari.writing.masks import write_mask
from glrp_training.dataset import Dataset, Phase
from glrp_training.evaluate import Score, list_labelled, score_cine

FIRST_HELD_OUT_SEED = 1_000_000
"""Training draws its phantoms from smaller seeds."""


@dataclass(frozen=True, eq=False)
class Case:
    """A study with its truth (T, Z, Y, X); of several frames, those without any label are not scored.

    `phase` is that of its only labelled frame, None where unknown or where there are several.
    """

    name: str
    cine: Cine
    truth: Mask
    patient: str
    phase: Phase | None = None


def list_cases(dataset: Dataset, split: str) -> Iterator[Case]:
    """The labelled images of one part of a data set. Raises ReadError for one that is damaged."""
    for item in dataset.select_labelled(split):
        assert item.mask is not None
        cine = read_cine(item.image)
        truth = read_mask(item.mask, cine, dataset.label_map or None, frame=item.frame)
        frame = f"_frame{item.frame}" if item.frame is not None and len(truth) > 1 else ""
        yield Case(study_name(item.image) + frame, cine, truth, item.patient, item.phase)


def count_cases(dataset: Dataset, split: str) -> int:
    """How many `list_cases` will yield."""
    return len(dataset.select_labelled(split))


def join_cases(cases: Iterable[Case]) -> Iterator[Case]:
    """The labelled frames of each patient, whose cases follow each other, as one cine; not those of several grids."""
    for patient, group in groupby(cases, key=lambda case: case.patient):
        members = list(group)
        if len({case.truth.shape[1:] for case in members}) == 1:
            first = members[0].cine
            frames = [(case, t) for case in members for t in list_labelled(case.truth)]
            images = np.stack([case.cine.images[t] for case, t in frames])
            truth = np.stack([case.truth[t] for case, t in frames])
            yield Case(patient, Cine(images, first.geometry, first.source), truth, patient)


def make_held_out(seed: int) -> Phantom:
    """End diastole and one systolic frame of a phantom of an anatomy that training never sees."""
    anatomy = sample_anatomy(np.random.default_rng(seed), "held-out")
    return make_phantom(seed, anatomy, frames=(0, anatomy.frames * 2 // 5))


def make_cases(phantoms: int) -> Iterator[Case]:
    """Two frames each of phantoms that training never sees."""
    for seed in range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + phantoms):
        phantom = make_held_out(seed)
        name = phantom.cine.source.name
        yield Case(name, phantom.cine, phantom.mask, patient=name)


def score_cases(
    cases: Iterable[Case],
    segmenter: Segmenter,
    total: int,
    crf: CrfSettings | None = None,
    clean: bool = True,
    out: Path | None = None,
) -> Iterator[Progress | Notice | Score]:
    """Segment each of `total` cases and yield its scores; with `out` masks are written there as `<case>_mask.nii.gz`.

    `crf` and `clean` as in `segment`. Raises ValueError for a case without labels, OSError when writing fails.
    """
    started = time.monotonic()
    for done, case in enumerate(cases, 1):
        mask = yield from segment_case(case, segmenter, crf, clean)
        if out is not None:
            write_mask(out / f"{case.name}_mask.nii.gz", mask, case.cine)
        yield from score_cine(case.name, mask, case.truth, case.cine.geometry.spacing_mm, case.patient, case.phase)
        left = (time.monotonic() - started) / done * max(total - done, 0)
        yield Progress(stage=f"Scoring {case.name}", done=done, total=total, seconds_left=left)


def segment_case(
    case: Case, segmenter: Segmenter, crf: CrfSettings | None = None, clean: bool = True
) -> Generator[Notice, None, Mask]:
    """The mask of the labelled frames; the segmentation's own progress is left out, its notices are passed on."""
    mask = np.zeros_like(case.truth)
    frames = list_labelled(case.truth)
    for event in segment(case.cine.images, case.cine.geometry, segmenter, frames, crf=crf, clean=clean):
        if isinstance(event, FrameResult):
            mask[event.frame] = event.mask
        elif isinstance(event, Notice):
            yield event
    return mask
