"""The folder for jobs' files: whole files only, gone with its process, however that ends."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from glrp_napari.gui.scratch import Scratch, save_array, sweep_scratch

CHILD = """
import sys, time
from pathlib import Path
from glrp_napari.gui.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
folder = scratch.claim()
(folder / "images.npy").write_bytes(b"images")
print(folder, flush=True)
time.sleep(600)
"""


def test_a_living_process_s_folder_stays_and_a_dead_one_s_is_swept(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    left = Path(child.stdout.readline().strip())
    mine = Scratch(tmp_path)
    mine.claim()
    sweep_scratch(tmp_path)
    assert (left / "images.npy").exists()
    child.send_signal(signal.SIGKILL)
    child.wait()
    sweep_scratch(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine.folder.name, f"{mine.folder.name}.lock"}
    mine.close()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_before_it_is_needed_and_a_missing_parent_is_no_fault(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "none")
    sweep_scratch(tmp_path / "none")
    scratch.close()
    assert list(tmp_path.iterdir()) == []
    assert scratch.claim() == scratch.claim()
    scratch.close()


def test_an_array_has_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array, seen = np.arange(6), []
    whole = np.save
    monkeypatch.setattr(np, "save", lambda *given: (whole(*given), seen.append((tmp_path / "a.npy").exists())))
    save_array(tmp_path / "a.npy", array)
    assert seen == [False]
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
