"""Which labels are kept apart to validate on. By patient, frozen in a manifest; pure but for that file.

Studies count as one patient where their labels name the same, each as one of its own elsewhere. The manifest is the
list of patients in the order in which they came; a patient's place in it never changes, so whoever validates today is
not trained on tomorrow.
"""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from glrp_napari.comparison import HeldOut
from glrp_napari.library import Label, LibraryHeld, claim_library
from glrp_napari.library.manifest import Manifest, load_manifest, save_manifest
from glrp_napari.library.record import find_position
from glrp_napari.messages import Notice

ENOUGH_PATIENTS = 10
"""From so many on, every fifth patient is kept out of the final training and validates it."""
EVERY = 5
FOLDS = 3


@dataclass(frozen=True)
class Fold:
    """Labels to train on, and those kept apart from them, corrected or accepted."""

    training: tuple[Label, ...]
    apart: tuple[Label, ...]


@dataclass(frozen=True)
class Plan:
    """How one fine-tuning is trained and checked.

    `training` are the labels of the final training; `apart` are kept out of it (none below ten patients). `folds`
    are further trainings that stand for the final one where nothing is kept out of it.
    """

    held_out: HeldOut
    training: tuple[Label, ...]
    apart: tuple[Label, ...] = ()
    folds: tuple[Fold, ...] = ()


def plan_validation(labels: Sequence[Label], patients: Sequence[str], seen: Collection[str] = ()) -> Plan:
    """The plan for these labels; `patients` is the manifest's order.

    Only corrected labels validate, and only a training with corrected labels is validated: an accepted one is the
    model's own answer. It is kept apart nonetheless, for volumes need all slices. `seen` are the stems of labels that
    the base or the model in use was trained on, here still or not: a patient with any of those (of a single patient: a
    slice position) validates nothing. Where only one patient is corrected, slice positions of his are left out in
    place of patients.
    """
    in_order = tuple(sorted(labels, key=lambda label: label.stem))
    whose = group_patients(in_order, patients)
    owner = {label.stem: whose[label.study] for label in in_order}
    positions = {find_position(stem) for stem in seen}
    studies = {study for study, _level in positions}
    known = {owner[label.stem] for label in in_order if find_position(label.stem)[0] in studies}
    corrected = {owner[label.stem] for label in in_order if label.state == "corrected"}
    useful = corrected - known
    if len(set(owner.values())) >= ENOUGH_PATIENTS:
        apart = useful.intersection(patients[EVERY - 1 :: EVERY])
        rest = tuple(label for label in in_order if owner[label.stem] not in apart)
        if apart and _teaches(rest):
            return Plan("patients", rest, tuple(label for label in in_order if owner[label.stem] in apart))
    if len(corrected) > 1:
        places = {stem: patients.index(patient) for stem, patient in owner.items() if patient in useful}
        return _plan("patients", in_order, places)
    own = [label for label in in_order if owner[label.stem] in corrected]
    levels = {label.slice for label in own if find_position(label.stem) in positions}
    return _plan("slices", in_order, {label.stem: label.slice for label in own if label.slice not in levels})


def keeps_apart(fold: Fold, study: str | None) -> bool:
    """Whether a study (by hash) is of a patient of whom nothing is trained on."""
    whose = group_patients((*fold.training, *fold.apart))
    trained, apart = ({whose[label.study] for label in labels} for labels in (fold.training, fold.apart))
    return study in whose and whose[study] in apart - trained


def group_patients(labels: Iterable[Label], patients: Sequence[str] = ()) -> dict[str, str]:
    """By study, whose it is: that one of a patient's hashes which comes first in the manifest's order `patients`.

    Two studies are one patient's if labels of both name the same, be it by way of a third study.
    """
    groups: list[tuple[str, ...]] = []
    for names in dict.fromkeys((label.patient or label.study, label.study) for label in labels):
        near = [group for group in groups if not set(names).isdisjoint(group)]
        groups = [group for group in groups if group not in near]
        groups.append(tuple(dict.fromkeys(name for group in (*near, names) for name in group)))
    places = {name: place for place, name in enumerate(patients)}
    first = {group: min(group, key=lambda name: places.get(name, len(places))) for group in groups}
    return {name: first[group] for group in groups for name in group}


def freeze_manifest(folder: Path, labels: Sequence[Label]) -> Manifest:
    """The library's manifest with the labels' new patients added to it, written where it changed.

    Raises LibraryError for a manifest that is damaged, OSError when it cannot be written.
    """
    known = load_manifest(folder)
    if (manifest := extend_manifest(known, labels)) != known:
        save_manifest(folder, manifest)
    return manifest


def freeze_where_allowed(
    folder: Path, labels: Sequence[Label], may_write: bool
) -> Generator[Notice, None, tuple[str, ...]]:
    """The patients of `freeze_manifest`; where another holds the library, or it cannot be written to, a word instead.

    `may_write` says that the caller, or who waits for it, holds the library; else it is claimed for the moment.
    """
    known = load_manifest(folder)
    if (manifest := extend_manifest(known, labels)) == known:
        return known.patients
    try:
        with nullcontext() if may_write else claim_library(folder):
            return freeze_manifest(folder, labels).patients
    except (LibraryHeld, OSError) as error:
        reason = "another window writes to it" if isinstance(error, LibraryHeld) else error.strerror or error
        yield Notice(text=f"The order of patients cannot be kept in the label library ({reason}): it holds this once.")
    return manifest.patients


def extend_manifest(known: Manifest, labels: Sequence[Label]) -> Manifest:
    """A manifest with the labels' new patients added to it, in the order in which they came."""
    in_order = sorted(labels, key=lambda label: (label.counter, label.stem))
    whose = group_patients(in_order, known.patients)
    came = [whose[label.study] for label in in_order]
    return Manifest(patients=tuple(dict.fromkeys((*known.patients, *came))))


def _plan(how: HeldOut, labels: tuple[Label, ...], places: Mapping[str, int]) -> Plan:
    """Labels of the same place (a patient, or a slice position) stay together; at most three folds share the places.

    Places that were only accepted are shared out among them too, though they are a reason for none.
    """
    order = sorted({places[label.stem] for label in labels if label.stem in places and label.state == "corrected"})
    accepted = sorted({*places.values()} - {*order})
    folds, count = [], min(FOLDS, len(order))
    for first in range(count):
        group = {*order[first::count], *accepted[first::count]}
        apart = tuple(label for label in labels if places.get(label.stem) in group)
        training = tuple(label for label in labels if label not in apart)
        folds += [Fold(training, apart)] if _teaches(training) else []
    return Plan(how if folds else "nothing", labels, folds=tuple(folds))


def _teaches(labels: Iterable[Label]) -> bool:
    """Whether a training on these labels stands for one on corrections."""
    return any(label.state == "corrected" for label in labels)
