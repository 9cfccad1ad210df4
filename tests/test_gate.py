"""The gate as a table of cases, and its words."""

import pytest

from glrp_napari.comparison import Anchor, Comparison, PatientComparison, Scores
from glrp_napari.gate import MAX_DROP, MIN_AGREEMENT, MIN_GAIN, Reason, decide

GOOD = Anchor(base_phantoms=0.9, candidate_phantoms=0.9, agreement=0.99, slices=10)


def compare(*pairs: tuple[float, float], anchor: Anchor | None = GOOD, **more: object) -> Comparison:
    """A patient a pair of Dice values, before and now; the same for each structure."""
    patients = tuple(
        PatientComparison(
            study=str(i) * 64,
            slices=3,
            base=Scores(dice={"LV": before, "MYO": before}),
            candidate=Scores(dice={"LV": now, "MYO": now}),
        )
        for i, (before, now) in enumerate(pairs)
    )
    fields: dict[str, object] = {"held_out": "patients" if pairs else "nothing", "trained": 10, **more}
    return Comparison(patients=patients, anchor=anchor, **fields)  # type: ignore[arg-type]


def anchor(**more: float | None) -> Anchor:
    return GOOD.model_copy(update=more)


ONE_WORSE = Comparison(
    held_out="patients",
    patients=(
        PatientComparison(
            study="a",
            slices=3,
            base=Scores(dice={"LV": 0.8, "RV": 0.8}),
            candidate=Scores(dice={"LV": 0.95, "RV": 0.75}),
        ),
    ),
    anchor=GOOD,
)


NOTHING_SURE = Anchor(base_phantoms=0.9, candidate_phantoms=0.9, study_open=True)


@pytest.mark.parametrize(
    ("comparison", "reason", "words"),
    [
        (compare((0.8, 0.9)), "better", "Dice 0.800 before, 0.900 now on 3 corrected slices of 1 patient"),
        (compare((0.8, 0.9), (0.7, 0.8)), "better", "6 corrected slices of 2 patients"),
        (compare((0.8, 0.9), held_out="slices"), "better", "one patient: this proves little"),
        (compare((0.8, 0.8 + 2 * MIN_GAIN)), "better", "It helped"),
        (compare((0.8, 0.8 + MIN_GAIN / 2)), "not better", "did not help"),
        (compare((0.8, 0.8)), "not better", "did not help"),
        (compare((0.8, 0.7)), "not better", "0.800 before, 0.700 now"),
        (compare((0.8, 0.9), (0.9, 0.79)), "not better", "did not help"),
        (ONE_WORSE, "one structure worse", "worse on RV (0.050 less Dice), at most 0.02 is allowed"),
        (compare((0.8, 0.9), anchor=anchor(candidate_phantoms=0.9 - 1.3 * MAX_DROP)), "forgets", "forgot hearts"),
        (compare((0.8, 0.9), anchor=anchor(candidate_phantoms=0.9 - 0.9 * MAX_DROP)), "better", "It helped"),
        (compare((0.8, 0.9), anchor=anchor(agreement=MIN_AGREEMENT - 0.001)), "disagrees", "another rule"),
        (
            compare((0.8, 0.9), anchor=anchor(agreement=MIN_AGREEMENT)),
            "better",
            "with the model before 0.970",
        ),
        (compare((0.8504, 0.8523)), "better", "Dice 0.850 before, 0.852 now"),  # the rise is as large as it looks
        (
            compare((0.85, 0.8514)),
            "not better",
            "0.851 now on 3 corrected slices of 1 patient, kept apart; at least 0.002",
        ),
        (
            compare((0.8, 0.9), anchor=anchor(candidate_phantoms=0.89455)),
            "better",
            "test hearts 0.900 before, 0.895 now",
        ),
        (compare((0.8, 0.9), anchor=anchor(agreement=0.9696)), "better", "agreement with the model before 0.970"),
        (
            compare((0.8, 0.9), anchor=anchor(agreement=None)),
            "better",
            "0.900 before, 0.900 now. Agreement with the model before could not be checked: no study was open.",
        ),
        (compare((0.8, 0.9), anchor=NOTHING_SURE), "better", "checked: it was sure of no unlabelled slice"),
        (compare((0.8, 0.9), anchor=None), "unproven", "Nothing can be said"),
        (compare(), "unproven", "corrected slices of two patients"),
        (compare((0.8, 0.9), complete=False), "unchecked", "cut short"),
    ],
)
def test_the_gate(comparison: Comparison, reason: Reason, words: str) -> None:
    verdict = decide(comparison)
    assert verdict.reason == reason
    assert verdict.accepted == (reason == "better")
    assert words in verdict.sentence
    assert (
        verdict.accepted
        or "The model before stays." in verdict.sentence
        or "the model before stays" in verdict.sentence
    )


def test_every_patient_counts_the_same() -> None:
    many = compare((0.8, 0.9), (0.8, 0.6))
    patients = (many.patients[0].model_copy(update={"slices": 100}), many.patients[1])
    assert decide(many.model_copy(update={"patients": patients})).reason == "not better"


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (
            compare((0.8, 0.9)),
            "Dice 0.800 with mine-1, 0.900 now on 3 corrected slices of 1 patient, kept apart; on test hearts "
            "0.900 with glrp, 0.900 now; agreement with the model it started from 0.990.",
        ),
        (compare((0.9, 0.8)), "Dice 0.900 with mine-1, 0.800 now"),
        (compare(), "on which mine-1 was not trained. mine-1 stays."),
        (compare(all_seen=True), "mine-1 has already learned from the patients you corrected, so none is left"),
        (compare((0.8, 0.9), complete=False), "mine-1 stays."),
    ],
)
def test_a_model_in_use_that_is_not_the_base_is_named(comparison: Comparison, words: str) -> None:
    verdict = decide(comparison.model_copy(update={"in_use": "mine-1", "started_from": "glrp"}))
    assert words in verdict.sentence
    assert "model before" not in verdict.sentence
    assert verdict.accepted or verdict.sentence.endswith("mine-1 stays.")


def test_structures_have_the_names_of_the_window() -> None:
    (patient,) = ONE_WORSE.patients
    scores = {
        side: Scores(dice={name.replace("RV", "MYO"): dice for name, dice in getattr(patient, side).dice.items()})
        for side in ("base", "candidate")
    }
    comparison = ONE_WORSE.model_copy(update={"patients": (patient.model_copy(update=scores),)})
    assert "worse on myocardium (" in decide(comparison).sentence
