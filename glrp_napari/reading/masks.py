"""Masks from files, taken only where they lie on their cine's grid and hold its structures.

It must not know formats: a mask is read like a study, but for DICOM SEG, which is read by its references.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Geometry, Mask, Structure
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.formats import read_file

_SAME_PLACE = 0.1
"""Corners of the same grid lie within a tenth of a voxel: headers store float32 and rounded numbers."""


def read_mask(path: Path, cine: Cine, label_map: Mapping[int, int] | None = None, frame: int | None = None) -> Mask:
    """Read a mask onto the cine's grid: uint8 (T, Z, Y, X), 0 where the file has nothing.

    `label_map` gives for each label of the file that of a `Structure`, or 0. A 3-D mask of a cine with several frames
    needs the `frame` (from 0) it belongs to. Raises `ReadError` for another grid (both are shown), for labels that are
    not whole, negative or unknown, `ValueError` for a map to labels that are no structure. DICOM SEG (a file, or a
    folder of them) says itself what its segments and frames are, and needs neither.
    """
    if label_map is not None and not set(label_map.values()) <= {0, *Structure}:
        raise ValueError(f"found a map to the labels {sorted(set(label_map.values()))}, expected 0-{max(Structure)}")
    path = Path(path)
    if (labels := _read_seg(path, cine)) is not None:
        return labels
    found = read_file(path)
    _check_grid(path, found, cine, frame)
    labels = _map_labels(path, found.images, label_map)
    if frame is None:
        return labels
    mask = np.zeros(cine.images.shape, np.uint8)
    mask[frame] = labels[0]
    return mask


def parse_label_map(text: str) -> dict[int, int] | None:
    """The map that a person writes as `1=LV,2=MYO,3=RV`; None for an empty text. Raises `ValueError` for another."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part]
        return {int(label): Structure[name.strip().upper()].value for label, name in pairs} or None
    except (ValueError, KeyError):
        raise ValueError(f"found {text!r}, expected the labels' meaning: 1=LV,2=MYO,3=RV") from None


def _read_seg(path: Path, cine: Cine) -> Mask | None:
    """The mask of a DICOM SEG, None of another file."""
    from glrp_napari.reading.dicom_seg import is_dicom_seg, read_dicom_seg  # pydicom takes its time to load

    return read_dicom_seg(path, cine) if is_dicom_seg(path) else None


def _check_grid(path: Path, found: Cine, cine: Cine, frame: int | None) -> None:
    frames = len(cine.images)
    if frame is not None and not 0 <= frame < frames:
        raise ReadError(path, f"frame {frame} asked for", f"0 to {frames - 1}")
    if len(found.images) == 1 and frames > 1 and frame is None:
        raise ReadError(path, "a mask of one frame", f"one of all {frames} frames, or the frame it belongs to")
    wanted = (1 if frame is not None else frames, *cine.images.shape[1:])
    if found.images.shape != wanted or not _same_place(found, cine):
        raise ReadError(path, f"the grid {_show_grid(found, wanted)}", f"that of the study {_show_grid(cine, wanted)}")


def _same_place(found: Cine, cine: Cine) -> bool:
    shape = cine.images.shape[1:]
    apart = np.linalg.norm(_corners(found.geometry, shape) - _corners(cine.geometry, shape), axis=1)
    return bool(apart.max() <= _SAME_PLACE * min(cine.geometry.spacing_mm))


def _corners(geometry: Geometry, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The eight corner voxels' centres in mm, (8, 3)."""
    indices = np.array(list(product(*((0, size - 1) for size in shape))))
    steps = np.asarray(geometry.axes) * np.asarray(geometry.spacing_mm)[:, None]
    corners: NDArray[np.float64] = np.asarray(geometry.origin_mm) + indices @ steps
    return corners


def _show_grid(cine: Cine, wanted: tuple[int, ...]) -> str:
    """Size and place of a grid in the order x, y, z a person reads."""
    frames, *size = cine.images.shape
    shown = " × ".join(str(count) for count in reversed(size))
    if max(frames, wanted[0]) > 1:
        shown += f" × {frames} frames"
    geometry = cine.geometry
    spacing = " × ".join(f"{value:.3g}" for value in reversed(geometry.spacing_mm))
    origin = ", ".join(f"{value:.2f}" for value in geometry.origin_mm)
    axes = " ".join("({:.3f} {:.3f} {:.3f})".format(*axis) for axis in reversed(geometry.axes))
    return f"{shown}, {spacing} mm, from ({origin}) along {axes}"


def _map_labels(path: Path, images: NDArray[np.generic], label_map: Mapping[int, int] | None) -> Mask:
    values = np.unique(images)
    if not np.isfinite(values).all() or (values != np.floor(values)).any():
        raise ReadError(path, "labels that are not whole numbers", "whole numbers")
    labels = [int(value) for value in values]
    if labels[0] < 0:
        raise ReadError(path, f"the label {labels[0]}", "none below 0")
    known = {0: 0} | ({int(s): int(s) for s in Structure} if label_map is None else dict(label_map))
    if unknown := [label for label in labels if label not in known]:
        names = ", ".join(f"{int(s)} {s.name}" for s in Structure)
        wanted = f"0, {names}" if label_map is None else f"those of the map, {sorted(known)}"
        raise ReadError(path, f"the labels {unknown}", f"{wanted}; map them to use this mask")
    table = np.array([known[label] for label in labels], np.uint8)
    return table[np.searchsorted(values, images)]
