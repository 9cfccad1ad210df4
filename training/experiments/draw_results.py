"""Boxplots over patients, and overlays with the worst frames first, of what `glrp score` wrote for several models.

    glrp score --dataset acdc.json --split test --model random-10-0.safetensors --out DIR/random      (and so on)
    python training/experiments/draw_results.py acdc.json random=DIR/random GLRP=DIR/glrp --out DIR

The frames are those on which the last of the models does worst, by its mean Dice; of each the slice in which it errs
in most pixels. Writes `boxes.png` and `overlays.png`. Pictures of ACDC carry its citation and licence.
"""

import csv
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from glrp_training.dataset import load_dataset
from glrp_training.score import Case, list_cases
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glrp_napari.cine import Mask, Structure
from glrp_napari.contrast import find_contrast
from glrp_napari.drawing.palette import COLOURS, NAMES
from glrp_napari.masks import find_box
from glrp_napari.reading.masks import read_mask

MARGIN_MM = 25.0
MEASURES = {"dice": "Dice", "hd_mm": "Hausdorff distance, mm"}
SOURCE = "Scans: ACDC, Bernard et al., IEEE TMI 37(11), 2018, doi 10.1109/TMI.2018.2837502; CC BY-NC-SA 4.0"
Rows = Sequence[Mapping[str, str]]


def main() -> None:
    """Draw both figures."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("scored", nargs="+", help="NAME=DIR, in the order of the figures")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--frames", type=int, default=6)
    options = parser.parse_args()
    folders = {name: Path(folder) for name, folder in (one.split("=", 1) for one in options.scored)}
    scores = {name: list(csv.DictReader((folder / "scores.csv").open(newline=""))) for name, folder in folders.items()}
    draw_boxes(scores).savefig(options.out / "boxes.png", dpi=80)
    worst = rank_cases(list(scores.values())[-1])[: options.frames]
    cases = {case.name: case for case in list_cases(load_dataset(options.dataset), options.split) if case.name in worst}
    draw_overlays([cases[name] for name in worst], folders).savefig(options.out / "overlays.png", dpi=80)


def draw_boxes(scores: Mapping[str, Rows]) -> Figure:
    """A row a measure, a panel a structure, a box a model: the patients' means over ED and ES, the mean as a dot."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    panels = figure.subplots(len(MEASURES), len(Structure), sharey="row", squeeze=False)
    for line, (measure, title) in zip(panels, MEASURES.items(), strict=True):
        line[0].set_ylabel(title)
        for axes, structure in zip(line, sorted(Structure, reverse=True), strict=True):
            values = [average_patients(rows, structure, measure) for rows in scores.values()]
            axes.boxplot(values, tick_labels=list(scores), showmeans=True, meanprops={"marker": "."})
            axes.set_title(NAMES[structure], color=COLOURS[structure])
            axes.tick_params(axis="x", rotation=30)
    return figure


def average_patients(rows: Rows, structure: Structure, measure: str) -> list[float]:
    """Each patient's mean over his frames, where it is defined."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["structure"] == structure.name and row[measure]:
            found[row["patient"]].append(float(row[measure]))
    return [float(np.mean(values)) for values in found.values()]


def rank_cases(rows: Rows) -> list[str]:
    """The frames by their mean Dice over structures, the worst first."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        found[row["case"]].append(float(row["dice"]))
    return sorted(found, key=lambda case: np.mean(found[case]))


def draw_overlays(cases: Sequence[Case], folders: Mapping[str, Path]) -> Figure:
    """A row a frame: its worst slice, what its reader drew, and each model's answer."""
    heads = ("", "readers", *folders)
    figure = Figure(figsize=(2 * len(heads), 2.1 * len(cases) + 0.4), layout="constrained")
    for case, line in zip(cases, figure.subplots(len(cases), len(heads), squeeze=False), strict=True):
        masks = [read_mask(folder / f"{case.name}_mask.nii.gz", case.cine) for folder in folders.values()]
        truth, answers = case.truth[0], [mask[0] for mask in masks]
        level = int((answers[-1] != truth).sum((1, 2)).argmax())
        heart = np.any([truth[level] > 0, *(answer[level] > 0 for answer in answers)], axis=0)
        region = find_box(heart, [round(MARGIN_MM / mm) for mm in case.cine.geometry.spacing_mm[1:]])
        drawn = [None, truth, *answers]
        image, limits = case.cine.images[0, level][region], find_contrast(case.cine.images)
        for axes, mask, head in zip(line, drawn, heads, strict=True):
            draw_slice(axes, image, limits, None if mask is None else mask[level][region])
            if case is cases[0]:
                axes.set_title(head, fontsize="medium")
        line[0].set_ylabel(f"{case.name.replace('_', ' ')}\nslice {level + 1}", fontsize="small")
    figure.supxlabel(SOURCE, fontsize="x-small")
    return figure


def draw_slice(axes: Axes, image: NDArray[np.generic], limits: tuple[float, float], mask: Mask | None) -> None:
    """A slice in grey, with the outline of each structure."""
    axes.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1])
    axes.set(xticks=[], yticks=[])
    for structure in Structure:
        if mask is not None and (mask == structure).any():
            axes.contour(mask == structure, [0.5], colors=COLOURS[structure], linewidths=1.2)


if __name__ == "__main__":
    main()
