"""Fine-tuning in the window: taken, refused, interrupted, left running; the windows it opens."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from glrp_napari import models
from glrp_napari.cine import Structure
from glrp_napari.comparison import PhaseSlices
from glrp_napari.gui import asking, comparing, jobs, learning, leaving
from glrp_napari.gui.detached import store_request
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.measure import Phases
from glrp_napari.messages import (
    Cancelled,
    Failed,
    FinetuneDone,
    FinetuneRequest,
    Message,
    Ready,
    Validated,
    decode_request,
    encode,
)
from glrp_napari.model_files import export_model
from glrp_napari.session import UNFINISHED_OUTCOME
from glrp_napari.unet import UNet
from glrp_napari.weights import encode_weights
from glrp_training.unfinished import hold
from qtpy.QtCore import Qt
from qtpy.QtGui import QPainter
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel
from tests.gui.conftest import Window, close_window, make_cine, make_window
from tests.gui.fake_worker import compare


def make_labelled(folder: Path, mode: str, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Window:
    """A window with one corrected slice."""
    monkeypatch.setattr(models, "find_resources", lambda: model_folder)
    window = make_window(folder, mode)
    window.open(make_cine())
    window.press(Qt.Key.Key_G)
    window.drag((20, 8), (20, 14))
    window.press(Qt.Key.Key_K)
    window.settle()
    return window


def finetune(window: Window) -> None:
    """Press the button, and go on in spite of what the checks of the labels find."""
    learn = window.dock.learn
    window.click(learn.button)
    window.wait(lambda: bool(window.dock.workplace.now.job) or learn.findings.go_on.isVisibleTo(window.dock))
    if not window.dock.workplace.now.job:
        window.click(learn.findings.go_on)
    assert window.dock.workplace.now.job == "finetune"


def test_a_better_model_is_in_use_and_one_can_go_back(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_labelled(tmp_path, "well", model_folder, monkeypatch)
    learn, place = window.dock.learn, window.dock.workplace
    finetune(window)
    window.settle()
    assert place.now.model == "my-labels-1"
    assert learn.switch.text() == "Back to base"
    window.click(learn.switch)
    window.settle()
    assert place.now.model == "base"

    window.click(learn.compare)
    comparison = window.dock.windows.comparison
    assert comparison is not None
    assert comparison.isVisible()
    assert "It helped" in comparison.sentence.text()
    texts = [comparison.table.item(row, 1).text() for row in range(comparison.table.rowCount())]
    assert texts[:2] == ["RV Dice", "RV area off by"]
    now = comparison.after.pixmap().toImage()
    QTest.keyClick(comparison.slices, Qt.Key.Key_F)
    assert comparison.captions[1].text() == "Before"
    assert comparison.after.pixmap().toImage() != now
    QTest.keyClick(comparison.slices, Qt.Key.Key_F)
    assert comparison.after.pixmap().toImage() == now
    QTest.keyClick(comparison.slices, Qt.Key.Key_Down)
    assert comparison.slices.currentRow() == 1

    window.click(learn.models)
    listed = window.dock.windows.models
    assert listed is not None
    names = [listed.list.item(i).text() for i in range(listed.list.count())]
    assert names == ["base  (in use)", "my-labels-1"]
    listed.list.setCurrentRow(1)
    window.click(listed.use)
    window.settle()
    assert place.now.model == "my-labels-1"
    listed.export_wanted.emit(place.find_model(), tmp_path / "out.zip")
    window.settle()
    assert (tmp_path / "out.zip").exists()
    close_window(window)


def test_phases_and_slices_as_the_reader_settled_them_go_with_the_request(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER_LOG", str(tmp_path / "request"))
    window = make_labelled(tmp_path, "well", model_folder, monkeypatch)
    study = window.dock.workplace.study
    assert study is not None
    draw_hearts(study)
    decided = {"phases": Phases(1, 2), "lv_slices": {1: (1, 2)}, "rv_slices": {1: None}}
    window.dock.measuring.decide(**decided)
    window.wait(lambda: not window.dock.measuring.is_pending)
    finetune(window)
    window.settle()
    request = decode_request((tmp_path / "request").read_bytes())
    last = study.states.shape[1] - 1
    ed, es = PhaseSlices(frame=1, first=1, last=2), PhaseSlices(frame=2, first=0, last=last)
    assert request.phases == {study.loaded.hash: (ed, es)}
    beyond = tuple(level for level in range(last + 1) if level not in (1, 2))
    assert request.study.outside == dict.fromkeys(range(len(study.states)), beyond)
    close_window(window)


def test_the_model_in_use_goes_with_the_request_though_training_begins_at_its_base(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER_LOG", str(tmp_path / "request"))
    card = models.load_card(model_folder / "base.safetensors")
    come_from = {"labels": ("a",), "parent": "base", "training": {"base_sha256": card.weights_sha256}}
    mine = models.save_model_files(
        tmp_path / "models", card.model_copy(update={"name": "mine-1", **come_from}), b"weights"
    )
    window = make_labelled(tmp_path, "well", model_folder, monkeypatch)
    window.dock.workplace.choose_model("mine-1")
    window.settle()
    finetune(window)
    window.settle()
    request = decode_request((tmp_path / "request").read_bytes())
    assert (request.base, request.in_use) == (model_folder / "base.safetensors", mine.weights)
    assert request.may_write
    close_window(window)


def draw_hearts(study: OpenStudy) -> None:
    """An LV in every slice, as a run leaves it."""
    mask = np.zeros(study.mask.data.shape[1:], np.uint8)
    mask[:, 4:16, 4:16], mask[:, 7:13, 7:13] = Structure.MYO, Structure.LV
    study.history.begin_run()
    for frame in range(len(study.states)):
        study.apply_frame(frame, mask, True)
    study.history.end_run()


def test_a_worse_model_is_not_taken_and_the_reason_is_given(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_labelled(tmp_path, "worse", model_folder, monkeypatch)
    learn, place = window.dock.learn, window.dock.workplace
    finetune(window)
    window.settle()
    assert place.now.model == "base"
    assert "not in use. It did not help: Dice 0.800 before, 0.700 now" in learn.outcome.text()
    assert learn.switch.text() == "Use it anyway"
    window.click(learn.switch)
    window.settle()
    assert place.now.model == "my-labels-1"
    assert "because you chose so" in learn.outcome.text()
    close_window(window)


def test_fault_7_after_a_crash_it_can_be_resumed_or_given_up(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER_LOG", str(tmp_path / "request"))
    job = tmp_path / "models/unfinished/job.json"
    job.parent.mkdir(parents=True)
    job.write_text("{}")
    window = make_labelled(tmp_path, "well", model_folder, monkeypatch)
    learn = window.dock.learn
    assert learn.resume.isVisibleTo(window.dock)
    window.click(learn.resume)
    window.settle()
    assert json.loads((tmp_path / "request").read_text())["resume"] is True
    window.click(learn.discard)
    window.settle()
    assert not job.exists()
    assert not learn.resume.isVisibleTo(window.dock)
    close_window(window)


def test_after_a_restart_the_models_window_tells_whether_it_helped(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_labelled(tmp_path, "worse", model_folder, monkeypatch)
    finetune(window)
    window.settle()
    window.click(window.dock.learn.models)
    window.dock.windows.models.list.setCurrentRow(1)
    window.click(window.dock.windows.models.compare)
    assert window.dock.windows.comparison.slices.count() == 2, "just trained, it has its pictures still"
    close_window(window)

    window = make_window(tmp_path)
    learn, windows = window.dock.learn, window.dock.windows
    assert not learn.compare.isVisibleTo(window.dock)
    window.click(learn.models)
    listed = windows.models
    assert listed.list.currentItem().text() == "base  (in use)"
    assert not listed.compare.isEnabled()
    listed.list.setCurrentRow(1)
    assert "Dice on 2 corrected slices of the same patient" in listed.card.text()
    window.click(listed.compare)
    comparison = windows.comparison
    assert comparison.isVisible()
    assert "my-labels-1" in comparison.windowTitle()
    assert "It did not help: Dice 0.800 before, 0.700 now" in comparison.sentence.text()
    assert [comparison.table.item(row, 1).text() for row in (0, 2)] == ["RV Dice", "Myocardium Dice"]
    assert not comparison.slices.isVisibleTo(comparison)
    assert comparing.NOT_KEPT in [label.text() for label in comparison.findChildren(QLabel)]
    window.click(listed.use)
    window.settle()
    assert window.dock.workplace.now.model == "my-labels-1"
    close_window(window)


@pytest.mark.parametrize("answer", ["Resume it", "Begin anew", "Cancel"])
def test_a_new_fine_tuning_takes_the_place_of_an_interrupted_one_only_if_it_is_wanted(
    answer: str, tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "request"
    monkeypatch.setenv("FAKE_WORKER_LOG", str(log))
    job = tmp_path / "models/unfinished/job.json"
    job.parent.mkdir(parents=True)
    job.write_text("{}")
    window = make_labelled(tmp_path, "well", model_folder, monkeypatch)
    learn = window.dock.learn
    window.click(learn.button)
    window.settle()
    question = learn.asking.dialog
    assert question is not None
    assert not learn.findings.isVisibleTo(window.dock), "the labels are looked over when it is settled"
    window.click(next(button for button in question.buttons() if button.text().replace("&", "") == answer))
    window.settle()
    assert learn.asking.dialog is None
    if answer == "Begin anew":
        window.click(learn.findings.go_on)
        window.settle()
    began = {"Resume it": True, "Begin anew": False}.get(answer)
    assert (json.loads(log.read_text())["resume"] if log.exists() else None) is began
    close_window(window)


def test_a_structure_that_no_label_has_is_no_curve_at_nought(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "find_resources", lambda: model_folder)
    window = make_window(tmp_path)
    learn = window.dock.learn
    for step in (10, 20):
        learn.show_validation(Validated(step=step, dice={"MYO": 0.8, "LV": 0.9, "mean": 0.85}))
    drawn: list[list[float]] = []
    monkeypatch.setattr(QPainter, "drawPolyline", lambda _self, line: drawn.append([point.y() for point in line]))
    learn.dice.resize(120, 36)
    learn.dice.grab()
    rv, myocardium, lv = drawn
    assert rv == []
    assert myocardium == [33, 33], "the lower end is the lowest Dice there is"
    assert lv == [3, 3]
    close_window(window)


@pytest.mark.parametrize("answer", ["stop", "go on", "stay"])
def test_fault_10_closing_asks(
    answer: str, tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(leaving, "ask", lambda _window: answer)
    monkeypatch.setattr(learning, "start_detached", started.append)
    window = make_labelled(tmp_path, "slow", model_folder, monkeypatch)
    finetune(window)
    job = tmp_path / "models/unfinished/job.json"
    job.parent.mkdir(parents=True, exist_ok=True)
    job.write_text("{}")
    closed: list[bool] = []
    window.dock.destroyed.connect(lambda: closed.append(True))
    window.viewer.window._qt_window.close()
    QApplication.sendPostedEvents()
    QApplication.processEvents()
    assert bool(closed) == (answer != "stay")
    assert bool(started) == (answer == "go on")
    if started:
        assert decode_request(started[0].read_bytes()).resume is True
    if answer == "stay":
        close_window(window)


def test_left_running_before_its_first_checkpoint_it_begins_anew_with_the_same_request(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(leaving, "ask", lambda _window: "go on")
    monkeypatch.setattr(learning, "start_detached", started.append)
    window = make_labelled(tmp_path, "hang", model_folder, monkeypatch)
    finetune(window)
    window.viewer.window._qt_window.close()
    QApplication.sendPostedEvents()
    QApplication.processEvents()
    (path,) = started
    request = decode_request(path.read_bytes())
    assert (request.resume, request.pictures, request.library) == (False, None, tmp_path / "labels")
    assert np.load(request.study.images).ndim == 4  # outlived the window


def test_one_at_work_in_the_background_is_told_of_and_cannot_be_discarded(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "PROBE_MS", 200)
    job = tmp_path / "models/unfinished/job.json"
    job.parent.mkdir(parents=True)
    job.write_text("{}")
    with hold(tmp_path / "models"):
        window = make_labelled(tmp_path, "well", model_folder, monkeypatch)
        learn, place = window.dock.learn, window.dock.workplace
        window.wait(lambda: place.now.background)
        assert learn.interrupted.text() == "A fine-tuning is running in the background."
        assert learn.interrupted.isVisibleTo(window.dock)
        assert not learn.resume.isVisibleTo(window.dock)
        assert not learn.discard.isVisibleTo(window.dock)
        assert not learn.button.isEnabled()
        window.dock.learning.discard()
        window.wait(lambda: "a fine-tuning at work" in window.dock._notice.text.text())
        assert job.exists()
    window.wait(lambda: learn.discard.isVisibleTo(window.dock))
    assert learn.interrupted.text() == "A fine-tuning was interrupted."
    close_window(window)


@pytest.fixture
def quick(model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that look often whether a fine-tuning in the background is done."""
    monkeypatch.setattr(models, "find_resources", lambda: model_folder)
    monkeypatch.setattr(learning, "PROBE_MS", 200)


