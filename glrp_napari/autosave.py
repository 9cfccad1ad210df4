"""Drafts: a study's mask, states, decisions and view, so that a crash costs seconds and closing costs nothing.

Work that goes on is written to two slots a study in turn, to be offered after a crash; what a study was when it was
closed goes to two others, to be taken up without asking, and ends the first two. A slot is a mask file, one of what the
model had answered where a person went on from that, and a record that is written last, names their hashes and alone
makes the slot count. So a crash, or a damaged newest draft, leaves the one before. A draft that is offered and not
answered is set aside in a slot of its own, where later ones do not reach it. Knows no window.
"""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glrp_napari.assessment import Reading
from glrp_napari.cine import Cine, Mask
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.atomic import write_atomically
from glrp_napari.writing.masks import write_mask

SLOTS, CLOSED_SLOTS = "ab", "cd"


class SliceState(IntEnum):
    """What a slice of the mask is: never touched, the model's, changed by a person, or stored as a label."""

    UNTOUCHED = 0
    PREDICTED = 1
    EDITED = 2
    ACCEPTED = 3
    CORRECTED = 4


@dataclass(frozen=True, eq=False)
class Draft:
    """A mask (T, Z, Y, X) with the states (T, Z) of its slices, and the time it was saved, as ISO 8601.

    `reading` are the reader's decisions, `view` the frame and slice on screen, `model` what segmented it; `closed` says
    that the study was closed in good order. `counter` orders a study's drafts on disk; 0 is one not loaded from there.
    `predicted` is the model's last answer (Y, X) for slices (t, z) that a person changed or accepted.
    """

    mask: Mask
    states: NDArray[np.uint8]
    saved_at: str
    counter: int = 0
    reading: Reading = field(default_factory=Reading)
    view: tuple[int, int] | None = None
    model: str | None = None
    closed: bool = False
    predicted: Mapping[tuple[int, int], Mask] = field(default_factory=dict)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1, 2] = 2
    study: str = Field(pattern=r"^[0-9a-f]{64}$")
    counter: int = Field(ge=0)
    saved_at: str
    states: tuple[tuple[SliceState, ...], ...]
    mask_sha256: str
    reading: Reading = Reading()
    view: tuple[int, int] | None = None
    model: str | None = None
    closed: bool = False
    predicted: tuple[tuple[int, int], ...] = ()
    predicted_sha256: str | None = None


def save_draft(folder: Path, study: str, cine: Cine, draft: Draft) -> None:
    """Write a draft over the older of the study's two slots of its kind. `study` is the cine's hash."""
    records = _read_records(folder, study)
    counter = 1 + max((record.counter for record in records.values()), default=0)
    slots = CLOSED_SLOTS if draft.closed else SLOTS
    slot = min(slots, key=lambda name: records[name].counter if name in records else -1)
    mask_path = _mask_path(folder, study, slot)
    folder.mkdir(parents=True, exist_ok=True)
    _record_path(folder, study, slot).unlink(missing_ok=True)
    write_mask(mask_path, draft.mask, cine)
    states = tuple(tuple(SliceState(value) for value in row) for row in draft.states.tolist())
    record = _Record(
        study=study,
        counter=counter,
        saved_at=draft.saved_at,
        states=states,
        mask_sha256=_hash_file(mask_path),
        reading=draft.reading,
        view=draft.view,
        model=draft.model,
        closed=draft.closed,
        predicted=tuple(draft.predicted),
        predicted_sha256=_write_predicted(_predicted_path(folder, study, slot), cine, draft),
    )
    write_atomically(_record_path(folder, study, slot), record.model_dump_json().encode() + b"\n")
    if draft.closed:
        _remove_slots(folder, study, SLOTS)


def load_draft(folder: Path, study: str, cine: Cine, closed: bool = False) -> Draft | None:
    """A study's newest intact draft, set aside or not, or None. A damaged one is passed over for the one before.

    With `closed` only those of a study that was closed in good order.
    """
    records = {slot: r for slot, r in _read_records(folder, study).items() if r.closed or not closed}
    for slot in sorted(records, key=lambda name: -records[name].counter):
        if (draft := _load_slot(folder, slot, records[slot], cine)) is not None:
            return draft
    return None


