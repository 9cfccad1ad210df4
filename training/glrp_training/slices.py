"""Training slices: studies and labels as tensors on a grid with a margin, from which augmentation cuts.

The margin lets rotations and shifts bring in real image instead of padding. It must not know what is kept on disk:
see `cache` for that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from glrp_napari.cine import Mask
from glrp_napari.library import Label, State, load_before, load_slice
from glrp_napari.models import Preprocessing
from glrp_napari.phantom import make_phantom
from glrp_napari.preprocess import (
    Grid,
    estimate_bias_field,
    labels_to_grid,
    normalise,
    normalise_frame,
    to_grid,
)
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_training.dataset import Item

CLASSES = 4
MARGIN = 64
ACCEPTED_WEIGHT, CHANGED_WEIGHT = 0.3, 3.0
"""How much a pixel counts that a person looked at and left, and one that a person changed; others of a corrected
slice count 1. Ours."""
Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Slices:
    """N labelled slices: `images` (N, S, S) float16, z-scored, and their `masks` (N, S, S) uint8.

    `weights` (N, S, S) float16 say how much each pixel counts; None: all the same.
    """

    images: Tensor
    masks: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "Slices":
        """The same on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        return Slices(self.images.to(device), self.masks.to(device), weights)


@dataclass(frozen=True, eq=False)
class UnlabelledSlices:
    """N slices without masks: `images` (N, S, S) float16, z-scored, and where they lie in their stacks.

    `positions` (N,) float32 are n/m, n = 1…m from base to apex (paper, position label).
    """

    images: Tensor
    positions: Tensor

    def __len__(self) -> int:
        return len(self.images)


def join_slices(parts: Iterable[Slices]) -> Slices:
    """All slices of all parts, in order. Raises ValueError when there is none."""
    found = list(parts)
    if not found:
        raise ValueError("found no labelled slices, expected at least one")
    images, masks = torch.cat([part.images for part in found]), torch.cat([part.masks for part in found])
    if all(part.weights is None for part in found):
        return Slices(images, masks)
    return Slices(images, masks, torch.cat([weigh_all(part) for part in found]))


def take_slices(slices: Slices, chosen: Tensor) -> Slices:
    """The slices of these indices, or where a mask of them is true."""
    weights = None if slices.weights is None else slices.weights[chosen]
    return Slices(slices.images[chosen], slices.masks[chosen], weights)


def weigh_all(slices: Slices) -> Tensor:
    """The slices' weights, ones where they have none."""
    return slices.weights if slices.weights is not None else torch.ones_like(slices.images)


def load_item(item: Item, label_map: dict[int, int]) -> tuple[NDArray[np.float32], Mask, Spacing]:
    """Frame (Z, Y, X) as stored, mask (Z, Y, X) and spacing (z, y, x) in mm of one labelled item.

    Raises ValueError for an item without a mask, or of several frames that does not say which one is labelled.
    """
    if item.mask is None:
        raise ValueError(f"{item.image}: found no mask in the data set's description, expected one for training")
    cine = read_cine(item.image)
    if item.frame is None and len(cine.images) > 1:
        raise ValueError(f"{item.image}: found {len(cine.images)} frames, expected `frame` to say which is labelled")
    frame = item.frame or 0
    mask = read_mask(item.mask, cine, label_map or None, frame=item.frame)
    return cine.images[frame].astype(np.float32), mask[frame], cine.geometry.spacing_mm


def prepare_frame(frame: NDArray[np.float32], mask: Mask, spacing_mm: Spacing, settings: Preprocessing) -> Slices:
    """All slices of one labelled frame (Z, Y, X)."""
    if settings.n4:
        frame = frame / estimate_bias_field(frame, spacing_mm)
    return _cut(normalise_frame(frame), mask, spacing_mm[1:], settings)


