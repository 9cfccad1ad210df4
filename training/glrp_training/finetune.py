"""Fine-tuning a U-Net on labelled slices, as a generator of events (method §5; with unlabelled slices §8)."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from glrp_napari.device import Placement, is_out_of_memory, step_down
from glrp_napari.messages import Notice, Progress, TrainingStep
from glrp_napari.models import Settings
from glrp_napari.unet import UNet
from glrp_training.augment import Augmentation, augment_images, augment_weighted
from glrp_training.checkpoint import Checkpoint, Stateful
from glrp_training.consistency import Consistency, ask_teacher, disturb, follow, make_teacher
from glrp_training.losses import segmentation_loss
from glrp_training.optimise import check_finite, schedule, set_rate
from glrp_training.plateau import Plateau
from glrp_training.sampling import draw_epochs, make_generator
from glrp_training.slices import Slices, join_slices, take_slices

UNHEARD = "unheard"
"""The note in a checkpoint that holds the loss of a step whose event may not have been dealt with."""


class FinetuneSettings(Settings):
    """How a network is fine-tuned.

    `optimiser` "adam" with rate 5e-4 is the paper's; "adamw" with 1e-3 ours. `warmup` steps rise linearly to `rate`,
    the rest follows a cosine to zero. `dice_weight` 0 is the paper's cross-entropy alone. `rehearsal_share` is the
    part of each batch that is drawn from the rehearsal slices, where there are any. `freeze_norm` keeps the running
    statistics of batch normalisation, which a few labels would estimate badly. `consistency` says how unlabelled
    slices take part, where there are any.
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
    consistency: Consistency = Consistency()


@dataclass(frozen=True, eq=False)
class Material:
    """What is learned from: labelled slices, labelled ones of elsewhere to rehearse, and unlabelled images.

    `unlabelled` is (N, S, S) float16, z-scored, on the same grid as the slices; `size` is the side of the network's
    square within it.
    """

    slices: Slices
    size: int
    rehearsal: Slices | None = None
    unlabelled: Tensor | None = None


def finetune(
    network: UNet,
    material: Material,
    settings: FinetuneSettings,
    placement: Placement,
    checkpoint: Checkpoint | None = None,
    plateau: Plateau | None = None,
) -> Iterator[TrainingStep | Progress | Notice]:
    """Train `network` in place, an event after each step; with a checkpoint it goes on where that ends.

    With a `plateau` it is done where the loss has come to one; what that knows must be kept in the checkpoint's notes.

    Each batch depends on the seed and the step alone. Ceasing to iterate leaves the network as it is after the last
    step; closing the generator stores the checkpoint, and the step's event comes again when the run goes on. Out of
    memory: fewer slices at once, then the CPU, each with a notice. A full disk: it waits, and says so. Raises
    NotFiniteError.
    """
    learner = _Learner(network, settings, placement, semi=material.unlabelled is not None)
    first = checkpoint.begin(learner.parts) if checkpoint else 0
    started = time.monotonic()
    if checkpoint and (loss := checkpoint.notes.pop(UNHEARD, None)) is not None:
        yield from _tell(TrainingStep(step=first, total=settings.steps, loss=loss), learner, checkpoint)
    for step in range(first, settings.steps):
        if plateau and plateau.has_come:
            return
        set_rate(learner.optimiser, settings.rate * schedule(step, settings.steps, settings.warmup))
        batch = _draw_batch(material, settings, step)
        while (loss := learner.try_step(batch, step, material.size)) is None:
            yield Notice(text=learner.step_down())
        if plateau:  # before the event, at which one may be closed: the checkpoint must know of the whole step
            plateau.look(step + 1, loss)
        left = (time.monotonic() - started) / (step + 1 - first) * (settings.steps - step - 1)
        event = TrainingStep(step=step + 1, total=settings.steps, loss=loss, seconds_left=left)
        yield from _tell(event, learner, checkpoint)
        if checkpoint and checkpoint.is_due:
            yield from checkpoint.save_patiently(step + 1, learner.parts)


def _tell(event: TrainingStep, learner: "_Learner", checkpoint: Checkpoint | None) -> Iterator[TrainingStep]:
    """Yield a step's event. If the generator is closed at it, what was to follow, as validating, may not be done: the
    event is noted, to be told again.
    """
    try:
        yield event
    except GeneratorExit:
        if checkpoint:
            checkpoint.notes[UNHEARD] = event.loss
            checkpoint.save(event.step, learner.parts)
        raise


@dataclass(frozen=True, eq=False)
class _Batch:
    slices: Slices
    unlabelled: Tensor | None


