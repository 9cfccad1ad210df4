"""Reading a study: one entry for every format, chosen by what a file holds and not by what it is called.

It must not know windows, networks or masks' meaning.
"""

from pathlib import Path

from glrp_napari.cine import Cine
from glrp_napari.reading.content import check_images
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.formats import read_file
from glrp_napari.reading.series import Series

__all__ = ["ReadError", "Series", "list_series", "read_cine"]


def read_cine(path: Path | str, series: str | None = None) -> Cine:
    """Read a study from a NIfTI, NRRD, MHA or MHD file, a DICOM file or a folder of DICOM files.

    `series` is the key of one of `list_series(path)`; without it the best short-axis stack of a folder is taken.
    Raises `ReadError` naming file, found and expected.
    """
    path = Path(path)
    return check_images(read_file(path, series))


def list_series(path: Path | str) -> tuple[Series, ...]:
    """The image series in a DICOM folder, or file, the likeliest short-axis cine first. Raises `ReadError`."""
    from glrp_napari.reading.dicom import list_dicom_series  # pydicom takes its time to load

    return list_dicom_series(Path(path))
