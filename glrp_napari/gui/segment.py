"""The section Segment: one big button, its few options, progress and the result in one line."""

from dataclasses import dataclass
from typing import Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget

from glrp_napari.gui.pieces import ProgressRow, Section, make_button, make_label, set_primary
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.session import SegmentOptions

Scope = Literal["frame", "ed-es", "all"]
SCOPES: tuple[tuple[str, Scope], ...] = (
    ("Whole cine", "all"),
    ("End-diastole and end-systole", "ed-es"),
    ("This frame", "frame"),
)
DEVICES = (("Automatic", "auto"), ("CPU", "cpu"))


@dataclass(frozen=True)
class Choice:
    """How the user wants the study segmented."""

    scope: Scope = "all"
    crf: bool = False
    device: str = "auto"
    uncertainty: bool = False
    redo_edited: bool = False


class SegmentSection(Section):
    """Shows the run; says what the user wants by signals."""

    wanted = Signal(object)
    model_chosen = Signal(str)
    options_chosen = Signal(object)
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__("Segment")
        self.button = make_button("Segment volume")
        self.button.setProperty("big", True)
        self.button.clicked.connect(lambda: self.wanted.emit(self.choice()))
        self.progress = ProgressRow()
        self.progress.cancelled.connect(self.cancelled)
        self.result = make_label()
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.toggle = make_button("Options ▸", "Which frames, which model, refinement, device", checkable=True)
        self.toggle.setFlat(True)
        self.options = self._make_options()
        self.options.hide()
        self.toggle.toggled.connect(self._on_toggled)
        for widget in (self.button, self.progress, self.result, self.toggle, self.options):
            self.column.addWidget(widget)

    def choice(self) -> Choice:
        """The options as they stand."""
        return Choice(
            scope=self.scope.currentData(),
            crf=self.crf.isChecked(),
            device=self.device.currentData(),
            uncertainty=self.uncertainty.isChecked(),
            redo_edited=self.redo.isChecked(),
        )

    def draw(self, now: Snapshot, primary: bool) -> None:
        """Show a snapshot."""
        set_primary(self.button, primary)
        self.button.setEnabled(now.study is not None and not now.job and bool(now.models))
        self.button.setToolTip("" if now.models else "No model is installed.")
        if now.job != "segment":
            self.progress.end()
        self.result.setText(now.study.result if now.study else "")
        self.result.setVisible(bool(self.result.text()))
        self._draw_models(now)
        self.crf.setChecked(now.options.crf)
        self.device.setCurrentIndex(self.device.findData(now.options.device))

    def _on_option(self, *_change: object) -> None:
        self.options_chosen.emit(SegmentOptions(crf=self.crf.isChecked(), device=self.device.currentData()))

    def _on_toggled(self, open_: bool) -> None:
        self.options.setVisible(open_)
        self.toggle.setText("Options ▾" if open_ else "Options ▸")

    def _draw_models(self, now: Snapshot) -> None:
        shown = [(self.model.itemText(i), self.model.itemData(i)) for i in range(self.model.count())]
        wanted = [(f"{model.card.title} ({model.card.name})", model.card.name) for model in now.models]
        self.model.blockSignals(True)
        if shown != wanted:
            self.model.clear()
            for text, name in wanted:
                self.model.addItem(text, name)
        self.model.setCurrentIndex(self.model.findData(now.model))
        self.model.blockSignals(False)

    def _make_options(self) -> QWidget:
        self.scope, self.model, self.device = QComboBox(), QComboBox(), QComboBox()
        for combo, entries in ((self.scope, SCOPES), (self.device, DEVICES)):
            for text, data in entries:
                combo.addItem(text, data)
        self.model.activated.connect(lambda _index: self.model_chosen.emit(self.model.currentData() or ""))
        self.crf = QCheckBox("Refine outlines (CRF)")
        self.crf.setToolTip("Pulls the outlines to edges in the image; a little slower")
        self.crf.clicked.connect(self._on_option)
        self.device.activated.connect(self._on_option)
        self.uncertainty = QCheckBox("Show where the model is unsure")
        self.redo = QCheckBox("Redo slices I edited")
        self.redo.setToolTip("Off: a run never changes a slice that you edited or accepted.")
        box = QWidget()
        form = QFormLayout(box)
        form.setContentsMargins(0, 0, 0, 0)
        for text, combo in (("Frames", self.scope), ("Model", self.model), ("Compute on", self.device)):
            combo.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            combo.setMinimumContentsLength(12)
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            form.addRow(text, combo)
        for check in (self.crf, self.uncertainty, self.redo):
            check.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            form.addRow(check)
        return box
