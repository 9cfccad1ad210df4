"""Semi-supervised fine-tuning (method §8): what an averaged teacher says of a slice, the student must say of a
disturbed view of it.

Weak-to-strong consistency with a confidence threshold (Sohn et al. 2020) and CutMix (French et al. 2020), as UniMatch
(Yang et al. 2023) uses them for ACDC; the teacher is the moving average of the student (Tarvainen and Valpola 2017).
"""

import copy

import torch
from torch import Tensor

from glrp_napari.models import Settings
from glrp_napari.unet import UNet
from glrp_training.augment import change_intensity


class Consistency(Settings):
    """How unlabelled slices take part (all ours).

    `batch` slices a step; only pixels of which the teacher is at least `threshold` sure count; the loss's `weight` is
    reached after `ramp` steps; `decay` is the teacher's; every view gets a box of another one with chance `cutmix`.
    """

    batch: int = 12
    weight: float = 1.0
    threshold: float = 0.95
    ramp: int = 300
    decay: float = 0.99
    cutmix: float = 0.5


def make_teacher(network: UNet) -> UNet:
    """A copy that no gradient reaches, in eval mode."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def follow(teacher: UNet, student: UNet, decay: float, step: int) -> None:
    """Move the teacher's weights and running statistics towards the student's; faster in the first steps."""
    share = 1 - min(decay, step / (step + 1))
    for old, new in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, share)


@torch.no_grad()
def ask_teacher(teacher: UNet, views: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Labels (N, H, W) of views (N, 1, H, W), and where the teacher is sure of them."""
    confidence, labels = teacher(views).float().softmax(1).max(1)
    return labels, confidence >= threshold


def disturb(
    views: Tensor, labels: Tensor, sure: Tensor, chance: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Strong views: changed intensities, and in some a box of the next view, its labels and certainty with it."""
    strong = change_intensity(views, generator)
    inside = _draw_boxes(views, chance, generator)
    mixed = (torch.where(inside, x.roll(1, 0), x) for x in (labels, sure))
    return torch.where(inside[:, None], strong.roll(1, 0), strong), *mixed  # type: ignore[return-value]


def _draw_boxes(views: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """(N, H, W), true inside a box of a tenth to four tenths of the view, in every view with the given chance."""
    n, height, width = len(views), *views.shape[-2:]
    draw = torch.rand(n, 4, generator=generator)
    area, ratio = 0.1 + 0.3 * draw[:, 0], (2 * draw[:, 1] - 1).exp()
    tall, wide = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    top, left = draw[:, 2] * (1 - tall), draw[:, 3] * (1 - wide)
    y, x = torch.arange(height)[None] / height, torch.arange(width)[None] / width
    rows = (y >= top[:, None]) & (y < (top + tall)[:, None])
    columns = (x >= left[:, None]) & (x < (left + wide)[:, None])
    chosen = torch.rand(n, generator=generator) < chance
    return (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]).to(views.device)
