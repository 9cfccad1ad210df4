"""Segmenting studies whole, one or a cohort: over processes of this machine or, through submitit, over a Slurm cluster.

A study that fails fails alone, with its reason, even if its process dies. It must not know tables or the terminal.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch

from glrp_napari.cine import Cine, Mask, hash_study
from glrp_napari.cohort import CohortFrames, Task, read_result
from glrp_napari.device import choose_placement
from glrp_napari.export import export_report
from glrp_napari.messages import Notice, Progress
from glrp_napari.models import Model, find_model
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.reading.studies import check_stack
from glrp_napari.reasons import explain
from glrp_napari.refine import CrfSettings
from glrp_napari.report import Origin, StudyReport, report_study, write_report
from glrp_napari.segment import FrameResult, Frames, Segmenter, open_model, segment
from glrp_napari.writing.masks import write_mask

SUBMITIT_MISSING = "submitit is not installed, which runs a cohort on Slurm: pip install 'glrp-napari[slurm]'"


@dataclass(frozen=True, eq=False)
class StudySegmented:
    """The last event of `segment_study`: the mask (T, Z, Y, X), 0 in frames not asked for, and the report."""

    mask: Mask
    report: StudyReport


@dataclass(frozen=True)
class Job:
    """How the studies of a cohort are segmented; `model` is a name or a weights file.

    `report` asks for the PDF too, `patient` for name and dates on it.
    """

    model: str
    frames: CohortFrames = "all"
    crf: CrfSettings | None = None
    device: str = "auto"
    report: bool = False
    patient: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a task ended: `reason` says why it failed, and is empty where it did not."""

    task: Task
    reason: str = ""


def segment_study(
    cine: Cine,
    model: Model,
    segmenter: Segmenter,
    frames: Frames,
    crf: CrfSettings | None,
    seconds: Mapping[str, float],
) -> Iterator[FrameResult | Notice | Progress | StudySegmented]:
    """Segment a study and measure it; the events of `segment`, then `StudySegmented`.

    `seconds` is the time already spent, by what on. Raises as `segment` does.
    """
    started = time.monotonic()
    mask = np.zeros(cine.images.shape, np.uint8)
    done = []
    for event in segment(cine.images, cine.geometry, segmenter, frames, crf=crf):
        if isinstance(event, FrameResult):
            mask[event.frame] = event.mask
            done.append(event.frame)
        yield event
    spent = {**seconds, "segment": time.monotonic() - started}
    origin = Origin(
        model=model.card.name,
        model_sha256=model.card.weights_sha256,
        device=segmenter.placement.device.type,
        crf=crf is not None,
        protocol=model.card.training.get("protocol"),
    )
    report = report_study(cine, mask, origin, sorted(done), spent)
    yield StudySegmented(mask, report)


def run_task(task: Task, job: Job) -> Outcome:
    """Read, segment and write one study of a cohort; its report is written last and so tells that it is done.

    What was segmented before is not segmented again, when only its PDF is missing and its voxels are the same.
    """
    try:
        started = time.monotonic()
        cine = read_cine(task.study)
        check_stack(task.study, cine)
        report = read_result(task)
        if report is None or report.study_sha256 != hash_study(cine):
            mask, report = _segment_task(task, job, cine, time.monotonic() - started)
        else:
            mask = read_mask(task.mask, cine)
        if job.report:
            list(export_report(task.pages, report, cine, mask, job.patient))
    except Exception as error:  # the job's border: any error becomes this study's reason
        return Outcome(task, " ".join(explain(error).split()) or type(error).__name__)
    return Outcome(task)


def run_locally(tasks: Sequence[Task], job: Job, workers: int = 1) -> Iterator[Outcome]:
    """Run tasks over `workers` processes, each with its share of the threads; outcomes come as they end.

    Every process keeps its model. One that dies takes only its own study with it, and another takes its place.
    """
    if workers < 1:
        raise ValueError(f"found {workers} workers, expected at least 1")
    lanes: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
    threads = max(1, torch.get_num_threads() // workers)
    for _ in range(workers):
        lanes.put(_open_lane(threads))
    crew = ThreadPoolExecutor(workers)
    try:
        futures = [crew.submit(_run_in_lane, lanes, threads, task, job) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        crew.shutdown(cancel_futures=True)
        while not lanes.empty():
            lanes.get().shutdown()


def run_on_slurm(tasks: Sequence[Task], job: Job, logs: Path, parameters: Mapping[str, str | int]) -> Iterator[Outcome]:
    """Run tasks as one job array of a Slurm cluster; folders and model must be where its nodes see them.

    `parameters` are submitit's (slurm_partition, timeout_min, mem_gb, gpus_per_node …); `logs` is the folder for its
    files. Raises `ModuleNotFoundError` without submitit, `OSError` where there is no Slurm.
    """
    submitit = _import_submitit()
    rest = dict(parameters)
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=rest.pop("cluster", "slurm"))
    except RuntimeError as error:
        raise OSError(f"found no Slurm on this machine ({error}), expected one of its cluster's") from error
    executor.update_parameters(**{"name": "glrp-batch", **rest})
    with executor.batch():
        jobs = [executor.submit(run_task, task, job) for task in tasks]
    places = {one.job_id: task for one, task in zip(jobs, tasks, strict=True)}
    for one in submitit.helpers.as_completed(jobs):
        died = one.exception()
        yield one.result() if died is None else Outcome(places[one.job_id], _last_line(died))


def _segment_task(task: Task, job: Job, cine: Cine, reading_s: float) -> tuple[Mask, StudyReport]:
    """Segment a study, and write its mask and then its report."""
    started = time.monotonic()
    model, segmenter = _open(job.model, job.device)
    seconds = {"read": reading_s, "load model": time.monotonic() - started}
    (last,) = deque(segment_study(cine, model, segmenter, job.frames, job.crf, seconds), maxlen=1)
    assert isinstance(last, StudySegmented)
    task.result.parent.mkdir(parents=True, exist_ok=True)
    write_mask(task.mask, last.mask, cine)
    write_report(task.report, last.report)
    return last.mask, last.report


@lru_cache(maxsize=1)
def _open(model: str, device: str) -> tuple[Model, Segmenter]:
    found = find_model(model)
    return found, open_model(found, choose_placement(device))


def _open_lane(threads: int) -> ProcessPoolExecutor:
    """One process, started by its first task."""
    return ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,))


def _run_in_lane(lanes: SimpleQueue[ProcessPoolExecutor], threads: int, task: Task, job: Job) -> Outcome:
    lane = lanes.get()
    try:
        return lane.submit(run_task, task, job).result()
    except BrokenProcessPool:
        lane.shutdown()
        lane = _open_lane(threads)
        return Outcome(task, "its process died, as when memory runs out")
    finally:
        lanes.put(lane)


def _import_submitit() -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        return import_module("submitit")
    except ImportError as error:
        raise ModuleNotFoundError(SUBMITIT_MISSING) from error


def _last_line(error: BaseException) -> str:
    """What a job that died left in its log last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
