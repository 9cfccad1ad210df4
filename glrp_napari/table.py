"""A study as a row of a table, and what each column means: the dictionary that the documentation prints.

It must not know how a study came to its report.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from glrp_napari.cine import Body
from glrp_napari.curves import VolumeCurve
from glrp_napari.decisions import SIDES, settle_body
from glrp_napari.measure import Phases
from glrp_napari.norms import Quantity
from glrp_napari.report import StudyReport
from glrp_napari.segments import SEGMENTS
from glrp_napari.writing.atomic import write_atomically

_STUDY = {
    "study": "The study's name, or its place in the cohort's folder.",
    "study_sha256": "Hash of voxels, shape and spacing: the same study under any name.",
    "software": "Version of glrp-napari.",
    "model": "Model that drew the mask; empty where it is not known.",
    "model_sha256": "Hash of the model's weights.",
    "device": "Where the model ran.",
    "crf": "Whether the dense CRF refined the mask.",
    "by_person": "Slices (of all frames) that a person drew, corrected or accepted.",
    "frames": "How many frames are segmented.",
}
_READING = {
    "ed": "Frame of end diastole, counted from 0.",
    "es": "Frame of end systole, counted from 0.",
    "lv_slices_ed": "First and last slice of the LV that count at ED, from 0, e.g. 1-9.",
    "lv_slices_es": "The same at ES.",
    "rv_slices_ed": "First and last slice of the RV that count at ED.",
    "rv_slices_es": "The same at ES.",
    "height_cm": "Height in cm, as typed; the file's is not written here.",
    "weight_kg": "Weight in kg, as typed; the file's is not written here.",
    "sex": "Sex that the normal ranges are of, as typed.",
    "age_years": "Age in years, as typed.",
    "heart_rate_bpm": "Heart rate in beats a minute, typed or from the file.",
    "bsa_m2": "Body surface area in m² (Mosteller).",
    "bsa_from_file": "What it takes from the file: height, weight; empty where both are typed.",
}
_VENTRICLE = {
    "edv_ml": "End-diastolic volume in ml.",
    "esv_ml": "End-systolic volume in ml.",
    "sv_ml": "Stroke volume in ml: EDV − ESV.",
    "ef_percent": "Ejection fraction in %: 100 · SV / EDV.",
    "output_l_min": "Output in l/min: SV · heart rate.",
    "edvi_ml_m2": "EDV by body surface area, ml/m².",
    "esvi_ml_m2": "ESV by body surface area, ml/m².",
    "svi_ml_m2": "SV by body surface area, ml/m².",
    "index_l_min_m2": "Output by body surface area, l/min/m².",
}
_RATES = {
    "peak_ejection_ml_s": "Peak ejection rate in ml/s, from the smooth volume curve.",
    "peak_filling_ml_s": "Peak filling rate in ml/s, from the smooth volume curve.",
}
_MASS = {
    "lv_mass_g": "LV mass at end diastole in g: myocardium · 1.05 g/ml, papillary muscles not among it.",
    "lv_mass_g_m2": "LV mass by body surface area, g/m².",
}
_REST = {
    "seconds": "Time it took.",
    "missing": "What could not be measured, and why.",
    "warnings": "What was unusual about the file.",
}


def describe_columns() -> dict[str, str]:
    """Every column of the table in order, with its meaning. What is not defined in a study is empty there."""
    sides = {f"{side}_{name}": f"{side.upper()}: {text}" for side in SIDES for name, text in _VENTRICLE.items()}
    rates = {f"{side}_{name}": f"{side.upper()}: {text}" for side in SIDES for name, text in _RATES.items()}
    normal = {f"{q.value}_normal": f"Where {q.value} lies: below, within or above normal." for q in Quantity}
    wall: dict[str, str] = {}
    for name, text in (("thickness_ed_mm", "Wall thickness at ED, mm"), ("thickening_percent", "Wall thickening, %")):
        wall |= {f"{name}_{number:02d}": f"{text}, {segment}." for number, segment in SEGMENTS.items()}
    return {**_STUDY, **_READING, **_MASS, **sides, **rates, **normal, **wall, **_REST}


def list_columns() -> list[str]:
    """The names of all columns in order."""
    return list(describe_columns())


def summarise(name: str, report: StudyReport) -> dict[str, object]:
    """A study's row, by `list_columns`; `name` is what it is called in the table."""
    function, found = report.function, report.measurements
    values: dict[str, object] = {
        **report.model_dump(include=set(_STUDY)),
        "study": name,
        "frames": len(report.frames),
        **report.reading.model_dump(include={"sex", "age_years"}),
        **settle_body(Body(), report.reading)._asdict(),
        **function.model_dump(exclude={"lv", "rv", "volumes_ml"}),
        "bsa_from_file": " ".join(found.bsa_from_file),
        **_show_slices(report, Phases(function.ed, function.es)),
        **{f"lv_{key}": value for key, value in function.lv.model_dump().items()},
        **{f"rv_{key}": value for key, value in function.rv.model_dump().items()},
        **_pick_rates("lv", found.lv_curve),
        **_pick_rates("rv", found.rv_curve),
        **{f"{quantity.value}_normal": judged.verdict for quantity, judged in found.judged.items()},
        **{f"thickness_ed_mm_{one.number:02d}": one.ed_mm for one in found.segments},
        **{f"thickening_percent_{one.number:02d}": one.thickening_percent for one in found.segments},
        "seconds": round(sum(report.seconds.values()), 2),
        "missing": " ".join(found.missing),
        "warnings": "; ".join(report.warnings),
    }
    return {column: values.get(column) for column in list_columns()}


def write_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows of `summarise` as CSV with a header, atomically."""
    write_csv(path, list_columns(), (list(row.values()) for row in rows))


def check_table(path: Path) -> None:
    """Raise ValueError where a file that is no table of ours, of this version or another, stands at `path`."""
    if path.exists() and not path.read_bytes().startswith(",".join(list_columns()[:2]).encode()):
        raise ValueError(f"{path}: found another program's file, expected none or a table of ours")


def write_csv(path: Path, header: list[str], rows: Iterable[list[object]]) -> None:
    """Write a CSV file (RFC 4180, UTF-8), atomically."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def _show_slices(report: StudyReport, phases: Phases) -> dict[str, str]:
    shown = {}
    for phase, frame in phases._asdict().items():
        extent = None if frame is None else report.measurements.extents.get(frame)
        for side in SIDES:
            slices = getattr(extent, side, None)
            shown[f"{side}_slices_{phase}"] = "" if slices is None else "{}-{}".format(*slices)
    return shown


def _pick_rates(side: str, curve: VolumeCurve | None) -> dict[str, float | None]:
    return {f"{side}_{name}": None if curve is None else round(getattr(curve, name), 1) for name in _RATES}
