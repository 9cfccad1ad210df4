"""What a study is called: the name that results beside it carry.

It must not open any file.
"""

from pathlib import Path

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".gz", ".dcm")


def study_name(path: Path) -> str:
    """A file's name without its suffix; a folder's name, or its parent's if the folder is called `dicom`."""
    path = path.absolute()
    if path.is_dir():
        return path.parent.name if path.name.lower() == "dicom" else path.name
    lower = path.name.lower()
    suffix = next((known for known in _SUFFIXES if lower.endswith(known) and lower != known), "")
    return path.name[: len(path.name) - len(suffix)]
