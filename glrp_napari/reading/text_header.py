"""The voxels behind a text header: NRRD and MetaImage declare the same few things in other words.

It must not know either's syntax. The bytes are counted before they are believed.
"""

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Source
from glrp_napari.reading.directions import build_geometry, check_spacing
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.frame_times import times_from_interval
from glrp_napari.reading.names import study_name
from glrp_napari.reading.packed import read_tail

HEADER_BYTES = 2**20
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Declared:
    """What a header says: sizes, spacing and directions in file order (x, y, z, then t), mm and LPS.

    `directions` has the unit or scaled axis vectors as columns. `data` is the file with the voxels, which begin at
    `offset`; None means that they are its last bytes. `interval` is the frame interval in a unit the file keeps open.
    """

    format: str
    sizes: tuple[int, ...]
    dtype: np.dtype[np.generic]
    spacing: tuple[float, ...]
    directions: NDArray[np.float64]
    origin: tuple[float, ...]
    data: Path
    offset: int | None
    packed: bool
    interval: float = 0.0


def read_declared(path: Path, declared: Declared) -> Cine:
    """The cine that a header declares. Raises `ReadError` where the bytes are not those or space is none."""
    sizes = declared.sizes
    if len(sizes) not in (3, 4) or min(sizes) < 1:
        raise ReadError(path, f"the sizes {sizes}", "3 (x, y, z) or 4 (x, y, z, t), none below 1")
    spacing, odd = check_spacing(path, declared.spacing)
    geometry, rounded = build_geometry(path, spacing, declared.directions, declared.origin)
    data = read_tail(declared.data, declared.offset, math.prod(sizes) * declared.dtype.itemsize, declared.packed)
    voxels = data.view(declared.dtype)
    frames = sizes[3] if len(sizes) == 4 else 1
    frame_ms, unsure = times_from_interval(declared.interval, None, frames)
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is refused as such
        wide = declared.dtype.kind == "f" and declared.dtype.itemsize > 4
        native = voxels.astype(np.float32 if wide else declared.dtype.newbyteorder("="), copy=False)
    return Cine(
        images=native.reshape(frames, *sizes[2::-1]),
        geometry=geometry,
        source=Source(study_name(path), path, declared.format, sizes[::-1]),
        frame_ms=frame_ms,
        warnings=(*odd, *rounded, *unsure),
    )


def find_data_file(path: Path, name: str) -> Path:
    """The detached voxels' file. Raises `ReadError` for one outside the header's folder, several, or none there."""
    if not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise ReadError(path, "a broken name for the file with the voxels", f"at most {_LONGEST_NAME} bytes of text")
    inside = not PureWindowsPath(name).anchor and not PurePosixPath(name).anchor and ".." not in Path(name).parts
    data = path.parent / name
    if not inside or not data.resolve().is_relative_to(path.parent.resolve()):
        raise ReadError(path, f"voxels in another folder ({PureWindowsPath(name).name})", "them beside the header")
    if name.split()[0].upper() == "LIST" or "%" in name:
        raise ReadError(path, "voxels spread over several files", "one file")
    if not data.is_file():
        raise ReadError(path, f"no file {data.name} beside it", "the file with the voxels that its header names")
    return data


def parse_numbers(path: Path, text: str, what: str) -> tuple[float, ...]:
    """The numbers in `text`. Raises `ReadError` for anything else."""
    try:
        return tuple(float(word) for word in text.split())
    except ValueError as error:
        raise ReadError(path, f"{what} {text!r}", "numbers") from error


def parse_counts(path: Path, text: str, what: str) -> tuple[int, ...]:
    """The whole numbers in `text`. Raises `ReadError` for anything else."""
    try:
        return tuple(int(word) for word in text.split())
    except ValueError as error:
        raise ReadError(path, f"{what} {text!r}", "whole numbers") from error
