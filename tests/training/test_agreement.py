import pytest
from glrp_training.agreement import Agreement, compare_hearts, describe_differences, measure_heart

HEART = {("ED", "LV"): 150.0, ("ES", "LV"): 60.0, ("ED", "RV"): 160.0, ("ES", "RV"): 80.0, ("ED", "MYO"): 100.0}


def test_differences_of_known_spread() -> None:
    """Differences 1, 3, 5: bias 3, sample SD 2, limits 3 ± 1.96 · 2."""
    found = describe_differences("LV EDV", [(101, 100), (203, 200), (155, 150)])
    assert (found.measure, found.unit, found.n, found.bias, found.sd) == ("LV EDV", "ml", 3, 3.0, 2.0)
    assert (found.lower, found.upper) == (pytest.approx(-0.92), pytest.approx(6.92))


def test_one_pair_has_no_limits() -> None:
    with pytest.raises(ValueError, match="LV EF: found 1 pairs, expected at least two"):
        describe_differences("LV EF", [(60, 61)])


def test_a_heart_has_its_volumes_ejection_fractions_and_mass() -> None:
    measured = {"LV EDV": 150, "LV ESV": 60, "LV EF": 60, "RV EDV": 160, "RV ESV": 80, "RV EF": 50, "LV mass": 105}
    assert measure_heart(HEART) == pytest.approx(measured)


def test_every_measure_is_compared_where_two_hearts_have_it() -> None:
    """One heart found 10 ml larger at ED (all else right), one without RV, one whose predicted LV is missing at ED."""
    larger = HEART | {("ED", "LV"): 160.0}
    no_rv = {key: value for key, value in HEART.items() if key[1] != "RV"}
    lost = HEART | {("ED", "LV"): 0.0}
    found = {row.measure: row for row in compare_hearts([(larger, HEART), (no_rv, no_rv), (lost, HEART)])}
    assert {measure: row.n for measure, row in found.items()} == {
        "LV EDV": 3, "LV ESV": 3, "LV EF": 2, "RV EDV": 2, "RV ESV": 2, "RV EF": 2, "LV mass": 3,
    }  # fmt: skip
    assert found["LV EDV"].bias == pytest.approx((10 + 0 - 150) / 3)
    assert found["LV EF"].bias == pytest.approx((62.5 - 60) / 2)
    assert found["LV mass"] == Agreement("LV mass", "g", 3, 0, 0, 0, 0)
