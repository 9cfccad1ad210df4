"""Finding the studies in a folder that no one has described.

It must not know what they are used for. What cannot be read is told, not passed over.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from glrp_napari.cine import Cine, Source
from glrp_napari.reading import ReadError, list_series, read_cine
from glrp_napari.reading.formats import is_dicom
from glrp_napari.reading.names import study_name

_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_MASK_NAME = re.compile(r"[_.-](gt|mask|seg|label)s?(?=[_.\d-]|$)", re.IGNORECASE)
_FRAME_NAME = re.compile(r"((^|[_.-])(frame[_-]?\d+|phase[_-]?\d+|t\d{2,}|ed|es|4d|sax?|cine))+$", re.IGNORECASE)
_DICOM_START = 256
_MASK_VALUES = 8
"""A slice with no more grey values than this is a mask."""


def list_candidates(folder: Path) -> tuple[Path, ...]:
    """What in a folder and below it could be a study, as paths for `read_cine`, without looking at the images.

    A NIfTI, NRRD, MHA or MHD file is one unless its name says that it is a mask (_gt, _mask, _seg, _label); a folder
    that holds DICOM files is one too, or the folder above where the series in it make one cine together.
    """
    files, dicom = _list_files(folder)
    return tuple(sorted([*files, *_join_series(dicom)]))


def find_studies(folder: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The short-axis stacks among `list_candidates`, and a sentence on each that is none."""
    studies, complaints = [], []
    for path in list_candidates(folder):
        try:
            check_stack(path, read_cine(path))
            studies.append(path)
        except ReadError as error:
            complaints.append(str(error))
    return tuple(studies), tuple(complaints)


def check_stack(path: Path, cine: Cine) -> None:
    """Raises `ReadError` for what is no stack of grey images."""
    slices = cine.images.shape[1]
    if slices < 2:
        raise ReadError(path, "one slice", "a short-axis stack")
    values = len(np.unique(cine.images[0, slices // 2]))
    if values <= _MASK_VALUES:
        raise ReadError(path, f"{values} grey values in its middle slice", "an image: is it a mask?")


def name_patient(study: Path, folder: Path) -> str:
    """Whose a study in `folder` is: its place there and its name, without what tells one frame from another.

    `patient001/patient001_frame12.nii.gz` is of patient001, `a/cine.nii.gz` and `b/cine.nii.gz` are of two patients.
    """
    relative = study.relative_to(folder)
    name = _FRAME_NAME.sub("", study_name(study))
    above = [part for part in relative.parts[:-1] if part != name]
    return "/".join([*above, name] if name else above) or study_name(study)


def hash_patient(source: Source) -> str | None:
    """A hash that the files of one patient share by place and name (`name_patient`), so that nobody can be read in it.

    DICOM's is the examination's: its folders are called alike from disc to disc, and a patient's own identifier is too
    short for a hash to hide it. None for what is neither.
    """
    if source.format == "DICOM":
        return source.exam or None
    if source.path is None:
        return None
    path = Path(os.path.abspath(source.path))  # not through links: those of data stores lead to files without names
    return hashlib.sha256(name_patient(path, Path(path.anchor)).encode()).hexdigest()


def _list_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Image files by their suffix, and folders that hold DICOM files by these files' contents."""
    files: list[Path] = []
    dicom: list[Path] = []
    for place, _, names in os.walk(folder):
        paths = [Path(place, name) for name in names]
        images = [path for path in paths if path.name.lower().endswith(_SUFFIXES)]
        files += [path for path in images if not _MASK_NAME.search(study_name(path))]
        if any(_is_dicom_file(path) for path in sorted(set(paths).difference(images))):
            dicom.append(Path(place))
    return files, dicom


def _is_dicom_file(path: Path) -> bool:
    if not path.is_file() or path.name.upper() == "DICOMDIR":
        return False
    with path.open("rb") as file:
        return is_dicom(file.read(_DICOM_START))


def _join_series(folders: list[Path]) -> Iterator[Path]:
    """The folders of DICOM files, or the one above where its series are one patient's with one cine among them."""
    by_parent: dict[Path, list[Path]] = {}
    for folder in folders:
        by_parent.setdefault(folder.parent, []).append(folder)
    for parent, below in by_parent.items():
        yield from [parent] if len(below) > 1 and _holds_one_cine(parent) else below


def _holds_one_cine(folder: Path) -> bool:
    """Whether a folder reads as one cine; if not, its subfolders are looked at, and they tell what is wrong."""
    try:
        cines = [series for series in list_series(folder) if series.frames > 1 and series.slices > 1]
        return len(cines) == 1 and len(read_cine(folder).images) > 1
    except ReadError:
        return False
