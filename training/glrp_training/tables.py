"""A study's outcomes as tables and a figure: Markdown to read, CSV to compute with, learning curves to look at."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from glrp_napari.cine import count
from glrp_napari.writing.atomic import write_atomically
from glrp_training.evaluate import MEASURES
from glrp_training.study import Outcome, Study

COUNTS = ("cases", "undefined")


def write_tables(study: Study, outcomes: Sequence[Outcome], out: Path) -> tuple[Path, ...]:
    """Write `table.md`, `cells.csv` and `curves.png` into `out`; returns their paths."""
    files = {
        out / "table.md": make_table(study, outcomes).encode(),
        out / "cells.csv": list_values(outcomes).encode(),
        out / "curves.png": draw_curves(study, outcomes),
    }
    for path, content in files.items():
        write_atomically(path, content)
    return tuple(files)


def make_table(study: Study, outcomes: Sequence[Outcome]) -> str:
    """Mean Dice and HD by strategy and number of labels, ± the standard deviation over seeds, as Markdown."""
    rows = dict.fromkeys(_describe_row(outcome) for outcome in outcomes)
    unit = "slice" if study.of_slices else "patient"
    head = ["", *(count(k, unit) for k in study.labelled)]
    lines = [f"# {study.title}", "", _join(head), _join(["---"] * len(head))]
    for row in rows:
        values = [[o for o in outcomes if _describe_row(o) == row and o.cell.labelled == k] for k in study.labelled]
        lines.append(_join([row, *(_describe_values(found) for found in values)]))
    seeds = ", ".join(map(str, study.seeds))
    missed = sum(int(o.figures["mean"].get("undefined") or 0) for o in outcomes)
    lines += ["", f"Mean Dice / Hausdorff distance in mm on `{study.score_on}`; seeds {seeds}. Where a structure was"]
    lines += [f"missed, its Dice is 0 and its distance is left out: {missed} times, see `undefined` in `cells.csv`."]
    return "\n".join(lines) + "\n"


def list_values(outcomes: Sequence[Outcome]) -> str:
    """Every measure of every structure of every cell as CSV."""
    text = io.StringIO()
    keys, seconds = ("strategy", "labelled", "seed", "crf", "clean", "structure"), ("pretraining_s", "finetuning_s")
    writer = csv.DictWriter(text, (*keys, *COUNTS, *MEASURES, *seconds))
    writer.writeheader()
    for outcome in outcomes:
        cell = outcome.cell
        known = {name: getattr(cell, name) for name in ("strategy", "labelled", "seed", "crf", "clean")}
        times = {"pretraining_s": round(outcome.pretraining_s), "finetuning_s": round(outcome.finetuning_s)}
        for structure, row in outcome.figures.items():
            writer.writerow({**known, "structure": structure, **{m: row.get(m) for m in (*COUNTS, *MEASURES)}, **times})
    return text.getvalue()


def draw_curves(study: Study, outcomes: Sequence[Outcome]) -> bytes:
    """Learning curves as PNG: mean Dice over the number of labels, a line a strategy, all seeds as dots."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for row in dict.fromkeys(_describe_row(outcome) for outcome in outcomes):
        found = [o for o in outcomes if _describe_row(o) == row and o.figures["mean"]["dice"] is not None]
        where = sorted({o.cell.labelled for o in found})
        means = [np.mean([o.figures["mean"]["dice"] or 0 for o in found if o.cell.labelled == k]) for k in where]
        (line,) = axes.plot(where, means, label=row)
        dots = [(o.cell.labelled, o.figures["mean"]["dice"] or 0) for o in found]
        axes.plot(*zip(*dots, strict=True), "o", color=line.get_color())
    axes.set(xlabel="labelled slices" if study.of_slices else "labelled patients", ylabel="mean Dice")
    axes.set_title(study.title, fontsize="medium")
    axes.set_xscale("log")
    axes.set_xticks(study.labelled, [str(k) for k in study.labelled])
    axes.minorticks_off()
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()


def _describe_row(outcome: Outcome) -> str:
    cell = outcome.cell
    return cell.strategy + (" + CRF" if cell.crf else "") + ("" if cell.clean else ", not cleaned up")


def _describe_values(outcomes: Sequence[Outcome]) -> str:
    dice = [float(o.figures["mean"]["dice"] or 0) for o in outcomes]
    hd = [float(o.figures["mean"]["hd_mm"]) for o in outcomes if o.figures["mean"]["hd_mm"] is not None]
    if not dice:
        return ""
    spread = f" ± {np.std(dice, ddof=1):.3f}" if len(dice) > 1 else ""
    return f"{np.mean(dice):.3f}{spread} / {np.mean(hd):.1f}" if hd else f"{np.mean(dice):.3f}{spread} / –"


def _join(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
