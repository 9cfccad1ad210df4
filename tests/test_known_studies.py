"""What closed studies are called: kept in the session folder, and a comfort only."""

from pathlib import Path

import pytest

from glrp_napari.known_studies import KnownStudy, load_known, remember_study
from glrp_napari.session import Session

FIRST = KnownStudy(name="patient007", path=Path("/scans/patient007.nii.gz"))


def test_studies_are_remembered_by_hash(tmp_path: Path) -> None:
    index = Session(tmp_path / "session").studies
    assert load_known(index) == {}
    remember_study(index, "a" * 64, FIRST)
    drawn = KnownStudy(name="layer")
    assert remember_study(index, "b" * 64, drawn) == {"a" * 64: FIRST, "b" * 64: drawn}
    moved = FIRST.model_copy(update={"path": Path("/elsewhere/patient007.nii.gz")})
    remember_study(index, "a" * 64, moved)
    assert load_known(index) == {"a" * 64: moved, "b" * 64: drawn}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"a": {"path": 1}}', b"\xff"])
def test_a_damaged_index_costs_names_only(data: bytes, tmp_path: Path) -> None:
    index = tmp_path / "studies.json"
    index.write_bytes(data)
    assert load_known(index) == {}
    assert remember_study(index, "a" * 64, FIRST) == {"a" * 64: FIRST} == load_known(index)


def test_it_is_written_only_where_something_is_new(tmp_path: Path) -> None:
    index = tmp_path / "studies.json"
    remember_study(index, "a" * 64, FIRST)
    before = index.stat()
    remember_study(index, "a" * 64, FIRST)
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_it_is_not_within_what_is_handed_on(tmp_path: Path) -> None:
    session = Session(tmp_path)
    assert not any(session.studies.is_relative_to(folder) for folder in (session.labels, session.models))
