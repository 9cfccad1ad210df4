"""The few-label loop: adapt a base model to the user's library and compare both on labels kept apart."""

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal

from glrp_napari.cine import Structure
from glrp_napari.device import Placement
from glrp_napari.library import Label, LibraryError, list_labels
from glrp_napari.messages import Comparison, FinetuneDone, Notice, Progress, TrainingStep
from glrp_napari.models import Model, Preprocessing, name_version, save_model_files
from glrp_napari.segment import Segmenter
from glrp_napari.unet import UNet
from glrp_napari.weights import blank_card, encode_weights, load_network
from glrp_training.augment import Augmentation
from glrp_training.finetune import FinetuneSettings, Material, finetune
from glrp_training.overlap import measure_dice
from glrp_training.slices import Slices, cut_middle, join_slices, prepare_label, prepare_phantoms

HELD_OUT_EVERY = 5
"""Of a single study, every fifth label is kept apart; fewer labels than this prove nothing."""
REHEARSAL_PHANTOMS = 4
GENTLE = Augmentation(rotation_deg=(-30, 30), scale=(0.85, 1.2), shift_px=10, flip=False)

HeldOut = Literal["patients", "slices", "nothing"]


def adapt(
    library: Path, base: Model, folder: Path, name: str, placement: Placement
) -> Iterator[Progress | TrainingStep | Notice | FinetuneDone]:
    """Fine-tune `base` on the labels in `library`; the new model is saved to `folder` under a free version of `name`.

    Raises LibraryError for an empty library.
    """
    labels = list_labels(library)
    if not labels:
        raise LibraryError(f"{library}: found no accepted labels, expected at least one")
    training, kept, how = hold_out(labels, base.card.labels)
    preprocessing = base.card.preprocessing
    slices = yield from _prepare(library, training, preprocessing)
    rehearsal = join_slices(prepare_phantoms(range(10_000, 10_000 + REHEARSAL_PHANTOMS), preprocessing))
    network, settings = load_network(base), choose_settings(len(training))
    yield from finetune(network, Material(slices, preprocessing.size, rehearsal), settings, placement)
    comparison = Comparison(held_out=how, trained=len(training))
    if kept:
        held_out = yield from _prepare(library, kept, preprocessing)
        before = yield from score_slices(load_network(base), held_out, preprocessing, placement)
        after = yield from score_slices(network, held_out, preprocessing, placement)
        comparison = comparison.model_copy(update={"slices": len(kept), "base": before, "candidate": after})
    version = name_version(name, folder)
    card = blank_card(
        name=version,
        title=f"{name} ({len(training)} labels)",
        parent=base.card.name,
        summary=f"{base.card.title}, fine-tuned on {len(training)} labels",
        licence=base.card.licence,
        citation=base.card.citation,
        architecture=base.card.architecture,
        preprocessing=preprocessing,
        labels=tuple(sorted({*base.card.labels, *(label.stem for label in training)})),
        training=settings.model_dump(mode="json"),
        figures=comparison.model_dump(mode="json"),
    )
    model = save_model_files(folder, card, encode_weights(network))
    yield FinetuneDone(model=model.weights, comparison=comparison)


def hold_out(labels: Sequence[Label], seen: Collection[str] = ()) -> tuple[Sequence[Label], Sequence[Label], HeldOut]:
    """Labels to train on, labels kept apart to validate on, and what keeps them apart.

    `seen` are the stems of labels that the base model, or one before it, was trained on: they prove nothing. Of two
    studies or more, the unseen one with the fewest labels is kept apart; of a single study every fifth label, in
    order of place; with fewer than five labels, or none unseen, nothing is.
    """
    in_order = sorted(labels, key=lambda label: label.stem)
    counts = Counter(label.study for label in in_order)
    known = {label.study for label in in_order if label.stem in seen}
    unseen = [study for study, _ in reversed(counts.most_common()) if study not in known]
    kept: list[Label] = []
    if len(counts) > 1:
        kept = [label for label in in_order if unseen and label.study == unseen[0]]
    elif len(in_order) >= HELD_OUT_EVERY:
        kept = [label for label in in_order[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY] if label.stem not in seen]
    how: HeldOut = "nothing" if not kept else "patients" if len(counts) > 1 else "slices"
    return [label for label in labels if label not in kept], kept, how


def choose_settings(labels: int) -> FinetuneSettings:
    """Short and gentle: more steps for more labels, within three minutes on two cores."""
    return FinetuneSettings(
        steps=min(60 + 10 * labels, 240),
        batch=6,
        rate=5e-5,
        warmup=10,
        rehearsal_share=1 / 3,
        freeze_norm=True,
        augmentation=GENTLE,
    )


def score_slices(
    network: UNet, slices: Slices, preprocessing: Preprocessing, placement: Placement
) -> Generator[Notice, None, dict[str, float]]:
    """Dice of each structure, and "mean", over all pixels of the slices, on the network's grid (returned)."""
    segmenter = Segmenter((network,), preprocessing, placement)
    predicted = yield from segmenter.predict(cut_middle(slices.images, preprocessing.size).float())
    labels, truth = predicted.argmax(1), cut_middle(slices.masks, preprocessing.size)
    dice = {s.name: measure_dice((labels == s).numpy(), (truth == s).numpy()) for s in Structure}
    known = {structure: value for structure, value in dice.items() if value is not None}
    return {**known, "mean": sum(known.values()) / max(len(known), 1)}


def _prepare(library: Path, labels: Sequence[Label], preprocessing: Preprocessing) -> Generator[Progress, None, Slices]:
    parts = []
    for label in labels:
        parts.append(prepare_label(library, label, preprocessing))
        yield Progress(stage="Reading labels", done=len(parts), total=len(labels))
    return join_slices(parts)
