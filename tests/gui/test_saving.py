"""The Save menu as its user meets it: files where they were asked for, progress meanwhile, a sentence at the end."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from glrp_napari.assessment import measure_reading
from glrp_napari.decisions import Reading
from glrp_napari.export import Step
from glrp_napari.gui import asking, saving
from glrp_napari.gui.editing import Run
from glrp_napari.gui.segment import Choice
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.report import StudyReport
from glrp_napari.slice_states import SliceState
from tests.gui.conftest import Window, make_cine
from tests.reading import dicom_files as files


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = files.build_images(files.Cine(slices=4, size=(32, 32)))
    for image in images:
        image.StudyInstanceUID, image.FrameOfReferenceUID = "1.2.3", "1.2.3.9"
    return files.save_all(tmp_path_factory.mktemp("study") / "heart", images)


@pytest.fixture
def drawn(shared_window: Window, dicom: Path) -> Iterator[Window]:
    """The window with a DICOM study and a heart in it, one slice of which a person drew."""
    window = shared_window
    window.dock.opening.open_path(dicom)
    window.wait(lambda: window.dock.workplace.study is not None)
    window.settle()
    plane = np.zeros((32, 32), np.uint8)
    plane[8:24, 8:24], plane[12:20, 12:20], plane[10:22, 3:7] = 2, 3, 1
    places = [(t, z) for t in range(4) for z in range(4) if not (t == 1 and z == 0)]
    window.study.history.write(dict.fromkeys(places, plane), SliceState.PREDICTED)
    window.study.mask.paint((0, 1, 16, 16), 3)
    window.study.states[0, 1] = SliceState.EDITED
    window.study.runs = dict.fromkeys(range(4), Run("base", crf=True, device="cpu"))
    window.study.reading = Reading(height_cm=170.0, weight_kg=70.0)
    window.dock.draw()
    yield window
    window.dock.workplace.close_study()
    window.settle()
    for path in window.dock.workplace.now.session.drafts.iterdir():
        path.unlink()


def choose(window: Window, text: str, monkeypatch: pytest.MonkeyPatch, answer: Path) -> None:
    """Take an entry of the Save menu; the system's dialog answers with a path."""
    monkeypatch.setattr(asking, "ask_target", lambda *_args: answer)
    monkeypatch.setattr(asking, "ask_folder", lambda *_args: answer)
    (action,) = (a for a in window.dock.study.save_button.menu().actions() if a.text().startswith(text))
    assert action.isEnabled()
    action.trigger()
    window.settle()


def notice(window: Window) -> str:
    return window.dock._notice.text.text()


