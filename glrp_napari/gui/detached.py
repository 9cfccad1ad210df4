"""A fine-tuning without a window: whether one is at work, what it is left to do, and the end of an interrupted one.

Files and locks alone; knows neither Qt nor what a fine-tuning does.
"""

import os
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from glrp_napari.held import is_held
from glrp_napari.messages import FinetuneRequest, encode
from glrp_napari.session import UNFINISHED, UNFINISHED_LOCK
from glrp_napari.writing.atomic import write_atomically


class AtWorkError(ValueError):
    """An interrupted fine-tuning cannot be given up, because a process works on it."""


def is_at_work(models: Path) -> bool:
    """Whether a process fine-tunes into this folder: it holds the lock."""
    return is_held(models / UNFINISHED_LOCK)


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
    path = folder / "request.json"
    write_atomically(path, encode(request))
    return path


def _link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the disk has no such thing."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
