"""Bytes of a file, plain or gzip, read with a cap: nothing is allocated because a stranger's header asks for it.

It must not know what the bytes mean.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from glrp_napari.reading.errors import ReadError

MAX_BYTES = 16 * 2**30
"""No study is larger: 60 slices × 100 frames × 512² float32 voxels are 6 GiB."""
_DEFLATE_RATIO = 1032
"""Deflate cannot pack tighter (zlib, "Technical Details"), so a smaller file cannot hold what its header declares."""
_SLACK = 64 * 1024
_CHUNK = 4 * 2**20


def is_gzip(path: Path) -> bool:
    """Whether the file's contents (not its name) are gzip, RFC 1952."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def read_start(path: Path, size: int) -> bytes:
    """The first `size` bytes after decompression, fewer where the file ends before.

    Raises `ReadError` if a gzip stream is broken within them.
    """
    with _open(path) as file:
        return file.read(size)


def read_exactly(path: Path, size: int) -> NDArray[np.uint8]:
    """The first `size` bytes after decompression, the rest of the stream being checked for length and CRC.

    Raises `ReadError` if the file cannot hold that many, holds fewer, holds far more (a bomb) or is damaged.
    """
    stored = path.stat().st_size
    _check_size(path, size, stored * _DEFLATE_RATIO if is_gzip(path) else stored)
    data = np.empty(size, np.uint8)
    view, done = data.data, 0
    with _open(path) as file:
        while done < size and (count := file.readinto(view[done : done + _CHUNK])):  # type: ignore[attr-defined]
            done += count
        if done < size:
            raise ReadError(path, f"{done} bytes", f"{size} bytes as its header declares: the file is cut off")
        if is_gzip(path) and len(file.read(_SLACK + 1)) > _SLACK:
            raise ReadError(path, f"more than {size + _SLACK} bytes", f"{size} bytes as its header declares")
    return data


def read_tail(path: Path, offset: int | None, size: int, packed: bool) -> NDArray[np.uint8]:
    """`size` bytes from `offset` on, or the last ones where it is None; `packed` ones are a zlib or gzip stream.

    Raises `ReadError` as `read_exactly` does.
    """
    stored = path.stat().st_size
    start = max(stored - size, 0) if offset is None else offset
    available = max(stored - start, 0)
    _check_size(path, size, available * _DEFLATE_RATIO if packed else available)
    with path.open("rb") as file:
        file.seek(start)
        data = _inflate(path, file, size) if packed else np.frombuffer(bytearray(file.read(size)), np.uint8)
    if data.size != size:
        raise ReadError(path, f"{data.size} bytes of voxels", f"{size} as its header declares")
    return data


def _inflate(path: Path, file: IO[bytes], size: int) -> NDArray[np.uint8]:
    """The bytes of a zlib or gzip stream, at most one more than `size`. Raises `ReadError` if it is damaged."""
    stream, data = zlib.decompressobj(wbits=47), bytearray()
    try:
        while len(data) <= size and not stream.eof and (chunk := stream.unconsumed_tail or file.read(_CHUNK)):
            data += stream.decompress(chunk, size + 1 - len(data) or 1)
    except zlib.error as error:
        raise ReadError(path, f"a damaged compressed stream ({error})", "one whose checksum is right") from error
    if len(data) >= size and not stream.eof:
        raise ReadError(path, "more voxels than that, or no end of the stream", f"{size} bytes as declared")
    return np.frombuffer(data, np.uint8)


def _check_size(path: Path, size: int, largest: int) -> None:
    """Refuse, before anything is allocated, what memory or the file cannot hold."""
    limit = min(MAX_BYTES, _physical_memory())
    if size > limit:
        raise ReadError(path, f"a header that declares {size} bytes", f"at most {limit}")
    if size > largest:
        stored = path.stat().st_size
        raise ReadError(path, f"a file of {stored} bytes", f"{size} bytes as its header declares: the file is cut off")


def _physical_memory() -> int:
    """Bytes of memory in this machine, or `MAX_BYTES` where the system does not say (Windows)."""
    if not hasattr(os, "sysconf"):
        return MAX_BYTES
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except EOFError as error:
        raise ReadError(path, "a gzip stream that is cut off", "a complete one") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ReadError(path, f"a damaged gzip stream ({error})", "one whose checksum is right") from error