class _Learner:
    """A network with its optimiser, and its teacher where unlabelled slices take part, on a device."""

    def __init__(self, network: UNet, settings: FinetuneSettings, placement: Placement, semi: bool) -> None:
        self.network, self.settings, self.placement = network, settings, placement
        network.to(placement.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        _set_mode(network, settings)
        self.optimiser = _make_optimiser(network, settings)
        self.scaler = torch.amp.GradScaler(placement.device.type, enabled=placement.autocast is torch.float16)
        self.teacher = make_teacher(network) if semi else None

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What a checkpoint keeps."""
        known: dict[str, Stateful] = {"network": self.network, "optimiser": self.optimiser, "scaler": self.scaler}
        return {**known, "teacher": self.teacher} if self.teacher else known

    def try_step(self, batch: _Batch, step: int, size: int) -> float | None:
        """One optimisation step and its loss on labels; None, with nothing changed, where memory ran out."""
        try:
            return self._take_step(batch, step, size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def step_down(self) -> str:
        """Fewer slices at once, or the CPU; returns the sentence for the user. Raises MemoryError at the end."""
        at_once = min(self.placement.batch, self.settings.batch)
        self.placement, sentence = step_down(Placement(self.placement.device, self.placement.autocast, at_once))
        self.network.to(self.placement.device)
        if self.teacher:
            self.teacher.to(self.placement.device)
        self.optimiser.load_state_dict(self.optimiser.state_dict())  # moves its state to where the weights are
        return sentence

    def _take_step(self, batch: _Batch, step: int, size: int) -> float:
        settings, generator = self.settings, make_generator(self.settings.seed, step)
        self.optimiser.zero_grad(set_to_none=True)
        slices = batch.slices.to(self.placement.device)
        views = augment_weighted(slices.images, slices.masks, slices.weights, size, settings.augmentation, generator)
        loss = self._add_gradients(*views, 1.0)
        if self.teacher is not None and batch.unlabelled is not None:
            unlabelled = batch.unlabelled.to(self.placement.device)
            weak = augment_images(
                unlabelled, size, settings.augmentation.model_copy(update={"intensity": False}), generator
            )
            with self._autocast():
                answers = ask_teacher(self.teacher, weak, settings.consistency.threshold)
            strong = disturb(weak, *answers, settings.consistency.cutmix, generator)
            self._add_gradients(*strong, settings.consistency.weight * min(1, step / settings.consistency.ramp))
        self._update_weights()
        if self.teacher is not None:
            follow(self.teacher, self.network, settings.consistency.decay, step)
        return loss

    def _add_gradients(self, views: Tensor, labels: Tensor, where: Tensor | None, weight: float) -> float:
        """The loss of a batch, its gradients added to the weights', as many slices at once as memory allows."""
        total = 0.0
        for part in torch.arange(len(views)).split(self.placement.batch):
            with self._autocast():
                logits = self.network(views[part].contiguous(memory_format=torch.channels_last))
            known = None if where is None else where[part]
            loss = segmentation_loss(logits, labels[part], self.settings.dice_weight, known)
            loss = loss * (weight * len(part) / len(views))
            total += check_finite(float(loss.detach()), "loss")
            self.scaler.scale(loss).backward()
        return total

    def _update_weights(self) -> None:
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        if not self.scaler.is_enabled():  # with fp16 the scaler passes over such a step by itself
            check_finite(float(norm), "gradient")
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def _autocast(self) -> torch.autocast:
        kind = self.placement.autocast
        return torch.autocast(self.placement.device.type, kind, enabled=kind is not None)


def _set_mode(network: UNet, settings: FinetuneSettings) -> None:
    network.train()
    if settings.freeze_norm:
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()


def _make_optimiser(network: UNet, settings: FinetuneSettings) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)


def _draw_batch(material: Material, settings: FinetuneSettings, step: int) -> _Batch:
    """Labelled slices, rehearsal slices among them, and unlabelled ones."""
    extra = round(settings.batch * settings.rehearsal_share) if material.rehearsal is not None else 0
    own = draw_epochs(len(material.slices), settings.batch - extra, settings.seed, step)
    parts = [take_slices(material.slices, own)]
    if material.rehearsal is not None and extra:
        more = draw_epochs(len(material.rehearsal), extra, settings.seed + 1, step)
        parts.append(take_slices(material.rehearsal, more))
    unlabelled = None
    if material.unlabelled is not None:
        among = draw_epochs(len(material.unlabelled), settings.consistency.batch, settings.seed + 2, step)
        unlabelled = material.unlabelled[among]
    return _Batch(join_slices(parts), unlabelled)
