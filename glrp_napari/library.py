"""The user's labels on disk: a folder a person can read, one slice of one frame a label.

A label is three files with one stem: the slice's image and mask as NIfTI, and a JSON record. The record is written
last and alone makes the label exist, so that a crash leaves either the old or the new. Knows no network and no window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glrp_napari.cine import Cine, Geometry, Mask, Source, hash_study
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.atomic import write_atomically
from glrp_napari.writing.masks import write_images, write_mask

State = Literal["accepted", "corrected"]


class LibraryError(ValueError):
    """A label cannot be stored or read; says which file, what was found and what was expected."""


@dataclass(frozen=True, eq=False)
class Accepted:
    """A slice to be stored: its place in the cine, whether a person corrected it, and its labels (Y, X)."""

    frame: int
    slice: int
    state: State
    mask: Mask


class Label(BaseModel):
    """The record of one label: one slice of one frame of one study.

    `study` is the hash of the study (`hash_study`); one study counts as one patient. `frame_mean` and `frame_std` are
    those of the whole 3-D frame, which the network's z-score needs and a single slice does not show. `counter` orders
    labels without trusting the clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    study: str = Field(pattern=r"^[0-9a-f]{64}$")
    frame: int = Field(ge=0)
    slice: int = Field(ge=0)
    slices: int = Field(ge=1)
    state: State
    counter: int
    frame_mean: float
    frame_std: float = Field(ge=0)
    model: str | None = None

    @property
    def stem(self) -> str:
        """The name its three files share."""
        return f"{self.study[:12]}-t{self.frame:03d}-z{self.slice:03d}"


def accept_slice(
    folder: Path,
    cine: Cine,
    mask: Mask,
    frame: int,
    slice_index: int,
    state: State,
    model: str | None = None,
    study: str | None = None,
) -> Label:
    """Store one slice as a label, replacing an earlier one of the same place.

    `mask` is the slice's labels (Y, X); `study` is the cine's hash where the caller has it already. Raises
    LibraryError for a mask of another shape.
    """
    slices = [Accepted(frame, slice_index, state, mask)]
    return accept_slices(folder, cine, slices, model, study)[0]


def accept_slices(
    folder: Path, cine: Cine, slices: Sequence[Accepted], model: str | None = None, study: str | None = None
) -> tuple[Label, ...]:
    """Store slices of one cine as labels in the order given; the library is read once, however many they are.

    As `accept_slice` otherwise: raises LibraryError for a mask of another shape, before anything is written.
    """
    for one in slices:
        _check_shape(folder, cine, one)
    counter = max((known.counter for known in list_labels(folder)), default=0)
    study = study or hash_study(cine)
    labels = [_describe(cine, one, counter + i, model, study) for i, one in enumerate(slices, 1)]
    folder.mkdir(parents=True, exist_ok=True)
    for label, one in zip(labels, slices, strict=True):
        _store(folder, cine, label, one.mask)
    return tuple(labels)


def list_labels(folder: Path) -> tuple[Label, ...]:
    """The labels in a folder in the order they were accepted. Raises LibraryError naming a record that is malformed."""
    labels = [_load_record(path) for path in sorted(folder.glob("*-t*-z*.json"))]
    return tuple(sorted(labels, key=lambda label: label.counter))


def load_slice(folder: Path, label: Label) -> tuple[NDArray[np.float32], Mask, Geometry]:
    """Image (Y, X), mask (Y, X) and geometry of one label. Raises ReadError when a file is missing or damaged."""
    cine = read_cine(_image_path(folder, label))
    mask = read_mask(_mask_path(folder, label), cine)
    return cine.images[0, 0].astype(np.float32), mask[0, 0], cine.geometry


def remove_label(folder: Path, label: Label) -> None:
    """Take a label out: the record first, so that it stops existing at once."""
    for path in (folder / f"{label.stem}.json", _image_path(folder, label), _mask_path(folder, label)):
        path.unlink(missing_ok=True)


def _check_shape(folder: Path, cine: Cine, one: Accepted) -> None:
    shape = cine.images.shape[2:]
    if one.mask.shape != shape:
        raise LibraryError(
            f"{folder}: found a mask of {one.mask.shape} for a slice of {shape}: expected the same shape"
        )


def _describe(cine: Cine, one: Accepted, counter: int, model: str | None, study: str) -> Label:
    return Label(
        study=study,
        frame=one.frame,
        slice=one.slice,
        slices=cine.images.shape[1],
        state=one.state,
        counter=counter,
        model=model,
        frame_mean=float(cine.images[one.frame].mean(dtype=np.float64)),
        frame_std=float(cine.images[one.frame].std(dtype=np.float64)),
    )


def _store(folder: Path, cine: Cine, label: Label, mask: Mask) -> None:
    one_slice = _cut_slice(cine, label.frame, label.slice)
    write_images(_image_path(folder, label), one_slice.images, one_slice)
    write_mask(_mask_path(folder, label), mask[None, None], one_slice)
    write_atomically(folder / f"{label.stem}.json", label.model_dump_json(indent=2).encode() + b"\n")


def _cut_slice(cine: Cine, frame: int, slice_index: int) -> Cine:
    geometry = cine.geometry
    step = np.asarray(geometry.axes[0]) * geometry.spacing_mm[0] * slice_index
    origin = tuple(float(value) for value in np.asarray(geometry.origin_mm) + step)
    return replace(
        cine,
        images=cine.images[frame : frame + 1, slice_index : slice_index + 1],
        frame_ms=None,
        geometry=geometry.model_copy(update={"origin_mm": origin}),
        source=Source(name=cine.source.name),
    )


def _load_record(path: Path) -> Label:
    try:
        return Label.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise LibraryError(f"{path}: {error.errors()[0]['msg']}, expected a label record of format 1") from None


def _image_path(folder: Path, label: Label) -> Path:
    return folder / f"{label.stem}.image.nii.gz"


def _mask_path(folder: Path, label: Label) -> Path:
    return folder / f"{label.stem}.mask.nii.gz"
