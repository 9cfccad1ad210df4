"""The one obvious next step, and the window's sentences: pure functions as tables."""

from pathlib import Path

import pytest
from glrp_napari.comparison import Comparison
from glrp_napari.gui import words
from glrp_napari.gui.snapshot import Snapshot, StudyShown, choose_next
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
