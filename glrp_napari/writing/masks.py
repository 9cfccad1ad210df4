"""Masks and images as NIfTI files that lie exactly on their cine's grid.

It must not know how the voxels came to be.
"""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.writing.atomic import write_atomically
from glrp_napari.writing.nifti import encode_nifti

_GZIP_LEVEL = 4


def write_mask(path: Path, mask: Mask, cine: Cine) -> None:
    """Write a mask, (T, Z, Y, X) or (Z, Y, X) of a one-frame cine, as uint8 NIfTI (.nii.gz or .nii) in one piece.

    Its dimensions and geometry are the study's (see `encode_nifti`); the same mask gives the same bytes. Raises
    `ValueError` for another shape than the cine's or a label that is no `Structure`, `OSError` if writing fails.
    """
    labels = np.asarray(mask)
    if labels.dtype.kind not in "biu" or (labels.size and (labels.min() < 0 or labels.max() > max(Structure))):
        raise ValueError(f"{path.name}: found labels {labels.dtype} {labels.min()}-{labels.max()}, expected 0-3")
    write_images(path, labels.astype(np.uint8), cine)


def write_images(path: Path, images: NDArray[np.generic], cine: Cine) -> None:
    """Write images, (T, Z, Y, X) or (Z, Y, X) of a one-frame cine, any real type, as NIfTI on the cine's grid.

    Raises `ValueError` for another shape than the cine's, `OSError` if writing fails.
    """
    frames = images[None] if images.ndim == 3 else images
    data = encode_nifti(frames, cine)
    # mtime 0: the same voxels give the same file.
    packed = gzip.compress(data, _GZIP_LEVEL, mtime=0) if path.suffix.lower() == ".gz" else data
    write_atomically(path, packed)
