"""Bias of volumes, ejection fraction and mass in each of ACDC's groups of patients, from what `glrp score` wrote.

    glrp score --dataset acdc.json --split test --model DIR/twin.safetensors --out DIR
    python training/experiments/group_bias.py ACDC DIR

With a few patients a group its limits of agreement would say nothing, so the bias alone is printed (Markdown).
"""

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import cast

from glrp_training.agreement import UNITS, compare_hearts
from glrp_training.dataset import Phase

Heart = dict[tuple[Phase, str], float]


def main(acdc: Path, scored: Path) -> None:
    """Print a row a measure, a column a group."""
    hearts: defaultdict[str, tuple[Heart, Heart]] = defaultdict(lambda: ({}, {}))
    with (scored / "scores.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for heart, column in zip(hearts[row["patient"]], ("predicted_ml", "truth_ml"), strict=True):
                heart[cast("Phase", row["phase"]), row["structure"]] = float(row[column])
    groups: defaultdict[str, list[tuple[Heart, Heart]]] = defaultdict(list)
    for patient, pair in hearts.items():
        groups[read_group(acdc / patient / "Info.cfg")].append(pair)
    bias = {name: {row.measure: row.bias for row in compare_hearts(pairs)} for name, pairs in sorted(groups.items())}
    print("| | " + " | ".join(f"{name} ({len(groups[name])})" for name in bias) + " |")
    print("|---" * (len(bias) + 1) + "|")
    for measure, unit in UNITS.items():
        print(f"| {measure} {unit} | " + " | ".join(f"{found[measure]:.1f}" for found in bias.values()) + " |")


def read_group(path: Path) -> str:
    """A patient's group as ACDC's Info.cfg has it: DCM, HCM, MINF, NOR or RV."""
    named = re.search(r"^Group: *(\w+)", path.read_text(), re.MULTILINE)
    if named is None:
        raise ValueError(f"{path}: found no group, expected a line Group: …")
    return named[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
