"""The command line, `glrp`. Parses, calls the engine and prints; every error is one line and exit code 2."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from glrp_training.commands import Crf, CrfEngine, Device, choose_crf, register
from glrp_training.evaluate import print_scores, save_scores, score_cine
from glrp_training.pairs import describe_missing, find_pairs, score_pairs
from rich.console import Console
from rich.table import Table

from glrp_napari import __version__
from glrp_napari.batch import StudySegmented, segment_study
from glrp_napari.cine import Cine, Mask, describe, hash_study
from glrp_napari.cli_batch import register as register_batch
from glrp_napari.cli_measure import DicomSeg, Patient, Report, print_grounds, save_report, save_seg
from glrp_napari.cli_measure import register as register_measure
from glrp_napari.device import choose_placement
from glrp_napari.doctor import examine
from glrp_napari.export import check_targets, export_numbers
from glrp_napari.library import Accepted, accept_slices, claim_library
from glrp_napari.models import DEFAULT_MODEL, find_model, list_models
from glrp_napari.phantom import make_phantom
from glrp_napari.progress import show_progress
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import parse_label_map, read_mask
from glrp_napari.reasons import EXPECTED
from glrp_napari.refine import CrfSettings
from glrp_napari.report import StudyReport, write_report
from glrp_napari.segment import Frames, open_model
from glrp_napari.session import default_session
from glrp_napari.writing.folders import check_folder
from glrp_napari.writing.masks import write_images, write_mask

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
register(app)
register_batch(app)
register_measure(app)
DEMO_SEED = 7
console = Console()

Study = Annotated[Path, typer.Argument(help="NIfTI, NRRD, MHA/MHD file, or a DICOM folder.", show_default=False)]
ModelName = Annotated[str, typer.Option(help="A name `glrp models` lists, or a .safetensors file.")]
FrameList = Annotated[str, typer.Option(help="all, ed-es, or frame numbers from 0: 0,12.")]
Series = Annotated[str | None, typer.Option(help="Of a DICOM folder: which series.")]


def main() -> None:
    """Run the command line; expected errors end in one line on stderr and exit code 2."""
    try:
        app()
    except (*EXPECTED, subprocess.CalledProcessError) as error:
        print(f"glrp: {error}", file=sys.stderr)
        sys.exit(2)


@app.command()
def doctor() -> None:
    """Say what this installation can do, what is missing and how to mend it."""
    table = Table("", "found", "what to do", title=f"glrp-napari {__version__}")
    for finding in examine():
        table.add_row(finding.name, finding.found, finding.fix)
    console.print(table)


@app.command()
def models() -> None:
    """List the models that can be used."""
    table = Table("name", "title", "width", "made from")
    for model in list_models(default_session().models):
        card = model.card
        table.add_row(card.name, card.title, str(card.architecture.width), card.parent or "")
    console.print(table)


@app.command(name="segment")
def segment_command(
    study: Study,
    out: Annotated[Path, typer.Option(help="Folder for the mask and the measurements.")],
    frames: FrameList = "all",
    model: ModelName = DEFAULT_MODEL,
    crf: Crf = False,
    crf_engine: CrfEngine = "auto",
    device: Device = "auto",
    report: Report = False,
    dicom_seg: DicomSeg = False,
    patient: Patient = False,
    series: Series = None,
) -> None:
    """Segment a study: writes <study>_mask.nii.gz (1 RV, 2 MYO, 3 LV), <study>.json and <study>.csv."""
    check_folder(out)
    started = time.monotonic()
    cine = read_cine(study, series)
    check_targets(out / cine.source.name)
    _print_study(cine)
    refinement, reading_s = choose_crf(crf, crf_engine), time.monotonic() - started
    mask, found = _segment_study(cine, _parse_frames(frames), model, refinement, device, reading_s)
    write_mask(out / f"{cine.source.name}_mask.nii.gz", mask, cine)
    export_numbers(out / cine.source.name, found)
    if dicom_seg:
        save_seg(out, found, cine, mask)
    if report:
        save_report(out, found, cine, mask, patient)
    _print_report(found, out)


@app.command()
def label(
    study: Study,
    mask: Annotated[Path, typer.Argument(help="Labels on the study's grid: 1 RV, 2 MYO, 3 LV.", show_default=False)],
    library: Annotated[Path, typer.Option(help="The label library's folder.")],
    frames: Annotated[str, typer.Option(help="all, or frame numbers from 0.")] = "all",
    slices: Annotated[str, typer.Option(help="all that hold a label, or slice numbers from 0.")] = "all",
    label_map: Annotated[str, typer.Option(help="What the mask's labels mean, if not that: 1=LV,2=MYO,3=RV.")] = "",
    series: Series = None,
) -> None:
    """Put slices of a mask into a label library, as corrected by a person."""
    cine = read_cine(study, series)
    labels = read_mask(mask, cine, parse_label_map(label_map))
    places = _choose_places(mask, labels, frames, slices)
    study_hash = hash_study(cine)
    accepted = [Accepted(t, z, "corrected", labels[t, z]) for t, z in places]
    with claim_library(library):
        accept_slices(library, cine, accepted, study=study_hash, drawn_here=False)
    console.print(f"{len(places)} labels from {cine.source.name} in {library}")


@app.command()
def evaluate(
    prediction: Annotated[Path, typer.Argument(help="A mask, or a folder of <case>_mask.nii.gz.", show_default=False)],
    truth: Annotated[
        Path, typer.Argument(help="A mask, or a folder of <case>_gt.nii.gz, nested or not.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for scores and agreement, as CSV and JSON.")] = None,
    label_map: Annotated[str, typer.Option(help="What the truth's labels mean, if not 1=RV,2=MYO,3=LV.")] = "",
    prediction_map: Annotated[str, typer.Option(help="What the prediction's labels mean, if not that.")] = "",
    allow_missing: Annotated[bool, typer.Option(help="Leave out cases that have no prediction.")] = False,
) -> None:
    """Score masks against truth: Dice, HD, HD95 and ASSD a structure, on the native grid, and clinical agreement."""
    pairs = find_pairs(prediction, truth)
    if pairs.missing and not allow_missing:
        raise ValueError(f"{prediction}: found {describe_missing(pairs.missing)}, expected all (or --allow-missing)")
    if pairs.missing:
        console.print(f"[yellow]left out: {describe_missing(pairs.missing)}")
    scores = score_pairs(pairs, parse_label_map(label_map), parse_label_map(prediction_map))
    print_scores(scores)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        save_scores(scores, out)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo writes.")] = Path("demo"),
    model: ModelName = DEFAULT_MODEL,
    device: Device = "auto",
    window: Annotated[bool, typer.Option(help="Open napari at the end (without a display: a screenshot).")] = True,
) -> None:
    """The main job on a phantom heart: write a cine, read it back, segment it, measure it, open it in napari."""
    phantom = make_phantom(DEMO_SEED)
    study = out / "phantom.nii.gz"
    out.mkdir(parents=True, exist_ok=True)
    write_images(study, phantom.cine.images, phantom.cine)
    started = time.monotonic()
    cine = read_cine(study)
    _print_study(cine)
    mask, report = _segment_study(cine, "all", model, None, device, time.monotonic() - started)
    mask_path = out / f"{cine.source.name}_mask.nii.gz"
    write_mask(mask_path, mask, cine)
    write_report(out / f"{cine.source.name}.json", report)
    _print_report(report, out)
    print_scores(score_cine("phantom", mask, phantom.mask, cine.geometry.spacing_mm))
    if window:
        _open_window(study, mask_path, out)


def _segment_study(
    cine: Cine, frames: Frames, model_name: str, crf: CrfSettings | None, device: str, reading_s: float
) -> tuple[Mask, StudyReport]:
    started = time.monotonic()
    model = find_model(model_name, [default_session().models])
    segmenter = open_model(model, choose_placement(device))
    seconds = {"read": reading_s, "load model": time.monotonic() - started}
    *_, last = show_progress(segment_study(cine, model, segmenter, frames, crf, seconds))
    assert isinstance(last, StudySegmented)
    return last.mask, last.report


def _open_window(study: Path, mask: Path, out: Path) -> None:
    """Open napari in a process of its own; without a display under Xvfb, leaving a screenshot."""
    command = [sys.executable, "-m", "glrp_napari.gui", str(study), "--mask", str(mask)]
    command += ["--session", str(out / "session")]
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        subprocess.run(command, check=True)
        return
    if shutil.which("xvfb-run") is None:
        raise OSError("no display and no xvfb-run: found neither, expected one of them (apt-get install xvfb xauth)")
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24"]
    screenshot = out / "window.png"
    subprocess.run([*screen, *command, "--screenshot", str(screenshot)], check=True)
    console.print(f"No display here: the window's picture is {screenshot}")


def _choose_places(path: Path, mask: Mask, frames: str, slices: str) -> list[tuple[int, int]]:
    """The slices (t, z) that the user named; all are checked before any is used."""
    chosen = range(len(mask)) if frames == "all" else _parse_numbers(frames)
    levels = range(mask.shape[1]) if slices == "all" else _parse_numbers(slices)
    for noun, indices, count in (("frame", chosen, len(mask)), ("slice", levels, mask.shape[1])):
        for index in indices:
            if not 0 <= index < count:
                raise ValueError(f"{path}: found no {noun} {index}, expected 0 to {count - 1}")
    places = [(t, z) for t in chosen for z in levels if slices != "all" or mask[t, z].any()]
    if not places:
        raise ValueError(f"{path}: found no labelled slice in frames {frames}, expected at least one")
    return places


def _parse_frames(text: str) -> Frames:
    return text if text in ("all", "ed-es") else _parse_numbers(text)  # type: ignore[return-value]


def _parse_numbers(text: str) -> Sequence[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"found {text!r}, expected all or numbers from 0 separated by commas: 0,12") from None


def _print_study(cine: Cine) -> None:
    console.print(f"{cine.source.name}: {describe(cine)}")
    for warning in cine.warnings:
        console.print(f"[yellow]{warning}")


def _print_report(report: StudyReport, out: Path) -> None:
    function = report.function
    table = Table("", "EDV ml", "ESV ml", "SV ml", "EF %", "mass g")
    for name, ventricle, mass in (("LV", function.lv, function.lv_mass_g), ("RV", function.rv, None)):
        values = (ventricle.edv_ml, ventricle.esv_ml, ventricle.sv_ml, ventricle.ef_percent, mass)
        table.add_row(name, *("" if value is None else f"{value:.0f}" for value in values))
    console.print(table)
    print_grounds(report)
    console.print(f"{out / report.study}_mask.nii.gz, {out / report.study}.json, {sum(report.seconds.values()):.1f} s")


if __name__ == "__main__":
    main()
