"""The model in use (here the base) and the candidate on labelled slices, on the labels' native grid: what `gate`
decides by and the window shows.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.comparison import Heart, PatientComparison, PhaseSlices, Scores, SettledPhases, SliceChange
from glrp_napari.library import Label, load_slice
from glrp_napari.measure import MYOCARDIUM_G_PER_ML, Phases, measure_ventricle
from glrp_napari.messages import Notice, Progress
from glrp_napari.models import Preprocessing
from glrp_napari.preprocess import Grid, from_grid, normalise, to_grid
from glrp_napari.segment import Segmenter
from glrp_training.overlap import measure_dice, measure_distances
from glrp_training.pictures import Pictures, frame_heart
from glrp_training.slices import find_centre

STRUCTURES = tuple(Structure)
MAX_SHOWN = 8
"""So many of the slices that changed most are shown."""
Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Judged:
    """One labelled slice with both models' answers, all (Y, X)."""

    label: Label
    image: Image
    mask: Mask
    geometry: Geometry
    base: Mask
    candidate: Mask


def predict_labels(
    model: Segmenter, library: Path, labels: Sequence[Label]
) -> Generator[Progress | Notice, None, dict[str, Mask]]:
    """A model's answers (Y, X) on the native grid, by the labels' stems."""
    answers: dict[str, Mask] = {}
    for label in labels:
        yield Progress(stage="Looking at slices kept apart", done=len(answers), total=len(labels))
        image, mask, geometry = load_slice(library, label)
        grid = _lay_grid(mask, geometry, model.preprocessing)
        normal = normalise(image, label.frame_mean, label.frame_std)
        predicted = yield from model.predict(to_grid(torch.from_numpy(normal[None]), grid))
        answers[label.stem] = from_grid(predicted, grid)[0].argmax(0).to(torch.uint8).numpy()
    return answers


def judge(
    library: Path, labels: Iterable[Label], base: Mapping[str, Mask], candidate: Mapping[str, Mask]
) -> list[Judged]:
    """The labelled slices with both answers."""
    judged = []
    for label in labels:
        image, mask, geometry = load_slice(library, label)
        judged.append(Judged(label, image, mask, geometry, base[label.stem], candidate[label.stem]))
    return judged


def compare_patients(
    judged: Sequence[Judged], phases: SettledPhases, whose: Mapping[str, str]
) -> tuple[PatientComparison, ...]:
    """Scores by patient on the corrected slices; hearts from all of a study's, where ED and ES are fully labelled.

    `phases` are ED and ES by study, as the reader settled them; `whose` tells each study's patient.
    """
    by_patient: defaultdict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_patient[whose[one.label.study]].append(one)
    found = []
    for slices in by_patient.values():
        studies = dict.fromkeys(one.label.study for one in slices)
        study = next((study for study in studies if study in phases), next(iter(studies)))
        corrected = [one for one in slices if one.label.state == "corrected"]
        if any(one.mask.any() for one in corrected):
            base = score_slices([one.base for one in corrected], corrected)
            candidate = score_slices([one.candidate for one in corrected], corrected)
            hearts = measure_hearts([one for one in slices if one.label.study == study], phases.get(study))
            found.append(
                PatientComparison(study=study, slices=len(corrected), base=base, candidate=candidate, **hearts)
            )
    return tuple(found)


def score_slices(answers: Sequence[Mask], truth: Sequence[Judged]) -> Scores:
    """One model on a patient's slices: Dice over all their pixels, the rest as means over slices.

    A structure that the labels hold nowhere has no Dice, whatever a model finds there: it would be 0 for a single
    pixel, and two models could not be compared by the same structures. What is found is an error of its area.
    """
    dice, hd95, areas, errors = {}, {}, {}, {}
    for structure in STRUCTURES:
        pairs = [(answer == structure, one.mask == structure) for answer, one in zip(answers, truth, strict=True)]
        both = [np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1)]
        if not both[0].any() and not both[1].any():
            continue
        if both[1].any() and (value := measure_dice(*both)) is not None:
            dice[structure.name] = value
        pixel_cm2 = [float(np.prod(one.geometry.spacing_mm[1:])) / 100 for one in truth]
        found = [(float(a.sum()) * cm2, float(b.sum()) * cm2) for (a, b), cm2 in zip(pairs, pixel_cm2, strict=True)]
        areas[structure.name] = float(np.mean([a for a, _ in found]))
        errors[structure.name] = float(np.mean([abs(a - b) for a, b in found]))
        distances = [
            measure_distances(a, b, one.geometry.spacing_mm[1:])[1] for (a, b), one in zip(pairs, truth, strict=True)
        ]
        if known := [value for value in distances if value is not None]:
            hd95[structure.name] = float(np.mean(known))
    return Scores(dice=dice, hd95_mm=hd95, area_cm2=areas, area_error_cm2=errors)


