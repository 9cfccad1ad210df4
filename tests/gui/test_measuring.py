"""Measuring in the real window: numbers that follow by themselves, the reader's decisions, what opens on demand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from glrp_napari.cine import Body, Cine, Geometry, Mask, Source, Structure
from glrp_napari.decisions import Reading
from glrp_napari.gui import measuring
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.measure_words import describe_rates, describe_sources
from glrp_napari.gui.playback import find_part
from glrp_napari.gui.slice_range import SliceRange, describe_slices, find_ends, find_slices
from glrp_napari.gui.words import describe_finetune
from glrp_napari.library import list_labels
from glrp_napari.library.phases import PHASES, load_phases
from glrp_napari.measure import Phases, measure_function
from glrp_napari.norms import Sex
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from tests.gui.conftest import Window

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
FRAMES, SLICES = 10, 6
names = itertools.count()


def make_beating() -> tuple[Cine, Mask]:
    """A cylinder with RV that is largest in frame 2 and smallest in frame 7; bright blood, grey wall."""
    y, x = np.indices((48, 64)) - np.array([24, 38])[:, None, None]
    planes = []
    for t in range(FRAMES):
        radius = 10 - 4 * np.sin(np.pi * (t - 2) / 10) ** 2
        plane = np.where(np.hypot(y, x + 20) < radius + 3, Structure.RV, 0)
        plane = np.where(np.hypot(y, x) < 12, Structure.MYO, plane)
        planes.append(np.where(np.hypot(y, x) < radius, Structure.LV, plane))
    mask = np.repeat(np.array(planes, np.uint8)[:, None], SLICES, 1)
    images = np.array([100, 900, 300, 900])[mask] + np.arange(64) + next(names)
    geometry = Geometry(spacing_mm=(10.0, 1.5, 1.5))
    times = tuple(90.0 * t for t in range(FRAMES))
    return Cine(images.astype(np.float32), geometry, Source(f"beating {next(names)}"), times), mask


def wait_for_numbers(window: Window) -> None:
    QTest.qWait(5)  # a stroke is told of once the layer has repainted
    window.wait(lambda: not window.dock.measuring.is_pending)
    QApplication.processEvents()


@pytest.fixture
def beating(shared_window: Window) -> Window:
    """A study whose every frame is segmented, measured."""
    open_segmented(shared_window, *make_beating())
    return shared_window


def open_segmented(window: Window, cine: Cine, mask: Mask) -> OpenStudy:
    study = window.open(cine)
    study.history.begin_run()
    for t in range(FRAMES):
        study.apply_frame(t, mask[t], False)
    study.history.end_run()
    window.dock.workplace.changed.emit()
    wait_for_numbers(window)
    return study


def test_numbers_come_by_themselves_and_follow_a_stroke_and_undo(beating: Window) -> None:
    study = beating.study
    expected = measure_function(study.mask.data, study.cine.geometry, rr_ms=study.cine.rr_ms)
    assert study.measured.function.lv == expected.lv
    assert study.phases == Phases(2, 7)
    table = beating.dock.measure.table.text()
    assert f"<b>{expected.lv.edv_ml:.0f}</b>" in table
    assert f"<b>{expected.rv.ef_percent:.0f}</b>" in table
    study.mask.paint((2, 3, 24, 38), 0)
    wait_for_numbers(beating)
    erased = np.count_nonzero(study.mask.data[2] == Structure.LV) * study.cine.geometry.voxel_ml
    assert study.measured.function.lv.edv_ml == pytest.approx(erased, abs=0.01)
    assert erased < expected.lv.edv_ml
    beating.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    wait_for_numbers(beating)
    assert study.measured.function.lv == expected.lv


def test_nothing_is_measured_twice(beating: Window) -> None:
    before = beating.study.measured
    beating.dock.workplace.changed.emit()
    wait_for_numbers(beating)
    assert beating.study.measured is before


def test_what_runs_on_the_gui_thread_is_short(beating: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying, the checksum and all measuring happen in a thread of the background."""
    import threading

    threads = []
    measure = measuring.measure_anew
    monkeypatch.setattr(
        measuring, "measure_anew", lambda *args: threads.append(threading.current_thread()) or measure(*args)
    )
    beating.study.mask.paint((2, 3, 24, 38), 0)
    wait_for_numbers(beating)
    assert threads
    assert threading.main_thread() not in threads


