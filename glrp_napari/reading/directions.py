"""Spacing and directions that every format must pass: finite, positive, and square to each other but for rounding.

It must not know any format.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Geometry
from glrp_napari.reading.errors import ReadError

MOST_SHEAR_DEGREES = 0.5
_SILENT_SHEAR_DEGREES = 0.002
_SINGULAR = 1e-6
_USUAL_MM = (0.1, 50.0)


def check_spacing(path: Path, spacing: Sequence[float]) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Three spacings in mm, made positive, in the order given, with warnings on odd ones.

    Raises `ReadError` for 0, NaN or infinity.
    """
    shown = " × ".join(f"{value:g}" for value in spacing)
    if not np.isfinite(spacing).all() or 0 in spacing:
        raise ReadError(path, f"a voxel size of {shown} mm", "three finite numbers above 0")
    warnings = []
    if min(spacing) < 0:
        warnings.append(f"the voxel size {shown} mm is negative in the file; its absolute value was used")
    x, y, z = (abs(float(value)) for value in spacing)
    if min(x, y, z) < _USUAL_MM[0] or max(x, y, z) > _USUAL_MM[1]:
        warnings.append(f"a voxel size of {shown} mm is unusual for a heart: volumes may be wrong")
    return (x, y, z), tuple(warnings)


def build_geometry(
    path: Path, spacing: tuple[float, float, float], directions: NDArray[np.float64], origin: Sequence[float]
) -> tuple[Geometry, tuple[str, ...]]:
    """A geometry from spacing (x, y, z) in mm, axis vectors of any length as columns and an origin, both in LPS.

    Raises `ReadError` as `nearest_rotation` does, and for an origin that is not finite.
    """
    if not np.isfinite(origin).all():
        raise ReadError(path, f"the origin {tuple(origin)}", "three finite numbers")
    rotation, warnings = nearest_rotation(path, directions)
    x, y, z = ((float(a), float(b), float(c)) for a, b, c in rotation.T + 0.0)
    left, back, up = (float(value) + 0.0 for value in origin)
    return Geometry(spacing_mm=spacing[::-1], axes=(z, y, x), origin_mm=(left, back, up)), warnings


def nearest_rotation(path: Path, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The orthonormal matrix nearest to the columns of `matrix` (polar decomposition), flips kept, with a warning.

    Raises `ReadError` if the columns are dependent or further than 0.5° from square to each other.
    """
    norms = np.linalg.norm(matrix, axis=0)
    if not np.isfinite(matrix).all() or norms.min() < _SINGULAR:
        raise ReadError(path, f"a singular orientation {matrix.round(4).tolist()}", "three independent directions")
    columns = matrix / norms
    left, singular, right = np.linalg.svd(columns)
    if singular.min() < 1e-3:
        raise ReadError(path, f"a singular orientation {matrix.round(4).tolist()}", "three independent directions")
    shear = max(abs(90.0 - angle_between(columns[:, i], columns[:, j])) for i, j in ((0, 1), (0, 2), (1, 2)))
    if shear > MOST_SHEAR_DEGREES:
        raise ReadError(path, f"axes {shear:.2f}° from square", f"at most {MOST_SHEAR_DEGREES}°")
    warning = f"the file's axes are {shear:.3f}° from square; the nearest square ones are used"
    rotation = left @ right
    return np.where(np.abs(rotation) < 1e-15, 0.0, rotation), (warning,) if shear > _SILENT_SHEAR_DEGREES else ()


def angle_between(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Angle between two vectors in degrees, precise for small ones too."""
    cross = np.linalg.norm(np.cross(first, second))
    return float(np.degrees(np.arctan2(cross, np.dot(first, second))))