def leave_done(folder: Path, dice: float, in_use: str = "") -> None:
    """What a fine-tuning without a window leaves in a session's folder when it is done."""
    card = models.Card(name="my-labels-1", title="Mine", weights_sha256="")
    model = models.save_model_files(folder / "models", card, b"weights")
    found = compare(make_request(folder), dice)
    changed = tuple(change.model_copy(update={"picture": None}) for change in found.changed)
    found = found.model_copy(update={"changed": changed, "in_use": in_use, "started_from": in_use})
    leave_word(folder, FinetuneDone(model=model.weights, comparison=found))


def leave_word(folder: Path, message: Message) -> Path:
    path = folder / "models" / UNFINISHED_OUTCOME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(message))
    return path


def make_request(folder: Path) -> FinetuneRequest:
    base = models.find_resources() / "base.safetensors"
    return FinetuneRequest(
        library=folder / "labels", base=base, models=folder / "models", name="my-labels", pictures=folder
    )


def leave_request(folder: Path, age_s: float = 0.0) -> Path:
    """A request that was left to a process so long ago, and what that left of a job not stored."""
    path = store_request(make_request(folder))
    os.utime(path, (time.time() - age_s,) * 2)
    (folder / "models/unfinished.labels").mkdir()
    return path


def list_left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "models").glob("unfinished*") if path.suffix != ".lock")


