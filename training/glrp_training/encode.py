"""From studies without labels to an encoder's file: gathers slices, measures the patches' similarity, pre-trains."""

from collections.abc import Iterator
from pathlib import Path

import torch

from glrp_napari.device import Placement
from glrp_napari.messages import Progress, TrainingStep
from glrp_napari.models import Architecture, Preprocessing, Settings, save_model_files
from glrp_napari.unet import UNet
from glrp_napari.weights import blank_card, encode_weights
from glrp_training.cache import gather_unlabelled
from glrp_training.checkpoint import Checkpoint, fingerprint, locate_checkpoint
from glrp_training.dataset import Dataset
from glrp_training.pretrain import PretrainSettings, find_strategy, leave_fabric, make_fabric, pretrain
from glrp_training.psm import estimate_psm, expand_psm, load_or_estimate_psm
from glrp_training.sampling import count_steps


class EncoderFit(Settings):
    """Pre-training on the part `split` of a data set: `epochs` (None: the steps of `pretraining`) and the network."""

    split: str = "train"
    epochs: int | None = None
    architecture: Architecture = Architecture()
    preprocessing: Preprocessing = Preprocessing()
    pretraining: PretrainSettings = PretrainSettings()


def fit_encoder(
    dataset: Dataset,
    settings: EncoderFit,
    folder: Path,
    name: str,
    placement: Placement,
    cache: Path | None = None,
) -> Iterator[Progress | TrainingStep]:
    """Pre-train the encoder `name` into `folder`; killed, it goes on from `<name>.checkpoint` when called again.

    Masks are never read. Raises ValueError where there is no study, CheckpointError when the checkpoint is of other
    settings or data or when there is a finished model of that name.
    """
    path = locate_checkpoint(folder, name)
    own, size = settings.pretraining, settings.preprocessing.size
    strategy, fabric = find_strategy(own.strategy), make_fabric(placement)
    with fabric.rank_zero_first(local=True):  # the others then find everything in the cache
        items = dataset.select(settings.split)
        slices = yield from gather_unlabelled(items, settings.preprocessing, cache)
        psm = _measure_patches(slices.images, size, cache) if strategy.patches else None
    if settings.epochs is not None:
        own = own.model_copy(update={"steps": count_steps(len(slices), own.batch, settings.epochs)})
    torch.manual_seed(own.seed)
    encoder = UNet(settings.architecture).encoder
    card = blank_card(
        name=name,
        title=name,
        role="encoder",
        architecture=settings.architecture,
        preprocessing=settings.preprocessing,
        licence=dataset.licence,
        citation=dataset.citation,
        training={"data": dataset.name, "split": settings.split, "slices": len(slices), **own.model_dump(mode="json")},
    )
    checkpoint = Checkpoint(path, fingerprint(card, slices.images, slices.positions))
    yield from pretrain(encoder, slices, own, size, fabric, psm, checkpoint)
    if fabric.is_global_zero:
        save_model_files(folder, card, encode_weights(encoder))
        checkpoint.remove()
    leave_fabric(fabric)


def _measure_patches(images: torch.Tensor, size: int, cache: Path | None) -> torch.Tensor:
    return expand_psm(load_or_estimate_psm(images, size, cache) if cache else estimate_psm(images, size))
