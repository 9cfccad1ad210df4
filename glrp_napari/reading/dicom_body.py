"""How tall and heavy the patient is, as a DICOM image says (PS3.3 C.7.2.2, patient study), for the body surface area.

Personal data: the values go into the cine's `body` and nowhere else; a warning says that one is absurd, never which.
"""

import math
from pathlib import Path

from pydicom.dataset import Dataset

from glrp_napari.cine import HEIGHT_CM, WEIGHT_KG, Body
from glrp_napari.reading.dicom_headers import parse_dicom, quiet_pydicom, read_start, report_damage

_SIZE, _WEIGHT = "PatientSize", "PatientWeight"


def read_body(file: Path) -> tuple[Body, tuple[str, ...]]:
    """Height and weight of a DICOM image, and a warning for each that is there and no adult's.

    Missing or 0, which stands for unknown in many images, is None. Raises `ReadError` for a file that is no DICOM.
    """
    with quiet_pydicom():
        with report_damage(file):
            header = parse_dicom(file, read_start(file), [_SIZE, _WEIGHT])
        height_cm, weight_kg = find_number(header, _SIZE) * 100, find_number(header, _WEIGHT)
    warnings = []
    body = []
    for name, value, unit, (low, high) in (
        ("height", height_cm, "cm", HEIGHT_CM),
        ("weight", weight_kg, "kg", WEIGHT_KG),
    ):
        is_plausible = low <= value <= high
        if value != 0 and not is_plausible:
            warnings.append(f"the {name} in the file is no adult's ({low:.0f} to {high:.0f} {unit}) and is not used")
        body.append(round(value, 1) if is_plausible else None)
    return Body(*body), tuple(warnings)


def find_number(header: Dataset, keyword: str) -> float:
    """A tag's number: 0 where it is missing or empty, not a number where it holds none or several."""
    try:
        value = header.get(keyword)
        return 0.0 if value is None or value == "" else float(value)
    except (ValueError, TypeError, OverflowError):
        return math.nan