def test_table_and_json_hold_the_readers_decisions(
    drawn: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(drawn, "Table", monkeypatch, tmp_path / "numbers.csv")
    report = StudyReport.model_validate_json((tmp_path / "numbers.json").read_text())
    study = drawn.study
    assert report.measurements == measure_reading(study.loaded.cine, study.mask.data, study.reading)
    assert (report.model, report.by_person, report.function.bsa_m2) == ("base", 1, 1.818)
    with (tmp_path / "numbers.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["by_person"] == "1"
    assert (report.crf, report.device) == (True, "cpu")
    assert notice(drawn) == "Table saved."
    drawn.study.runs[2] = Run("other", device="cpu")
    choose(drawn, "Table", monkeypatch, tmp_path / "numbers.csv")
    report = StudyReport.model_validate_json((tmp_path / "numbers.json").read_text())
    assert (report.model, report.model_sha256, report.device) == ("several", "", "cpu")


def test_a_file_that_only_the_suffix_makes_existing_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.csv").touch()
    asked: list[str] = []
    answers = iter([str(tmp_path / "old"), str(tmp_path / "old.csv"), str(tmp_path / "new"), ""])

    def answer(_parent: object, _title: str, suggestion: str, _kinds: str) -> tuple[str, str]:
        asked.append(suggestion)
        return next(answers), ""

    monkeypatch.setattr(asking.QFileDialog, "getSaveFileName", answer)
    found = [asking.ask_target(None, "Save", "first", asking.CSV) for _ in range(3)]
    assert found == [tmp_path / "old.csv", tmp_path / "new.csv", None]
    assert asked == ["first", str(tmp_path / "old.csv"), "first", "first"]


def test_the_table_never_replaces_another_program_s_json(
    drawn: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = tmp_path / "study.json"
    sidecar.write_text('{"RepetitionTime": 3.2}')
    choose(drawn, "Table", monkeypatch, tmp_path / "study.csv")
    assert sidecar.read_text() == '{"RepetitionTime": 3.2}'
    assert "found another program's file" in notice(drawn)
    sidecar.unlink()
    for _ in range(2):  # the second replaces our own
        choose(drawn, "Table", monkeypatch, tmp_path / "study.csv")
        assert notice(drawn) == "Table saved."


def test_the_report_is_two_pages_and_names_nobody_unless_asked(
    drawn: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    export = saving.export_report

    def watch(*args: object) -> Iterator[Step]:
        asked.append(bool(args[-1]))
        return export(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(saving, "export_report", watch)
    choose(drawn, "Report (PDF)", monkeypatch, tmp_path / "r.pdf")
    choose(drawn, "Report with name and dates", monkeypatch, tmp_path / "named.pdf")
    assert asked == [False, True]
    for name in ("r.pdf", "named.pdf"):
        assert (tmp_path / name).read_bytes().count(b"/Type /Page ") == 2
    assert not drawn.dock.study.progress.isVisibleTo(drawn.dock)


def test_seg_is_written_with_progress_and_loaded_again(
    drawn: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    drawn.dock.files.saving.advanced.connect(lambda _text, done, total, _left: seen.append((done, total)))
    choose(drawn, "Mask (DICOM SEG", monkeypatch, tmp_path / "segs")
    assert seen == [(n, 4) for n in range(5)]
    mask = drawn.study.mask.data.copy()
    assert np.array_equal(read_mask(tmp_path / "segs", drawn.study.loaded.cine), mask)
    first = min((tmp_path / "segs").iterdir())
    drawn.study.mask.data[:] = 0
    drawn.dock.files.masks.load(first)
    drawn.settle()
    assert np.array_equal(drawn.study.mask.data[0], mask[0])
    assert not drawn.study.mask.data[1:].any()


def test_cancel_keeps_whole_files_only(drawn: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn.dock.files.saving.began.connect(lambda _text: drawn.dock.study.progress.button.click())
    choose(drawn, "Mask (DICOM SEG", monkeypatch, tmp_path / "segs")
    assert "cancelled: 0 of 4" in notice(drawn)
    drawn.dock.files.saving.began.disconnect()
    drawn.dock.files.saving.began.connect(drawn.dock.study.progress.begin)
    assert not list(tmp_path.glob("segs/*"))


def test_case_93_a_folder_that_cannot_be_written_is_named(
    drawn: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    choose(drawn, "Table", monkeypatch, tmp_path / "file" / "t.csv")
    assert "nothing can be written there" in notice(drawn)


def test_what_needs_dicom_is_grey_without_it(shared_window: Window) -> None:
    window = shared_window
    window.open(make_cine(name="no dicom"))
    assert not window.dock.study.seg_action.isEnabled()
    assert not window.dock.study.named_action.isEnabled()
    window.dock.workplace.close_study()


def test_a_folder_that_is_not_the_studys_seg_is_refused_with_a_sentence(drawn: Window, dicom: Path) -> None:
    cine = read_cine(dicom)
    drawn.dock.files.masks.take(dicom, None)
    drawn.settle()
    assert "no DICOM SEG" in notice(drawn)
    assert cine.source.format == "DICOM"


def test_a_run_signs_only_the_frames_that_it_wrote(window: Window) -> None:
    study, segmenting = window.open(make_cine(name="signed")), window.dock.segmenting
    study.runs = dict.fromkeys(range(4), Run("older", device="cpu"))
    study.segmented_by = "older"
    window.go(2, 1)
    segmenting.start(Choice(scope="frame", crf=True))
    assert study.segmented_by == "older", "nothing has arrived yet"
    window.settle()
    assert study.segmented_by == "base"
    assert study.runs[2] == Run("base", crf=True, device="cpu")
    assert {study.runs[t].model for t in (0, 1, 3)} == {"older"}
    study.states[2] = SliceState.EDITED
    study.runs[2] = Run("older")
    segmenting.start(Choice(scope="frame"))
    window.settle()
    assert study.runs[2] == Run("older"), "a run that kept every slice wrote nothing"
