"""A fine-tuning without a window: whether one is at work, what it is left to do, how it ended, and giving one up.

Files and locks alone; knows neither Qt nor what a fine-tuning does.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from glrp_napari.held import is_held
from glrp_napari.messages import (
    MAX_LINE_BYTES,
    Cancelled,
    Failed,
    FinetuneDone,
    FinetuneRequest,
    decode_event,
    encode,
)
from glrp_napari.session import UNFINISHED, UNFINISHED_JOB, UNFINISHED_LOCK, UNFINISHED_OUTCOME
from glrp_napari.writing.atomic import write_atomically

START_S = 120.0
"""A process that has not taken the lock so long after it was started will not any more."""
UNBEGUN = "it was ended before it had begun. Your labels are safe; fine-tune again."

Outcome = FinetuneDone | Failed | Cancelled
_REQUEST = "request.json"


class OutcomeError(ValueError):
    """A file does not say how a fine-tuning ended; says which file, what was found and what was expected."""


class AtWorkError(ValueError):
    """An interrupted fine-tuning cannot be given up, because a process works on it."""


def is_at_work(models: Path) -> bool:
    """Whether a process fine-tunes into this folder: it holds the lock."""
    return is_held(models / UNFINISHED_LOCK)


def is_due(models: Path) -> bool:
    """Whether a process was started a moment ago that may have yet to take the lock."""
    try:
        return (models / UNFINISHED / _REQUEST).stat().st_mtime > time.time() - START_S
    except FileNotFoundError:
        return False


def take_outcome(models: Path) -> Outcome | None:
    """How a fine-tuning without a window ended, None where none has; its file goes, so that one window tells of it.

    What it left goes too, where it ended before it could be resumed; where it did so without a word, it failed. Raises
    OutcomeError for a file that says nothing of the kind, which goes as well.
    """
    path = models / UNFINISHED_OUTCOME
    try:
        with path.open("rb") as file:
            line, written_at = file.read(MAX_LINE_BYTES + 1), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return Failed(reason=UNBEGUN) if _sweep(models, time.time() - START_S) else None
    swept = _sweep(models, written_at)
    try:
        path.unlink()
    except FileNotFoundError:
        return None  # another window was faster
    outcome = _decode_outcome(path, line)
    return Failed(reason=UNBEGUN) if swept and isinstance(outcome, Cancelled) else outcome


def discard_unfinished(models: Path) -> None:
    """Remove an interrupted fine-tuning. Raises AtWorkError, with nothing removed, where a process works on it."""
    try:
        with FileLock(models / UNFINISHED_LOCK, thread_local=False).acquire(blocking=False):
            shutil.rmtree(models / UNFINISHED)
    except Timeout:
        raise AtWorkError(
            f"{models}: found a fine-tuning at work there, expected an interrupted one: wait until it is done"
        ) from None


def store_request(request: FinetuneRequest) -> Path:
    """Write a request where it outlives the window, and with it the study's file; returns the request's path."""
    folder = request.models / UNFINISHED
    folder.mkdir(parents=True, exist_ok=True)
    if request.study is not None and request.study.images.exists():
        images = folder / "study.npy"
        _link(request.study.images, images)
        request = request.model_copy(update={"study": request.study.model_copy(update={"images": images})})
    else:
        request = request.model_copy(update={"study": None})
    path = folder / _REQUEST
    write_atomically(path, encode(request))
    return path


def _decode_outcome(path: Path, line: bytes) -> Outcome:
    expected = "expected how the fine-tuning ended; its model, if it was made, is in the list"
    try:
        event = decode_event(line)
    except ValueError:
        raise OutcomeError(f"{path}: found {line[:40]!r}, {expected}") from None
    if not isinstance(event, Outcome):
        raise OutcomeError(f"{path}: found the message {event.kind}, {expected}")
    if isinstance(event, FinetuneDone) and event.model.stem not in {file.stem for file in path.parent.glob("*.json")}:
        raise OutcomeError(f"{path}: found a new model {event.model.stem}, expected one that is in this folder")
    return event


def _sweep(models: Path, before: float) -> bool:
    """Remove what a fine-tuning left that was requested before then and never came to be resumable; whether it did."""
    folder = models / UNFINISHED
    with suppress(OSError):  # there is none, or a process works here; what cannot be removed now is the next time
        if (folder / _REQUEST).stat().st_mtime > before:
            return False
        with FileLock(models / UNFINISHED_LOCK, thread_local=False).acquire(blocking=False):
            if (folder / UNFINISHED_JOB).exists():
                return False
            for left in (folder, models / f"{UNFINISHED}.labels"):
                shutil.rmtree(left, ignore_errors=True)
            return True
    return False


def _link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the disk has no such thing."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
