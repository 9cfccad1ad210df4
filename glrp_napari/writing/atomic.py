"""A file is replaced as a whole or stays as it was, whatever fails on the way.

It must not know what the bytes mean.
"""

import contextlib
import errno
import os
import secrets
import time
from pathlib import Path

_RENAME_TRIES = 6
_FIRST_WAIT_S = 0.02


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that at any moment the old file or the new one is there, never a torn one.

    The bytes go to a temporary name in the same folder, are fsynced, renamed over `path`, and on POSIX the folder is
    fsynced too. Raises `OSError` if any step fails; then `path` is as it was and nothing else is left behind.
    """
    path = Path(path)
    # A short name of its own: the target's may already be as long as the file system allows.
    temporary = path.parent / f".glrp-{secrets.token_hex(8)}.tmp"
    try:
        _write_through(temporary, data)
        _rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write_through(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _rename(source: Path, target: Path) -> None:
    """Rename over the target, again for about a second where a virus scanner or a viewer holds it (Windows)."""
    for attempt in range(_RENAME_TRIES - 1):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(_FIRST_WAIT_S * 2**attempt)
    os.replace(source, target)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut; Windows offers no such call."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder; the file itself is safe.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
