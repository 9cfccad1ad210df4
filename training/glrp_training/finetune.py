"""Fine-tuning a U-Net on labelled slices, as a generator of events (method §5)."""

import time
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from glrp_napari.device import Placement
from glrp_napari.messages import TrainingStep
from glrp_napari.models import Settings
from glrp_napari.unet import UNet
from glrp_training.augment import Augmentation, augment
from glrp_training.losses import segmentation_loss
from glrp_training.slices import Slices


class NotFiniteError(ArithmeticError):
    """The loss is no longer a number; the weights of the last step before it are kept."""


class FinetuneSettings(Settings):
    """How a network is fine-tuned.

    `optimiser` "adam" with rate 5e-4 is the paper's; "adamw" with 1e-3 ours. `warmup` steps rise linearly to `rate`,
    the rest follows a cosine to zero. `dice_weight` 0 is the paper's cross-entropy alone. `rehearsal_share` is the
    part of each batch that is drawn from the rehearsal slices, where there are any. `freeze_norm` keeps the running
    statistics of batch normalisation, which a few labels would estimate badly.
    """

    steps: int = 2500
    batch: int = 12
    optimiser: Literal["adamw", "adam"] = "adamw"
    rate: float = 1e-3
    warmup: int = 50
    weight_decay: float = 1e-2
    dice_weight: float = 1.0
    rehearsal_share: float = 1 / 6
    clip_norm: float = 5.0
    freeze_norm: bool = False
    seed: int = 0
    augmentation: Augmentation = Augmentation()


def finetune(
    network: UNet,
    slices: Slices,
    settings: FinetuneSettings,
    placement: Placement,
    size: int,
    rehearsal: Slices | None = None,
) -> Iterator[TrainingStep]:
    """Train `network` in place on `slices`, an event after each step; `size` is the side of the network's square.

    Each batch depends on the seed and the step alone. Ceasing to iterate leaves the network as it is after the last
    step. Raises NotFiniteError.
    """
    _set_mode(network.to(placement.device, memory_format=torch.channels_last), settings)  # type: ignore[call-overload]
    optimiser = _make_optimiser(network, settings)
    started = time.monotonic()
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * _schedule(step, settings)
        images, masks = _draw_batch(slices, rehearsal, settings, step)
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        views, labels = augment(
            images.to(placement.device), masks.to(placement.device), size, settings.augmentation, generator
        )
        loss = _take_step(network, optimiser, views, labels, settings, placement)
        left = (time.monotonic() - started) / (step + 1) * (settings.steps - step - 1)
        yield TrainingStep(step=step + 1, total=settings.steps, loss=loss, seconds_left=left)


def _set_mode(network: UNet, settings: FinetuneSettings) -> None:
    network.train()
    if settings.freeze_norm:
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()


def _take_step(
    network: UNet,
    optimiser: torch.optim.Optimizer,
    views: Tensor,
    labels: Tensor,
    settings: FinetuneSettings,
    placement: Placement,
) -> float:
    with torch.autocast(placement.device.type, placement.autocast, enabled=placement.autocast is not None):
        logits = network(views.contiguous(memory_format=torch.channels_last))
    loss = segmentation_loss(logits, labels, settings.dice_weight)
    value = float(loss.detach())
    if not torch.isfinite(loss):
        raise NotFiniteError(f"the loss became {value}: expected a finite number (try a lower rate)")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
    optimiser.step()
    return value


def _make_optimiser(network: UNet, settings: FinetuneSettings) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)


def _schedule(step: int, settings: FinetuneSettings) -> float:
    """Linear warm-up, then a cosine to zero."""
    warm = min(1.0, (step + 1) / max(settings.warmup, 1))
    cosine = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / settings.steps)).item())
    return warm * cosine


def _draw_batch(
    slices: Slices, rehearsal: Slices | None, settings: FinetuneSettings, step: int
) -> tuple[Tensor, Tensor]:
    """Slices by epochs without replacement, each epoch shuffled by its own seed; rehearsal slices at random."""
    extra = round(settings.batch * settings.rehearsal_share) if rehearsal is not None else 0
    own = settings.batch - extra
    index = _draw_epochs(len(slices), own, settings.seed, step)
    images, masks = slices.images[index], slices.masks[index]
    if rehearsal is None or not extra:
        return images, masks
    more = _draw_epochs(len(rehearsal), extra, settings.seed + 1, step)
    return torch.cat([images, rehearsal.images[more]]), torch.cat([masks, rehearsal.masks[more]])


def _draw_epochs(population: int, count: int, seed: int, step: int) -> Tensor:
    first = step * count
    return torch.stack(
        [_shuffle(population, seed, i // population)[i % population] for i in range(first, first + count)]
    )


def _shuffle(population: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(population, generator=torch.Generator().manual_seed(seed * 7919 + epoch))