def get_notice(window: Window) -> str:
    return window.dock._notice.text.text() if window.dock._notice.isVisibleTo(window.dock) else ""


def test_a_model_takes_the_place_of_the_one_it_was_compared_with_alone(tmp_path: Path, quick: None) -> None:
    leave_done(tmp_path, 0.9, in_use="another")
    window = make_window(tmp_path)
    learn, place = window.dock.learn, window.dock.workplace
    window.wait(lambda: bool(place.now.candidate))
    assert place.now.model == "base"
    assert "my-labels-1 is made but not in use. It helped" in learn.outcome.text()
    assert "It was compared with another, and base is in use." in learn.outcome.text()
    assert learn.switch.text() == "Use it anyway"
    close_window(window)


def test_left_running_and_done_it_is_taken_as_if_the_window_had_waited(tmp_path: Path, quick: None) -> None:
    leave_done(tmp_path, 0.9)
    window = make_window(tmp_path)
    learn, place = window.dock.learn, window.dock.workplace
    window.wait(lambda: place.now.model == "my-labels-1")
    assert "my-labels-1 is in use now. It helped: Dice 0.800 before, 0.900 now" in learn.outcome.text()
    assert learn.switch.text() == "Back to base"
    window.click(learn.compare)
    comparison = window.dock.windows.comparison
    assert comparison is not None
    assert "It helped" in comparison.sentence.text()
    QTest.keyClick(comparison.slices, Qt.Key.Key_Down)  # there are no pictures
    comparison.flicker()
    window.settle()
    close_window(window)

    window = make_window(tmp_path)
    window.settle()
    assert window.dock.workplace.now.model == "my-labels-1"
    assert not window.dock.workplace.now.outcome, "told once"
    close_window(window)


