"""Drafts: a study's mask, states, decisions and view, so that a crash costs seconds and closing costs nothing.

A slot is a mask file, one of what the model had answered where a person went on from that, one of the steps of undo
where the study was closed, and a record that is written last, names their hashes and alone makes the slot count. So a
crash, or a damaged newest draft, leaves the one before.
Knows no window.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glrp_napari.cine import Cine, Mask
from glrp_napari.decisions import Reading
from glrp_napari.hashing import hash_file
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.masks import read_mask
from glrp_napari.slice_states import SliceState
from glrp_napari.undo_steps import KeptStep, decode_steps, encode_steps
from glrp_napari.writing.atomic import write_atomically
from glrp_napari.writing.masks import write_mask

RECORD, MASK, PREDICTED, STEPS = ".json", ".nii.gz", ".model.nii.gz", ".steps"


@dataclass(frozen=True, eq=False)
class Draft:
    """A mask (T, Z, Y, X) with the states (T, Z) of its slices, and the time it was saved, as ISO 8601.

    `reading` are the reader's decisions, `view` the frame and slice on screen, `model` what segmented it; `closed` says
    that the study was closed in good order. `slot` is where it was loaded from, empty for one that was not.
    `predicted` is the model's last answer (Y, X) for slices (t, z) that a person changed or accepted, `answered_by` the
    name of that model where it is known; `steps` are those that can be taken back, the oldest first.
    """

    mask: Mask
    states: NDArray[np.uint8]
    saved_at: str
    slot: str = ""
    reading: Reading = field(default_factory=Reading)
    view: tuple[int, int] | None = None
    model: str | None = None
    closed: bool = False
    predicted: Mapping[tuple[int, int], Mask] = field(default_factory=dict)
    answered_by: Mapping[tuple[int, int], str] = field(default_factory=dict)
    steps: tuple[KeptStep, ...] = ()


class Record(BaseModel):
    """What a slot's file says of its draft; `counter` orders a study's drafts, whatever the clock does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1, 2, 3, 4] = 4
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
    answered_by: tuple[str, ...] = ()
    predicted_sha256: str | None = None
    steps_sha256: str | None = None


class Slots:
    """The slots of one study, by the cine's hash, in a folder."""

    def __init__(self, folder: Path, study: str) -> None:
        self._folder, self._study = folder, study

    def write(self, slots: Iterable[str], cine: Cine, draft: Draft) -> int:
        """Write a draft over the older of these slots; returns its counter."""
        records = self.read()
        slot = min(slots, key=lambda name: records[name].counter if name in records else -1)
        self._path(slot, RECORD).unlink(missing_ok=True)
        write_mask(self._path(slot, MASK), draft.mask, cine)
        states = tuple(tuple(SliceState(value) for value in row) for row in draft.states.tolist())
        record = Record(
            study=self._study,
            counter=1 + find_newest(records),
            saved_at=draft.saved_at,
            states=states,
            mask_sha256=hash_file(self._path(slot, MASK)),
            reading=draft.reading,
            view=draft.view,
            model=draft.model,
            closed=draft.closed,
            predicted=tuple(draft.predicted),
            answered_by=tuple(draft.answered_by.get(place, "") for place in draft.predicted),
            predicted_sha256=_write_predicted(self._path(slot, PREDICTED), cine, draft),
            steps_sha256=_write_steps(self._path(slot, STEPS), draft),
        )
        self.write_record(slot, record)
        return record.counter

    def write_record(self, slot: str, record: Record) -> None:
        """Make a slot count, or say anew what lies in it."""
        write_atomically(self._path(slot, RECORD), record.model_dump_json().encode() + b"\n")

    def read(self) -> dict[str, Record]:
        """The slots that count, and their records; a damaged record is passed over."""
        records = {}
        for path in self._folder.glob(f"{self._study[:12]}-*{RECORD}"):
            try:
                record = Record.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                continue
            if record.study == self._study:
                records[path.name.removesuffix(RECORD).partition("-")[2]] = record
        return records

    def load_newest(self, records: Mapping[str, Record], cine: Cine) -> Draft | None:
        """The newest intact draft of these slots, or None."""
        newest_first = sorted(records, key=lambda slot: -records[slot].counter)
        loaded = (self._load(slot, records[slot], cine) for slot in newest_first)
        return next((draft for draft in loaded if draft is not None), None)

    def _load(self, slot: str, record: Record, cine: Cine) -> Draft | None:
        states, path = np.array(record.states, dtype=np.uint8), self._path(slot, MASK)
        try:
            if states.shape != cine.images.shape[:2] or hash_file(path) != record.mask_sha256:
                return None
            return Draft(
                mask=read_mask(path, cine),
                states=states,
                saved_at=record.saved_at,
                slot=slot,
                reading=record.reading,
                view=record.view,
                model=record.model,
                closed=record.closed,
                predicted=_load_predicted(self._path(slot, PREDICTED), record, cine),
                answered_by=dict(zip(record.predicted, record.answered_by, strict=False)),  # none before format 4
                steps=_load_steps(self._path(slot, STEPS), record, cine),
            )
        except (ReadError, OSError):
            return None

    def remove(self, slots: Collection[str]) -> None:
        """Remove what is in these slots: the records first."""
        for kind in (RECORD, MASK, PREDICTED, STEPS):
            for slot in slots:
                self._path(slot, kind).unlink(missing_ok=True)

    def _path(self, slot: str, kind: str) -> Path:
        return self._folder / f"{self._study[:12]}-{slot}{kind}"


def find_newest(records: Mapping[str, Record]) -> int:
    """The highest counter, 0 where there is none."""
    return max((record.counter for record in records.values()), default=0)


def digest_work(draft: Draft) -> str:
    """The work in a draft, in short: all but when it was saved and what was on screen."""
    digest = hashlib.sha256(np.ascontiguousarray(draft.mask).data)
    for part in (draft.states.tobytes(), draft.reading.model_dump_json().encode(), (draft.model or "").encode()):
        digest.update(part)
    return digest.hexdigest()


def _write_predicted(path: Path, cine: Cine, draft: Draft) -> str | None:
    """Write what the model had answered; returns the file's hash, None where there is nothing and so no file."""
    path.unlink(missing_ok=True)
    if not draft.predicted:
        return None
    predicted = np.zeros_like(draft.mask)
    for place, mask in draft.predicted.items():
        predicted[place] = mask
    write_mask(path, predicted, cine)
    return hash_file(path)


def _load_predicted(path: Path, record: Record, cine: Cine) -> dict[tuple[int, int], Mask]:
    """What the model had answered; nothing where its file is damaged, for the person's work does not depend on it."""
    if record.predicted_sha256 is None or not path.exists() or hash_file(path) != record.predicted_sha256:
        return {}
    mask = read_mask(path, cine)
    return {place: mask[place] for place in record.predicted}


def _write_steps(path: Path, draft: Draft) -> str | None:
    """Write the steps of undo; returns the file's hash, None where there are none and so no file."""
    path.unlink(missing_ok=True)
    if not draft.steps:
        return None
    write_atomically(path, encode_steps(draft.steps))
    return hash_file(path)


def _load_steps(path: Path, record: Record, cine: Cine) -> tuple[KeptStep, ...]:
    """The steps of undo; none where their file is damaged, for no work is lost with them."""
    if record.steps_sha256 is None or not path.exists() or hash_file(path) != record.steps_sha256:
        return ()
    return decode_steps(path.read_bytes(), cine.images.shape)
