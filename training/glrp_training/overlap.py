"""Two binary masks compared: Dice and the distances of their surfaces (method §7). It knows arrays and nothing else."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def measure_dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float | None:
    """Dice of two binary masks; None when both are empty."""
    total = int(a.sum()) + int(b.sum())
    return None if total == 0 else 2 * int((a & b).sum()) / total


def measure_distances(
    a: NDArray[np.bool_], b: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> tuple[float | None, float | None, float | None]:
    """Hausdorff distance, HD95 (the larger directed 95th percentile) and ASSD in mm; None if a mask is empty.

    Masks are volumes, or single slices with the spacing of two axes. A surface is the mask minus its erosion by face
    neighbours; voxels at the border count as surface.
    """
    if not a.any() or not b.any():
        return None, None, None
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = np.pad(a[box], 1), np.pad(b[box], 1)
    surface_a, surface_b = a & ~ndimage.binary_erosion(a), b & ~ndimage.binary_erosion(b)
    to_b = ndimage.distance_transform_edt(~surface_b, sampling=spacing_mm)[surface_a]
    to_a = ndimage.distance_transform_edt(~surface_a, sampling=spacing_mm)[surface_b]
    hd95 = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
    assd = (to_b.sum() + to_a.sum()) / (len(to_b) + len(to_a))
    return float(max(to_b.max(), to_a.max())), float(hd95), float(assd)