def test_before_segmenting_ed_and_es_are_estimated_from_the_images(shared_window: Window) -> None:
    cine, _mask = make_beating()
    study = shared_window.open(cine)
    shared_window.dock.measure.fold(False)
    ed, es = study.phases
    assert (abs(ed - 2) <= 1, abs(es - 7) <= 1) == (True, True)
    assert shared_window.dock.measure.phases["ed"].text() == f"ED: frame {ed + 1}, estimate"
    shared_window.press(Qt.Key.Key_S, SHIFT)
    assert shared_window.place[0] == es


def test_keys_and_buttons_go_to_ed_and_es(beating: Window) -> None:
    beating.go(0, 4)
    beating.press(Qt.Key.Key_D, SHIFT)
    assert beating.place == (2, 4)
    beating.click(beating.dock.measure.go_es)
    assert beating.place == (7, 4)


def test_the_reader_sets_a_phase_and_takes_it_back(beating: Window) -> None:
    section, before = beating.dock.measure, beating.study.measured.function
    beating.go(0, 2)
    beating.click(section.set_ed)
    wait_for_numbers(beating)
    assert beating.study.reading.phases == Phases(0, None)
    assert section.phases["ed"].text() == "ED: frame 1, yours"
    assert beating.study.measured.function.lv.edv_ml < before.lv.edv_ml
    beating.click(section.undo)
    wait_for_numbers(beating)
    assert beating.study.measured.function == before
    assert beating.dock._notice.text.text() == "Changed under Measure: the frames of ED and ES."


def test_ctrl_z_takes_back_strokes_and_decisions_in_their_order(beating: Window) -> None:
    study, section = beating.study, beating.dock.measure
    beating.go(0, 2)
    beating.click(section.set_ed)
    study.mask.paint((0, 2, 1, 1), 3)
    section.height_box.setValue(180)
    section.height_box.setValue(180)

    def look() -> tuple[int | None, int, float | None]:
        return study.reading.phases.ed, int(study.mask.data[0, 2, 1, 1]), study.reading.height_cm

    moments = [(None, 0, None), (0, 0, None), (0, 3, None), (0, 3, 180)]
    assert look() == moments[-1]
    for moment in reversed(moments[:-1]):
        beating.press(Qt.Key.Key_Z, CTRL)
        assert look() == moment
    for moment in moments[1:]:
        beating.press(Qt.Key.Key_Z, CTRL | SHIFT)
        assert look() == moment
    beating.press(Qt.Key.Key_Z, CTRL)
    beating.dock.measuring.decide(weight_kg=80)
    assert not study.history.can_redo, "who decides anew has nothing to do again"
    beating.press(Qt.Key.Key_Z, CTRL)
    assert look() == (0, 3, None)


def test_a_decision_while_a_run_goes_on_is_taken_back_before_it(beating: Window) -> None:
    study = beating.study
    study.history.begin_run()
    beating.dock.measuring.decide(height_cm=180)
    study.apply_frame(1, np.ones_like(study.mask.data[1]), False)
    beating.dock.correcting.do("undo")
    assert study.reading.height_cm is None
    assert not study.history.can_undo, "the run still goes on"
    study.history.end_run()
    beating.dock.correcting.do("undo")
    assert not (study.mask.data[1] == 1).all()


def test_ctrl_z_works_where_a_number_was_typed(beating: Window) -> None:
    box = beating.dock.measure.height_box
    beating.dock.measure.body_toggle.setChecked(True)
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "180")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert beating.study.reading.height_cm == 180
    box.selectAll()
    QTest.keyClicks(box, "17")
    QTest.keyClick(box, Qt.Key.Key_Z, CTRL)
    assert beating.study.reading.height_cm == 180, "what is being typed is the box's own"
    QTest.keyClick(box, Qt.Key.Key_Escape)
    box.setValue(175)
    for height in (180, None):
        QTest.keyClick(box, Qt.Key.Key_Z, CTRL)
        assert beating.study.reading.height_cm == height
    QTest.keyClick(box, Qt.Key.Key_Z, CTRL | SHIFT)
    assert beating.study.reading.height_cm == 180


