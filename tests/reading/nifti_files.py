"""NIfTI files for tests, whole and broken: each voxel holds its own (t, z, y, x)."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from numpy.typing import DTypeLike, NDArray

SHAPE = (3, 4, 6, 5)


def encode_places(shape: tuple[int, ...] = SHAPE, dtype: DTypeLike = np.int16) -> NDArray[Any]:
    """Voxels (T, Z, Y, X) worth 1000 t + 100 z + 10 y + x, so that a swap of any axes shows."""
    t, z, y, x = np.indices(shape)
    return (1000 * t + 100 * z + 10 * y + x).astype(dtype)


def build_nifti(voxels: NDArray[Any], fields: dict[str, Any] | None = None, endian: str = "<") -> bytes:
    """A NIfTI-1 file of voxels (T, Z, Y, X) or (Z, Y, X) with 1.5 × 1.5 × 8 mm and 40 ms, header fields replaced."""
    header = Nifti1Header(endianness=endian)
    header.set_data_shape(voxels.shape[::-1])
    header.set_data_dtype(voxels.dtype)
    header["pixdim"][1:5] = 1.5, 1.5, 8, 40
    header["xyzt_units"] = 2 | 16
    header["sform_code"] = 1
    header["srow_x"], header["srow_y"], header["srow_z"] = (-1.5, 0, 0, 10), (0, -1.5, 0, 20), (0, 0, 8, 30)
    header["magic"], header["vox_offset"], header["scl_slope"] = b"n+1", 352, 1
    for name, value in (fields or {}).items():
        header[name] = value
    return bytes(header.binaryblock) + bytes(4) + voxels.astype(voxels.dtype.newbyteorder(endian)).tobytes()


def patch(data: bytes, offset: int, layout: str, *values: object) -> bytes:
    """The bytes with a packed value written over those at `offset`."""
    packed = struct.pack(layout, *values)
    return data[:offset] + packed + data[offset + len(packed) :]


def save(folder: Path, data: bytes, name: str = "study.nii") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
