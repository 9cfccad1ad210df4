"""A study: every cell of a table — strategy × labelled patients × seed — pre-trained, fine-tuned and scored.

Files are the truth: what is there already is not computed again, so a study that was killed goes on where it was.
"""

import json
import time
import tomllib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator

from glrp_napari.device import Placement
from glrp_napari.messages import Notice, Progress, TrainingStep, Validated
from glrp_napari.models import Model, Settings, find_model
from glrp_napari.reasons import name_fault
from glrp_napari.refine import CrfSettings
from glrp_napari.segment import open_model
from glrp_napari.writing.atomic import write_atomically
from glrp_training.dataset import Dataset
from glrp_training.encode import EncoderFit, fit_encoder
from glrp_training.evaluate import Score, assign_phases, save_scores
from glrp_training.fit import DatasetFit, fit_dataset
from glrp_training.fuse import fuse_models
from glrp_training.score import count_cases, list_cases, score_cases
from glrp_training.targets import STRATEGIES

SCRATCH = "random"
"""The strategy that pre-trains nothing."""
FUSED = "fused"
"""The cell in which the networks of several strategies answer together."""

Event = Progress | TrainingStep | Validated | Notice


class StudyError(ValueError):
    """A study's file or folder is unusable; says which, what was found and what was expected."""


class Study(Settings):
    """What is compared. The encoder takes the architecture and the preprocessing of `fit`.

    `labelled` are numbers of patients, or of slices if `of_slices`. The networks of the strategies in `fuse` are also
    fused for each number and seed, and scored with and without CRF and clean-up (paper Table 3 takes them apart).
    """

    title: str
    strategies: tuple[str, ...]
    labelled: tuple[int, ...]
    of_slices: bool = False
    seeds: tuple[int, ...] = (0,)
    score_on: str = "test"
    fuse: tuple[str, ...] = ()
    encoder: EncoderFit = EncoderFit()
    fit: DatasetFit = DatasetFit()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        """Hours of computing should not end in a misspelt name."""
        for name in self.strategies:
            if name not in STRATEGIES:
                raise ValueError(f"found strategy {name}, expected some of {', '.join(STRATEGIES)}")
        if not set(self.fuse) <= set(self.strategies):
            raise ValueError(f"found {', '.join(self.fuse)} to fuse, expected some of the study's strategies")
        if min(self.labelled, default=0) < 1:
            raise ValueError(f"found labelled = {self.labelled}, expected numbers from 1")
        return self


@dataclass(frozen=True)
class Cell:
    """One number of the table: fine-tuned from `strategy` on so many labelled patients (or slices) with this seed."""

    strategy: str
    labelled: int
    seed: int
    crf: bool = False
    clean: bool = True

    @property
    def network(self) -> str:
        """Name of its network, fit for a file: `glrp-10-0`."""
        return f"{self.strategy}-{self.labelled}-{self.seed}"

    @property
    def name(self) -> str:
        """Its network's name and what differs from the product's refinement."""
        return self.network + ("-crf" if self.crf else "") + ("" if self.clean else "-raw")


@dataclass(frozen=True)
class Outcome:
    """A cell with its scores, as `evaluate.summarise` gives them, and the seconds that its trainings took."""

    cell: Cell
    figures: dict[str, dict[str, float | int | None]]
    pretraining_s: float
    finetuning_s: float


def load_study(path: Path) -> Study:
    """A study's file (TOML). Raises StudyError when it is malformed."""
    try:
        return Study.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        what = name_fault(error) if isinstance(error, ValidationError) else str(error)
        raise StudyError(f"{path}: {what}, expected the description of a study") from None


def run_study(
    study: Study, dataset: Dataset, out: Path, placement: Placement, cache: Path | None = None
) -> Iterator[Event]:
    """Compute what is missing in the folder `out`. Raises StudyError where that belongs to another study or data set.

    Leaves `encoders/`, `models/` and, for each cell, `scores/<cell>/`; `read_outcomes` collects them.
    """
    _claim(out, study, dataset)
    bench = _Bench(study, dataset, out, placement, cache)
    cells = list_cells(study)
    started = time.monotonic()
    for done, cell in enumerate(cells, 1):
        yield from bench.compute(cell)
        left = (time.monotonic() - started) / done * (len(cells) - done)
        yield Progress(stage=study.title, done=done, total=len(cells), seconds_left=left)


def list_cells(study: Study) -> list[Cell]:
    """All cells in the order of computing: by number of labels; those that fuse the networks of others come last."""
    grid = product(study.labelled, study.strategies, study.seeds)
    alone = [Cell(strategy, labelled, seed) for labelled, strategy, seed in grid]
    refined = product(study.labelled, study.seeds, (False, True), (False, True))
    each = (*study.fuse, FUSED) if study.fuse else ()
    factorial = [Cell(s, labelled, seed, crf, clean) for labelled, seed, crf, clean in refined for s in each]
    return list(dict.fromkeys([*alone, *factorial]))


