"""The one obvious next step, and the window's sentences: pure functions as tables."""

from dataclasses import replace
from pathlib import Path

import pytest
from glrp_napari.comparison import Anchor, Comparison, PatientComparison, Scores, SliceChange
from glrp_napari.gui import words
from glrp_napari.gui.comparison_rows import describe_change, list_rows
from glrp_napari.gui.model_words import describe_card, describe_comparison
from glrp_napari.gui.snapshot import Snapshot, StudyShown, choose_next
from glrp_napari.known_studies import KnownStudy
from glrp_napari.library import Label
from glrp_napari.measure import Function, Ventricle
from glrp_napari.models import Card, Model
from glrp_napari.session import Session
from glrp_napari.slice_states import SliceState

SESSION = Session(Path("/session"))
NOTHING = Comparison(held_out="nothing")
MODEL = (Model(Card(name="a", title="A", weights_sha256=""), Path("a.safetensors")),)


def shown(predicted: int = 0, edited: int = 0) -> StudyShown:
    return StudyShown("name", "line", (), "0" * 64, frames=4, slices=5, predicted=predicted, edited=edited)


@pytest.mark.parametrize(
    ("now", "step"),
    [
        ({}, "open"),
        ({"opening": True}, ""),
        ({"study": shown()}, "segment"),
        ({"study": shown(), "models": ()}, ""),
        ({"study": shown(), "job": "segment"}, ""),
        ({"study": shown(20, 1), "job": "segment"}, "accept"),
        ({"study": shown(20)}, "accept"),
        ({"study": shown(20, 1)}, "accept"),
        ({"study": shown(20, 1), "new_labels": 3}, "accept"),
        ({"study": shown(20), "new_labels": 3}, "finetune"),
        ({"study": shown(20), "new_labels": 3, "job": "finetune"}, ""),
        ({"study": shown(20), "candidate": "b"}, "accept"),
        ({"study": shown(20), "candidate": "b", "comparison": NOTHING}, "compare"),
        ({"study": shown(20), "candidate": "b", "comparison": NOTHING, "new_labels": 1}, "finetune"),
        ({"study": shown(20), "candidate": "b", "comparison": NOTHING, "replaced": "a"}, "accept"),
        ({"study": shown(20), "model_changed": True}, "segment"),
        ({"study": shown(20, 2), "candidate": "b", "model_changed": True}, "accept"),
        ({"study": shown(), "new_labels": 3}, "segment"),
    ],
)
def test_there_is_one_next_step(now: dict[str, object], step: str) -> None:
    assert choose_next(Snapshot(session=SESSION, **{"models": MODEL, **now})) == step


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.2, "1 s left"), (12.4, "12 s left"), (89, "89 s left"), (100, "2 min left"), (3600, "60 min left")],
)
def test_time_left(seconds: float | None, text: str) -> None:
    assert words.describe_left(seconds) == text


@pytest.mark.parametrize(
    ("labels", "text"),
    [(0, "Fine-tune on my labels"), (1, "Fine-tune on my 1 label"), (10, "Fine-tune on my 10 labels")],
)
def test_the_button_counts_labels(labels: int, text: str) -> None:
    assert words.describe_finetune(labels) == text


def test_slices_and_frames_count_from_one() -> None:
    study = StudyShown("n", "l", (), "0" * 64, 4, 5, frame=0, slice=4, state=SliceState.EDITED)
    assert words.describe_slice(study) == "Slice 5, frame 1: edited by you, not yet accepted"


def test_the_result_of_one_frame_is_its_volumes() -> None:
    volumes = {"LV": (None, 60.4), "MYO": (None, 90.0), "RV": (None, 70.0)}
    function = Function(
        ed=None, es=None, lv=Ventricle(), rv=Ventricle(), lv_mass_g=None, heart_rate_bpm=None, volumes_ml=volumes
    )
    assert words.describe_function(function) == "Frame 2: LV 60 ml, myocardium 90 ml, RV 70 ml"


