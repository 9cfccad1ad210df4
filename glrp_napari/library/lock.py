"""One writer at a time: who holds a library, said in a file that anybody can read, and kept true by a lock.

The system lets the lock go however its process ends. So a holder's file without a lock is left over, from a crash or
from a machine whose locks do not reach here: it is taken over only after asking. Knows nothing of labels.
"""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from glrp_napari.library.record_text import LibraryError, parse_object
from glrp_napari.writing.atomic import write_atomically

LOCK, HOLDER = ".writer.lock", ".writer.json"


class Holder(BaseModel):
    """Who writes to a library: the machine's name, the process, and since when (ISO 8601)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    pid: int
    since: datetime

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since.astimezone():%d %B, %H:%M}"


class LibraryHeld(LibraryError):
    """Another writes to the library, or did and ended without letting go (`is_stale`): then it can be taken over."""

    def __init__(self, folder: Path, holder: Holder | None, is_stale: bool) -> None:
        who = f" ({holder})" if holder else ""
        ended = "has ended" if holder and holder.host == socket.gethostname() else "may have ended"
        found = f"was left locked by a window that {ended}" if is_stale else "is being written to by another window"
        super().__init__(f"The label library {folder} {found}{who}. Here it is open for reading only.")
        self.holder, self.is_stale = holder, is_stale


class Claim:
    """The right to write to one library, until `release`."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self._lock = lock

    def release(self) -> None:
        """Let others write."""
        if self._lock.is_locked:
            (self.folder / HOLDER).unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


def claim_library(folder: Path, take_over: bool = False) -> Claim:
    """Claim the right to write to a library, which is made if it is not there.

    Raises LibraryHeld where another has it; where that one seems to have ended, unless asked to `take_over`. Raises
    OSError for a folder that cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise LibraryHeld(folder, _load_holder(folder), is_stale=False) from None
    try:
        if (folder / HOLDER).exists() and not take_over:
            raise LibraryHeld(folder, _load_holder(folder), is_stale=True)
        holder = Holder(host=socket.gethostname(), pid=os.getpid(), since=datetime.now(UTC).replace(microsecond=0))
        write_atomically(folder / HOLDER, holder.model_dump_json().encode() + b"\n")
    except BaseException:
        lock.release()
        raise
    return Claim(folder, lock)


def _load_holder(folder: Path) -> Holder | None:
    """Who holds the library; None where the file is damaged, or gone meanwhile."""
    try:
        return Holder.model_validate(parse_object(folder / HOLDER))
    except (LibraryError, ValidationError, OSError):
        return None
