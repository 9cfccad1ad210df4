"""The section Learn: the accepted labels, fine-tuning on them, and taking the new model into use."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from glrp_napari.gui.findings import FindingsPanel
from glrp_napari.gui.library_bar import LibraryBar
from glrp_napari.gui.pieces import ProgressRow, Section, Sparkline, make_button, make_label, make_row, set_primary
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.gui.words import describe_finetune, describe_label


class LearnSection(Section):
    """Shows labels and the fine-tuning; says what the user wants by signals."""

    finetune_wanted = Signal()
    cancelled = Signal()
    use_wanted = Signal()
    remove_wanted = Signal(object)
    label_chosen = Signal(object)
    effort_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Learn")
        self.library = LibraryBar()
        self.heading.addWidget(self.library.menu)
        self.labels = QListWidget()
        self.labels.setMaximumHeight(92)
        self.labels.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.labels.itemDoubleClicked.connect(lambda item: self.label_chosen.emit(item.data(Qt.ItemDataRole.UserRole)))
        self.labels.itemSelectionChanged.connect(self._on_selection)
        self.remove = make_button("Remove label", "Take the selected label out of the library")
        self.remove.clicked.connect(self._on_remove)
        self.effort = make_button(
            "Effort…", "How much correcting each model needed: voxels, strokes and minutes a slice"
        )
        self.effort.clicked.connect(self.effort_wanted)
        self.button = make_button(describe_finetune(0))
        self.button.setProperty("big", True)
        self.button.clicked.connect(self.finetune_wanted)
        self.findings = FindingsPanel()
        self.curve = Sparkline()
        self.progress = ProgressRow()
        self.progress.cancelled.connect(self.cancelled)
        self.validation = make_label(role="quiet")
        self.outcome = make_label()
        self.use = make_button("Use it", "Segment with the new model from now on; the old one stays in the list")
        self.use.clicked.connect(self.use_wanted)
        for widget in (self.library, self.labels, self.remove):
            self.column.addWidget(widget)
        self.column.addLayout(make_row(self.button, self.effort, stretch=(1, 0)))
        for widget in (self.findings, self.curve, self.progress, self.validation, self.outcome, self.use):
            self.column.addWidget(widget)
        self.curve.hide()
        self.validation.hide()

    def begin(self) -> None:
        """Show the start of a fine-tuning."""
        self.curve.clear()
        self.curve.show()
        self.progress.begin("Starting…")

    def show_validation(self, sentence: str) -> None:
        """Show the latest figures of the model in training."""
        self.validation.setText(sentence)
        self.validation.show()

    def draw(self, now: Snapshot, finetune: bool, use: bool) -> None:
        """Show a snapshot; `finetune` and `use` say which button is the obvious next one."""
        set_primary(self.button, finetune)
        set_primary(self.use, use)
        self.button.setText(describe_finetune(len(now.labels)))
        self.button.setEnabled(bool(now.labels) and not now.job and bool(now.models))
        self.button.setToolTip("" if now.labels else "Accept at least one slice first: it becomes a label.")
        if now.job != "finetune":
            self.progress.end()
            self.curve.hide()
            self.validation.hide()
        self.outcome.setText(now.outcome if now.outcome or now.labels else "Accept slices; the model learns from them.")
        self.outcome.setVisible(bool(self.outcome.text()))
        self.use.setVisible(bool(now.candidate))
        self.library.draw(now)
        self._draw_labels(now)

    def _draw_labels(self, now: Snapshot) -> None:
        shown = [self.labels.item(i).data(Qt.ItemDataRole.UserRole) for i in range(self.labels.count())]
        wanted = list(reversed(now.labels))
        if shown != wanted:
            self.labels.clear()
            for label in wanted:
                item = QListWidgetItem(describe_label(label, now.study))
                item.setData(Qt.ItemDataRole.UserRole, label)
                self.labels.addItem(item)
        self.labels.setVisible(bool(now.labels))
        self._on_selection()

    def _on_selection(self) -> None:
        self.remove.setVisible(self.labels.currentItem() is not None and bool(self.labels.selectedItems()))

    def _on_remove(self) -> None:
        self.remove_wanted.emit(self.labels.currentItem().data(Qt.ItemDataRole.UserRole))