def test_warnings_shorten_to_one_line() -> None:
    assert words.describe_warnings(()) == ""
    assert words.describe_warnings(("a",)) == "Note: a"
    assert words.describe_warnings(("a", "b", "c")) == "Note: a (and 2 more: point here)"


def label(outside: bool = False) -> Label:
    return Label(
        study="2" * 64,
        frame=0,
        slice=4,
        slices=8,
        state="corrected",
        counter=1,
        frame_mean=1.0,
        frame_std=1.0,
        outside=outside,
    )


@pytest.mark.parametrize(
    ("changes", "words_"),
    [
        ({"labels": (label(),)}, ""),
        ({"labels": (label(), label(outside=True))}, ""),
        ({}, "Accept at least one slice first"),
        ({"labels": (label(outside=True),)}, "outside base and apex"),
        ({"labels": (label(),), "models": ()}, "There is no model"),
        ({"labels": (label(),), "job": "segment"}, "until the study is segmented"),
        ({"labels": (label(),), "job": "finetune"}, "until this fine-tuning is done"),
        ({"labels": (label(),), "background": True}, "fine-tuning in the background"),
    ],
)
def test_why_one_cannot_fine_tune(changes: dict[str, object], words_: str) -> None:
    found = words.explain_finetune(Snapshot(session=SESSION, **{"models": MODEL, **changes}))
    assert words_ in found
    assert bool(found) == bool(words_)


@pytest.mark.parametrize(
    ("stage", "seconds", "text"),
    [
        ("Training, loss 0.500", 85, "Training, loss 0.500: 85 s left, then up to three checks about as long each"),
        ("Training, loss 0.500", None, "Training, loss 0.500: then up to three checks about as long each"),
        ("Check 1 of 3, loss 0.500", 85, "Check 1 of 3, loss 0.500 · 85 s left"),
        ("Reading labels", None, "Reading labels"),
    ],
)
def test_what_comes_after_the_training_is_said_with_its_time(stage: str, seconds: float | None, text: str) -> None:
    assert words.describe_training(stage, seconds) == text


def test_a_label_is_called_by_what_is_known_of_its_study() -> None:
    known = {"2" * 64: KnownStudy(name="patient007", path=Path("/scans/patient007.nii.gz"))}
    unnamed = {"2" * 64: KnownStudy(name="layer")}
    place = "frame 1 · slice 5 · corrected"
    assert words.describe_label(label(), None) == f"study 22222222 · {place}"
    assert words.describe_label(label(), shown(), known) == f"patient007 (not open) · {place}"
    assert words.describe_label(label(), replace(shown(), hash="2" * 64), known) == f"name · {place}"
    assert words.describe_elsewhere(label(), known) == f"Open patient007 ({known['2' * 64].path}) to see this slice."
    assert words.describe_elsewhere(label(), unnamed) == "Open layer to see this slice."
    assert "never opened here" in words.describe_elsewhere(label(), {})


ANCHOR = Anchor(base_phantoms=0.9, candidate_phantoms=0.899, agreement=0.98, slices=12)
PATIENT = PatientComparison(study="a", slices=3, base=Scores(dice={"LV": 0.8}), candidate=Scores(dice={"LV": 0.9}))


@pytest.mark.parametrize(
    ("comparison", "lines"),
    [
        (
            Comparison(held_out="patients", patients=(PATIENT,), anchor=ANCHOR),
            (
                "Dice on 3 corrected slices of 1 patient, kept apart: 0.800 before, 0.900 now",
                "Dice on test hearts: 0.900 before, 0.899 now",
                "Agreement with the model before on 12 unlabelled slices, where that was sure: 0.980",
            ),
        ),
        (
            Comparison(held_out="nothing", anchor=Anchor(base_phantoms=0.9, candidate_phantoms=0.9)),
            (
                "Dice on test hearts: 0.900 before, 0.900 now",
                "Agreement with the model before, where that was sure: not measured",
            ),
        ),
        (Comparison(held_out="nothing", complete=False), ()),
    ],
)
def test_a_card_says_how_its_model_was_found(comparison: Comparison, lines: tuple[str, ...]) -> None:
    figures = {"verdict": "It helped.", **comparison.model_dump(mode="json", exclude={"changed"})}
    card = Card(name="m", title="Mine", weights_sha256="", labels=(f"{'a' * 12}-t000-z001",), figures=figures)
    text = describe_card(card)
    assert "Learned from 1 label: study aaaaaaaa (1)" in text
    assert "\n\n".join(("It helped.", *(["\n".join(lines)] if lines else []), "Weights:")) in text
    assert "trained" not in text
    assert "complete" not in text


