"""The library in the real window: who holds it, what is damaged, conventions, import, and the look before training."""

import gzip
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from glrp_napari.cine import Cine, Source
from glrp_napari.gui import asking, labelling
from glrp_napari.known_studies import KnownStudy
from glrp_napari.library import (
    FORMAT,
    Protocol,
    accept_slice,
    claim_library,
    list_labels,
    load_protocol,
    save_protocol,
    store,
)
from glrp_napari.library.label_files import find_file
from glrp_napari.library.lock import HOLDER
from glrp_napari.lint import LabelFinding
from glrp_napari.slice_states import SliceState
from glrp_napari.writing.masks import write_images, write_mask
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMessageBox
from tests.gui.conftest import Window, make_cine

numbers = itertools.count(1)


@pytest.fixture
def library(shared_window: Window, tmp_path: Path) -> Iterator[Window]:
    """The shared window at a new session folder."""
    shared_window.dock.workplace.change_session(tmp_path / "session")
    shared_window.settle()
    yield shared_window
    shared_window.dock.workplace.close_study()
    shared_window.settle()


@pytest.fixture
def cine() -> Cine:
    """Another study each time."""
    cine = make_cine(name=f"care {(number := next(numbers))}")
    cine.images[0, 0, 2, 0] += 7 * number
    return cine


def folder(window: Window) -> Path:
    return window.dock.workplace.now.session.labels


def ring(side: int = 32, is_open: bool = False) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    mask[8:24, 8:24], mask[12:20, 12:20], mask[8:24, 1:6] = 2, 3, 1
    if is_open:
        mask[8:12, 12:20] = 0
    return mask


def accept(window: Window) -> None:
    window.study.mask.paint((0, 2, 9, 9), 3)
    window.go(0, 2)
    window.press(Qt.Key.Key_K)
    window.settle()


def test_fault_20_21_another_s_library_is_only_read_until_it_is_taken_over(
    library: Window, cine: Cine, tmp_path: Path
) -> None:
    place, bar = library.dock.workplace, library.dock.learn.library
    other = claim_library(tmp_path / "other" / "labels")
    kept = accept_slice(other.folder, cine, ring(), 0, 0, "accepted")
    place.change_session(tmp_path / "other")
    library.settle()
    assert place.now.labels == (kept,)
    assert "is being written to by another window (process" in bar.read_only.text.text()
    assert not bar.read_only.button.isVisibleTo(bar)
    library.open(cine)
    accept(library)
    assert list_labels(folder(library)) == (kept,)
    assert "another window" in library.dock._notice.text.text()

    holder = (other.folder / HOLDER).read_text()
    other.release()
    (other.folder / HOLDER).write_text(holder)  # as a crash would leave it
    place.change_session(tmp_path / "other")
    library.settle()
    assert "was left locked by a window that has ended" in bar.read_only.text.text()
    library.click(bar.read_only.button)
    library.settle()
    assert not bar.read_only.isVisibleTo(bar)
    accept(library)
    assert len(list_labels(folder(library))) == 2


def test_case_75_a_damaged_record_is_named_and_set_aside_on_request(library: Window, cine: Cine) -> None:
    bar = library.dock.learn.library
    first, second = (accept_slice(folder(library), cine, ring(), 0, z, "accepted") for z in (0, 1))
    (folder(library) / f"{first.stem}.json").write_text("{")
    library.dock.workplace.list_session()
    library.settle()
    assert f"{first.stem}.json" in bar.damaged.text.text()
    library.click(bar.damaged.button)
    library.settle()
    assert not bar.damaged.isVisibleTo(bar)
    assert library.dock.workplace.now.labels == (second,)
    assert (folder(library) / "damaged" / f"{first.stem}.json").read_text() == "{"


def test_case_76_a_newer_label_makes_the_library_read_only(library: Window, cine: Cine) -> None:
    label = accept_slice(folder(library), cine, ring(), 0, 0, "accepted")
    path = folder(library) / f"{label.stem}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": FORMAT + 1}))
    library.dock.workplace.list_session()
    library.settle()
    assert "later version" in library.dock.learn.library.read_only.text.text()
    library.open(cine)
    accept(library)
    assert len(list_labels(folder(library))) == 1


def test_case_81_a_missing_image_is_written_again_when_its_study_is_opened(library: Window, cine: Cine) -> None:
    label = accept_slice(folder(library), cine, ring(), 0, 0, "accepted")
    find_file(folder(library), label, "image").unlink()
    library.open(cine)
    assert find_file(folder(library), label, "image").exists()
    assert "lacked the images of 1 label of this study" in library.dock._notice.text.text()


