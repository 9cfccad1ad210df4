"""How good masks are (method §7): Dice, Hausdorff distance, HD95 and ASSD on the native grid with true spacing."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from glrp_napari.cine import Mask, Structure
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.atomic import write_atomically


@dataclass(frozen=True)
class Score:
    """One structure of one frame: Dice, distances in mm and volumes in ml.

    One side empty: Dice 0, distances None. Both empty: everything None (the structure is skipped in means).
    """

    case: str
    structure: str
    dice: float | None
    hd_mm: float | None
    hd95_mm: float | None
    assd_mm: float | None
    predicted_ml: float
    truth_ml: float


def score_frame(case: str, prediction: Mask, truth: Mask, spacing_mm: tuple[float, float, float]) -> list[Score]:
    """Scores of LV, MYO and RV for one frame; both masks (Z, Y, X) on the same grid. Raises ValueError if not."""
    if prediction.shape != truth.shape:
        raise ValueError(f"{case}: found a prediction of {prediction.shape}, expected the truth's grid {truth.shape}")
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    scores = []
    for structure in (Structure.LV, Structure.MYO, Structure.RV):
        a, b = prediction == structure, truth == structure
        distances = measure_distances(a, b, spacing_mm)
        volumes = (float(a.sum()) * voxel_ml, float(b.sum()) * voxel_ml)
        scores.append(Score(case, structure.name, measure_dice(a, b), *distances, *volumes))
    return scores


def score_cine(case: str, prediction: Mask, truth: Mask, spacing_mm: tuple[float, float, float]) -> list[Score]:
    """Scores of every frame that the truth labels; both masks (T, Z, Y, X)."""
    frames = [t for t in range(len(truth)) if truth[t].any()]
    return [score for t in frames for score in score_frame(f"{case} frame {t}", prediction[t], truth[t], spacing_mm)]


def score_pairs(prediction: Path, truth: Path) -> list[Score]:
    """Scores of a mask file against another, or of a folder of `<case>_mask.nii.gz` against `<case>_gt.nii.gz`.

    Cases without a prediction are left out. Raises ValueError when nothing matches, ReadError for damaged files.
    """
    pairs = {prediction.name: (prediction, truth)}
    if prediction.is_dir():
        truths = {path.name.removesuffix("_gt.nii.gz"): path for path in sorted(truth.rglob("*_gt.nii.gz"))}
        found = {case: (prediction / f"{case}_mask.nii.gz", path) for case, path in truths.items()}
        pairs = {case: pair for case, pair in found.items() if pair[0].exists()}
    if not pairs:
        raise ValueError(f"{prediction}: found no <case>_mask.nii.gz with a <case>_gt.nii.gz in {truth}, expected some")
    return [score for case, (a, b) in pairs.items() for score in _score_files(case, a, b)]


def _score_files(case: str, prediction: Path, truth: Path) -> list[Score]:
    reference = read_cine(truth)
    truth_mask = read_mask(truth, reference)
    return score_cine(case, read_mask(prediction, reference), truth_mask, reference.geometry.spacing_mm)


def measure_dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float | None:
    """Dice of two binary masks; None when both are empty."""
    total = int(a.sum()) + int(b.sum())
    return None if total == 0 else 2 * int((a & b).sum()) / total


def measure_distances(
    a: NDArray[np.bool_], b: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> tuple[float | None, float | None, float | None]:
    """Hausdorff distance, HD95 (the larger directed 95th percentile) and ASSD in mm; None if a mask is empty.

    A surface is the mask minus its 6-connected erosion; voxels at the volume's border count as surface.
    """
    if not a.any() or not b.any():
        return None, None, None
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = np.pad(a[box], 1), np.pad(b[box], 1)
    surface_a, surface_b = a & ~ndimage.binary_erosion(a), b & ~ndimage.binary_erosion(b)
    to_b = ndimage.distance_transform_edt(~surface_b, sampling=spacing_mm)[surface_a]
    to_a = ndimage.distance_transform_edt(~surface_a, sampling=spacing_mm)[surface_b]
    hd95 = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
    assd = (to_b.sum() + to_a.sum()) / (len(to_b) + len(to_a))
    return float(max(to_b.max(), to_a.max())), float(hd95), float(assd)


def summarise(scores: Sequence[Score]) -> dict[str, dict[str, float | int | None]]:
    """Means over cases by structure, and under "mean" the mean of those; `undefined` counts distances left out."""
    table = {
        name: _summarise_structure([score for score in scores if score.structure == name])
        for name in ("LV", "MYO", "RV")
    }
    return {
        **table,
        "mean": {key: _mean(row[key] for row in table.values()) for key in ("dice", "hd_mm", "hd95_mm", "assd_mm")},
    }


def tabulate(scores: Sequence[Score]) -> str:
    """The scores as CSV, a line a case and structure."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Score.__dataclass_fields__))
    writer.writeheader()
    writer.writerows(asdict(score) for score in scores)
    return text.getvalue()


def save_scores(scores: Sequence[Score], folder: Path) -> None:
    """Write `scores.csv`, every score, and `scores.json`, the summary, to a folder that exists."""
    write_atomically(folder / "scores.csv", tabulate(scores).encode())
    write_atomically(folder / "scores.json", json.dumps(summarise(scores), indent=2).encode() + b"\n")


def print_scores(scores: Sequence[Score]) -> None:
    """Print the summary as a table."""
    table = Table("", "cases", "Dice", "HD mm", "HD95 mm", "ASSD mm")
    for name, row in summarise(scores).items():
        values = (row["dice"], row["hd_mm"], row["hd95_mm"], row["assd_mm"])
        texts = [
            "" if value is None else f"{value:.3f}" if i == 0 else f"{value:.2f}" for i, value in enumerate(values)
        ]
        table.add_row(name, str(row.get("cases", "")), *texts)
    Console().print(table)


def _summarise_structure(scores: Sequence[Score]) -> dict[str, float | int | None]:
    return {
        "cases": len(scores),
        "dice": _mean(score.dice for score in scores),
        "dice_sd": _spread(score.dice for score in scores),
        "hd_mm": _mean(score.hd_mm for score in scores),
        "hd95_mm": _mean(score.hd95_mm for score in scores),
        "assd_mm": _mean(score.assd_mm for score in scores),
        "undefined": sum(score.dice is not None and score.hd_mm is None for score in scores),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _spread(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.std(known)) if known else None
