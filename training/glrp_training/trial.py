"""One fine-tuning carried out: the final training, the trainings that stand for it, and the new model compared with
the one in use.
"""

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from glrp_napari.comparison import Anchor, Comparison
from glrp_napari.device import Placement
from glrp_napari.library import Label
from glrp_napari.messages import Notice, Progress, TrainingStep, Validated
from glrp_napari.models import Cavity, Model
from glrp_napari.segment import Segmenter, open_model
from glrp_napari.unet import UNet
from glrp_napari.weights import load_network
from glrp_training.checkpoint import Checkpoint, write_patiently
from glrp_training.compare import (
    Judged,
    compare_patients,
    judge,
    predict_labels,
    rank_changes,
    save_picture,
    score_slices,
)
from glrp_training.conventions import list_muscle, redraw
from glrp_training.finetune import Material, finetune
from glrp_training.holdout import Fold, group_patients, keeps_apart, plan_validation
from glrp_training.pictures import Pictures
from glrp_training.plateau import Plateau
from glrp_training.recall import (
    TEST_SEEDS,
    TRIAL_SEEDS,
    Memory,
    make_test_phantoms,
    measure_agreement,
    score_phantoms,
)
from glrp_training.slices import Slices, cut_middle, take_slices
from glrp_training.step_back import ALL, USUAL_SHARE, choose_share, step_back
from glrp_training.unfinished import Best, Unfinished, choose_rows

Events = Iterator[Progress | Notice | TrainingStep | Validated]
MAX_WATCHED = 8
WEIGHING = "Weighing old against new"
LOOKS = 6
"""How often a training is looked at on what is kept apart."""


