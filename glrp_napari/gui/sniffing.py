"""Whether a file or folder that napari asks about is one of ours: a quick look at the first bytes, never at the name.

So a picture stays with the readers of pictures, and a DICOM file is found under any name or none.
"""

import os
import re
from itertools import islice
from pathlib import Path

import numpy as np

from glrp_napari.reading import ReadError
from glrp_napari.reading.formats import is_dicom
from glrp_napari.reading.nifti import header_size
from glrp_napari.reading.packed import read_start

_START = 4096
_DIMENSIONS = {348: (40, "i2"), 540: (16, "i8")}
"""Where a NIfTI header of that size has its dimensions, and as what numbers."""
LOOK_AT = 50
"""So many files of a folder are looked at; exports keep a handful of others (DICOMDIR, viewers) beside the images."""


def is_ours(path: Path) -> bool:
    """Whether we can read a file, or whether a folder may hold a DICOM series. Reads a few kB; never raises."""
    try:
        return _may_hold_dicom(path) if path.is_dir() else _is_volume(read_start(path, _START))
    except (OSError, ReadError):
        return False


def _is_volume(start: bytes) -> bool:
    if (size := header_size(start)) is not None:
        return _is_grey_volume(start, size)
    return is_dicom(start) or start.startswith(b"NRRD") or bool(re.search(rb"^NDims\s*=", start, re.MULTILINE))


def _is_grey_volume(start: bytes, size: int) -> bool:
    """Whether a NIfTI file has space's three dimensions or time too, and one value a voxel: others read the rest."""
    offset, kind = _DIMENSIONS[size]
    if len(start) < size:
        return False
    order = "<" if int.from_bytes(start[:4], "little") == size else ">"
    rank, *dims = np.frombuffer(start, f"{order}{kind}", 8, offset).tolist()
    return 3 <= rank <= 7 and all(count == 1 for count in dims[4:rank])


def _may_hold_dicom(folder: Path) -> bool:
    """Whether one of the folder's first files is DICOM, or there are too many to tell at once."""
    files = (Path(place, name) for place, _folders, names in os.walk(folder) for name in names)
    looked = 0
    for file in islice(files, LOOK_AT):
        looked += 1
        if is_dicom(read_start(file, _START)):
            return True
    return looked == LOOK_AT
