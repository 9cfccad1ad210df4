import errno
import json
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from glrp_training import holdout
from glrp_training.holdout import (
    Plan,
    freeze_manifest,
    freeze_where_allowed,
    group_patients,
    plan_validation,
)

from glrp_napari.cine import Cine
from glrp_napari.library import Label, LibraryError, claim_library, list_labels
from glrp_napari.library.foreign import find_pairs, import_pairs
from glrp_napari.library.manifest import MANIFEST, load_manifest
from glrp_napari.messages import Notice
from glrp_napari.progress import collect
from glrp_napari.writing.masks import write_images, write_mask

T = TypeVar("T")
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
    assert plan.held_out == "slices", "of the only patient who is corrected"
    assert [{label.study for label in fold.apart} for fold in plan.folds] == [{PATIENTS[1]}] * 3
    for fold in plan.folds:
        assert {label.state for label in fold.training} == {"accepted", "corrected"}
    assert plan_validation([*accepted, corrected[0]], PATIENTS).held_out == "nothing", "nothing corrected is left"


@pytest.mark.parametrize("corrected", [range(6, 16), (0, 5), (3, 4, 8, 9)])
def test_of_one_patient_positions_only_accepted_are_kept_apart_too(corrected: Sequence[int]) -> None:
    """Volumes need all slices of a phase."""
    labels = [
        label if label.slice in corrected else label.model_copy(update={"state": "accepted"})
        for label in make_labels(16)
    ]
    plan = plan_validation(labels, PATIENTS)
    check(plan, labels)
    assert len(plan.folds) == min(3, len(corrected))
    assert sorted(label.slice for fold in plan.folds for label in fold.apart) == list(range(16))
    for fold in plan.folds:
        assert "corrected" in {label.state for label in fold.apart}


@pytest.mark.parametrize("absent", ["accepted", "removed"])
def test_from_ten_patients_on_folds_stand_for_it_where_no_fifth_patient_is_corrected(absent: str) -> None:
    labels = [
        label.model_copy(update={"state": "accepted"}) if label.study in PATIENTS[4::5] else label
        for label in make_labels(*[2] * 14)
    ]
    kept = [label for label in labels if absent == "accepted" or label.state == "corrected"]
    plan = plan_validation(kept, PATIENTS)
    check(plan, kept)
    assert (plan.held_out, len(plan.folds), plan.apart) == ("patients", 3, ())


def test_case_74_a_patient_the_base_has_seen_validates_nothing() -> None:
    labels = make_labels(3, 3)
    plan = plan_validation(labels, PATIENTS, seen=[labels[0].stem])
    assert [{label.study for label in fold.apart} for fold in plan.folds] == [{PATIENTS[1]}]
    assert plan_validation(labels, PATIENTS, seen=[labels[0].stem, labels[-1].stem]).held_out == "nothing"
    assert (
        plan_validation(make_labels(3), PATIENTS, seen=[label.stem for label in make_labels(3)]).held_out == "nothing"
    )


def test_case_74_what_a_base_has_seen_counts_though_it_is_no_longer_in_the_library() -> None:
    """Slices 3 and 4 of patient 0 at ED were learned from and removed since; those of ES are corrected."""
    gone = {label.stem for label in make_labels(5) if label.slice >= 3}
    labels = [label.model_copy(update={"frame": 1}) for label in make_labels(5, 5)]
    plan = plan_validation(labels, PATIENTS, gone)
    assert {label.study for fold in plan.folds for label in fold.apart} == {PATIENTS[1]}
    alone = plan_validation(labels[:5], PATIENTS, gone)
    assert alone.held_out == "slices"
    assert {label.slice for fold in alone.folds for label in fold.apart} == {0, 1, 2}
    many = [label.model_copy(update={"frame": 1}) for label in make_labels(*[5] * 10)]
    fifth = {label.stem for label in make_labels(1, first=4)}
    assert {label.study for label in plan_validation(many, PATIENTS, fifth).apart} == {PATIENTS[9]}


