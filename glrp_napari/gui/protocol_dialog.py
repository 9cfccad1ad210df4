"""The question how a library's labels are drawn, and by whom: one line a convention, in a reader's words."""

from typing import get_args

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from glrp_napari.gui.pieces import make_label
from glrp_napari.library import Protocol
from glrp_napari.library.protocol import ANSWERS, QUESTIONS

LONGEST_NAME = 40


class ProtocolDialog(QDialog):
    """Asks for the library's conventions and the reader; `chosen` carries both."""

    chosen = Signal(object, str)

    def __init__(self, protocol: Protocol | None, reader: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Conventions of this library")
        self.reader = QLineEdit(reader)
        self.reader.setMaxLength(LONGEST_NAME)
        self.reader.setPlaceholderText("Name or initials; may stay empty")
        self.choices = {field: self._make_choice(field) for field in QUESTIONS}
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.chosen.emit(self.protocol, self.reader.text().strip()))
        self._lay_out()
        self._take(protocol or Protocol())

    @property
    def protocol(self) -> Protocol:
        """The conventions as chosen."""
        return Protocol(**{field: choice.currentData() for field, choice in self.choices.items()})

    def _take(self, protocol: Protocol) -> None:
        for field, choice in self.choices.items():
            choice.setCurrentIndex(choice.findData(getattr(protocol, field)))

    def _lay_out(self) -> None:
        column, form = QVBoxLayout(self), QFormLayout()
        column.addWidget(
            make_label(
                "Each label accepted from now on carries these conventions; you are asked about those from before."
            )
        )
        for field, question in QUESTIONS.items():
            form.addRow(question, self.choices[field])
        form.addRow("Reader", self.reader)
        column.addLayout(form)
        column.addWidget(self.buttons)

    def _make_choice(self, field: str) -> QComboBox:
        choice = QComboBox()
        for value in get_args(Protocol.model_fields[field].annotation):
            choice.addItem(ANSWERS[field][value], value)
        return choice
