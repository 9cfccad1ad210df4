"""Few labels, simulated from truth: does fine-tuning help where scans or rules differ, and does the gate judge rightly?

    python training/experiments/simulate_labels.py acdc.json --base base35.safetensors --out DIR

`--base` was trained on the first 35 patients of the data set's training part (`glrp finetune --labelled 35`). Labels
are taken from the next ones, of the slices that the window would suggest or at random (`--order`); figures are of the
part `test`, which nobody tunes on. A short run:
`--domains papillaries,inverted --labels 2,10 --patients 6`. What is in DIR already is not repeated.
"""

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from glrp_training.dataset import load_dataset
from glrp_training.domains import DOMAINS
from glrp_training.places import count_patients, draw_places, suggest_places
from glrp_training.simulate import (
    average,
    describe,
    load_patients,
    move,
    score_patients,
    simulate,
    tabulate,
)

from glrp_napari.device import choose_placement
from glrp_napari.models import find_model
from glrp_napari.progress import collect
from glrp_napari.segment import open_model
from glrp_napari.writing.atomic import write_atomically

FIRST_NEW, SOURCES = 35, 8


def main() -> None:
    """Compute what is missing, print the table."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    base, place, dataset = find_model(options.base), choose_placement(), load_dataset(options.dataset)
    sources = load_patients(dataset, "train", FIRST_NEW, SOURCES)
    targets = load_patients(dataset, "test", 0, options.patients)
    segmenter = open_model(base, place)
    originals = collect(score_patients(segmenter, targets))
    print(f"{base.card.name} on {len(targets)} new patients as they are: Dice {average(originals):.3f}", flush=True)
    rows = []
    for domain in options.domains:
        for count in options.labels:
            path = options.out / f"{domain}-{count}-{options.order}-{options.seed}.json"
            if not path.exists():
                work = options.out / "work"
                shutil.rmtree(work, ignore_errors=True)
                if options.order == "random":
                    places = draw_places(sources, count, options.seed)
                else:
                    moved = [move(one, DOMAINS[domain]) for one in sources[: count_patients(count, SOURCES)]]
                    places = collect(suggest_places(moved, count, segmenter))
                events = simulate(base, work, domain, sources, targets, places, place, originals)
                write_atomically(path, json.dumps(describe(collect(events)), indent=1).encode() + b"\n")
            rows.append(json.loads(path.read_text()))
            print(tabulate(rows[-1:]).splitlines()[-1], flush=True)
    write_atomically(options.out / "table.md", tabulate(rows).encode())


def parse() -> "Options":
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--base", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--domains", type=lambda text: text.split(","), default=list(DOMAINS))
    parser.add_argument("--labels", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 5, 10, 20])
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--order", choices=["suggested", "random"], default="suggested")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(namespace=Options())


class Options:
    """What `parse` reads."""

    dataset: Path
    base: str
    out: Path
    domains: Sequence[str]
    labels: Sequence[int]
    patients: int
    order: str
    seed: int


if __name__ == "__main__":
    main()
