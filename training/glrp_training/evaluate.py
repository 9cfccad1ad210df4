"""How good masks are (method §7): Dice, Hausdorff distance, HD95 and ASSD on the native grid with true spacing.

It knows arrays and scores; `pairs` finds the files, `agreement` compares what a clinician reads from the masks.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from glrp_napari.cine import Mask, Structure
from glrp_napari.writing.atomic import write_atomically
from glrp_training.agreement import Agreement, Volumes, compare_hearts
from glrp_training.dataset import Phase
from glrp_training.overlap import measure_dice, measure_distances

STRUCTURES = ("LV", "MYO", "RV")
MEASURES = ("dice", "hd_mm", "hd95_mm", "assd_mm")
Summary = dict[str, dict[str, float | int | None]]


@dataclass(frozen=True)
class Score:
    """One structure of one frame: Dice, distances in mm and volumes in ml.

    Where nobody said whose the frame is, the case stands for its patient. `phase` is None where it is unknown.
    One side empty: Dice 0, distances None. Both empty: Dice None too (the structure is skipped in means).
    """

    case: str
    patient: str
    phase: Phase | None
    structure: str
    dice: float | None
    hd_mm: float | None
    hd95_mm: float | None
    assd_mm: float | None
    predicted_ml: float
    truth_ml: float


def score_frame(
    case: str,
    prediction: Mask,
    truth: Mask,
    spacing_mm: tuple[float, float, float],
    patient: str | None = None,
    phase: Phase | None = None,
) -> list[Score]:
    """Scores of LV, MYO and RV for one frame; both masks (Z, Y, X) on the same grid. Raises ValueError if not."""
    if prediction.shape != truth.shape:
        raise ValueError(f"{case}: found a prediction of {prediction.shape}, expected the truth's grid {truth.shape}")
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    scores = []
    for name in STRUCTURES:
        a, b = prediction == Structure[name], truth == Structure[name]
        distances = measure_distances(a, b, spacing_mm)
        volumes = (float(a.sum()) * voxel_ml, float(b.sum()) * voxel_ml)
        scores.append(Score(case, patient or case, phase, name, measure_dice(a, b), *distances, *volumes))
    return scores


def score_cine(
    case: str,
    prediction: Mask,
    truth: Mask,
    spacing_mm: tuple[float, float, float],
    patient: str | None = None,
    phase: Phase | None = None,
) -> list[Score]:
    """Scores of every frame that the truth labels; both masks (T, Z, Y, X).

    `phase` is that of its only frame; of several, ED and ES are found. Raises ValueError when the truth labels none.
    """
    scores = []
    frames = list_labelled(truth)
    if not frames:
        raise ValueError(f"{case}: found {len(truth)} frames without labels in the truth, expected one with some")
    for t in frames:
        name = case if len(frames) == 1 else f"{case} frame {t}"
        scores += score_frame(name, prediction[t], truth[t], spacing_mm, patient or case, phase)
    return assign_phases(scores)


def list_labelled(truth: Mask) -> list[int]:
    """The frames of a mask (T, Z, Y, X) that are to be scored: those with a label, and a single one in any case."""
    return [t for t in range(len(truth)) if len(truth) == 1 or truth[t].any()]


def assign_phases(scores: Sequence[Score]) -> list[Score]:
    """The same scores, with phases for patients of several frames of whom none is known.

    As in `glrp_napari.measure`, end-diastole is the frame whose (true) LV is largest, end-systole that where it is
    smallest.
    """
    known = {score.patient for score in scores if score.phase}
    volumes: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for score in scores:
        if score.structure == "LV" and score.truth_ml > 0 and score.patient not in known:
            volumes[score.patient][score.case] = score.truth_ml
    phases: dict[tuple[str, str], Phase] = {}
    for patient, found in volumes.items():
        largest, smallest = max(found, key=found.__getitem__), min(found, key=found.__getitem__)
        if found[largest] > found[smallest]:
            phases |= {(patient, largest): "ED", (patient, smallest): "ES"}
    return [replace(s, phase=phases.get((s.patient, s.case), s.phase)) for s in scores]


def summarise(scores: Sequence[Score]) -> Summary:
    """Means by structure, and under "mean" the mean of those.

    A mean is over all patients and phases, its `…_sd` the sample standard deviation over the patients' own means.
    `cases` are those with a Dice; `undefined` of them have no distances, as one side is empty.
    """
    table = {name: _summarise_structure([s for s in scores if s.structure == name]) for name in STRUCTURES}
    means = {measure: _mean(row[measure] for row in table.values()) for measure in MEASURES}
    return {**table, "mean": _count(scores) | means | _spread_over_patients(scores)}


def measure_agreement(scores: Sequence[Score]) -> tuple[Agreement, ...]:
    """Agreement in volumes, ejection fraction and mass over the patients who have each phase once."""
    by_patient: defaultdict[str, list[Score]] = defaultdict(list)
    for score in scores:
        if score.phase and score.dice is not None:
            by_patient[score.patient].append(score)
    hearts = []
    for rows in by_patient.values():
        predicted: Volumes = {(s.phase, s.structure): s.predicted_ml for s in rows if s.phase}
        truth: Volumes = {(s.phase, s.structure): s.truth_ml for s in rows if s.phase}
        if len(truth) == len(rows) and {s.phase for s in rows} == {"ED", "ES"}:
            hearts.append((predicted, truth))
    return compare_hearts(hearts)


def tabulate(kind: type[Score] | type[Agreement], rows: Iterable[Score | Agreement]) -> str:
    """Rows of one kind as CSV: of scores a line a case and structure, of agreement a line a measure."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(kind.__dataclass_fields__))
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def save_scores(scores: Sequence[Score], folder: Path) -> None:
    """Write every score (`scores.csv`), the summary (`scores.json`) and `agreement.csv` and `.json` to a folder."""
    agreement = measure_agreement(scores)
    write_atomically(folder / "scores.csv", tabulate(Score, scores).encode())
    write_atomically(folder / "agreement.csv", tabulate(Agreement, agreement).encode())
    write_atomically(folder / "agreement.json", _encode([asdict(row) for row in agreement]))
    write_atomically(folder / "scores.json", _encode(summarise(scores)))


