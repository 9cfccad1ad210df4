"""The JSON beside a mask: what was segmented, with which model, how long it took and what the heart does."""

from pathlib import Path

from glrp_napari.cine import Cine, Mask, describe
from glrp_napari.measure import Function, measure_function
from glrp_napari.models import Model, Settings
from glrp_napari.writing.atomic import write_atomically


class StudyReport(Settings):
    """`<study>.json` of `glrp segment`. Times in seconds, volumes in ml, mass in g."""

    study: str
    description: str
    model: str
    model_sha256: str
    device: str
    crf: bool
    frames: tuple[int, ...]
    seconds: dict[str, float]
    function: Function
    warnings: tuple[str, ...]


def report_study(
    cine: Cine, mask: Mask, model: Model, frames: tuple[int, ...], device: str, crf: bool, seconds: dict[str, float]
) -> StudyReport:
    """Measure a segmented study; only `frames` of `mask` (T, Z, Y, X) are taken as segmented."""
    return StudyReport(
        study=cine.source.name,
        description=describe(cine),
        model=model.card.name,
        crf=crf,
        device=device,
        model_sha256=model.card.weights_sha256,
        frames=frames,
        seconds={k: round(v, 3) for k, v in seconds.items()},
        function=measure_function(mask, cine.geometry, frames=frames, rr_ms=cine.rr_ms),
        warnings=cine.warnings,
    )


def write_report(path: Path, report: StudyReport) -> None:
    """Write the report as JSON, atomically."""
    write_atomically(path, report.model_dump_json(indent=2).encode() + b"\n")
