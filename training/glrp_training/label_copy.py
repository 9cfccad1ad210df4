"""A fine-tuning's own copy of its labels: what is accepted anew, or removed, meanwhile changes nothing in it.

Knows nothing of training.
"""

import shutil
from pathlib import Path

from glrp_napari.library import Label, LibraryError, list_labels, load_before, load_slice
from glrp_napari.library.label_files import KINDS, find_file
from glrp_napari.library.store import save_record

TRIES = 3


def copy_labels(library: Path, folder: Path) -> tuple[Label, ...]:
    """Copy all labels of a library, records and files, to `folder`, in place of what was there; returns them.

    Raises LibraryError for a library without labels, and as `load_slice` for a label whose files are missing.
    """
    for _ in range(TRIES):
        labels = list_labels(library)
        if not labels:
            raise LibraryError(f"{library}: found no accepted labels, expected at least one")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        missing = [label for label in labels if not _copy(library, folder, label)]
        if not missing:
            return labels
        if list_labels(library) == labels:
            load_slice(library, missing[0])  # raises: the file is missing for good
            load_before(library, missing[0])
    raise LibraryError(f"{library}: found labels that change all the time, expected them to rest for a moment")


def _copy(library: Path, folder: Path, label: Label) -> bool:
    """Whether a label's files were there to copy: they go when the label is accepted anew."""
    for kind in KINDS:
        if kind == "before" and label.before_sha256 is None:
            continue
        path = find_file(library, label, kind)
        try:
            shutil.copyfile(path, folder / path.name, follow_symlinks=False)
        except FileNotFoundError:
            return False
    save_record(folder, label)
    return True
