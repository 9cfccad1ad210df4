"""What one DICOM image says of itself, read from untrusted files with limits and without its pixels.

A patient is known only by a hash, so that no name, date or identifier can leave this module; pydicom is kept from
printing values it finds invalid. It must not know how images make a cine. Standard: DICOM PS3.3, PS3.5, PS3.10.
"""

import hashlib
import io
import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from glrp_napari.cine import count
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.formats import is_dicom

_HEADER_BYTES = 16 * 2**20
_MOST_ITEMS = 200_000
_ITEM = b"\xfe\xff\x00\xe0"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MOST_FILES = 200_000
_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "FrameAcquisitionDateTime": "FrameContentSequence",
}
_TAGS: list[Any] = [
    "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SeriesNumber", "SeriesDescription", "PatientID",
    "PatientName", "Rows", "Columns", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "TriggerTime",
    "TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber", "Modality", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
Vector = tuple[float, ...]
Holder = Dataset | dict[str, Any]


@dataclass(frozen=True)
class Image:
    """One slice at one time: frame `index` of `file`.

    Positions are mm in LPS, `directions` the unit vectors along a row and along a column, `spacing_mm` (row, column).
    `exam` and `patient` are hashes of the examination's identifier (empty where there is none) and of the patient's.
    `times` are TriggerTime, TemporalPositionIdentifier, AcquisitionTime and InstanceNumber, None where missing.
    """

    file: Path
    index: int
    uid: str
    series: str
    exam: str
    number: int | None
    label: str
    patient: str
    size: tuple[int, int]
    position: Vector
    directions: tuple[Vector, Vector]
    spacing_mm: Vector
    slice_mm: float | None
    times: tuple[float | None, ...]
    slope: float
    intercept: float


@dataclass(frozen=True)
class Headers:
    """All images found, the error of each series that has an unusable one, and warnings."""

    images: tuple[Image, ...]
    broken: dict[str, ReadError]
    warnings: tuple[str, ...]


def read_headers(path: Path) -> Headers:
    """The images in a file, or in a folder and all below it; what is no image in space is passed over.

    DICOMDIR is not followed, nor a link out of the folder. Raises `ReadError` for a DICOM file that cannot be parsed.
    """
    with quiet_pydicom():
        return _read_headers(path)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from checking, and so from printing, the values it reads: names may be among them."""
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


def _read_headers(path: Path) -> Headers:
    images: list[Image] = []
    broken: dict[str, ReadError] = {}
    bare = 0
    for file in _list_files(path):
        start = read_start(file)
        if not is_dicom(start):
            continue
        bare += start[128:132] != b"DICM"
        with report_damage(file):
            dataset = parse_dicom(file, start, _TAGS)
            series = str(dataset.get("SeriesInstanceUID", ""))
        try:
            with report_damage(file):
                images.extend(_describe_images(file, dataset))
        except ReadError as error:
            broken.setdefault(series, error)
    missing = (f"{count(bare, 'DICOM file')} without the preamble that the standard asks for",) if bare else ()
    return Headers(tuple(images), broken, missing)


def read_start(file: Path) -> bytes:
    """As much of a file as holds the headers."""
    with file.open("rb") as stream:
        return stream.read(_HEADER_BYTES)


def parse_dicom(file: Path, data: bytes, tags: list[Any]) -> Dataset:
    """The data set in `data` with only these tags, and with the pixels only if they are among them.

    Raises `ReadError` for what would overwhelm the parser (endless sequences, deflated data), and whatever pydicom
    raises on damaged data: read within `report_damage`.
    """
    if _DEFLATED in data:
        raise ReadError(file, "deflated DICOM", "a transfer syntax that is not deflated as a whole")
    if data.count(_ITEM) > _MOST_ITEMS:
        raise ReadError(file, f"more than {_MOST_ITEMS} sequence items", "fewer")
    stream = io.BytesIO(data)  # bounded: a wrong length cannot ask for more than there is
    return pydicom.dcmread(stream, stop_before_pixels="PixelData" not in tags, force=True, specific_tags=tags)


@contextmanager
def report_damage(file: Path) -> Iterator[None]:
    """Turn whatever pydicom raises on a damaged file, endless recursion included, into a `ReadError`."""
    try:
        yield
    except (ReadError, MemoryError):
        raise
    except RecursionError as error:
        raise ReadError(file, "sequences nested too deeply", "a DICOM image") from error
    except Exception as error:
        raise ReadError(file, f"broken DICOM ({type(error).__name__})", "a DICOM image") from error


def _list_files(path: Path) -> Iterator[Path]:
    """The file itself, or every file below the folder in a stable order, links out of it left aside."""
    if not path.is_dir():
        yield path
        return
    root, count = path.resolve(), 0
    for folder, subfolders, names in os.walk(path):
        subfolders.sort()
        for name in sorted(names, key=_natural_key):
            file = Path(folder, name)
            count += 1
            if count > _MOST_FILES:
                raise ReadError(path, f"more than {_MOST_FILES} files", "one examination")
            inside = not file.is_symlink() or file.resolve().is_relative_to(root)
            if inside and file.is_file() and name.upper() != "DICOMDIR":
                yield file


def _natural_key(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _describe_images(file: Path, dataset: Dataset) -> Iterator[Image]:
    """One `Image` for each frame that has a place in space; a classic file has one frame, a segmentation none."""
    if "Rows" not in dataset or "SeriesInstanceUID" not in dataset or dataset.get("Modality") == "SEG":
        return
    frames = list(_get(dataset, "PerFrameFunctionalGroupsSequence") or [])
    shared = (list(_get(dataset, "SharedFunctionalGroupsSequence") or []) or [Dataset()])[0]
    if not frames and int(_number(file, dataset, "NumberOfFrames") or 1) > 1:
        return  # several frames without a place each: no cine in space
    for index, frame in enumerate(frames or [Dataset()]):
        merged = _merge_groups(dataset, shared, frame)
        if "ImagePositionPatient" in merged and "ImageOrientationPatient" in merged:
            yield _describe_image(file, index, dataset, merged)


def _merge_groups(dataset: Dataset, shared: Dataset, frame: Dataset) -> dict[str, Any]:
    """The tags that an enhanced file keeps in functional groups (PS3.3 C.7.6.16), else those at the top level."""
    merged: dict[str, Any] = {}
    for keyword, group in _GROUPS.items():
        holders = [item for source in (frame, shared) for item in (_get(source, group) or [])[:1]]
        value = next((v for holder in (*holders, dataset) if (v := _get(holder, keyword)) is not None), None)
        if value is not None:
            merged[keyword] = value
    return merged


def _describe_image(file: Path, index: int, dataset: Dataset, merged: dict[str, Any]) -> Image:
    directions = _unit_directions(file, _numbers(file, merged, "ImageOrientationPatient", 6))
    spacing = _numbers(file, merged, "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise ReadError(file, f"PixelSpacing {spacing}", "numbers above 0")
    trigger = _number(file, merged, "NominalCardiacTriggerDelayTime")
    temporal = _number(file, merged, "TemporalPositionIndex")
    instance = _number(file, dataset, "InstanceNumber")
    number = _number(file, dataset, "SeriesNumber")
    slope = _number(file, merged, "RescaleSlope")
    return Image(
        file=file, index=index, uid=f"{dataset.get('SOPInstanceUID', file)}#{index}",
        series=str(dataset.SeriesInstanceUID), exam=_hash_exam(dataset), number=None if number is None else int(number),
        label=_clean_label(dataset), patient=_hash_patient(dataset),
        size=(int(_number(file, dataset, "Rows") or 0), int(_number(file, dataset, "Columns") or 0)),
        position=_numbers(file, merged, "ImagePositionPatient", 3), directions=directions, spacing_mm=spacing,
        slice_mm=_number(file, merged, "SpacingBetweenSlices") or _number(file, merged, "SliceThickness"),
        times=(
            _number(file, dataset, "TriggerTime") if trigger is None else trigger,
            _number(file, dataset, "TemporalPositionIdentifier") if temporal is None else temporal,
            _clock_seconds(str(merged.get("FrameAcquisitionDateTime") or _get(dataset, "AcquisitionTime") or "")),
            index if instance is None and index else None if instance is None else instance * 1e6 + index,
        ),
        slope=1.0 if slope is None else slope, intercept=_number(file, merged, "RescaleIntercept") or 0.0,
    )  # fmt: skip


def _unit_directions(file: Path, cosines: Vector) -> tuple[Vector, Vector]:
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    if not (abs(row @ row - 1) < 0.01 and abs(column @ column - 1) < 0.01 and abs(row @ column) < 0.01):
        raise ReadError(file, f"the orientation {cosines}", "two unit vectors at a right angle")
    row /= np.linalg.norm(row)
    column -= row * (row @ column)
    column /= np.linalg.norm(column)
    return tuple(row.tolist()), tuple(column.tolist())


def _get(holder: Holder, keyword: str) -> Any:  # noqa: ANN401 - whatever the tag holds
    """A tag's value from a data set or a dict, None where it is missing or empty."""
    value = holder.get(keyword)
    return None if value is None or value == "" else value


def _number(file: Path, holder: Holder, keyword: str) -> float | None:
    try:
        value = _get(holder, keyword)
        number = None if value is None else float(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ReadError(file, f"a {keyword} that is no number", "a finite number") from error
    if number is not None and not math.isfinite(number):
        raise ReadError(file, f"the {keyword} {number}", "a finite number")
    return number


def _numbers(file: Path, holder: Holder, keyword: str, count: int) -> Vector:
    try:
        value = _get(holder, keyword)
        numbers = tuple(float(part) for part in value) if value is not None else ()
    except (ValueError, TypeError, OverflowError) as error:
        raise ReadError(file, f"a {keyword} that is no list of numbers", f"{count} finite numbers") from error
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ReadError(file, f"the {keyword} {numbers}", f"{count} finite numbers")
    return numbers


def _clock_seconds(text: str) -> float | None:
    """Seconds of a DICOM time HHMMSS.F or of the end of a date-time; only their order is used."""
    match = re.search(r"(\d\d)(\d\d)(\d\d(?:\.\d+)?)(?:[+-]\d{4})?\s*$", text)
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _hash_patient(dataset: Dataset) -> str:
    """A hash that differs between patients; the identifier itself goes nowhere."""
    who = _get(dataset, "PatientID") or _get(dataset, "PatientName") or ""
    return hashlib.sha256(str(who).strip().encode()).hexdigest()


def _hash_exam(dataset: Dataset) -> str:
    uid = str(_get(dataset, "StudyInstanceUID") or "").strip()
    return hashlib.sha256(uid.encode()).hexdigest() if uid else ""


def _clean_label(dataset: Dataset) -> str:
    """The series' description, or nothing where it repeats part of the patient's name or identifier."""
    label = " ".join(str(dataset.get("SeriesDescription", "")).split())
    who = f"{dataset.get('PatientName', '')} {dataset.get('PatientID', '')}".lower()
    parts = [part for part in re.split(r"[\W_]+", who) if len(part) >= 3]
    return "" if any(part in label.lower() for part in parts) else label
