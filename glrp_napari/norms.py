"""Body surface area, and what is normal in adults: published ranges, each with its source.

The masks count papillary muscles and trabeculae with the cavity, so the ranges of the LV are of a study that does the
same; by the other convention volumes are smaller and mass is larger. All are of balanced steady-state cines, and all
means and standard deviations stand in the abstracts of their sources; what could not be read there has no range. Pure:
it knows measurements, no masks, files or windows.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from glrp_napari.cine import HEIGHT_CM, WEIGHT_KG
from glrp_napari.measure import Function

Verdict = Literal["below", "within", "above"]

_NORMAL_SD = 1.96
"""Standard deviations on either side of the mean that hold 95 % of a normal distribution."""


class Sex(StrEnum):
    """The sex that a range holds for."""

    FEMALE = "female"
    MALE = "male"


class Quantity(StrEnum):
    """What has a range; the value is its name with its unit, as in `measure.Function`."""

    LV_EF = "lv_ef_percent"
    LV_MASS_INDEX = "lv_mass_g_m2"
    RV_EDV = "rv_edv_ml"
    RV_ESV = "rv_esv_ml"
    RV_EDVI = "rv_edvi_ml_m2"


class Source(BaseModel):
    """A study: how to cite it, whom it measured (ages in years) and how limits came about."""

    model_config = ConfigDict(frozen=True)

    citation: str
    doi: str
    people: str
    ages: tuple[int, int]
    limits: str


class NormalRange(BaseModel):
    """The range of a quantity in healthy adults of one sex, both limits inside, and its source."""

    model_config = ConfigDict(frozen=True)

    quantity: Quantity
    sex: Sex
    low: float
    high: float
    source: Source


class Judgement(BaseModel):
    """A measured value beside its range."""

    model_config = ConfigDict(frozen=True)

    value: float
    range: NormalRange
    verdict: Verdict


PETERSEN_2017 = Source(
    citation="Petersen SE, Aung N, Sanghvi MM, et al. Reference ranges for cardiac structure and function using "
    "cardiovascular magnetic resonance (CMR) in Caucasians from the UK Biobank population cohort. "
    "J Cardiovasc Magn Reson 2017;19:18",
    doi="10.1186/s12968-017-0327-9",
    people="368 men and 432 women, Caucasians free of heart disease and its risk factors",
    ages=(45, 74),
    limits="mean ± 1.96 SD of the published mean and SD, papillary muscles in the LV's volume",
)
HUDSMITH_2005 = Source(
    citation="Hudsmith LE, Petersen SE, Francis JM, Robson MD, Neubauer S. Normal human left and right ventricular and "
    "left atrial dimensions using steady state free precession magnetic resonance imaging. "
    "J Cardiovasc Magn Reson 2005;7(5):775-782",
    doi="10.1080/10976640500295516",
    people="63 men and 45 women, healthy volunteers",
    ages=(21, 68),
    limits="mean ± 1.96 SD of the published mean and SD",
)
ALFAKIH_2003 = Source(
    citation="Alfakih K, Plein S, Thiele H, Jones T, Ridgway JP, Sivananthan MU. Normal human left and right "
    "ventricular dimensions for MRI as assessed by turbo gradient echo and steady-state free precession imaging "
    "sequences. J Magn Reson Imaging 2003;17(3):323-329",
    doi="10.1002/jmri.10262",
    people="30 men and 30 women, normal subjects",
    ages=(20, 65),
    limits="mean ± 1.96 SD of the published mean and SD (steady-state free precession)",
)

_MeanSd = tuple[float, float]
_MEANS: tuple[tuple[Source, Quantity, _MeanSd, _MeanSd], ...] = (  # as published: men, women
    (PETERSEN_2017, Quantity.LV_EF, (58, 5), (61, 5)),
    (PETERSEN_2017, Quantity.LV_MASS_INDEX, (53, 9), (42, 7)),
    (HUDSMITH_2005, Quantity.RV_EDV, (190, 33), (148, 35)),
    (HUDSMITH_2005, Quantity.RV_ESV, (78, 20), (56, 18)),
    (ALFAKIH_2003, Quantity.RV_EDVI, (86.2, 14.1), (75.2, 13.8)),
)


def _make_range(source: Source, quantity: Quantity, sex: Sex, mean_sd: _MeanSd) -> NormalRange:
    mean, sd = mean_sd
    low, high = (round(mean + side * _NORMAL_SD * sd, 1) for side in (-1, 1))
    return NormalRange(quantity=quantity, sex=sex, low=low, high=high, source=source)


RANGES: tuple[NormalRange, ...] = tuple(
    _make_range(source, quantity, sex, mean_sd)
    for source, quantity, men, women in _MEANS
    for sex, mean_sd in ((Sex.MALE, men), (Sex.FEMALE, women))
)
"""Every range there is, one a quantity and sex."""


def measure_bsa(height_cm: float, weight_kg: float) -> float:
    """Body surface area in m² (Mosteller, N Engl J Med 317:1098, 1987). Raises ValueError for no adult's figures."""
    for name, value, unit, (low, high) in (
        ("height", height_cm, "cm", HEIGHT_CM),
        ("weight", weight_kg, "kg", WEIGHT_KG),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name}: found {value} {unit}, expected {low:.0f} to {high:.0f} {unit}")
    return float((height_cm * weight_kg / 3600) ** 0.5)


def find_range(quantity: Quantity, sex: Sex, age_years: float | None = None) -> NormalRange | None:
    """The range of a quantity; None where there is none, or where its source measured nobody of that age.

    Without an age the range is given whatever its source's ages, which are then for the reader to look at.
    """
    for found in RANGES:
        if found.quantity == quantity and found.sex == sex:
            youngest, oldest = found.source.ages
            return found if age_years is None or youngest <= age_years < oldest + 1 else None
    return None


def judge_value(value: float, normal: NormalRange) -> Verdict:
    """Where a value lies; the limits themselves are within."""
    return "below" if value < normal.low else "above" if value > normal.high else "within"


def judge_function(function: Function, sex: Sex, age_years: float | None = None) -> dict[Quantity, Judgement]:
    """Everything in `function` that was measured and has a range, by quantity, in the order of `Quantity`."""
    judged = {}
    for quantity in Quantity:
        value, normal = _pick_value(function, quantity), find_range(quantity, sex, age_years)
        if value is not None and normal is not None:
            judged[quantity] = Judgement(value=value, range=normal, verdict=judge_value(value, normal))
    return judged


def _pick_value(function: Function, quantity: Quantity) -> float | None:
    if quantity is Quantity.LV_MASS_INDEX:
        return function.lv_mass_g_m2
    side, name = quantity.value.split("_", 1)
    value: float | None = getattr(function.lv if side == "lv" else function.rv, name)
    return value
