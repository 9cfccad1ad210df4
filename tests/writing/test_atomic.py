"""Old or new, never torn, and nothing left behind: faults 2, 3, 4 and 24."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glrp_napari.writing import atomic
from glrp_napari.writing.atomic import write_atomically


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "label.json"
    for data in (b"old", b"new and longer", b""):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 255)
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


def _fail(code: int) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("existing", [True, False])
def test_fault_03_04_failed_step_leaves_the_old_file(
    step: str, code: int, existing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "label.json"
    if existing:
        path.write_bytes(b"old")
    monkeypatch.setattr(os, step, _fail(code))
    with pytest.raises(OSError, match=os.strerror(code)):
        write_atomically(path, b"new")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([b"old"] if existing else [])


def test_fault_24_rename_refused_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, calls = os.replace, []

    def refuse_twice(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) < 3:
            raise PermissionError(errno.EACCES, "in use")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_twice)
    write_atomically(tmp_path / "label.json", b"new")
    assert (tmp_path / "label.json").read_bytes() == b"new"
    assert len(calls) == 3


def test_fault_24_rename_refused_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(os, "replace", _fail(errno.EACCES))
    (tmp_path / "label.json").write_bytes(b"old")
    with pytest.raises(PermissionError):
        write_atomically(tmp_path / "label.json", b"new")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


@pytest.mark.skipif(os.name != "posix", reason="folders are synced on POSIX only")
def test_folder_is_synced_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("rename"), replace(a, b)))
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("sync"), fsync(fd)))
    write_atomically(tmp_path / "label.json", b"new")
    assert steps == ["sync", "rename", "sync"]


def test_folder_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "gone" / "label.json", b"new")
