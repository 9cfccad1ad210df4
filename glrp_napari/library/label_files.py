"""The files of a label beside its record: the slice's image, its mask and the model's own answer, and their hashes.

Their names carry the label's counter, so that a label that replaces another never shares a file with it.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Geometry, Mask
from glrp_napari.hashing import hash_file
from glrp_napari.library.record import Label
from glrp_napari.library.record_text import LibraryError, check_inside
from glrp_napari.reading import ReadError, read_cine
from glrp_napari.reading.masks import read_mask

Kind = Literal["image", "mask", "before"]
KINDS: tuple[Kind, ...] = ("image", "mask", "before")


def find_file(folder: Path, label: Label, kind: Kind) -> Path:
    """Where a label's file lies; in format 1 under a name without the counter."""
    number = "" if label.format_version == 1 else f"-{label.counter}"
    return folder / f"{label.stem}.{kind}{number}.nii.gz"


def load_slice(folder: Path, label: Label) -> tuple[NDArray[np.float32], Mask, Geometry]:
    """Image (Y, X), mask (Y, X) and geometry of one label.

    Raises ReadError when a file is missing or damaged, LibraryError when it is another than the record says.
    """
    cine = _load_image(folder, label)
    mask = load_mask(folder, label, cine)
    return cine.images[0, 0].astype(np.float32), mask, cine.geometry


def load_mask(folder: Path, label: Label, cine: Cine) -> Mask:
    """The mask (Y, X) of one label, whose image is the `cine` (1, 1, Y, X). Raises as `load_slice`."""
    return _load_mask(find_file(folder, label, "mask"), label.mask_sha256, cine)


def load_before(folder: Path, label: Label) -> Mask | None:
    """The model's own answer (Y, X) that was corrected to this label, None where there was none.

    Raises as `load_slice`.
    """
    if label.before_sha256 is None:
        return None
    return _load_mask(find_file(folder, label, "before"), label.before_sha256, _load_image(folder, label))


def remove_files(folder: Path, label: Label) -> None:
    """Remove the files of a label whose record is gone or names others."""
    for kind in KINDS:
        find_file(folder, label, kind).unlink(missing_ok=True)


def _load_image(folder: Path, label: Label) -> Cine:
    path = find_file(folder, label, "image")
    _check_hash(path, label.image_sha256)
    if not path.exists():
        raise ReadError(path, "no file", "the label's image; opening its study again restores it")
    return read_cine(path)


def _load_mask(path: Path, expected: str | None, cine: Cine) -> Mask:
    _check_hash(path, expected)
    mask: Mask = read_mask(path, cine)[0, 0]
    return mask


def _check_hash(path: Path, expected: str | None) -> None:
    """Raise LibraryError for a file that leads out of the library or was replaced since the record was written."""
    check_inside(path.parent, path)
    if expected is not None and path.exists() and (found := hash_file(path)) != expected:
        raise LibraryError(
            f"{path.name}: found SHA-256 {found[:12]}…, expected the record's {expected[:12]}…: it was replaced"
        )
