"""How often the checks before training speak up on what experts drew: `lint_rates.py DATA/acdc [EVERY]`.

Every volume of ACDC is taken as the labels of one frame; then the same with masks shifted, and with papillary muscles
moved to the wall (in half of the volumes; in all, against what a library's conventions say). Prints the share of
slices, or volumes, with a finding by rule.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from glrp_training.domains import move_papillaries

from glrp_napari.cine import Mask, hash_study
from glrp_napari.library import Label, Protocol
from glrp_napari.lint import Evidence, LabelledSlice, conclude, examine_slice
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask

Change = Callable[[Mask, np.ndarray, tuple[float, float]], Mask]


def read_slices(path: Path) -> Iterator[LabelledSlice]:
    """The slices of a volume `…_gt.nii.gz` and its image as labels."""
    cine = read_cine(path.with_name(path.name.replace("_gt", "")))
    mask, study = read_mask(path, cine)[0], hash_study(cine)
    for z, plane in enumerate(mask):
        label = Label(
            study=study, frame=0, slice=z, slices=len(mask), state="corrected", counter=1, frame_mean=0, frame_std=1
        )
        _, y, x = cine.geometry.spacing_mm
        yield LabelledSlice(label, cine.images[0, z].astype(np.float32), plane, (y, x))


def shift_by(distance_mm: float, angle: float) -> Change:
    """Masks moved so far in one direction."""

    def change(mask: Mask, _image: np.ndarray, pixel_mm: tuple[float, float]) -> Mask:
        steps = np.round(distance_mm * np.array([np.sin(angle), np.cos(angle)]) / pixel_mm).astype(int)
        return np.roll(mask, steps, (0, 1))

    return change


def draw_as_wall(mask: Mask, image: np.ndarray, _pixel_mm: tuple[float, float]) -> Mask:
    """Papillary muscles become wall."""
    return move_papillaries(image[None], mask[None])[1][0]


def keep(mask: Mask, _image: np.ndarray, _pixel_mm: tuple[float, float]) -> Mask:
    """As the experts drew it."""
    return mask


def examine(stack: list[LabelledSlice], change: Change) -> list[Evidence]:
    """The evidence of a volume after a change."""
    return [
        examine_slice(LabelledSlice(s.label, s.image, change(s.mask, s.image, s.pixel_mm), s.pixel_mm)) for s in stack
    ]


def main(folder: Path, every: int) -> None:
    """Print the rates."""
    paths = sorted(folder.glob("*/*_gt.nii.gz"))[::every]
    rng = np.random.default_rng(0)
    truth: list[Evidence] = []
    moved: list[Evidence] = []
    mixed: list[Evidence] = []
    alone: Counter[str] = Counter()
    slices: Counter[float] = Counter()
    volumes: Counter[float] = Counter()
    for number, path in enumerate(paths):
        stack = list(read_slices(path))
        plain = examine(stack, keep)
        truth += plain
        alone.update({found.rule for found in conclude(plain)})
        as_wall = examine(stack, draw_as_wall)
        moved += as_wall
        mixed += as_wall if number % 2 else plain
        for distance in (4.0, 6.0, 8.0, 10.0):
            shifted = examine(stack, shift_by(distance, rng.uniform(0, 2 * np.pi)))
            volumes[distance] += any(found.rule == "shifted" for found in conclude(shifted))
            slices[distance] += sum(any(f.rule == "shifted" for f in conclude([one])) for one in shifted)
    print(f"{len(paths)} volumes, {len(truth)} slices as drawn:", Counter(f.rule for f in conclude(truth)))
    print("volumes with a finding, each a library of its own:", dict(alone))
    print("as drawn, papillaries:", Counter(one.papillaries for one in truth))
    for distance, hits in volumes.items():
        print(f"shifted by {distance} mm: {hits} of {len(paths)} volumes; {slices[distance]} slices alone")
    print("papillaries of every other volume moved:", Counter(one.papillaries for one in mixed))
    print("findings:", Counter(found.rule for found in conclude(mixed)))
    print_breaches("as drawn", truth)
    print_breaches("all papillaries moved to the wall", moved)


def print_breaches(drawn: str, evidence: list[Evidence]) -> None:
    """How often slices are found to breach either convention."""
    volumes = {one.label.study for one in evidence}
    for agreed in get_args(Protocol.model_fields["papillaries"].annotation):
        findings = conclude(evidence, Protocol(papillaries=agreed))
        found = [finding.label.study for finding in findings if finding.rule == "papillary muscles"]
        share = f"{len(found)} of {len(evidence)} slices, {len(set(found))} of {len(volumes)} volumes"
        print(f"{drawn}, conventions say {agreed}: {share}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
