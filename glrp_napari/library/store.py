"""Labels in and out of the library's folder, one slice of one frame a label.

A label is a JSON record and up to three NIfTI files (see `label_files`). The record is written last and alone makes the
label exist, so that a crash leaves either the old label or the new one. Knows no network and no window, and not whether
somebody else writes: see `lock`.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from glrp_napari.cine import Cine, Mask, Source, hash_study
from glrp_napari.hashing import hash_file
from glrp_napari.library.label_files import KINDS, find_file, load_mask, remove_files
from glrp_napari.library.protocol import Protocol, find_protocol
from glrp_napari.library.record import FORMAT, DamagedRecord, Label, State, load_record
from glrp_napari.library.record_text import LibraryError
from glrp_napari.reading import ReadError
from glrp_napari.reading.studies import hash_patient
from glrp_napari.writing.atomic import write_atomically
from glrp_napari.writing.masks import write_images, write_mask

RECORDS = "*-t*-z*.json"


@dataclass(frozen=True, eq=False)
class Accepted:
    """A slice to be stored: its place in the cine, whether a person corrected it, and its labels (Y, X).

    `before` is the model's own answer (Y, X) that was corrected, None where no model segmented the slice. `outside`
    says that the slice lies beyond base and apex as the reader set them, `model` whose answer it was.
    """

    frame: int
    slice: int
    state: State
    mask: Mask
    before: Mask | None = None
    outside: bool = False
    model: str | None = None


@dataclass(frozen=True)
class Survey:
    """What lies in a library's folder: the labels in the order they were accepted, and the records that are damaged.

    `missing` are the labels whose image is not there; `relink_images` writes it again once their study is open.
    """

    labels: tuple[Label, ...] = ()
    damaged: tuple[DamagedRecord, ...] = ()
    missing: tuple[Label, ...] = ()

    @property
    def is_newer(self) -> bool:
        """Whether a later version of the program wrote any of the labels: then this one only reads."""
        return any(label.format_version > FORMAT for label in self.labels)


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
    LibraryError for a mask of another shape, and for one to be `accepted` in place of a corrected label.
    """
    slices = [Accepted(frame, slice_index, state, mask)]
    stored = accept_slices(folder, cine, slices, model, study)
    if not stored:
        raise LibraryError(f"{folder}: found a corrected label of slice {slice_index} of frame {frame}, expected none")
    return stored[0]


def accept_slices(
    folder: Path,
    cine: Cine,
    slices: Sequence[Accepted],
    model: str | None = None,
    study: str | None = None,
    who: str = "",
    drawn_here: bool = True,
) -> tuple[Label, ...]:
    """Store slices of one cine as labels in the order given, with the library's protocol and the reader's name `who`.

    Masks that were not `drawn_here` follow nobody knows which conventions, and so does every label as long as the
    library's are damaged (see `find_protocol`): such labels carry none.
    The library is read once, however many they are. A slice `accepted` as a model left it never replaces a corrected
    label, which stays; returned are those that were stored. As `accept_slice` otherwise: raises LibraryError for a mask
    of another shape, and for a library with damaged or newer records, before anything is written.
    """
    for one in slices:
        _check_shape(folder, cine, one)
    known = list_writable(folder)
    counter = max((label.counter for label in known), default=0)
    protocol, study = find_protocol(folder) if drawn_here else None, study or hash_study(cine)
    folder.mkdir(parents=True, exist_ok=True)
    places = {label.stem: label for label in known}
    stored: list[Label] = []
    for one in slices:
        label = _describe(cine, one, counter + 1 + len(stored), study).model_copy(
            update={"model": one.model or model, "who": who, "protocol": protocol}
        )
        replaced = places.get(label.stem)
        if replaced is None or (one.state, replaced.state) != ("accepted", "corrected"):
            stored.append(_store(folder, cine, label, one, replaced))
            places[label.stem] = stored[-1]
    return tuple(stored)


def list_labels(folder: Path) -> tuple[Label, ...]:
    """The labels in a folder in the order they were accepted. Raises DamagedRecord for a malformed record."""
    survey = survey_labels(folder)
    if survey.damaged:
        raise survey.damaged[0]
    return survey.labels


def survey_labels(folder: Path) -> Survey:
    """The labels in a folder, and which records cannot be read."""
    labels, damaged = [], []
    for path in sorted(folder.glob(RECORDS)):
        try:
            labels.append(load_record(path))
        except DamagedRecord as error:
            damaged.append(error)
        except FileNotFoundError:  # removed meanwhile, by who writes to this library
            continue
    names = {entry.name for entry in folder.iterdir()} if labels else set()
    return Survey(
        labels=tuple(sorted(labels, key=lambda label: label.counter)),
        damaged=tuple(damaged),
        missing=tuple(label for label in labels if find_file(folder, label, "image").name not in names),
    )


def list_writable(folder: Path) -> tuple[Label, ...]:
    """As `list_labels`, of a library that may be changed: raises LibraryError where a later version wrote to it."""
    labels = list_labels(folder)
    for label in labels:
        if label.format_version > FORMAT:
            raise LibraryError(
                f"{label.stem}.json: found format {label.format_version}, expected at most {FORMAT}: a later "
                "version of this program wrote it, so this one only reads the library"
            )
    return labels


def remove_label(folder: Path, label: Label) -> None:
    """Take a label out: the record first, so that it stops existing at once."""
    list_writable(folder)
    (folder / f"{label.stem}.json").unlink(missing_ok=True)
    remove_files(folder, label)