def test_conventions_and_reader_go_into_the_next_label(library: Window, cine: Cine) -> None:
    care = library.dock.library
    care.ask_protocol()
    library.settle()
    dialog = care.dialog
    assert dialog is not None
    dialog.choices["papillaries"].setCurrentIndex(1)
    QTest.keyClicks(dialog.reader, " A. B. ")
    dialog.accept()
    library.settle()
    assert care.dialog is None
    assert load_protocol(folder(library)) == Protocol(papillaries="wall")
    library.open(cine)
    accept(library)
    (label,) = list_labels(folder(library))
    assert (label.who, label.protocol) == ("A. B.", Protocol(papillaries="wall"))
    care.ask_protocol()
    library.settle()
    assert care.dialog.choices["papillaries"].currentText() == "in the wall"
    care.dialog.reject()


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_labels_from_before_take_the_conventions_after_one_question(library: Window, cine: Cine, answer: str) -> None:
    place, care, learn = library.dock.workplace, library.dock.library, library.dock.learn
    for z in (1, 2):
        accept_slice(folder(library), cine, ring(), 3, z, "corrected")
    wall = Protocol(papillaries="wall", rv_trabeculae="left-out")

    def save(protocol: Protocol) -> None:
        care.ask_protocol()
        library.settle()
        for field in ("papillaries", "rv_trabeculae"):
            choice = care.dialog.choices[field]
            choice.setCurrentIndex(choice.findData(getattr(protocol, field)))
        care.dialog.accept()
        library.settle()

    save(wall)
    assert isinstance(care.dialog, QMessageBox)
    assert care.dialog.text() == "Do the 2 labels accepted before follow these conventions?"
    library.click(care.dialog.button(QMessageBox.StandardButton[answer]))
    library.settle()
    assert care.dialog is None
    expected = wall if answer == "Yes" else None
    assert [label.protocol for label in list_labels(folder(library))] == [expected] * 2
    library.dock.workplace.list_session()
    library.settle()
    assert [label.protocol for label in place.now.labels] == [expected] * 2
    found: list[LabelFinding] = []
    catch = care.linting.found.connect(found.extend)
    place.update(model="")  # nothing is to train here
    care.linting.start()
    library.settle()
    care.linting.found.disconnect(catch)
    assert [one.label.slice for one in found if one.rule == "conventions"] == ([] if answer == "Yes" else [1])
    learn.findings.hide()
    if answer == "Yes":
        save(Protocol())
        assert care.dialog is None, "all have conventions: nothing to ask"


def test_damaged_conventions_keep_no_slice_from_being_accepted_and_are_asked_for_anew(
    library: Window, cine: Cine
) -> None:
    care, path = library.dock.library, folder(library) / "protocol.json"
    library.open(cine)
    path.write_bytes(b"")
    accept(library)
    assert [label.protocol for label in list_labels(folder(library))] == [None]
    assert library.dock._notice.text.text().startswith("protocol.json: found no JSON")
    care.ask_protocol()
    library.settle()
    assert care.dialog.protocol == Protocol()
    care.dialog.accept()
    library.settle()
    assert load_protocol(folder(library)) == Protocol()
    care.dialog.reject()