def measure_hearts(slices: Sequence[Judged], phases: tuple[PhaseSlices, PhaseSlices] | None) -> dict[str, Heart | None]:
    """The LV by the labels and by each model, where both phases (ED, ES) are labelled from base to apex; else nothing,
    and nothing either where one of the three has no cavity at ED or ES, which leaves no ejection fraction to compare.

    Slices beyond count nothing, labelled or not, as in every volume.
    """
    if phases is None or phases[0].frame == phases[1].frame:
        return {}
    known = {(one.label.frame, one.label.slice): one for one in slices}
    places = [[(phase.frame, level) for level in range(phase.first, phase.last + 1)] for phase in phases]
    if not known.keys() >= {*places[0], *places[1]}:
        return {}
    ed, es = ([known[place] for place in phase] for phase in places)
    sides = {"labelled_heart": "mask", "base_heart": "base", "candidate_heart": "candidate"}
    hearts = {name: _measure_heart(ed, es, side) for name, side in sides.items()}
    return hearts if all(hearts.values()) else {}


def rank_changes(judged: Sequence[Judged], pictures: Pictures) -> Generator[Notice, None, tuple[SliceChange, ...]]:
    """The corrected slices whose Dice changed most, with pictures where these are wanted."""
    rated = [
        (rate_slice(one.base, one.mask), rate_slice(one.candidate, one.mask), one)
        for one in judged
        if one.label.state == "corrected"
    ]
    rated.sort(key=lambda row: -abs(row[1] - row[0]))
    changes = []
    for i, (before, after, one) in enumerate(rated[:MAX_SHOWN]):
        picture = yield from save_picture(pictures, f"change-{i}.npz", one)
        place = {"study": one.label.study, "frame": one.label.frame, "slice": one.label.slice}
        changes.append(SliceChange(**place, before=before, after=after, picture=picture))
    return tuple(changes)


def rate_slice(answer: Mask, truth: Mask) -> float:
    """Mean Dice over the structures that either side has; 1 where neither has any."""
    dice = [measure_dice(answer == s, truth == s) for s in STRUCTURES]
    known = [value for value in dice if value is not None]
    return float(np.mean(known)) if known else 1.0


def save_picture(pictures: Pictures, name: str, one: Judged) -> Generator[Notice, None, Path | None]:
    """The slice around the heart as a picture; returns its path."""
    box = frame_heart(one.mask, one.base, one.candidate)
    masks = (one.mask[box], one.base[box], one.candidate[box])
    return (yield from pictures.save(name, one.image[box], *masks, one.geometry.spacing_mm[1:]))


def _lay_grid(mask: Mask, geometry: Geometry, settings: Preprocessing) -> Grid:
    """The network's square over what is labelled."""
    y, x = mask.shape
    pixel_mm = geometry.spacing_mm[1:]
    return Grid((y, x), pixel_mm, settings.size, settings.spacing_mm, find_centre(mask, pixel_mm))


def _measure_heart(ed: list[Judged], es: list[Judged], side: str) -> Heart | None:
    volumes = [_sum_ml([getattr(one, side) for one in frame], frame, Structure.LV) for frame in (ed, es)]
    lv = measure_ventricle(np.array(volumes), Phases(0, 1), heart_rate=None)
    if lv.ef_percent is None:
        return None
    mass = _sum_ml([getattr(one, side) for one in ed], ed, Structure.MYO) * MYOCARDIUM_G_PER_ML
    return Heart(edv_ml=volumes[0], esv_ml=volumes[1], ef_percent=lv.ef_percent, mass_g=mass)


def _sum_ml(masks: Sequence[Mask], slices: Sequence[Judged], structure: Structure) -> float:
    return sum(
        float(np.count_nonzero(mask == structure)) * one.geometry.voxel_ml
        for mask, one in zip(masks, slices, strict=True)
    )
