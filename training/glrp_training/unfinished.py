"""A fine-tuning on disk from before its first step until its model is saved, so that it can go on after a crash.

The folder holds all that the training needs, slices included: labels removed, or a study closed, meanwhile change
nothing. Knows nothing of how it is trained.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from glrp_napari.comparison import SettledPhases
from glrp_napari.library import Label, Protocol
from glrp_napari.models import Cavity, Model, ModelError, Settings, find_model, save_model_files
from glrp_napari.reasons import name_fault
from glrp_napari.session import UNFINISHED, UNFINISHED_JOB, UNFINISHED_LOCK
from glrp_napari.writing.atomic import write_atomically
from glrp_training.checkpoint import Checkpoint
from glrp_training.entries import Arrays, load_entry, save_entry
from glrp_training.finetune import FinetuneSettings
from glrp_training.recall import Memory
from glrp_training.slices import Slices, weigh_all

CHECKPOINT_EVERY_S = 15.0
STEPS = "steps taken and share"
MUSCLE = "muscle"
SEEN = "Dice and steps"
CAVITIES: tuple[Cavity, ...] = get_args(Cavity)
LABELS = "labels"
"""Within the job's folder: its own copy of its labels."""
IN_USE = "in-use"
"""Within the job's folder: its own copy of the model that was in use."""


class UnfinishedError(ValueError):
    """An interrupted fine-tuning cannot go on; says which file, what was found and what was expected."""


class Job(Settings):
    """What was begun: the new model's name and title, the base and its hash, all labels, and the settings.

    `in_use` is the model that the new one is compared with and the hash of its weights, None where that is the base.
    `patients` are in the order of the library's manifest. `protocol` are the conventions that all labels follow, by
    which it is rehearsed and tested too; None where they are not known or not one.
    `content` is a hash of each label's slices by stem; `study` that of the study whose unlabelled slices take part but
    for those `outside` (slices by frame). `phases` are ED and ES by study, where they are known.
    """

    format_version: Literal[1] = 1
    version: str
    title: str
    base: str
    base_sha256: str
    in_use: str | None = None
    in_use_sha256: str | None = None
    library: Path
    labels: tuple[Label, ...]
    patients: tuple[str, ...]
    content: dict[str, str]
    protocol: Protocol | None = None
    study: str | None = None
    outside: dict[int, tuple[int, ...]] = Field(default={})
    settings: FinetuneSettings = FinetuneSettings()
    phases: SettledPhases = Field(default={})


