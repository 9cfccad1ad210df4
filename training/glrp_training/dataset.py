"""A data set as a file: which images and masks belong to which patient, and which part of the split they are in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from glrp_napari.models import Settings

ACDC_LICENCE = "CC BY-NC-SA 4.0 (non-commercial)"
ACDC_CITATION = (
    "O. Bernard et al., Deep Learning Techniques for Automatic MRI Cardiac Multi-structures Segmentation and "
    "Diagnosis: Is the Problem Solved?, IEEE TMI 37(11), 2018, doi 10.1109/TMI.2018.2837502"
)


class DatasetError(ValueError):
    """A data set's description is unusable; says which file, what was found and what was expected."""


class Item(Settings):
    """One image with its mask: of a 4-D image only `frame`, of a 3-D image the whole."""

    image: Path
    mask: Path | None = None
    patient: str
    frame: int | None = None
    split: str = "train"


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


def load_dataset(path: Path) -> Dataset:
    """A data set's file. Raises DatasetError when it is malformed."""
    try:
        return Dataset.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DatasetError(f"{path}: {error.errors()[0]['msg']}, expected a data set description") from None


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


def _find_acdc_items(folder: Path, split: str) -> Iterator[Item]:
    for mask in sorted(folder.glob("*_gt.nii.gz")):
        image = mask.with_name(re.sub("_gt", "", mask.name))
        yield Item(image=image.resolve(), mask=mask.resolve(), patient=folder.name, split=split)