@pytest.mark.parametrize("count", [2, 4, 12])
def test_case_74_ed_and_es_imported_as_two_files_are_one_patient(coded_cine: Cine, tmp_path: Path, count: int) -> None:
    mask = np.zeros((1, *coded_cine.images.shape[1:]), np.uint8)
    mask[0, 2, 3:6, 3:6] = 3
    for number in range(2 * count):
        name = tmp_path / "in" / f"patient{number // 2:02d}_frame{(1, 12)[number % 2]:02d}"
        frame = replace(coded_cine, images=coded_cine.images[:1] + number, frame_ms=None)
        name.parent.mkdir(exist_ok=True)
        write_images(name.with_suffix(".nii.gz"), frame.images, frame)
        write_mask(name.with_name(f"{name.name}_gt.nii.gz"), mask, frame)
    for _ in import_pairs(find_pairs(tmp_path / "in"), tmp_path / "labels"):
        pass
    labels = list_labels(tmp_path / "labels")
    assert len({label.study for label in labels}) == 2 * count
    patients = freeze_manifest(tmp_path / "labels", labels).patients
    assert len(patients) == count
    plan = plan_validation(labels, patients)
    assert plan.held_out == "patients"
    patient_of = {label.stem: (label.counter - 1) // 2 for label in labels}  # they came in the order of their names
    for training, apart in [(plan.training, plan.apart), *((fold.training, fold.apart) for fold in plan.folds)]:
        assert training
        assert not {patient_of[label.stem] for label in training} & {patient_of[label.stem] for label in apart}


def test_case_74_a_patient_keeps_his_place_when_files_of_his_come_later(tmp_path: Path) -> None:
    old = make_labels(*[1] * 12)  # of an earlier version: each study stands for itself
    before = freeze_manifest(tmp_path, old).patients
    known, his = old[4], "f" * 64
    again = known.model_copy(update={"slice": 3, "patient": his, "counter": 20})
    other = known.model_copy(update={"study": PATIENTS[20], "patient": his, "counter": 21})
    labels = [*old, again, other]
    assert freeze_manifest(tmp_path, labels).patients == before
    assert set(plan_validation(labels, before).apart) >= {known, again, other}


def test_studies_are_joined_by_way_of_a_third() -> None:
    names = [("a", PATIENTS[0]), ("b", PATIENTS[1]), ("c", PATIENTS[2]), ("a", PATIENTS[2])]
    (label,) = make_labels(1)
    labels = [label.model_copy(update={"patient": name * 64, "study": study}) for name, study in names]
    whose = group_patients(labels)
    assert [whose[study] for study in PATIENTS[:3]] == ["a" * 64, "b" * 64, "a" * 64]
    assert group_patients(labels, ["c" * 64])[PATIENTS[0]] == "c" * 64


def test_the_manifest_is_frozen_and_only_grows(tmp_path: Path) -> None:
    labels = make_labels(1, 1, 1)
    late = [label.model_copy(update={"counter": 9 - i}) for i, label in enumerate(labels)]
    first = freeze_manifest(tmp_path, late).patients
    assert first == tuple(reversed(PATIENTS[:3])), "in the order in which they came"
    assert freeze_manifest(tmp_path, labels[:1]).patients == first, "a patient whose labels are removed keeps his place"
    assert freeze_manifest(tmp_path, make_labels(1, 1, 1, 1)).patients == (*first, PATIENTS[3])
    assert load_manifest(tmp_path).patients == (*first, PATIENTS[3])


def refuse(*_args: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("cause", ["held", "read-only", "claimed, read-only"])
def test_where_the_library_may_not_be_written_to_the_order_holds_once(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, is_claimed = make_labels(1, 1, 1), cause.startswith("claimed")
    if cause != "held":
        monkeypatch.setattr(holdout, "save_manifest" if is_claimed else "claim_library", refuse)
    told: list[Notice] = []
    with claim_library(tmp_path) if cause == "held" else nullcontext():
        events = freeze_where_allowed(tmp_path, labels, may_write=is_claimed)
        assert collect(tell(events, told)) == tuple(PATIENTS[:3])
    assert len(told) == 1
    assert not (tmp_path / MANIFEST).exists()


def test_the_order_is_frozen_where_the_library_is_claimed_or_nobody_s(tmp_path: Path) -> None:
    told: list[Notice] = []
    with claim_library(tmp_path):
        collect(tell(freeze_where_allowed(tmp_path, make_labels(1), may_write=True), told))
    collect(tell(freeze_where_allowed(tmp_path, make_labels(1, 1), may_write=False), told))
    assert load_manifest(tmp_path).patients == tuple(PATIENTS[:2])
    with claim_library(tmp_path):  # there is nothing to write
        collect(tell(freeze_where_allowed(tmp_path, make_labels(1, 1), may_write=False), told))
    assert not told


def tell(events: Generator[Notice, None, T], told: list[Notice]) -> Generator[Notice, None, T]:
    """The same events, noted."""
    while True:
        try:
            told.append(next(events))
        except StopIteration as end:
            outcome: T = end.value
            return outcome
        yield told[-1]


def test_case_75_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"patients": 3}))
    with pytest.raises(LibraryError, match=r"validation.json: .*expected the list of patients"):
        load_manifest(tmp_path)
