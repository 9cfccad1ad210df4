"""Asking the user: the few dialogs of the system's own (which file, which folder), and one dialog of ours at a time."""

from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QDialog, QFileDialog, QWidget

CINES = "Cines (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm *.ima);;All files (*)"
MODELS = "Models (*.zip)"
MASKS = "Masks (*.nii *.nii.gz *.nrrd *.mha *.dcm);;All files (*)"
NIFTI, CSV, PDF, ZIP = ".nii.gz", ".csv", ".pdf", ".zip"
ARCHIVES = "Labels (*.zip)"


def ask_file(parent: QWidget, title: str, kinds: str) -> Path | None:
    """A file to read, or None."""
    name, _kind = QFileDialog.getOpenFileName(parent, title, "", kinds)
    return Path(name) if name else None


def ask_files(parent: QWidget, title: str, kinds: str) -> list[Path]:
    """Files to read; none where the dialog was left."""
    names, _kind = QFileDialog.getOpenFileNames(parent, title, "", kinds)
    return [Path(name) for name in names]


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """A folder, or None."""
    name = QFileDialog.getExistingDirectory(parent, title)
    return Path(name) if name else None


def ask_target(parent: QWidget, title: str, suggestion: str, suffix: str = NIFTI) -> Path | None:
    """A file to write, or None; `suffix` is added where the name has none of its kind.

    The system's dialog asks before it gives out a file that exists; so it is asked again where the suffix makes it one.
    """
    kinds = (".nii.gz", ".nii") if suffix == NIFTI else (suffix,)
    name = suggestion
    while True:
        name, _kind = QFileDialog.getSaveFileName(parent, title, name, f"Files ({' '.join(f'*{k}' for k in kinds)})")
        if not name:
            return None
        if name.endswith(kinds):
            return Path(name)
        name += suffix
        if not Path(name).exists():
            return Path(name)


class Asking(QObject):
    """One who asks by a dialog that does not stop the window; `dialog` is the question on screen, if any."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.dialog: QDialog | None = None

    def ask(self, dialog: QDialog) -> None:
        """Show a dialog; when it is answered or left, it is gone."""
        self.dialog = dialog
        dialog.finished.connect(self._on_finished)
        dialog.open()

    def _on_finished(self, _result: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
