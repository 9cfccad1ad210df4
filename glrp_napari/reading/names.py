"""What a study is called: the name that results beside it carry.

It must not open any file.
"""

import hashlib
from pathlib import Path

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".gz", ".dcm")


def study_name(path: Path) -> str:
    """A file's name without its suffix; a folder's name, or its parent's if the folder is called `dicom`.

    One that is a patient's is hidden (`hide_person`).
    """
    path = path.absolute()
    if path.is_dir():
        return hide_person(path.parent.name if path.name.lower() == "dicom" else path.name)
    lower = path.name.lower()
    suffix = next((known for known in _SUFFIXES if lower.endswith(known) and lower != known), "")
    return hide_person(path.name[: len(path.name) - len(suffix)])


def hide_person(name: str) -> str:
    """A name as it is, or a short hash in place of a patient's, which DICOM's mark gives away: `Doe^Jane`."""
    return f"study-{hashlib.sha256(name.encode()).hexdigest()[:8]}" if "^" in name else name
