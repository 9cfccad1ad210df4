"""A data set as a file: which images and masks belong to which patient, and which part of the split they are in.

It must not know voxels: a folder without a description is looked through by `studies`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import count as count_up
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from glrp_napari.models import Settings
from glrp_napari.reading.studies import find_studies, name_patient
from glrp_napari.reasons import name_fault

ACDC_LICENCE = "CC BY-NC-SA 4.0 (non-commercial)"
ACDC_CITATION = (
    "O. Bernard et al., Deep Learning Techniques for Automatic MRI Cardiac Multi-structures Segmentation and "
    "Diagnosis: Is the Problem Solved?, IEEE TMI 37(11), 2018, doi 10.1109/TMI.2018.2837502"
)
Phase = Literal["ED", "ES"]


class DatasetError(ValueError):
    """A data set's description is unusable; says which file, what was found and what was expected."""


class Item(Settings):
    """One image, with its mask if it has one: of a 4-D image only `frame`, of a 3-D image the whole.

    Without `frame` all frames of an unlabelled 4-D image are used; one that is learned from with its mask needs it.

    `phase` is the frame's, where it is known. `apex_first` says that the first slice is the apex (or the base), where
    that shall not be estimated.
    """

    image: Path
    mask: Path | None = None
    patient: str
    frame: int | None = None
    split: str = "train"
    phase: Phase | None = None
    apex_first: bool | None = None


class Dataset(Settings):
    """Images and masks by patient. `label_map` takes a file's labels to those of `Structure`."""

    name: str
    items: tuple[Item, ...]
    label_map: dict[int, int] = Field(default_factory=dict)
    licence: str = ""
    citation: str = ""

    def select(self, split: str, patients: int | None = None) -> tuple[Item, ...]:
        """The items of one part of the split ("all" for every item), of its first `patients` patients."""
        chosen = [item for item in self.items if split in ("all", item.split)]
        order = list(dict.fromkeys(item.patient for item in chosen))[:patients]
        return tuple(item for item in chosen if item.patient in order)

    def select_labelled(self, split: str, patients: int | None = None) -> tuple[Item, ...]:
        """As `select`, of the items with a mask alone."""
        labelled = self.model_copy(update={"items": tuple(item for item in self.items if item.mask)})
        return labelled.select(split, patients)


def load_dataset(path: Path) -> Dataset:
    """A data set's file. Raises DatasetError when it is malformed."""
    try:
        return Dataset.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DatasetError(f"{path}: {name_fault(error)}, expected a data set description") from None


def describe_folder(folder: Path) -> tuple[Dataset, tuple[str, ...]]:
    """Every short-axis study in a folder and below it, without masks, and a sentence on each that cannot be read.

    Raises DatasetError when none can be.
    """
    studies, complaints = find_studies(folder)
    if not studies:
        shown = "; ".join(complaints[:3]) or "no image"
        raise DatasetError(f"{folder}: found {shown}, expected short-axis studies as NIfTI, NRRD, MHA, MHD or DICOM")
    items = tuple(Item(image=path.resolve(), patient=name_patient(path, folder)) for path in studies)
    return Dataset(name=folder.resolve().name, items=items), complaints


def describe_acdc(folder: Path, split: Path) -> Dataset:
    """The ACDC training set in `folder`, split by patient as `split` says (labelled_order → "train", val, test).

    Items come in the order of the split file, so that the first k patients are its first k.
    """
    parts = json.loads(split.read_text())
    items = tuple(
        item
        for part, name in (("labelled_order", "train"), ("val", "val"), ("test", "test"))
        for patient in parts[part]
        for item in _find_acdc_items(folder / patient, name)
    )
    if not items:
        raise DatasetError(f"{folder}: found none of the patients in {split}, expected folders patient001 …")
    return Dataset(name="ACDC", items=items, licence=ACDC_LICENCE, citation=ACDC_CITATION)


def pick_middle_slices(items: Sequence[Item], count: int) -> dict[Item, tuple[int, ...]]:
    """The `count` slices that a person would label first (method §8): which of which items.

    A slice is told by its place from the middle of those that bear labels: 0, then 1, -1, 2, … First come the middle
    slices of different patients, all ED before all ES (without phases: each patient's first item before its second),
    then their neighbours. A larger `count` only adds slices. Raises ValueError when there is nothing to pick from.
    """
    if not items:
        raise ValueError(f"found no items to pick {count} slices from, expected at least one")
    turns = ((item, place) for place in _count_from_middle() for item in _take_turns(items))
    picked: dict[Item, tuple[int, ...]] = {}
    for item, place in islice(turns, count):
        picked[item] = (*picked.get(item, ()), place)
    return picked


def _count_from_middle() -> Iterator[int]:
    yield 0
    for distance in count_up(1):
        yield from (distance, -distance)


def _take_turns(items: Sequence[Item]) -> list[Item]:
    """Each patient's first item, ED if there is one, then each patient's second, and so on."""
    order = ("ED", "ES", None)
    turns: dict[Item, int] = {}
    seen: dict[str, int] = {}
    for item in sorted(items, key=lambda item: order.index(item.phase)):
        turns[item] = seen[item.patient] = seen.get(item.patient, -1) + 1
    return sorted(items, key=turns.__getitem__)


def _find_acdc_items(folder: Path, split: str) -> Iterator[Item]:
    phases = _read_acdc_phases(folder / "Info.cfg")
    for mask in sorted(folder.glob("*_gt.nii.gz")):
        image = mask.with_name(re.sub("_gt", "", mask.name))
        frame = re.search(r"_frame(\d+)", mask.name)
        phase = phases.get(int(frame[1])) if frame else None
        yield Item(image=image.resolve(), mask=mask.resolve(), patient=folder.name, split=split, phase=phase)


def _read_acdc_phases(path: Path) -> dict[int, Phase]:
    """The phases by frame number as file names have it; empty where the set comes without its Info.cfg."""
    text = path.read_text() if path.exists() else ""
    names: tuple[Phase, ...] = ("ED", "ES")
    found = ((re.search(rf"^{name}: *(\d+)", text, re.MULTILINE), name) for name in names)
    return {int(match[1]): name for match, name in found if match}
