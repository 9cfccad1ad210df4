"""kill -9 while corrections are unsaved: reopening the study offers them. And closing leaves no process behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from glrp_napari import models
from glrp_napari.reading import read_cine
from glrp_napari.slice_states import SliceState
from glrp_napari.writing.masks import write_images
from tests.gui.conftest import FAKE_WORKER, Window, close_window, make_cine, make_window

ROOT = Path(__file__).parents[2]


def test_fault_1_after_kill_9_the_corrections_are_offered_again(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "find_resources", lambda: model_folder)
    cine, file, session = make_cine(), tmp_path / "study.nii.gz", tmp_path / "session"
    write_images(file, cine.images, cine)
    command = [sys.executable, str(Path(__file__).with_name("crash_child.py")), str(file), str(session)]
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    assert child.stdout is not None
    assert "saved" in iter(child.stdout.readline, "").__next__()
    workers = psutil.Process(child.pid).children(recursive=True)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running() and FAKE_WORKER in worker.cmdline()]

    left = list((session / "scratch").glob("*/*.npy"))
    assert left
    window = make_window(session)
    assert not left[0].parent.exists()
    window.open(read_cine(file))
    assert window.dock.study.draft.isVisibleTo(window.dock)
    assert "Restore your unsaved corrections from" in window.dock.study.draft_text.text()
    window.click(window.dock.study.restore)
    assert (window.study.mask.data[0, 2, 20, 8:15] == 3).all()
    assert window.study.states[0, 2] == SliceState.EDITED
    close_window(window)


def test_closing_the_window_leaves_no_process_and_no_scratch(window: Window) -> None:
    window.open(make_cine())
    window.click(window.dock.segment.button)
    window.wait(lambda: window.study.states.any())
    scratch = window.dock.workplace.scratch.folder
    assert scratch.parent == window.dock.workplace.now.session.scratch
    assert [path.suffix for path in scratch.iterdir() if path.is_file()] == [".npy"]
    window.viewer.close()
    window.wait(lambda: not list(scratch.parent.iterdir()))
    left = [c for c in psutil.Process().children(recursive=True) if c.status() != psutil.STATUS_ZOMBIE]
    assert not [child for child in left if FAKE_WORKER in child.cmdline()]
