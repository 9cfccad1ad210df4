"""NIfTI-1 and -2 through our own checks: header and bytes are held against each other before a voxel is believed.

It must not know other formats. Format: https://nifti.nimh.nih.gov/nifti-1 and nifti-2.
"""

# Much of nibabel has no annotations.
# mypy: disable-error-code="no-untyped-call"

import math
from pathlib import Path
from typing import cast

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti1 import data_type_codes as type_codes
from nibabel.nifti2 import Nifti2Header
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Source
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.frame_times import times_from_interval
from glrp_napari.reading.names import study_name
from glrp_napari.reading.nifti_geometry import read_geometry
from glrp_napari.reading.packed import read_exactly, read_start

_HEADERS = {348: (Nifti1Header, b"n+1\0", 344), 540: (Nifti2Header, b"n+2\0\r\n\x1a\n", 4)}
_REAL_TYPES = (2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280)
_MOST_EXTENSION_BYTES = 64 * 2**20
_MS_PER_UNIT = {8: 1000.0, 16: 1.0, 24: 0.001}
_FEW_VOXELS = 64


def header_size(start: bytes) -> int | None:
    """348 or 540 if the bytes begin like a NIfTI-1 or -2 header of either endianness, else None."""
    sizes = {int.from_bytes(start[:4], order) for order in ("little", "big")}
    return next((size for size in _HEADERS if len(start) >= 4 and size in sizes), None)


def read_nifti(path: Path) -> Cine:
    """Read a 3-D or 4-D file, plain or gzip: integer voxels as stored, scaled or wide ones as float32.

    Raises `ReadError` where header and bytes do not agree or the voxels are no grey image in space.
    """
    header = _read_header(path)
    shape = _check_shape(path, header)
    dtype = _check_type(path, header)
    offset = _check_offset(path, header)
    data = read_exactly(path, offset + math.prod(shape) * dtype.itemsize)
    images, scale_warnings = _scale(data[offset:].view(dtype), header)
    frames = math.prod(shape[:-3])
    geometry, place_warnings = read_geometry(path, header)
    unit = _MS_PER_UNIT.get(int(header["xyzt_units"]) & 0x38)
    frame_ms, time_warnings = times_from_interval(float(header["pixdim"][4]), unit, frames, float(header["toffset"]))
    return Cine(
        images=images.reshape(frames, *shape[-3:]),
        geometry=geometry,
        source=Source(study_name(path), path, "NIfTI", shape, data[:offset].tobytes()),
        frame_ms=frame_ms,
        warnings=(*_doubt_order(shape), *scale_warnings, *place_warnings, *time_warnings),
    )


def _read_header(path: Path) -> Nifti1Header:
    start = read_start(path, 540)
    size = header_size(start)
    if size is None:
        raise ReadError(path, "no NIfTI header", "a NIfTI-1 or NIfTI-2 file")
    if len(start) < size:
        raise ReadError(path, f"a header cut after {len(start)} bytes", f"{size} bytes")
    kind, magic, place = _HEADERS[size]
    found = start[place : place + len(magic)]
    if found != magic:
        raise ReadError(path, f"the magic {found!r}", f"{magic!r}, a NIfTI file that holds its voxels itself")
    little = int.from_bytes(start[:4], "little") == size
    return kind(start[:size], endianness="<" if little else ">", check=False)


def _check_shape(path: Path, header: Nifti1Header) -> tuple[int, ...]:
    """The shape as stored, slowest axis first, e.g. (T, Z, Y, X)."""
    rank = int(header["dim"][0])
    if not 3 <= rank <= 7:
        raise ReadError(path, f"{rank} dimensions", "3 (x, y, z) or 4 (x, y, z, t)")
    dims = tuple(int(n) for n in header["dim"][1 : rank + 1])
    if min(dims) < 1:
        raise ReadError(path, f"the dimensions {dims}", "none below 1")
    if max(dims[4:], default=1) > 1:
        raise ReadError(path, f"the dimensions {dims}, several values a voxel", "one grey value a voxel (x, y, z, t)")
    return dims[::-1]


def _check_type(path: Path, header: Nifti1Header) -> np.dtype[np.generic]:
    code = int(header["datatype"])
    if code not in _REAL_TYPES:
        known = type_codes.label[code] if code in type_codes.value_set() else "unknown"
        raise ReadError(path, f"the datatype {code} ({known})", "integer or real voxels, one value each")
    return np.dtype(cast("np.dtype[np.generic]", type_codes.dtype[code])).newbyteorder(header.endianness)


def _check_offset(path: Path, header: Nifti1Header) -> int:
    """Where the voxels begin; 0 is read as right after the header, as others do."""
    offset, least = float(header["vox_offset"]), header.sizeof_hdr + 4
    if not (offset == 0 or (least <= offset <= _MOST_EXTENSION_BYTES)):
        raise ReadError(path, f"voxels from byte {offset:g} on", f"{least} to {_MOST_EXTENSION_BYTES}")
    return int(offset) or least


def _scale(voxels: NDArray[np.generic], header: Nifti1Header) -> tuple[NDArray[np.generic], tuple[str, ...]]:
    """Grey values in native byte order: integers as stored where there is nothing to scale, else float32."""
    native = np.require(voxels.astype(voxels.dtype.newbyteorder("="), copy=False), requirements="A")
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    warnings: tuple[str, ...] = ()
    if not (math.isfinite(slope) and math.isfinite(inter)):
        warnings = (f"the file's scaling (slope {slope:g}, intercept {inter:g}) is no number and was left out",)
        slope, inter = 1.0, 0.0
    if slope == 0 or (slope, inter) == (1.0, 0.0):
        keep = native.dtype.kind in "iu" or native.dtype == np.float32
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is refused as such
            return (native if keep else native.astype(np.float32)), warnings
    with np.errstate(over="ignore", invalid="ignore"):
        return (native.astype(np.float64) * slope + inter).astype(np.float32), warnings


def _doubt_order(shape: tuple[int, ...]) -> tuple[str, ...]:
    """A warning where the fastest axes look like time or slices: stored time first, by another tool."""
    slices, rows, columns = shape[-3:]
    if slices >= 2 * _FEW_VOXELS and min(rows, columns) < _FEW_VOXELS:
        return (f"slices of {columns} × {rows} voxels, {slices} of them: are time or slices stored first?",)
    return ()
