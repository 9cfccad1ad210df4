import json
from pathlib import Path

import pytest
from glrp_training.holdout import MANIFEST, Plan, freeze_manifest, load_manifest, plan_validation

from glrp_napari.library import Label, LibraryError

PATIENTS = [f"{i:012x}".ljust(64, "0") for i in range(30)]


def make_labels(*counts: int, state: str = "corrected", first: int = 0) -> list[Label]:
    """So many labels, each at a slice position of its own, of patients one after the other."""
    return [
        Label(study=PATIENTS[first + s], frame=0, slice=i, slices=20, state=state, counter=i, frame_mean=0, frame_std=1)
        for s, count in enumerate(counts)
        for i in range(count)
    ]


def check(plan: Plan, labels: list[Label]) -> None:
    """No label is on both sides, and by patients no patient is."""
    for training, apart in [(plan.training, plan.apart), *((fold.training, fold.apart) for fold in plan.folds)]:
        assert not {label.stem for label in training} & {label.stem for label in apart}
        if plan.held_out == "patients":
            assert not {label.study for label in training} & {label.study for label in apart}
    if not plan.apart:
        assert {label.stem for label in plan.training} == {label.stem for label in labels}


@pytest.mark.parametrize(
    ("counts", "held_out", "folds"),
    [
        ((1,), "nothing", []),
        ((2,), "slices", [1, 1]),
        ((10,), "slices", [4, 3, 3]),
        ((5, 3), "patients", [5, 3]),
        ((1, 1, 1), "patients", [1, 1, 1]),
        ((2, 2, 2, 2), "patients", [4, 2, 2]),
        ((1,) * 9, "patients", [3, 3, 3]),
    ],
)
def test_below_ten_patients_all_are_trained_on_and_folds_stand_for_it(
    counts: tuple[int, ...], held_out: str, folds: list[int]
) -> None:
    labels = make_labels(*counts)
    plan = plan_validation(labels, PATIENTS)
    check(plan, labels)
    assert (plan.held_out, plan.apart) == (held_out, ())
    assert [len(fold.apart) for fold in plan.folds] == folds


def test_slices_of_one_position_stay_together() -> None:
    labels = [label.model_copy(update={"frame": frame}) for frame in range(3) for label in make_labels(4)]
    plan = plan_validation(labels, PATIENTS)
    check(plan, labels)
    for fold in plan.folds:
        assert not {label.slice for label in fold.training} & {label.slice for label in fold.apart}


def test_from_ten_patients_on_every_fifth_is_kept_out_and_stays_out() -> None:
    for count in (10, 14, 23):
        labels = make_labels(*[2] * count)
        plan = plan_validation(labels, PATIENTS)
        check(plan, labels)
        assert {label.study for label in plan.apart} == set(PATIENTS[4:count:5])
        assert not plan.folds


def test_accepted_labels_validate_nothing() -> None:
    accepted, corrected = make_labels(3, state="accepted"), make_labels(3, first=1)
    assert plan_validation(accepted, PATIENTS).held_out == "nothing"
    plan = plan_validation([*accepted, *corrected], PATIENTS)
    assert [{label.study for label in fold.apart} for fold in plan.folds] == [{PATIENTS[1]}]


def test_case_74_a_patient_the_base_has_seen_validates_nothing() -> None:
    labels = make_labels(3, 3)
    plan = plan_validation(labels, PATIENTS, seen=[labels[0].stem])
    assert [{label.study for label in fold.apart} for fold in plan.folds] == [{PATIENTS[1]}]
    assert plan_validation(labels, PATIENTS, seen=[labels[0].stem, labels[-1].stem]).held_out == "nothing"
    assert (
        plan_validation(make_labels(3), PATIENTS, seen=[label.stem for label in make_labels(3)]).held_out == "nothing"
    )


def test_the_manifest_is_frozen_and_only_grows(tmp_path: Path) -> None:
    labels = make_labels(1, 1, 1)
    late = [label.model_copy(update={"counter": 9 - i}) for i, label in enumerate(labels)]
    first = freeze_manifest(tmp_path, late).patients
    assert first == tuple(reversed(PATIENTS[:3])), "in the order in which they came"
    assert freeze_manifest(tmp_path, labels[:1]).patients == first, "a patient whose labels are removed keeps his place"
    assert freeze_manifest(tmp_path, make_labels(1, 1, 1, 1)).patients == (*first, PATIENTS[3])
    assert load_manifest(tmp_path).patients == (*first, PATIENTS[3])


def test_case_75_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"patients": 3}))
    with pytest.raises(LibraryError, match=r"validation.json: .*expected the list of patients"):
        load_manifest(tmp_path)
