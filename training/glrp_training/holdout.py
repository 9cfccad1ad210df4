"""Which labels are kept apart to validate on. By patient, frozen in a manifest; pure but for that file.

One study counts as one patient. The manifest is the list of patients in the order in which they came; a patient's
place in it never changes, so whoever validates today is not trained on tomorrow.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from glrp_napari.comparison import HeldOut
from glrp_napari.library import Label, LibraryError
from glrp_napari.models import Settings
from glrp_napari.writing.atomic import write_atomically

MANIFEST = "validation.json"
ENOUGH_PATIENTS = 10
"""From so many on, every fifth patient is kept out of the final training and validates it."""
EVERY = 5
FOLDS = 3


class Manifest(Settings):
    """The patients (studies' hashes) of a library, in the order in which they came."""

    format_version: Literal[1] = 1
    patients: tuple[str, ...] = Field(default=())


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

    Only corrected labels validate: an accepted one is the model's own answer. `seen` are the stems of labels that the
    base was trained on: a patient with any of those (of a single patient: a slice position) validates nothing.
    """
    in_order = sorted(labels, key=lambda label: label.stem)
    studies = {label.study for label in in_order}
    known = {label.study for label in in_order if label.stem in seen}
    useful = {label.study for label in in_order if label.state == "corrected"} - known
    if len(studies) >= ENOUGH_PATIENTS:
        apart = useful.intersection(patients[EVERY - 1 :: EVERY])
        rest = tuple(label for label in in_order if label.study not in apart)
        out = tuple(label for label in in_order if label.study in apart)
        return Plan("patients" if out and rest else "nothing", rest if out and rest else tuple(in_order), out)
    if len(studies) > 1:
        places = {label.stem: patients.index(label.study) for label in in_order if label.study in useful}
        return _plan("patients", in_order, places)
    levels = {label.slice for label in in_order if label.stem in seen}
    places = {label.stem: label.slice for label in in_order if label.slice not in levels}
    return _plan("slices", in_order, places)


def freeze_manifest(folder: Path, labels: Sequence[Label]) -> Manifest:
    """The library's manifest with the labels' new patients added to it, written where it changed.

    Raises LibraryError for a manifest that is damaged, OSError when it cannot be written.
    """
    known = load_manifest(folder).patients
    came = [label.study for label in sorted(labels, key=lambda label: (label.counter, label.stem))]
    manifest = Manifest(patients=tuple(dict.fromkeys((*known, *came))))
    if manifest.patients != known:
        write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")
    return manifest


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a library, an empty one where there is none. Raises LibraryError for a damaged one."""
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Manifest()
    except ValidationError as error:
        raise LibraryError(
            f"{path}: {error.errors()[0]['msg']}, expected the list of patients; remove the file to draw them anew"
        ) from None


def _plan(how: HeldOut, labels: Sequence[Label], places: Mapping[str, int]) -> Plan:
    """Labels of the same place (a patient, or a slice position) stay together; at most three folds share the places.

    A fold without a corrected label, or with nothing left to train on, is left out.
    """
    order = sorted({places[label.stem] for label in labels if label.stem in places and label.state == "corrected"})
    folds = []
    for first in range(min(FOLDS, len(order))):
        group = order[first::FOLDS]
        apart = tuple(label for label in labels if places.get(label.stem) in group)
        training = tuple(label for label in labels if label not in apart)
        folds += [Fold(training, apart)] if training else []
    return Plan(how if folds else "nothing", tuple(labels), folds=tuple(folds))