def test_case_81_an_export_says_what_it_left_out(
    library: Window, cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for z in range(3):
        accept_slice(folder(library), cine, ring(), 0, z, "accepted")
    label = list_labels(folder(library))[0]
    find_file(folder(library), label, "image").unlink()
    monkeypatch.setattr(asking, "ask_folder", lambda *_: tmp_path / "out")
    library.dock.library.transferring.ask_export_folder()
    library.settle()
    said = library.dock._notice.text.text()
    assert said.startswith(f"Exported 2 labels. Left out: {find_file(folder(library), label, 'image').name}: found no")
    assert len(list_labels(tmp_path / "out")) == 2


def test_foreign_masks_are_imported_after_one_question(
    library: Window, cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    mask = np.zeros(cine.images.shape, np.uint8)
    mask[1, 2], mask[1, 3] = np.where(ring() == 3, 1, ring()), 0
    write_images(masks / "heart.nii.gz", cine.images, cine)
    write_mask(masks / "heart_gt.nii.gz", mask, cine)
    monkeypatch.setattr(asking, "ask_folder", lambda *_: masks)
    transferring = library.dock.library.transferring
    transferring.ask_import_folder()
    library.settle()
    assert transferring.dialog is not None
    transferring.dialog.accept()
    library.settle()
    (label,) = list_labels(folder(library))
    assert (label.frame, label.slice, label.state) == (1, 2, "corrected")
    assert library.dock._notice.text.text() == "Imported 1 label."
    assert library.dock.library.dialog is None, "no conventions, no question"
    assert not library.dock.learn.library.progress.isVisibleTo(library.dock)


def test_imported_masks_take_the_conventions_only_where_the_reader_says_so(
    library: Window, cine: Cine, tmp_path: Path
) -> None:
    care, mask = library.dock.library, np.zeros(cine.images.shape, np.uint8)
    before = accept_slice(folder(library), cine, ring(), 0, 2, "corrected")
    mask[1, 2:4] = ring()
    (tmp_path / "masks").mkdir()
    write_images(tmp_path / "masks" / "heart.nii.gz", cine.images, cine)
    write_mask(tmp_path / "masks" / "heart_gt.nii.gz", mask, cine)
    save_protocol(folder(library), Protocol(papillaries="wall"))
    care.transferring.import_folder(tmp_path / "masks")
    library.settle()
    if care.transferring.dialog is not None:
        care.transferring.dialog.accept()
        library.settle()
    assert care.dialog.text() == "Do the 2 imported masks follow this library's conventions?"
    assert "papillary muscles in the wall" in care.dialog.informativeText()
    assert {label.protocol for label in list_labels(folder(library))} == {None}
    library.click(care.dialog.button(QMessageBox.StandardButton.Yes))
    library.settle()
    kept, *taken = list_labels(folder(library))
    assert kept == before, "of those nobody was asked"
    assert [(label.protocol, label.who) for label in taken] == [(Protocol(papillaries="wall"), "")] * 2


def test_an_answer_about_conventions_changes_no_library_that_was_left_meanwhile(
    library: Window, cine: Cine, tmp_path: Path
) -> None:
    care, left = library.dock.library, folder(library)
    label = accept_slice(left, cine, ring(), 0, 2, "corrected")
    care._ask_adoption(left, Protocol(papillaries="wall"), 1)
    library.dock.files.change_session(tmp_path / "other")
    library.settle()
    assert folder(library) != left
    library.click(care.dialog.button(QMessageBox.StandardButton.Yes))
    library.settle()
    assert list_labels(left) == (label,)


def test_a_cancelled_import_keeps_what_it_took(
    library: Window, cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for z in range(5):
        for t in range(4):
            accept_slice(tmp_path / "source", cine, ring(), t, z, "accepted")
    bar, steps = library.dock.learn.library, library.dock.library.transferring.steps
    cancel = steps.advanced.connect(lambda _text, done, *_rest: done == 3 and library.click(bar.progress.button))
    library.dock.library.transferring.import_folder(tmp_path / "source")
    library.settle()
    steps.advanced.disconnect(cancel)  # the window is that of the next test too
    assert len(list_labels(folder(library))) in (3, 4)
    assert not steps.is_running
    assert len(library.dock.workplace.now.labels) in (3, 4)


@pytest.mark.parametrize("begun", ["before", "while the folder is checked"])
def test_fault_21_the_folder_is_not_changed_during_an_import_which_holds_its_library(
    library: Window, cine: Cine, tmp_path: Path, begun: str
) -> None:
    for z in range(5):
        accept_slice(tmp_path / "source", cine, ring(), 0, z, "accepted")
    before, dock = folder(library), library.dock
    steps = [
        lambda: dock.library.transferring.import_folder(tmp_path / "source"),
        lambda: dock.files.change_session(tmp_path / "other"),
    ]
    for step in steps if begun == "before" else reversed(steps):
        step()
    told: list[str] = []
    dock.workplace.told.connect(told.append)
    library.settle()
    assert folder(library) == before
    assert len(list_labels(before)) == 5
    assert "Imported 5 labels." in told
    dock.files.change_session(tmp_path / "other")
    library.settle()
    assert folder(library) != before


def test_odd_labels_are_listed_before_training_and_a_click_shows_one(library: Window, cine: Cine) -> None:
    learn = library.dock.learn
    accept_slice(folder(library), cine, ring(), 3, 1, "corrected")
    accept_slice(folder(library), cine, ring(is_open=True), 3, 4, "corrected")
    library.open(cine)
    library.dock.workplace.list_session()
    library.settle()
    library.click(learn.button)
    library.settle()
    assert learn.findings.isVisibleTo(learn)
    assert learn.findings.list.count() == 1
    item = learn.findings.list.item(0)
    assert item.text().startswith(f"{cine.source.name} · frame 4 · slice 5: the ring of myocardium is open")
    spot = learn.findings.list.visualItemRect(item).center()
    QTest.mouseClick(learn.findings.list.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    QApplication.processEvents()
    assert library.place == (3, 4)
    assert not library.dock.workplace.now.candidate
    library.click(learn.findings.go_on)
    library.settle()
    assert not learn.findings.isVisibleTo(learn)
    assert library.dock.workplace.now.candidate


def test_labels_of_a_closed_study_are_called_by_its_name_here_and_nowhere_else(
    library: Window, cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, place, name = library.dock.learn, library.dock.workplace, "patient007"
    path = tmp_path / "scans" / f"{name}.nii.gz"
    library.open(replace(cine, source=Source(name=name, path=path)))
    accept(library)
    assert learn.labels.item(0).text().startswith(f"{name} · frame 1")
    place.close_study()
    library.settle()
    assert learn.labels.item(0).text() == f"{name} (not open) · frame 1 · slice 3 · corrected"
    learn.labels.itemDoubleClicked.emit(learn.labels.item(0))
    assert library.dock._notice.text.text() == f"Open {name} ({path}) to see this slice."
    library.open(make_cine(name="another"))
    learn.findings.show_findings([LabelFinding(place.now.labels[0], "ring", "odd")], place.look().study)
    assert learn.findings.list.item(0).text() == f"{name} (not open) · frame 1 · slice 3: odd"
    learn.findings.hide()

    monkeypatch.setattr(asking, "ask_folder", lambda *_: tmp_path / "out")
    library.dock.library.transferring.ask_export_folder()
    library.settle()
    handed_on = [file for root in (folder(library), tmp_path / "out") for file in root.rglob("*") if file.is_file()]
    assert len(handed_on) > 4
    for file in handed_on:
        data = file.read_bytes()
        data = gzip.decompress(data) if file.suffix == ".gz" else data
        assert name not in file.name
        assert name.encode() not in data

    place.change_session(tmp_path / "third")
    library.settle()
    assert list(place.now.known.values()) == [KnownStudy(name="another")], "it goes on in the new session"
    place.change_session(tmp_path / "session")
    library.settle()
    assert {study.name for study in place.now.known.values()} == {name, "another"}, "as after a restart"


def test_where_names_cannot_be_kept_nothing_is_said_of_it(library: Window, cine: Cine) -> None:
    place = library.dock.workplace
    place.now.session.studies.mkdir(parents=True)
    library.open(cine)
    accept(library)
    assert library.dock._notice.text.text() == ""
    place.close_study()
    library.settle()
    assert library.dock.learn.labels.item(0).text().startswith(f"study {place.now.labels[0].study[:8]} · ")


def test_case_72_edited_slices_that_are_not_accepted_are_a_finding_that_leads_to_the_first(
    library: Window, cine: Cine
) -> None:
    learn, place = library.dock.learn, library.dock.workplace
    accept_slice(folder(library), cine, ring(), 3, 1, "corrected")
    study = library.open(cine)
    study.write_slices({(2, 3): ring(), (1, 4): ring()})
    place.update(candidate="")
    place.list_session()
    library.settle()
    library.click(learn.button)
    library.settle()
    assert not place.now.candidate
    item = learn.findings.list.item(0)
    text = "2 edited slices are not accepted (K) and will not be learned from"
    assert item.text() == f"{cine.source.name} · frame 2 · slice 5: {text}"
    spot = learn.findings.list.visualItemRect(item).center()
    QTest.mouseClick(learn.findings.list.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    QApplication.processEvents()
    assert library.place == (1, 4)
    learn.findings.hide()


def test_labels_with_nothing_odd_train_at_once(library: Window, cine: Cine) -> None:
    accept_slice(folder(library), cine, ring(), 3, 1, "corrected")
    library.dock.workplace.list_session()
    library.settle()
    library.dock.workplace.update(candidate="")
    library.click(library.dock.learn.button)
    library.settle()
    library.wait(lambda: bool(library.dock.workplace.now.candidate))
    assert not library.dock.learn.findings.isVisibleTo(library.dock)


def test_a_removed_label_s_slice_can_be_accepted_again(library: Window, cine: Cine) -> None:
    study, place = library.open(cine), library.dock.workplace
    study.write_slices({(1, 2): ring()}, SliceState.PREDICTED)
    accept(library)
    library.go(1, 2)
    library.press(Qt.Key.Key_K)
    library.settle()
    assert [study.states[t, 2] for t in (0, 1)] == [SliceState.CORRECTED, SliceState.ACCEPTED]
    for label in list_labels(folder(library)):
        library.dock.learn.remove_wanted.emit(label)
    library.settle()
    assert not place.now.labels
    assert [study.states[t, 2] for t in (0, 1)] == [SliceState.EDITED, SliceState.PREDICTED]
    library.press(Qt.Key.Key_K)
    library.settle()
    assert [label.state for label in place.now.labels] == ["accepted"]


def segment(window: Window, value: int = 1) -> None:
    window.study.history.begin_run()
    for t in range(len(window.study.states)):
        window.study.apply_frame(t, np.full(window.study.mask.data.shape[1:], value, np.uint8), False)
    window.study.history.end_run()


def test_labels_that_the_map_does_not_know_are_shown_and_accepting_the_frame_leaves_them(
    library: Window, cine: Cine, tmp_path: Path
) -> None:
    """One is there when the study is opened, one comes with an import; one lies where the reader has drawn."""
    kept = accept_slice(folder(library), cine, ring(), 0, 2, "corrected")
    study = library.open(cine)
    assert study.states[0, 2] == SliceState.CORRECTED
    assert np.array_equal(study.mask.data[0, 2], ring())
    segment(library)
    study.mask.paint((0, 4, 9, 9), 3)
    for z in (1, 4):
        accept_slice(tmp_path / "source", cine, ring(), 0, z, "corrected")
    library.dock.library.transferring.import_folder(tmp_path / "source")
    library.settle()
    states = [SliceState(state) for state in study.states[0]]
    assert states == [1, SliceState.CORRECTED, SliceState.CORRECTED, 1, SliceState.EDITED]
    assert np.array_equal(study.mask.data[0, 1], ring())
    assert not np.array_equal(study.mask.data[0, 4], ring()), "the reader's drawing stays"
    library.go(0, 2)
    library.dock.correcting.do("accept_frame")
    library.settle()
    labels = {label.slice: label for label in list_labels(folder(library))}
    assert [labels[z].state for z in range(5)] == ["accepted", "corrected", "corrected", "accepted", "corrected"]
    assert labels[2] == kept
    for _ in range(2):
        library.dock.correcting.do("undo")
    assert (study.mask.data[0, 1] == 1).all(), "what was shown is a step to take back"


def test_a_corrected_label_is_not_replaced_by_the_model_s_answer_that_undo_brought_back(
    library: Window, cine: Cine
) -> None:
    study = library.open(cine)
    segment(library)
    study.mask.paint((0, 2, 9, 9), 3)
    library.go(0, 2)
    library.press(Qt.Key.Key_K)
    library.settle()
    (kept,) = list_labels(folder(library))
    library.dock.correcting.do("undo")
    library.press(Qt.Key.Key_K)
    library.settle()
    assert list_labels(folder(library)) == (kept,)
    assert "a corrected label of this slice, which stays" in library.dock._notice.text.text()
    assert study.states[0, 2] == SliceState.PREDICTED


def test_a_label_removed_while_its_study_was_closed_can_be_accepted_again(library: Window, cine: Cine) -> None:
    library.open(cine)
    accept(library)
    library.dock.workplace.close_study()
    library.dock.learn.remove_wanted.emit(list_labels(folder(library))[0])
    library.settle()
    study = library.open(cine)
    assert study.states[0, 2] == SliceState.EDITED
    library.go(0, 2)
    assert library.dock.correct.accept_slice.isEnabled()
    library.press(Qt.Key.Key_K)
    library.settle()
    assert len(list_labels(folder(library))) == 1


def test_in_another_session_folder_the_map_shows_the_labels_of_that_one(
    library: Window, cine: Cine, tmp_path: Path
) -> None:
    accept_slice(tmp_path / "other" / "labels", cine, ring(), 1, 1, "accepted")
    study = library.open(cine)
    accept(library)
    library.dock.workplace.change_session(tmp_path / "other")
    library.settle()
    assert [study.states[where] for where in ((0, 2), (1, 1))] == [SliceState.EDITED, SliceState.ACCEPTED]


def test_undo_brings_back_no_label_that_was_removed_meanwhile(library: Window, cine: Cine) -> None:
    study = library.open(cine)
    accept(library)
    study.mask.paint((0, 2, 20, 20), 1)
    library.dock.learn.remove_wanted.emit(list_labels(folder(library))[0])
    library.settle()
    library.dock.correcting.do("undo")
    assert study.states[0, 2] == SliceState.EDITED


def test_fault_4_a_label_that_could_not_be_stored_undoes_nothing_that_was_drawn_meanwhile(
    library: Window, cine: Cine, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, stop = library.open(cine), Event()

    def fail(*_arguments: object, **_named: object) -> None:
        stop.wait(60)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(labelling, "accept_slices", fail)
    segment(library)
    for z in (2, 3):
        library.go(0, z)
        library.press(Qt.Key.Key_K)
    study.mask.paint((0, 2, 9, 9), 3)
    stop.set()
    library.settle()
    assert "No space left" in library.dock._notice.text.text()
    assert [study.states[0, z] for z in (2, 3)] == [SliceState.EDITED, SliceState.PREDICTED]
    segment(library, 2)
    assert [study.mask.data[0, z, 9, 9] for z in (2, 3)] == [3, 2]


def test_undo_across_an_accept_says_that_the_label_stays(library: Window, cine: Cine) -> None:
    study = library.open(cine)
    for row in (20, 24):
        study.mask.paint((0, 2, row, 9), 3)
        library.go(0, 2)
        library.press(Qt.Key.Key_K)
        library.settle()
    library.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert "The stored label stays" in library.dock._notice.text.text()
    assert study.states[0, 2] == SliceState.EDITED
    assert len(list_labels(folder(library))) == 1


def test_undo_to_a_mask_that_was_a_label_once_is_no_label_while_the_library_holds_another(
    library: Window, cine: Cine
) -> None:
    study, do = library.open(cine), library.dock.correcting.do
    accept(library)
    first = study.mask.data[0, 2].copy()
    for row in (20, 24):
        study.mask.paint((0, 2, row, 9), 3)
    library.press(Qt.Key.Key_K)
    library.settle()
    last, (label,) = study.mask.data[0, 2].copy(), list_labels(folder(library))
    do("undo")
    library.dock.workplace.tell("")
    do("undo")
    assert np.array_equal(study.mask.data[0, 2], first)
    assert study.states[0, 2] == SliceState.EDITED
    assert "The stored label stays" in library.dock._notice.text.text()
    library.dock.workplace.survey_library()
    library.settle()
    assert study.acceptable(whole_frame=False) == [(0, 2)]
    for _ in range(2):
        do("redo")
    assert np.array_equal(study.mask.data[0, 2], last)
    assert study.states[0, 2] == SliceState.CORRECTED, "this is what the library holds"
    for _ in range(2):
        do("undo")
    library.press(Qt.Key.Key_K)
    library.settle()
    (again,) = list_labels(folder(library))
    assert (again.mask_sha256 == label.mask_sha256, study.states[0, 2]) == (False, SliceState.CORRECTED)


def test_a_label_that_could_not_be_read_once_is_told_of_and_shown_as_soon_as_it_can_be(
    library: Window, cine: Cine, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_slice(folder(library), cine, ring(), 0, 2, "corrected")
    tellings: list[str] = []
    library.dock.workplace.told.connect(tellings.append)

    def fail(*_arguments: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as drive:
        drive.setattr(store, "load_mask", fail)
        study = library.open(cine)
        library.dock.workplace.survey_library()
        library.settle()
    assert [text for text in tellings if "slice 3, frame 1" in text and "could not be read" in text] == tellings
    assert len(tellings) == 1, "once, not at every survey"
    assert study.states[0, 2] == SliceState.UNTOUCHED
    library.dock.workplace.survey_library()
    library.settle()
    assert study.states[0, 2] == SliceState.CORRECTED
    assert np.array_equal(study.mask.data[0, 2], ring())


def test_a_slice_accepted_while_the_library_is_surveyed_stays_accepted(library: Window, cine: Cine) -> None:
    study, place, seen = library.open(cine), library.dock.workplace, list[int]()
    study.mask.paint((0, 2, 9, 9), 3)
    library.go(0, 2)
    place.survey_library()
    library.dock.correcting.do("accept_slice")
    place.changed.connect(lambda: seen.append(int(study.states[0, 2])))
    library.settle()
    assert set(seen) == {SliceState.CORRECTED}
