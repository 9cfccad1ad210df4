"""Body surface area and published ranges."""

import pytest

from glrp_napari.measure import Function, Ventricle
from glrp_napari.norms import RANGES, Quantity, Sex, find_range, judge_function, judge_value, measure_bsa


@pytest.mark.parametrize(
    ("height_cm", "weight_kg", "bsa_m2"), [(180, 80, 2.0), (160, 62.5, 1.6667), (184, 95, 2.2035), (100, 36, 1.0)]
)
def test_mosteller(height_cm: float, weight_kg: float, bsa_m2: float) -> None:
    assert measure_bsa(height_cm, weight_kg) == pytest.approx(bsa_m2, abs=1e-4)


@pytest.mark.parametrize(
    ("height_cm", "weight_kg", "message"),
    [(1.8, 80, "height: found 1.8 cm, expected 100 to 250 cm"), (180, 0, "weight: found 0 kg"), (180, 800, "weight")],
)
def test_wrong_units_are_refused(height_cm: float, weight_kg: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_bsa(height_cm, weight_kg)


@pytest.mark.parametrize(
    ("quantity", "sex", "low", "high"),
    [
        (Quantity.LV_EF, Sex.MALE, 58 - 1.96 * 5, 58 + 1.96 * 5),
        (Quantity.LV_MASS_INDEX, Sex.FEMALE, 42 - 1.96 * 7, 42 + 1.96 * 7),
        (Quantity.RV_EDV, Sex.FEMALE, 148 - 1.96 * 35, 148 + 1.96 * 35),
        (Quantity.RV_EDVI, Sex.MALE, 86.2 - 1.96 * 14.1, 86.2 + 1.96 * 14.1),
    ],
)
def test_ranges_are_those_of_the_sources(quantity: Quantity, sex: Sex, low: float, high: float) -> None:
    found = find_range(quantity, sex)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.051)
    assert found.source.doi.startswith("10.")


def test_every_quantity_has_one_range_a_sex_and_they_fit_together() -> None:
    assert sorted((r.quantity, r.sex) for r in RANGES) == sorted((q, s) for q in Quantity for s in Sex)
    assert all(0 < r.low < r.high for r in RANGES)
    for sex in Sex:
        by = {r.quantity: r for r in RANGES if r.sex is sex}
        assert by[Quantity.RV_ESV].high < by[Quantity.RV_EDV].high
        assert 1.4 < by[Quantity.RV_EDV].high / by[Quantity.RV_EDVI].high < 2.4  # a body surface area


@pytest.mark.parametrize(
    ("quantity", "age_years", "there"),
    [
        (Quantity.RV_EDV, 21, True),
        (Quantity.RV_EDV, 12, False),
        (Quantity.LV_EF, 44, False),
        (Quantity.LV_EF, 74.9, True),
        (Quantity.LV_EF, 75, False),
        (Quantity.LV_EF, None, True),
    ],
)
def test_ranges_hold_for_the_ages_that_were_measured(quantity: Quantity, age_years: float | None, there: bool) -> None:
    assert (find_range(quantity, Sex.FEMALE, age_years) is not None) == there


@pytest.mark.parametrize(
    ("value", "verdict"), [(48.1, "below"), (48.2, "within"), (60, "within"), (67.8, "within"), (67.9, "above")]
)
def test_verdicts(value: float, verdict: str) -> None:
    normal = find_range(Quantity.LV_EF, Sex.MALE)
    assert normal is not None
    assert judge_value(value, normal) == verdict


def test_a_heart_is_judged_in_what_was_measured() -> None:
    lv = Ventricle(edv_ml=300, esv_ml=225, sv_ml=75, ef_percent=25, edvi_ml_m2=150)
    function = Function(
        ed=0,
        es=1,
        lv=lv,
        rv=Ventricle(edv_ml=240, esv_ml=150),
        lv_mass_g=120,
        lv_mass_g_m2=60,
        heart_rate_bpm=None,
        volumes_ml={},
        bsa_m2=2.0,
    )
    judged = judge_function(function, Sex.MALE, 50)
    assert {quantity.name: j.verdict for quantity, j in judged.items()} == {
        "LV_EF": "below",
        "LV_MASS_INDEX": "within",
        "RV_EDV": "within",
        "RV_ESV": "above",
    }
    assert judge_function(function, Sex.FEMALE)[Quantity.LV_MASS_INDEX].verdict == "above"
    assert Quantity.LV_EF not in judge_function(function, Sex.MALE, 30)
