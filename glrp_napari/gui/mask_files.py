"""The study's mask from and to files; loading, the labels' meaning is asked where it is not plain."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QWidget

from glrp_napari.cine import Mask
from glrp_napari.gui.asking import Asking
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.label_dialog import LabelDialog
from glrp_napari.gui.label_meaning import FoundLabels, find_labels
from glrp_napari.gui.loading import load_mask
from glrp_napari.gui.workplace import Workplace
from glrp_napari.slice_states import SliceState
from glrp_napari.writing.masks import write_mask


class MaskFiles(Asking):
    """Loads masks into the workplace's study and saves its mask."""

    def __init__(self, workplace: Workplace, window: QWidget) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._window = window

    def load(self, path: Path) -> None:
        """Take over a mask file as a person's edits, once it is known what its labels mean."""
        place = self._workplace
        if place.study is not None:
            place.readers.run(lambda: find_labels(path), partial(self._on_found, place.study), place.tell)

    def take(self, path: Path, label_map: dict[int, int] | None, state: SliceState = SliceState.EDITED) -> None:
        """Take over a mask file whose labels are known: as a person's edits or, PREDICTED, as a model's answer."""
        if (study := self._workplace.study) is not None:
            frame = study.place[0]
            self._workplace.readers.run(
                lambda: load_mask(path, study.cine, label_map, frame),
                lambda slices: self._on_read(study, slices, state),
                self._workplace.tell,
            )

    def save(self, path: Path, done: Callable[[], None]) -> None:
        """Write the study's mask to a file; `done` comes then."""
        if (study := self._workplace.study) is not None:
            mask = study.mask.data.copy()
            self._workplace.writers.run(
                lambda: write_mask(path, mask, study.cine), lambda _none: done(), self._workplace.tell
            )

    def _on_found(self, study: OpenStudy, found: FoundLabels) -> None:
        if study is not self._workplace.study:  # another was opened meanwhile
            return
        if found.are_ours:
            self.take(found.path, None)
            return
        dialog = LabelDialog(found, self._window)
        dialog.chosen.connect(lambda meaning: self._on_chosen(study, found.path, meaning))
        self.ask(dialog)

    def _on_chosen(self, study: OpenStudy, path: Path, meaning: dict[int, int]) -> None:
        if study is self._workplace.study:
            self.take(path, meaning)

    def _on_read(self, study: OpenStudy, slices: dict[Place, Mask], state: SliceState) -> None:
        if study is self._workplace.study:
            study.write_slices(slices, state)
            self._workplace.changed.emit()
