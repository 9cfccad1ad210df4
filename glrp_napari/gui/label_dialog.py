"""The question what a mask's labels mean: one line a label, the two common orders as presets."""

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QPushButton, QVBoxLayout, QWidget

from glrp_napari.drawing.palette import NAMES
from glrp_napari.gui.label_meaning import PRESETS, FoundLabels
from glrp_napari.gui.pieces import make_label, make_row

BACKGROUND = 0
CHOICES = {BACKGROUND: "Background", **{int(structure): name for structure, name in NAMES.items()}}


class LabelDialog(QDialog):
    """Asks for the labels' meanings; `chosen` carries the map from the file's labels to ours."""

    chosen = Signal(object)

    def __init__(self, found: FoundLabels, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("What do the labels mean?")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Load mask")
        self.choices = {label: self._make_choice() for label in found.labels}
        fitting = {name: meaning for name, meaning in PRESETS.items() if not meaning.keys().isdisjoint(self.choices)}
        self.presets = {name: self._make_preset(name, meaning) for name, meaning in fitting.items()}
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.chosen.emit(self.meaning))
        self._lay_out(found)
        self.take(PRESETS[found.preset])
        for choice in self.choices.values():
            choice.currentIndexChanged.connect(self._on_choice)
        self._on_choice()

    @property
    def meaning(self) -> dict[int, int]:
        """For each label of the file ours, 0 for background."""
        return {label: int(choice.currentData()) for label, choice in self.choices.items()}

    def take(self, meaning: Mapping[int, int]) -> None:
        """Choose these meanings, and background for every other label."""
        for label, choice in self.choices.items():
            choice.setCurrentIndex(choice.findData(meaning.get(label, BACKGROUND)))

    def _lay_out(self, found: FoundLabels) -> None:
        column, form = QVBoxLayout(self), QFormLayout()
        column.addWidget(make_label(f"{found.path.name} does not say what its labels are."))
        column.addLayout(make_row(*self.presets.values()))
        for label, choice in self.choices.items():
            form.addRow(f"Label {label}", choice)
        column.addLayout(form)
        column.addWidget(self.buttons)

    def _make_choice(self) -> QComboBox:
        choice = QComboBox()
        for value, name in CHOICES.items():
            choice.addItem(name, value)
        return choice

    def _make_preset(self, name: str, meaning: Mapping[int, int]) -> QPushButton:
        button = QPushButton(name)
        button.setAutoDefault(False)  # Enter means "Load mask"
        button.clicked.connect(lambda: self.take(meaning))
        return button

    def _on_choice(self, _index: int = 0) -> None:
        """A mask of background alone would only wipe the study's."""
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(any(self.meaning.values()))
