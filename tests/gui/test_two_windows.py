"""Two windows with one session folder: neither overwrites or removes what the other has saved."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from glrp_napari.gui.layers import image_options
from glrp_napari.library import accept_slice, claim_library, list_labels
from glrp_napari.library.label_files import find_file
from tests.gui.conftest import Window, close_window, make_cine, make_window


@pytest.fixture
def other(window: Window) -> Iterator[Window]:
    """A second window with the session folder of the first."""
    other = make_window(window.dock.workplace.now.session.folder)
    yield other
    close_window(other)


def paint(window: Window, x: int) -> None:
    """A stroke, and its draft on disk."""
    window.study.mask.brush_size = 1
    window.study.mask.paint((0, 2, 9, x), 3)
    window.dock.drafting.save()
    window.settle()


def close(window: Window) -> None:
    window.dock.workplace.close_study()
    window.settle()


def is_offered(window: Window) -> bool:
    return window.dock.study.draft.isVisibleTo(window.dock)


def find_painted(window: Window) -> list[int]:
    return np.flatnonzero(window.study.mask.data[0, 2, 9]).tolist()


def crash(window: Window, folder: Path) -> Path:
    """The session folder as it would be if every window ended now."""
    session = window.dock.workplace.now.session
    return shutil.copytree(session.drafts, folder / "drafts").parent


def open_answers(session: Path) -> list[list[int]]:
    """What a new window offers for the study, one after the other; each is taken to look at it."""
    window = make_window(session)
    window.open(make_cine())
    found = []
    while is_offered(window):
        window.click(window.dock.study.restore)
        window.settle()
        found.append(find_painted(window))
    close_window(window)
    return found


def test_fault_20_the_drafts_of_two_windows_lie_apart(window: Window, other: Window, tmp_path: Path) -> None:
    for place, x in ((window, 9), (other, 20)):
        place.open(make_cine())
        paint(place, x)
    assert not is_offered(other), "the other's work goes on and is nobody else's"
    for x in (21, 22):
        paint(other, x)
    assert sorted(open_answers(crash(window, tmp_path / "both crashed"))) == [[9], [20, 21, 22]]
    close(other)
    assert open_answers(crash(window, tmp_path / "one crashed")) == [[9]]


def test_fault_20_the_window_that_closes_last_does_not_undo_what_the_first_has_closed(
    window: Window, other: Window
) -> None:
    for place, x in ((window, 9), (other, 20)):
        place.open(make_cine())
        paint(place, x)
    close(window)
    close(other)
    window.open(make_cine())
    assert find_painted(window) == [9], "as it was closed first"
    assert is_offered(window)
    window.click(window.dock.study.restore)
    window.settle()
    assert find_painted(window) == [20]
    assert not is_offered(window)
    window.dock.correcting.do("undo")
    assert find_painted(window) == [9]


def test_fault_20_a_window_that_only_looked_on_leaves_no_question(window: Window, other: Window) -> None:
    window.open(make_cine())
    paint(window, 9)
    close(window)
    for place in (window, other):
        place.open(make_cine())
    paint(window, 20)
    other.go(3, 4)
    close(other)
    close(window)
    window.open(make_cine())
    assert not is_offered(window)
    assert find_painted(window) == [9, 20]


@pytest.fixture
def slow(window: Window) -> Iterator[Event]:
    """As on a slow drive: until it is set, the thread that writes is busy, and no claim is answered."""
    answers = Event()
    window.dock.workplace.writers.run(answers.wait, lambda _set: None, window.dock.workplace.tell)
    yield answers
    answers.set()


def test_fault_21_nothing_is_accepted_into_a_library_before_it_is_known_whether_another_window_holds_it(
    window: Window, tmp_path: Path
) -> None:
    place = window.dock.workplace
    window.open(make_cine())
    paint(window, 9)
    with claim_library(tmp_path / "other" / "labels") as held:
        place.change_session(tmp_path / "other")
        window.dock.correcting.do("accept_slice")
        assert "is still being opened" in window.dock._notice.text.text()
        window.settle()
        assert list_labels(held.folder) == ()
        assert "another window" in place.now.read_only
    place.change_session(tmp_path / "third")
    window.settle()
    window.dock.correcting.do("accept_slice")
    window.settle()
    assert len(list_labels(place.now.session.labels)) == 1


def test_fault_21_the_answer_for_a_library_left_meanwhile_opens_no_other_for_writing(
    window: Window, tmp_path: Path, slow: Event
) -> None:
    place, seen = window.dock.workplace, []
    with claim_library(tmp_path / "held" / "labels"):
        place.change_session(tmp_path / "free")
        place.change_session(tmp_path / "held")
        place.changed.connect(lambda: seen.append(place.now.read_only))
        slow.set()
        window.settle()
    assert seen
    assert "" not in seen


def test_case_81_a_study_opened_while_its_library_still_is_has_missing_images_written_again(
    window: Window, slow: Event
) -> None:
    place, cine = window.dock.workplace, make_cine()
    folder = place.now.session.labels
    label = accept_slice(folder, cine, np.full((32, 32), 3, np.uint8), 0, 0, "accepted")
    find_file(folder, label, "image").unlink()
    place.change_session(place.now.session.folder)
    window.viewer.add_image(cine.images, **image_options(cine))
    window.wait(lambda: place.study is not None)
    assert place.now.read_only
    slow.set()
    window.settle()
    assert find_file(folder, label, "image").exists()
