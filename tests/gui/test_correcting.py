"""Correcting in the real window: undo over strokes, tools and runs; edited slices are safe; keys and wheel."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from glrp_napari.assessment import measure_reading
from glrp_napari.decisions import Reading
from glrp_napari.effort import read_efforts
from glrp_napari.gui.editing import Run
from glrp_napari.gui.playback import find_frame
from glrp_napari.gui.shortcuts import SHORTCUTS
from glrp_napari.library import list_labels
from glrp_napari.measure import Phases
from glrp_napari.slice_states import SliceState
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes, Surface, Tracks, Vectors
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from tests.gui.conftest import Window, make_cine

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
names = itertools.count()


@pytest.fixture
def study(shared_window: Window) -> Window:
    cine = make_cine(name=f"study {next(names)}")
    cine.images[0, 0, 0, 0] += next(names)  # another study each time, so that no draft is offered
    shared_window.open(cine)
    return shared_window


def frame(value: int) -> np.ndarray:
    return np.full((5, 32, 32), value, np.uint8)


def run(window: Window, value: int, redo_edited: bool = False, model: str = "") -> None:
    window.study.history.begin_run(model)
    for t in range(4):
        window.study.apply_frame(t, frame(value), redo_edited)
    window.study.history.end_run()


def test_a_run_is_one_undo_step_and_takes_the_states_with_it(study: Window) -> None:
    run(study, 2)
    run(study, 3)
    assert (study.study.mask.data == 3).all()
    study.press(Qt.Key.Key_Z, CTRL)
    assert (study.study.mask.data == 2).all()
    assert (study.study.states == SliceState.PREDICTED).all()
    study.press(Qt.Key.Key_Z, CTRL)
    assert not study.study.mask.data.any()
    assert (study.study.states == SliceState.UNTOUCHED).all()
    study.press(Qt.Key.Key_Z, CTRL | SHIFT)
    assert (study.study.mask.data == 2).all()
    assert (study.study.states == SliceState.PREDICTED).all()


def test_strokes_during_a_run_are_kept_and_undone_before_it(study: Window) -> None:
    history, mask = study.study.history, study.study.mask
    mask.brush_size = 3
    history.begin_run()
    study.study.apply_frame(0, frame(2), False)
    study.go(0, 1)
    mask.paint((0, 1, 10, 10), 3)  # on a slice that the run has written
    study.go(1, 1)
    mask.paint((1, 1, 10, 10), 3)  # on one that it is still to write
    study.press(Qt.Key.Key_Z, CTRL)
    mask.paint((1, 1, 10, 10), 1)
    study.study.apply_frame(1, frame(2), False)
    history.end_run()
    assert mask.data[1, 1, 10, 10] == 1
    assert not mask.data[1, 1, 0, 0]
    assert (mask.data[1, 2] == 2).all()
    study.press(Qt.Key.Key_Z, CTRL)
    assert not mask.data[1, 1].any()
    assert mask.data[0, 1, 10, 10] == 3
    study.press(Qt.Key.Key_Z, CTRL)
    assert (mask.data[0] == 2).all()
    study.press(Qt.Key.Key_Z, CTRL)
    assert not mask.data.any()
    assert not study.study.states.any()


def test_a_run_that_redoes_edited_slices_leaves_those_that_were_edited_since_it_began(study: Window) -> None:
    run(study, 2, model="first")
    history, mask, states = study.study.history, study.study.mask, study.study.states
    mask.paint((1, 2, 10, 10), 1)
    history.begin_run("second")
    mask.paint((1, 1, 10, 10), 3)
    mask.paint((1, 3, 10, 10), 3)
    history.undo()
    assert study.study.apply_frame(1, frame(1), True) == 4
    history.end_run()
    assert (mask.data[1, 1, 10, 10], mask.data[1, 1, 0, 0]) == (3, 2), "drawn on what the first model left"
    assert (mask.data[1, 2:4] == 1).all(), "edited before the run, or undone"
    assert states[1].tolist() == [SliceState.PREDICTED, SliceState.EDITED, *3 * [SliceState.PREDICTED]]
    history.undo()
    assert (mask.data[1, 1] == 2).all()
    assert (states[1, 1], history.find_model((1, 1))) == (SliceState.PREDICTED, "first")


def test_the_run_under_way_is_not_undone(study: Window) -> None:
    study.study.history.begin_run()
    study.study.apply_frame(0, frame(2), False)
    study.press(Qt.Key.Key_Z, CTRL)
    assert (study.study.mask.data[0] == 2).all()
    study.study.history.end_run()
    study.press(Qt.Key.Key_Z, CTRL)
    assert not study.study.mask.data.any()


def test_a_stroke_being_drawn_is_not_overwritten(study: Window) -> None:
    history, mask = study.study.history, study.study.mask
    history.begin_run()
    with mask.block_history():
        mask.paint((0, 2, 10, 10), 3)
        study.study.apply_frame(0, frame(2), False)
        assert mask.data[0, 2, 10, 10] == 3
        assert (mask.data[0, 1] == 2).all()
    history.end_run()
    assert study.study.states[0, 2] == SliceState.EDITED
    history.undo()
    assert not mask.data[0, 2].any()
    assert (mask.data[0, 1] == 2).all()


@pytest.mark.parametrize("state", [SliceState.EDITED, SliceState.ACCEPTED, SliceState.CORRECTED])
@pytest.mark.parametrize("redo_edited", [False, True])
def test_a_run_overwrites_a_person_s_slice_only_when_asked(study: Window, state: SliceState, redo_edited: bool) -> None:
    run(study, 2)
    study.study.states[2, 3] = state
    run(study, 3, redo_edited)
    assert (study.study.mask.data[2, 3] == (3 if redo_edited else 2)).all()
    assert (study.study.mask.data[2, 2] == 3).all()
    assert study.study.states[2, 3] == (SliceState.PREDICTED if redo_edited else state)


def test_the_model_s_answer_is_remembered_through_edits_and_goes_back_with_undo(study: Window) -> None:
    opened = study.study
    run(study, 2)
    opened.mask.paint((0, 2, 10, 10), 3)
    opened.mask.paint((0, 2, 20, 20), 1)
    assert (opened.history.find_predicted((0, 2)) == 2).all()
    run(study, 3, redo_edited=True)
    opened.mask.paint((0, 2, 10, 10), 1)
    assert (opened.history.find_predicted((0, 2)) == 3).all()
    for _ in range(2):
        study.press(Qt.Key.Key_Z, CTRL)
    assert (opened.history.find_predicted((0, 2)) == 2).all()
    study.press(Qt.Key.Key_Z, CTRL | SHIFT)
    assert (opened.history.find_predicted((0, 2)) == 3).all()


def test_a_corrected_slice_is_accepted_with_the_model_s_answer(study: Window) -> None:
    run(study, 2)
    study.study.mask.paint((0, 2, 10, 10), 3)
    corrected, accepted = study.study.accept([(0, 2), (0, 1)])
    assert (corrected.before == 2).all()
    assert corrected.mask[10, 10] == 3
    assert accepted.before is None
    for _ in range(2):
        study.study.history.undo()
    study.study.mask.paint((0, 3, 10, 10), 3)
    (drawn,) = study.study.accept([(0, 3)])
    assert drawn.before is None, "no model segmented it"


def test_a_slice_painted_back_to_what_the_model_left_is_no_correction(study: Window) -> None:
    run(study, 2)
    study.study.mask.paint((0, 2, 10, 10), 3)
    study.study.mask.paint((0, 2, 10, 10), 2)
    (accepted,) = study.study.accept([(0, 2)])
    assert (accepted.state, accepted.before) == ("accepted", None)
    assert study.study.states[0, 2] == SliceState.ACCEPTED


def test_a_label_and_its_effort_belong_to_the_model_of_its_frame(study: Window) -> None:
    run(study, 2)
    study.study.segmented_by, study.study.runs = "newer", {0: Run("older"), 1: Run("newer")}
    session = study.dock.workplace.now.session
    study.study.mask.paint((0, 2, 10, 10), 3)
    study.go(0, 2)
    study.press(Qt.Key.Key_K)
    study.settle()
    assert list_labels(session.labels)[-1].model == "older"
    assert read_efforts(session.folder)[-1].model == "older"


@pytest.mark.parametrize("reopened", [False, True])
def test_a_slice_corrected_before_another_model_ran_belongs_to_the_one_it_corrects(
    study: Window, reopened: bool
) -> None:
    run(study, 2, model="older")
    study.study.mask.paint((0, 2, 10, 10), 3)
    run(study, 3, model="newer")
    study.study.segmented_by, study.study.runs = "newer", {0: Run("newer")}
    session, cine = study.dock.workplace.now.session, study.study.cine
    if reopened:
        study.dock.workplace.close_study()
        study.settle()
        study.open(cine)
    before = len(read_efforts(session.folder))
    study.go(0, 2)
    study.dock.correcting.do("accept_frame")
    study.settle()
    labels = {one.slice: one.model for one in list_labels(session.labels) if one.study == study.study.loaded.hash}
    assert labels == {z: "older" if z == 2 else "newer" for z in range(5)}
    efforts = read_efforts(session.folder)[before:] if reopened else read_efforts(session.folder)[-2:]
    found = [(one.model, one.slices, one.changed > 0) for one in efforts if one.slices]
    assert found == [("older", 1, True), ("newer", 4, False)]
    if not reopened:
        assert [one.strokes for one in efforts] == [1, 0]


def test_drawing_on_what_no_model_segmented_is_charged_to_none(study: Window) -> None:
    session = study.dock.workplace.now.session
    before = len(read_efforts(session.folder))
    for x in range(9, 14):
        study.study.mask.paint((0, 2, 10, x), 3)
    study.go(0, 2)
    study.press(Qt.Key.Key_K)
    study.settle()
    assert len(read_efforts(session.folder)) == before
    assert [one.model for one in list_labels(session.labels) if one.study == study.study.loaded.hash] == [None]
    run(study, 2, model="base")
    study.study.mask.paint((1, 2, 10, 10), 3)
    study.go(1, 2)
    study.press(Qt.Key.Key_K)
    study.settle()
    (effort,) = read_efforts(session.folder)[before:]
    assert (effort.model, effort.slices, effort.strokes) == ("base", 1, 1)


def test_a_run_that_changes_nothing_leaves_no_step(study: Window) -> None:
    study.study.history.begin_run()
    study.study.history.end_run()
    assert not study.study.history.can_undo


def test_undo_works_with_the_image_layer_selected_and_leaves_others_alone(study: Window) -> None:
    study.study.mask.paint((0, 2, 10, 10), 3)
    study.viewer.layers.selection.active = study.study.image
    study.press(Qt.Key.Key_Z, CTRL)
    assert not study.study.mask.data.any()
    other = study.viewer.add_labels(np.zeros((32, 32), np.uint8))
    study.study.mask.paint((0, 2, 10, 10), 3)
    study.viewer.layers.selection.active = other
    other.paint((5, 5), 1)
    study.press(Qt.Key.Key_Z, CTRL)
    assert not other.data.any()
    assert study.study.mask.data.any()
    study.viewer.layers.remove(other)


def test_undo_from_the_dock_when_it_has_the_focus(study: Window) -> None:
    study.study.mask.paint((0, 2, 10, 10), 3)
    study.dock.learn.labels.setVisible(True)
    study.dock.segment.button.setFocus()
    QTest.keyClick(study.dock.segment.button, Qt.Key.Key_Z, CTRL)
    assert not study.study.mask.data.any()


def test_tools_go_through_undo_and_mark_the_slice(study: Window) -> None:
    mask, dock = study.study.mask, study.dock
    for level in (0, 4):
        study.go(0, level)
        mask.paint((0, level, 16, 16), 3)
    study.go(0, 2)
    study.press(Qt.Key.Key_J)
    assert mask.data[0, 2, 16, 16] == 3
    assert list(study.study.states[0]) == [SliceState.EDITED] * 5
    study.click(dock.correct.undo)
    assert not mask.data[0, 2].any()
    study.go(0, 1)
    study.press(Qt.Key.Key_U)
    np.testing.assert_array_equal(mask.data[0, 1], mask.data[0, 0])
    study.go(1, 0)
    study.press(Qt.Key.Key_N)
    np.testing.assert_array_equal(mask.data[1, 0], mask.data[0, 0])
    study.go(3, 2)
    study.press(Qt.Key.Key_J)
    assert "on either side" in dock._notice.text.text()


def test_the_mouse_paints_and_stepping_keeps_structure_tool_and_focus(study: Window) -> None:
    study.canvas.setFocus()
    study.click(study.dock.correct.structures[1])
    for key, place in ((Qt.Key.Key_Right, (1, 2)), (Qt.Key.Key_Up, (1, 3)), (Qt.Key.Key_Left, (0, 3))):
        study.press(key)
        assert study.place == place
        assert (study.study.mask.mode, study.study.mask.selected_label) == ("paint", 1)
    assert QApplication.focusWidget() is study.canvas
    study.drag((20, 8), (20, 14))
    assert (study.study.mask.data[0, 3, 20, 8:15] == 1).all()
    assert study.dock.correct.state.text() == "Slice 4, frame 1: edited by you, not yet accepted"
    study.press(Qt.Key.Key_Z, CTRL)
    assert not study.study.mask.data.any()


@pytest.mark.parametrize(("key", "label"), [(Qt.Key.Key_Q, 1), (Qt.Key.Key_W, 2), (Qt.Key.Key_G, 3)])
def test_structure_keys_work_with_the_image_layer_selected(study: Window, key: Qt.Key, label: int) -> None:
    study.viewer.layers.selection.active = study.study.image
    study.press(key)
    assert study.study.mask.selected_label == label
    assert study.viewer.layers.selection.active is study.study.mask


def test_outlines_toggle(study: Window) -> None:
    study.press(Qt.Key.Key_H)
    assert study.study.mask.contour > 0
    assert study.dock.correct.outline.text() == "Show filled"
    study.press(Qt.Key.Key_H)
    assert study.study.mask.contour == 0


def test_wheel_is_slice_and_with_control_zoom(study: Window) -> None:
    def turn(clicks: int, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        where = QPointF(study.canvas.rect().center())
        event = QWheelEvent(
            where,
            study.canvas.mapToGlobal(where),
            QPoint(),
            QPoint(0, 120 * clicks),
            Qt.MouseButton.NoButton,
            modifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(study.canvas, event)
        QApplication.processEvents()

    study.go(1, 2)
    zoom = study.viewer.scene.camera.zoom
    turn(1)
    assert study.place == (1, 3)
    turn(-1)
    turn(-1)
    assert study.place == (1, 1)
    assert study.viewer.scene.camera.zoom == zoom
    turn(1, CTRL)
    assert study.place == (1, 1)
    assert study.viewer.scene.camera.zoom > zoom


def test_space_plays_on_a_fixed_slice_and_stops(study: Window) -> None:
    study.go(0, 1)
    for _round in range(2):
        before = study.place[0]
        study.press(Qt.Key.Key_Space)
        assert study.dock.playback.is_playing
        study.wait(lambda before=before: study.place[0] != before)
        study.press(Qt.Key.Key_Space)
        assert not study.dock.playback.is_playing
        assert study.place[1] == 1


@pytest.mark.parametrize(
    ("passed_ms", "first", "frame"), [(0, 0, 0), (49, 0, 0), (51, 0, 1), (149, 3, 1), (200, 0, 0), (1950, 2, 1)]
)
def test_playing_keeps_the_heart_s_rate(passed_ms: float, first: int, frame: int) -> None:
    assert find_frame(passed_ms, frame_ms=50, first=first, frames=4) == frame


def test_no_key_of_ours_is_napari_s(study: Window) -> None:
    taken: dict[str, str] = {}
    for owner in (Layer, Image, Labels, Points, Shapes, Surface, Tracks, Vectors, ViewerModel):
        for key in owner.class_keymap:
            taken[str(key)] = owner.__name__
    assert "E" in taken
    assert not {str(coerce_keybinding(shortcut.key)) for shortcut in SHORTCUTS} & set(taken)


def test_interpolating_never_replaces_a_slice_a_person_worked_on(study: Window) -> None:
    for z in (1, 2, 3):
        study.study.write_slices({(0, z): np.full((32, 32), z, np.uint8)})
    study.study.go(0, 2)
    study.dock.correcting.do("interpolate")
    assert (study.study.mask.data[0, 2] == 2).all()
    assert "You worked on this slice" in study.dock._notice.text.text()


def test_accepting_a_frame_leaves_out_what_lies_beyond_base_and_apex(study: Window) -> None:
    run(study, 3)
    study.study.measured = measure_reading(
        study.study.cine,
        study.study.mask.data,
        Reading(phases=Phases(0, 2), lv_slices={0: (1, 2), 2: (1, 2)}, rv_slices={0: None, 2: None}),
    )
    study.study.go(0, 2)
    assert study.study.acceptable(whole_frame=True) == [(0, 1), (0, 2)]
    study.study.go(1, 2)
    assert study.study.acceptable(whole_frame=True) == [(1, z) for z in range(5)]


def test_reopening_the_open_study_keeps_what_the_model_had_answered(study: Window) -> None:
    run(study, 1)
    study.study.go(0, 2)
    study.study.write_slices({(0, 2): np.full((32, 32), 3, np.uint8)})
    study.dock.opening.open_layer(study.study.image)
    study.settle()
    answer = study.study.history.find_predicted((0, 2))
    assert answer is not None
    assert (answer == 1).all()


def test_the_model_in_use_is_so_again_in_the_next_window(study: Window) -> None:
    place = study.dock.workplace
    shipped = place.now.models[0]
    mine = replace(shipped, card=shipped.card.model_copy(update={"name": "mine"}))
    place.choose_model("mine")
    study.settle()
    remembered = place.now.session.read_model()
    place.update(model="")
    place._on_listed((shipped, mine), remembered)
    assert place.now.model == "mine"
    place._on_listed((shipped,), remembered)  # it was removed since
    assert place.now.model == shipped.card.name
    place.choose_model(shipped.card.name)
    study.settle()
