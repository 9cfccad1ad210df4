"""The two pages of a study's report: the table, curves and bullseyes; then every slice at ED and ES with contours.

Draws a `StudyReport` into figures of A4. It must not know files; of a patient it writes only what it is given.
"""

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glrp_napari.cine import Body, Cine, Mask, Structure
from glrp_napari.decisions import settle_body
from glrp_napari.drawing.bullseye import THICKENING, THICKNESS, draw_bullseye
from glrp_napari.drawing.montage import draw_montage
from glrp_napari.drawing.numbers import HEAD, list_rows, list_sources
from glrp_napari.drawing.palette import COLOURS, NAMES, PAPER
from glrp_napari.drawing.volumes import draw_volumes
from glrp_napari.library.protocol import describe_protocol
from glrp_napari.measure import Phases
from glrp_napari.reading.patient import Patient
from glrp_napari.report import StudyReport

TITLE = "Cardiac function from short-axis cine MRI"
A4 = (8.27, 11.69)
RESEARCH = "For research use only. Not for diagnosis."
DEFINITIONS = (
    "Definitions after SCMR 2020 (J Cardiovasc Magn Reson 22:19): volumes by summation of discs, no cavity counted "
    "above the slice in which half of its outline is myocardium; papillary muscles and trabeculae as drawn, by our "
    "models in the cavity; mass at end diastole, 1.05 g/ml; body surface area after Mosteller."
)
_LEFT, _RIGHT = 0.08, 0.93
_COLUMNS = (0.0, 0.345, 0.44, 0.545, 0.695, 0.79, 0.915)
_SMALL, _PLAIN, _TITLE = 7.0, 8.5, 14.0


def draw_pages(report: StudyReport, cine: Cine, mask: Mask, patient: Patient | None = None) -> tuple[Figure, Figure]:
    """Both pages of a report on a mask (T, Z, Y, X); names and dates are on them only with a `patient`."""
    return _draw_numbers(report, cine, patient), _draw_slices(report, cine, mask, patient)


def _draw_numbers(report: StudyReport, cine: Cine, patient: Patient | None) -> Figure:
    page = _make_page(report, patient, 1)
    _draw_table(page.add_axes((_LEFT, 0.645, _RIGHT - _LEFT, 0.225)), report)
    phases = Phases(report.function.ed, report.function.es)
    curves = {Structure.LV: report.measurements.lv_curve, Structure.RV: report.measurements.rv_curve}
    axes = page.add_axes((_LEFT + 0.05, 0.455, _RIGHT - _LEFT - 0.05, 0.155))
    times = _find_times(report, cine)
    draw_volumes(axes, report.function.volumes_ml, times, phases, {k: v for k, v in curves.items() if v})
    at = "".join(f" · {name.upper()} frame {t + 1}" for name, t in phases._asdict().items() if t is not None)
    axes.set_title(f"Volumes over the heart cycle{at}", fontsize=_PLAIN, loc="left")
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(_SMALL)
    _draw_wall(page, report)
    _write_notes(page, report)
    return page


def _draw_slices(report: StudyReport, cine: Cine, mask: Mask, patient: Patient | None) -> Figure:
    page = _make_page(report, patient, 2)
    titles = {report.function.ed: "End diastole", report.function.es: "End systole"}
    frames = {frame: title for frame, title in titles.items() if frame is not None}
    axes = page.add_axes((_LEFT, 0.09, _RIGHT - _LEFT, 0.76))
    if frames:
        draw_montage(axes, cine, mask, frames, report.measurements.extents, columns=5)
        axes.set_anchor("N")
    else:
        axes.set_axis_off()
        axes.text(0, 1, "End diastole and end systole are not known: no contours to show.", fontsize=_PLAIN)
    for place, structure in enumerate(Structure):
        page.text(_LEFT + 0.13 * place, 0.855, f"― {NAMES[structure]}", color=COLOURS[structure], fontsize=_PLAIN)
    page.text(_RIGHT, 0.855, "dotted: not counted", color=PAPER.quiet, fontsize=_SMALL, ha="right")
    return page


def _make_page(report: StudyReport, patient: Patient | None, number: int) -> Figure:
    page = Figure(A4, facecolor=PAPER.ground)
    page.text(_LEFT, 0.945, TITLE, fontsize=_TITLE, color=PAPER.text, weight="bold")
    for line, text in enumerate(_list_head(report, patient)):
        page.text(_LEFT, 0.922 - 0.016 * line, text, fontsize=_PLAIN, color=PAPER.text, parse_math=False)
    page.text(_LEFT, 0.04, RESEARCH, fontsize=_PLAIN, color=PAPER.text, weight="bold")
    page.text(_RIGHT, 0.04, f"page {number} of 2", fontsize=_SMALL, color=PAPER.quiet, ha="right")
    page.text(_LEFT, 0.026, _describe_origin(report), fontsize=_SMALL, color=PAPER.quiet, parse_math=False)
    return page


