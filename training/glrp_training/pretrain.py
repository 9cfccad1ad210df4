"""Contrastive pre-training of an encoder on unlabelled slices, as a generator of events (paper Fig. 2A, method §4, §5).

Knows no strategy by name: `targets` has them. Runs in one process or, under `torchrun`, in several.
"""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Literal, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from glrp_napari.device import Placement
from glrp_napari.messages import TrainingStep
from glrp_napari.models import Settings
from glrp_napari.unet import Encoder
from glrp_training.augment import Augmentation, augment_images
from glrp_training.checkpoint import Checkpoint, CheckpointError, Stateful
from glrp_training.losses import Form, contrastive_loss
from glrp_training.optimise import NotFiniteError, check_finite, schedule, set_rate
from glrp_training.projection import PatchHead, SliceHead
from glrp_training.sampling import draw_epochs, make_generator
from glrp_training.slices import UnlabelledSlices
from glrp_training.targets import STRATEGIES, Strategy, weigh_patches, weigh_slices

_Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
_PRECISIONS: dict[torch.dtype | None, _Precision] = {
    None: "32-true",
    torch.bfloat16: "bf16-mixed",
    torch.float16: "16-mixed",
}


class PretrainSettings(Settings):
    """How an encoder is pre-trained.

    SGD's values are inherited from PCL; `temperature` is the paper's, `local_weight` its λ2 of eq. (5) (λ1 is the
    rest), which counts only where a strategy has both terms. `batch` slices give twice as many views; under
    `torchrun` the processes share them. `form` "literal" is the loss as printed (method §4: its sign is wrong).
    """

    strategy: str = "glrp"
    steps: int = 3000
    batch: int = 12
    rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-5
    warmup: int = 0
    temperature: float = 0.1
    local_weight: float = 0.5
    form: Form = "mended"
    clip_norm: float = 5.0
    seed: int = 0
    augmentation: Augmentation = Augmentation()


