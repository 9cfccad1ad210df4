"""Do suggested slices hold more error than others? `check_suggestions.py [--dataset DATASET] [--split test]`, minutes.

Every study is segmented and held against its truth: ED and ES of a data set, or whole cines of phantoms that training
never saw. A slice's error is its Dice loss weighted by volume, over the structures: the voxels that are wrong (half of
those in one mask only) over the heart's. Printed: the mean error of the picks, of all slices (what random picks hold on
average) and of the slices with the most error (what no method can beat), and how far the picks lie apart. A model's
errors on the patients it was trained on are smaller than on others, so the ratio is what counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from glrp_training.dataset import load_dataset
from glrp_training.places import look_at
from glrp_training.score import FIRST_HELD_OUT_SEED, join_cases, list_cases
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.device import choose_placement
from glrp_napari.models import DEFAULT_MODEL, find_model
from glrp_napari.phantom import make_phantom, sample_anatomy
from glrp_napari.progress import collect
from glrp_napari.segment import Segmenter, open_model
from glrp_napari.suggest import Segmented, measure_doubts, score_slices, suggest


@dataclass(frozen=True, eq=False)
class Judged:
    """A segmented study and the error (T, Z) of its slices, as a part of its heart."""

    name: str
    study: Segmented
    errors: NDArray[np.float64]


def main(
    dataset: Annotated[Path | None, typer.Option(help="A data set's file (JSON); without one, phantoms.")] = None,
    split: str = "test",
    model: Annotated[str, typer.Option(help="A model's name, or its .safetensors file.")] = DEFAULT_MODEL,
    phantoms: int = 4,
    count: int = 10,
) -> None:
    """Print a line for each study, and one for all of them together."""
    segmenter = open_model(find_model(model), choose_placement("auto"))
    cines = make_cines(phantoms) if dataset is None else join_phases(dataset, split)
    judged = [judge(name, cine, truth, segmenter) for name, cine, truth in cines]
    print(f"{'study':24s} {'picks':>8s} {'random':>8s} {'most':>8s} {'ratio':>6s} {'apart':>6s} {'ranked':>6s}")
    for one in judged:
        print(summarise(one.name, [one], min(count, int((one.errors >= 0).sum() // 3) or 1)))
    print(summarise("all studies", judged, count))


def make_cines(phantoms: int) -> Iterator[tuple[str, Cine, Mask]]:
    """Whole cines of phantoms of anatomies and seeds that training never sees."""
    for seed in range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + phantoms):
        phantom = make_phantom(seed, sample_anatomy(np.random.default_rng(seed), "held-out"))
        yield phantom.cine.source.name, phantom.cine, phantom.mask


def join_phases(dataset: Path, split: str) -> Iterator[tuple[str, Cine, Mask]]:
    """The labelled frames of each patient as one cine, where they lie on one grid."""
    for case in join_cases(list_cases(load_dataset(dataset), split)):
        yield case.name, case.cine, case.truth


def judge(name: str, cine: Cine, truth: Mask, segmenter: Segmenter) -> Judged:
    """Segment all frames and measure the error of each slice."""
    study = collect(look_at(cine, segmenter))
    return Judged(name, study, measure_errors(study.mask, truth))


def measure_errors(mask: Mask, truth: Mask) -> NDArray[np.float64]:
    """Dice loss × volume summed over the structures, (T, Z), as a part of a frame's heart."""
    wrong = sum(((mask == s) ^ (truth == s)).sum((2, 3)) / 2 for s in Structure)
    return np.asarray(wrong / ((truth > 0).sum() / len(truth)))


def summarise(name: str, judged: Sequence[Judged], count: int) -> str:
    """A line: error of the picks, of all, of the worst; how many times random; distance; rank correlation."""
    studies = [one.study for one in judged]
    scores = [score_slices(study, measure_doubts(study)) for study in studies]
    picks = suggest(studies, count)
    errors = np.concatenate([one.errors.ravel() for one in judged])
    held = np.mean([judged[p.study].errors[p.frame, p.slice] for p in picks])
    most = np.sort(errors)[-count:].mean()
    ranked = correlate_ranks(np.concatenate([s.ravel() for s in scores]), errors)
    apart = measure_spread([(p.study, p.frame, p.slice) for p in picks], studies)
    figures = f"{held:8.4f} {errors.mean():8.4f} {most:8.4f} {held / errors.mean():6.2f}"
    return f"{name:24s} {figures} {apart:6.2f} {ranked:6.2f}"


def correlate_ranks(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's rank correlation, ties in order of place."""
    return float(np.corrcoef(one.argsort().argsort(), other.argsort().argsort())[0, 1])


def measure_spread(places: Iterable[tuple[int, int, int]], studies: Sequence[Segmented]) -> float:
    """Share of the pairs of picks that are neither in neighbouring slices nor in the same part of the cycle."""
    apart = []
    for (study, t, z), (other, u, w) in combinations(places, 2):
        frames = len(studies[study].mask)
        cycle = min(abs(t - u), frames - abs(t - u)) / frames
        apart.append(study != other or abs(z - w) > 1 or cycle > 0.15)
    return float(np.mean(apart)) if apart else 1.0


if __name__ == "__main__":
    typer.run(main)
