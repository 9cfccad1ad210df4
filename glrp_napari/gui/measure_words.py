"""The measurements in words and as a table. Pure: from values to text; frames and slices count from 1."""

from collections.abc import Iterator

from glrp_napari.assessment import Measurements
from glrp_napari.cine import Body
from glrp_napari.curves import VolumeCurve
from glrp_napari.decisions import Reading
from glrp_napari.measure import Function
from glrp_napari.norms import Judgement

_ROWS = (
    ("EDV", "ml", "edv_ml", 0),
    ("ESV", "ml", "esv_ml", 0),
    ("SV", "ml", "sv_ml", 0),
    ("EF", "%", "ef_percent", 0),
    ("Output", "l/min", "output_l_min", 1),
    ("Mass", "g", "mass_g", 0),
)
_INDEXED = (
    ("EDV", "ml/m²", "edvi_ml_m2", 0),
    ("ESV", "ml/m²", "esvi_ml_m2", 0),
    ("SV", "ml/m²", "svi_ml_m2", 0),
    ("Output", "l/min/m²", "index_l_min_m2", 1),
    ("Mass", "g/m²", "mass_g_m2", 0),
)
_MARKS = {"below": " ▼", "within": "", "above": " ▲"}
_QUIET = "#9a9fa8"
_DECISIONS = {
    "phases": "the frames of ED and ES",
    "lv_slices": "base and apex of the LV",
    "rv_slices": "base and apex of the RV",
    "insertions": "where the RV meets the LV",
    "height_cm": "height",
    "weight_kg": "weight",
    "sex": "sex",
    "age_years": "age",
}
NO_NUMBERS = "The numbers appear once end-diastole and end-systole are segmented."


def make_table(measurements: Measurements) -> str:
    """LV and RV side by side as HTML, each value with its normal range where there is one; indexed ones if known.

    A value out of its range has an arrow. Without both phases it is a sentence.
    """
    function = measurements.function
    if function.ed is None or function.es is None:
        return f'<span style="color:{_QUIET}">{NO_NUMBERS}</span>'
    rows = [_make_heading(bool(measurements.judged))]
    for name, unit, field, digits in _ROWS + (_INDEXED if function.bsa_m2 else ()):
        sides = [_pick_value(function, side, field) for side in ("lv", "rv")]
        if any(value is not None for value in sides):
            cells = "".join(
                _make_cells(measurements, f"{s}_{field}", sides[i], digits) for i, s in enumerate(("lv", "rv"))
            )
            rows.append(f'<tr><td>{name} <span style="color:{_QUIET}">{unit}</span></td>{cells}</tr>')
    return f'<table cellspacing="0" cellpadding="1" width="100%">{"".join(rows)}</table>'


def describe_changed(before: Reading, after: Reading) -> str:
    """Which of the reader's decisions were changed by undo or redo."""
    changed = [words for field, words in _DECISIONS.items() if getattr(before, field) != getattr(after, field)]
    return f"Changed under Measure: {', '.join(changed)}."


def describe_sources(measurements: Measurements) -> str:
    """Where the ranges are from, one study a line; empty where none is shown."""
    sources = {judged.range.source.doi: judged.range.source for judged in measurements.judged.values()}
    lines = [
        f"{s.citation}, doi {s.doi}: {s.people}, {s.ages[0]} to {s.ages[1]} years; {s.limits}."
        for s in sources.values()
    ]
    return "\n\n".join(lines)


def describe_rates(measurements: Measurements) -> str:
    """The peak rates of both ventricles, one a line."""
    return "\n".join(_list_rates(measurements))


def describe_phase(name: str, frame: int | None, chosen: bool, measured: bool) -> str:
    """Where a phase is and whose word that is, e.g. `ED: frame 19, yours`; an estimate is from the images."""
    if frame is None:
        return f"{name}: not known yet"
    return f"{name}: frame {frame + 1}, " + ("yours" if chosen else "found" if measured else "estimate")


def describe_body(found: Body, reading: Reading) -> str:
    """Which of height and weight the boxes have from the file; empty where none, or where all was typed."""
    left = {"height": (found.height_cm, reading.height_cm), "weight": (found.weight_kg, reading.weight_kg)}
    names = [name for name, (there, typed) in left.items() if there is not None and typed is None]
    return f"From the file: {' and '.join(names)}. What you type stands instead." if names else ""


def _list_rates(measurements: Measurements) -> Iterator[str]:
    curves: tuple[tuple[str, VolumeCurve | None], ...] = (("LV", measurements.lv_curve), ("RV", measurements.rv_curve))
    for name, curve in curves:
        if curve is not None:
            ejection = f"{curve.peak_ejection_ml_s:.0f} ml/s at {curve.peak_ejection_ms:.0f} ms"
            filling = f"{curve.peak_filling_ml_s:.0f} ml/s at {curve.peak_filling_ms:.0f} ms"
            yield f"{name}: peak ejection {ejection}, peak filling {filling}"


def _make_heading(with_ranges: bool) -> str:
    quiet = f'<td align="right" style="color:{_QUIET}">{"normal" if with_ranges else ""}</td>'
    return f'<tr><td></td><td align="right"><b>LV</b></td>{quiet}<td align="right"><b>RV</b></td>{quiet}</tr>'


def _make_cells(measurements: Measurements, quantity: str, value: float | None, digits: int) -> str:
    judged = next((found for key, found in measurements.judged.items() if key.value == quantity), None)
    text = "" if value is None else f"{value:.{digits}f}{_MARKS[judged.verdict] if judged else ''}"
    return (
        f'<td align="right"><b>{text}</b></td><td align="right" style="color:{_QUIET}">{_describe_range(judged)}</td>'
    )


def _describe_range(judged: Judgement | None) -> str:
    return "" if judged is None else f"{max(0, judged.range.low):.0f}–{judged.range.high:.0f}"


def _pick_value(function: Function, side: str, field: str) -> float | None:
    """A ventricle's value; the mass is the LV's only."""
    if field.startswith("mass"):
        value: float | None = getattr(function, f"lv_{field}") if side == "lv" else None
    else:
        value = getattr(function.lv if side == "lv" else function.rv, field)
    return value
