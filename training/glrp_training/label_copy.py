"""A fine-tuning's own copy of its labels: what is accepted anew, or removed, meanwhile changes nothing in it.

Knows nothing of training.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from glrp_napari.library import Label, LibraryError, list_labels, load_before, load_slice
from glrp_napari.library.label_files import KINDS, find_file
from glrp_napari.library.store import save_record, survey_labels
from glrp_napari.messages import Notice

TRIES = 3


def copy_labels(library: Path, folder: Path) -> tuple[Label, ...]:
    """Copy the labels of a library, records and files, to `folder`, in place of what was there; returns them.

    Those whose image is missing stay out, see `tell_missing`. Raises LibraryError for a library without labels or
    without one that has its image, and as `load_slice` for a label whose other files are missing.
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
        if list_labels(library) == labels:  # the files are missing for good
            return _without(library, labels, missing)
    raise LibraryError(f"{library}: found labels that change all the time, expected them to rest for a moment")


def tell_missing(library: Path, copied: Sequence[Label]) -> Iterator[Notice]:
    """A word on the labels of a library that `copy_labels` left out, `copied` being those that it returned."""
    stems = {label.stem for label in copied}
    survey = survey_labels(library)
    if left := sum(label.stem not in stems for label in survey.missing):
        text = f"{left} of {len(survey.labels)} labels left out: the image is missing from the library; opening the "
        yield Notice(text=f"{text}study again restores it.")


def _without(library: Path, labels: tuple[Label, ...], missing: Sequence[Label]) -> tuple[Label, ...]:
    """The labels but those that are missing their image, for which alone there is a remedy."""
    for label in missing:
        if find_file(library, label, "image").exists():
            load_slice(library, label)  # raises: another file is missing
            load_before(library, label)
    whole = tuple(label for label in labels if label not in missing)
    if not whole:
        raise LibraryError(
            f"{library}: found no label whose image is there ({len(labels)} without), expected at least one; opening "
            "the study again restores its images"
        )
    return whole


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
