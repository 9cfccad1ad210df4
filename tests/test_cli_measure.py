"""`glrp measure` and what it shares with `glrp segment`: numbers, pages and SEG; and nobody's name in any of them."""

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from typer.testing import CliRunner

from glrp_napari import export
from glrp_napari.assessment import measure_reading
from glrp_napari.cine import Cine, Mask
from glrp_napari.cli import app, label, segment_command
from glrp_napari.cli_measure import measure, save_report, save_seg
from glrp_napari.decisions import Reading
from glrp_napari.drawing import pages
from glrp_napari.library import Protocol
from glrp_napari.measure import Phases
from glrp_napari.norms import Sex
from glrp_napari.phantom import Anatomy, Phantom, make_phantom
from glrp_napari.reading import ReadError, read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.reading.patient import read_patient
from glrp_napari.report import Origin, StudyReport, report_study, write_report
from glrp_napari.segments import Insertions
from glrp_napari.table import describe_columns, summarise
from glrp_napari.writing.masks import write_images, write_mask
from glrp_napari.writing.pdf import write_pdf
from tests.reading import dicom_files as files

DICTIONARY = Path(__file__).parents[1] / "docs" / "reading-a-study.md"
FORBIDDEN = ("canary", "19700101")


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(3, Anatomy(frames=10, slices=6, pixels=96, pixel_mm=2.4))


@pytest.fixture(scope="module")
def report(phantom: Phantom) -> StudyReport:
    reading = Reading(height_cm=180, weight_kg=80, sex=Sex.MALE, age_years=50)
    return report_study(phantom.cine, phantom.mask, Origin(model="cine", model_sha256="ab" * 32), reading=reading)


def list_texts(figures: tuple[Figure, ...]) -> list[str]:
    return [str(text.get_text()) for figure in figures for text in figure.findobj(Text) if text.get_text()]


