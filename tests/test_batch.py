"""A cohort as its user meets it: a folder of studies in, masks, reports and two tables out."""

import csv
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from matplotlib.figure import Figure

from glrp_napari.batch import Job, Outcome, run_locally, run_on_slurm, run_task
from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.cli import segment_command
from glrp_napari.cli_batch import _parse_parameters, batch
from glrp_napari.cohort import Task, plan_cohort, read_result, write_tables
from glrp_napari.decisions import Reading
from glrp_napari.drawing import pages
from glrp_napari.measure import Phases
from glrp_napari.models import Model
from glrp_napari.phantom import Anatomy, make_phantom
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.reading.patient import Patient
from glrp_napari.report import Origin, report_study
from glrp_napari.table import list_columns, summarise
from glrp_napari.writing.masks import write_images, write_mask
from tests.reading import dicom_files as files

SMALL = Anatomy(frames=2, slices=3, pixels=64, pixel_mm=3.6)
GOOD = 19


def save_cohort(folder: Path) -> None:
    """19 studies, some in folders of their own, and three files that are none: cut off, text, an unnamed mask."""
    phantom = make_phantom(3, SMALL)
    for number in range(GOOD):
        path = folder / (f"p{number:02d}/cine.nii" if number % 2 else f"p{number:02d}.nii.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_images(path, phantom.cine.images + number, phantom.cine)
    write_mask(folder / "odd.nii", phantom.mask, phantom.cine)
    (folder / "cut.nii.gz").write_bytes((folder / "p00.nii.gz").read_bytes()[:-500])
    (folder / "text.nii").write_text("nothing to see here " * 30)


def run_batch(folder: Path, out: Path, model: Model, **options: Any) -> int:  # noqa: ANN401 - the command's own
    """`glrp batch` with its defaults; the exit code."""
    defaults = {"workers": 1, "frames": "all", "crf": False, "device": "cpu", "slurm": None}
    try:
        batch(folder, out, model=str(model.weights), **(defaults | {"report": False, "patient": False} | options))
    except typer.Exit as stop:
        return stop.exit_code
    return 0


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_good_studies_give_rows_and_bad_ones_reasons(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "cohort", tmp_path / "out"
    save_cohort(folder)
    assert run_batch(folder, out, tiny_model, workers=2) == 1
    rows = read_table(out / "summary.csv")
    names = [f"p{n:02d}/cine" if n % 2 else f"p{n:02d}" for n in range(GOOD)]
    assert sorted(row["study"] for row in rows) == names
    assert list(rows[0]) == list_columns()
    assert {(row["model"], row["frames"], row["device"]) for row in rows} == {("tiny", "2", "cpu")}
    failures = {row["study"]: row["reason"] for row in read_table(out / "failures.csv")}
    assert set(failures) == {"cut", "odd", "text"}
    assert "is it a mask?" in failures["odd"]
    assert all("expected" in reason for reason in failures.values())
    cine = read_cine(folder / "p01/cine.nii")
    assert read_mask(out / "p01/cine_mask.nii.gz", cine).shape == cine.images.shape
    assert "22 studies" in capsys.readouterr().out


def test_a_second_run_does_only_what_is_not_done(tiny_model: Model, tmp_path: Path) -> None:
    folder, out = tmp_path / "cohort", tmp_path / "out"
    phantom = make_phantom(3, SMALL)
    folder.mkdir()
    for name in ("a", "b", "c"):
        write_images(folder / f"{name}.nii", phantom.cine.images, phantom.cine)
    whole = (folder / "c.nii").read_bytes()
    (folder / "c.nii").write_bytes(whole[:-500])
    assert run_batch(folder, out, tiny_model) == 1
    (folder / "c.nii").write_bytes(whole)  # mended
    (out / "b.json").write_text("{")  # cut off
    before = (out / "a.json").stat().st_mtime_ns
    assert run_batch(folder, out, tiny_model) == 0
    assert (out / "a.json").stat().st_mtime_ns == before
    assert [row["study"] for row in read_table(out / "summary.csv")] == ["a", "b", "c"]
    assert read_table(out / "failures.csv") == []
    with pytest.raises(ValueError, match=r"expected those of model tiny .* frames ed-es: choose another folder"):
        run_batch(folder, out, tiny_model, frames="ed-es")


def test_pages_are_those_of_glrp_segment_and_come_later_without_segmenting_again(
    tiny_model: Model, tmp_path: Path
) -> None:
    folder, out = tmp_path / "cohort", tmp_path / "out"
    phantom = make_phantom(3, SMALL)
    folder.mkdir()
    for name in ("a", "b"):
        write_images(folder / f"{name}.nii", phantom.cine.images, phantom.cine)
    (folder / "text.nii").write_text("nothing to see here " * 30)
    assert run_batch(folder, out, tiny_model) == 1
    assert not list(out.glob("*.pdf"))
    before = (out / "a.json").stat().st_mtime_ns
    assert run_batch(folder, out, tiny_model, report=True) == 1
    assert {path.name for path in out.glob("*.pdf")} == {"a_report.pdf", "b_report.pdf"}
    assert (out / "a.json").stat().st_mtime_ns == before
    segment_command(folder / "a.nii", tmp_path / "alone", model=str(tiny_model.weights), device="cpu", report=True)
    alone = (tmp_path / "alone/a_report.pdf").read_bytes()
    assert (out / "a_report.pdf").read_bytes() == alone
    (out / "b_report.pdf").unlink()
    written = (out / "a_report.pdf").stat().st_mtime_ns
    (folder / "text.nii").unlink()
    assert run_batch(folder, out, tiny_model, report=True) == 0
    assert (out / "b_report.pdf").read_bytes() == alone
    assert (out / "a_report.pdf").stat().st_mtime_ns == written


def test_names_stand_on_the_pages_only_if_asked_for(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patients: list[Patient | None] = []
    draw = pages.draw_pages

    def draw_and_note(*args: Any) -> tuple[Figure, ...]:  # noqa: ANN401 - those of `draw_pages`
        patients.append(args[3])
        return draw(*args)

    monkeypatch.setattr(pages, "draw_pages", draw_and_note)
    files.save_all(tmp_path / "cohort/a", files.build_images(files.Cine(slices=3, size=(40, 36))))
    (task,) = plan_cohort(tmp_path / "cohort", tmp_path / "out")
    job = Job(str(tiny_model.weights), device="cpu", report=True)
    assert run_task(task, job) == run_task(task, replace(job, patient=True)) == Outcome(task)
    assert patients[0] is None
    assert patients[1] is not None
    assert patients[1].name == "Canary Patient"
    phantom = make_phantom(3, SMALL)
    write_images(tmp_path / "others.nii", phantom.cine.images, phantom.cine)
    other = Task(tmp_path / "others.nii", "others", tmp_path / "out/others")
    assert "expected one read from DICOM" in run_task(other, replace(job, patient=True)).reason


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"frames": "0,1"}, "found frames '0,1', expected all or ed-es"),
        ({"device": "tpu"}, "device tpu: not available"),
        ({"workers": 0}, "found 0 workers"),
        ({"slurm": "gpu"}, "found 'gpu', expected submitit's parameters"),
    ],
)
def test_wrong_options_are_one_error(options: dict[str, Any], found: str, tiny_model: Model, tmp_path: Path) -> None:
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort/text.nii").write_text("x" * 600)
    with pytest.raises(ValueError, match=found):
        run_batch(tmp_path / "cohort", tmp_path / "out", tiny_model, **options)


