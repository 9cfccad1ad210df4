"""NIfTI bytes for an array on a cine's grid: the study's own header where it has one, else one from its geometry.

It must not know what the voxels mean, nor touch the disk.
"""

# Much of nibabel has no annotations.
# mypy: disable-error-code="no-untyped-call"

import io

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Geometry

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_SCANNER = 1  # NIfTI's code for scanner coordinates
_NO_EXTENSIONS = bytes(4)


def encode_nifti(voxels: NDArray[np.generic], cine: Cine) -> bytes:
    """A NIfTI file (not compressed) of `voxels` (T, Z, Y, X), real dtype, with the dimensions and place of `cine`.

    If the study came from a NIfTI file, its header is copied and only what describes the voxels' type, scaling,
    display range and free text is changed, so dim, pixdim, qform, sform and units stay bit for bit; extensions and
    text fields, which may name the patient, are left out. Raises `ValueError` for another shape than the cine's or
    for a type that NIfTI-1 has not. Format: https://nifti.nimh.nih.gov/nifti-1.
    """
    if voxels.shape != cine.images.shape:
        raise ValueError(f"found an array of shape {voxels.shape}, expected the cine's {cine.images.shape}")
    header = _copy_header(cine)
    if header is None:
        header = _build_header(cine)
    header.set_data_dtype(voxels.dtype)
    stream = io.BytesIO()
    stream.write(header.binaryblock + _NO_EXTENSIONS)
    stream.write(np.ascontiguousarray(voxels, header.get_data_dtype()).data)
    return stream.getvalue()


def affine_ras(geometry: Geometry) -> NDArray[np.float64]:
    """The 4 × 4 affine from voxel indices (x, y, z) to mm in RAS, NIfTI's coordinates."""
    affine = np.eye(4)
    columns = np.asarray(geometry.axes)[::-1] * np.asarray(geometry.spacing_mm)[::-1, None]
    affine[:3, :3] = columns.T * _LPS_TO_RAS[:, None]
    affine[:3, 3] = np.asarray(geometry.origin_mm) * _LPS_TO_RAS
    return affine


def _copy_header(cine: Cine) -> Nifti1Header | None:
    """The study's own header without what only its voxels need, or None where it has none that fits."""
    raw = cine.source.nifti_header
    kind = {348: Nifti1Header, 540: Nifti2Header}.get(_header_size(raw))
    if kind is None:
        return None
    header = kind(raw[: kind.template_dtype.itemsize], endianness=_endianness(raw), check=False)
    dims = tuple(int(n) for n in header["dim"][1 : int(header["dim"][0]) + 1])
    if (*dims, 1)[:4] != cine.images.shape[::-1]:
        return None  # a part of the study: its header speaks of the whole
    header["vox_offset"] = header.sizeof_hdr + len(_NO_EXTENSIONS)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_min"], header["cal_max"] = 0, 0
    for text in {"descrip", "aux_file", "db_name", "data_type"} & set(header.keys()):
        header[text] = b""
    return header


def _header_size(raw: bytes) -> int:
    return int.from_bytes(raw[:4], "big" if _endianness(raw) == ">" else "little")


def _endianness(raw: bytes) -> str:
    return ">" if raw[:2] == b"\0\0" else "<"


def _build_header(cine: Cine) -> Nifti1Header:
    frames, slices, rows, columns = cine.images.shape
    still = frames == 1 and len(cine.source.file_shape) != 4
    header = Nifti1Header(endianness="<")
    header.set_data_shape((columns, rows, slices) if still else (columns, rows, slices, frames))
    header.set_xyzt_units("mm", "msec")
    affine = affine_ras(cine.geometry)
    header.set_sform(affine, _SCANNER)
    header.set_qform(affine, _SCANNER)
    header["pixdim"][1:4] = cine.geometry.spacing_mm[::-1]
    header["pixdim"][4] = cine.interval_ms or 0
    header["toffset"] = cine.frame_ms[0] if cine.frame_ms else 0
    header["vox_offset"] = header.sizeof_hdr + len(_NO_EXTENSIONS)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["magic"] = b"n+1"
    return header
