"""What a user does with the label library as a whole: conventions, import and export, checks, and what went wrong.

Knows the library's part of the section Learn and the objects behind it, nothing of fine-tuning itself.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMessageBox, QWidget

from glrp_napari.cine import count
from glrp_napari.gui.asking import Asking
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.learn import LearnSection
from glrp_napari.gui.library_bar import LibraryBar
from glrp_napari.gui.linting import Linting
from glrp_napari.gui.protocol_dialog import ProtocolDialog
from glrp_napari.gui.stepping import Stepping
from glrp_napari.gui.transferring import Transferring
from glrp_napari.gui.words import describe_relinked
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import (
    Label,
    Protocol,
    adopt_protocol,
    load_protocol,
    relink_images,
    save_protocol,
    set_aside_damaged,
    survey_labels,
)
from glrp_napari.library.protocol import describe_protocol

ADOPTION = (
    "Yes notes these conventions with them, and the training follows them. No leaves them without: then the training "
    "follows no conventions, and the checks before it say so."
)


class LibraryCare(Asking):
    """Joins the library's widgets with the workplace."""

    reader_typed = Signal(str)

    def __init__(self, workplace: Workplace, window: QWidget) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._window = window
        self.transferring = Transferring(workplace, window)
        self.linting = Linting(workplace)
        self.transferring.masks_taken.connect(self._on_masks_taken)
        workplace.opened.connect(self._on_opened)

    def connect_section(self, learn: LearnSection) -> None:
        """Make the section's menu, notices and list of findings work."""
        bar, transfers = learn.library, self.transferring
        bar.protocol_wanted.connect(self.ask_protocol)
        bar.import_folder_wanted.connect(transfers.ask_import_folder)
        bar.import_zip_wanted.connect(transfers.ask_import_zip)
        bar.export_folder_wanted.connect(transfers.ask_export_folder)
        bar.export_zip_wanted.connect(transfers.ask_export_zip)
        bar.take_over_wanted.connect(self._workplace.keeping.take_over)
        bar.set_aside_wanted.connect(self.set_aside)
        learn.finetune_wanted.connect(self.linting.start)
        self.linting.found.connect(lambda found: learn.findings.show_findings(found, self._workplace.look().study))
        for steps in (transfers.steps, self.linting.steps):
            _show_progress(bar, steps)

    def ask_protocol(self) -> None:
        """Ask for the conventions and the reader; where they are damaged, anew."""
        place = self._workplace

        def ask_anew(error: Exception) -> None:
            place.tell(error)
            self._on_protocol(None)

        place.readers.run(lambda: load_protocol(place.now.session.labels), self._on_protocol, ask_anew)

    def set_aside(self) -> None:
        """Move the damaged records aside."""
        place, folder, damaged = self._workplace, self._workplace.now.session.labels, self._workplace.now.damaged
        if place.may_write():
            place.writers.run(
                lambda: set_aside_damaged(folder, damaged), lambda _folder: place.list_session(), place.tell
            )

    def _on_protocol(self, protocol: Protocol | None) -> None:
        dialog = ProtocolDialog(protocol, self._workplace.now.reader, self._window)
        dialog.chosen.connect(self._on_protocol_chosen)
        self.ask(dialog)

    def _on_protocol_chosen(self, protocol: Protocol, reader: str) -> None:
        place, folder = self._workplace, self._workplace.now.session.labels
        place.update(reader=reader)
        self.reader_typed.emit(reader)
        if place.may_write():

            def keep() -> int:
                save_protocol(folder, protocol)
                return sum(label.protocol is None for label in survey_labels(folder).labels)

            def ask(without: int) -> None:
                if without:
                    self._ask_adoption(folder, protocol, without)

            place.writers.run(keep, ask, place.tell)

    def _ask_adoption(self, folder: Path, protocol: Protocol, without: int) -> None:
        """Ask whether the labels from before any conventions follow these; only the reader knows."""
        self._ask_whether("Labels from before", describe_adoption(without), ADOPTION, folder, protocol, None)

    def _on_masks_taken(self, folder: Path, labels: Sequence[Label]) -> None:
        """Ask the same of masks that came from elsewhere, where there are conventions."""

        def ask(protocol: Protocol | None) -> None:
            if protocol is not None:
                question = describe_foreign(len(labels))
                detail = f"They are: {describe_protocol(protocol)}. {ADOPTION}"
                self._ask_whether("Imported masks", question, detail, folder, protocol, {one.stem for one in labels})

        self._workplace.writers.run(lambda: load_protocol(folder), ask, self._workplace.tell)

    def _ask_whether(
        self, title: str, text: str, detail: str, folder: Path, protocol: Protocol, stems: Collection[str] | None
    ) -> None:
        buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
        question = QMessageBox(QMessageBox.Icon.Question, title, text, buttons, self._window)
        question.setInformativeText(detail)
        question.button(QMessageBox.StandardButton.Yes).clicked.connect(lambda: self._adopt(folder, protocol, stems))
        self.ask(question)

    def _adopt(self, folder: Path, protocol: Protocol, stems: Collection[str] | None) -> None:
        place = self._workplace
        if place.now.session.labels == folder and place.may_write():  # another may be open by the time of the answer
            place.writers.run(
                lambda: adopt_protocol(folder, protocol, stems), lambda _number: place.list_session(), place.tell
            )

    def _on_opened(self, study: OpenStudy) -> None:
        """Write images again that are missing from the library and that the opened study has."""
        place, folder, loaded = self._workplace, self._workplace.now.session.labels, study.loaded

        def relink() -> int:
            if not place.keeping.holds(folder):
                return 0
            survey = survey_labels(folder)
            missing = [] if survey.is_newer else [label for label in survey.missing if label.study == loaded.hash]
            relink_images(folder, loaded.cine, missing)
            return len(missing)

        place.writers.run(relink, lambda number: number and place.tell(describe_relinked(number)), place.tell)


def describe_adoption(without: int) -> str:
    """The question about labels accepted before any conventions were agreed."""
    verb = "Does" if without == 1 else "Do"
    return f"{verb} the {count(without, 'label')} accepted before follow these conventions?"


def describe_foreign(labels: int) -> str:
    """The question about labels made of masks from elsewhere."""
    verb = "Does" if labels == 1 else "Do"
    return f"{verb} the {count(labels, 'imported mask')} follow this library's conventions?"


def _show_progress(bar: LibraryBar, steps: Stepping) -> None:
    steps.began.connect(bar.progress.begin)
    steps.advanced.connect(bar.progress.advance)
    steps.ended.connect(bar.progress.end)
    bar.progress.cancelled.connect(steps.cancel)
