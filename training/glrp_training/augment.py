"""Random views of slices, batched on the training device.

Geometry as in the paper (§3.2.1, ranges inherited from PCL), intensity ours.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from glrp_napari.models import Settings

Range = tuple[float, float]


class Augmentation(Settings):
    """How much slices are changed.

    `rotation_deg` and `scale` are the paper's ranges as inherited from PCL; `shift_px`, elastic displacement and
    everything under `intensity` are ours. `elastic_px` is the RMS displacement, on a coarse grid of 8 × 8.
    """

    rotation_deg: Range = (0.0, 360.0)
    scale: Range = (0.7, 1.3)
    shift_px: float = 16.0
    flip: bool = True
    elastic_px: float = 3.0
    elastic_share: float = 0.67
    intensity: bool = True


def augment(
    images: Tensor, masks: Tensor, size: int, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Views of slices: images (N, S, S) and masks (N, S, S) to images (N, 1, size, size), masks (N, size, size) long.

    Random numbers come from `generator` (on the CPU) alone, so that a seed gives the same views on every device.
    """
    views, labels, _ = augment_weighted(images, masks, None, size, settings, generator)
    return views, labels


def augment_weighted(
    images: Tensor,
    masks: Tensor,
    weights: Tensor | None,
    size: int,
    settings: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As `augment`, and the pixels' weights (N, S, S) to (N, size, size), 0 outside of the slice."""
    where = _sample_grid(len(images), images.shape[-1], size, settings, generator).to(images.device)
    views = _sample_images(images, where, settings, generator)
    one_hot = F.one_hot(masks.long(), 4).movedim(-1, 1).float()
    labels = F.grid_sample(one_hot, where, align_corners=False)
    labels[:, 0] += 1 - labels.sum(1)
    if weights is not None:
        weights = F.grid_sample(weights[:, None].float(), where, align_corners=False)[:, 0]
    return views, labels.argmax(1), weights


def augment_images(images: Tensor, size: int, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Views (N, 1, size, size) of slices (N, S, S) that have no masks; for the same generator those of `augment`."""
    where = _sample_grid(len(images), images.shape[-1], size, settings, generator).to(images.device)
    return _sample_images(images, where, settings, generator)


def change_intensity(images: Tensor, generator: torch.Generator) -> Tensor:
    """(N, 1, H, W) with changed contrast, brightness, gamma, bias field, resolution and noise, each for some slices."""
    images = images * _draw(images, generator, 0.75, 1.3) + _draw(images, generator, -0.2, 0.2)
    images = _apply_sometimes(images, _change_gamma(images, generator), 0.5, generator)
    images = _apply_sometimes(images, _add_bias_field(images, generator), 0.4, generator)
    images = _apply_sometimes(images, _lower_resolution(images), 0.2, generator)
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return _apply_sometimes(images, images + noise * _draw(images, generator, 0.0, 0.25), 0.5, generator)


def _sample_images(images: Tensor, where: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    views = F.grid_sample(images[:, None].float(), where, align_corners=False)
    return change_intensity(views, generator) if settings.intensity else views


def _sample_grid(n: int, source: int, size: int, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Where each pixel of the views is taken from: (N, size, size, 2), x before y, in −1…1 of the source."""
    angle = torch.deg2rad(_uniform(n, *settings.rotation_deg, generator))
    zoom = 1 / _uniform(n, *settings.scale, generator)
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0) if settings.flip else torch.ones(n)
    shift = _uniform(2 * n, -1, 1, generator).reshape(n, 2) * settings.shift_px * 2 / source
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    rows = torch.stack(
        [torch.stack([cos * flip, -sin, shift[:, 0]], 1), torch.stack([sin * flip, cos, shift[:, 1]], 1)], 1
    )
    rows[:, :, :2] *= size / source
    where = F.affine_grid(rows, [n, 1, size, size], align_corners=False)
    share = (torch.rand(n, generator=generator) < settings.elastic_share).float()[:, None, None, None]
    coarse = torch.randn(n, 2, 8, 8, generator=generator) * settings.elastic_px * 2 / source * share
    fine = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)
    return where + fine.movedim(1, -1)


def _change_gamma(images: Tensor, generator: torch.Generator) -> Tensor:
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    span = (high - low).clamp_min(1e-6)
    gamma = (_draw(images, generator, -1, 1) * math.log(1.7)).exp()
    return ((images - low) / span).pow(gamma) * span + low


def _add_bias_field(images: Tensor, generator: torch.Generator) -> Tensor:
    coarse = torch.randn(len(images), 1, 3, 3, generator=generator).to(images.device) * 0.25
    field = F.interpolate(coarse, images.shape[-2:], mode="bicubic", align_corners=True).exp()
    low = images.amin((1, 2, 3), keepdim=True)
    return (images - low) * field + low


def _lower_resolution(images: Tensor) -> Tensor:
    small = F.interpolate(images, scale_factor=0.5, mode="area")
    return F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)


def _apply_sometimes(images: Tensor, changed: Tensor, share: float, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device) < share
    return torch.where(chosen, changed, images)


def _draw(images: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    """One value a slice, (N, 1, 1, 1)."""
    return _uniform(len(images), low, high, generator).to(images.device)[:, None, None, None]


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)
