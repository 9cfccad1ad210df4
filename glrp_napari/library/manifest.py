"""The frozen order of a library's patients, which says who validates: a file beside the labels that travels with them,
so that whoever validated here is not trained on there.

Drawing the order is the training's; here is only what the file is named, and how it is carried along.
"""

from pathlib import Path

from glrp_napari.library.record_text import LibraryError, parse_object
from glrp_napari.writing.atomic import write_atomically

MANIFEST = "validation.json"


def take_manifest(source: Path, folder: Path) -> None:
    """Copy the manifest of the library `source` to the library `folder`, where there is one and none in `folder`.

    Raises LibraryError for one that is damaged or leads out of `source`.
    """
    path = source / MANIFEST
    if not path.exists() or (folder / MANIFEST).exists():
        return
    patients = parse_object(path).get("patients")
    if not isinstance(patients, list) or not all(isinstance(patient, str) for patient in patients):
        raise LibraryError(f"{MANIFEST}: found {type(patients).__name__} as patients, expected a list of their hashes")
    write_atomically(folder / MANIFEST, path.read_bytes())
