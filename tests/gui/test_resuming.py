"""A study closed in good order is, when it is opened again, what it was; only a crash leaves a question."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from glrp_napari.autosave import Slots
from glrp_napari.cine import Cine, hash_study
from glrp_napari.decisions import Reading
from glrp_napari.drafts import StudyDrafts
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.ending import Ending
from glrp_napari.measure import Phases
from glrp_napari.reading import read_cine
from glrp_napari.slice_states import SliceState
from glrp_napari.writing.masks import write_images
from tests.gui.conftest import Window, make_cine

numbers = itertools.count(1)
READING = Reading(phases=Phases(1, 3), lv_slices={1: (1, 3)}, height_cm=170.0, weight_kg=70.0)


@pytest.fixture
def cine() -> Cine:
    """Another study each time."""
    cine = make_cine(name=f"resumed {(number := next(numbers))}")
    cine.images[0, 0, 2, 0] += 5 * number
    return cine


def close(window: Window) -> None:
    window.dock.workplace.close_study()
    window.settle()


def test_closing_and_reopening_restores_mask_states_decisions_view_and_model(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    study = window.open(cine)
    study.history.write({(1, 1): np.full((32, 32), 2, np.uint8)}, SliceState.PREDICTED)
    study.mask.paint((1, 2, 9, 9), 3)
    study.reading, study.segmented_by = READING, "base"
    window.go(3, 4)
    mask, states = study.mask.data.copy(), study.states.copy()
    close(window)
    again = window.open(cine)
    assert again is not study
    assert np.array_equal(again.mask.data, mask)
    assert np.array_equal(again.states, states)
    assert (again.reading, again.segmented_by, again.place) == (READING, "base", (3, 4))
    assert not window.dock.study.draft.isVisibleTo(window.dock)
    close(window)


def test_steps_can_be_taken_back_after_reopening_as_before_it(shared_window: Window, cine: Cine) -> None:
    """A run, a stroke, a decision, a stroke in another slice and a tool; one step was taken back before closing."""
    window = shared_window
    study = window.open(cine)
    looks = []

    def look(opened: OpenStudy) -> tuple[bytes, bytes, Reading, object]:
        answer = opened.history.find_predicted((1, 2))
        return (
            opened.mask.data.tobytes(),
            opened.states.tobytes(),
            opened.reading,
            None if answer is None else answer.sum(),
        )

    def do(act: Callable[[], object]) -> None:
        looks.append(look(study))
        act()

    def run() -> None:
        study.history.begin_run()
        for frame in range(3):
            study.apply_frame(frame, np.full((5, 32, 32), 2, np.uint8), False)
        study.history.end_run()

    do(run)
    do(lambda: study.mask.paint((1, 2, 9, 9), 3))
    do(lambda: study.history.decide(READING))
    do(lambda: study.mask.paint((0, 3, 20, 20), 1))
    do(lambda: study.write_slices({(1, 2): np.ones((32, 32), np.uint8)}))
    now = look(study)
    study.mask.paint((2, 2, 5, 5), 1)
    study.history.undo()
    close(window)

    again = window.open(cine)
    assert again.mask is not study.mask
    assert look(again) == now
    for before in reversed(looks):
        assert again.history.undo() is not None
        assert look(again) == before
    assert not again.history.can_undo
    for after in (*looks[1:], now):
        again.history.redo()
        assert look(again) == after
    close(window)


def test_damaged_steps_are_dropped_and_the_work_stays(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    window.open(cine).mask.paint((1, 2, 9, 9), 3)
    close(window)
    (path,) = window.dock.workplace.now.session.drafts.glob(f"{hash_study(cine)[:12]}-*.steps")
    path.write_bytes(path.read_bytes()[:-9])
    again = window.open(cine)
    assert again.mask.data[1, 2, 9, 9] == 3
    assert not again.history.can_undo
    close(window)


def test_opening_the_open_study_again_loses_nothing(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    window.open(cine).mask.paint((0, 2, 9, 9), 3)
    twin = Cine(cine.images, cine.geometry, cine.source, cine.frame_ms)
    assert window.open(twin).mask.data[0, 2, 9, 9] == 3
    close(window)


def test_a_segmentation_nobody_corrected_is_there_again(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    window.open(cine).history.write({(0, 2): np.ones((32, 32), np.uint8)}, SliceState.PREDICTED)
    close(window)
    assert window.open(cine).states[0, 2] == SliceState.PREDICTED
    close(window)


def test_a_study_only_looked_at_leaves_nothing(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    name = window.open(cine).loaded.hash
    close(window)
    assert not list(window.dock.workplace.now.session.drafts.glob(f"{name[:12]}-*"))


def test_fault_1_what_a_crash_left_is_offered_over_the_study_as_it_was_closed(
    shared_window: Window, cine: Cine
) -> None:
    window = shared_window
    window.open(cine).mask.paint((0, 2, 9, 9), 3)
    close(window)
    study = window.open(cine)
    study.mask.paint((0, 2, 20, 20), 1)
    study.reading = READING
    window.dock.drafting.save()
    window.settle()
    folder = window.dock.workplace.now.session.drafts
    left = {path: path.read_bytes() for path in folder.iterdir()}
    close(window)
    for path in folder.iterdir():
        path.unlink()
    for path, data in left.items():
        path.write_bytes(data)
    study = window.open(cine)
    assert window.dock.study.draft.isVisibleTo(window.dock)
    assert (study.mask.data[0, 2, 9, 9], study.mask.data[0, 2, 20, 20]) == (3, 0)
    window.click(window.dock.study.restore)
    window.settle()
    assert (study.mask.data[0, 2, 9, 9], study.mask.data[0, 2, 20, 20], study.reading) == (3, 1, READING)
    window.dock.correcting.do("undo")
    assert (study.mask.data[0, 2, 9, 9], study.mask.data[0, 2, 20, 20], study.reading) == (3, 0, Reading())
    close(window)


def test_fault_29_of_two_closings_a_damaged_newer_one_leaves_the_one_before(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    name = window.open(cine).loaded.hash
    window.study.mask.paint((0, 2, 9, 9), 3)
    close(window)
    window.open(cine)
    window.study.mask.paint((0, 2, 9, 20), 3)
    close(window)
    folder = window.dock.workplace.now.session.drafts
    records = Slots(folder, name).read()
    newest = max(records, key=lambda slot: records[slot].counter)
    (folder / f"{name[:12]}-{newest}.nii.gz").write_bytes(b"damaged")
    study = window.open(cine)
    assert (study.mask.data[0, 2, 9, 9], study.mask.data[0, 2, 9, 20]) == (3, 0)
    close(window)


def test_a_decision_alone_is_kept_within_seconds(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    study = window.open(cine)
    study.reading = READING
    window.dock.workplace.changed.emit()
    window.dock.drafting.save()
    window.settle()
    (record,) = Slots(window.dock.workplace.now.session.drafts, study.loaded.hash).read().values()
    assert (record.reading, record.closed) == (READING, False)
    close(window)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_case_93_a_read_only_session_folder_is_refused_before_work_starts(window: Window, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    _refuses(window, locked)


def test_case_94_a_session_folder_that_cannot_be_is_refused_before_work_starts(window: Window, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    _refuses(window, tmp_path / "file" / "session")


def _refuses(window: Window, folder: Path) -> None:
    before = window.dock.workplace.now.session
    window.dock.files.change_session(folder)
    window.settle()
    assert window.dock.workplace.now.session == before
    assert "nothing can be written there" in window.dock._notice.text.text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_fault_27_sigterm_saves(tmp_path: Path, model_folder: Path) -> None:
    cine, file, session = make_cine(), tmp_path / "study.nii.gz", tmp_path / "session"
    write_images(file, cine.images, cine)
    command = [sys.executable, str(Path(__file__).with_name("crash_child.py")), str(file), str(session)]
    path = os.pathsep.join((str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")))
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    assert child.stdout is not None
    assert "saved" in iter(child.stdout.readline, "").__next__()
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0
    cine = read_cine(file)
    drafts = StudyDrafts(session / "drafts", hash_study(cine))
    assert drafts.load_offered(cine) is None
    found = drafts.load_closed(cine)
    assert found is not None
    assert (found.mask[0, 2, 20, 8:15] == 3).all()


def test_somebody_elses_sigterm_handler_stays() -> None:
    before = signal.getsignal(signal.SIGTERM)
    mine = lambda *_: None  # noqa: E731
    signal.signal(signal.SIGTERM, mine)
    try:
        Ending()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
