"""One writer: a second is told who holds the library, and what a crash left is taken over only when asked to."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from glrp_napari.library import LibraryHeld, claim_library
from glrp_napari.library.lock import HOLDER, Holder

HOLD = """
import sys, time
from pathlib import Path
from glrp_napari.library import claim_library
claim = claim_library(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that holds the library."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_fault_20_a_second_writer_is_told_who_holds_the_library(other: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(LibraryHeld, match=f"process {other.pid} on {socket.gethostname()}, since") as caught:
        claim_library(tmp_path, take_over=True)
    assert not caught.value.is_stale
    assert caught.value.holder is not None
    assert caught.value.holder.pid == other.pid


def test_fault_21_what_a_killed_writer_left_is_taken_over_only_when_asked(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    with pytest.raises(LibraryHeld, match=rf"a window that has ended \(process {other.pid}") as caught:
        claim_library(tmp_path)
    assert caught.value.is_stale
    with claim_library(tmp_path, take_over=True):
        assert Holder.model_validate_json((tmp_path / HOLDER).read_bytes()).pid == os.getpid()
        with pytest.raises(LibraryHeld):
            claim_library(tmp_path)


def test_fault_21_a_holder_on_another_machine_may_still_be_there(tmp_path: Path) -> None:
    holder = {"host": "elsewhere", "pid": 1, "since": "2024-05-01T10:00:00Z"}
    (tmp_path / HOLDER).write_text(str(holder).replace("'", '"'))
    with pytest.raises(LibraryHeld, match=r"may have ended \(process 1 on elsewhere, since 01 May"):
        claim_library(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_damaged_holder_s_file_still_asks(tmp_path: Path, text: str) -> None:
    (tmp_path / HOLDER).write_text(text)
    with pytest.raises(LibraryHeld, match="was left locked") as caught:
        claim_library(tmp_path)
    assert caught.value.holder is None


def test_a_library_let_go_is_free_for_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        with claim_library(tmp_path / "labels"):
            assert (tmp_path / "labels" / HOLDER).exists()
        assert not (tmp_path / "labels" / HOLDER).exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that this user cannot write to")
def test_case_93_a_folder_one_may_not_write_to_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        claim_library(tmp_path / "labels")
    tmp_path.chmod(0o700)