class Pretrainer(nn.Module):
    """An encoder with the projection heads that a strategy needs; views (M, 1, S, S) to embeddings (or None)."""

    def __init__(self, encoder: Encoder, strategy: Strategy) -> None:
        super().__init__()
        channels = encoder.channels
        self.encoder = encoder
        self.slice_head = SliceHead(channels) if strategy.slices else None
        self.patch_head = PatchHead(channels) if strategy.patches else None

    def forward(self, views: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Embeddings of whole views (M, 512) and of their patches (9 M, 512)."""
        coarse = self.encoder(views)[-1]
        return (
            self.slice_head(coarse) if self.slice_head else None,
            self.patch_head(coarse) if self.patch_head else None,
        )


def find_strategy(name: str) -> Strategy:
    """The strategy of that name. Raises ValueError where there is none, or nothing to pre-train with."""
    able = {known: strategy for known, strategy in STRATEGIES.items() if strategy.slices or strategy.patches}
    if name not in able:
        raise ValueError(f"strategy {name}: found nothing to pre-train with, expected one of {', '.join(able)}")
    return able[name]


def make_fabric(placement: Placement) -> Fabric:
    """Where pre-training runs: this process, or all that `torchrun` started (it gives each its environment)."""
    everywhere, here = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    fabric = Fabric(
        accelerator=placement.device.type,
        devices=here,
        num_nodes=everywhere // here,
        strategy="ddp" if everywhere > 1 else "auto",
        precision=_PRECISIONS[placement.autocast],
    )
    fabric.launch()
    return fabric


def leave_fabric(fabric: Fabric) -> None:
    """End what `make_fabric` began, together: a process that goes first makes the others abort at their exit."""
    fabric.barrier()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def pretrain(
    encoder: Encoder,
    slices: UnlabelledSlices,
    settings: PretrainSettings,
    size: int,
    fabric: Fabric,
    psm: Tensor | None = None,
    checkpoint: Checkpoint | None = None,
) -> Iterator[TrainingStep]:
    """Train `encoder` in place, an event after each step; with a checkpoint it goes on where that ends.

    `psm` (9, 9) is the patches' similarity, which strategies with a local term need (method §4). Raises
    NotFiniteError, and ValueError for a strategy without anything to learn or without its `psm`.
    """
    strategy = find_strategy(settings.strategy)
    if strategy.patches and psm is None:
        raise ValueError(f"strategy {strategy.name}: found no patch similarity, expected a 9 × 9 table")
    bare = Pretrainer(encoder, strategy).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sgd = torch.optim.SGD(bare.parameters(), settings.rate, settings.momentum, weight_decay=settings.weight_decay)
    module, optimiser = fabric.setup(_synchronise_norm(bare, fabric), sgd)
    module.train()
    parts = {"module": bare, "optimiser": sgd, "precision": fabric.strategy.precision}
    first = _begin(checkpoint, parts, fabric)
    started = time.monotonic()
    for step in range(first, settings.steps):
        set_rate(sgd, settings.rate * schedule(step, settings.steps, settings.warmup))
        views, positions, sources = _draw_views(slices, settings, size, step, fabric)
        loss = measure_loss(module, views, positions, sources, strategy, settings, fabric, psm)
        try:
            value = _take_step(loss, module, optimiser, settings.clip_norm, fabric)
        except NotFiniteError:
            if checkpoint and fabric.is_global_zero:
                checkpoint.save(step, parts)  # the weights are still those of the last good step
            raise
        left = (time.monotonic() - started) / (step + 1 - first) * (settings.steps - step - 1)
        yield TrainingStep(step=step + 1, total=settings.steps, loss=value, seconds_left=left)
        if checkpoint and fabric.is_global_zero:
            checkpoint.save_when_due(step + 1, parts)


def measure_loss(
    module: nn.Module,
    views: Tensor,
    positions: Tensor,
    sources: Tensor,
    strategy: Strategy,
    settings: PretrainSettings,
    fabric: Fabric,
    psm: Tensor | None = None,
) -> Tensor:
    """Eq. (5) over the views of all processes: λ1 · global + λ2 · local, or the only term at full weight.

    Embeddings are gathered with their gradient; without it, each process would have an objective of its own.
    """
    whole, patches = module(views)
    positions, sources = _gather(positions, fabric), _gather(sources, fabric)
    terms = []
    if whole is not None:
        terms.append((1 - settings.local_weight, _gather(whole, fabric), weigh_slices(strategy, positions, sources)))
    if patches is not None and psm is not None:
        weights = weigh_patches(strategy, positions, psm.to(positions.device))
        terms.append((settings.local_weight, _gather(patches, fabric), weights))
    losses = [contrastive_loss(found, targets, settings.temperature, settings.form) for _, found, targets in terms]
    shares = [share for share, _, _ in terms] if len(terms) > 1 else [1.0]
    return torch.stack([share * loss for share, loss in zip(shares, losses, strict=True)]).sum()


def _take_step(
    loss: Tensor, module: _FabricModule, optimiser: _FabricOptimizer, clip_norm: float, fabric: Fabric
) -> float:
    """Backward, clip, step; returns the loss. Raises NotFiniteError before any weight has changed."""
    value = check_finite(float(loss.detach()), "loss")
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    norm = fabric.clip_gradients(module, optimiser, max_norm=clip_norm, error_if_nonfinite=False)
    if getattr(fabric.strategy.precision, "scaler", None) is None:  # else fp16's scaler passes over such a step itself
        check_finite(float(cast(Tensor, norm)), "gradient")
    optimiser.step()
    return value


def _begin(checkpoint: Checkpoint | None, parts: Mapping[str, Stateful], fabric: Fabric) -> int:
    """The steps already taken, which must be the same in all processes."""
    if checkpoint is None:
        return 0
    steps = checkpoint.restore(parts)
    if steps != fabric.broadcast(steps):
        raise CheckpointError(f"{checkpoint.path}: found {steps} steps, expected the first process's: share the folder")
    if not steps and fabric.is_global_zero:
        checkpoint.save(0, parts)
    return steps


def _draw_views(
    slices: UnlabelledSlices, settings: PretrainSettings, size: int, step: int, fabric: Fabric
) -> tuple[Tensor, Tensor, Tensor]:
    """This process's part of a step: views (M, 1, S, S), their positions (M,) and the slices (M,) they are of."""
    if settings.batch % fabric.world_size:
        raise ValueError(f"batch {settings.batch}: expected a multiple of the {fabric.world_size} processes")
    index = draw_epochs(len(slices), settings.batch, settings.seed, step)[fabric.global_rank :: fabric.world_size]
    twice = index.repeat(2)
    generator = make_generator(settings.seed, step * fabric.world_size + fabric.global_rank)
    images = fabric.to_device(slices.images[twice])
    views = augment_images(images, size, settings.augmentation, generator)
    views = views.contiguous(memory_format=torch.channels_last)
    return views, fabric.to_device(slices.positions[twice]), fabric.to_device(twice)


def _gather(values: Tensor, fabric: Fabric) -> Tensor:
    """(M, …) of every process, one after the other."""
    if fabric.world_size == 1:
        return values
    gathered = fabric.all_gather(values, sync_grads=values.requires_grad)
    return cast(Tensor, gathered).flatten(0, 1)


def _synchronise_norm(module: nn.Module, fabric: Fabric) -> nn.Module:
    """Batch statistics over all GPUs; on CPUs PyTorch has none such."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-any-return]
    return module
