"""From a cine's native grid to the network's and back (method §2). The only module that knows both grids.

The network sees square slices of fixed pixel size, cut around a centre, z-scored over the 3-D frame (eq. 9) and
zero outside the image.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor

from glrp_napari.models import Preprocessing

N4_SHRINK = 4


@dataclass(frozen=True)
class Grid:
    """A square grid laid over native slices.

    `shape` is the native (Y, X), `native_mm` its pixel size, `size` and `spacing_mm` describe the square,
    `centre_mm` is the square's centre relative to the image's, along (y, x).
    """

    shape: tuple[int, int]
    native_mm: tuple[float, float]
    size: int
    spacing_mm: float
    centre_mm: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def _forth(self) -> tuple[Tensor, Tensor]:
        y, x = (
            _resample_matrix(n, mm, self.size, self.spacing_mm, centre)
            for n, mm, centre in zip(self.shape, self.native_mm, self.centre_mm, strict=True)
        )
        return y, x

    @cached_property
    def _back(self) -> tuple[Tensor, Tensor]:
        y, x = (
            _resample_matrix(self.size, self.spacing_mm, n, mm, -centre)
            for n, mm, centre in zip(self.shape, self.native_mm, self.centre_mm, strict=True)
        )
        return y, x


def to_grid(images: Tensor, grid: Grid) -> Tensor:
    """(..., Y, X) on the native grid to (..., size, size); zero outside the image."""
    y, x = (matrix.to(images) for matrix in grid._forth)
    return y @ images @ x.T


def from_grid(probabilities: Tensor, grid: Grid) -> Tensor:
    """Class probabilities (..., C, size, size) to (..., C, Y, X); outside the square all is background."""
    y, x = (matrix.to(probabilities) for matrix in grid._back)
    native = y @ probabilities @ x.T
    native[..., 0, :, :] += 1 - native.sum(-3)
    return native.clamp_(0, 1)


def labels_to_grid(labels: Tensor, grid: Grid, classes: int) -> Tensor:
    """Labels (..., Y, X) to (..., size, size): one-hot, resampled linearly, argmax; uint8."""
    one_hot = torch.nn.functional.one_hot(labels.long(), classes).movedim(-1, -3).float()
    scores = to_grid(one_hot, grid)
    scores[..., 0, :, :] += 1 - scores.sum(-3)
    return scores.max(-3).indices.to(torch.uint8)  # argmax takes nine times as long


def normalise_frame(frame: NDArray[Any]) -> NDArray[np.float32]:
    """A 3-D frame (Z, Y, X) z-scored over all its voxels (paper eq. 9); a constant frame becomes zero."""
    values = frame.astype(np.float32)
    return normalise(values, float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)))


def normalise(values: NDArray[np.float32], mean: float, std: float) -> NDArray[np.float32]:
    """z-score with the given moments (eq. 9); a standard deviation of zero counts as one."""
    return (values - np.float32(mean)) / np.float32(std or 1.0)


def make_grid(shape: tuple[int, int], native_mm: tuple[float, float], settings: Preprocessing) -> Grid:
    """The settings' square over the middle of slices of the given shape and pixel size (y, x)."""
    return Grid(shape, native_mm, settings.size, settings.spacing_mm)


def estimate_bias_field(frame: NDArray[Any], spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """The multiplicative bias field (Z, Y, X) of a 3-D frame by N4 (Tustison 2010), as the paper corrects it.

    N4 runs at a quarter of the in-plane resolution, its log field is applied at full resolution (method §2). Of a
    cine, pass the temporal mean. Divide the images by the result.
    """
    image = sitk.GetImageFromArray(frame.astype(np.float32))
    image.SetSpacing(tuple(reversed(spacing_mm)))
    shrink = [min(N4_SHRINK, max(1, n // 16)) for n in reversed(frame.shape[1:])] + [1]
    small = sitk.Shrink(image, shrink)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.Execute(small, sitk.OtsuThreshold(small, 0, 1, 200))
    log_field: NDArray[np.float32] = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
    return np.exp(log_field)


def _resample_matrix(source: int, source_mm: float, target: int, target_mm: float, centre_mm: float) -> Tensor:
    """(target, source) weights of linear interpolation, widened to the coarser of both grids so as not to alias.

    The middle of the target lies `centre_mm` from the middle of the source. Rows outside the source are zero.
    """
    reach_mm = max(source_mm, target_mm)
    beyond = int(np.ceil(reach_mm / source_mm))  # source pixels that are not there: they count, as zeros
    where_mm = (np.arange(target) - (target - 1) / 2) * target_mm + centre_mm
    have_mm = (np.arange(-beyond, source + beyond) - (source - 1) / 2) * source_mm
    weights = np.clip(1 - np.abs(where_mm[:, None] - have_mm[None]) / reach_mm, 0, None)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-6)
    return torch.from_numpy(weights[:, beyond:-beyond].astype(np.float32))
