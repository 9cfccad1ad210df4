"""Drafts: a saved mask takes only its own draft away, and an offer nobody answered is never lost."""

import itertools
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from glrp_napari.cine import Cine
from glrp_napari.drafts import StudyDrafts
from glrp_napari.reading.masks import read_mask
from tests.gui.conftest import Window, make_cine

numbers = itertools.count(1)


@pytest.fixture
def cine() -> Cine:
    """Another study each time."""
    cine = make_cine(name=f"draft {(number := next(numbers))}")
    cine.images[0, 0, 1, 0] += 3 * number
    return cine


def paint(window: Window, label: int, x: int) -> None:
    window.study.mask.paint((0, 2, 9, x), label)


def save_draft_now(window: Window) -> None:
    window.dock.drafting.save()
    window.settle()


def drafts(window: Window) -> Path:
    return window.dock.workplace.now.session.drafts


def find_draft(window: Window, cine: Cine, study: str) -> np.ndarray | None:
    """The mask of the draft that would be offered if the window ended now."""
    with TemporaryDirectory() as folder:
        left = shutil.copytree(drafts(window), Path(folder) / "drafts")
        draft = StudyDrafts(left, study).load_offered(cine)
    return None if draft is None else draft.mask


def reopen(window: Window, cine: Cine) -> None:
    """Open a study again as after a crash: what is on disk is what was there before it was closed."""
    save_draft_now(window)
    saved = {path: path.read_bytes() for path in drafts(window).iterdir()}
    window.dock.workplace.close_study()
    window.settle()
    for path in drafts(window).iterdir():
        path.unlink()
    for path, data in saved.items():
        path.write_bytes(data)
    window.open(cine)


def save_mask(window: Window, path: Path) -> None:
    window.dock.files.masks.save(path, window.dock.drafting.begin_saving())


@pytest.mark.parametrize("meanwhile", ["nothing", "a stroke", "another study"])
def test_saving_the_mask_discards_only_what_was_saved(
    shared_window: Window, cine: Cine, tmp_path: Path, meanwhile: str
) -> None:
    window = shared_window
    window.open(cine)
    study = window.study.loaded.hash
    paint(window, 3, 9)
    save_draft_now(window)
    assert find_draft(window, cine, study) is not None
    save_mask(window, tmp_path / "mask.nii.gz")
    other = make_cine(name="other", side=16)
    other.images[0, 0, 0, 0] += next(numbers)
    if meanwhile == "a stroke":
        paint(window, 2, 20)
    elif meanwhile == "another study":
        window.open(other)
        window.study.mask.paint((0, 2, 9, 9), 1)
        window.dock.drafting.save()
    window.settle()
    save_draft_now(window)
    assert read_mask(tmp_path / "mask.nii.gz", cine)[0, 2, 9, 9] == 3
    found = find_draft(window, cine, study)
    if meanwhile == "a stroke":
        assert found is not None
        assert found[0, 2, 9, 20] == 2
    else:
        assert found is None
    if meanwhile == "another study":
        assert find_draft(window, other, window.study.loaded.hash) is not None
    window.dock.workplace.close_study()
    window.settle()


@pytest.mark.parametrize("answer", ["restore", "discard", "save mask"])
def test_an_offer_survives_later_autosaves_until_it_is_answered(
    shared_window: Window, cine: Cine, tmp_path: Path, answer: str
) -> None:
    window = shared_window
    window.open(cine)
    paint(window, 3, 9)
    reopen(window, cine)
    study = window.study.loaded.hash
    for x in (14, 20, 26):  # more than there are slots
        paint(window, 1, x)
        save_draft_now(window)
    assert window.dock.study.draft.isVisibleTo(window.dock)
    if answer == "save mask":
        save_mask(window, tmp_path / "mask.nii.gz")
        window.settle()
        assert window.dock.study.draft.isVisibleTo(window.dock)
    else:
        window.click(getattr(window.dock.study, answer))
        window.settle()
        assert not window.dock.study.draft.isVisibleTo(window.dock)
    found = find_draft(window, cine, study)
    assert found is not None
    assert (found[0, 2, 9, 9], found[0, 2, 9, 20]) == ((0, 1) if answer == "discard" else (3, 0))
    window.dock.workplace.close_study()
    window.settle()
    window.open(cine)
    assert window.dock.study.draft.isVisibleTo(window.dock) == (answer == "save mask")
    assert window.study.mask.data[0, 2, 9, 20] == (0 if answer == "restore" else 1)
    window.dock.workplace.close_study()
    window.settle()


