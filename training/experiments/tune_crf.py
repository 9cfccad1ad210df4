"""Which kernels of the CRF suit a model? `tune_crf.py DATASET CACHE --model NAME [--split val]`, minutes on one core.

Probabilities on the native grid are made once and kept in the folder CACHE, one for each model and split. Then one
setting after another is varied while the others stay at the best so far, and a table says what came out, after
clean-up. Best is Dice − HD95 / 100 mm: a millimetre weighs as much as a point of Dice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from glrp_training.dataset import load_dataset
from glrp_training.evaluate import Score, score_frame, summarise
from glrp_training.score import Case, list_cases
from numpy.typing import NDArray

from glrp_napari.cine import Mask
from glrp_napari.device import choose_placement
from glrp_napari.fusion import couple_slices
from glrp_napari.models import Model, find_model
from glrp_napari.preprocess import estimate_bias_field, from_grid, normalise_frame, to_grid
from glrp_napari.progress import collect
from glrp_napari.refine import CrfSettings, clean_mask, refine_probabilities
from glrp_napari.segment import Segmenter, lay_grid, open_model

GRID: dict[str, tuple[float, ...]] = {
    "w1": (0, 0.5, 1, 2, 4, 8),
    "alpha_mm": (2, 3, 5, 8, 12),
    "beta": (5, 10, 15, 25, 40),
    "w2": (0, 0.5, 1, 2, 4),
    "gamma_mm": (0.75, 1.25, 2, 3),
    "iterations": (1, 2, 5, 10),
}


@dataclass(frozen=True, eq=False)
class Frame:
    """What the network said of a frame: `probabilities` (Z, C, Y, X), `image` and `truth` (Z, Y, X)."""

    name: str
    probabilities: NDArray[np.float32]
    image: NDArray[np.float32]
    truth: Mask
    spacing_mm: tuple[float, float, float]


def main(
    dataset: Path,
    cache: Path,
    model: Annotated[str, typer.Option(help="A model that has not seen the split: its name or .safetensors file.")],
    split: str = "val",
    start: Annotated[str, typer.Option(help="The settings to start from, as JSON.")] = "{}",
    rounds: int = 2,
) -> None:
    """Print a line for each setting tried."""
    frames = load_frames(dataset, split, find_model(model), cache)
    print(f"{'':52} Dice     HD   HD95")
    off = rate(frames, None)
    best = CrfSettings.model_validate_json(start)
    highest = rate(frames, best)
    for name, values in rounds * tuple(GRID.items()):
        for value in values:
            tried = best.model_copy(update={name: value})
            if value != getattr(best, name) and (rated := rate(frames, tried)) > highest:
                best, highest = tried, rated
    print(f"best {describe(best)}, {'better' if highest > off else 'no better'} than off")


def rate(frames: list[Frame], settings: CrfSettings | None) -> float:
    """Dice − HD95 / 100 mm with these settings, None: without a CRF. Prints a line."""
    mean = summarise([score for frame in frames for score in score_refined(frame, settings)])["mean"]
    dice, hd, hd95 = (float(mean[name] or 0) for name in ("dice", "hd_mm", "hd95_mm"))
    rated = dice - hd95 / 100
    print(f"{describe(settings):50} {dice:.4f} {hd:6.2f} {hd95:6.2f}   {rated:.4f}", flush=True)
    return rated


def score_refined(frame: Frame, settings: CrfSettings | None) -> list[Score]:
    """Scores of one frame after the CRF and clean-up."""
    said = frame.probabilities
    if settings is not None:
        said = refine_probabilities(said, frame.image, frame.spacing_mm[1:], settings)
    return score_frame(frame.name, clean_mask(said.argmax(1).astype(np.uint8)), frame.truth, frame.spacing_mm)


def describe(settings: CrfSettings | None) -> str:
    """The settings in one line."""
    if settings is None:
        return "off"
    return " ".join(f"{name} {value:g}" for name, value in settings.model_dump(include=set(GRID)).items())


def load_frames(dataset: Path, split: str, model: Model, cache: Path) -> list[Frame]:
    """The split's labelled frames with the model's probabilities, from `cache` where they are there already."""
    folder = cache / f"{model.card.name}-{model.card.weights_sha256[:8]}-{split}"
    if not folder.exists():
        folder.mkdir(parents=True)
        segmenter = open_model(model, choose_placement())
        for case in list_cases(load_dataset(dataset), split):
            for number, frame in enumerate(predict_case(case, segmenter)):
                np.savez(folder / f"{case.name}-{number}.npz", **vars(frame))
    return [_load_frame(path) for path in sorted(folder.glob("*.npz"))]


def predict_case(case: Case, segmenter: Segmenter) -> Iterator[Frame]:
    """As `segment` does, but stops before the CRF."""
    images, geometry = case.cine.images, case.cine.geometry
    grid = collect(lay_grid(images, geometry, segmenter))
    n4 = segmenter.preprocessing.n4
    bias = estimate_bias_field(images.mean(0), geometry.spacing_mm) if n4 else np.float32(1)
    for image, truth in zip(images, case.truth, strict=True):
        if truth.any():
            native = image.astype(np.float32) / bias
            slices = to_grid(torch.from_numpy(normalise_frame(native)), grid)
            said = couple_slices(from_grid(collect(segmenter.predict(slices)), grid)).numpy()
            yield Frame(case.name, said, native, truth, geometry.spacing_mm)


def _load_frame(path: Path) -> Frame:
    with np.load(path) as stored:
        spacing_mm = tuple(stored["spacing_mm"].tolist())
        arrays = (stored[name] for name in ("probabilities", "image", "truth"))
        return Frame(str(stored["name"]), *arrays, spacing_mm=spacing_mm)


if __name__ == "__main__":
    torch.set_num_threads(1)
    typer.run(main)
