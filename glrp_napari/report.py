"""What is said of a study: who drew its mask, what its reader decided, every number, and the JSON beside the mask.

The table (`table`) and the pages (`drawing.pages`) show a `StudyReport` and nothing else, so that all three agree. It
must not know where a mask came from.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

import glrp_napari
from glrp_napari.assessment import Measurements, measure_reading
from glrp_napari.cine import Cine, Mask, describe, hash_study
from glrp_napari.decisions import Reading
from glrp_napari.library import Protocol
from glrp_napari.measure import Function
from glrp_napari.models import Settings
from glrp_napari.reasons import name_fault
from glrp_napari.writing.atomic import write_atomically


class Origin(Settings):
    """Who drew a mask: a model by name and hash of its weights (empty: not known), where it ran, and a person.

    `by_person` counts the slices of frames that a person drew, corrected or accepted. `protocol` are the conventions
    they were agreed to be drawn by, or that the model learned; None where nothing was agreed.
    """

    model: str = ""
    model_sha256: str = ""
    device: str = ""
    crf: bool = False
    by_person: int = 0
    protocol: Protocol | None = None


class StudyReport(Origin):
    """`<study>.json`. `frames` are the segmented ones, from 0; times in seconds; units are in the fields' names."""

    study: str
    study_sha256: str
    software: str
    description: str
    frames: tuple[int, ...]
    seconds: dict[str, float] = Field(default_factory=dict)
    reading: Reading
    measurements: Measurements
    warnings: tuple[str, ...] = ()

    @property
    def origin(self) -> Origin:
        """Who drew the mask."""
        return Origin(**{name: getattr(self, name) for name in Origin.model_fields})

    @property
    def function(self) -> Function:
        """The heart's function among the measurements."""
        return self.measurements.function


def check_replaceable(path: Path) -> None:
    """Raise ValueError where a file that is no report of ours stands at `path`, such as a scanner's notes on a cine."""
    if not path.exists():
        return
    try:
        StudyReport.model_validate_json(path.read_bytes())
    except ValidationError:
        raise ValueError(f"{path}: found another program's file, expected none or a report of ours") from None


def load_report(path: Path, study_sha256: str) -> StudyReport:
    """An earlier report of a study. Raises ValueError for a file that is none, or that is of another study; OSError."""
    try:
        report = StudyReport.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path}: {name_fault(error)}, expected a report (<study>.json)") from None
    if report.study_sha256 != study_sha256:
        raise ValueError(f"{path}: found the report of another study, {report.study}, expected one of this")
    return report


def report_study(
    cine: Cine,
    mask: Mask,
    origin: Origin,
    frames: Sequence[int] | None = None,
    seconds: dict[str, float] | None = None,
    reading: Reading | None = None,
) -> StudyReport:
    """Measure a mask (T, Z, Y, X) as its reader decided; `frames` are those that were segmented (None: any label)."""
    decided = reading or Reading()
    return StudyReport(
        **origin.model_dump(),
        study=cine.source.name,
        study_sha256=hash_study(cine),
        software=glrp_napari.__version__,
        description=describe(cine),
        frames=tuple(t for t in range(len(mask)) if mask[t].any()) if frames is None else tuple(frames),
        seconds={k: round(v, 3) for k, v in (seconds or {}).items()},
        reading=decided,
        measurements=measure_reading(cine, mask, decided),
        warnings=cine.warnings,
    )


def write_report(path: Path, report: StudyReport) -> None:
    """Write the report as JSON, atomically."""
    write_atomically(path, report.model_dump_json(indent=2).encode() + b"\n")
