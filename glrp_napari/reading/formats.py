"""Which format a file's contents are, and who reads it.

It must not know voxels.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from glrp_napari.cine import Cine
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.packed import is_gzip, read_start

_EXPECTED = "a NIfTI, NRRD, MHA, MHD or DICOM file, or a folder of DICOM files"
_FOREIGN = {
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"PK\x03\x04": "a zip archive",
    b"II*\0": "a TIFF picture", b"MM\0*": "a TIFF picture", b"GIF8": "a GIF picture", b"%PDF": "a PDF document",
}  # fmt: skip
_START = 4096


def read_file(path: Path, series: str | None = None) -> Cine:
    """Read a study as its file says, its grey values unchecked (see `check_images`). Raises `ReadError`."""
    if not path.exists():
        raise ReadError(path, "nothing there", _EXPECTED)
    if path.is_dir():
        return _read_dicom(path, series)
    start = read_start(path, _START)
    cine = _choose_reader(path, start, series)(path)
    if path.suffix.lower() == ".gz" and not is_gzip(path):
        return replace(cine, warnings=("the file is called .gz but is not compressed", *cine.warnings))
    return cine


def _choose_reader(path: Path, start: bytes, series: str | None) -> Callable[[Path], Cine]:
    """The reader for contents that begin with `start`. Imports here: no format waits for another's toolkit."""
    from glrp_napari.reading.nifti import header_size, read_nifti

    if header_size(start) is not None:
        return read_nifti
    if is_dicom(start):
        return lambda file: _read_dicom(file, series)
    if start.startswith(b"NRRD"):
        from glrp_napari.reading.nrrd import read_nrrd

        return read_nrrd
    if re.search(rb"^NDims\s*=", start, re.MULTILINE):
        from glrp_napari.reading.metaimage import read_metaimage

        return read_metaimage
    raise ReadError(path, _name_contents(start), _EXPECTED)


def is_dicom(start: bytes) -> bool:
    """Whether bytes begin a DICOM file: the prefix of PS3.10 7.1, or without preamble an element of group 2 or 8."""
    if start[128:132] == b"DICM":
        return True
    group = start[:2] in (b"\x02\0", b"\x08\0") and start[3:4] == b"\0"
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    short_value = int.from_bytes(start[4:8], "little") < 256
    return len(start) >= 132 and group and (explicit or short_value)


def _name_contents(start: bytes) -> str:
    if not start:
        return "an empty file"
    known = next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), None)
    if known:
        return known
    return "text" if all(byte in b"\t\n\r" or byte >= 32 for byte in start) else f"bytes starting {start[:8].hex(' ')}"


def _read_dicom(path: Path, series: str | None) -> Cine:
    from glrp_napari.reading.dicom import read_dicom

    return read_dicom(path, series)
