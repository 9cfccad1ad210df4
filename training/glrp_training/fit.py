"""From a described data set to a model file: gathers slices, trains, validates and writes weights and card."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from glrp_napari.device import Placement
from glrp_napari.messages import Notice, Progress, TrainingStep, Validated
from glrp_napari.models import Architecture, Card, Model, Preprocessing, Settings, save_model_files
from glrp_napari.segment import Segmenter
from glrp_napari.unet import UNet
from glrp_napari.weights import blank_card, encode_weights, load_network
from glrp_training.cache import gather_labelled, gather_unlabelled
from glrp_training.checkpoint import Checkpoint, fingerprint, locate_checkpoint
from glrp_training.dataset import Dataset, pick_middle_slices
from glrp_training.evaluate import Score, Summary, summarise
from glrp_training.finetune import FinetuneSettings, Material, finetune
from glrp_training.sampling import count_steps
from glrp_training.score import Case, list_cases, score_cases
from glrp_training.slices import Slices, join_slices, prepare_phantoms


class DatasetFit(Settings):
    """Training on a data set: which part, how large a network, and what is mixed in.

    `labelled` takes only the first k patients of `split`, `labelled_slices` only so many slices of theirs, from the
    middle of different patients first. With `unlabelled` the images of the whole part are learned from too, without
    their masks (method §8). `epochs` and `min_steps` replace the steps of `finetuning` as `count_steps` says. Every
    `validate_every` steps the network is scored on the part `validate_on` (None: never) and the best one kept.
    `phantoms` is the number of phantom hearts in the mix.
    """

    split: str = "train"
    labelled: int | None = None
    labelled_slices: int | None = None
    unlabelled: bool = False
    validate_on: str | None = "val"
    validate_every: int = 250
    phantoms: int = 60
    epochs: int | None = None
    min_steps: int = 0
    architecture: Architecture = Architecture()
    preprocessing: Preprocessing = Preprocessing()
    finetuning: FinetuneSettings = FinetuneSettings()


def fit_dataset(
    dataset: Dataset,
    settings: DatasetFit,
    folder: Path,
    name: str,
    title: str,
    placement: Placement,
    base: Model | None = None,
    cache: Path | None = None,
) -> Iterator[Progress | TrainingStep | Validated | Notice]:
    """Train the model `name` into `folder`, from scratch or from `base`; the file there is always the best so far.

    Killed, it goes on from `<name>.checkpoint` beside the model when it is called again. Raises ValueError when the
    part of the split to train or to validate on holds no label, CheckpointError when the checkpoint is of other
    settings or data or when there is a finished model of that name.
    """
    path = locate_checkpoint(folder, name)
    if settings.validate_on and not dataset.select_labelled(settings.validate_on):
        raise ValueError(f"found no labelled frame in the part {settings.validate_on!r}, expected some to validate on")
    material = yield from _gather(dataset, settings, cache)
    settings = _count_steps(settings, len(material.slices))
    cases = list(list_cases(dataset, settings.validate_on)) if settings.validate_on else []
    torch.manual_seed(settings.finetuning.seed)
    network = load_network(base) if base else UNet(settings.architecture)
    card = _describe_fit(dataset, settings, name, title, base)
    checkpoint = Checkpoint(path, _identify(card, material, base))
    for event in finetune(network, material, settings.finetuning, placement, checkpoint):
        yield event
        if not isinstance(event, TrainingStep) or not _is_due(event, settings.validate_every):
            continue
        figures = _score(network, cases, settings.preprocessing, placement)
        if cases:
            yield Validated(step=event.step, dice={name: row["dice"] or 0.0 for name, row in figures.items()})
        dice = (figures["mean"]["dice"] or 0.0) if cases else float(event.step)  # unvalidated, the last one counts
        if dice > checkpoint.notes.get("best", -1.0):
            checkpoint.notes["best"] = dice
            known: dict[str, Any] = {"step": event.step}
            known |= {str(settings.validate_on): figures} if cases else {}
            save_model_files(folder, card.model_copy(update={"figures": known}), encode_weights(network))
    checkpoint.remove()


def _score(network: UNet, cases: Sequence[Case], preprocessing: Preprocessing, placement: Placement) -> Summary:
    """How good the network is now, as the product uses it."""
    segmenter = Segmenter((network,), preprocessing, placement)
    return summarise([event for event in score_cases(cases, segmenter, len(cases)) if isinstance(event, Score)])


def _gather(dataset: Dataset, settings: DatasetFit, cache: Path | None) -> Generator[Progress, None, Material]:
    items = dataset.select_labelled(settings.split, settings.labelled)
    chosen = None if settings.labelled_slices is None else pick_middle_slices(items, settings.labelled_slices)
    slices = yield from gather_labelled(dataset, items, settings.preprocessing, cache, chosen)
    images = None
    if settings.unlabelled:
        everything = dataset.select(settings.split)
        images = (yield from gather_unlabelled(everything, settings.preprocessing, cache)).images
    rehearsal = yield from _make_phantoms(settings)
    return Material(slices, settings.preprocessing.size, rehearsal, images)


def _make_phantoms(settings: DatasetFit) -> Generator[Progress, None, Slices | None]:
    made: list[Slices] = []
    for slices in prepare_phantoms(range(settings.phantoms), settings.preprocessing):
        made.append(slices)
        yield Progress(stage="Making phantoms", done=len(made), total=2 * settings.phantoms)
    return join_slices(made) if made else None


def _count_steps(settings: DatasetFit, slices: int) -> DatasetFit:
    """The settings with the steps that `epochs` and `min_steps` come to."""
    own = settings.finetuning
    if settings.epochs is None:
        return settings
    rehearsed = round(own.batch * own.rehearsal_share) if settings.phantoms else 0
    steps = count_steps(slices, own.batch - rehearsed, settings.epochs, settings.min_steps)
    return settings.model_copy(update={"finetuning": own.model_copy(update={"steps": steps})})


def _is_due(event: TrainingStep, every: int) -> bool:
    return event.step % every == 0 or event.step == event.total


def _identify(card: Card, material: Material, base: Model | None) -> str:
    """What a run that is resumed must share with the one that was killed."""
    rehearsal = material.rehearsal
    tensors = [material.slices.images, material.slices.masks, material.unlabelled]
    tensors += [rehearsal.images, rehearsal.masks] if rehearsal else []
    parent = base.card.weights_sha256 if base else ""
    return fingerprint(card, *(tensor for tensor in tensors if tensor is not None)) + parent


def _describe_fit(dataset: Dataset, settings: DatasetFit, name: str, title: str, base: Model | None) -> Card:
    return blank_card(
        name=name,
        title=title,
        architecture=settings.architecture,
        preprocessing=settings.preprocessing,
        parent=base.card.name if base else None,
        licence=dataset.licence,
        citation=dataset.citation,
        training={"data": dataset.name, **settings.model_dump(mode="json", exclude={"architecture", "preprocessing"})},
    )