def print_scores(scores: Sequence[Score]) -> None:
    """Print the summary as a table and, where phases are known, the agreement as another."""
    heads = ("", "cases", "Dice", "HD mm", "HD95 mm", "ASSD mm", "undefined")
    table = Table(*heads, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    patients = len({score.patient for score in scores})
    table.title = f"mean ± SD over {patients} patients" if patients > 1 else ""
    for name, row in summarise(scores).items():
        texts = [_show(row[measure], row[f"{measure}_sd"], 3 if measure == "dice" else 2) for measure in MEASURES]
        table.add_row(name, str(row["cases"]), *texts, str(row["undefined"]))
    Console().print(table)
    if agreement := measure_agreement(scores):
        _print_agreement(agreement)


def _print_agreement(agreement: Iterable[Agreement]) -> None:
    table = Table("prediction − truth", "patients", "bias", "SD", "limits of agreement", box=SIMPLE_HEAD)
    for row in agreement:
        limits = f"{row.lower:.1f} to {row.upper:.1f}"
        table.add_row(f"{row.measure} {row.unit}", str(row.n), f"{row.bias:.1f}", f"{row.sd:.1f}", limits)
    Console().print(table)


def _summarise_structure(scores: Sequence[Score]) -> dict[str, float | int | None]:
    means = {m: _mean(getattr(score, m) for score in scores) for m in MEASURES}
    return _count(scores) | means | _spread_over_patients(scores)


def _count(scores: Sequence[Score]) -> dict[str, float | int | None]:
    counted = [score for score in scores if score.dice is not None]
    return {
        "patients": len({score.patient for score in counted}),
        "cases": len({score.case for score in counted}),
        "undefined": sum(score.hd_mm is None for score in counted),
    }


def _spread_over_patients(scores: Sequence[Score]) -> dict[str, float | None]:
    return {f"{measure}_sd": _spread(_average_patients(scores, measure)) for measure in MEASURES}


def _average_patients(scores: Sequence[Score], measure: str) -> list[float]:
    """Each patient's mean over structures of the means over phases."""
    values: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        if (value := getattr(score, measure)) is not None:
            values[score.patient][score.structure].append(value)
    return [float(np.mean([np.mean(phases) for phases in patient.values()])) for patient in values.values()]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _spread(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _show(mean: float | None, spread: float | None, digits: int) -> str:
    if mean is None:
        return ""
    return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def _encode(content: object) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"