def test_a_card_of_another_version_is_described_as_far_as_it_is_known() -> None:
    card = Card(name="m", title="Mine", weights_sha256="", training={"protocol": {"papillaries": "counted"}})
    assert "Conventions: some that this version does not know" in describe_card(card)
    figures = Comparison(held_out="patients", patients=(PATIENT,)).model_dump(mode="json", exclude={"changed"})
    figures["patients"][0]["base"]["dice"] = {"LA": 0.9}
    text = describe_card(card.model_copy(update={"figures": {"verdict": "It helped.", **figures}}))
    assert "It helped." in text
    assert "Dice on" not in text


def test_in_a_second_round_each_figure_before_names_its_model() -> None:
    comparison = Comparison(
        held_out="patients", patients=(PATIENT,), anchor=ANCHOR, in_use="mine-1", started_from="glrp"
    )
    lines = describe_comparison(comparison).splitlines()
    assert lines[0].endswith("0.800 with mine-1, 0.900 now")
    assert lines[1:] == [
        "Dice on test hearts: 0.900 with glrp, 0.899 now",
        "Agreement with glrp on 12 unlabelled slices, where that was sure: 0.980",
    ]
    measures = [row[1] for row in list_rows(comparison)]
    assert measures[-2:] == ["Dice on test hearts, before: glrp", "agreement where it was sure, before: glrp"]


def test_a_card_tells_the_studies_that_its_model_learned_from() -> None:
    labels = tuple(f"{study * 12}-t000-z00{z}" for study in "ab" for z in range(3 if study == "a" else 1))
    text = describe_card(
        Card(name="m", title="Mine", weights_sha256="", labels=labels), {"a" * 64: KnownStudy(name="patient007")}
    )
    assert "Learned from 4 labels: patient007 (3), study bbbbbbbb (1)" in text


def test_a_shipped_card_tells_its_scores_and_whose_they_are() -> None:
    scored = {"mean": {"dice": 0.91, "hd_mm": 10.86}, "LV": {"dice": 0.947, "hd_mm": 6.9}}
    figures = {"step": 2000, "twin": {"ACDC test": scored, "phantoms dice": 0.887}, "Sunnybrook LV dice": 0.92}
    text = describe_card(Card(name="m", title="Mine", weights_sha256="", figures=figures))
    lines = ("Its twin on ACDC test: Dice 0.910, Hausdorff distance 10.9 mm", "Its twin on phantoms: Dice 0.887")
    assert "\n".join(("", *lines, "Sunnybrook LV: Dice 0.920", "")) in text
    assert "step" not in text


def test_patients_compared_are_called_as_their_studies_are() -> None:
    scores = Scores(dice={"LV": 0.8})
    patients = tuple(PatientComparison(study=c * 64, slices=2, base=scores, candidate=scores) for c in "ab")
    known = {"b" * 64: KnownStudy(name="patient007")}
    rows = list_rows(Comparison(held_out="patients", patients=patients), known)
    assert [row[0] for row in rows if row[0]] == ["Patient 1 (aaaaaaaa), 2 slices", "patient007, 2 slices"]
    change = SliceChange(study="b" * 64, frame=0, slice=2, before=0.5, after=0.75)
    assert describe_change(change, known) == "patient007 · frame 1 · slice 3: Dice 0.50 → 0.75"
