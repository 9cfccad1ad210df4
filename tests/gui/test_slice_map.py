"""The slice-by-phase map: colours, the mark, clicks and tooltips, and that drawing it costs nothing to speak of."""

import time

import numpy as np
import pytest
from glrp_napari.gui.slice_map import COLOURS, SliceGrid, make_picture
from glrp_napari.gui.snapshot import StudyShown
from glrp_napari.slice_states import SliceState
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from tests.gui.conftest import Window, make_cine


def shown(states: np.ndarray, frame: int = 0, level: int = 0) -> StudyShown:
    frames, slices = states.shape
    raw = states.astype(np.uint8).tobytes()
    return StudyShown("s", "", (), "", frames, slices, frame=frame, slice=level, states=raw)


def make_grid(frames: int, slices: int, width: int = 310) -> SliceGrid:
    grid = SliceGrid()
    states = np.arange(frames * slices).reshape(frames, slices) % len(SliceState)
    grid.show_study(shown(states))
    grid.resize(width, grid.sizeHint().height())
    return grid


@pytest.mark.parametrize(("frames", "slices"), [(1, 1), (25, 9), (60, 20), (1, 20), (200, 60)])
def test_every_cell_finds_itself_and_the_grid_stays_small(qapp: QApplication, frames: int, slices: int) -> None:
    grid = make_grid(frames, slices)
    assert grid.sizeHint().height() <= 102
    for frame, level in ((0, 0), (frames - 1, slices - 1), (frames // 2, slices // 3)):
        assert grid.find_cell(*grid.find_centre(frame, level)) == (frame, level)
    assert grid.find_cell(-5, 2) is None


def test_each_state_has_its_colour_where_it_belongs(qapp: QApplication) -> None:
    states = np.zeros((4, 3), np.uint8)
    for z, state in enumerate((SliceState.EDITED, SliceState.ACCEPTED, SliceState.CORRECTED)):
        states[2, z] = state
    picture = make_picture(states.tobytes(), 4, 3)
    for z, state in enumerate((SliceState.EDITED, SliceState.ACCEPTED, SliceState.CORRECTED)):
        assert picture.pixelColor(2, z) == QColor(COLOURS[state])
    assert picture.pixelColor(1, 1) == QColor(COLOURS[SliceState.UNTOUCHED])
    assert len(set(COLOURS.values())) == len(SliceState)


def test_stepping_through_a_large_study_draws_in_no_time(qapp: QApplication) -> None:
    grid = make_grid(60, 20)
    grid.show()
    states = np.ones((60, 20), np.uint8)
    started = time.process_time()
    for frame in range(60):
        states[frame, 3] = SliceState.EDITED
        grid.show_study(shown(states, frame, 3))
        grid.repaint()
    assert (time.process_time() - started) / 60 < 0.02
    grid.close()


def test_a_click_jumps_and_the_tooltip_says_what_is_there(window: Window) -> None:
    dock = window.dock
    assert not dock.slice_map.isVisibleTo(dock)
    study = window.open(make_cine())
    assert dock.slice_map.isVisibleTo(dock)
    grid = dock.slice_map.grid
    study.history.begin_run()
    study.apply_frame(3, np.full((5, 32, 32), 2, np.uint8), False)
    study.history.end_run()
    study.mask.paint((3, 4, 9, 9), 3)
    window.settle()
    spot = QPointF(*grid.find_centre(3, 4)).toPoint()
    assert grid.describe(spot.x(), spot.y()) == "Slice 5, frame 4: edited by you, not yet accepted"
    QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=spot)
    QApplication.processEvents()
    assert window.place == (3, 4)
    window.press(Qt.Key.Key_K)
    window.settle()
    assert grid.describe(spot.x(), spot.y()) == "Slice 5, frame 4: corrected and accepted"
    one = QPointF(*grid.find_centre(3, 1)).toPoint()
    assert grid.describe(one.x(), one.y()) == "Slice 2, frame 4: segmented by the model"
    assert QTest.mouseClick(grid, Qt.MouseButton.LeftButton, pos=QPoint(grid.width() - 1, 0)) is None
    assert window.place == (3, 4), "beside the grid nothing happens"
    window.go(1, 2)
    assert grid.grab().toImage().pixelColor(*[round(v) for v in grid.find_centre(3, 4)]) == QColor(
        COLOURS[SliceState.CORRECTED]
    )
