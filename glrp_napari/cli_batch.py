"""The command that segments a cohort: `glrp batch`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args

import typer
from glrp_training.commands import Crf, CrfEngine, Device, choose_crf
from rich.console import Console

from glrp_napari.batch import Job, Outcome, run_locally, run_on_slurm
from glrp_napari.cli_measure import Patient, Report
from glrp_napari.cohort import FAILURES, SUMMARY, CohortFrames, claim_folder, plan_cohort, read_result, write_tables
from glrp_napari.device import choose_placement
from glrp_napari.models import DEFAULT_MODEL, find_model
from glrp_napari.session import default_session

console = Console()


def register(app: typer.Typer) -> None:
    """Add the cohort's command to the command line."""
    app.command()(batch)


def batch(
    folder: Annotated[Path, typer.Argument(help="A folder of studies, nested or not.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for masks, reports, summary.csv and failures.csv.")],
    workers: Annotated[int, typer.Option(help="Processes at once; with one GPU leave it at 1.")] = 1,
    model: Annotated[str, typer.Option(help="A name `glrp models` lists, or a .safetensors file.")] = DEFAULT_MODEL,
    frames: Annotated[str, typer.Option(help="all or ed-es.")] = "all",
    crf: Crf = False,
    crf_engine: CrfEngine = "auto",
    device: Device = "auto",
    report: Report = False,
    patient: Patient = False,
    slurm: Annotated[
        str | None,
        typer.Option(help="Run on Slurm with submitit's parameters: slurm_partition=gpu,timeout_min=60."),
    ] = None,
) -> None:
    """Segment all studies of a folder; those already done are left alone, failures are listed with their reason.

    Exit code 1 where a study failed.
    """
    chosen, refinement = _parse_frames(frames), choose_crf(crf, crf_engine)
    found = find_model(model, [default_session().models])
    parameters = None if slurm is None else _parse_parameters(slurm)
    if slurm is None:
        choose_placement(device)  # so that a wrong name is one error, not one a study
    tasks = plan_cohort(folder.resolve(), out.resolve())
    claim_folder(out, found, chosen, refinement)
    todo = [task for task in tasks if read_result(task) is None or (report and not task.pages.exists())]
    console.print(f"{len(tasks)} studies in {folder}, {len(tasks) - len(todo)} of them done before")
    job = Job(str(found.weights.resolve()), chosen, refinement, device, report, patient)
    outcomes = run_locally(todo, job, workers) if parameters is None else run_on_slurm(todo, job, out, parameters)
    failures: dict[str, str] = {}
    try:
        failures.update(_follow(outcomes if todo else iter(()), len(todo)))
    finally:
        done = write_tables(out, tasks, failures)
    console.print(f"{done} of {len(tasks)} in {out / SUMMARY}, {len(failures)} in {out / FAILURES}", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


def _follow(outcomes: Iterator[Outcome], count: int) -> Iterator[tuple[str, str]]:
    """The failures, each outcome printed in a line of its own."""
    for number, outcome in enumerate(outcomes, 1):
        print(f"{number}/{count} {outcome.task.name}: {outcome.reason or 'done'}", flush=True)
        if outcome.reason:
            yield outcome.task.name, outcome.reason


def _parse_frames(text: str) -> CohortFrames:
    if text not in get_args(CohortFrames):
        raise ValueError(f"found frames {text!r}, expected all or ed-es")
    return text  # type: ignore[return-value]


def _parse_parameters(text: str) -> dict[str, str | int]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if wrong := [name for name, sign, _ in pairs if not sign or not name.strip().isidentifier()]:
        raise ValueError(f"found {wrong[0]!r}, expected submitit's parameters: slurm_partition=gpu,timeout_min=60")
    return {name.strip(): int(value) if value.strip().isdecimal() else value.strip() for name, _, value in pairs}
