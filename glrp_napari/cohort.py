"""A cohort's files: which studies a folder holds, where each one's results go, which are done, and the two tables.

Files are the truth: a study is done when its mask and its report are there. It must not know how studies are segmented.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from glrp_napari.models import Model, Settings
from glrp_napari.reading.names import hide_person, study_name
from glrp_napari.reading.studies import list_candidates
from glrp_napari.refine import CrfSettings
from glrp_napari.report import StudyReport
from glrp_napari.table import summarise, write_csv, write_table
from glrp_napari.writing.atomic import write_atomically
from glrp_napari.writing.folders import check_folder

SUMMARY, FAILURES, RECORD = "summary.csv", "failures.csv", "cohort.json"
CohortFrames = Literal["all", "ed-es"]


class Recipe(Settings):
    """How every study of a cohort is segmented, `cohort.json`: results of another recipe do not belong beside them."""

    model: str
    model_sha256: str
    frames: CohortFrames
    crf: CrfSettings | None


@dataclass(frozen=True)
class Task:
    """A study to segment: `name` is its place in the cohort's folder, `result` its results' path without suffix."""

    study: Path
    name: str
    result: Path

    @property
    def mask(self) -> Path:
        """The mask's file."""
        return self.result.with_name(f"{self.result.name}_mask.nii.gz")

    @property
    def report(self) -> Path:
        """The report's file, written after the mask."""
        return self.result.with_name(f"{self.result.name}.json")

    @property
    def pages(self) -> Path:
        """The report as PDF, written last where it is wanted."""
        return self.result.with_name(f"{self.result.name}_report.pdf")


def plan_cohort(folder: Path, out: Path) -> tuple[Task, ...]:
    """A task for each study in `folder` and below it, its results at the same place below `out`.

    Raises `ValueError` where there is no folder or nothing in it that could be a study.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: found no folder, expected one of studies")
    studies = list_candidates(folder)
    if not studies:
        raise ValueError(f"{folder}: found no study, expected NIfTI, NRRD, MHA or MHD files or DICOM folders")
    places = [_hide_people(path.relative_to(folder).parent) / study_name(path) for path in studies]
    counts = Counter(places)
    # Two studies that differ in their suffix only keep it.
    names = [p.with_name(hide_person(f.name)) if counts[p] > 1 else p for f, p in zip(studies, places, strict=True)]
    return tuple(Task(path, name.as_posix(), out / name) for path, name in zip(studies, names, strict=True))


def claim_folder(out: Path, model: Model, frames: CohortFrames, crf: CrfSettings | None) -> None:
    """Make `out` the folder of this recipe. Raises `ValueError` where results of another one are there."""
    recipe = Recipe(model=model.card.name, model_sha256=model.card.weights_sha256, frames=frames, crf=crf)
    path = out / RECORD
    if path.exists() and (found := _read_recipe(path)) != recipe:
        shown = "another recipe" if found is None else f"results of {_show(found)}"
        raise ValueError(f"{out}: found {shown}, expected those of {_show(recipe)}: choose another folder")
    check_folder(out)
    write_atomically(path, recipe.model_dump_json(indent=2).encode() + b"\n")


def read_result(task: Task) -> StudyReport | None:
    """The report of a study that is done, None of one that is not (or was cut off)."""
    if not (task.mask.exists() and task.report.exists()):
        return None
    try:
        return StudyReport.model_validate_json(task.report.read_bytes())
    except ValidationError:
        return None


def write_tables(out: Path, tasks: Sequence[Task], failures: Mapping[str, str]) -> int:
    """Write `summary.csv`, a row for each study that is done (`summarise`), and `failures.csv` (study, reason).

    Returns the number of rows in the summary.
    """
    done = [(task.name, report) for task in tasks if (report := read_result(task)) is not None]
    rows = [summarise(name, report) for name, report in done]
    write_table(out / SUMMARY, rows)
    write_csv(out / FAILURES, ["study", "reason"], (list(row) for row in sorted(failures.items())))
    return len(rows)


def _hide_people(place: Path) -> Path:
    return Path(*map(hide_person, place.parts))


def _read_recipe(path: Path) -> Recipe | None:
    try:
        return Recipe.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def _show(recipe: Recipe) -> str:
    refined = "" if recipe.crf is None else f", CRF ({recipe.crf.engine})"
    return f"model {recipe.model} ({recipe.model_sha256[:8]}), frames {recipe.frames}{refined}"
