"""A fine-tuned model made anew from its card, its base and the library: are the weights the same?"""

from collections.abc import Collection, Generator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glrp_napari.device import Placement
from glrp_napari.hashing import hash_bytes
from glrp_napari.library import Label, LibraryError, Protocol, list_labels
from glrp_napari.messages import Notice, Progress, StudyFile, TrainingStep, Validated
from glrp_napari.models import Model, ModelError
from glrp_napari.segment import Segmenter
from glrp_napari.weights import encode_weights, load_network
from glrp_training.adapt import hash_slices
from glrp_training.finetune import FinetuneSettings
from glrp_training.holdout import Fold
from glrp_training.recall import hash_study_file, recall
from glrp_training.slices import join_slices, prepare_label
from glrp_training.trial import Trial
from glrp_training.unfinished import Job, store_unfinished


@dataclass(frozen=True)
class Refit:
    """What a refit found: the hash in the card, and that of the weights made anew."""

    card_sha256: str
    found_sha256: str

    @property
    def is_same(self) -> bool:
        """Whether the weights are the same, bit for bit."""
        return self.card_sha256 == self.found_sha256


def refit(
    model: Model, base: Model, library: Path, placement: Placement, study: StudyFile | None = None
) -> Generator[Progress | Notice | TrainingStep | Validated, None, Refit]:
    """Train `model` anew. It takes all that its card names: the base, the labels and, where one took part, the study.

    Raises ModelError for a card that is no fine-tuned model's, another base or another study; LibraryError for labels
    that are gone or were changed since.
    """
    recipe = _read_recipe(model, base, study)
    labels = _find_labels(library, recipe["content"])
    apart = _find_labels(library, recipe["apart"])
    labelled = join_slices(prepare_label(library, label, base.card.preprocessing) for label in labels)
    for row, label in enumerate(labels):
        if hash_slices(labelled, row) != recipe["content"][label.stem]:
            raise LibraryError(
                f"{library}: {label.stem}: found a label that was changed since {model.card.name} was made"
            )
    segmenter = Segmenter((load_network(base),), base.card.preprocessing, placement)
    if study is not None:  # validated, for JSON made strings of the frames
        study = StudyFile.model_validate(study.model_dump() | {"outside": recipe.get("outside", {})})
    protocol = None if recipe.get("protocol") is None else Protocol.model_validate(recipe["protocol"])
    memory = yield from recall(segmenter, study, [*labels, *apart], protocol)
    job = Job(
        version=model.card.name,
        title=model.card.title,
        base=base.card.name,
        base_sha256=base.card.weights_sha256,
        library=library.absolute(),
        labels=labels,
        patients=tuple(dict.fromkeys(label.study for label in labels)),
        content=recipe["content"],
        protocol=protocol,
        study=recipe["study"],
        settings=FinetuneSettings.model_validate(recipe["settings"]),
    )
    with TemporaryDirectory() as folder:
        trial = Trial(store_unfinished(Path(folder), job, labelled, memory), base, placement, None)
        yield from trial.retrain(Fold(labels, apart), recipe["steps"], recipe["share"])
    return Refit(model.card.weights_sha256, hash_bytes(encode_weights(trial.network)))


def _read_recipe(model: Model, base: Model, study: StudyFile | None) -> dict[str, Any]:
    recipe, name = model.card.training, model.card.name
    if "content" not in recipe:
        raise ModelError(f"{name}: found no labels in its card, expected a model fine-tuned on a library")
    if recipe["base_sha256"] != base.card.weights_sha256:
        raise ModelError(f"{name}: found {base.card.name} with other weights, expected those it was made from")
    found = hash_study_file(study) if study else None
    if recipe["study"] != found:
        wanted = f"study {recipe['study'][:12]}…" if recipe["study"] else "no study"
        raise ModelError(
            f"{name}: found {found or 'no study'}, expected {wanted}, of which unlabelled slices took part"
        )
    return recipe


def _find_labels(library: Path, content: Collection[str]) -> tuple[Label, ...]:
    """The labels in the order in which the model was trained on them."""
    known = {label.stem: label for label in list_labels(library)}
    if missing := sorted(set(content) - set(known)):
        raise LibraryError(
            f"{library}: found no label {missing[0]}, expected the {len(content)} the model was made from"
        )
    return tuple(known[stem] for stem in content)
