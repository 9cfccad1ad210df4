"""A training's state on disk, from which it goes on bit for bit after it was killed.

Knows nothing of what is trained: it keeps the state of whatever has a `state_dict`. Nothing is unpickled but tensors
and plain containers.
"""

import errno
import hashlib
import io
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from pydantic import BaseModel
from torch import Tensor

from glrp_napari.messages import Progress
from glrp_napari.writing.atomic import write_atomically

CHECKPOINT_EVERY_S = 60.0
WAIT_FOR_ROOM_S = 0.5
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
ANEW = "remove the file to begin anew"
T = TypeVar("T")


class CheckpointError(ValueError):
    """A checkpoint cannot be resumed from; says which file, what was found and what was expected."""


class Stateful(Protocol):
    """A network, an optimiser, a gradient scaler."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that must be kept."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:  # noqa: ANN401  torch's classes differ here
        """Take it back."""


@dataclass
class Checkpoint:
    """The file of one run. `identity` is the hash of its settings and data (`fingerprint`).

    It exists from before the first step until the run is complete. `notes` are numbers that go with the state.
    `steps` are those that the file held when it was restored.
    """

    path: Path
    identity: str
    every_s: float = CHECKPOINT_EVERY_S
    notes: dict[str, float] = field(default_factory=dict)
    steps: int = field(default=0, init=False)
    _saved: float = field(default_factory=time.monotonic, init=False)

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        """Bring all parts and notes to the stored state and return the steps already taken; 0 without a file.

        Raises CheckpointError for a damaged file and for one of other settings or data.
        """
        if not self.path.exists():
            return 0
        try:
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, states, steps = stored["identity"], stored["states"], int(stored["steps"])
            notes = dict(stored["notes"])
        except Exception as error:  # a damaged file raises whatever the unpickler stumbles over
            raise CheckpointError(
                f"{self.path}: found {type(error).__name__} on reading, expected a checkpoint; {ANEW}"
            ) from error
        if identity != self.identity or set(states) != set(parts):
            raise CheckpointError(
                f"{self.path}: found the checkpoint of other settings or data, expected this run's; {ANEW}"
            )
        for name, part in parts.items():
            part.load_state_dict(states[name])
        self.notes.update(notes)
        self.steps = steps
        return steps

    def begin(self, parts: Mapping[str, Stateful]) -> int:
        """`restore`, or else write the state of a run that has yet to take its first step."""
        steps = self.restore(parts)
        if not steps:
            self.save(0, parts)
        return steps

    @property
    def is_due(self) -> bool:
        """Whether the last writing is `every_s` seconds ago."""
        return time.monotonic() - self._saved >= self.every_s

    def save_when_due(self, steps: int, parts: Mapping[str, Stateful]) -> None:
        """Write the state after `steps` steps if it is due."""
        if self.is_due:
            self.save(steps, parts)

    def save_patiently(self, steps: int, parts: Mapping[str, Stateful]) -> Iterator[Progress]:
        """Write the state; while the disk is full, wait for room, with the file before kept."""
        yield from write_patiently(lambda: self.save(steps, parts), self.path.parent)

    def save(self, steps: int, parts: Mapping[str, Stateful]) -> None:
        """Write the state after `steps` steps, atomically."""
        stored = io.BytesIO()
        states = {name: part.state_dict() for name, part in parts.items()}
        torch.save({"identity": self.identity, "steps": steps, "states": states, "notes": self.notes}, stored)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, stored.getvalue())
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file: the run is complete."""
        self.path.unlink(missing_ok=True)


def write_patiently(write: Callable[[], T], folder: Path) -> Generator[Progress, None, T]:
    """Do what writes to a folder; while the disk is full, wait for room, saying so, and do it again.

    Any other OSError is raised.
    """
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        yield Progress(stage=f"Paused: no room left in {folder}. Free some, and it goes on", done=0, total=1)
        time.sleep(WAIT_FOR_ROOM_S)


def locate_checkpoint(folder: Path, name: str) -> Path:
    """The checkpoint's file beside the model `name`.

    Raises CheckpointError for the name of a finished model, which training anew would overwrite.
    """
    path, weights = folder / f"{name}.checkpoint", folder / f"{name}.safetensors"
    if weights.exists() and not path.exists():
        raise CheckpointError(f"{weights}: found a finished model, expected a new name, or that model removed")
    return path


def fingerprint(settings: BaseModel, *tensors: Tensor) -> str:
    """SHA-256 of settings and data: what a checkpoint must share with the run that resumes from it."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for tensor in tensors:
        digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