def mark_outside(folder: Path, study: str, outside: Mapping[int, Collection[int]]) -> int:
    """Note which labels of a study's frames lie beyond base and apex: by frame the slices that do; others do not.

    Frames that are not named stay as they are. Returns how many labels changed; raises as `list_writable`.
    """
    own = [label for label in list_writable(folder) if label.study == study and label.frame in outside]
    moved = [label for label in own if label.outside != (label.slice in outside[label.frame])]
    for label in moved:
        _change_record(folder, label, outside=not label.outside)
    return len(moved)


def adopt_protocol(folder: Path, protocol: Protocol, stems: Collection[str] | None = None) -> int:
    """Note conventions with the labels that carry none, or with those of these `stems`; those of others stay.

    Returns how many labels changed; raises as `list_writable`.
    """
    labels = (label for label in list_writable(folder) if stems is None or label.stem in stems)
    without = [label for label in labels if label.protocol is None]
    for label in without:
        _change_record(folder, label, protocol=protocol)
    return len(without)


def load_masks(folder: Path, cine: Cine, labels: Sequence[Label]) -> dict[tuple[int, int], Mask]:
    """The masks (Y, X) of labels of this cine by frame and slice; one that cannot be read, or is gone, is left out."""
    masks: dict[tuple[int, int], Mask] = {}
    for label in labels:
        with suppress(LibraryError, ReadError, OSError):
            masks[label.frame, label.slice] = load_mask(folder, label, _cut_as_labelled(cine, label))
    return masks


def relink_images(folder: Path, cine: Cine, labels: Sequence[Label]) -> None:
    """Write the missing images of labels again from their study, whose hash the caller has compared.

    An image may differ from the one before, as where the study came in another format. It comes into its place last:
    after a crash it is missing still, and beside a record that names another it would be taken for replaced.
    """
    for label in labels:
        one_slice = _cut_as_labelled(cine, label)
        path = find_file(folder, label, "image")
        with TemporaryDirectory(dir=folder, prefix=".glrp-") as temporary:
            written = Path(temporary) / path.name
            write_images(written, one_slice.images, one_slice)
            if label.image_sha256 is not None:
                save_record(folder, label.model_copy(update={"image_sha256": hash_file(written)}))
            written.replace(path)


def set_aside_damaged(folder: Path, damaged: Sequence[DamagedRecord]) -> Path:
    """Move damaged records to a folder within the library, where nothing reads them; their images and masks stay.

    Returns the folder. A record of the same name that lies there already is kept under its own name.
    """
    aside = folder / "damaged"
    aside.mkdir(exist_ok=True)
    for error in damaged:
        taken = sum(1 for _ in aside.glob(f"{error.path.stem}*"))
        error.path.rename(aside / f"{error.path.stem}{f'-{taken}' if taken else ''}.json")
    return aside


def cut_slice(cine: Cine, frame: int, slice_index: int) -> Cine:
    """One slice of one frame as a cine (1, 1, Y, X) in its place."""
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


def _cut_as_labelled(cine: Cine, label: Label) -> Cine:
    """A label's slice of its study, which may have come in another format meanwhile, on the label's grid."""
    one_slice = cut_slice(cine, label.frame, label.slice)
    return one_slice if label.geometry is None else replace(one_slice, geometry=label.geometry)


def save_record(folder: Path, label: Label) -> None:
    """Write a label's record: from now on the label exists."""
    write_atomically(folder / f"{label.stem}.json", label.model_dump_json(indent=2).encode() + b"\n")


def _change_record(folder: Path, label: Label, **changes: object) -> None:
    """Write a label's record anew with some of it changed, its files as they are."""
    version = 1 if label.format_version == 1 else FORMAT  # the names of its files depend on the former
    save_record(folder, label.model_copy(update={**changes, "format_version": version}))


def _check_shape(folder: Path, cine: Cine, one: Accepted) -> None:
    shape = cine.images.shape[2:]
    for mask in (one.mask, one.before):
        if mask is not None and mask.shape != shape:
            raise LibraryError(
                f"{folder}: found a mask of {mask.shape} for a slice of {shape}: expected the same shape"
            )


def _describe(cine: Cine, one: Accepted, counter: int, study: str) -> Label:
    _, slices, rows, columns = cine.images.shape
    return Label(
        study=study,
        frame=one.frame,
        slice=one.slice,
        slices=slices,
        state=one.state,
        counter=counter,
        patient=hash_patient(cine.source),
        outside=one.outside,
        frame_mean=float(cine.images[one.frame].mean(dtype=np.float64)),
        frame_std=float(cine.images[one.frame].std(dtype=np.float64)),
        shape=(rows, columns),
        geometry=cut_slice(cine, one.frame, one.slice).geometry,
    )


def _store(folder: Path, cine: Cine, label: Label, one: Accepted, replaced: Label | None) -> Label:
    """Write a label's files, then its record; then remove the files of the label it replaces."""
    one_slice = cut_slice(cine, label.frame, label.slice)
    image, mask, before = (find_file(folder, label, kind) for kind in KINDS)
    write_images(image, one_slice.images, one_slice)
    write_mask(mask, one.mask[None, None], one_slice)
    hashes = {"image_sha256": hash_file(image), "mask_sha256": hash_file(mask)}
    if one.before is not None:
        write_mask(before, one.before[None, None], one_slice)
        hashes["before_sha256"] = hash_file(before)
    stored = label.model_copy(update=hashes)
    save_record(folder, stored)
    if replaced is not None:
        remove_files(folder, replaced)
    return stored