@dataclass(frozen=True, eq=False)
class Best:
    """The weights after so many steps that had the highest mean Dice on slices kept apart."""

    dice: float
    steps: int
    state: Mapping[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A job with the slices it learns from: one of `labelled` a label, in the job's order.

    `in_use` is the model that the new one is compared with, None where that is the base.
    """

    folder: Path
    job: Job
    labelled: Slices
    memory: Memory
    in_use: Model | None = None

    @property
    def labels(self) -> Path:
        """The library as it was when the job began."""
        return self.folder / LABELS

    @property
    def checkpoint(self) -> Checkpoint:
        """Of the final training."""
        identity = f"{self.job.base_sha256} {self.job.model_dump_json()}"
        return Checkpoint(self.folder / "training.checkpoint", identity, every_s=CHECKPOINT_EVERY_S)

    def store_trained(
        self, state: Mapping[str, torch.Tensor], steps: int, share: float, muscle: Sequence[Cavity]
    ) -> None:
        """Keep the outcome of the final training while it is being checked."""
        outcome = {STEPS: np.array([steps, share]), MUSCLE: np.array([CAVITIES.index(cavity) for cavity in muscle])}
        save_entry(self.folder / "trained.safetensors", _to_arrays(state) | outcome)

    def load_trained(self) -> tuple[dict[str, torch.Tensor], int, float, tuple[Cavity, ...]] | None:
        """The network's state after the final training, its steps, the share of the way it then went, and the cavities
        whose muscle is taken out of its answers; None while it is not done.
        """
        arrays = load_entry(self.folder / "trained.safetensors")
        if arrays is None:
            return None
        steps, share = arrays.pop(STEPS)
        muscle = tuple(CAVITIES[int(index)] for index in arrays.pop(MUSCLE, ()))
        return _to_tensors(arrays), int(steps), float(share), muscle

    def store_best(self, best: Best) -> None:
        """Keep the best that was seen so far: whoever cancels wants it, also after a crash."""
        save_entry(self.folder / "best.safetensors", _to_arrays(best.state) | {SEEN: np.array([best.dice, best.steps])})

    def load_best(self) -> Best | None:
        """What `store_best` kept last; None where there is nothing."""
        arrays = load_entry(self.folder / "best.safetensors")
        if arrays is None:
            return None
        dice, steps = arrays.pop(SEEN)
        return Best(float(dice), int(steps), _to_tensors(arrays))

    def remove(self) -> None:
        """Delete the folder: the model is saved, or no longer wanted."""
        shutil.rmtree(self.folder, ignore_errors=True)


def store_unfinished(
    models: Path,
    job: Job,
    labelled: Slices,
    memory: Memory,
    labels: Path | None = None,
    in_use: Model | None = None,
) -> Unfinished:
    """Write a job that is to begin, in place of one that was there. The job's file, written last, makes it count.

    `labels` is the folder with the copy of its labels, which is moved into the job's; None where none is judged by. The
    model `in_use` is copied: it may be gone when the job goes on.
    """
    folder = models / UNFINISHED
    shutil.rmtree(folder, ignore_errors=True)
    if labels is not None:
        folder.mkdir(parents=True)
        labels.rename(folder / LABELS)
    if in_use is not None:
        in_use = save_model_files(folder / IN_USE, in_use.card, in_use.weights.read_bytes())
    slices = {
        "labelled": labelled,
        "phantoms": memory.phantoms,
        "answers": memory.answers,
        "tried": memory.tried,
        "agreed": memory.agreed,
    }
    tensors = {f"{name}.{field}": t for name, s in slices.items() if s for field, t in _name_tensors(s).items()}
    if memory.unlabelled is not None:
        tensors["unlabelled"] = memory.unlabelled
    save_entry(folder / "slices.safetensors", {name: tensor.numpy() for name, tensor in tensors.items()})
    write_atomically(folder / UNFINISHED_JOB, job.model_dump_json(indent=1).encode() + b"\n")
    return Unfinished(folder, job, labelled, memory, in_use)


def load_unfinished(models: Path, base: Model) -> Unfinished:
    """The interrupted job in a folder of models. Raises UnfinishedError where there is none that can go on."""
    folder = models / UNFINISHED
    job = load_job(models)
    if job is None:
        raise UnfinishedError(f"{folder}: found no interrupted fine-tuning, expected {UNFINISHED_JOB} in it")
    if job.base_sha256 != base.card.weights_sha256:
        again = f"choose {job.base} under Segment and resume then"
        if job.base == base.card.name:
            again = "its weights were replaced since, so discard the fine-tuning and begin anew"
        raise UnfinishedError(f"{folder}: found a fine-tuning of {job.base}, expected one of {base.card.name}: {again}")
    arrays = load_entry(folder / "slices.safetensors")
    if arrays is None:
        raise UnfinishedError(f"{folder}: found damaged slices, expected those of the job; begin anew")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    phantoms, labelled = _take(tensors, "phantoms"), _take(tensors, "labelled")
    if phantoms is None or labelled is None:
        raise UnfinishedError(f"{folder}: found {sorted(tensors)}, expected labelled slices and phantoms; begin anew")
    answers, tried, agreed = (_take(tensors, name) for name in ("answers", "tried", "agreed"))
    memory = Memory(phantoms, answers, tensors.get("unlabelled"), tried, agreed)
    return Unfinished(folder, job, labelled, memory, _load_in_use(folder, job))


def load_job(models: Path) -> Job | None:
    """The interrupted job's description, None where there is none. Raises UnfinishedError for a damaged one."""
    path = models / UNFINISHED / UNFINISHED_JOB
    try:
        return Job.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UnfinishedError(f"{path}: {name_fault(error)}, expected a fine-tuning of format 1") from None


@contextmanager
def hold(models: Path) -> Iterator[None]:
    """Be the only one who fine-tunes into a folder. Raises UnfinishedError where another process does."""
    models.mkdir(parents=True, exist_ok=True)
    lock = FileLock(models / UNFINISHED_LOCK, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UnfinishedError(
            f"{models}: found another fine-tuning at work there, expected none: wait until it is done"
        ) from None
    try:
        yield
    finally:
        lock.release()


def choose_rows(labels: Sequence[Label], chosen: Sequence[Label]) -> torch.Tensor:
    """Where the chosen labels stand among all."""
    stems = {label.stem for label in chosen}
    return torch.tensor([i for i, label in enumerate(labels) if label.stem in stems])


def _load_in_use(folder: Path, job: Job) -> Model | None:
    if job.in_use is None:
        return None
    weights = folder / IN_USE / f"{job.in_use}.safetensors"
    try:
        model = find_model(str(weights))
    except ModelError as error:
        raise UnfinishedError(f"{error}; begin anew") from None
    if model.card.weights_sha256 != job.in_use_sha256:
        raise UnfinishedError(f"{weights}: found other weights, expected those the job began with; begin anew")
    return model


def _to_arrays(state: Mapping[str, torch.Tensor]) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}


def _to_tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _name_tensors(slices: Slices) -> dict[str, torch.Tensor]:
    return {"images": slices.images, "masks": slices.masks, "weights": weigh_all(slices)}


def _take(tensors: dict[str, torch.Tensor], name: str) -> Slices | None:
    if f"{name}.images" not in tensors:
        return None
    return Slices(*(tensors[f"{name}.{field}"] for field in ("images", "masks", "weights")))
