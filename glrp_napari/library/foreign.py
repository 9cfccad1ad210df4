"""Labels from a folder of images with masks beside them, as other programs and data sets leave them.

A mask is `<image>_mask`, `_gt`, `_seg` or `_label` beside its image. What its labels mean is the caller's to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glrp_napari.cine import hash_study
from glrp_napari.library.store import Accepted, accept_slices, list_writable
from glrp_napari.library.transfer import Import, Steps
from glrp_napari.reading import ReadError, read_cine
from glrp_napari.reading.masks import read_mask

_KINDS = (".nii.gz", ".nii", ".nrrd", ".mha")
_ENDINGS = tuple(f"{mark}{noun}" for mark in "_-." for noun in ("mask", "gt", "seg", "label", "labels"))


@dataclass(frozen=True)
class Pair:
    """An image and its mask; `label_map` gives ours for each label of the mask, None where they are ours."""

    image: Path
    mask: Path
    label_map: Mapping[int, int] | None = None


def find_pairs(folder: Path) -> tuple[Pair, ...]:
    """The images in a folder, and in those in it, that have a mask beside them."""
    files = {path: kind for path in sorted(folder.rglob("*")) for kind in _KINDS if path.name.lower().endswith(kind)}
    pairs = []
    for mask, kind in files.items():
        stem = mask.name[: -len(kind)]
        ending = next((one for one in _ENDINGS if stem.lower().endswith(one)), None)
        if ending is not None:
            images = (mask.with_name(stem[: -len(ending)] + other) for other in (kind, *_KINDS))
            if (image := next((path for path in images if path in files), None)) is not None:
                pairs.append(Pair(image, mask))
    return tuple(pairs)


def import_pairs(pairs: Sequence[Pair], folder: Path) -> Steps:
    """Take every slice of the masks that holds a label as a corrected one; a place that has a label stays as it is.

    Who drew them, and by which conventions, is not known: the labels carry neither.

    A pair that does not fit, on another grid or with other labels, is refused whole. Raises LibraryError where
    `folder` may not be written to.
    """
    done = Import()
    for number, pair in enumerate(pairs, 1):
        try:
            done = _add(done, _import_pair(pair, folder))
        except (ReadError, ValueError) as error:
            done = _add(done, Import(refused=(str(error),)))
        yield number, len(pairs)
    return done


def _import_pair(pair: Pair, folder: Path) -> Import:
    cine = read_cine(pair.image)
    mask, study = read_mask(pair.mask, cine, pair.label_map), hash_study(cine)
    known = {(label.frame, label.slice) for label in list_writable(folder) if label.study == study}
    filled = [(t, z) for t, stack in enumerate(mask) for z, plane in enumerate(stack) if plane.any()]
    if not filled:  # a mask of nothing teaches nothing
        raise ReadError(pair.mask, "an empty mask", "at least one label")
    new = [Accepted(t, z, "corrected", mask[t, z]) for t, z in filled if (t, z) not in known]
    return Import(accept_slices(folder, cine, new, study=study, drawn_here=False), len(filled) - len(new))


def _add(one: Import, other: Import) -> Import:
    return Import(one.taken + other.taken, one.known + other.known, one.refused + other.refused)
