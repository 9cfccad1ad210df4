"""The frozen order of a library's patients, which says who validates: a file beside the labels that travels with them,
so that whoever validated here is not trained on there.

Drawing the order is the training's; here is only what the file is, and how it is carried along.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from glrp_napari.library.record_text import LibraryError, parse_object
from glrp_napari.reasons import name_fault
from glrp_napari.writing.atomic import write_atomically

MANIFEST = "validation.json"
EXPECTED = "expected the list of patients; remove the file to draw them anew"


class Manifest(BaseModel):
    """The patients of a library (by hash, their own or that of a study) in the order in which they came."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    patients: tuple[str, ...] = ()


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a library, an empty one where there is none.

    Raises LibraryError for one that is damaged or leads out of the library.
    """
    path = folder / MANIFEST
    if not path.exists():
        return Manifest()
    try:
        return Manifest.model_validate(parse_object(path))
    except ValidationError as error:
        raise LibraryError(f"{MANIFEST}: {name_fault(error)}, {EXPECTED}") from None
    except LibraryError as error:
        raise LibraryError(f"{error}; {EXPECTED}") from None


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Keep a manifest with the library."""
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")


def take_manifest(source: Path, folder: Path) -> None:
    """Copy the manifest of the library `source` to the library `folder`, where there is one and none in `folder`.

    Raises as `load_manifest`.
    """
    if (source / MANIFEST).exists() and not (folder / MANIFEST).exists():
        load_manifest(source)  # first, so that nothing comes here that could not be read again
        write_atomically(folder / MANIFEST, (source / MANIFEST).read_bytes())
