"""Where a NIfTI file's voxels lie: pixdim, sform and qform held against each other, one choice made and said.

Spacing is always pixdim's: public cardiac sets carry unit-scale affines. Directions and origin are the sform's, else
the qform's. It must not know voxels. Format: https://nifti.nimh.nih.gov/nifti-1, methods 1 to 3.
"""

# Much of nibabel has no annotations.
# mypy: disable-error-code="no-untyped-call"

from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.quaternions import fillpositive, quat2mat
from numpy.typing import NDArray

from glrp_napari.cine import Geometry
from glrp_napari.reading.directions import angle_between, build_geometry, check_spacing
from glrp_napari.reading.errors import ReadError

_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
_SAME_DEGREES = 0.5
_SAME_MM = 0.5
Affine = NDArray[np.float64]


def read_geometry(path: Path, header: Nifti1Header) -> tuple[Geometry, tuple[str, ...]]:
    """Spacing, directions and origin of one frame, in array order and LPS, with warnings on what did not agree.

    Raises `ReadError` for a spacing of 0, NaN or infinity, and for a singular or sheared (> 0.5°) affine.
    """
    scale = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 0x07, 1.0)
    pixdim = [float(value) * scale for value in header["pixdim"][1:4]]
    spacing, warnings = check_spacing(path, pixdim)
    affine, doubts = _choose_affine(path, header, scale)
    if affine is None:
        return Geometry(spacing_mm=spacing[::-1]), (*warnings, *doubts)
    lps = affine[:3] * _RAS_TO_LPS[:, None]
    geometry, rounding = build_geometry(path, spacing, lps[:, :3], lps[:, 3].tolist())
    return geometry, (*warnings, *doubts, *_compare_scale(affine, spacing), *rounding)


def _choose_affine(path: Path, header: Nifti1Header, scale: float) -> tuple[Affine | None, tuple[str, ...]]:
    """The affine (RAS, mm) that counts, or None where the file gives none."""
    sform = _read_sform(header) if int(header["sform_code"]) > 0 else None
    qform = _read_qform(header) if int(header["qform_code"]) > 0 else None
    chosen = qform if sform is None else sform
    if chosen is None:
        return None, ("the file does not say how the slices lie in the patient; left and right are not known",)
    if not np.isfinite(chosen).all():
        raise ReadError(path, "an orientation with NaN or infinite numbers", "finite ones in sform and qform")
    chosen[:3] *= scale
    if sform is None or qform is None:
        return chosen, ()
    qform[:3] *= scale
    return chosen, _compare_forms(sform, qform)


def _read_sform(header: Nifti1Header) -> Affine:
    return np.array([header["srow_x"], header["srow_y"], header["srow_z"], [0, 0, 0, 1]], dtype=np.float64)


def _read_qform(header: Nifti1Header) -> Affine:
    """Method 2, with all numbers NaN where the quaternion is none."""
    affine = np.eye(4)
    quaternion = np.array([header[f"quatern_{axis}"] for axis in "bcd"], dtype=np.float64)
    try:
        affine[:3, :3] = quat2mat(fillpositive(quaternion, w2_thresh=-1e-4)) * np.abs(header["pixdim"][1:4])
    except ValueError:
        affine[:3, :3] = np.nan
    affine[:3, 2] *= -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    affine[:3, 3] = [header[f"qoffset_{axis}"] for axis in "xyz"]
    return affine


def _compare_forms(sform: Affine, qform: Affine) -> tuple[str, ...]:
    if not np.isfinite(qform).all():
        return ("the file's qform is broken; its sform was used",)
    turn = max(angle_between(s, q) for s, q in zip(sform[:3, :3].T, qform[:3, :3].T, strict=True))
    shift = float(np.linalg.norm(sform[:3, 3] - qform[:3, 3]))
    if turn <= _SAME_DEGREES and shift <= _SAME_MM:
        return ()
    return (f"the file's sform and qform differ by {turn:.1f}° and {shift:.1f} mm; the sform was used",)


def _compare_scale(affine: Affine, spacing: tuple[float, float, float]) -> tuple[str, ...]:
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    if np.allclose(norms, spacing, rtol=0.01):
        return ()
    found, used = (" × ".join(f"{value:.3g}" for value in values) for values in (norms, spacing))
    return (f"the file gives the voxel size twice: {found} mm in its affine, {used} mm in pixdim; pixdim was used",)
