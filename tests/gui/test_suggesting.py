"""The next suggestion and the ledger of effort in the real window, by key and by button."""

import numpy as np
import pytest
from glrp_napari.cine import Structure
from glrp_napari.effort import read_efforts, sum_by_model
from glrp_napari.gui.effort_window import EffortCurve, EffortWindow
from glrp_napari.gui.snapshot import StudyShown
from glrp_napari.gui.words import describe_suggestion
from glrp_napari.slice_states import SliceState
from glrp_napari.suggest import Suggestion
from qtpy.QtCore import Qt
from tests.gui.conftest import Window, make_cine

SHIFT = Qt.KeyboardModifier.ShiftModifier


def segment(window: Window) -> None:
    window.click(window.dock.segment.button)
    window.settle()


def next_by_key(window: Window) -> tuple[int, int]:
    window.press(Qt.Key.Key_N, SHIFT)
    window.settle()
    return window.place


def test_one_key_goes_from_suggestion_to_suggestion(window: Window) -> None:
    dock = window.dock
    study = window.open(make_cine())
    assert not dock.correct.suggest.isEnabled()
    segment(window)
    assert study.left_by_run is not None
    assert study.left_by_run.embedding is not None
    assert study.left_by_run.embedding.any((1, 2)).all()

    first = next_by_key(window)
    assert dock.correct.why.text().startswith(("LV", "Myocardium"))
    assert f"frame {first[0] + 1}: " in dock.correct.why.text()
    assert window.viewer.layers.selection.active is study.mask
    assert study.states[first] == SliceState.PREDICTED
    window.go((first[0] + 1) % 4, first[1])
    assert dock.correct.why.text() == ""

    window.click(dock.correct.suggest)
    window.settle()
    assert window.place != first
    accepted = window.place
    window.press(Qt.Key.Key_K)
    window.settle()
    study.states[0] = SliceState.EDITED
    seen = {next_by_key(window) for _ in range(6)}
    assert len(seen) == 6
    assert not seen & {first, accepted}
    assert all(study.states[place] == SliceState.PREDICTED for place in seen)


def test_when_all_were_shown_it_says_so_and_begins_again(window: Window) -> None:
    study = window.open(make_cine(frames=1, slices=3))
    segment(window)
    places = [next_by_key(window) for _ in range(3)]
    assert sorted(places) == [(0, 0), (0, 1), (0, 2)]
    next_by_key(window)
    assert "No more suggestions" in window.dock._notice.text.text()
    assert next_by_key(window) == places[0]
    study.history.undo()
    next_by_key(window)
    assert "segment the volume first" in window.dock._notice.text.text()


def test_a_mask_without_a_run_has_no_suggestions_and_says_so(window: Window) -> None:
    study = window.open(make_cine())
    study.write_slices({(0, 1): np.full((32, 32), 3, np.uint8)}, SliceState.PREDICTED)
    next_by_key(window)
    assert "Run Segment again to get suggestions" in window.dock._notice.text.text()


def test_another_network_s_view_begins_anew(window: Window) -> None:
    study = window.open(make_cine())
    doubt = np.full((5, 32, 32), 0.5, np.float16)
    study.keep_view(0, doubt, np.ones((5, 8), np.float32))
    study.keep_view(1, doubt, np.ones((5, 16), np.float32))
    assert study.left_by_run is not None
    assert study.left_by_run.embedding is not None
    assert study.left_by_run.embedding.shape == (4, 5, 16)
    assert not study.left_by_run.embedding[0].any()
    assert study.left_by_run.uncertainty[:2].all()


def test_effort_is_written_down_at_each_accept_and_shown(window: Window) -> None:
    dock, place = window.dock, window.dock.workplace
    study = window.open(make_cine())
    segment(window)
    window.press(Qt.Key.Key_Q)
    window.drag((20, 20), (22, 22))
    window.press(Qt.Key.Key_K)
    window.settle()
    folder = place.now.session.folder
    changed = int((study.mask.data[0, 2] == Structure.RV).sum())
    (effort,) = read_efforts(folder)
    assert changed > 0
    assert (effort.study, effort.model, effort.slices) == (study.loaded.hash, "base", 1)
    assert (effort.changed, effort.strokes) == (changed, 1)
    assert 0 < effort.active_s < 60

    window.drag((26, 20), (26, 22))
    window.press(Qt.Key.Key_K)
    window.settle()
    now = int((study.mask.data[0, 2] == Structure.RV).sum())
    (sums,) = sum_by_model(read_efforts(folder))
    assert (sums.slices, sums.changed, sums.strokes) == (1, now, 2), "a slice corrected twice counts once"
    window.go(1, 1)
    window.press(Qt.Key.Key_K)
    window.settle()
    assert read_efforts(folder)[-1].changed == 0, "accepted as it was"

    window.click(dock.learn.effort)
    window.settle()
    (shown,) = dock.findChildren(EffortWindow)
    assert shown.isVisible()
    assert shown.findChildren(EffortCurve)[0]._values == [now / 2]
    shown.close()
    window.drag((5, 20), (5, 22))
    place.close_study()
    window.settle()
    last = read_efforts(folder)[-1]
    assert (last.slices, last.changed, last.strokes) == (0, 0, 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "RV base, frame 9: uncertain, 14 % of its volume"),
        (
            {"cause": "flickers", "region": "middle"},
            "RV middle, frame 9: jumps from frame to frame, 14 % of its volume",
        ),
        ({"structure": None, "cause": "may end here"}, "Empty slice, base, frame 9: unsure where it ends"),
        ({"slice": 3}, ""),
    ],
)
def test_why_in_words(changes: dict[str, object], sentence: str) -> None:
    facts = {"study": 0, "frame": 8, "slice": 1, "score": 0.1, "structure": Structure.RV, "share": 0.141}
    suggestion = Suggestion(**(facts | {"region": "base", "cause": "uncertain"} | changes))  # type: ignore[arg-type]
    study = StudyShown(name="s", line="", warnings=(), hash="", frames=12, slices=5, frame=8, slice=1)
    assert describe_suggestion(suggestion, study) == sentence
