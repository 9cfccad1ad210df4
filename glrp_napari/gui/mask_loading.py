"""Loading a mask from a file: look at its labels, ask what they mean where that is not plain, take it over."""

from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.label_dialog import LabelDialog
from glrp_napari.gui.label_meaning import FoundLabels, find_labels
from glrp_napari.gui.workplace import Workplace


class MaskLoading(QObject):
    """Loads masks into the workplace's study; `dialog` is the question on screen, if any."""

    def __init__(self, workplace: Workplace, window: QWidget) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._window = window
        self.dialog: LabelDialog | None = None

    def start(self, path: Path) -> None:
        """Load a mask file of the open study."""
        place = self._workplace
        if place.study is not None:
            place.readers.run(lambda: find_labels(path), partial(self._on_found, place.study), place.tell)

    def _on_found(self, study: OpenStudy, found: FoundLabels) -> None:
        if study is not self._workplace.study:  # another was opened meanwhile
            return
        if found.are_ours:
            self._workplace.load_mask(found.path, None)
            return
        self.dialog = LabelDialog(found, self._window)
        self.dialog.chosen.connect(lambda meaning: self._on_chosen(study, found.path, meaning))
        self.dialog.finished.connect(self._on_finished)
        self.dialog.open()

    def _on_finished(self, _result: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _on_chosen(self, study: OpenStudy, path: Path, meaning: dict[int, int]) -> None:
        if study is self._workplace.study:
            self._workplace.load_mask(path, meaning)
