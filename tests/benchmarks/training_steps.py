"""How fast a step of pre-training and of fine-tuning is, against the same step in plain eager fp32 in the same run."""

import itertools
import time
from collections.abc import Callable, Iterator

import torch
from glrp_training.augment import Augmentation, augment, augment_images
from glrp_training.finetune import FinetuneSettings, Material, finetune
from glrp_training.losses import segmentation_loss
from glrp_training.pretrain import Pretrainer, PretrainSettings, make_fabric, measure_loss, pretrain
from glrp_training.slices import MARGIN, Slices, UnlabelledSlices
from glrp_training.targets import STRATEGIES

from glrp_napari.device import Placement, choose_placement
from glrp_napari.models import Architecture, Preprocessing
from glrp_napari.unet import UNet

BATCH, STEPS = 12, 4
SIZE = Preprocessing().size
PSM = torch.full((9, 9), 0.3).fill_diagonal_(1)


def compare_training_steps() -> None:
    """Print both comparisons; steps alternate, so that a noisy machine hits both alike."""
    print_ratio("a pre-training step (glrp, 24 views)", pretrain_as_shipped(), pretrain_eagerly())
    print_ratio("a fine-tuning step (12 slices)", finetune_as_shipped(), finetune_eagerly())


def print_ratio(name: str, ours: Iterator[object], eager: Iterator[object]) -> None:
    """The best of a few steps of each."""
    next(ours), next(eager)  # the first of each warms up
    times = [(clock(ours), clock(eager)) for _ in range(STEPS)]
    best_ours, best_eager = (min(column) for column in zip(*times, strict=True))
    print(f"{name}: {best_ours:.2f} s; eager fp32: {best_eager:.2f} s; {best_eager / best_ours:.2f} times as fast")


def clock(steps: Iterator[object]) -> float:
    """Seconds of one step."""
    started = time.monotonic()
    next(steps)
    return time.monotonic() - started


def make_images() -> torch.Tensor:
    """Slices of noise with the margin."""
    return torch.randn(4 * BATCH, SIZE + MARGIN, SIZE + MARGIN).half()


def pretrain_as_shipped() -> Iterator[object]:
    """Steps of `pretrain`."""
    slices = UnlabelledSlices(make_images(), torch.rand(4 * BATCH))
    fabric = make_fabric(choose_placement("cpu"))
    return pretrain(UNet(Architecture()).encoder, slices, PretrainSettings(batch=BATCH), SIZE, fabric, PSM)


def pretrain_eagerly() -> Iterator[object]:
    """The same views, network and loss in float32 and PyTorch's own layout."""
    fabric = make_fabric(Placement(torch.device("cpu"), None, BATCH))
    module = Pretrainer(UNet(Architecture()).encoder, STRATEGIES["glrp"])
    images, positions, sources = (
        make_images()[:BATCH].repeat(2, 1, 1),
        torch.rand(2 * BATCH),
        torch.arange(BATCH).repeat(2),
    )
    settings = PretrainSettings()

    def measure() -> torch.Tensor:
        views = augment_images(images, SIZE, Augmentation(), torch.Generator().manual_seed(0))
        return measure_loss(module, views, positions, sources, STRATEGIES["glrp"], settings, fabric, PSM)

    return step_eagerly(measure, torch.optim.SGD(module.parameters(), 1e-3, 0.9))


def finetune_as_shipped() -> Iterator[object]:
    """Steps of `finetune`."""
    images = make_images()
    material = Material(Slices(images, torch.randint(0, 4, images.shape, dtype=torch.uint8)), SIZE)
    return finetune(UNet(Architecture()), material, FinetuneSettings(batch=BATCH), choose_placement("cpu"))


def finetune_eagerly() -> Iterator[object]:
    """The same views, network and loss in float32 and PyTorch's own layout."""
    network, images = UNet(Architecture()), make_images()[:BATCH]
    masks = torch.randint(0, 4, images.shape, dtype=torch.uint8)

    def measure() -> torch.Tensor:
        views, labels = augment(images, masks, SIZE, Augmentation(), torch.Generator().manual_seed(0))
        return segmentation_loss(network(views), labels)

    return step_eagerly(measure, torch.optim.AdamW(network.parameters(), 1e-3))


def step_eagerly(measure: Callable[[], torch.Tensor], optimiser: torch.optim.Optimizer) -> Iterator[object]:
    """Forward, backward, step; for ever."""
    for _ in itertools.count():
        optimiser.zero_grad(set_to_none=True)
        measure().backward()
        optimiser.step()
        yield None
