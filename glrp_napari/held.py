"""Whether a process that took a lock still lives: the system lets a lock go however its process ends.

Knows nothing of what the locks are for.
"""

from pathlib import Path

from filelock import FileLock, Timeout


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of this file; no file is made. One that may not be opened is another user's."""
    if not path.exists():
        return False
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except (Timeout, PermissionError):
        return True
    lock.release()
    return False
