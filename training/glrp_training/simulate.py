"""Corrections simulated from truth: labels of a domain put into a library, the product's own fine-tuning, and how the
outcome does on patients nobody labelled, in that domain and in the original one.

So one sees whether few labels help, whether the old is kept, and whether the gate judged rightly.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.device import Placement
from glrp_napari.gate import decide
from glrp_napari.library import Accepted, Protocol, accept_slices, save_protocol
from glrp_napari.messages import FinetuneDone, Notice, Progress, StudyFile, TrainingStep, Validated
from glrp_napari.models import Model, find_model
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.segment import FrameResult, Segmenter, open_model, segment
from glrp_training.adapt import adapt
from glrp_training.dataset import Dataset
from glrp_training.domains import DOMAINS, PROTOCOLS, Domain
from glrp_training.overlap import measure_dice


@dataclass(frozen=True, eq=False)
class Patient:
    """A study with its truth (T, Z, Y, X); `structures` are those its truth has."""

    name: str
    cine: Cine
    truth: Mask
    structures: tuple[Structure, ...] = tuple(Structure)


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
        return self.accepted == (self.helped and self.base_original - self.candidate_original <= 0.005)


Events = Generator[Progress | Notice | TrainingStep | Validated | FinetuneDone, None, Outcome]


def load_patients(dataset: Dataset, split: str, first: int, count: int) -> list[Patient]:
    """Patients `first` to `first + count` of a part of a data set, their labelled frames stacked to one cine."""
    names = list(dict.fromkeys(item.patient for item in dataset.select_labelled(split)))[first : first + count]
    found = []
    for name in names:
        frames, masks = [], []
        for item in dataset.select_labelled(split):
            if item.patient != name or item.mask is None:
                continue
            cine = read_cine(item.image)
            frames.append(cine.images[0].astype(np.float32))
            masks.append(read_mask(item.mask, cine, dataset.label_map or None)[0])
        whole = Cine(np.stack(frames), cine.geometry, cine.source)
        found.append(Patient(name, whole, np.stack(masks)))
    return found


def move(patient: Patient, domain: Domain) -> Patient:
    """A patient as the domain would show and label him."""
    moved = [domain(frame, mask) for frame, mask in zip(patient.cine.images, patient.truth, strict=True)]
    images, truth = np.stack([frame for frame, _ in moved]), np.stack([mask for _, mask in moved])
    cine = Cine(images, patient.cine.geometry, patient.cine.source)
    return Patient(patient.name, cine, truth, patient.structures)


def choose_places(patients: Sequence[Patient], count: int, seed: int) -> list[tuple[int, int, int]]:
    """`count` labelled slices (patient, frame, slice), in turn from a third as many patients, at random places.

    The first k of more are the same.
    """
    random = np.random.default_rng(seed)
    queues = []
    for i, patient in enumerate(patients):
        places = [(i, int(t), int(z)) for t, z in np.argwhere(patient.truth.any((2, 3)))]
        queues.append([places[j] for j in random.permutation(len(places))])
    among = min(len(patients), 1 if count == 1 else max(2, -(-count // 3)))
    return [queues[i % among][i // among] for i in range(count)]


def simulate(
    base: Model,
    library: Path,
    models: Path,
    domain_name: str,
    sources: Sequence[Patient],
    targets: Sequence[Patient],
    places: Sequence[tuple[int, int, int]],
    placement: Placement,
    originals: Mapping[str, float],
) -> Events:
    """Label the places, fine-tune, and measure on `targets` in the domain and as they are.

    `originals` are the base's Dice on the targets as they are, by structure.
    """
    domain = DOMAINS[domain_name]
    moved = {i: move(sources[i], domain) for i, _, _ in places}
    segmenter = open_model(base, placement)
    save_protocol(library, PROTOCOLS.get(domain_name, Protocol()))
    for i, patient in moved.items():
        chosen = [(t, z) for j, t, z in places if j == i]
        yield from store_corrections(library, patient, chosen, segmenter, base.card.name)
    study = store_study(library.parent / "study.npy", moved[places[0][0]])
    done = None
    for event in adapt(library, base, models, f"{domain_name}-{len(places)}", placement, study):
        done = event if isinstance(event, FinetuneDone) else done
        yield event
    assert done is not None
    candidate = find_model(str(done.model))
    tuned = open_model(candidate, placement)
    shifted = [move(target, domain) for target in targets]
    before = yield from score_patients(segmenter, shifted)
    after = yield from score_patients(tuned, shifted)
    original = yield from score_patients(tuned, targets)
    anchor, verdict = done.comparison.anchor, decide(done.comparison)
    assert anchor is not None
    return Outcome(
        domain=domain_name,
        labels=len(places),
        patients=len(moved),
        base=average(before),
        candidate=average(after),
        base_original=average(originals),
        candidate_original=average(original),
        gain_seen=done.comparison.candidate - done.comparison.base,
        phantoms_drop=anchor.drop,
        agreement=anchor.agreement,
        accepted=verdict.accepted,
        reason=verdict.reason,
        helped=average(after) > average(before),
        steps=int(candidate.card.training["steps"]),
        by_structure={name: (before[name], after[name]) for name in before},
    )


def store_corrections(
    library: Path, patient: Patient, places: Iterable[tuple[int, int]], base: Segmenter, model: str
) -> Iterator[Notice | Progress]:
    """Truth's slices as corrections of the base's answers."""
    answers = {}
    for event in segment(patient.cine.images, patient.cine.geometry, base):
        if isinstance(event, FrameResult):
            answers[event.frame] = event.mask
    accepted = [Accepted(t, z, "corrected", patient.truth[t, z], answers[t][z]) for t, z in places]
    accept_slices(library, patient.cine, accepted, model)
    yield Progress(stage=f"Labelling {patient.name}", done=1, total=1)


def store_study(path: Path, patient: Patient) -> StudyFile:
    """A study as a job reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, patient.cine.images)
    return StudyFile(images=path, geometry=patient.cine.geometry, name=patient.name)


def score_patients(model: Segmenter, patients: Sequence[Patient]) -> Generator[Notice, None, dict[str, float]]:
    """Mean Dice by structure over patients and frames, by the product's own path."""
    found: dict[str, list[float]] = {}
    for patient in patients:
        for event in segment(patient.cine.images, patient.cine.geometry, model):
            if isinstance(event, Notice):
                yield event
            if not isinstance(event, FrameResult) or not patient.truth[event.frame].any():
                continue
            for structure in patient.structures:
                dice = measure_dice(event.mask == structure, patient.truth[event.frame] == structure)
                if dice is not None:
                    found.setdefault(structure.name, []).append(dice)
    return {name: float(np.mean(values)) for name, values in found.items()}


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
