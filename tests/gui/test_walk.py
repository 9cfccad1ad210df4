"""The main job in the real window, a worker's double behind it: open, segment, paint, accept, fine-tune, use, again."""

from pathlib import Path

import numpy as np
import pytest
from glrp_napari import models
from glrp_napari.library import list_labels
from glrp_napari.messages import Validated
from glrp_napari.slice_states import SliceState
from qtpy.QtCore import Qt
from tests.gui.conftest import Window, close_window, make_cine, make_window


def primaries(window: Window) -> list[str]:
    dock = window.dock
    learn = dock.learn
    buttons = (dock.study.open_button, dock.segment.button, dock.correct.accept_slice, learn.button)
    return [button.text() for button in buttons if button.property("primary") and button.isEnabled()]


def test_the_whole_walk(window: Window) -> None:
    dock, place = window.dock, window.dock.workplace
    assert primaries(window) == ["Open…"]
    study = window.open(make_cine())
    assert dock.study.line.text() == "4 frames × 5 slices, 1.25 × 1.50 × 8.0 mm, RR 200 ms"
    assert window.place == (0, 2)
    assert primaries(window) == ["Segment volume"]

    window.click(dock.segment.button)
    window.settle()
    assert (study.states == SliceState.PREDICTED).all()
    assert study.mask.data[3, 4, 8, 8] == 3
    window.wait(lambda: "ED" in dock.segment.result.text())
    assert primaries(window) == ["Accept slice"]

    window.press(Qt.Key.Key_Q)
    window.drag((20, 20), (22, 22))
    assert study.mask.data[0, 2, 20, 20] == 1
    assert study.states[0, 2] == SliceState.EDITED
    window.press(Qt.Key.Key_K)
    window.settle()
    assert study.states[0, 2] == SliceState.CORRECTED
    assert dock.learn.button.text() == "Fine-tune on my 1 label"
    assert primaries(window) == ["Fine-tune on my 1 label"]

    window.click(dock.learn.button)
    window.settle()
    assert "my-labels-1 is in use now. It helped: Dice 0.800 before, 0.900 now" in dock.learn.outcome.text()
    assert place.now.model == "my-labels-1"
    assert [model.card.name for model in place.now.models] == ["base", "my-labels-1"]
    assert primaries(window) == ["Segment volume"]

    study.states[:] = SliceState.EDITED
    window.click(dock.segment.button)
    window.settle()
    assert "every slice" in dock._notice.text.text()
    study.states[:] = SliceState.PREDICTED
    study.states[0, 2] = SliceState.CORRECTED
    painted = study.mask.data[0, 2].copy()
    window.click(dock.segment.button)
    window.settle()
    np.testing.assert_array_equal(study.mask.data[0, 2], painted)
    assert [label.state for label in list_labels(place.now.session.labels)] == ["corrected"]


def test_a_run_that_leaves_the_frame_on_screen_out_shows_one_that_it_did(window: Window) -> None:
    study = window.open(make_cine())
    scope = window.dock.segment.scope
    scope.setCurrentIndex(scope.findData("ed-es"))
    assert window.place == (0, 2)
    window.click(window.dock.segment.button)
    window.settle()
    assert window.place == (1, 2)
    assert study.states[1, 2] == SliceState.PREDICTED
    assert primaries(window) == ["Accept slice"]

    study.go(3, 4)
    window.click(window.dock.segment.button)
    window.settle()
    assert window.place == (3, 4), "what is on screen was segmented: nothing to turn to"


def test_what_validation_finds_is_shown_while_it_trains(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "find_resources", lambda: model_folder)
    window = make_window(tmp_path, "slow")
    learn = window.dock.learn
    window.open(make_cine())
    window.press(Qt.Key.Key_G)
    window.drag((20, 8), (20, 14))
    window.press(Qt.Key.Key_K)
    window.settle()
    assert not learn.validation.isVisibleTo(window.dock)
    window.click(learn.button)
    window.wait(lambda: learn.findings.isVisibleTo(window.dock))  # an LV without a wall
    window.click(learn.findings.go_on)
    window.wait(lambda: learn.validation.isVisibleTo(window.dock))
    assert learn.validation.text() == "Dice 0.800 on slices kept apart, after 1 step (RV 0.70, LV 0.90)"
    window.settle()
    assert not learn.validation.isVisibleTo(window.dock)
    close_window(window)


def test_the_first_slice_before_and_now_is_scrolled_into_view_once(window: Window, tmp_path: Path) -> None:
    window.open(make_cine())
    dock, learn = window.dock, window.dock.learn
    plane = np.zeros((24, 24), np.uint8)
    np.savez(tmp_path / "look.npz", image=plane, label=plane, before=plane, after=plane, pixel_mm=np.array([1.5, 1.5]))
    found = Validated(step=10, dice={"LV": 0.9, "mean": 0.9}, picture=tmp_path / "look.npz")
    assert learn.pictures[0].visibleRegion().isEmpty()
    dock.learning.validated.emit(found)
    window.wait(lambda: not learn.pictures[0].visibleRegion().isEmpty())
    bar = dock._scroll.verticalScrollBar()
    bar.setValue(0)
    dock.learning.validated.emit(found)
    window.settle()
    assert bar.value() == 0, "where the user scrolled to, it stays"


def test_the_options_of_segmenting_are_so_again_in_the_next_window(window: Window, tmp_path: Path) -> None:
    section, place = window.dock.segment, window.dock.workplace
    section.toggle.setChecked(True)
    section.crf.click()
    section.device.setCurrentIndex(section.device.findData("cpu"))
    section.device.activated.emit(section.device.currentIndex())
    window.settle()
    assert (section.choice().crf, section.choice().device) == (True, "cpu")
    again = make_window(place.now.session.folder)
    choice = again.dock.segment.choice()
    close_window(again)
    assert (choice.crf, choice.device) == (True, "cpu")
    place.change_session(tmp_path / "another")
    window.settle()
    assert (section.choice().crf, section.choice().device) == (False, "auto")
