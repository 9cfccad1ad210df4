"""How well a model segments a data set, or phantoms it was not trained on: the product's own path, then `evaluate`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glrp_napari.cine import Cine, Mask
from glrp_napari.messages import Progress
from glrp_napari.phantom import make_phantom, sample_anatomy
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.segment import FrameResult, Segmenter, segment
from glrp_napari.writing.masks import write_mask
from glrp_training.dataset import Dataset
from glrp_training.evaluate import Score, score_cine

FIRST_HELD_OUT_SEED = 1_000_000
"""Training draws its phantoms from smaller seeds."""


@dataclass(frozen=True, eq=False)
class Case:
    """A study with its truth (T, Z, Y, X); frames without any label are not scored."""

    name: str
    cine: Cine
    truth: Mask


def list_cases(dataset: Dataset, split: str) -> Iterator[Case]:
    """The labelled images of one part of a data set. Raises ReadError for one that is damaged."""
    for item in dataset.select(split):
        if item.mask is not None:
            cine = read_cine(item.image)
            truth = read_mask(item.mask, cine, dataset.label_map or None, frame=item.frame)
            yield Case(item.image.name.removesuffix(".nii.gz"), cine, truth)


def make_cases(phantoms: int) -> Iterator[Case]:
    """End diastole and one systolic frame of phantoms with seeds and anatomies that training never sees."""
    for seed in range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + phantoms):
        anatomy = sample_anatomy(np.random.default_rng(seed), "held-out")
        phantom = make_phantom(seed, anatomy, frames=(0, anatomy.frames * 2 // 5))
        yield Case(phantom.cine.source.name, phantom.cine, phantom.mask)


def score_cases(
    cases: Iterable[Case], segmenter: Segmenter, crf: bool = False, out: Path | None = None
) -> Iterator[Progress | Score]:
    """Segment each case and yield its scores; with `out` the masks are written there as `<case>_mask.nii.gz`."""
    for done, case in enumerate(cases, 1):
        mask = np.zeros_like(case.truth)
        frames = [t for t in range(len(mask)) if case.truth[t].any()]
        for event in segment(case.cine.images, case.cine.geometry, segmenter, frames, crf=crf):
            if isinstance(event, FrameResult):
                mask[event.frame] = event.mask
        if out is not None:
            write_mask(out / f"{case.name}_mask.nii.gz", mask, case.cine)
        yield from score_cine(case.name, mask, case.truth, case.cine.geometry.spacing_mm)
        yield Progress(stage=case.name, done=done, total=done)
