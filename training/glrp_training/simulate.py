"""Corrections simulated from truth: labels of a domain put into a library, the product's own fine-tuning, and how the
outcome does on patients nobody labelled, in that domain and in the original one.

So one sees whether few labels help, whether the old is kept, and whether the gate judged rightly.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from glrp_napari.cine import Structure
from glrp_napari.comparison import Comparison
from glrp_napari.device import Placement
from glrp_napari.gate import MIN_GAIN, decide, subtract
from glrp_napari.library import Accepted, Protocol, accept_slices, save_protocol
from glrp_napari.messages import FinetuneDone, Notice, Progress, StudyFile, TrainingStep, Validated
from glrp_napari.models import Model, find_model
from glrp_napari.segment import Segmenter, open_model
from glrp_training.adapt import adapt
from glrp_training.dataset import Dataset
from glrp_training.domains import DOMAINS, PROTOCOLS, Domain
from glrp_training.evaluate import list_labelled
from glrp_training.overlap import measure_dice
from glrp_training.places import Place
from glrp_training.score import Case, join_cases, list_cases, segment_case


@dataclass(frozen=True)
class Outcome:
    """One fine-tuning: mean Dice of base and candidate on new patients, in the domain and in the original one."""

    domain: str
    labels: int
    patients: int
    base: float
    candidate: float
    base_original: float
    candidate_original: float
    gain_seen: float
    phantoms_drop: float
    agreement: float | None
    accepted: bool
    reason: str
    helped: bool
    steps: int
    by_structure: dict[str, tuple[float, float]]

    @property
    def gate_was_right(self) -> bool:
        """It took what helped and lost no more than 0.005 of the original, and refused what did not."""
        return self.accepted == (self.helped and subtract(self.base_original, self.candidate_original) <= 0.005)


@dataclass(frozen=True)
class Dice:
    """Mean Dice by structure on new patients, of the base and the candidate, in the domain and in the original one."""

    base: Mapping[str, float]
    candidate: Mapping[str, float]
    base_original: Mapping[str, float]
    candidate_original: Mapping[str, float]


Event = Progress | Notice | TrainingStep | Validated | FinetuneDone
Events = Generator[Event, None, Outcome]


def load_patients(dataset: Dataset, split: str, first: int, count: int) -> list[Case]:
    """Patients `first` to `first + count` of a part of a data set, their labelled frames joined to one cine."""
    names = list(dict.fromkeys(item.patient for item in dataset.select_labelled(split)))[first : first + count]
    chosen = dataset.model_copy(update={"items": tuple(item for item in dataset.items if item.patient in names)})
    return list(join_cases(list_cases(chosen, split)))


def move(patient: Case, domain: Domain) -> Case:
    """A patient as the domain would show and label him."""
    frames = zip(patient.cine.images.astype(np.float32), patient.truth, strict=True)
    moved = [domain(frame, mask) for frame, mask in frames]
    images, truth = np.stack([frame for frame, _ in moved]), np.stack([mask for _, mask in moved])
    return replace(patient, cine=replace(patient.cine, images=images), truth=truth)


def simulate(
    base: Model,
    work: Path,
    domain: str,
    sources: Sequence[Case],
    targets: Sequence[Case],
    places: Sequence[Place],
    placement: Placement,
    originals: Mapping[str, float],
) -> Events:
    """Label the places, fine-tune, and measure on `targets` in the domain and as they are.

    Library and model are made in the folder `work`. `originals` are the base's Dice on the targets as they are. Where
    the domain is another rule on the same scans, these are drawn by it too.
    """
    segmenter, library = open_model(base, placement), work / "labels"
    moved = {i: move(sources[i], DOMAINS[domain]) for i, _, _ in places}
    save_protocol(library, PROTOCOLS.get(domain, Protocol()))
    for i, patient in moved.items():
        chosen = [(t, z) for j, t, z in places if j == i]
        yield from store_corrections(library, patient, chosen, segmenter, base.card.name)
    study = store_study(work / "study.npy", moved[places[0][0]])
    done = yield from pass_on(adapt(library, base, work / "models", f"{domain}-{len(places)}", placement, study))
    tuned = find_model(str(done.model))
    shifted = [move(target, DOMAINS[domain]) for target in targets]
    base_dice = yield from score_patients(segmenter, shifted)
    tuned_dice = yield from score_patients(open_model(tuned, placement), shifted)
    if domain in PROTOCOLS:  # the same scans drawn by another rule: no model can follow both
        dice = Dice(base_dice, tuned_dice, base_dice, tuned_dice)
    else:
        kept = yield from score_patients(open_model(tuned, placement), targets)
        dice = Dice(base_dice, tuned_dice, originals, kept)
    return sum_up(domain, places, dice, done.comparison, int(tuned.card.training["steps"]))


def sum_up(domain: str, places: Sequence[Place], dice: Dice, comparison: Comparison, steps: int) -> Outcome:
    """What a fine-tuning came to, and what the gate said of it."""
    anchor, verdict = comparison.anchor, decide(comparison)
    assert anchor is not None
    return Outcome(
        domain=domain,
        labels=len(places),
        patients=len({patient for patient, _, _ in places}),
        base=average(dice.base),
        candidate=average(dice.candidate),
        base_original=average(dice.base_original),
        candidate_original=average(dice.candidate_original),
        gain_seen=comparison.candidate - comparison.base,
        phantoms_drop=anchor.drop,
        agreement=anchor.agreement,
        accepted=verdict.accepted,
        reason=verdict.reason,
        helped=subtract(average(dice.candidate), average(dice.base)) >= MIN_GAIN,
        steps=steps,
        by_structure={name: (dice.base[name], dice.candidate[name]) for name in dice.base},
    )


def store_corrections(
    library: Path, patient: Case, places: Iterable[tuple[int, int]], base: Segmenter, model: str
) -> Iterator[Notice | Progress]:
    """Truth's slices as corrections of the base's answers."""
    answers = yield from segment_case(patient, base)
    accepted = [Accepted(t, z, "corrected", patient.truth[t, z], answers[t, z]) for t, z in places]
    accept_slices(library, patient.cine, accepted, model)
    yield Progress(stage=f"Labelling {patient.name}", done=1, total=1)


def store_study(path: Path, patient: Case) -> StudyFile:
    """A study as a job reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, patient.cine.images)
    return StudyFile(images=path, geometry=patient.cine.geometry, name=patient.name)


