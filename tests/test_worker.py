"""The worker as its client sees it: a process with two pipes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from glrp_napari import messages as m
from glrp_napari.cine import Cine
from glrp_napari.gate import decide
from glrp_napari.library import accept_slice
from glrp_napari.models import Model

Worker = subprocess.Popen[bytes]


@pytest.fixture
def worker() -> Iterator[Worker]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "glrp_napari.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def say(worker: Worker, *requests: m.Request) -> None:
    assert worker.stdin is not None
    for request in requests:
        worker.stdin.write(m.encode(request))
    worker.stdin.flush()


def hear(worker: Worker) -> list[m.Event]:
    assert worker.stdout is not None
    return [m.decode_event(line) for line in worker.stdout]


def ask_to_segment(cine: Cine, model: Model, folder: Path, copies: int = 1) -> m.SegmentRequest:
    np.save(folder / "images.npy", np.concatenate([cine.images] * copies))
    study = m.StudyFile(images=folder / "images.npy", geometry=cine.geometry, name="coded")
    return m.SegmentRequest(study=study, model=model.weights, out=folder, first=2, device="cpu")


def test_segmenting_streams_frames_and_ends_once(
    worker: Worker, coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    say(worker, ask_to_segment(coded_cine, tiny_model, tmp_path))
    events = hear(worker)
    frames = [event for event in events if isinstance(event, m.FrameSegmented)]
    assert events[0] == m.Ready()
    assert [event.frame for event in frames] == [2, 0, 1]
    assert all(np.load(event.mask).shape == (4, 10, 12) for event in frames)
    assert [event.kind for event in events if isinstance(event, m.Terminal)] == ["segment-done"]
    assert worker.wait(10) == 0


def test_fine_tuning_ends_in_a_model_with_its_card(
    worker: Worker, coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[2:8, 2:9] = 3
    accept_slice(tmp_path / "labels", coded_cine, mask, 0, 1, "corrected")
    say(worker, ask_to_finetune(tiny_model, tmp_path))
    events = hear(worker)
    done = events[-1]
    assert isinstance(done, m.FinetuneDone), done
    assert done.model == tmp_path / "mine-1.safetensors"
    assert done.comparison.held_out == "nothing"
    steps = [event for event in events if isinstance(event, m.TrainingStep)]
    assert steps[-1].step <= steps[-1].total


def ask_to_finetune(model: Model, folder: Path, resume: bool = False) -> m.FinetuneRequest:
    return m.FinetuneRequest(
        library=folder / "labels", base=model.weights, models=folder, name="mine", device="cpu", resume=resume
    )


def wait_for_step(worker: Worker, step: int) -> None:
    assert worker.stdout is not None
    while (event := m.decode_event(worker.stdout.readline())).kind != "training-step" or event.step < step:
        pass


def test_a_cancelled_fine_tuning_keeps_what_it_has(
    worker: Worker, coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[2:8, 2:9] = 3
    accept_slice(tmp_path / "labels", coded_cine, mask, 0, 1, "corrected")
    say(worker, ask_to_finetune(tiny_model, tmp_path))
    wait_for_step(worker, 12)
    asked = time.monotonic()
    say(worker, m.Cancel())
    done = hear(worker)[-1]
    assert time.monotonic() - asked < 2
    assert isinstance(done, m.FinetuneDone), done
    assert decide(done.comparison).reason == "unchecked"
    assert done.model.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("how", ["end of stdin", "SIGTERM"])
def test_faults_11_27_left_alone_it_leaves_a_checkpoint_and_can_go_on_without_a_window(
    worker: Worker, how: str, coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    assert worker.stdin is not None
    mask = np.zeros((10, 12), np.uint8)
    mask[2:8, 2:9] = 3
    accept_slice(tmp_path / "labels", coded_cine, mask, 0, 1, "corrected")
    say(worker, ask_to_finetune(tiny_model, tmp_path))
    wait_for_step(worker, 12)
    worker.stdin.close() if how == "end of stdin" else worker.send_signal(signal.SIGTERM)
    assert hear(worker)[-1] == m.Cancelled()
    assert worker.wait(10) == 0
    assert (tmp_path / "unfinished/training.checkpoint").stat().st_size > 0
    (tmp_path / "request.json").write_bytes(m.encode(ask_to_finetune(tiny_model, tmp_path, resume=True)))
    command = [sys.executable, "-m", "glrp_napari.worker", str(tmp_path / "request.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads would wait for each other where something else runs
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=120, env=environment)
    assert (tmp_path / "mine-1.json").exists()
    assert not (tmp_path / "unfinished").exists()
    outcome = m.decode_event((tmp_path / "unfinished.outcome").read_bytes())
    assert isinstance(outcome, m.FinetuneDone)
    assert outcome.model == tmp_path / "mine-1.safetensors"


def run_alone(folder: Path, line: bytes) -> subprocess.CompletedProcess[str]:
    (folder / "request.json").write_bytes(line)
    command = [sys.executable, "-m", "glrp_napari.worker", str(folder / "request.json")]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def test_without_a_window_a_failure_leaves_word(tiny_model: Model, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    done = run_alone(tmp_path, m.encode(ask_to_finetune(tiny_model, tmp_path)))
    outcome = m.decode_event((tmp_path / "unfinished.outcome").read_bytes())
    assert done.returncode == 1
    assert isinstance(outcome, m.Failed)
    assert "found no accepted labels" in outcome.reason
    assert outcome.reason in done.stderr


def test_without_a_window_a_failure_leaves_word_in_a_folder_that_was_not_there(
    tiny_model: Model, tmp_path: Path
) -> None:
    request = ask_to_finetune(tiny_model, tmp_path).model_copy(
        update={"models": tmp_path / "new/models", "base": Path("nosuch.safetensors")}
    )
    assert run_alone(tmp_path, m.encode(request)).returncode == 1
    outcome = m.decode_event((tmp_path / "new/models/unfinished.outcome").read_bytes())
    assert isinstance(outcome, m.Failed)
    assert "nosuch.json: not found" in outcome.reason


def test_without_a_window_nonsense_instead_of_a_request_shows_in_the_exit_code(tmp_path: Path) -> None:
    assert run_alone(tmp_path, b"hello").returncode == 1
    assert not list(tmp_path.glob("*outcome*"))


@pytest.mark.parametrize("how", ["message", "end of stdin"])
def test_cancelling_ends_within_two_seconds(
    worker: Worker, how: str, coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    say(worker, ask_to_segment(coded_cine, tiny_model, tmp_path, copies=2000))
    while m.decode_event(worker.stdout.readline()).kind != "frame-segmented":
        pass
    asked = time.monotonic()
    say(worker, m.Cancel()) if how == "message" else worker.stdin.close()
    assert hear(worker)[-1] == m.Cancelled()
    assert time.monotonic() - asked < 2
    assert worker.wait(10) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": Path("nosuch.safetensors")}, "nosuch.json: not found"),
        ({"device": "tpu"}, "device tpu: not available"),
        ({"frames": (99,)}, "frame 99: not in the study"),
        ({"study": m.StudyFile(images=Path("gone.npy"), geometry={"spacing_mm": (1, 1, 1)}, name="x")}, "gone.npy"),
    ],
)
def test_a_job_that_cannot_run_says_why(
    worker: Worker, change: dict[str, object], reason: str, coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    say(worker, ask_to_segment(coded_cine, tiny_model, tmp_path).model_copy(update=change))
    terminal = hear(worker)[-1]
    assert isinstance(terminal, m.Failed)
    assert reason in terminal.reason


def test_nonsense_instead_of_a_request_is_a_failure(worker: Worker) -> None:
    assert worker.stdin is not None
    worker.stdin.write(b"hello\n")
    worker.stdin.flush()
    assert isinstance(hear(worker)[-1], m.Failed)


def test_nonsense_after_the_request_keeps_nothing_from_being_cancelled(
    worker: Worker, coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    assert worker.stdin is not None
    request = ask_to_segment(coded_cine, tiny_model, tmp_path, copies=400)
    worker.stdin.write(m.encode(request) + b"\nhello\n" + m.encode(m.Cancel()))
    worker.stdin.flush()
    assert hear(worker)[-1] == m.Cancelled()


def test_an_idle_worker_leaves_when_its_client_does(worker: Worker) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(30) == 0


def test_prints_do_not_disturb_the_wire() -> None:
    script = (
        "import sys; from glrp_napari import worker; wire = worker.claim_stdout(); print('stray', flush=True);"
        "from glrp_napari.messages import Ready; worker.send(wire, Ready())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert m.decode_event(done.stdout) == m.Ready()
    assert b"stray" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_fault_8_a_killed_worker_shows_in_its_exit_code(worker: Worker) -> None:
    worker.send_signal(signal.SIGKILL)
    assert worker.wait(10) == -signal.SIGKILL
