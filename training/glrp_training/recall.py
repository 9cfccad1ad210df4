"""What the base model already knows, so that fine-tuning keeps it: slices to rehearse, and others to test it on.

Phantoms, whose truth is known, and the base's own answers on unlabelled slices of the open study where it is sure.
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glrp_napari.cine import Cine, Source, Structure, hash_study
from glrp_napari.library import Label, Protocol
from glrp_napari.messages import Notice, Progress, StudyFile
from glrp_napari.models import Preprocessing
from glrp_napari.segment import Segmenter
from glrp_training.conventions import redraw
from glrp_training.overlap import measure_dice
from glrp_training.score import FIRST_HELD_OUT_SEED, make_held_out
from glrp_training.slices import (
    Slices,
    cut_middle,
    join_slices,
    prepare_cine,
    prepare_frame,
    prepare_phantoms,
    take_slices,
)

REHEARSAL_SEEDS = range(10_000, 10_004)
TEST_SEEDS = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + 10)
TRIAL_SEEDS = range(FIRST_HELD_OUT_SEED + 100, FIRST_HELD_OUT_SEED + 110)
"""Phantoms that no training sees: to test a model on, and to try on how far it may go. The change of their mean Dice
has a standard error of 0.005 with six of them; with three it was chance."""
SAMPLED_FRAMES = 6
RECALLING = "Recalling what the model knows"
AT_ONCE = 4
"""Slices between two events: a cancel is heard after each."""
MAX_SAMPLED = 60
"""Unlabelled slices that take part at most."""
SURE = 0.9
"""A pixel's probability from which the base counts as sure of it."""
SURE_SHARE = 0.8
"""Of a slice's foreground, the part that must be sure for the slice to count."""
MIN_HEART_PX = 200
TESTED, LEARNED, TRIED = range(3)
"""What unlabelled slices of a position are for: the gate's test, learning, or choosing the share."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Phantoms to rehearse; of the open study answers to rehearse, unlabelled slices (N, S, S) to learn from, others by
    which the share is chosen (`tried`), and yet others to test agreement on (`agreed`).

    Of `answers`, `tried` and `agreed` the masks are the base's answers and the weights 1 where it is sure.
    """

    phantoms: Slices
    answers: Slices | None = None
    unlabelled: Tensor | None = None
    tried: Slices | None = None
    agreed: Slices | None = None

    @property
    def rehearsal(self) -> Slices:
        """All that is rehearsed."""
        return join_slices([self.phantoms, self.answers]) if self.answers else self.phantoms


def recall(
    base: Segmenter, study: StudyFile | None, labels: Sequence[Label], protocol: Protocol | None
) -> Generator[Progress | Notice, None, Memory]:
    """What the base knows of phantoms, and of the open study where it is not labelled, drawn by `protocol`."""
    frames: list[Slices] = []
    yield Progress(stage=RECALLING, done=0, total=2 * len(REHEARSAL_SEEDS))
    for frame in prepare_phantoms(REHEARSAL_SEEDS, base.preprocessing):
        frames.append(frame)
        yield Progress(stage=RECALLING, done=len(frames), total=2 * len(REHEARSAL_SEEDS))
    phantoms = join_slices(frames)
    phantoms = redraw(take_slices(phantoms, torch.arange(0, len(phantoms), 2)), protocol)
    if study is None:
        return Memory(phantoms)
    images, levels = sample_study(study, labels, base.preprocessing)
    if not len(images):
        return Memory(phantoms)
    answers, is_sure = yield from answer_where_sure(base, images)
    answers, parts = redraw(answers, protocol), part_positions(levels, is_sure)

    def take(part: int) -> Slices | None:
        chosen = is_sure & (parts == part)
        return take_slices(answers, chosen) if chosen.any() else None

    learned = images[parts == LEARNED]
    return Memory(phantoms, take(LEARNED), learned if len(learned) else None, take(TRIED), take(TESTED))


def part_positions(levels: Tensor, is_sure: Tensor) -> Tensor:
    """What each slice is for, by its position in `levels`: those of one position are for the same.

    Only positions where the base is sure of a slice test anything, so these take turns, the test of the gate coming
    first; from others no more than their images is learned.
    """
    parts = torch.full_like(levels, LEARNED)
    for turn, level in enumerate(levels[is_sure].unique()):
        parts[levels == level] = (TESTED, LEARNED, TRIED)[turn % 3]
    return parts