def grab(bar: SliceRange, end: int) -> QPoint:
    """Press on the base (0) or the apex (1); where that is."""
    place = bar._handleRect(end).center()
    QTest.mousePress(bar, Qt.MouseButton.LeftButton, pos=place)
    return place


def carry(bar: SliceRange, place: QPoint, slices: int) -> QPoint:
    """Move the mouse, its button down, by so many slices towards the apex; where it is then."""
    place = QPoint(place.x() + slices * (bar.width() - 16) // bar.maximum(), place.y())
    move = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(place), QPointF(bar.mapToGlobal(place)),
        Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(bar, move)
    return place


def drag(bar: SliceRange, end: int, *steps: int) -> None:
    """Drag an end by slices, step by step, and let go."""
    place = grab(bar, end)
    for step in steps:
        place = carry(bar, place, step)
    QTest.mouseRelease(bar, Qt.MouseButton.LeftButton, pos=place)
    QApplication.processEvents()


def test_dragging_the_base_moves_the_volume_and_is_one_step_to_undo(beating: Window) -> None:
    section, before = beating.dock.measure, beating.study.measured.function
    bar, numbers = section.ranges["lv", "ed"], section.numbers["lv", "ed"]
    assert (bar.value(), numbers.text()) == ((0, SLICES), f"1 – {SLICES}")
    drag(bar, 0, 1, 1)
    assert (bar.value(), numbers.text()) == ((2, SLICES), f"3 – {SLICES}")
    wait_for_numbers(beating)
    after = beating.study.measured
    assert after.function.lv.edv_ml == pytest.approx(before.lv.edv_ml * (SLICES - 2) / SLICES, rel=0.001)
    assert (after.function.lv.esv_ml, after.function.rv) == (before.lv.esv_ml, before.rv)
    assert beating.study.reading.lv_slices == {2: (2, SLICES - 1)}
    assert bar.value() == (2, SLICES)
    drag(bar, 1, -1)
    assert beating.study.reading.lv_slices == {2: (2, SLICES - 2)}
    beating.click(section.undo)
    assert (beating.study.reading.lv_slices, bar.value()) == ({2: (2, SLICES - 1)}, (2, SLICES))
    beating.click(section.undo)
    wait_for_numbers(beating)
    assert (bar.value(), beating.study.measured.function) == ((0, SLICES), before)
    assert beating.study.reading.lv_slices == {}, "a drag leaves no step of its own behind"


def test_the_volume_follows_while_the_base_is_still_held(beating: Window) -> None:
    bar, before = beating.dock.measure.ranges["lv", "ed"], beating.study.measured.function.lv
    place = carry(bar, grab(bar, 0), 1)
    wait_for_numbers(beating)
    assert beating.study.measured.function.lv.edv_ml == pytest.approx(before.edv_ml * 5 / 6, rel=0.001)
    place = carry(bar, place, 1)
    wait_for_numbers(beating)
    assert beating.study.measured.function.lv.edv_ml == pytest.approx(before.edv_ml * 4 / 6, rel=0.001)
    assert bar.isSliderDown()
    QTest.mouseRelease(bar, Qt.MouseButton.LeftButton, pos=place)
    assert bar.value() == (2, SLICES)


def test_base_and_apex_are_moved_by_keys_and_not_by_the_wheel(beating: Window) -> None:
    bar = beating.dock.measure.ranges["rv", "es"]
    assert bar.focusPolicy() == Qt.FocusPolicy.TabFocus
    for key, modifier, slices in (
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, (1, SLICES - 1)),
        (Qt.Key.Key_Left, SHIFT, (1, SLICES - 2)),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, (0, SLICES - 2)),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, (0, SLICES - 2)),
        (Qt.Key.Key_Up, Qt.KeyboardModifier.NoModifier, (0, SLICES - 2)),
    ):
        QTest.keyClick(bar, key, modifier)
        assert beating.study.reading.rv_slices == {7: slices}
    wheel = QWheelEvent(
        QPointF(5, 5), QPointF(bar.mapToGlobal(QPoint(5, 5))), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(bar, wheel)
    assert beating.study.reading.rv_slices == {7: (0, SLICES - 2)}
    for _step in range(3):
        beating.click(beating.dock.measure.undo)
    assert beating.study.reading.rv_slices == {}


def test_ends_that_meet_count_no_slice(beating: Window) -> None:
    bar = beating.dock.measure.ranges["rv", "es"]
    drag(bar, 1, 1 - SLICES, -1)
    wait_for_numbers(beating)
    assert beating.study.reading.rv_slices == {7: None}
    assert beating.study.measured.function.rv.esv_ml is None
    assert beating.dock.measure.numbers["rv", "es"].text() == "none"
    QTest.keyClick(bar, Qt.Key.Key_Right, SHIFT)
    assert beating.study.reading.rv_slices == {7: (0, 0)}


@pytest.mark.parametrize(
    ("slices", "apex_first", "ends", "words"),
    [
        ((1, 9), False, (1, 10), "2 – 10"),
        ((1, 9), True, (2, 11), "10 – 2"),
        ((0, 0), True, (11, 12), "1 – 1"),
        (None, True, (0, 0), "none"),
    ],
)
def test_the_base_is_on_the_left_whichever_way_the_stack_goes(
    slices: tuple[int, int] | None, apex_first: bool, ends: tuple[int, int], words: str
) -> None:
    assert find_ends(slices, 12, apex_first) == ends
    assert find_slices(ends, 12, apex_first) == slices
    assert describe_slices(slices, apex_first) == words


def move_base(window: Window) -> int:
    """Drag the base of both ventricles at ED inwards by one; returns the slice that is left out (from 0)."""
    bars = window.dock.measure.ranges
    beyond = bars["lv", "ed"].value()[0]
    for side in ("lv", "rv"):
        drag(bars[side, "ed"], 0, 1)
        wait_for_numbers(window)
        window.settle()
    return beyond


def test_labels_beyond_the_base_are_not_learned_from_while_it_is_set_so(beating: Window) -> None:
    place, learn = beating.dock.workplace, beating.dock.learn

    def list_outside() -> dict[int, bool]:
        return {label.slice: label.outside for label in place.now.labels if label.study == beating.study.loaded.hash}

    beyond = move_base(beating)
    for level in (beyond, 3):
        beating.go(2, level)
        beating.press(Qt.Key.Key_K)
        beating.settle()
    assert list_outside() == {beyond: True, 3: False}
    kept = load_phases(place.now.session.labels)[beating.study.loaded.hash]
    assert [(p.frame, p.first) for p in kept] == [(2, beyond + 1), (7, beyond)], "ED's base was set, ES's was found"
    assert learn.button.text() == describe_finetune(len(place.now.labels) - 1)
    texts = [learn.labels.item(i).text() for i in range(2)]
    assert [text.endswith("outside base and apex") for text in texts] == [False, True], "the latest stands first"
    for _ in range(2):  # the RV's base comes back, then the LV's: one of them is enough
        beating.click(beating.dock.measure.undo)
        wait_for_numbers(beating)
        beating.settle()
        assert list_outside() == {beyond: False, 3: False}
    assert learn.button.text() == describe_finetune(len(place.now.labels))
    assert move_base(beating) == beyond
    assert list_outside() == {beyond: True, 3: False}


def test_phases_and_base_in_the_library_follow_the_reader_and_the_closing(beating: Window) -> None:
    place, measuring, study = beating.dock.workplace, beating.dock.measuring, beating.study
    folder = place.now.session.labels

    def list_kept() -> list[tuple[int, int]]:
        return [(one.frame, one.first) for one in load_phases(folder).get(study.loaded.hash, ())]

    measuring.decide(phases=Phases(3, 6))
    wait_for_numbers(beating)
    beating.settle()
    assert not list_kept(), "no label, nothing to know"
    beating.go(4, 2)
    beating.press(Qt.Key.Key_K)
    beating.settle()
    assert [frame for frame, _first in list_kept()] == [3, 6]
    measuring.decide(phases=Phases(2, 7), lv_slices={2: (2, 3)})
    wait_for_numbers(beating)
    beating.settle()
    assert list_kept()[0] == (2, 2)
    assert list_kept()[1][0] == 7
    measuring.decide(phases=Phases(3, 7))
    place.close_study()
    beating.settle()
    assert [frame for frame, _first in list_kept()] == [3, 7]


def test_body_size_gives_indexed_values_and_ranges(beating: Window) -> None:
    section = beating.dock.measure
    section.height_box.setValue(180)
    section.weight_box.setValue(80)
    section.sex.setCurrentIndex(section.sex.findData("male"))
    section.sex.activated.emit(section.sex.currentIndex())
    wait_for_numbers(beating)
    reading = beating.study.reading
    assert (reading.height_cm, reading.weight_kg, reading.sex) == (180, 80, Sex.MALE)
    assert section.body_toggle.text().startswith("Body surface 2.00 m²")
    assert "ml/m²" in section.table.text()
    assert "48–68" in section.table.text()
    assert "UK Biobank" in section.table.toolTip()
    assert describe_sources(beating.study.measured) == section.table.toolTip()


def test_height_and_weight_of_the_file_fill_the_boxes_until_others_are_typed(beating: Window) -> None:
    section = beating.dock.measure
    cine, mask = make_beating()
    study = open_segmented(beating, replace(cine, body=Body(180.0, 80.0)), mask)
    assert (section.height_box.value(), section.weight_box.value()) == (180, 80)
    assert section.body_toggle.text().startswith("Body surface 2.00 m², from the file")
    assert section.body_source.text() == "From the file: height and weight. What you type stands instead."
    assert study.reading == Reading()
    section.weight_box.setValue(45)
    wait_for_numbers(beating)
    assert section.body_source.text() == "From the file: height. What you type stands instead."
    assert section.body_toggle.text().startswith("Body surface 1.50 m², from the file")
    section.height_box.setValue(0)
    wait_for_numbers(beating)
    assert (section.height_box.value(), section.body_source.text()) == (0, "")
    assert study.measured.function.bsa_m2 is None
    for _step in range(2):
        beating.click(section.undo)
    wait_for_numbers(beating)
    assert (study.reading, study.measured.function.bsa_m2) == (Reading(), 2.0)


def test_a_run_under_way_is_not_measured(beating: Window) -> None:
    before = beating.study.measured
    beating.dock.workplace.update(job="segment")
    beating.study.mask.data[2, 2] = 0
    beating.dock.workplace.changed.emit()
    wait_for_numbers(beating)
    assert beating.study.measured is before
    beating.dock.workplace.update(job="")
    wait_for_numbers(beating)
    assert beating.study.measured is not before


def test_part_of_the_cycle_is_looped(beating: Window) -> None:
    beating.go(0, 2)
    loop = beating.dock.measure.loop
    loop.setCurrentIndex(loop.findData("diastole"))
    loop.activated.emit(loop.currentIndex())
    shown = set()
    beating.viewer.dims.events.current_step.connect(lambda _event: shown.add(beating.place[0]))
    beating.press(Qt.Key.Key_Space)
    beating.wait(lambda: {7, 2} <= shown, 20)
    QTest.qWait(600)
    beating.press(Qt.Key.Key_Space)
    assert shown <= {7, 8, 9, 0, 1, 2}
    loop.activated.emit(0)
    loop.setCurrentIndex(0)
    beating.open(make_beating()[0])
    assert beating.dock.playback._loop == ()


@pytest.mark.parametrize(
    ("first", "last", "frames"),
    [(2, 5, (2, 3, 4, 5)), (8, 1, (8, 9, 0, 1)), (4, 4, (4,)), (0, 9, tuple(range(10)))],
)
def test_parts_go_round_the_cycle(first: int, last: int, frames: tuple[int, ...]) -> None:
    assert find_part(first, last, 10) == frames


def test_mask_flickers_and_opacity_steps(beating: Window) -> None:
    mask = beating.study.mask
    for visible in (False, True):
        beating.press(Qt.Key.Key_H, SHIFT)
        assert mask.visible is visible
    found = []
    for _step in range(3):
        beating.press(Qt.Key.Key_G, SHIFT)
        found.append(round(float(mask.opacity), 2))
    assert found == [0.8, 0.2, 0.45]
    assert not beating.study.history.can_redo


def test_sections_fold_by_their_titles_and_measure_waits_for_a_mask(window: Window) -> None:
    dock = window.dock
    assert not dock.measure.is_open
    assert dock.measure.title.isEnabled()
    window.open(make_beating()[0])
    assert not dock.measure.is_open
    window.click(dock.segment.button)
    window.settle()
    wait_for_numbers(window)
    assert dock.measure.is_open
    window.click(dock.measure.title)
    assert not dock.measure.body.isVisibleTo(dock)
    window.study.mask.paint((0, 2, 10, 10), 3)
    window.settle()
    assert not dock.measure.is_open
    window.click(dock.study.title)
    window.open(make_beating()[0])
    assert not dock.study.is_open
    assert dock.study.title.text() == "▸ Study"


def test_the_figures_open_on_demand_and_stay_true(beating: Window) -> None:
    dock = beating.dock
    assert dock.figures.window is None or not dock.figures.window.isVisible()
    beating.click(dock.measure.figures)
    shown = dock.figures.window
    assert shown.isVisible()
    assert shown.rates.text() == describe_rates(beating.study.measured)
    assert "peak ejection" in shown.rates.text()
    beating.study.mask.paint((2, 3, 24, 38), 0)
    wait_for_numbers(beating)
    assert shown.shown is beating.study.measured
    beating.open(make_beating()[0])
    assert not shown.isVisible()


def send_mouse(canvas: object, name: str, axes: object, x: float, y: float) -> None:
    from matplotlib.backend_bases import MouseEvent

    canvas.draw()
    across, down = axes.transData.transform((x, y))
    canvas.callbacks.process(name, MouseEvent(name, canvas, across, down, button=1))


def test_a_click_on_the_montage_goes_there(beating: Window) -> None:
    beating.click(beating.dock.measure.montage)
    window = beating.dock.figures.window
    tile = next(tile for tile in window._montage.tiles if (tile.frame, tile.slice) == (7, 4))
    axes = window.montage.figure.axes[0]
    send_mouse(window.montage, "button_press_event", axes, tile.left + tile.width / 2, tile.top + tile.height / 2)
    assert beating.place == (7, 4)


def test_insertion_points_are_dragged(beating: Window) -> None:
    beating.dock.figures.show("wall")
    wall = beating.dock.figures.window.wall
    (axes, handles), *_ = wall.handles.items()
    before = beating.study.measured
    assert handles.frame == 2
    assert handles.angles["anterior"] == before.insertions[2].anterior_deg
    across, down = handles.middle
    send_mouse(wall, "button_press_event", axes, *handles.place("anterior"))
    send_mouse(wall, "motion_notify_event", axes, across, down - 40)
    send_mouse(wall, "button_release_event", axes, across, down - 40)
    wait_for_numbers(beating)
    given = beating.study.reading.insertions[2]
    assert given.anterior_deg == pytest.approx(-90, abs=2)
    assert given.inferior_deg == before.insertions[2].inferior_deg
    assert beating.study.measured.segments != before.segments
    assert beating.study.measured.function == before.function
    assert wall.handles[next(iter(wall.handles))].angles["anterior"] == given.anterior_deg
    beating.dock.figures.window.activateWindow()
    assert QTest.qWaitForWindowActive(beating.dock.figures.window, 3000)
    QTest.keyClick(wall, Qt.Key.Key_Z, CTRL)
    wait_for_numbers(beating)
    assert beating.study.measured.insertions == before.insertions


def test_a_typed_heart_rate_is_part_of_the_reading(beating: Window) -> None:
    unknown = replace(make_beating()[0], frame_ms=None)
    study = beating.open(unknown)
    beating.dock.workplace.set_heart_rate(60)
    assert study.reading.heart_rate_bpm == 60
    beating.dock.measuring.decide(height_cm=170)
    beating.dock.workplace.set_heart_rate(75)
    beating.dock.correcting.do("undo")
    assert (study.reading.height_cm, study.reading.heart_rate_bpm) == (None, 75)


def test_a_damaged_file_of_phases_keeps_no_slice_from_being_accepted(beating: Window) -> None:
    folder = beating.dock.workplace.now.session.labels
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PHASES).write_text("[]")
    beating.go(4, 2)
    beating.press(Qt.Key.Key_K)
    beating.settle()
    assert (4, 2) in {(label.frame, label.slice) for label in list_labels(folder)}
    assert PHASES in beating.dock._notice.text.text()
    (folder / PHASES).unlink()
