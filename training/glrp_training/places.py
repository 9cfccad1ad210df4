"""Which slices a simulated reader labels, at random or as the window suggests: places (patient, frame, slice)."""

from collections.abc import Generator, Sequence

import numpy as np

from glrp_napari.cine import Cine
from glrp_napari.messages import Notice
from glrp_napari.segment import FrameResult, Segmenter, segment
from glrp_napari.slice_states import SliceState
from glrp_napari.suggest import Segmented, suggest
from glrp_training.score import Case

Place = tuple[int, int, int]


def count_patients(labels: int, available: int) -> int:
    """Among how many patients so many labels are spread: a third as many, two at least but for a single label."""
    return min(available, 1 if labels == 1 else max(2, -(-labels // 3)))


def draw_places(patients: Sequence[Case], count: int, seed: int) -> list[Place]:
    """`count` labelled slices of the first patients in turn, at random places. The first k of more are the same."""
    random = np.random.default_rng(seed)
    queues = []
    for i, patient in enumerate(patients):
        places = [(i, int(t), int(z)) for t, z in np.argwhere(patient.truth.any((2, 3)))]
        queues.append([places[j] for j in random.permutation(len(places))])
    among = count_patients(count, len(patients))
    return [queues[i % among][i // among] for i in range(count)]


def suggest_places(patients: Sequence[Case], count: int, model: Segmenter) -> Generator[Notice, None, list[Place]]:
    """`count` slices of the same patients, those that `glrp_napari.suggest` names after the model's answers."""
    studies = []
    for patient in patients[: count_patients(count, len(patients))]:
        studies.append((yield from look_at(patient.cine, model)))
    return [(one.study, one.frame, one.slice) for one in suggest(studies, count)]


def look_at(cine: Cine, model: Segmenter) -> Generator[Notice, None, Segmented]:
    """What a run over all frames leaves of a study: every slice predicted, none labelled."""
    results: dict[int, FrameResult] = {}
    for event in segment(cine.images, cine.geometry, model):
        if isinstance(event, FrameResult):
            results[event.frame] = event
        elif isinstance(event, Notice):
            yield event
    mask, uncertainty, embedding = (
        np.stack([getattr(results[t], name) for t in sorted(results)]) for name in ("mask", "uncertainty", "embedding")
    )
    return Segmented(mask, uncertainty, np.full(mask.shape[:2], SliceState.PREDICTED, np.uint8), embedding)