def test_a_folder_without_studies_is_an_error(tmp_path: Path) -> None:
    for folder, found in ((tmp_path, "found no study"), (tmp_path / "nosuch", "found no folder")):
        with pytest.raises(ValueError, match=found):
            plan_cohort(folder, tmp_path / "out")


def test_studies_that_differ_in_their_suffix_only_keep_it(coded_cine: Cine, tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz", "b.nii"):
        write_images(tmp_path / name, coded_cine.images, coded_cine)
    assert [task.name for task in plan_cohort(tmp_path, tmp_path)] == ["a.nii", "a.nii.gz", "b"]


def test_a_hidden_name_stays_hidden_where_two_studies_differ_in_their_suffix_only(
    coded_cine: Cine, tmp_path: Path
) -> None:
    for name in ("Doe^Jane.nii", "Doe^Jane.nii.gz"):
        write_images(tmp_path / name, coded_cine.images, coded_cine)
    names = [task.name for task in plan_cohort(tmp_path, tmp_path)]
    assert len(set(names)) == 2
    assert not any("Doe" in name for name in names)


def test_a_study_that_was_replaced_is_segmented_again(tiny_model: Model, tmp_path: Path) -> None:
    phantom = make_phantom(3, SMALL)
    write_images(tmp_path / "a.nii", phantom.cine.images, phantom.cine)
    task = Task(tmp_path / "a.nii", "a", tmp_path / "out/a")
    job = Job(str(tiny_model.weights), device="cpu")
    hashes = []
    for added in (0, 0, 50):
        write_images(tmp_path / "a.nii", phantom.cine.images + added, phantom.cine)
        assert run_task(task, job).reason == ""
        report = read_result(task)
        assert report is not None
        hashes.append((report.study_sha256, task.report.stat().st_mtime_ns))
    assert hashes[0] == hashes[1]
    assert hashes[2][0] != hashes[0][0]


@dataclass(frozen=True)
class Deadly(Task):
    """A task whose arrival kills the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


def test_a_dying_process_takes_only_its_study_with_it(tiny_model: Model, tmp_path: Path) -> None:
    phantom = make_phantom(3, SMALL)
    for name in "abc":
        write_images(tmp_path / f"{name}.nii", phantom.cine.images, phantom.cine)
    first, *others = plan_cohort(tmp_path, tmp_path / "out")
    tasks = [others[0], Deadly(first.study, first.name, first.result), others[1]]
    job = Job(str(tiny_model.weights), device="cpu")
    outcomes = {outcome.task.name: outcome.reason for outcome in run_locally(tasks, job)}
    assert outcomes == {"a": "its process died, as when memory runs out", "b": "", "c": ""}


def test_a_row_of_the_summary(tmp_path: Path) -> None:
    """LV of 4 and 1 voxels of 2 ml, a heart beat of 1 s: EDV 8 ml, ESV 2 ml, EF 75 %, 0.36 l/min."""
    mask = np.zeros((2, 2, 4, 4), np.uint8)
    mask[0, 0, 0, :], mask[1, 0, 0, 0], mask[0, 1, 0, :2] = 3, 3, 2
    cine = Cine(mask, Geometry(spacing_mm=(20.0, 10.0, 10.0)), Source("a"), (0.0, 500.0), ("one", "two"))
    whole = Reading(phases=Phases(0, 1), lv_slices={0: (0, 1), 1: (0, 1)})
    report = report_study(cine, mask, Origin(model="m"), seconds={"read": 0.5, "segment": 1.0}, reading=whole)
    row = summarise("p/a", report)
    assert list(row) == list_columns()
    assert (row["study"], row["frames"], row["ed"], row["es"]) == ("p/a", 2, 0, 1)
    assert [row[f"lv_{x}"] for x in ("edv_ml", "esv_ml", "sv_ml", "ef_percent", "output_l_min")] == [8, 2, 6, 75, 0.36]
    assert (row["lv_slices_ed"], row["rv_slices_es"], row["by_person"]) == ("0-1", "", 0)
    assert (row["lv_mass_g"], row["rv_edv_ml"], row["heart_rate_bpm"]) == (4.2, None, 60)
    assert (row["seconds"], row["warnings"]) == (1.5, "one; two")
    task = Task(tmp_path, "p/a", tmp_path / "a")
    task.report.write_text(report.model_dump_json())
    assert read_result(task) is None  # a report without a mask is not done
    write_mask(task.mask, mask, cine)
    assert write_tables(tmp_path, [task, replace(task, result=tmp_path / "b")], {"q/b": "found x, expected y"}) == 1
    assert read_table(tmp_path / "summary.csv")[0]["rv_edv_ml"] == ""
    assert read_table(tmp_path / "failures.csv") == [{"study": "q/b", "reason": "found x, expected y"}]


class FakeExecutor:
    """submitit's executor, its jobs run when they are submitted; the second dies as one without memory does."""

    parameters: dict[str, Any]

    def __init__(self, folder: Path, cluster: str) -> None:
        assert cluster == "slurm"
        self.count = 0

    def update_parameters(self, **parameters: Any) -> None:  # noqa: ANN401 - as submitit's
        FakeExecutor.parameters = parameters

    def batch(self) -> "FakeExecutor":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def submit(self, run: Any, task: Task, job: Job) -> SimpleNamespace:  # noqa: ANN401 - any function
        self.count += 1
        died = RuntimeError("Job failed\nslurmstepd: error: oom-kill\n") if self.count == 2 else None
        return SimpleNamespace(job_id=str(self.count), exception=lambda: died, result=lambda: Outcome(task))


def test_slurm_through_submitit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(AutoExecutor=FakeExecutor, helpers=SimpleNamespace(as_completed=reversed))
    monkeypatch.setitem(sys.modules, "submitit", fake)
    tasks = [Task(tmp_path / name, name, tmp_path / name) for name in "abc"]
    parameters = _parse_parameters("slurm_partition=gpu, timeout_min=60")
    outcomes = list(run_on_slurm(tasks, Job("cine"), tmp_path, parameters))
    assert [(one.task.name, one.reason) for one in outcomes] == [
        ("c", ""), ("b", "slurmstepd: error: oom-kill"), ("a", "")
    ]  # fmt: skip
    assert FakeExecutor.parameters == {"name": "glrp-batch", "slurm_partition": "gpu", "timeout_min": 60}


def test_slurm_without_submitit_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'glrp-napari\[slurm\]'"):
        next(run_on_slurm([], Job("cine"), tmp_path, {}))
