"""Which mask file answers which truth, and their scores: what `glrp evaluate` is given.

It must not know how masks come to be. No truth is passed over in silence: a mean over the easy cases is no result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.reading.studies import name_patient
from glrp_training.evaluate import Score, assign_phases, score_cine

_TRUTH, _PREDICTION = "_gt.nii.gz", "_mask.nii.gz"
_SHOWN = 10

LabelMap = Mapping[int, int]


@dataclass(frozen=True)
class Pair:
    """A predicted mask and its truth."""

    case: str
    patient: str
    prediction: Path
    truth: Path


@dataclass(frozen=True)
class Pairs:
    """What was found; `missing` are the cases that have a truth and no prediction."""

    found: tuple[Pair, ...]
    missing: tuple[str, ...] = ()


def find_pairs(prediction: Path, truth: Path) -> Pairs:
    """Two mask files, or of two folders each `<case>_gt.nii.gz`, nested or not, with its `<case>_mask.nii.gz`.

    Raises ValueError when no truth has a prediction or when two have the same name.
    """
    if not prediction.is_dir():
        return Pairs((Pair(prediction.name, prediction.name, prediction, truth),))
    truths = _find_truths(truth)
    pairs = [
        Pair(case, name_patient(path.with_name(f"{case}.nii.gz"), truth), prediction / f"{case}{_PREDICTION}", path)
        for case, path in truths.items()
    ]
    found = tuple(pair for pair in pairs if pair.prediction.exists())
    if not found:
        raise ValueError(f"{prediction}: found no <case>{_PREDICTION} with a <case>{_TRUTH} in {truth}, expected some")
    return Pairs(found, tuple(pair.case for pair in pairs if pair not in found))


def describe_missing(missing: tuple[str, ...]) -> str:
    """The cases without a prediction in a few words, the first ones by name."""
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"no prediction for {len(missing)} cases: {', '.join(missing[:_SHOWN])}{more}"


def score_pairs(
    pairs: Pairs, truth_labels: LabelMap | None = None, prediction_labels: LabelMap | None = None
) -> list[Score]:
    """Scores of every pair, read through the maps of their labels (None: `Structure`'s). Raises ReadError."""
    return assign_phases([s for pair in pairs.found for s in _score_pair(pair, truth_labels, prediction_labels)])


def _score_pair(pair: Pair, truth_labels: LabelMap | None, prediction_labels: LabelMap | None) -> list[Score]:
    reference = read_cine(pair.truth)
    truth = read_mask(pair.truth, reference, truth_labels)
    prediction = read_mask(pair.prediction, reference, prediction_labels)
    return score_cine(pair.case, prediction, truth, reference.geometry.spacing_mm, pair.patient)


def _find_truths(folder: Path) -> dict[str, Path]:
    truths: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"*{_TRUTH}")):
        case = path.name.removesuffix(_TRUTH)
        if case in truths:
            raise ValueError(f"found {truths[case]} and {path}, expected one truth named {case}{_TRUTH}")
        truths[case] = path
    return truths
