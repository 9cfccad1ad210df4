"""The few dialogs of the system's own: which file, which folder."""

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

CINES = "Cines (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm *.ima);;All files (*)"
MODELS = "Models (*.zip)"
MASKS = "Masks (*.nii *.nii.gz *.nrrd *.mha);;All files (*)"


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


def ask_zip_target(parent: QWidget, title: str, suggestion: str) -> Path | None:
    """A .zip to write, or None."""
    name, _kind = QFileDialog.getSaveFileName(parent, title, suggestion, "Zip (*.zip)")
    return Path(name).with_suffix(".zip") if name else None