def test_left_running_and_refused_by_the_gate_it_is_offered(tmp_path: Path, quick: None) -> None:
    leave_done(tmp_path, 0.7)
    window = make_window(tmp_path)
    learn, place = window.dock.learn, window.dock.workplace
    window.wait(lambda: "not in use. It did not help" in learn.outcome.text())
    assert place.now.model == "base"
    assert learn.switch.text() == "Use it anyway"
    window.settle()
    assert [model.card.name for model in place.now.models] == ["base", "my-labels-1"]
    close_window(window)


def test_the_outcome_in_another_session_is_taken_when_that_is_opened(tmp_path: Path, quick: None) -> None:
    leave_done(tmp_path / "other", 0.9)
    window = make_window(tmp_path / "first")
    window.dock.workplace.change_session(tmp_path / "other")
    window.wait(lambda: window.dock.workplace.now.model == "my-labels-1")
    assert window.dock.learn.switch.text() == "Back to base"
    close_window(window)


def test_left_running_and_failed_before_it_had_begun_it_is_told_and_leaves_nothing(tmp_path: Path, quick: None) -> None:
    leave_request(tmp_path)
    leave_word(tmp_path, Failed(reason="an image is missing"))
    window = make_window(tmp_path)
    window.wait(lambda: "that was left running failed: an image is missing" in get_notice(window))
    assert list_left(tmp_path) == []
    assert not window.dock.learn.interrupted.isVisibleTo(window.dock)
    close_window(window)


def test_left_running_and_failed_later_it_is_told_and_can_be_resumed(tmp_path: Path, quick: None) -> None:
    (leave_request(tmp_path, age_s=500).parent / "job.json").write_text("{}")
    leave_word(tmp_path, Failed(reason="the disk is full"))
    window = make_window(tmp_path)
    window.wait(lambda: "the disk is full" in get_notice(window))
    window.wait(lambda: window.dock.learn.resume.isVisibleTo(window.dock))
    assert window.dock.learn.interrupted.isVisibleTo(window.dock)
    close_window(window)