def sample_study(study: StudyFile, labels: Sequence[Label], settings: Preprocessing) -> tuple[Tensor, Tensor]:
    """Unlabelled slices (N, S, S) of a few frames of the study, at most `MAX_SAMPLED`, and their positions (N,).

    None of them lies beyond base and apex, where the reader set these.
    """
    images, name = np.load(study.images, mmap_mode="r"), hash_study_file(study)
    own = [label for label in labels if label.study == name]
    frames = np.unique(np.linspace(0, len(images) - 1, min(SAMPLED_FRAMES, len(images))).astype(int))
    labelled = {(label.frame, label.slice) for label in own}
    outside = {(frame, level) for frame, levels in study.outside.items() for level in levels}
    chosen = _choose_places(frames, images.shape[1], labelled | outside)
    if not chosen:
        return torch.empty(0), torch.empty(0)
    cut = prepare_cine(images[frames], study.geometry.spacing_mm, settings)
    rows = {int(frame): row for row, frame in enumerate(frames)}
    picked = [cut[rows[frame], level] for frame, level in chosen]
    return torch.stack(picked), torch.tensor([level for _, level in chosen])


def hash_study_file(study: StudyFile) -> str:
    """The hash of a study as a job reads it: that of its cine (`hash_study`)."""
    return hash_study(Cine(np.load(study.images, mmap_mode="r"), study.geometry, Source(study.name)))


def answer_where_sure(base: Segmenter, images: Tensor) -> Generator[Progress | Notice, None, tuple[Slices, Tensor]]:
    """The base's answers, its doubtful pixels without weight, and which slices (N,) it is sure of."""
    probability, answer = (yield from _predict(base, images, RECALLING)).max(1)
    sure, heart = probability >= SURE, answer > 0
    area = heart.sum((1, 2))
    counted = (area >= MIN_HEART_PX) & ((sure & heart).sum((1, 2)) >= SURE_SHARE * area)
    return Slices(images, answer.to(torch.uint8), sure.half()), counted


def make_test_phantoms(settings: Preprocessing, seeds: Sequence[int]) -> Generator[Progress, None, tuple[Slices, ...]]:
    """A frame of each phantom, in turn of end diastole and of systole, of anatomies that training never sees."""
    frames: list[Slices] = []
    for seed in seeds:
        yield Progress(stage="Making test hearts", done=len(frames), total=len(seeds))
        phantom, frame = make_held_out(seed), seed % 2
        images, spacing_mm = phantom.cine.images[frame].astype(np.float32), phantom.cine.geometry.spacing_mm
        frames.append(prepare_frame(images, phantom.mask[frame], spacing_mm, settings))
    return tuple(frames)


def score_phantoms(model: Segmenter, frames: Sequence[Slices], stage: str) -> Generator[Progress | Notice, None, float]:
    """Mean Dice over frames and structures, on the network's square; `stage` names it to the user."""
    size = model.preprocessing.size
    answers = yield from _answer(model, torch.cat([slices.images for slices in frames]), stage)
    ends = np.cumsum([len(slices) for slices in frames])[:-1]
    found: list[float] = []
    for slices, answer in zip(frames, np.split(answers, ends), strict=True):
        truth = cut_middle(slices.masks, size).numpy()
        dice = [measure_dice(answer == s, truth == s) for s in Structure]
        found += [value for value in dice if value is not None]
    return float(np.mean(found))


def measure_agreement(model: Segmenter, agreed: Slices) -> Generator[Progress | Notice, None, float]:
    """Mean Dice over structures between a model's answers and the base's, on the pixels the base is sure of."""
    assert agreed.weights is not None
    size = model.preprocessing.size
    answer = yield from _answer(model, agreed.images, "Comparing on the open study")
    before, sure = cut_middle(agreed.masks, size).numpy(), cut_middle(agreed.weights, size).numpy() > 0
    dice = [measure_dice((answer == s) & sure, (before == s) & sure) for s in Structure]
    return float(np.mean([value for value in dice if value is not None]))


def _answer(model: Segmenter, images: Tensor, stage: str) -> Generator[Progress | Notice, None, NDArray[np.int64]]:
    predicted = yield from _predict(model, cut_middle(images, model.preprocessing.size), stage)
    answer: NDArray[np.int64] = predicted.argmax(1).numpy()
    return answer


def _predict(model: Segmenter, images: Tensor, stage: str) -> Generator[Progress | Notice, None, Tensor]:
    """Class probabilities (N, C, S, S), an event before each few slices."""
    parts: list[Tensor] = []
    for part in images.split(AT_ONCE):
        yield Progress(stage=stage, done=min(len(parts) * AT_ONCE, len(images)), total=len(images))
        parts.append((yield from model.predict(part.float())))
    return torch.cat(parts)


def _choose_places(frames: NDArray[np.int64], levels: int, taken: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places (frame, slice) that are not taken, as many of each position, so that no position is missed."""
    free = {z: [int(t) for t in frames if (int(t), z) not in taken] for z in range(levels)}
    positions = _spread([z for z in free if free[z]], MAX_SAMPLED)
    each = MAX_SAMPLED // max(len(positions), 1)
    return sorted((t, z) for z in positions for t in _spread(free[z], each))


def _spread(values: Sequence[int], most: int) -> list[int]:
    """So many of the values at most, evenly spread."""
    step = max(1.0, len(values) / most)
    return [values[int(i * step)] for i in range(min(len(values), most))]
