"""What the labels of a mask file could mean: found in the file, compared with ours, and the orders that are common.

Numbers alone do not tell: 1 and 3 are the RV and LV of one data set and the LV and RV of the next. The heart does: the
LV lies in the myocardium's ring. Pure but for reading the file; draws nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.cine import Structure
from glrp_napari.reading import ReadError
from glrp_napari.reading.dicom_seg import is_dicom_seg
from glrp_napari.reading.formats import read_file

RV, MYO, LV = (int(structure) for structure in (Structure.RV, Structure.MYO, Structure.LV))
PRESETS: Mapping[str, Mapping[int, int]] = {
    "1 RV, 2 myocardium, 3 LV": {1: RV, 2: MYO, 3: LV},
    "1 LV, 2 myocardium, 3 RV": {1: LV, 2: MYO, 3: RV},
}
OURS, SWAPPED = PRESETS
MOST_LABELS = 20
"""A file with more is an image or another organ's atlas; nobody would map them one by one."""


@dataclass(frozen=True)
class FoundLabels:
    """A mask file's labels but 0, rising; which preset its shapes look like; and whether that leaves no doubt."""

    path: Path
    labels: tuple[int, ...]
    preset: str = OURS
    is_plain: bool = False

    @property
    def are_ours(self) -> bool:
        """Whether nobody needs to be asked: the labels are plainly RV, myocardium and LV in our order, or none."""
        return not self.labels or (self.is_plain and self.preset == OURS)


def find_labels(path: Path) -> FoundLabels:
    """Look into a mask file. Raises ReadError where it holds no labels: other than whole numbers, or too many."""
    if is_dicom_seg(path):  # its segments say what they are
        return FoundLabels(path, ())
    images = read_file(path).images
    values = np.unique(images)
    if not np.isfinite(values).all() or (values != np.floor(values)).any():
        raise ReadError(path, "labels that are not whole numbers", "whole numbers")
    labels = tuple(int(value) for value in values if value != 0)
    if len(labels) > MOST_LABELS:
        raise ReadError(path, f"{len(labels)} labels", f"a mask of at most {MOST_LABELS}")
    if not set(labels) <= {1, 2, 3} or MYO not in labels:
        return FoundLabels(path, labels)
    ours, swapped = (measure_enclosed(images, label, MYO) for label in (3, 1))
    return FoundLabels(path, labels, OURS if ours >= swapped else SWAPPED, abs(ours - swapped) > 0.5)


def measure_enclosed(images: NDArray[np.generic], label: int, ring: int) -> float:
    """The part 0…1 of `label`'s voxels (…, Y, X) that lie within a closed ring of `ring` in their slice."""
    inside = total = 0
    for plane in images.reshape(-1, *images.shape[-2:]):
        if (found := plane == label).any():
            inside += np.count_nonzero(found & ndimage.binary_fill_holes(plane == ring))
            total += np.count_nonzero(found)
    return inside / total if total else 0.0
