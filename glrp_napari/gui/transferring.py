"""Labels in and out of the library: which file or folder, what foreign labels mean, and what became of them."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from glrp_napari.gui import asking
from glrp_napari.gui.asking import Asking
from glrp_napari.gui.label_dialog import LabelDialog
from glrp_napari.gui.label_meaning import FoundLabels, find_labels
from glrp_napari.gui.stepping import Stepping
from glrp_napari.gui.words import describe_export, describe_import
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library.foreign import Pair, find_pairs, import_pairs
from glrp_napari.library.store import RECORDS
from glrp_napari.library.transfer import (
    Import,
    export_labels,
    import_archive,
    import_labels,
    pack_labels,
)

Looked = Sequence[tuple[Pair, FoundLabels]]


class Transferring(Asking):
    """Runs one import or export at a time on the thread that writes.

    `masks_taken` carries the library's folder and the labels made of masks, whose conventions nobody knows here.
    """

    masks_taken = Signal(object, object)

    def __init__(self, workplace: Workplace, window: QWidget) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._window = window
        self.steps = Stepping(workplace.writers, self)
        self.steps.ended.connect(workplace.list_session)

    def ask_import_folder(self) -> None:
        """Import from a folder that the user chooses."""
        if self._may_begin() and (path := asking.ask_folder(self._window, "Import labels from")) is not None:
            self.import_folder(path)

    def ask_import_zip(self) -> None:
        """Import from a .zip file that the user chooses."""
        if self._may_begin() and (path := asking.ask_file(self._window, "Import labels", asking.ARCHIVES)) is not None:
            self._run("Importing labels", import_archive(path, self._folder), self._on_imported)

    def ask_export_folder(self) -> None:
        """Export to a folder that the user chooses."""
        if not self.steps.is_running and (path := asking.ask_folder(self._window, "Export labels to an empty folder")):
            self._run("Exporting labels", export_labels(self._folder, path), self._on_exported)

    def ask_export_zip(self) -> None:
        """Export to a .zip file that the user chooses."""
        if not self.steps.is_running and (
            path := asking.ask_target(self._window, "Export labels", "labels.zip", asking.ZIP)
        ):
            self._run("Exporting labels", pack_labels(self._folder, path), self._on_exported)

    def import_folder(self, path: Path) -> None:
        """Import a library, or images with masks beside them."""
        if any(path.glob(RECORDS)):
            self._run("Importing labels", import_labels(path, self._folder), self._on_imported)
        else:
            self._run("Looking at masks", look_into(path), self._on_looked)

    @property
    def _folder(self) -> Path:
        return self._workplace.now.session.labels

    def _may_begin(self) -> bool:
        return not self.steps.is_running and self._workplace.may_write()

    def _run(self, stage: str, steps: Generator[tuple[int, int], None, Any], done: Callable[[Any], None]) -> None:
        self.steps.run(stage, steps, done, self._workplace.tell)

    def _on_imported(self, done: Import) -> None:
        self._workplace.update(new_labels=self._workplace.now.new_labels + len(done.taken))
        self._workplace.tell(describe_import(len(done.taken), done.known, done.refused))

    def _on_exported(self, done: Import) -> None:
        self._workplace.tell(describe_exported(done))

    def _on_looked(self, looked: Looked) -> None:
        """Ask once what the labels mean where a mask leaves doubt; the answer holds for all that do."""
        asked = next((found for _pair, found in looked if not found.are_ours), None)
        if asked is None:
            self._take(looked, {})
            return
        labels = tuple(sorted({label for _pair, found in looked if not found.are_ours for label in found.labels}))
        dialog = LabelDialog(replace(asked, labels=labels), self._window)
        dialog.chosen.connect(lambda meaning: self._take(looked, meaning))
        self.ask(dialog)

    def _take(self, looked: Looked, meaning: dict[int, int]) -> None:
        pairs = [pair if found.are_ours else replace(pair, label_map=meaning) for pair, found in looked]
        if self._may_begin():  # the dialog may have stood open while another window took the library
            self._run("Importing masks", import_pairs(pairs, self._folder), self._on_masks_imported)

    def _on_masks_imported(self, done: Import) -> None:
        self._on_imported(done)
        if done.taken:
            self.masks_taken.emit(self._folder, done.taken)


def describe_exported(done: Import) -> str:
    """What an export wrote, and what is not whole and stayed out: the first by its reason, of more their number."""
    sentence = describe_export(len(done.taken))
    if not done.refused:
        return sentence
    more = f" (and {len(done.refused) - 1} more)" if len(done.refused) > 1 else ""
    return f"{sentence} Left out: {done.refused[0]}{more}."


def look_into(folder: Path) -> Generator[tuple[int, int], None, Looked]:
    """The images with masks in a folder, and what labels the masks have.

    Raises ReadError for one that is no mask, FileNotFoundError where there is none.
    """
    pairs = find_pairs(folder)
    if not pairs:
        raise FileNotFoundError(
            f"{folder.name}: found neither labels nor images with masks beside them, expected a label library, or "
            "files named like heart.nii.gz and heart_mask.nii.gz"
        )
    looked = []
    for pair in pairs:
        looked.append((pair, find_labels(pair.mask)))
        yield len(looked), len(pairs)
    return looked