def prepare_cine(frames: NDArray[Any], spacing_mm: Spacing, settings: Preprocessing) -> Tensor:
    """All frames (T, Z, Y, X) of a study to (T, Z, S, S) float16, each z-scored for itself (eq. 9).

    With N4 all share one bias field, that of their temporal mean (method §2, ours).
    """
    grid = _make_grid(frames.shape[-2:], spacing_mm[1:], settings)
    field = estimate_bias_field(frames.mean(0), spacing_mm) if settings.n4 else np.float32(1)
    return torch.stack([to_grid(torch.from_numpy(normalise_frame(frame / field)), grid).half() for frame in frames])


def prepare_label(folder: Path, label: Label, settings: Preprocessing) -> Slices:
    """One slice of the user's library, each pixel with the weight that `weigh_pixels` gives it."""
    image, mask, geometry = load_slice(folder, label)
    normal = normalise(image, label.frame_mean, label.frame_std)
    pixel_mm = geometry.spacing_mm[1:]
    cut = _cut(normal[None], mask[None], pixel_mm, settings, centre := find_centre(mask, pixel_mm))
    weights = weigh_pixels(label.state, mask, load_before(folder, label))
    grid = _make_grid(mask.shape, pixel_mm, settings, centre)
    return Slices(cut.images, cut.masks, to_grid(torch.from_numpy(weights[None]), grid).half())


def weigh_pixels(state: State, mask: Mask, before: Mask | None) -> NDArray[np.float32]:
    """How much each pixel (Y, X) of a label counts: an accepted slice little, a corrected one fully, what a person
    changed in it (and the pixels beside that) the most. `before` is the model's answer; None: unknown.
    """
    if state == "accepted":
        return np.full(mask.shape, ACCEPTED_WEIGHT, np.float32)
    changed = np.zeros(mask.shape, bool) if before is None else mask != before
    beside = ndimage.binary_dilation(changed)
    return np.where(beside, np.float32(CHANGED_WEIGHT), np.float32(1))


def find_centre(mask: Mask, pixel_mm: tuple[float, float]) -> tuple[float, float]:
    """Centre (y, x) in mm of what is labelled on a slice (Y, X), relative to its middle; (0, 0) where nothing is."""
    if not mask.any():
        return 0.0, 0.0
    y, x = (float(where.mean()) - (n - 1) / 2 for where, n in zip(np.nonzero(mask), mask.shape, strict=True))
    return y * pixel_mm[0], x * pixel_mm[1]


def prepare_phantoms(seeds: Iterable[int], settings: Preprocessing) -> Iterator[Slices]:
    """All slices of the ED frame and one systolic frame of a phantom a seed."""
    for seed in seeds:
        phantom = make_phantom(seed, frames=(0, 9))
        spacing_mm = phantom.cine.geometry.spacing_mm
        for images, mask in zip(phantom.cine.images, phantom.mask, strict=True):
            yield prepare_frame(images.astype(np.float32), mask, spacing_mm, settings)


def cut_middle(slices: Tensor, size: int) -> Tensor:
    """(N, S, S) to the (N, size, size) in the middle: slices without their margin."""
    first = (slices.shape[-1] - size) // 2
    return slices[:, first : first + size, first : first + size]


def _cut(
    images: NDArray[np.float32],
    mask: Mask,
    pixel_mm: tuple[float, float],
    settings: Preprocessing,
    centre_mm: tuple[float, float] = (0.0, 0.0),
) -> Slices:
    grid = _make_grid(mask.shape[-2:], pixel_mm, settings, centre_mm)
    return Slices(
        to_grid(torch.from_numpy(images), grid).half(),
        labels_to_grid(torch.from_numpy(mask), grid, CLASSES),
    )


def _make_grid(
    shape: tuple[int, ...],
    pixel_mm: tuple[float, float],
    settings: Preprocessing,
    centre_mm: tuple[float, float] = (0.0, 0.0),
) -> Grid:
    y, x = shape
    return Grid((y, x), pixel_mm, settings.size + MARGIN, settings.spacing_mm, centre_mm)