def test_measure_writes_json_table_and_pages(
    phantom: Phantom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "heart.nii.gz", phantom.cine.images, phantom.cine)
    write_mask(tmp_path / "mask.nii.gz", phantom.mask, phantom.cine)
    out = tmp_path / "out"
    measure(tmp_path / "heart.nii.gz", tmp_path / "mask.nii.gz", out, height=180, weight=80, sex=Sex.MALE, report=True)
    cine = read_cine(tmp_path / "heart.nii.gz")
    expected = measure_reading(cine, phantom.mask, Reading(height_cm=180, weight_kg=80, sex=Sex.MALE))
    told = StudyReport.model_validate_json((out / "heart.json").read_text())
    assert told.measurements == expected
    assert (
        f"ED is frame {told.function.ed}, ES frame {told.function.es} (the first frame is 0)" in capsys.readouterr().out
    )
    with (out / "heart.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == list(describe_columns())
    assert float(row["lv_ef_percent"]) == expected.function.lv.ef_percent
    assert row["lv_ef_percent_normal"] in ("below", "within", "above")
    assert (out / "heart_report.pdf").read_bytes().startswith(b"%PDF")
    assert {path.name for path in out.iterdir()} == {"heart.json", "heart.csv", "heart_report.pdf"}


def test_an_earlier_report_s_decisions_and_origin_hold_but_for_what_is_typed(phantom: Phantom, tmp_path: Path) -> None:
    """What was dragged in the window comes to the command line: base and apex, insertion points, phases, the model."""
    write_images(tmp_path / "heart.nii.gz", phantom.cine.images, phantom.cine)
    write_mask(tmp_path / "mask.nii.gz", phantom.mask, phantom.cine)
    cine = read_cine(tmp_path / "heart.nii.gz")
    points = Insertions(anterior_deg=-100, inferior_deg=90)
    decided = Reading(
        phases=Phases(0, 3), lv_slices={0: (1, 3), 4: (2, 3)}, insertions={0: points, 4: points}, height_cm=180
    )
    origin = Origin(model="my-labels-2", by_person=7, protocol=Protocol(papillaries="wall"))
    write_report(tmp_path / "earlier.json", report_study(cine, phantom.mask, origin, reading=decided))
    out, paths = tmp_path / "out", (tmp_path / "heart.nii.gz", tmp_path / "mask.nii.gz")
    measure(*paths, out, es=4, weight=80, earlier=tmp_path / "earlier.json")
    told = StudyReport.model_validate_json((out / "heart.json").read_text())
    assert told.origin == origin
    assert told.reading == decided.model_copy(update={"phases": Phases(0, 4), "weight_kg": 80})
    assert told.measurements == measure_reading(cine, phantom.mask, told.reading)
    assert told.measurements.extents[4].lv == (2, 3)

    other = replace(cine, images=cine.images + 1)
    write_report(tmp_path / "other.json", report_study(other, phantom.mask, origin))
    with pytest.raises(ValueError, match="the report of another study"):
        measure(*paths, out, earlier=tmp_path / "other.json")
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(ValueError, match="expected a report"):
        measure(*paths, out, earlier=tmp_path / "notes.json")


@pytest.mark.parametrize("option", ["--heart-rate", "--height", "--age", "--ed"])
def test_numbers_that_cannot_be_are_refused_by_their_option(option: str) -> None:
    outcome = CliRunner().invoke(app, ["measure", "study", "mask", "--out", "out", option, "-3"])
    assert outcome.exit_code == 2
    assert option in outcome.output


def test_every_column_stands_in_the_dictionary() -> None:
    words = DICTIONARY.read_text()
    ends = {f"{name}_{n:02d}" for name in ("thickness_ed_mm", "thickening_percent") for n in range(2, 16)}  # "01 … 16"
    assert not [name for name in describe_columns() if f"`{name}`" not in words and name not in ends]


def test_a_row_holds_what_the_report_measured(report: StudyReport) -> None:
    row = summarise("a/b", report)
    segments = {one.number: one for one in report.measurements.segments}
    assert row["thickness_ed_mm_04"] == segments[4].ed_mm
    assert row["thickening_percent_16"] == segments[16].thickening_percent
    curve = report.measurements.lv_curve
    assert curve is not None
    assert row["lv_peak_filling_ml_s"] == round(curve.peak_filling_ml_s, 1)
    assert (row["height_cm"], row["sex"], row["study"]) == (180, "male", "a/b")


def test_the_pages_show_the_numbers_their_ranges_and_for_whom_they_are(phantom: Phantom, report: StudyReport) -> None:
    texts = list_texts(pages.draw_pages(report, phantom.cine, phantom.mask))
    lv = report.function.lv
    assert lv.edv_ml is not None
    assert f"{lv.edv_ml:.0f}" in texts
    assert "48–68" in texts  # Petersen 2017, men: 58 ± 1.96 · 5
    assert texts.count(pages.RESEARCH) == 2
    assert any("model cine (abababab)" in text for text in texts)
    assert any(text.startswith("End systole · frame") for text in texts)
    assert not any(phantom.cine.source.name in text for text in texts)


def test_pages_without_ed_and_es_say_so(phantom: Phantom) -> None:
    empty = np.zeros_like(phantom.mask)
    texts = list_texts(pages.draw_pages(report_study(phantom.cine, empty, Origin()), phantom.cine, empty))
    assert any("not known: no contours" in text for text in texts)


def save_dicom(folder: Path, **tags: str) -> Cine:
    images = files.build_images(files.Cine(slices=4, size=(40, 36)))
    for image in images:
        image.StudyInstanceUID, image.FrameOfReferenceUID = "1.2.3", "1.2.3.9"
        for keyword, value in tags.items():
            setattr(image, keyword, value)
    return read_cine(files.save_all(folder, images))


def draw_heart(cine: Cine) -> Mask:
    mask = np.zeros(cine.images.shape, np.uint8)
    for t in range(len(mask)):
        mask[t, :, 10:30, 10:30] = 2
        mask[t, :, 13 + t : 27 - t, 13 + t : 27 - t] = 3
        mask[t, :, 12:28, 4:10] = 1
    return mask


def test_load_10_and_case_95_no_name_and_no_date_reaches_any_output_unless_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canary stands in the images' headers and, by a careless hand, in the folder's name."""
    drawn: list[tuple[Figure, ...]] = []
    draw = pages.draw_pages
    monkeypatch.setattr(pages, "draw_pages", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    study = tmp_path / "in" / files.CANARY
    cine = save_dicom(study)
    write_mask(tmp_path / "mask.nii.gz", draw_heart(cine), cine)
    out = tmp_path / "out"
    measure(study, tmp_path / "mask.nii.gz", out, report=True)
    told = capfd.readouterr()
    seen = [*told, *(path.name for path in out.iterdir()), *list_texts(drawn[0])]
    seen += [path.read_bytes().decode("latin-1") for path in out.iterdir()]
    assert len(list(out.iterdir())) == 3
    assert not [text for text in seen if any(word in text.lower() for word in FORBIDDEN)]
    measure(study, tmp_path / "mask.nii.gz", out, report=True, patient=True)
    assert any("canary" in text.lower() for text in list_texts(drawn[1]))


def test_the_files_height_and_weight_are_used_and_stand_only_where_they_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Figure, ...]] = []
    draw = pages.draw_pages
    monkeypatch.setattr(pages, "draw_pages", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    mask = _save_mask(tmp_path, save_dicom(tmp_path / "study", PatientSize="1.737", PatientWeight="81.3"))
    out = tmp_path / "out"
    measure(tmp_path / "study", mask, out, report=True)
    assert "Body surface area 1.98 m²: height and weight from the file" in capsys.readouterr().out
    told = StudyReport.model_validate_json((out / "study.json").read_text())
    assert (told.function.bsa_m2, told.measurements.bsa_from_file) == (1.981, ("height", "weight"))
    with (out / "study.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["height_cm"], row["weight_kg"], row["bsa_m2"], row["bsa_from_file"]) == (
        "", "", "1.981", "height weight"
    )  # fmt: skip
    files_text = " ".join(path.read_bytes().decode("latin-1") for path in out.glob("study.*"))
    assert not any(value in files_text for value in ("173.7", "1.737", "81.3"))
    assert "Body surface area 1.98 m² from the file · heart rate 375/min" in list_texts(drawn[0])
    assert any("Body surface area: height and weight from the file." in text for text in list_texts(drawn[0]))
    measure(tmp_path / "study", mask, out, height=125, report=True, patient=True)
    assert any(
        text.startswith("Height 125 cm · weight 81 kg · body surface area 1.68 m² from the file")
        for text in list_texts(drawn[1])
    )
    measure(tmp_path / "study", mask, out, weight=0)
    told = StudyReport.model_validate_json((out / "study.json").read_text())
    assert (told.function.bsa_m2, told.measurements.bsa_from_file) == (None, ())
    with (out / "study.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["weight_kg"] == ""


def test_no_label_holds_height_or_weight(tmp_path: Path) -> None:
    cine = save_dicom(tmp_path / "study", PatientSize="1.737", PatientWeight="81.3")
    label(tmp_path / "study", _save_mask(tmp_path, cine), tmp_path / "library", frames="0")
    held = [path for path in (tmp_path / "library").rglob("*") if path.is_file()]
    assert held
    for path in held:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("latin-1")
        assert not any(value in text for value in ("173.7", "1.737", "81.3"))


def _save_mask(folder: Path, cine: Cine) -> Path:
    write_mask(folder / "mask.nii.gz", draw_heart(cine), cine)
    return folder / "mask.nii.gz"


def test_a_name_is_asked_of_dicom_only(phantom: Phantom, report: StudyReport, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="expected one read from DICOM"):
        save_report(tmp_path, report, phantom.cine, phantom.mask, True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ReadError, match="expected one read from DICOM"):
        read_patient(phantom.cine)


@pytest.mark.parametrize(
    ("name", "content"), [("heart.json", '{"RepetitionTime": 3.2}'), ("heart.csv", "frame,area\n")]
)
def test_another_program_s_file_is_never_replaced(phantom: Phantom, tmp_path: Path, name: str, content: str) -> None:
    write_images(tmp_path / "heart.nii.gz", phantom.cine.images, phantom.cine)
    write_mask(tmp_path / "mask.nii.gz", phantom.mask, phantom.cine)
    (tmp_path / name).write_text(content)
    for command in (
        lambda: measure(tmp_path / "heart.nii.gz", tmp_path / "mask.nii.gz", tmp_path),
        lambda: segment_command(tmp_path / "heart.nii.gz", tmp_path, model="none is needed"),
    ):
        with pytest.raises(ValueError, match="found another program's file"):
            command()
    assert (tmp_path / name).read_text() == content
    (tmp_path / name).unlink()
    for _again in range(2):
        measure(tmp_path / "heart.nii.gz", tmp_path / "mask.nii.gz", tmp_path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Doe^Jane", "Doe Jane"),
        ("Yamada^Tarou=山田^太郎", "Yamada Tarou"),
        ("A $_$ B", "A $_$ B"),
    ],
)
def test_a_name_is_read_in_latin_letters_and_drawn_as_it_is(tmp_path: Path, written: str, read: str) -> None:
    cine = save_dicom(tmp_path / "study", PatientName=written, SpecificCharacterSet="ISO_IR 192")
    patient = read_patient(cine)
    assert patient.name == read
    mask = draw_heart(cine)
    figures = pages.draw_pages(report_study(cine, mask, Origin()), cine, mask, patient)
    write_pdf(tmp_path / "pages.pdf", figures)
    assert any(read in text for text in list_texts(figures))


def test_agreed_conventions_stand_on_the_pages(phantom: Phantom) -> None:
    origin = Origin(protocol=Protocol(papillaries="wall"))
    texts = list_texts(pages.draw_pages(report_study(phantom.cine, phantom.mask, origin), phantom.cine, phantom.mask))
    assert any("Agreed conventions of drawing: papillary muscles in the wall," in " ".join(t.split()) for t in texts)


def test_seg_is_written_and_measured_again_as_the_same_mask(tmp_path: Path) -> None:
    cine = save_dicom(tmp_path / "study")
    mask = draw_heart(cine)
    report = report_study(cine, mask, Origin(model="cine", model_sha256="ab" * 32, by_person=2))
    save_seg(tmp_path, report, cine, mask)
    segs = tmp_path / "study_seg"
    assert len(list(segs.iterdir())) == len(mask)
    assert np.array_equal(read_mask(segs, cine), mask)
    measure(tmp_path / "study", segs, tmp_path / "again", dicom_seg=True)
    again = json.loads((tmp_path / "again" / "study.json").read_text())
    assert again["measurements"] == json.loads(report.model_dump_json())["measurements"]
    assert np.array_equal(read_mask(tmp_path / "again/study_seg", cine), mask)


def test_seg_steps_count_the_frames_and_can_be_left(tmp_path: Path) -> None:
    cine = save_dicom(tmp_path / "study")
    steps = export.export_seg(tmp_path / "out", draw_heart(cine), cine, Origin())
    assert [next(steps), next(steps)] == [(0, 4), (1, 4)]
    steps.close()  # type: ignore[attr-defined]
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_case_93_and_94_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="nothing can be written there"):
        measure(tmp_path / "nosuch.nii", tmp_path / "nosuch.nii", tmp_path / "file" / "out")
