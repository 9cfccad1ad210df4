"""From a described data set to a model file: assembles slices, trains, validates and writes weights and card."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glrp_napari.cine import Geometry, Mask
from glrp_napari.device import Placement
from glrp_napari.messages import Notice, Progress, TrainingStep, Validated
from glrp_napari.models import Architecture, Card, Model, Preprocessing, Settings, save_model_files
from glrp_napari.segment import FrameResult, Segmenter, segment
from glrp_napari.unet import UNet
from glrp_napari.weights import blank_card, encode_weights, load_network
from glrp_training.dataset import Dataset, Item
from glrp_training.evaluate import Score, score_frame, summarise
from glrp_training.finetune import FinetuneSettings, finetune
from glrp_training.slices import Slices, join_slices, load_item, prepare_items, prepare_phantoms


class DatasetFit(Settings):
    """Training on a data set: which part, how large a network, and what is mixed in.

    `labelled` takes only the first k patients of `split`. Every `validate_every` steps the network is scored on the
    part `validate_on` (None: never) and the best one kept. `phantoms` is the number of phantom hearts in the mix.
    """

    split: str = "train"
    labelled: int | None = None
    validate_on: str | None = "val"
    validate_every: int = 250
    phantoms: int = 60
    architecture: Architecture = Architecture()
    preprocessing: Preprocessing = Preprocessing()
    finetuning: FinetuneSettings = FinetuneSettings()


@dataclass(frozen=True, eq=False)
class Volume:
    """A labelled frame as it is scored: native image and mask (Z, Y, X) and spacing (z, y, x) in mm."""

    case: str
    frame: NDArray[np.float32]
    mask: Mask
    spacing_mm: tuple[float, float, float]


def fit_dataset(
    dataset: Dataset,
    settings: DatasetFit,
    folder: Path,
    name: str,
    title: str,
    placement: Placement,
    base: Model | None = None,
) -> Iterator[Progress | TrainingStep | Validated | Notice]:
    """Train the model `name` into `folder`, from scratch or from `base`; the file there is always the best so far.

    Raises ValueError when the part of the split holds nothing.
    """
    slices, rehearsal = yield from _load_slices(dataset, settings)
    volumes = (
        [load_volume(item, dataset) for item in dataset.select(settings.validate_on)] if settings.validate_on else []
    )
    torch.manual_seed(settings.finetuning.seed)
    network = load_network(base) if base else UNet(settings.architecture)
    card = _describe_fit(dataset, settings, name, title, base)
    best = 0.0
    for event in finetune(network, slices, settings.finetuning, placement, settings.preprocessing.size, rehearsal):
        yield event
        if event.step % settings.validate_every and event.step != event.total:
            continue
        figures = summarise(score_volumes(network, volumes, settings.preprocessing, placement))
        if volumes:
            yield Validated(step=event.step, dice={name: row["dice"] or 0.0 for name, row in figures.items()})
        dice = (figures["mean"]["dice"] or 0.0) if volumes else float(event.step)  # unvalidated, the last one counts
        if dice > best:
            best = dice
            known: dict[str, Any] = {"step": event.step, **({str(settings.validate_on): figures} if volumes else {})}
            save_model_files(folder, card.model_copy(update={"figures": known}), encode_weights(network))


def load_volume(item: Item, dataset: Dataset) -> Volume:
    """A labelled item for scoring."""
    frame, mask, spacing_mm = load_item(item, dataset.label_map)
    return Volume(item.image.name.removesuffix(".nii.gz"), frame, mask, spacing_mm)


def score_volumes(
    network: UNet, volumes: Iterable[Volume], preprocessing: Preprocessing, placement: Placement
) -> list[Score]:
    """Segment labelled frames as the product does, clean-up included, and score them."""
    segmenter = Segmenter(network, preprocessing, placement)
    return [score for volume in volumes for score in _score_volume(segmenter, volume)]


def _score_volume(segmenter: Segmenter, volume: Volume) -> list[Score]:
    events = segment(volume.frame[None], Geometry(spacing_mm=volume.spacing_mm), segmenter)
    result = next(event for event in events if isinstance(event, FrameResult))
    return score_frame(volume.case, result.mask, volume.mask, volume.spacing_mm)


def _load_slices(dataset: Dataset, settings: DatasetFit) -> Generator[Progress, None, tuple[Slices, Slices | None]]:
    items = dataset.select(settings.split, settings.labelled)
    own = yield from _collect(prepare_items(items, dataset, settings.preprocessing), "Reading studies", len(items))
    seeds = range(settings.phantoms)
    made = yield from _collect(prepare_phantoms(seeds, settings.preprocessing), "Making phantoms", 2 * len(seeds))
    return join_slices(own), join_slices(made) if made else None


def _collect(parts: Iterator[Slices], stage: str, total: int) -> Generator[Progress, None, list[Slices]]:
    found = []
    for part in parts:
        found.append(part)
        yield Progress(stage=stage, done=len(found), total=total)
    return found


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
