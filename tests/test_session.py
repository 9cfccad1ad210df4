"""The session folder that was chosen last is everyone's, the command line's too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glrp_napari import session as session_module
from glrp_napari.models import Card, save_model_files
from glrp_napari.session import (
    SegmentOptions,
    Session,
    SettingsError,
    default_reader,
    default_session,
    remember_reader,
    remember_session,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(session_module, "user_data_path", lambda name, appauthor: tmp_path / name)
    return tmp_path / "glrp-napari"


def test_nothing_remembered_is_the_user_s_folder(home: Path) -> None:
    assert default_session() == Session(home / "session")
    assert not home.exists()


def test_what_was_remembered_last_is_found(home: Path, tmp_path: Path) -> None:
    for name in ("first", "Zweite Wähl"):
        remember_session(Session(tmp_path / name))
        assert default_session() == Session(tmp_path / name)
    assert [path.name for path in home.iterdir()] == ["settings.json"]


def test_reader_and_session_are_remembered_beside_each_other(home: Path, tmp_path: Path) -> None:
    assert default_reader() == ""
    remember_reader("A. B.")
    assert (default_session(), default_reader()) == (Session(home / "session"), "A. B.")
    remember_session(Session(tmp_path / "chosen"))
    assert default_reader() == "A. B."
    remember_reader("")
    assert (default_session(), default_reader()) == (Session(tmp_path / "chosen"), "")
    (home / "settings.json").write_text('{"session": "/a"}')  # as it was before readers were remembered
    assert (default_session(), default_reader()) == (Session(Path("/a")), "")


@pytest.mark.parametrize("text", ["", "{", "{}", '{"session": 3}', '{"session": "/a", "more": 1}'])
def test_a_damaged_settings_file_is_named(home: Path, text: str) -> None:
    home.mkdir()
    (home / "settings.json").write_text(text)
    with pytest.raises(SettingsError, match=r"settings\.json: .*expected a session folder"):
        default_session()


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_DATA_HOME is Linux's way to move the user's data folder")
def test_the_command_line_works_in_the_folder_the_window_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Session(tmp_path / "chosen")
    save_model_files(chosen.models, Card(name="mine", title="Of my labels", weights_sha256=""), b"weights")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    remember_session(chosen)
    command = [sys.executable, "-m", "glrp_napari.cli", "models"]
    done = subprocess.run(command, env={**os.environ, "COLUMNS": "300"}, capture_output=True, text=True, check=True)
    assert "Of my labels" in done.stdout


def test_the_model_in_use_is_remembered_with_the_session(tmp_path: Path) -> None:
    session = Session(tmp_path / "mine")
    assert session.read_model() == ""
    session.remember_model("my-labels-2")
    assert Session(tmp_path / "mine").read_model() == "my-labels-2"


def test_the_options_of_segmenting_are_remembered_with_the_session(tmp_path: Path) -> None:
    session = Session(tmp_path / "mine")
    assert session.read_options() == SegmentOptions(crf=False, device="auto"), "a session from before has none"
    session.remember_options(SegmentOptions(crf=True, device="cpu"))
    assert Session(tmp_path / "mine").read_options() == SegmentOptions(crf=True, device="cpu")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"crf": "maybe"}', '{"device": "abacus"}'])
def test_damaged_options_are_named_and_can_be_chosen_anew(tmp_path: Path, text: str) -> None:
    session = Session(tmp_path)
    (tmp_path / "segment-options.json").write_text(text)
    with pytest.raises(SettingsError, match=r"segment-options\.json: .*choose them anew"):
        session.read_options()
    session.remember_options(SegmentOptions(crf=True))
    assert session.read_options().crf
