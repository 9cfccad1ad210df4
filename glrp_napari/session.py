"""The session folder: where labels, models and drafts are kept unless the user chooses another place."""

from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path


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
    def drafts(self) -> Path:
        """Autosaved masks."""
        return self.folder / "drafts"


def default_session() -> Session:
    """The session in the user's data folder."""
    return Session(user_data_path("glrp-napari", appauthor=False) / "session")