class Trial:
    """A fine-tuning at work: `network`, the `muscle` taken out of its answers, and `comparison` are at any moment what
    there is so far.
    """

    def __init__(self, unfinished: Unfinished, base: Model, placement: Placement, pictures: Path | None) -> None:
        self._unfinished, self._model, self._placement = unfinished, base, placement
        self._pictures = Pictures(pictures)
        job, in_use = unfinished.job, unfinished.in_use or base
        self.plan = plan_validation(job.labels, job.patients, {*base.card.labels, *in_use.card.labels})
        could_be_held_out = plan_validation(job.labels, job.patients).held_out != "nothing"
        self.network = load_network(base)
        self.comparison = Comparison(
            held_out=self.plan.held_out,
            all_seen=self.plan.held_out == "nothing" and could_be_held_out,
            in_use=in_use.card.name,
            started_from=base.card.name,
            trained=len(self.plan.training),
            complete=False,
        )
        self.steps = 0
        self.share = ALL
        self.muscle = base.card.muscle
        self._best = unfinished.load_best()
        self._is_settled = False
        self._origin = load_network(base)
        self._base = self._open(self._origin, base.card.muscle)
        self._in_use = open_model(in_use, placement)

    def train(self) -> Events:
        """The final training; one that was finished before is taken from disk."""
        if (trained := self._unfinished.load_trained()) is not None:
            state, self.steps, self.share, self.muscle = trained
            self._is_settled = True
            self.network.load_state_dict(state)
            return
        watch = Watch(self, self.plan.apart) if self.plan.apart else None
        checkpoint, fold = self._unfinished.checkpoint, Fold(self.plan.training, self.plan.apart)
        for event in self._fit(self.network, fold, "Training", checkpoint, watch):
            self.steps = event.step if isinstance(event, TrainingStep) else max(self.steps, checkpoint.steps)
            if isinstance(event, Validated) and event.dice and (not self._best or event.dice["mean"] > self._best.dice):
                self._best = Best(event.dice["mean"], self.steps, copy.deepcopy(self.network.state_dict()))
                yield from write_patiently(partial(self._unfinished.store_best, self._best), self._unfinished.folder)
            yield event
        self.steps = max(self.steps, checkpoint.steps)  # it may have stood at the last step
        halfway = step_back(self._origin, self.network, USUAL_SHARE)
        self.muscle = yield from self._choose_muscle(halfway, self.plan.training)
        measure = yield from self._prepare_anchor(TRIAL_SEEDS, self._unfinished.memory.tried, WEIGHING)
        self._step_back((yield from choose_share(self._origin, self.network, measure, self._rate)))
        outcome = self.network.state_dict(), self.steps, self.share, self.muscle
        yield from write_patiently(lambda: self._unfinished.store_trained(*outcome), self._unfinished.folder)

    def retrain(self, fold: Fold, steps: int, share: float) -> Events:
        """The final training on exactly these labels, with those kept apart, as a card tells it."""
        yield from self._fit(self.network, fold, "Training", None, None, steps)
        self._step_back(share)

    def hurry(self) -> None:
        """Make the network fit for use although its training was cut short: the best that was seen, else the latest."""
        if self._is_settled:
            return
        if self._best is not None:
            self.steps = self._best.steps
            self.network.load_state_dict(self._best.state)
        self._step_back(USUAL_SHARE)

    def _step_back(self, share: float) -> None:
        self.network, self.share = step_back(self._origin, self.network, share), share
        self._is_settled = True

    def check(self) -> Events:
        """Compare both models; at the end `comparison` is complete."""
        stage = "Old and new model on test hearts"
        measure = yield from self._prepare_anchor(TEST_SEEDS, self._unfinished.memory.agreed, stage)
        anchor = yield from measure(self.network)
        judged = yield from self._judge_all()
        job = self._unfinished.job
        whose = group_patients(job.labels, job.patients)
        changed = yield from rank_changes(judged, self._pictures)
        self.comparison = self.comparison.model_copy(
            update={
                "patients": compare_patients(judged, job.phases, whose),
                "anchor": anchor,
                "changed": changed,
                "complete": True,
            }
        )

    def judge_labels(
        self, network: UNet, labels: Sequence[Label], muscle: Sequence[Cavity]
    ) -> Generator[Progress | Notice, None, list[Judged]]:
        """The answers on labels of the model in use and of a network, the muscle of some cavities taken out of its."""
        library = self._unfinished.labels
        before = yield from predict_labels(self._in_use, library, labels)
        after = yield from predict_labels(self._open(network, muscle), library, labels)
        return judge(library, labels, before, after)

    def _rate(self, network: UNet) -> Generator[Progress | Notice, None, float]:
        """Mean Dice on the labels that are learned from."""
        return (yield from self._score(network, self.plan.training, self.muscle))

    def _choose_muscle(
        self, network: UNet, labels: Sequence[Label]
    ) -> Generator[Progress | Notice, None, tuple[Cavity, ...]]:
        """The cavities whose muscle the labels' protocol does not count, unless that leads away from these labels.

        A network learns such a rule only from many more slices than these, many of which show no muscle at all.
        """
        cavities, corrected = (
            list_muscle(self._unfinished.job.protocol),
            [one for one in labels if one.state == "corrected"],
        )
        if not cavities or not corrected:
            return ()
        plain = yield from self._score(network, corrected, ())
        moved = yield from self._score(network, corrected, cavities)
        return cavities if moved >= plain else ()

    def _score(
        self, network: UNet, labels: Sequence[Label], muscle: Sequence[Cavity]
    ) -> Generator[Progress | Notice, None, float]:
        """Mean Dice on labels."""
        library = self._unfinished.labels
        answers = yield from predict_labels(self._open(network, muscle), library, labels)
        judged = judge(library, labels, answers, answers)
        return score_slices([one.candidate for one in judged], judged).mean_dice

    def show_judged(self, judged: Sequence[Judged], step: int) -> Events:
        """What is seen of a training on slices kept apart."""
        dice = score_slices([one.candidate for one in judged], judged).dice
        means = {**dice, "mean": sum(dice.values()) / max(len(dice), 1)}
        picture = yield from save_picture(self._pictures, f"look-{step % 2}.npz", judged[0])
        yield Validated(step=step, dice=means, picture=picture)

    def _judge_all(self) -> Generator[Progress | Notice | TrainingStep | Validated, None, list[Judged]]:
        """All labels kept apart, each judged by a network that did not see it."""
        if self.plan.apart:
            return (yield from self.judge_labels(self.network, self.plan.apart, self.muscle))
        judged: list[Judged] = []
        for number, fold in enumerate(self.plan.folds, 1):
            network, stage = load_network(self._model), f"Check {number} of {len(self.plan.folds)}"
            yield from self._fit(network, fold, stage, None, Watch(self, fold.apart), self.steps)
            network = step_back(self._origin, network, self.share)
            muscle = yield from self._choose_muscle(network, fold.training)
            judged += yield from self.judge_labels(network, fold.apart, muscle)
        return judged

    def _fit(
        self,
        network: UNet,
        fold: Fold,
        stage: str,
        checkpoint: Checkpoint | None,
        watch: "Watch | None",
        steps: int | None = None,
    ) -> Events:
        """Train on a fold's labels until the loss no longer falls, or for so many steps exactly.

        Of a patient who is kept apart nothing is learned, labelled or not.
        """
        job, memory = self._unfinished.job, self._unfinished.memory
        if keeps_apart(fold, job.study):
            memory = Memory(memory.phantoms)
        slices = take_slices(self._unfinished.labelled, choose_rows(job.labels, fold.training))
        size = choose_view(self._model.card.preprocessing.size)
        material = Material(slices, size, memory.rehearsal, memory.unlabelled)
        plateau = Plateau(checkpoint.notes if checkpoint else {}) if steps is None else None
        for event in finetune(network, material, job.settings, self._placement, checkpoint, plateau):
            if not isinstance(event, TrainingStep):
                yield event
                continue
            yield event.model_copy(update={"stage": stage})
            last = event.step in (steps, event.total) or (plateau is not None and plateau.has_come)
            if last or event.step % max(1, event.total // LOOKS) == 0:
                yield from watch.look(network, event.step) if watch else self._preview(network, event.step)
            if event.step == steps:
                return

    def _preview(self, network: UNet, step: int) -> Events:
        """An unlabelled slice before and now, where there is one and it is wanted."""
        agreed, settings = self._unfinished.memory.agreed, self._model.card.preprocessing
        if agreed is None or not self._pictures.are_wanted:
            return
        image = cut_middle(agreed.images[:1], settings.size).float()
        before = (yield from self._base.predict(image))[0].argmax(0).to(torch.uint8).numpy()
        after = (yield from self._open(network, self.muscle).predict(image))[0].argmax(0).to(torch.uint8).numpy()
        nothing = np.zeros_like(before)
        pixel_mm = (settings.spacing_mm, settings.spacing_mm)
        arrays = image[0].numpy(), nothing, before, after
        picture = yield from self._pictures.save(f"look-{step % 2}.npz", *arrays, pixel_mm)
        yield Validated(step=step, dice={}, picture=picture)

    def _prepare_anchor(
        self, seeds: Sequence[int], agreed: Slices | None, stage: str
    ) -> Generator[Progress | Notice, None, Callable[[UNet], Generator[Progress | Notice, None, Anchor]]]:
        """What measures how much of what the base knew a network keeps: on phantoms of these seeds, drawn by the rules
        of the labels, and on those slices of the open study where the base was sure.
        """
        job = self._unfinished.job
        frames = yield from make_test_phantoms(self._model.card.preprocessing, seeds)
        phantoms = [redraw(frame, job.protocol) for frame in frames]
        before = yield from score_phantoms(self._base, phantoms, stage)

        def measure(network: UNet) -> Generator[Progress | Notice, None, Anchor]:
            candidate = self._open(network, self.muscle)
            after = yield from score_phantoms(candidate, phantoms, stage)
            anchor = Anchor(base_phantoms=before, candidate_phantoms=after, study_open=job.study is not None)
            if agreed is None:
                return anchor
            agreement = yield from measure_agreement(candidate, agreed)
            return anchor.model_copy(update={"agreement": agreement, "slices": len(agreed)})

        return measure

    def _open(self, network: UNet, muscle: Sequence[Cavity]) -> Segmenter:
        return Segmenter((network,), self._model.card.preprocessing, self._placement, muscle=muscle)


class Watch:
    """A few corrected slices kept apart, looked at while a network is trained."""

    def __init__(self, trial: Trial, labels: Sequence[Label]) -> None:
        corrected = [label for label in labels if label.state == "corrected"]
        step = max(1.0, len(corrected) / MAX_WATCHED)
        self._trial = trial
        self._labels = [corrected[int(i * step)] for i in range(min(len(corrected), MAX_WATCHED))]

    def look(self, network: UNet, step: int) -> Events:
        """One look."""
        judged = yield from self._trial.judge_labels(network, self._labels, self._trial.muscle)
        yield from self._trial.show_judged(judged, step)


def choose_view(size: int) -> int:
    """Side of the views that are trained on, about the heart: three quarters of the square, in steps of 16."""
    return -(-size * 3 // 4 // 16) * 16