def read_outcomes(study: Study, out: Path) -> list[Outcome]:
    """The cells that are computed, in the order of `list_cells`."""
    seconds = _read_seconds(out)
    done = [cell for cell in list_cells(study) if _scores(out, cell).exists()]
    return [
        Outcome(
            cell,
            json.loads(_scores(out, cell).read_text()),
            seconds.get(f"encoders/{cell.strategy}-{cell.seed}", 0.0),
            seconds.get(f"models/{cell.network}", 0.0),
        )
        for cell in done
    ]


@dataclass(frozen=True, eq=False)
class _Bench:
    """What every task of a study needs."""

    study: Study
    dataset: Dataset
    out: Path
    placement: Placement
    cache: Path | None

    def compute(self, cell: Cell) -> Iterator[Event]:
        """Train the cell's network, or fuse those of others, and score it."""
        if _scores(self.out, cell).exists():
            return
        model = self._fuse(cell) if cell.strategy == FUSED else (yield from self._finetune(cell))
        folder = self.out / "scores" / cell.name
        folder.mkdir(parents=True, exist_ok=True)
        cases = list_cases(self.dataset, self.study.score_on)
        total = count_cases(self.dataset, self.study.score_on)
        segmenter = open_model(model, self.placement)
        scores = []
        for event in score_cases(cases, segmenter, total, crf=CrfSettings() if cell.crf else None, clean=cell.clean):
            if isinstance(event, Score):
                scores.append(event)
            else:
                yield event
        save_scores(assign_phases(scores), folder)

    def _pretrain(self, strategy: str, seed: int) -> Generator[Event, None, Model]:
        """The encoder that all cells of a strategy and seed start from."""
        name = f"{strategy}-{seed}"
        weights = self.out / "encoders" / f"{name}.safetensors"
        if weights.with_suffix(".json").exists():
            return find_model(str(weights))
        own, fit = self.study.encoder, self.study.fit
        settings = own.model_copy(
            update={
                "architecture": fit.architecture,
                "preprocessing": fit.preprocessing,
                "pretraining": own.pretraining.model_copy(update={"strategy": strategy, "seed": seed}),
            }
        )
        events = fit_encoder(self.dataset, settings, self.out / "encoders", name, self.placement, self.cache)
        yield from _time_steps(events, self.out, f"encoders/{name}")
        return find_model(str(weights))

    def _finetune(self, cell: Cell) -> Generator[Event, None, Model]:
        folder, weights = self.out / "models", self.out / "models" / f"{cell.network}.safetensors"
        if weights.exists() and not weights.with_suffix(".checkpoint").exists():
            return find_model(str(weights))
        fit = self.study.fit
        settings = fit.model_copy(
            update={
                "labelled_slices" if self.study.of_slices else "labelled": cell.labelled,
                "finetuning": fit.finetuning.model_copy(update={"seed": cell.seed}),
            }
        )
        base = None if cell.strategy == SCRATCH else (yield from self._pretrain(cell.strategy, cell.seed))
        name = cell.network
        events = fit_dataset(self.dataset, settings, folder, name, name, self.placement, base, self.cache)
        yield from _time_steps(events, self.out, f"models/{name}")
        return find_model(str(weights))

    def _fuse(self, cell: Cell) -> Model:
        folder = self.out / "models"
        members = {s: find_model(str(folder / f"{s}-{cell.labelled}-{cell.seed}.safetensors")) for s in self.study.fuse}
        return fuse_models(members, folder, cell.network)


def _claim(out: Path, study: Study, dataset: Dataset) -> None:
    """Mark a folder as this study's, or find that it is. Refuses labels that there are not."""
    if not dataset.select_labelled(study.score_on):
        raise StudyError(f"{out}: found no labelled frame in the part {study.score_on!r}, expected some to score on")
    patients = len({item.patient for item in dataset.select_labelled(study.fit.split)})
    if not study.of_slices and max(study.labelled) > patients:
        raise StudyError(f"{out}: found labelled = {max(study.labelled)}, expected at most {patients} patients")
    path = out / "study.json"
    identity = {"study": study.model_dump(mode="json"), "data": dataset.model_dump(mode="json")}
    if path.exists() and json.loads(path.read_text()) != identity:
        raise StudyError(f"{out}: found the results of another study or data set, expected this one's or a new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(identity, indent=1).encode() + b"\n")


def _time_steps(events: Iterable[Event], out: Path, name: str) -> Iterator[Event]:
    """Pass a training's events on and keep what its steps took: of one that was resumed, what all would have taken."""
    told: list[tuple[int, float]] = []
    for event in events:
        if isinstance(event, TrainingStep):
            told = [*told[:1], (event.step, time.monotonic())]
        yield event
    if told and told[-1][0] > told[0][0]:
        (first, started), (last, ended) = told[0], told[-1]
        known = _read_seconds(out) | {name: (ended - started) * last / (last - first)}
        write_atomically(out / "seconds.json", json.dumps(known, indent=1).encode() + b"\n")


def _read_seconds(out: Path) -> dict[str, float]:
    path = out / "seconds.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _scores(out: Path, cell: Cell) -> Path:
    return out / "scores" / cell.name / "scores.json"