@pytest.mark.parametrize("word", [Cancelled(), None])
def test_left_running_and_ended_before_it_had_begun_it_failed(
    word: Message | None, tmp_path: Path, quick: None
) -> None:
    leave_request(tmp_path, age_s=500)
    if word is not None:
        leave_word(tmp_path, word)
    window = make_window(tmp_path)
    window.wait(lambda: "it was ended before it had begun" in get_notice(window))
    assert list_left(tmp_path) == []
    close_window(window)


def test_one_that_has_just_been_started_is_waited_for(tmp_path: Path, quick: None) -> None:
    request = leave_request(tmp_path)
    window = make_window(tmp_path)
    QTest.qWait(500)
    window.settle()
    assert not get_notice(window)
    assert request.exists()
    leave_word(tmp_path, Failed(reason="no luck"))
    window.wait(lambda: "no luck" in get_notice(window))
    close_window(window)


def test_an_open_window_tells_the_outcome_when_the_work_ends(tmp_path: Path, quick: None) -> None:
    with hold(tmp_path / "models"):
        window = make_window(tmp_path)
        window.wait(lambda: window.dock.workplace.now.background)
        leave_done(tmp_path, 0.9)
    window.wait(lambda: window.dock.workplace.now.model == "my-labels-1")
    window.wait(lambda: not window.dock.workplace.now.background)
    assert "It helped" in window.dock.learn.outcome.text()
    close_window(window)


def test_an_open_window_tells_a_failure_that_is_written_after_the_work_has_ended(tmp_path: Path, quick: None) -> None:
    with hold(tmp_path / "models"):
        window = make_window(tmp_path)
        place = window.dock.workplace
        window.wait(lambda: place.now.background)
    window.wait(lambda: not place.now.background)
    leave_word(tmp_path, Failed(reason="no luck"))
    window.wait(lambda: "no luck" in get_notice(window))
    assert place.now.model == "base"
    close_window(window)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\x00 nonsense", "expected how the fine-tuning ended"),
        (b"x" * 2_000_000, "expected how the fine-tuning ended"),
        (encode(Ready()), "found the message ready"),
        (encode(FinetuneDone(model="../../elsewhere.safetensors", comparison={"held_out": "nothing"})), "elsewhere"),
    ],
    ids=["nonsense", "long", "another message", "another model"],
)
def test_a_damaged_outcome_is_told_and_goes(data: bytes, words: str, tmp_path: Path, quick: None) -> None:
    path = leave_word(tmp_path, Ready())
    path.write_bytes(data)
    window = make_window(tmp_path)
    window.wait(lambda: words in get_notice(window))
    window.settle()
    assert not path.exists()
    assert window.dock.workplace.now.model == "base"
    close_window(window)


def test_a_real_process_that_fails_is_told_of(tmp_path: Path, quick: None) -> None:
    learning.start_detached(store_request(make_request(tmp_path).model_copy(update={"pictures": None})))
    window = make_window(tmp_path)
    window.wait(lambda: "failed: " in get_notice(window))
    assert "found no accepted labels" in get_notice(window)
    assert list_left(tmp_path) == []
    close_window(window)


def test_a_model_taken_in_is_told_of_by_the_name_it_got(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = models.Card(name="base", title="Another", weights_sha256="", architecture=models.Architecture(width=4))
    weights = encode_weights(UNet(card.architecture))
    export_model(models.save_model_files(tmp_path / "far", card, weights), tmp_path / "base.zip")
    monkeypatch.setattr(asking, "ask_file", lambda *_: tmp_path / "base.zip")
    window = make_window(tmp_path)
    window.click(window.dock.learn.models)
    listed = window.dock.windows.models
    assert listed is not None
    window.click(listed.take_in)
    window.settle()
    assert get_notice(window) == "Imported as base-1: another model called base is here already."
    assert [listed.list.item(i).text() for i in range(listed.list.count())] == ["base  (in use)", "base-1"]
    window.click(listed.take_in)
    window.settle()
    assert get_notice(window) == "This model is here already, as base-1: nothing was imported."
    close_window(window)


def test_fault_9_a_silent_job_is_told_of(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "QUIET_MS", 300)
    window = make_labelled(tmp_path, "hang", model_folder, monkeypatch)
    finetune(window)
    window.wait(lambda: "it may hang" in window.dock._notice.text.text())
    window.click(window.dock.learn.progress.button)
    window.settle()
    assert not window.dock.workplace.now.job
    close_window(window)
