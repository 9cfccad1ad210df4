"""The client of a job: one terminal event, whatever the process does."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from glrp_napari import messages as m
from glrp_napari.cine import Geometry
from glrp_napari.gui.jobs import CANCEL_MS, NICENESS, Job, Jobs
from pytestqt.qtbot import QtBot

FAKE = str(Path(__file__).with_name("fake_worker.py"))


@pytest.fixture
def request_(tmp_path: Path) -> m.SegmentRequest:
    np.save(tmp_path / "images.npy", np.zeros((3, 2, 16, 16), np.float32))
    study = m.StudyFile(images=tmp_path / "images.npy", geometry=Geometry(spacing_mm=(8, 1, 1)), name="s")
    return m.SegmentRequest(study=study, model=tmp_path / "none.safetensors", out=tmp_path, first=1)


def run(qtbot: QtBot, mode: str, request: m.SegmentRequest) -> tuple[Job, list[object], list[object]]:
    job, events, ends = Job((sys.executable, FAKE, mode)), [], []
    job.happened.connect(events.append)
    job.ended.connect(ends.append)
    job.start()
    job.send(request)
    qtbot.waitUntil(lambda: bool(ends), timeout=20_000)
    qtbot.waitUntil(lambda: not job.pid, timeout=10_000)
    qtbot.wait(50)
    return job, events, ends


@pytest.mark.parametrize("mode", ["well", "garbage", "long line", "flood"])
def test_faults_12_13_14_noise_does_not_disturb_a_run(qtbot: QtBot, request_: m.SegmentRequest, mode: str) -> None:
    job, events, ends = run(qtbot, mode, request_)
    assert [end.kind for end in ends] == ["segment-done"]
    assert [e.frame for e in events if isinstance(e, m.FrameSegmented)] == [1, 0, 2]
    assert len(job.log) <= 200
    assert bool(job.log) == (mode != "well")


@pytest.mark.parametrize(("mode", "words"), [("crash", "signal 9"), ("exit", "exit code 3")])
def test_faults_7_8_a_dead_worker_is_a_failure_with_its_last_words(
    qtbot: QtBot, request_: m.SegmentRequest, mode: str, words: str
) -> None:
    _job, _events, ends = run(qtbot, mode, request_)
    assert [end.kind for end in ends] == ["failed"]
    assert words in ends[0].reason
    assert "luck" in ends[0].detail


def test_a_worker_that_cannot_start_is_a_failure(qtbot: QtBot) -> None:
    job, ends = Job(("/no/such/program",)), []
    job.ended.connect(ends.append)
    job.start()
    qtbot.waitUntil(lambda: bool(ends), timeout=5_000)
    qtbot.wait(50)
    assert [end.kind for end in ends] == ["failed"]
    assert "could not be started" in ends[0].reason


def test_fault_9_a_hanging_worker_is_cancelled_within_two_seconds(qtbot: QtBot, request_: m.SegmentRequest) -> None:
    job, events, ends = Job((sys.executable, FAKE, "hang")), [], []
    job.happened.connect(events.append)
    job.ended.connect(ends.append)
    job.start()
    job.send(request_)
    qtbot.waitUntil(lambda: bool(events), timeout=10_000)
    began = time.perf_counter()
    job.cancel()
    qtbot.waitUntil(lambda: bool(ends), timeout=5_000)
    assert time.perf_counter() - began < 2.0
    assert CANCEL_MS < 2000
    assert [end.kind for end in ends] == ["cancelled"]
    qtbot.waitUntil(lambda: not job.pid, timeout=2_000)


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="no priorities of this kind here")
def test_a_job_lets_the_window_go_first(qtbot: QtBot) -> None:
    job = Job((sys.executable, FAKE, "well"))
    job.start()
    qtbot.waitUntil(lambda: job.is_ready, timeout=20_000)
    assert psutil.Process(job.pid).nice() >= NICENESS
    job.stop()


def test_an_idle_process_is_ready_and_closing_leaves_none(qtbot: QtBot, request_: m.SegmentRequest) -> None:
    jobs, ends = Jobs((sys.executable, FAKE, "well")), []
    jobs.ended.connect(ends.append)
    jobs.prepare()
    jobs.run(request_)
    with pytest.raises(RuntimeError, match="running already"):
        jobs.run(request_)
    qtbot.waitUntil(lambda: bool(ends), timeout=20_000)
    children = psutil.Process(os.getpid()).children(recursive=True)
    assert any(FAKE in child.cmdline() for child in children if child.is_running())
    jobs.close()
    qtbot.wait(100)
    left = [c for c in psutil.Process().children(recursive=True) if c.status() != "zombie" and FAKE in c.cmdline()]
    assert left == []
