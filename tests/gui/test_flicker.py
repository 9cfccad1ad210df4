"""Seeing by a key what the last run changed: the mask before it and the mask as it is, in turn."""

import itertools

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from tests.gui.conftest import Window, make_cine

SHIFT = Qt.KeyboardModifier.ShiftModifier
names = itertools.count()


@pytest.fixture
def study(shared_window: Window) -> Window:
    cine = make_cine(name=f"flicker {next(names)}")
    cine.images[0, 0, 0, 0] += 0.25 + next(names)  # another study each time, so that no draft is offered
    shared_window.open(cine)
    return shared_window


def run(window: Window, value: int) -> None:
    window.study.history.begin_run()
    for t in range(4):
        window.study.apply_frame(t, np.full((5, 32, 32), value, np.uint8), redo_edited=False)
    window.study.history.end_run()


def find_shown(window: Window) -> list[Labels]:
    return [layer for layer in window.viewer.layers if isinstance(layer, Labels) and layer.visible]


def flick(window: Window) -> None:
    window.press(Qt.Key.Key_X, SHIFT)


def test_the_key_shows_the_mask_before_the_last_run_and_the_mask_as_it_is_in_turn(study: Window) -> None:
    run(study, 2)
    run(study, 3)
    flick(study)
    (before,) = find_shown(study)
    assert before is not study.study.mask
    assert (before.data == 2).all()
    assert study.viewer.canvas.overlays.text.visible
    flick(study)
    assert find_shown(study) == [study.study.mask]
    assert (study.study.mask.data == 3).all()
    assert not study.viewer.canvas.overlays.text.visible


def test_slices_the_run_left_alone_are_the_same_in_both(study: Window) -> None:
    run(study, 2)
    study.study.write_slices({(1, 2): np.full((32, 32), 1, np.uint8)})
    run(study, 3)
    flick(study)
    (before,) = find_shown(study)
    assert (before.data[1, 2] == 1).all()
    assert (before.data[1, 1] == 2).all()
    flick(study)


def test_a_first_run_has_nothing_to_be_compared_with_and_that_is_said(study: Window) -> None:
    run(study, 2)
    flick(study)
    assert find_shown(study) == [study.study.mask]
    assert "No run has replaced a mask" in study.dock._notice.text.text()


def test_the_earlier_mask_is_for_looking_only(study: Window) -> None:
    run(study, 2)
    run(study, 3)
    study.study.mask.mode, study.study.mask.selected_label = "paint", 1
    flick(study)
    study.drag((10, 10), (10, 14))
    assert (find_shown(study)[0].data == 2).all()
    assert (study.study.mask.data == 3).all()
    flick(study)
    study.drag((10, 10), (10, 14))
    assert study.study.mask.data[*study.place, 10, 12] == 1


def test_closing_the_study_takes_the_earlier_mask_with_it(study: Window) -> None:
    run(study, 2)
    run(study, 3)
    flick(study)
    study.dock.workplace.close_study()
    assert not [layer for layer in study.viewer.layers if isinstance(layer, Labels)]
    assert not study.viewer.canvas.overlays.text.visible
