"""The session folder: where labels, models and drafts are kept unless the user chooses another place.

The window and the command line ask here, so that both work in the folder that was chosen last.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, ValidationError

from glrp_napari.reasons import name_fault
from glrp_napari.writing.atomic import write_atomically

UNFINISHED, UNFINISHED_JOB, UNFINISHED_LOCK = "unfinished", "job.json", "unfinished.lock"
"""Within the folder of models: where a fine-tuning lies that is not done, and the file in it that says so; beside it
the lock that is held while one is worked on."""
UNFINISHED_OUTCOME = "unfinished.outcome"
"""Beside those: how a fine-tuning without a window ended, until a window has read it."""


class SettingsError(ValueError):
    """A file of settings cannot be read; says which file, what was found and what was expected."""


class SegmentOptions(BaseModel):
    """How studies are segmented, as it was chosen last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crf: bool = False
    device: Literal["auto", "cpu"] = "auto"


@dataclass(frozen=True)
class Session:
    """The folders of one session."""

    folder: Path

    @property
    def labels(self) -> Path:
        """The label library."""
        return self.folder / "labels"

    @property
    def models(self) -> Path:
        """Fine-tuned models."""
        return self.folder / "models"

    @property
    def unfinished(self) -> Path:
        """The file that is there while a fine-tuning is not done."""
        return self.models / UNFINISHED / UNFINISHED_JOB

    def read_model(self) -> str:
        """Name of the model in use, as it was chosen last; empty if none ever was."""
        try:
            return self._model_in_use.read_text("utf-8").strip()
        except FileNotFoundError:
            return ""

    def remember_model(self, name: str) -> None:
        """Take this model into use from now on. Raises OSError where the folder cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._model_in_use, f"{name}\n".encode())

    def read_options(self) -> SegmentOptions:
        """The options as they were chosen last. Raises SettingsError where their file is damaged."""
        try:
            return SegmentOptions.model_validate_json(self._options.read_bytes())
        except FileNotFoundError:
            return SegmentOptions()
        except ValidationError as error:
            raise SettingsError(f"{self._options}: {name_fault(error)}, expected options; choose them anew") from None

    def remember_options(self, options: SegmentOptions) -> None:
        """Segment so from now on. Raises OSError where the folder cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._options, options.model_dump_json(indent=2).encode() + b"\n")

    @property
    def _model_in_use(self) -> Path:
        return self.folder / "model-in-use.txt"

    @property
    def _options(self) -> Path:
        return self.folder / "segment-options.json"

    @property
    def drafts(self) -> Path:
        """Autosaved masks."""
        return self.folder / "drafts"

    @property
    def studies(self) -> Path:
        """The index of what studies are called and where they lie; never part of a library."""
        return self.folder / "studies.json"

    @property
    def scratch(self) -> Path:
        """What running programs hand to their jobs; of no use once they have ended."""
        return self.folder / "scratch"


class _Settings(BaseModel):
    """What is remembered between runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session: Path
    reader: str = ""


def default_session() -> Session:
    """The session that was chosen last, else the one in the user's data folder.

    Raises SettingsError for a settings file that is damaged.
    """
    settings = _load_settings()
    return Session(settings.session if settings else _settings_path().parent / "session")


def default_reader() -> str:
    """The reader's name as it was typed last; empty if it never was. Raises SettingsError as `default_session`."""
    settings = _load_settings()
    return settings.reader if settings else ""


def remember_session(session: Session) -> None:
    """Take this session by default from now on, in the window and on the command line."""
    _save_settings(_Settings(session=session.folder.absolute(), reader=default_reader()))


def remember_reader(reader: str) -> None:
    """Put this name on labels from now on."""
    _save_settings(_Settings(session=default_session().folder, reader=reader))


def _load_settings() -> _Settings | None:
    path = _settings_path()
    try:
        return _Settings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise SettingsError(
            f"{path}: {name_fault(error)}, expected a session folder; remove the file to begin anew"
        ) from None


def _save_settings(settings: _Settings) -> None:
    path = _settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, settings.model_dump_json(indent=2).encode() + b"\n")


def _settings_path() -> Path:
    return user_data_path("glrp-napari", appauthor=False) / "settings.json"
