"""The few-label loop: adapt a base model to the user's library, and measure whether that helped.

First the final training, on all labels; then, where no patients are kept out of it, up to three further trainings that
each leave some out and stand for it, compared with the model in use; then base and new model on phantoms and where the
base was sure. What follows from the figures is `glrp_napari.gate`'s to say.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from glrp_napari.comparison import SettledPhases
from glrp_napari.device import Placement
from glrp_napari.gate import decide
from glrp_napari.hashing import hash_bytes
from glrp_napari.library import Label, LibraryError, load_slice
from glrp_napari.library.phases import load_phases
from glrp_napari.messages import (
    FinetuneDone,
    Interrupted,
    Notice,
    Progress,
    StudyFile,
    TrainingStep,
    Validated,
)
from glrp_napari.models import Card, Model, ModelError, Preprocessing, find_free_name, name_version, save_model_files
from glrp_napari.segment import Segmenter
from glrp_napari.session import UNFINISHED
from glrp_napari.weights import blank_card, encode_weights, load_network
from glrp_training.augment import Augmentation
from glrp_training.checkpoint import write_patiently
from glrp_training.consistency import Consistency
from glrp_training.conventions import find_protocol
from glrp_training.finetune import FinetuneSettings
from glrp_training.holdout import freeze_where_allowed
from glrp_training.label_copy import copy_labels, tell_missing
from glrp_training.optimise import NotFiniteError
from glrp_training.recall import hash_study_file, recall
from glrp_training.slices import Slices, join_slices, prepare_label, weigh_all
from glrp_training.trial import Trial
from glrp_training.unfinished import Job, Unfinished, hold, load_unfinished, store_unfinished

LEAST_STEPS = 10
"""A training cancelled earlier leaves nothing worth keeping."""
GENTLE = Augmentation(rotation_deg=(-30, 30), scale=(0.85, 1.2), shift_px=10, flip=False)

Events = Iterator[Progress | TrainingStep | Validated | Notice | FinetuneDone]


def adapt(
    library: Path,
    base: Model,
    folder: Path,
    name: str,
    placement: Placement,
    study: StudyFile | None = None,
    pictures: Path | None = None,
    phases: SettledPhases | None = None,
    in_use: Model | None = None,
    may_write: bool = False,
) -> Events:
    """Fine-tune `base` on the labels in `library`; the new model is saved to `folder` under a free version of `name`.

    Labels outside base and apex are left out. Of a fused base its first network is fine-tuned. Unlabelled slices of
    `study` take part; `phases` are its ED and ES, where they are known; those of others are in the library. The new
    model is compared with the one `in_use`, with the base where there is none. `may_write` says that the library is
    claimed already, else it is claimed for a moment. Interrupted (the exception is thrown in), what there is by then is
    saved and the comparison is not complete; closed, it can be resumed. Raises LibraryError for a library without
    labels to learn from, ModelError for a model that corrects the bias field, UnfinishedError where another process
    fine-tunes into the folder.
    """
    with hold(folder):
        begun = begin(library, base, folder, name, placement, study, phases or {}, in_use, may_write)
        unfinished = yield from begun
        yield from complete(unfinished, base, folder, placement, pictures)


def resume(base: Model, folder: Path, placement: Placement, pictures: Path | None = None) -> Events:
    """Go on with the fine-tuning that was interrupted in `folder`. Raises UnfinishedError where none can go on."""
    with hold(folder):
        yield from complete(load_unfinished(folder, base), base, folder, placement, pictures)


def begin(
    library: Path,
    base: Model,
    folder: Path,
    name: str,
    placement: Placement,
    study: StudyFile | None,
    phases: SettledPhases,
    in_use: Model | None,
    may_write: bool,
) -> Generator[Progress | Notice, None, Unfinished]:
    """Gather all that the training needs and store it."""
    if in_use is not None and in_use.card.weights_sha256 == base.card.weights_sha256:
        in_use = None
    for model in filter(None, (base, in_use)):
        _check_bias(model)
    copied = folder / f"{UNFINISHED}.labels"  # an earlier job stays until this one is stored
    whole = copy_labels(library, copied)
    yield from tell_missing(library, whole)
    labels = yield from _leave_out(library, copied, whole)
    if len({label.protocol for label in labels}) > 1:
        yield Notice(text="The labels do not all carry the same conventions, so the training follows none.")
    labelled = yield from _prepare(copied, labels, base.card.preprocessing)
    segmenter = Segmenter((load_network(base),), base.card.preprocessing, placement)
    protocol = find_protocol(labels)
    memory = yield from recall(segmenter, study, labels, protocol)
    patients = yield from freeze_where_allowed(library, labels, may_write)
    job = Job(
        version=name_version(name, folder),
        title=f"{name} ({len(labels)} labels)",
        base=base.card.name,
        base_sha256=base.card.weights_sha256,
        in_use=in_use.card.name if in_use else None,
        in_use_sha256=in_use.card.weights_sha256 if in_use else None,
        library=library.absolute(),
        labels=labels,
        patients=patients,
        content={label.stem: hash_slices(labelled, row) for row, label in enumerate(labels)},
        protocol=protocol,
        study=hash_study_file(study) if study else None,
        outside=study.outside if study else {},
        settings=choose_settings(len(labels)),
        phases=(yield from _find_phases(library)) | phases,
    )
    return store_unfinished(folder, job, labelled, memory, copied, in_use)


def complete(unfinished: Unfinished, base: Model, folder: Path, placement: Placement, pictures: Path | None) -> Events:
    """Train, check and save; where either breaks off, what there is by then."""
    trial = Trial(unfinished, base, placement, pictures)
    try:
        yield from trial.train()
        yield from trial.check()
    except (Interrupted, NotFiniteError) as error:
        if trial.steps < LEAST_STEPS:
            unfinished.remove()
            raise
        if isinstance(error, NotFiniteError):
            yield Notice(text=f"The training broke off after step {trial.steps} ({error}); what there was is kept.")
        trial.hurry()
    weights = encode_weights(trial.network)
    card = describe_candidate(trial, unfinished.job, base, choose_name(unfinished.job.version, folder, weights))
    model = yield from write_patiently(lambda: save_model_files(folder, card, weights), folder)
    unfinished.remove()
    yield FinetuneDone(model=model.weights, comparison=trial.comparison)


def choose_name(version: str, folder: Path, weights: bytes) -> str:
    """The name the new model began with, or a version of it where that was taken meanwhile, as by an import.

    It is not taken by the same weights: these were saved, and then a crash came before the job was gone.
    """
    path = folder / f"{version}.safetensors"
    return version if path.exists() and path.read_bytes() == weights else find_free_name(version, folder)


def describe_candidate(trial: Trial, job: Job, base: Model, name: str) -> Card:
    """The new model's card: what it was made from and how it was found to be."""
    trained = trial.plan.training
    return blank_card(
        name=name,
        title=job.title,
        parent=base.card.name,
        summary=f"{base.card.title}, fine-tuned on {len(trained)} labels",
        licence=base.card.licence,
        citation=base.card.citation,
        architecture=base.card.architecture,
        preprocessing=base.card.preprocessing,
        muscle=trial.muscle,
        labels=tuple(sorted({*base.card.labels, *(label.stem for label in trained)})),
        training={
            "base_sha256": job.base_sha256,
            "steps": trial.steps,
            "share": trial.share,
            "study": job.study,
            "outside": job.outside,
            "protocol": None if job.protocol is None else job.protocol.model_dump(mode="json"),
            "content": {label.stem: job.content[label.stem] for label in job.labels if label in trained},
            "apart": [label.stem for label in trial.plan.apart],
            "settings": job.settings.model_dump(mode="json"),
        },
        figures={
            "verdict": decide(trial.comparison).sentence,
            **trial.comparison.model_dump(mode="json", exclude={"changed"}),
        },
    )


