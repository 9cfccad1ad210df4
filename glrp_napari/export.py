"""What leaves the program for a study: the table as CSV and JSON, the report as PDF, the mask as DICOM SEG.

One place for window and command line, so that both write the same files. Each long one is a generator of steps: so many
done of so many. It must not know windows or the terminal.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from glrp_napari.cine import Cine, Mask
from glrp_napari.report import Origin, StudyReport, check_replaceable, write_report
from glrp_napari.table import check_table, summarise, write_table


class Step(NamedTuple):
    """So many parts done of so many."""

    done: int
    total: int


def export_numbers(stem: Path, report: StudyReport) -> tuple[Path, Path]:
    """Write `<stem>.json` (everything) and `<stem>.csv` (a row of `table.describe_columns`), in place of earlier ones.

    Raises ValueError where another program's file is there (`check_targets`), OSError when writing fails.
    """
    as_json, as_csv = check_targets(stem)
    write_table(as_csv, [summarise(report.study, report)])
    write_report(as_json, report)
    return as_json, as_csv


def check_targets(stem: Path) -> tuple[Path, Path]:
    """The files that `export_numbers` writes. Raises ValueError where one is there already and is none of ours."""
    as_json, as_csv = (stem.with_name(f"{stem.name}{suffix}") for suffix in (".json", ".csv"))
    check_replaceable(as_json)
    check_table(as_csv)
    return as_json, as_csv


def export_report(
    path: Path, report: StudyReport, cine: Cine, mask: Mask, with_patient: bool = False
) -> Iterator[Step]:
    """Write the report's two pages as PDF; patient and dates are on it only `with_patient`, read from DICOM.

    Raises `ReadError` where they are asked for and the study does not come from DICOM.
    """
    from glrp_napari.drawing.pages import draw_pages  # matplotlib takes a second that no other command should
    from glrp_napari.reading.patient import read_patient
    from glrp_napari.writing.pdf import write_pdf

    yield Step(0, 3)
    patient = read_patient(cine) if with_patient else None
    yield Step(1, 3)
    pages = draw_pages(report, cine, mask, patient)
    yield Step(2, 3)
    write_pdf(path, pages)
    yield Step(3, 3)


def export_seg(folder: Path, mask: Mask, cine: Cine, origin: Origin) -> Iterator[Step]:
    """Write every labelled frame of a mask as a DICOM SEG of its own (`writing.dicom_seg`), read back and compared.

    Raises `ValueError` where nothing is labelled, `ReadError` for a study that does not come from DICOM.
    """
    from glrp_napari.writing.dicom_seg import Algorithm, write_phases

    frames = list_frames(mask)
    if not frames:
        raise ValueError("found no labelled frame, expected a mask to save")
    algorithm = Algorithm(
        name=origin.model or "none",
        version=origin.model_sha256[:16] or "none",
        kind="MANUAL" if not origin.model else "SEMIAUTOMATIC" if origin.by_person else "AUTOMATIC",
    )
    yield Step(0, len(frames))
    for done, _path in enumerate(write_phases(folder, mask, cine, frames, algorithm), 1):
        yield Step(done, len(frames))


def list_frames(mask: Mask) -> Sequence[int]:
    """The frames of a mask (T, Z, Y, X) that hold a label."""
    return [int(t) for t in np.flatnonzero(mask.any(axis=(1, 2, 3)))]