def score_patients(model: Segmenter, patients: Sequence[Case]) -> Generator[Notice, None, dict[str, float]]:
    """Mean Dice by structure over patients and frames, by the product's own path."""
    found: dict[str, list[float]] = {}
    for patient in patients:
        mask = yield from segment_case(patient, model)
        for frame, structure in product(list_labelled(patient.truth), Structure):
            dice = measure_dice(mask[frame] == structure, patient.truth[frame] == structure)
            if dice is not None:
                found.setdefault(structure.name, []).append(dice)
    return {name: float(np.mean(values)) for name, values in found.items()}


def pass_on(events: Iterable[Event]) -> Generator[Event, None, FinetuneDone]:
    """A fine-tuning's events, the last of which is returned too."""
    done = None
    for event in events:
        yield event
        done = event if isinstance(event, FinetuneDone) else done
    assert done is not None
    return done


def average(dice: Mapping[str, float]) -> float:
    """The mean over structures."""
    return sum(dice.values()) / len(dice)


def describe(outcome: Outcome) -> dict[str, Any]:
    """An outcome as it is written down."""
    return {**asdict(outcome), "gate_was_right": outcome.gate_was_right}


def tabulate(rows: Sequence[Mapping[str, Any]]) -> str:
    """Outcomes as `describe` gives them, as a Markdown table."""
    heads = ("domain", "labels", "base", "fine-tuned", "original: base", "fine-tuned", "gate", "right", "agreement")
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for row in rows:
        figures = [f"{row[key]:.3f}" for key in ("base", "candidate", "base_original", "candidate_original")]
        agreement = "" if row["agreement"] is None else f"{row['agreement']:.3f}"
        gate, right = "taken" if row["accepted"] else row["reason"], "yes" if row["gate_was_right"] else "no"
        lines.append(" | ".join([row["domain"], str(row["labels"]), *figures, gate, right, agreement]))
    return "\n".join(f"| {line} |" for line in lines) + "\n"
