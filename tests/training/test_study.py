import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from glrp_training.dataset import Dataset, Item
from glrp_training.study import Cell, Study, StudyError, list_cells, load_study, read_outcomes, run_study
from glrp_training.tables import write_tables

from glrp_napari.device import choose_placement
from glrp_napari.phantom import Anatomy, make_phantom
from glrp_napari.writing.masks import write_images, write_mask

EXPERIMENTS = Path(__file__).parents[2] / "training" / "experiments"
PLAN = """
title = "Two strategies"
strategies = ["random", "glrp"]
labelled = [1, 2]
score_on = "test"

[encoder.pretraining]
steps = 3
batch = 4

[fit]
phantoms = 0
validate_every = 3
architecture = {width = 4}
preprocessing = {size = 64, spacing_mm = 3.0}

[fit.finetuning]
steps = 6
batch = 4
"""
STUDY_UNTIL_KILLED = """
import sys
from pathlib import Path
from glrp_training.dataset import load_dataset
from glrp_training.study import load_study, run_study
from glrp_napari.device import choose_placement
plan, data, out = map(Path, sys.argv[1:])
for _ in run_study(load_study(plan), load_dataset(data), out, choose_placement("cpu")):
    print("event", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four phantom patients, their description as a data set, and a study."""
    folder = tmp_path_factory.mktemp("study")
    items = []
    for number, split in enumerate(("train", "train", "val", "test")):
        phantom = make_phantom(number, Anatomy(slices=4, frames=8, pixels=96, pixel_mm=2.5), frames=(0,))
        image, mask = folder / f"p{number}.nii.gz", folder / f"p{number}_gt.nii.gz"
        write_images(image, phantom.cine.images, phantom.cine)
        write_mask(mask, phantom.mask, phantom.cine)
        items.append(Item(image=image, mask=mask, patient=f"p{number}", frame=0, split=split))
    (folder / "data.json").write_text(Dataset(name="phantoms", items=tuple(items)).model_dump_json())
    (folder / "plan.toml").write_text(PLAN)
    return folder


def load(folder: Path) -> tuple[Study, Dataset]:
    return load_study(folder / "plan.toml"), Dataset.model_validate_json((folder / "data.json").read_text())


def test_a_killed_study_goes_on_and_writes_its_table(folder: Path, tmp_path: Path) -> None:
    study, dataset = load(folder)
    out = tmp_path / "out"
    arguments = [str(folder / "plan.toml"), str(folder / "data.json"), str(out)]
    child = subprocess.Popen([sys.executable, "-c", STUDY_UNTIL_KILLED, *arguments], stdout=subprocess.PIPE)
    until = time.monotonic() + 120
    while not list(out.glob("scores/*/scores.json")) and time.monotonic() < until:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("scores/*/scores.json")}
    assert 1 <= len(before) < 4

    for _ in run_study(study, dataset, out, choose_placement("cpu"), tmp_path / "cache"):
        pass
    assert all(path.stat().st_mtime_ns == written for path, written in before.items()), "a cell was computed twice"
    outcomes = read_outcomes(study, out)
    assert [outcome.cell.name for outcome in outcomes] == ["random-1-0", "glrp-1-0", "random-2-0", "glrp-2-0"]
    assert [outcome.pretraining_s > 0 for outcome in outcomes] == [False, True, False, True]
    assert list(run_study(study, dataset, out, choose_placement("cpu"), tmp_path / "cache"))[-1].kind == "progress"

    table, cells, curves = write_tables(study, outcomes, out)
    rows = table.read_text().splitlines()
    assert rows[2] == "|  | 1 patient | 2 patients |"
    assert [row.split("|")[1].strip() for row in rows[4:6]] == ["random", "glrp"]
    with cells.open() as file:
        values = list(csv.DictReader(file))
    assert len(values) == 4 * 4  # LV, MYO, RV, mean
    assert float(values[3]["dice"]) == pytest.approx(outcomes[0].figures["mean"]["dice"])
    assert curves.read_bytes().startswith(b"\x89PNG")


def test_a_folder_of_another_study_is_refused(folder: Path, tmp_path: Path) -> None:
    study, dataset = load(folder)
    next(run_study(study, dataset, tmp_path, choose_placement("cpu")))
    other = study.model_copy(update={"seeds": (1,)})
    with pytest.raises(StudyError, match="found the results of another study"):
        next(run_study(other, dataset, tmp_path, choose_placement("cpu")))


def test_more_labelled_patients_than_there_are_are_refused_at_once(folder: Path, tmp_path: Path) -> None:
    study, dataset = load(folder)
    with pytest.raises(StudyError, match="found labelled = 3, expected at most 2 patients"):
        next(run_study(study.model_copy(update={"labelled": (3,)}), dataset, tmp_path, choose_placement("cpu")))


def test_a_part_to_score_on_without_labels_is_refused_at_once(folder: Path, tmp_path: Path) -> None:
    study, dataset = load(folder)
    with pytest.raises(StudyError, match="found no labelled frame in the part 'tset'"):
        next(run_study(study.model_copy(update={"score_on": "tset"}), dataset, tmp_path, choose_placement("cpu")))


def test_fusing_adds_the_factorial_of_refinements() -> None:
    study = Study(title="", strategies=("grp", "glrp"), labelled=(10,), fuse=("glrp", "grp"))
    names = [cell.name for cell in list_cells(study)]
    assert names[:2] == ["grp-10-0", "glrp-10-0"]
    assert len(names) == len(set(names)) == 2 + 3 * 4 - 2  # both alone, all three in four ways, two known already
    assert Cell("fused", 10, 0, crf=True, clean=False).name == "fused-10-0-crf-raw"
    assert set(names) >= {"fused-10-0", "fused-10-0-crf", "fused-10-0-raw", "fused-10-0-crf-raw", "grp-10-0-crf"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = ", "expected the description of a study"),
        ('title = "x"', "strategies: Field required"),
        (PLAN + "\nrates = 3", "rates: Extra inputs are not permitted"),
        (PLAN.replace('"glrp"]', '"gclp"]'), "found strategy gclp, expected some of random, simclr"),
        (PLAN.replace("[1, 2]", "[0]"), "expected numbers from 1"),
        (PLAN.replace("labelled =", 'fuse = ["grp"]\nlabelled ='), "found grp to fuse"),
    ],
)
def test_a_malformed_study_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(StudyError, match=r"bad\.toml") as error:
        load_study(path)
    assert complaint in str(error.value)


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_experiments_are_studies(path: Path) -> None:
    assert list_cells(load_study(path))
