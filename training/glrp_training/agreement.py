"""Whether two measurements of the same hearts agree in what a clinician reads: volumes, ejection fraction and mass.

After Bland and Altman, Lancet 327:307-310, 1986. It knows volumes in ml: no masks, scores or files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glrp_napari.measure import MYOCARDIUM_G_PER_ML, Phases, measure_ventricle
from glrp_training.dataset import Phase

LIMIT_SD = 1.96
"""Limits of agreement are the bias ± so many standard deviations: 95 % of normally distributed differences."""
UNITS = {
    "LV EDV": "ml",
    "LV ESV": "ml",
    "LV EF": "%",
    "RV EDV": "ml",
    "RV ESV": "ml",
    "RV EF": "%",
    "LV mass": "g",
}

Volumes = Mapping[tuple[Phase, str], float]
"""One heart in ml by phase and name of the structure; what was not measured is left out."""


@dataclass(frozen=True)
class Agreement:
    """How `n` hearts' differences, prediction − truth, are distributed; all but `n` in `unit`.

    `bias` is their mean, `sd` their sample standard deviation (n − 1), `lower` and `upper` are the limits of agreement.
    """

    measure: str
    unit: str
    n: int
    bias: float
    sd: float
    lower: float
    upper: float


def measure_heart(volumes_ml: Volumes) -> dict[str, float]:
    """The measures of `UNITS` that the volumes give, by the definitions of `glrp_napari.measure`."""
    found = {
        "LV EDV": volumes_ml.get(("ED", "LV")),
        "LV ESV": volumes_ml.get(("ES", "LV")),
        "LV EF": _measure_ejection(volumes_ml, "LV"),
        "RV EDV": volumes_ml.get(("ED", "RV")),
        "RV ESV": volumes_ml.get(("ES", "RV")),
        "RV EF": _measure_ejection(volumes_ml, "RV"),
    }
    if ("ED", "MYO") in volumes_ml:
        found["LV mass"] = volumes_ml["ED", "MYO"] * MYOCARDIUM_G_PER_ML
    return {measure: value for measure, value in found.items() if value is not None}


def compare_hearts(hearts: Sequence[tuple[Volumes, Volumes]]) -> tuple[Agreement, ...]:
    """Agreement of predicted with true volumes, a pair a patient; a measure that fewer than two have is left out."""
    measured = [(measure_heart(predicted), measure_heart(truth)) for predicted, truth in hearts]
    pairs = {
        measure: [(a[measure], b[measure]) for a, b in measured if measure in a and measure in b] for measure in UNITS
    }
    return tuple(describe_differences(measure, found) for measure, found in pairs.items() if len(found) > 1)


def describe_differences(measure: str, pairs: Sequence[tuple[float, float]]) -> Agreement:
    """Bias and limits of agreement of (predicted, true) values. Raises ValueError for fewer than two pairs."""
    if len(pairs) < 2:
        raise ValueError(f"{measure}: found {len(pairs)} pairs, expected at least two")
    differences = [predicted - truth for predicted, truth in pairs]
    bias, sd = float(np.mean(differences)), float(np.std(differences, ddof=1))
    reach = LIMIT_SD * sd
    return Agreement(measure, UNITS[measure], len(pairs), bias, sd, bias - reach, bias + reach)


def _measure_ejection(volumes_ml: Volumes, structure: str) -> float | None:
    """Ejection fraction in %; None without both phases or without a cavity at end-diastole."""
    edv, esv = volumes_ml.get(("ED", structure)), volumes_ml.get(("ES", structure))
    if edv is None or esv is None:
        return None
    return measure_ventricle(np.array([edv, esv]), Phases(ed=0, es=1), None).ef_percent
