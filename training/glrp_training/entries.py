"""Entries of a cache: named arrays in a file that is whole or does not count, and the hash that tells inputs apart.

It must not know what the arrays mean.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from glrp_napari.cine import hash_study
from glrp_napari.reading import read_cine
from glrp_napari.writing.atomic import write_atomically

_CHECKSUM = "sha256"
_SMALL_FILE = 64 * 1024
Arrays = dict[str, NDArray[Any]]


def hash_content(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, or of those of every file in a folder, whatever their names.

    A file too small for a study may be a header whose voxels lie in another file: then these count too.
    """
    digest = hashlib.sha256()
    for part in sorted(hashlib.sha256(file.read_bytes()).digest() for file in _list_files(path)):
        digest.update(part)
    if path.is_file() and path.stat().st_size < _SMALL_FILE:
        digest.update(hash_study(read_cine(path)).encode())
    return digest.hexdigest()


def _list_files(path: Path) -> Iterator[Path]:
    yield from (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def save_entry(path: Path, arrays: Arrays) -> None:
    """Write an entry with its checksum, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    in_order = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # others safetensors scrambles
    write_atomically(path, save({**in_order, _CHECKSUM: _measure_checksum(in_order)}))


def load_entry(path: Path) -> Arrays | None:
    """An entry, None where there is none or where it is damaged: then it is made anew."""
    try:
        arrays = load(path.read_bytes())
    except (FileNotFoundError, SafetensorError):
        return None
    checksum = arrays.pop(_CHECKSUM, None)
    return arrays if checksum is not None and np.array_equal(checksum, _measure_checksum(arrays)) else None


def _measure_checksum(arrays: Arrays) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return np.frombuffer(digest.digest(), np.uint8)