def choose_settings(labels: int) -> FinetuneSettings:
    """Few and gentle steps for few labels, within three minutes on two cores for ten."""
    return FinetuneSettings(
        steps=min(48 + 8 * labels, 160),
        batch=6,
        rate=1e-4,
        warmup=10,
        rehearsal_share=1 / 3,
        freeze_norm=True,
        augmentation=GENTLE,
        consistency=Consistency(batch=3, weight=0.5, ramp=30, decay=0.98),
    )


def hash_slices(slices: Slices, row: int) -> str:
    """What tells one prepared label from another: image, mask and weights."""
    parts = (slices.images[row], slices.masks[row], weigh_all(slices)[row])
    return hash_bytes(b"".join(part.numpy().tobytes() for part in parts))


def _check_bias(model: Model) -> None:
    if model.card.preprocessing.n4:
        raise ModelError(
            f"{model.card.name}: found a model that corrects the bias field of a whole frame first (n4), expected one "
            "that does not: labels are single slices, so choose another model to fine-tune"
        )


def _leave_out(library: Path, copied: Path, labels: tuple[Label, ...]) -> Generator[Notice, None, tuple[Label, ...]]:
    """The labels between base and apex, but those of studies in which nothing is drawn, and a word on how many are
    not.
    """
    inside = tuple(label for label in labels if not label.outside)
    drawn = {label.study for label in inside if load_slice(copied, label)[1].any()}
    useful = tuple(label for label in inside if label.study in drawn)
    if not useful:
        raise LibraryError(
            f"{library}: found only labels that are empty, or outside base and apex, expected at least one between them"
        )
    if left := len(labels) - len(inside):
        yield Notice(text=f"{left} of {len(labels)} labels left out: outside base and apex.")
    if left := len(inside) - len(useful):
        yield Notice(text=f"{left} of {len(labels)} labels left out: in their studies nothing is drawn.")
    return useful


def _find_phases(library: Path) -> Generator[Notice, None, SettledPhases]:
    """Those kept with the library; where they are damaged none, and a word: only the volumes compared need them."""
    try:
        return load_phases(library)
    except LibraryError as error:
        yield Notice(text=f"{error}. Volumes are compared without them.")
        return {}


def _prepare(library: Path, labels: Sequence[Label], preprocessing: Preprocessing) -> Generator[Progress, None, Slices]:
    parts = []
    for label in labels:
        parts.append(prepare_label(library, label, preprocessing))
        yield Progress(stage="Reading labels", done=len(parts), total=len(labels))
    return join_slices(parts)