def _list_head(report: StudyReport, patient: Patient | None) -> list[str]:
    """The lines under the title: the patient where asked for, the study by its hash, and what the reader typed.

    The file's height and weight are the patient's, and stand with the name only; what follows from them always does.
    """
    lines = [] if patient is None else [_describe_patient(patient)]
    lines.append(f"Study {report.study_sha256[:12]} · {report.description}")
    function, reading, source = report.function, report.reading, report.measurements.bsa_source
    body = settle_body(patient.body if patient else Body(), reading)
    facts = (
        ("height {:.0f} cm", body.height_cm),
        ("weight {:.0f} kg", body.weight_kg),
        (f"body surface area {{:.2f}} m²{source and ' from the file'}", function.bsa_m2),
        ("{}", reading.sex),
        ("{:.0f} years", reading.age_years),
        ("heart rate {:.0f}/min", function.heart_rate_bpm),
    )
    told = " · ".join(text.format(value) for text, value in facts if value is not None)
    return [*lines, told[:1].upper() + told[1:]]


def _describe_patient(patient: Patient) -> str:
    parts = (
        ("{}", patient.name),
        ("ID {}", patient.identifier),
        ("born {}", patient.born),
        ("scan of {}", patient.scanned),
    )
    return (
        " · ".join(text.format(value) for text, value in parts if value) or "The images do not say who the patient is."
    )


def _describe_origin(report: StudyReport) -> str:
    model = f"model {report.model} ({report.model_sha256[:8]})" if report.model else "mask from a file"
    person = f" · {report.by_person} slices drawn, corrected or accepted by a person" if report.by_person else ""
    return f"glrp-napari {report.software} · {model}{' + CRF' if report.crf else ''}{person}"


def _describe_conventions(report: StudyReport) -> str:
    return f"Agreed conventions of drawing: {describe_protocol(report.protocol)}." if report.protocol else ""


def _find_times(report: StudyReport, cine: Cine) -> Sequence[float] | None:
    """The frames' times: the curve's, which follow a typed heart rate, else the file's."""
    curve = report.measurements.lv_curve or report.measurements.rv_curve
    return curve.frame_ms if curve else cine.frame_ms


def _draw_table(axes: Axes, report: StudyReport) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    rows = list_rows(report)
    height = 1 / (len(rows) + 1)
    for line, row in enumerate((HEAD, *rows)):
        y = 1 - height * (line + 0.5)
        for column, (x, text) in enumerate(zip(_COLUMNS, row, strict=True)):
            outside = text.endswith(("↑", "↓"))
            quiet = line == 0 or column in (3, 6)
            axes.text(
                x, y, text, ha="left" if column == 0 else "center", va="center", fontsize=_PLAIN,
                color=PAPER.quiet if quiet else PAPER.text, weight="bold" if outside else "normal",
            )  # fmt: skip
        axes.axhline(y - height / 2, color=PAPER.quiet, linewidth=0.8 if line == 0 else 0.25)


def _draw_wall(page: Figure, report: StudyReport) -> None:
    segments = report.measurements.segments
    shown = (
        (THICKNESS, {one.number: one.ed_mm for one in segments}),
        (THICKENING, {one.number: one.thickening_percent for one in segments}),
    )
    for place, (scale, values) in enumerate(shown):
        axes = page.add_axes((_LEFT + 0.45 * place, 0.2, 0.38, 0.195))
        draw_bullseye(axes, values, scale)
        axes.title.set_fontsize(_PLAIN)


def _write_notes(page: Figure, report: StudyReport) -> None:
    found = report.measurements
    source = [f"Body surface area: {found.bsa_source}."] if found.bsa_source else []
    drawn = _describe_conventions(report)
    notes = [*(f"Note: {text}" for text in found.missing), *source, drawn, DEFINITIONS, *list_sources(report)]
    text = "\n".join(fill(note, 165) for note in notes if note)
    page.text(_LEFT, 0.185, text, fontsize=5.5, color=PAPER.quiet, va="top", linespacing=1.25)
    page.text(_LEFT, 0.062, "Read by  ______________________________", fontsize=_PLAIN, color=PAPER.text)
    page.text(0.5, 0.062, "Date  ____________________", fontsize=_PLAIN, color=PAPER.text)
