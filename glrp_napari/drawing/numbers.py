"""The report's table as words: one row a quantity, both ventricles beside their normal ranges.

Pure: from a `StudyReport` to strings; it must not know figures.
"""

from glrp_napari.curves import VolumeCurve
from glrp_napari.norms import Judgement, Quantity
from glrp_napari.report import StudyReport

Row = tuple[str, str, str, str, str, str, str]
HEAD: Row = ("", "LV", "by BSA", "normal", "RV", "by BSA", "normal")
_VOLUMES = (
    ("End-diastolic volume, ml (ml/m²)", "edv_ml", "edvi_ml_m2"),
    ("End-systolic volume, ml (ml/m²)", "esv_ml", "esvi_ml_m2"),
    ("Stroke volume, ml (ml/m²)", "sv_ml", "svi_ml_m2"),
    ("Ejection fraction, %", "ef_percent", ""),
    ("Cardiac output, l/min (l/min/m²)", "output_l_min", "index_l_min_m2"),
)
_RATES = (("Peak ejection rate, ml/s", "peak_ejection_ml_s"), ("Peak filling rate, ml/s", "peak_filling_ml_s"))
_NO_RANGES = "Normal ranges are shown once the sex is given, those by body surface area with height and weight too."
_ARROWS = {"below": " ↓", "within": "", "above": " ↑"}


def list_rows(report: StudyReport) -> tuple[Row, ...]:
    """The rows under `HEAD`: a value outside its range carries an arrow; what was not measured is a dash."""
    judged, found = report.measurements.judged, report.measurements
    rows = [_list_volume(report, *row) for row in _VOLUMES]
    function = report.function
    index, normal = _show(function.lv_mass_g_m2, judged.get(Quantity.LV_MASS_INDEX))
    rows.append(("Mass at end diastole, g (g/m²)", _show(function.lv_mass_g)[0], index, _join("", normal), "", "", ""))
    for title, name in _RATES:
        lv, rv = (_pick(curve, name) for curve in (found.lv_curve, found.rv_curve))
        rows.append((title, lv, "", "", rv, "", ""))
    return tuple(rows)


def list_sources(report: StudyReport) -> tuple[str, ...]:
    """Where the normal ranges on the table come from, a sentence a study; a word where there are none."""
    judged = report.measurements.judged.values()
    if not judged:
        return (_NO_RANGES,)
    sources = {one.range.source.doi: one.range.source for one in judged}.values()
    return tuple(f"Normal: {s.citation}. {s.people}, {s.ages[0]}–{s.ages[1]} years; {s.limits}." for s in sources)


def _list_volume(report: StudyReport, title: str, name: str, index: str) -> Row:
    cells: list[str] = []
    for side, ventricle in (("lv", report.function.lv), ("rv", report.function.rv)):
        value, normal = _show(getattr(ventricle, name), _find(report, side, name))
        by_bsa, normal_by_bsa = _show(getattr(ventricle, index), _find(report, side, index)) if index else ("", "")
        cells += [value, by_bsa, _join(normal, normal_by_bsa)]
    return (title, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5])


def _join(normal: str, by_bsa: str) -> str:
    """Both ranges in one cell, that by body surface area in brackets as in the rows' titles."""
    return f"{normal} ({by_bsa})".strip() if by_bsa else normal


def _find(report: StudyReport, side: str, name: str) -> Judgement | None:
    return next((found for q, found in report.measurements.judged.items() if q.value == f"{side}_{name}"), None)


def _show(value: float | None, judged: Judgement | None = None) -> tuple[str, str]:
    """A value with its arrow, and its range."""
    if value is None:
        return "–", ""
    shown = f"{value:.0f}" if abs(value) >= 20 else f"{value:.1f}"
    if judged is None:
        return shown, ""
    return shown + _ARROWS[judged.verdict], f"{judged.range.low:.0f}–{judged.range.high:.0f}"


def _pick(curve: VolumeCurve | None, name: str) -> str:
    return "–" if curve is None else f"{getattr(curve, name):.0f}"
