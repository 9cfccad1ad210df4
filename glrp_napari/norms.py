"""Body surface area, and what is normal in adults: published ranges, each with its source.

The masks count papillary muscles and trabeculae with the cavity, so the ranges of the LV are of studies that do the
same; by the other convention volumes are smaller and mass is larger. All are of balanced steady-state cines. What no
source could be checked for has no range: the LV's absolute mass, the RV's stroke volumes and indexed end-systolic
volume, outputs, rates and wall thickness. Pure: it knows measurements, no masks, files or windows.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

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

    LV_EDV = "lv_edv_ml"
    LV_ESV = "lv_esv_ml"
    LV_SV = "lv_sv_ml"
    LV_EF = "lv_ef_percent"
    LV_EDVI = "lv_edvi_ml_m2"
    LV_ESVI = "lv_esvi_ml_m2"
    LV_SVI = "lv_svi_ml_m2"
    LV_MASS_INDEX = "lv_mass_g_m2"
    RV_EDV = "rv_edv_ml"
    RV_ESV = "rv_esv_ml"
    RV_EF = "rv_ef_percent"
    RV_EDVI = "rv_edvi_ml_m2"


class Source(BaseModel):
    """A study: how to cite it, whom it measured (ages in years, None: adults of any age) and how limits came about."""

    model_config = ConfigDict(frozen=True)

    citation: str
    doi: str
    people: str
    ages: tuple[int, int] | None
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


ZHAN_2024 = Source(
    citation="Zhan Y, Friedrich MG, Dendukuri N, et al. Meta-analysis of normal reference values for right and left "
    "ventricular quantification by cardiovascular magnetic resonance. Circ Cardiovasc Imaging 2024;17(2):e016090",
    doi="10.1161/CIRCIMAGING.123.016090",
    people="healthy adults of 25 countries: 12,812 reviewed in 254 studies, 52 studies pooled",
    ages=None,
    limits="pooled lower and upper reference limits as published, papillary muscles in the LV's volume",
)
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

_Limits = tuple[float, float]
_LIMITS: tuple[tuple[Source, Quantity, _Limits, _Limits], ...] = (  # as published: men, women
    (ZHAN_2024, Quantity.LV_EF, (52, 73), (54, 75)),
    (ZHAN_2024, Quantity.LV_EDVI, (60, 109), (56, 96)),
    (ZHAN_2024, Quantity.LV_ESVI, (18, 45), (16, 38)),
    (ZHAN_2024, Quantity.LV_MASS_INDEX, (41, 76), (33, 57)),
    (ZHAN_2024, Quantity.RV_EF, (47, 68), (49, 71)),
)
_MEANS: tuple[tuple[Source, Quantity, _Limits, _Limits], ...] = (  # mean and SD as published: men, women
    (PETERSEN_2017, Quantity.LV_EDV, (166, 32), (124, 21)),
    (PETERSEN_2017, Quantity.LV_ESV, (69, 16), (49, 11)),
    (PETERSEN_2017, Quantity.LV_SV, (96, 20), (75, 14)),
    (PETERSEN_2017, Quantity.LV_SVI, (49, 10), (45, 8)),
    (HUDSMITH_2005, Quantity.RV_EDV, (190, 33), (148, 35)),
    (HUDSMITH_2005, Quantity.RV_ESV, (78, 20), (56, 18)),
    (ALFAKIH_2003, Quantity.RV_EDVI, (86.2, 14.1), (75.2, 13.8)),
)


def _spread(mean_sd: _Limits) -> _Limits:
    mean, sd = mean_sd
    return round(mean - _NORMAL_SD * sd, 1), round(mean + _NORMAL_SD * sd, 1)


RANGES: tuple[NormalRange, ...] = tuple(
    NormalRange(quantity=quantity, sex=sex, low=limits[0], high=limits[1], source=source)
    for source, quantity, men, women in (
        *_LIMITS,
        *((source, quantity, _spread(men), _spread(women)) for source, quantity, men, women in _MEANS),
    )
    for sex, limits in ((Sex.MALE, men), (Sex.FEMALE, women))
)
"""Every range there is, one a quantity and sex."""


def measure_bsa(height_cm: float, weight_kg: float) -> float:
    """Body surface area in m² (Mosteller, N Engl J Med 317:1098, 1987). Raises ValueError for no adult's figures."""
    for name, value, low, high in (("height", height_cm, 100, 250), ("weight", weight_kg, 25, 350)):
        if not low <= value <= high:
            unit = "cm" if name == "height" else "kg"
            raise ValueError(f"{name}: found {value} {unit}, expected {low} to {high} {unit}")
    return float((height_cm * weight_kg / 3600) ** 0.5)


def find_range(quantity: Quantity, sex: Sex, age_years: float | None = None) -> NormalRange | None:
    """The range of a quantity; None where there is none, or where its source measured nobody of that age.

    Without an age the range is given whatever its source's ages, which are then for the reader to look at.
    """
    for found in RANGES:
        if found.quantity == quantity and found.sex == sex:
            ages = found.source.ages or (18, 120)
            return found if age_years is None or ages[0] <= age_years < ages[1] + 1 else None
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
