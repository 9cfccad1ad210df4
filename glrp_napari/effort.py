"""What correcting costs: a ledger of changed voxels, strokes and active time, and how it falls from model to model.

One line of JSON a record, appended in one write and flushed to the disk: a crash can tear only the last line, which is
passed over. A record holds no name and no date; the order of the lines is the counter. Knows no window.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LEDGER = "effort.jsonl"
PAUSE_S = 30.0
"""A longer pause than this is no work."""


class Effort(BaseModel):
    """One piece of work on one study (by its hash), on what `model` had segmented: since the piece before.

    `slices` were accepted in it, `changed` voxels of them differ from the model's answer; `strokes` counts tools too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    study: str = Field(pattern=r"^[0-9a-f]{64}$")
    model: str
    slices: int = Field(ge=0)
    changed: int = Field(ge=0)
    strokes: int = Field(ge=0)
    active_s: float = Field(ge=0, allow_inf_nan=False)


@dataclass(frozen=True)
class ModelEffort:
    """What correcting a model's segmentations has cost, over `studies` and `slices` accepted."""

    model: str
    studies: int
    slices: int
    changed: int
    strokes: int
    active_s: float

    @property
    def changed_per_slice(self) -> float:
        """Voxels changed in each accepted slice, on average."""
        return self.changed / self.slices

    @property
    def minutes_per_slice(self) -> float:
        """Active minutes for each accepted slice, on average."""
        return self.active_s / 60 / self.slices


class ActiveTime:
    """Adds up the time between signs of life, but not pauses over `PAUSE_S`. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last: float | None = None

    def touch(self, now: float) -> None:
        """A sign of life."""
        if self._last is not None and 0 <= now - self._last <= PAUSE_S:
            self.seconds += now - self._last
        self._last = now

    def take(self) -> float:
        """The seconds so far; counting begins anew, and goes on from the last sign of life."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def append_effort(folder: Path, effort: Effort) -> None:
    """Add a record to the ledger in the session folder. Raises OSError when it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LEDGER
    line = effort.model_dump_json().encode() + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        os.write(descriptor, b"\n" + line if _ends_torn(descriptor) else line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_efforts(folder: Path) -> tuple[Effort, ...]:
    """The records in order; lines that a crash tore are passed over. Raises OSError when the file cannot be read."""
    path = folder / LEDGER
    lines = path.read_bytes().splitlines() if path.exists() else []
    return tuple(effort for line in lines if (effort := _read_line(line)) is not None)


def sum_by_model(efforts: Iterable[Effort]) -> tuple[ModelEffort, ...]:
    """The curve of correction: models in the order they were first worked with, without those of no accepted slice."""
    groups: dict[str, list[Effort]] = {}
    for effort in efforts:
        groups.setdefault(effort.model, []).append(effort)
    sums = (
        ModelEffort(
            model=model,
            studies=len({effort.study for effort in group}),
            slices=sum(effort.slices for effort in group),
            changed=sum(effort.changed for effort in group),
            strokes=sum(effort.strokes for effort in group),
            active_s=sum(effort.active_s for effort in group),
        )
        for model, group in groups.items()
    )
    return tuple(one for one in sums if one.slices)


def _ends_torn(descriptor: int) -> bool:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size == 0:
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"


def _read_line(line: bytes) -> Effort | None:
    try:
        return Effort.model_validate_json(line)
    except ValidationError:
        return None