def test_a_restored_draft_still_knows_what_the_model_had_answered(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    study = window.open(cine)
    study.history.begin_run()
    study.apply_frame(0, np.full((5, 32, 32), 2, np.uint8), False)
    study.history.end_run()
    paint(window, 3, 9)
    reopen(window, cine)
    assert window.study.history.find_predicted((0, 2)) is None
    window.click(window.dock.study.restore)
    window.settle()
    assert (window.study.history.find_predicted((0, 3)) == 2).all(), "as the model left it"
    (corrected,) = window.study.accept([(0, 2)])
    assert (corrected.before == 2).all()
    assert corrected.mask[9, 9] == 3
    window.dock.workplace.close_study()
    window.settle()


def test_discarding_an_untouched_offer_leaves_no_draft(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    window.open(cine)
    for x in (9, 20):
        paint(window, 3, x)
        save_draft_now(window)
    reopen(window, cine)
    window.click(window.dock.study.discard)
    window.settle()
    assert find_draft(window, cine, window.study.loaded.hash) is None
    window.dock.workplace.close_study()


def test_another_session_folder_gets_the_draft_too(shared_window: Window, cine: Cine, tmp_path: Path) -> None:
    window = shared_window
    window.open(cine)
    paint(window, 3, 9)
    save_draft_now(window)
    before = window.dock.workplace.now.session.folder
    window.dock.workplace.change_session(tmp_path / "elsewhere")
    save_draft_now(window)
    found = find_draft(window, cine, window.study.loaded.hash)
    assert found is not None
    assert found[0, 2, 9, 9] == 3
    window.dock.workplace.change_session(before)
    window.dock.workplace.close_study()
    window.settle()


def test_a_malformed_label_leaves_the_models_and_is_named(shared_window: Window, tmp_path: Path) -> None:
    window, place = shared_window, shared_window.dock.workplace
    before = place.now.session.folder
    (tmp_path / "session" / "labels").mkdir(parents=True)
    (tmp_path / "session" / "labels" / "abc-t000-z000.json").write_text("{}")
    place.change_session(tmp_path / "session")
    window.settle()
    assert [model.card.name for model in place.now.models] == ["base"]
    assert "abc-t000-z000.json" in window.dock.learn.library.damaged.text.text()
    place.change_session(before)
    window.settle()


def test_after_a_mask_is_saved_a_crash_brings_back_that_mask_and_no_earlier_closing(
    shared_window: Window, cine: Cine, tmp_path: Path
) -> None:
    window = shared_window
    window.open(cine)
    paint(window, 3, 5)
    window.dock.workplace.close_study()
    window.settle()
    window.open(cine)
    paint(window, 2, 8)
    save_mask(window, tmp_path / "mask.nii.gz")
    window.settle()
    assert find_draft(window, cine, window.study.loaded.hash) is None
    found = StudyDrafts(drafts(window), window.study.loaded.hash).load_closed(cine)
    assert found is not None
    assert found.mask[0, 2, 9, 8] == 2


@pytest.mark.parametrize("kept_as", ["draft", "closing"])
def test_work_that_was_all_taken_back_before_closing_is_neither_offered_nor_there_again(
    shared_window: Window, cine: Cine, kept_as: str
) -> None:
    window = shared_window
    window.open(cine)
    paint(window, 3, 9)
    save_draft_now(window)
    if kept_as == "closing":
        window.dock.workplace.close_study()
        window.settle()
        window.open(cine)
        assert window.study.mask.data.any()
    window.dock.correcting.do("undo")
    window.dock.workplace.close_study()
    window.settle()
    window.open(cine)
    assert not window.dock.study.draft.isVisibleTo(window.dock)
    assert not window.study.mask.data.any()
    window.dock.workplace.close_study()
    window.settle()


def test_a_study_that_was_only_looked_at_leaves_nothing(shared_window: Window, cine: Cine) -> None:
    window = shared_window
    window.open(cine)
    study = window.study.loaded.hash
    window.dock.workplace.close_study()
    window.settle()
    assert not list(drafts(window).glob(f"{study[:12]}*"))
