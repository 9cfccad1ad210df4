"""What grey values must be to be a study, whatever format they came in.

It must not know any format.
"""

from dataclasses import replace

import numpy as np

from glrp_napari.cine import Cine
from glrp_napari.reading.errors import ReadError

_WRAP_SHARE = 1e-4


def check_images(cine: Cine) -> Cine:
    """The cine with a warning on what looks wrong in its images; a few NaN become the minimum.

    Raises `ReadError` if all is NaN or anything infinite.
    """
    images, warnings = cine.images, list(cine.warnings)
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        images, filled = _fill_nan(cine)
        warnings.append(filled)
    low, high = images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))
    if low.min() == high.max():
        warnings.append(f"all voxels are {low.min():g}: there is nothing to see")
    elif flat := [str(frame + 1) for frame in np.flatnonzero(low == high)]:
        warnings.append(f"nothing to see in frame {', '.join(flat)}: all its voxels are the same")
    if _looks_wrapped(cine):
        warnings.append("bright voxels seem to have wrapped round to large negative values")
    return replace(cine, images=images, warnings=tuple(warnings))


def _fill_nan(cine: Cine) -> tuple[np.ndarray, str]:
    path = cine.source.path or cine.source.name
    count = int(np.isnan(cine.images).sum())
    if count == cine.images.size:
        raise ReadError(path, "NaN in every voxel", "grey values")
    if np.isinf(cine.images).any():
        raise ReadError(path, "infinite voxels", "finite grey values")
    lowest = np.nanmin(cine.images)
    return np.where(np.isnan(cine.images), lowest, cine.images), f"{count} voxels were NaN and became {lowest:g}"


def _looks_wrapped(cine: Cine) -> bool:
    """Whether int16 grey values hit both ends of their range, as unsigned ones read as signed do."""
    if cine.images.dtype != np.int16:
        return False
    ends = (cine.images.max() > 32000, np.count_nonzero(cine.images < -16000) > _WRAP_SHARE * cine.images.size)
    return all(ends)
