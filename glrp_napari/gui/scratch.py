"""A folder for the files a window hands to its jobs: it ends with the window, or is swept up after a crash.

A lock beside the folder is held as long as its process lives, and the system lets it go however that process ends. So
whoever gets the lock of another's folder knows it to be left over. Knows nothing of what lies in the folder.
"""

import secrets
import shutil
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

LOCK = ".lock"


class Scratch:
    """One process's folder within `parent`, made when it is first asked for. Raises OSError where that cannot be."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.folder = parent / secrets.token_hex(8)
        self._lock = FileLock(f"{self.folder}{LOCK}", thread_local=False)

    def claim(self) -> Path:
        """The folder, there and locked."""
        if not self._lock.is_locked:
            self.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        self.folder.mkdir(exist_ok=True)
        return self.folder

    def close(self) -> None:
        """Remove the folder and let the lock go."""
        if self._lock.is_locked:
            _remove(self.folder, self._lock)


def sweep_scratch(parent: Path) -> None:
    """Remove the folders in `parent` whose processes have ended."""
    for path in parent.glob(f"*{LOCK}"):
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:  # its process lives
            continue
        _remove(path.with_name(path.name.removesuffix(LOCK)), lock)


def save_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an .npy file that has its name only once it is whole, so that no job reads half of it."""
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        np.save(file, array)
    temporary.replace(path)


def _remove(folder: Path, lock: FileLock) -> None:
    """The folder first: while the lock's file is there, a next sweep can finish what this one could not."""
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    if not folder.exists():
        Path(lock.lock_file).unlink(missing_ok=True)
