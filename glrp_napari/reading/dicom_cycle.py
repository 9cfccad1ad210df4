"""How long the heart cycle was, as a DICOM image says, where the frames cover a part of it (prospective gating)."""

from pathlib import Path

from glrp_napari.reading.dicom_body import find_number
from glrp_napari.reading.dicom_headers import parse_dicom, quiet_pydicom, read_start, report_damage

_INTERVAL, _RATE = "NominalInterval", "HeartRate"
_PLAUSIBLE_MS = (250.0, 3000.0)
_APART = 0.1
"""In a scan that covers it all, trigger times and this tag differ by less: the heart beats unevenly, slice by slice."""


def read_cycle(file: Path, covered_ms: float | None) -> tuple[float | None, tuple[str, ...]]:
    """The heart cycle in ms where it is longer than what the frames cover, else None, and what is to be said of it.

    Taken from NominalInterval (PS3.3 C.7.6.18.1: the RR interval), else from HeartRate. Raises `ReadError` for a file
    that is no DICOM.
    """
    with quiet_pydicom(), report_damage(file):
        header = parse_dicom(file, read_start(file), [_INTERVAL, _RATE])
    rate = find_number(header, _RATE)
    said_ms = find_number(header, _INTERVAL) or (60_000 / rate if rate else 0.0)
    if covered_ms is None or not _PLAUSIBLE_MS[0] <= said_ms <= _PLAUSIBLE_MS[1]:
        return None, ()
    if said_ms > covered_ms * (1 + _APART):
        share = covered_ms / said_ms
        return said_ms, (
            f"the frames cover {share:.0%} of the heart cycle of {said_ms:.0f} ms; the rest was not imaged",
        )
    if said_ms < covered_ms * (1 - _APART):
        return None, (f"the file says RR {said_ms:.0f} ms; its trigger times say {covered_ms:.0f} ms, which is used",)
    return None, ()
