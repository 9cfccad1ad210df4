"""The few dialogs: which file, which folder, and the session folder that is remembered between runs."""

from pathlib import Path

from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QFileDialog, QWidget

from glrp_napari.session import Session, default_session

CINES = "Cines (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm *.ima);;All files (*)"
MASKS = "Masks (*.nii *.nii.gz *.nrrd *.mha);;All files (*)"
_KEY = "session"


def ask_file(parent: QWidget, title: str, kinds: str) -> Path | None:
    """A file to read, or None."""
    name, _kind = QFileDialog.getOpenFileName(parent, title, "", kinds)
    return Path(name) if name else None


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """A folder, or None."""
    name = QFileDialog.getExistingDirectory(parent, title)
    return Path(name) if name else None


def ask_target(parent: QWidget, title: str, suggestion: str) -> Path | None:
    """A NIfTI file to write, or None."""
    name, _kind = QFileDialog.getSaveFileName(parent, title, suggestion, "NIfTI (*.nii.gz *.nii)")
    if not name:
        return None
    return Path(name) if name.endswith((".nii", ".nii.gz")) else Path(f"{name}.nii.gz")


def recall_session() -> Session:
    """The session folder of last time, or the default one."""
    stored = _settings().value(_KEY)
    return Session(Path(str(stored))) if stored else default_session()


def remember_session(session: Session) -> None:
    """Take this session folder the next time too."""
    _settings().setValue(_KEY, str(session.folder))


def _settings() -> QSettings:
    return QSettings("glrp-napari", "glrp-napari")
