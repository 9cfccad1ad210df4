"""A folder is tried out before work starts: made, written to, and not waited for without end."""

import time
from pathlib import Path

import pytest

from glrp_napari.writing.folders import check_folder


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a").rglob("*")) == [tmp_path / "a" / "b"]


def test_case_93_a_folder_that_cannot_be_written_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OSError, match=r"out: nothing can be written there \(Permission denied\)"):
        check_folder(tmp_path / "out")


def test_fault_22_a_drive_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "mkdir", lambda *_args, **_named: time.sleep(2))
    began = time.monotonic()
    with pytest.raises(OSError, match="no answer"):
        check_folder(tmp_path / "gone", answer_s=0.1)
    assert time.monotonic() - began < 1.5