def discard_draft(folder: Path, study: str) -> None:
    """Remove a study's drafts, but not one that was set aside or closed: the records first."""
    _remove_slots(folder, study, SLOTS)


def set_aside(folder: Path, study: str, draft: Draft) -> None:
    """Keep a loaded draft in a slot of its own. A crash on the way leaves it in one slot or in both."""
    for slot, record in _read_records(folder, study).items():
        if slot in SLOTS and record.counter == draft.counter:
            kept = _name_kept(draft)
            shutil.copyfile(_mask_path(folder, study, slot), _mask_path(folder, study, kept))
            if record.predicted_sha256 is not None:
                shutil.copyfile(_predicted_path(folder, study, slot), _predicted_path(folder, study, kept))
            write_atomically(_record_path(folder, study, kept), record.model_dump_json().encode() + b"\n")
            _remove_slots(folder, study, slot)


def discard_up_to(folder: Path, study: str, draft: Draft) -> None:
    """Remove a loaded draft, set aside or not, and the one it came after; later ones stay."""
    old = [slot for slot, record in _read_records(folder, study).items() if record.counter <= draft.counter]
    _remove_slots(folder, study, [_name_kept(draft), *(slot for slot in old if slot in SLOTS)])


def _remove_slots(folder: Path, study: str, slots: Iterable[str]) -> None:
    names = list(slots)
    for path in (_record_path, _mask_path, _predicted_path):
        for slot in names:
            path(folder, study, slot).unlink(missing_ok=True)


def _name_kept(draft: Draft) -> str:
    return f"kept{draft.counter}"


def _write_predicted(path: Path, cine: Cine, draft: Draft) -> str | None:
    """Write what the model had answered; returns the file's hash, None where there is nothing and so no file."""
    path.unlink(missing_ok=True)
    if not draft.predicted:
        return None
    predicted = np.zeros_like(draft.mask)
    for place, mask in draft.predicted.items():
        predicted[place] = mask
    write_mask(path, predicted, cine)
    return _hash_file(path)


def _load_slot(folder: Path, slot: str, record: _Record, cine: Cine) -> Draft | None:
    states, path = np.array(record.states, dtype=np.uint8), _mask_path(folder, record.study, slot)
    try:
        if states.shape != cine.images.shape[:2] or _hash_file(path) != record.mask_sha256:
            return None
        return Draft(
            mask=read_mask(path, cine),
            states=states,
            saved_at=record.saved_at,
            counter=record.counter,
            reading=record.reading,
            view=record.view,
            model=record.model,
            closed=record.closed,
            predicted=_load_predicted(_predicted_path(folder, record.study, slot), record, cine),
        )
    except (ReadError, OSError):
        return None


def _load_predicted(path: Path, record: _Record, cine: Cine) -> dict[tuple[int, int], Mask]:
    """What the model had answered; nothing where its file is damaged, for the person's work does not depend on it."""
    if record.predicted_sha256 is None or not path.exists() or _hash_file(path) != record.predicted_sha256:
        return {}
    mask = read_mask(path, cine)
    return {place: mask[place] for place in record.predicted}


def _read_records(folder: Path, study: str) -> dict[str, _Record]:
    records = {}
    for path in folder.glob(f"{study[:12]}-*.json"):
        slot = path.stem.partition("-")[2]
        try:
            record = _Record.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if record.study == study:
            records[slot] = record
    return records


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _record_path(folder: Path, study: str, slot: str) -> Path:
    return folder / f"{study[:12]}-{slot}.json"


def _mask_path(folder: Path, study: str, slot: str) -> Path:
    return folder / f"{study[:12]}-{slot}.nii.gz"


def _predicted_path(folder: Path, study: str, slot: str) -> Path:
    return folder / f"{study[:12]}-{slot}.model.nii.gz"
