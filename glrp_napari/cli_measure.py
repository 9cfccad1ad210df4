"""The command that measures a mask: `glrp measure`; and what it shares with `glrp segment`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from glrp_napari.cine import Cine, Mask, hash_study
from glrp_napari.decisions import Reading
from glrp_napari.export import export_numbers, export_report, export_seg
from glrp_napari.measure import UNDEFINED, Phases
from glrp_napari.norms import Sex
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import parse_label_map, read_mask
from glrp_napari.report import Origin, StudyReport, load_report, report_study
from glrp_napari.writing.folders import check_folder

console = Console()

Report = Annotated[bool, typer.Option(help="Write <study>_report.pdf too, two pages.")]
DicomSeg = Annotated[bool, typer.Option(help="Write the mask as DICOM SEG too, a file a frame.")]
Patient = Annotated[bool, typer.Option(help="Put the patient's name, identifier and dates on it (DICOM only).")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(measure)


def measure(
    study: Annotated[Path, typer.Argument(help="As `glrp segment`.", show_default=False)],
    mask: Annotated[Path, typer.Argument(help="On its grid, or DICOM SEG (file or folder).", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for <study>.json and <study>.csv.")],
    ed: Annotated[int | None, typer.Option(min=0, help="Frame of end diastole from 0; else found.")] = None,
    es: Annotated[int | None, typer.Option(min=0, help="Frame of end systole from 0; else found.")] = None,
    height: Annotated[float | None, typer.Option(min=0, help="cm, in place of the file's; 0 uses none.")] = None,
    weight: Annotated[float | None, typer.Option(min=0, help="kg, in place of the file's; 0 uses none.")] = None,
    sex: Annotated[Sex | None, typer.Option(help="For the normal ranges.")] = None,
    age: Annotated[float | None, typer.Option(min=0, help="Years, for the normal ranges.")] = None,
    heart_rate: Annotated[float | None, typer.Option(min=1, help="Beats a minute, in place of the file's.")] = None,
    earlier: Annotated[Path | None, typer.Option(help="A report (JSON) whose decisions and origin hold here.")] = None,
    report: Report = False,
    dicom_seg: DicomSeg = False,
    patient: Patient = False,
    label_map: Annotated[str, typer.Option(help="What the mask's labels mean, if not 1=RV,2=MYO,3=LV.")] = "",
    series: Annotated[str | None, typer.Option(help="Of a DICOM folder: which series.")] = None,
) -> None:
    """Measure a mask: volumes, function, mass and wall thickness, as a table and a report."""
    check_folder(out)
    cine = read_cine(study, series)
    labels = read_mask(mask, cine, parse_label_map(label_map))
    before = load_report(earlier, hash_study(cine)) if earlier else None
    typed = {"height_cm": height, "weight_kg": weight, "sex": sex, "age_years": age, "heart_rate_bpm": heart_rate}
    reading = decide(before.reading if before else Reading(), Phases(ed, es), typed)
    found = report_study(cine, labels, before.origin if before else Origin(), reading=reading)
    export_numbers(out / found.study, found)
    if dicom_seg:
        save_seg(out, found, cine, labels)
    if report:
        save_report(out, found, cine, labels, patient)
    for line in found.function.describe_volumes():
        console.print(line, soft_wrap=True)
    print_grounds(found)
    for sentence in found.measurements.missing:
        console.print(f"[yellow]{sentence}", soft_wrap=True)
    console.print(f"{out / found.study}.json, {out / found.study}.csv", soft_wrap=True)


def decide(earlier: Reading, phases: Phases, typed: Mapping[str, object]) -> Reading:
    """The decisions of an earlier reading, but for what is given anew (not None)."""
    settled = Phases(*(old if new is None else new for old, new in zip(earlier.phases, phases, strict=True)))
    given = {name: value for name, value in typed.items() if value is not None}
    return Reading(**(dict(earlier) | {"phases": settled} | given))


def print_grounds(report: StudyReport) -> None:
    """Say what the numbers rest on: ED and ES, counted as the options and the files do, and the body surface area where
    the file had a part in it.
    """
    function, source = report.function, report.measurements.bsa_source
    if function.ed is None or function.es is None:
        console.print(f"[yellow]{UNDEFINED}", soft_wrap=True)
    else:
        console.print(f"ED is frame {function.ed}, ES frame {function.es} (the first frame is 0)", soft_wrap=True)
    if source:
        console.print(f"Body surface area {function.bsa_m2:.2f} m²: {source}", soft_wrap=True)


def save_report(out: Path, report: StudyReport, cine: Cine, mask: Mask, with_patient: bool) -> None:
    """Write `<study>_report.pdf`."""
    path = out / f"{report.study}_report.pdf"
    list(export_report(path, report, cine, mask, with_patient))
    console.print(f"{path}", soft_wrap=True)


def save_seg(out: Path, report: StudyReport, cine: Cine, mask: Mask) -> None:
    """Write the mask as DICOM SEG, a file a frame, in `<study>_seg`."""
    folder = out / f"{report.study}_seg"
    *_, last = export_seg(folder, mask, cine, Origin(**report.model_dump(include=set(Origin.model_fields))))
    console.print(f"{last.total} frames as DICOM SEG, read back and compared: {folder}", soft_wrap=True)
