"""The section Learn: the accepted labels, fine-tuning on them, whether that helped, and the models."""

from math import nan

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QMessageBox

from glrp_napari.drawing.palette import COLOURS, NAMES
from glrp_napari.gui.asking import Asking
from glrp_napari.gui.before_after import PictureLabel, load_picture, paint
from glrp_napari.gui.findings import FindingsPanel
from glrp_napari.gui.library_bar import LibraryBar
from glrp_napari.gui.pieces import ProgressRow, Section, Sparkline, make_button, make_label, make_row, set_primary
from glrp_napari.gui.snapshot import Snapshot, Step
from glrp_napari.gui.words import (
    CHECKS_FOLLOW,
    describe_finetune,
    describe_label,
    describe_training,
    describe_validation,
    explain_finetune,
)
from glrp_napari.known_studies import NONE_KNOWN
from glrp_napari.messages import Validated

INTERRUPTED = "A fine-tuning was interrupted."
IN_BACKGROUND = "A fine-tuning is running in the background."
QUESTION = "A fine-tuning was interrupted and can be resumed."
DETAIL = (
    "Resumed, it goes on with the labels it began with. Beginning anew, with the labels as they are now, gives it up."
)


class LearnSection(Section):
    """Shows labels and the fine-tuning; says what the user wants by signals."""

    finetune_wanted = Signal()
    cancelled = Signal()
    switch_wanted = Signal()
    comparison_wanted = Signal()
    models_wanted = Signal()
    resume_wanted = Signal()
    discard_wanted = Signal()
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
        self.button.clicked.connect(self._on_button)
        self.asking = Asking(self)
        self.findings = FindingsPanel()
        self.interrupted = make_label(INTERRUPTED)
        self.resume = make_button("Resume", "Go on where it stopped, with the labels it began with")
        self.resume.clicked.connect(self.resume_wanted)
        self.discard = make_button("Discard", "Give the interrupted fine-tuning up")
        self.discard.clicked.connect(self.discard_wanted)
        self.curve, self.dice = Sparkline(), Sparkline(tuple(COLOURS.values()))
        self.dice.setToolTip("Dice on slices kept apart: " + ", ".join(NAMES.values()) + " (blue, green, red)")
        self.pictures = PictureLabel(140), PictureLabel(140)
        self.progress = ProgressRow()
        self.progress.cancelled.connect(self.cancelled)
        self.validation = make_label(role="quiet")
        self.outcome = make_label()
        self.compare = make_button("Did it help?…", "The figures by patient, and slices before and now")
        self.compare.clicked.connect(self.comparison_wanted)
        self.switch = make_button("")
        self.switch.clicked.connect(self.switch_wanted)
        self.models = make_button("Models…", "All versions: use, go back, export, import")
        self.models.clicked.connect(self.models_wanted)
        for widget in (self.library, self.labels, self.remove, self.interrupted):
            self.column.addWidget(widget)
        self.column.addLayout(make_row(self.resume, self.discard, stretch=(1, 1)))
        self.column.addLayout(make_row(self.button, self.effort, stretch=(1, 0)))
        for widget in (self.findings, self.curve, self.dice, self.progress, self.validation):
            self.column.addWidget(widget)
        self.column.addLayout(make_row(*self.pictures, stretch=(1, 1)))
        self.column.addWidget(self.outcome)
        self.column.addLayout(make_row(self.compare, self.switch, self.models, stretch=(1, 1, 1)))
        self._is_unfinished = False
        self._drawn: tuple[object, ...] = ((), None, NONE_KNOWN)
        self._show_work(False)

    def begin(self) -> None:
        """Show the start of a fine-tuning."""
        self.curve.clear()
        self.dice.clear()
        self.curve.show()
        self.progress.begin(f"Starting: a training, {CHECKS_FOLLOW}")

    def advance(self, stage: str, done: int, total: int, seconds_left: float | None) -> None:
        """Show how far the fine-tuning is, and what is still to come."""
        self.progress.advance(describe_training(stage, seconds_left), done, total, None)

    def show_validation(self, found: Validated) -> None:
        """Show the latest figures of the model in training, and a slice before and now."""
        self.validation.setText(describe_validation(found.dice, found.step))
        self.validation.show()
        if found.dice:
            self.dice.add(*(found.dice.get(structure.name, nan) for structure in COLOURS))  # labels may lack one
            self.dice.show()
        if found.picture is not None and found.picture.exists():
            picture = load_picture(found.picture)
            for shown, answer in zip(self.pictures, (picture.before, picture.after), strict=True):
                shown.show_pixmap(paint(picture, answer))
                shown.show()

    def draw(self, now: Snapshot, step: Step) -> None:
        """Show a snapshot; `step` is the obvious next one."""
        set_primary(self.button, step == "finetune")
        set_primary(self.compare, step == "compare")
        self.button.setText(describe_finetune(len(now.learnable)))
        why_not = explain_finetune(now)
        self.button.setEnabled(not why_not)
        self.button.setToolTip(why_not)
        if now.job != "finetune":
            self.progress.end()
            self._show_work(False)
        self._is_unfinished = now.unfinished
        self.interrupted.setText(IN_BACKGROUND if now.background else INTERRUPTED)
        self.interrupted.setVisible((now.unfinished or now.background) and not now.job)
        for widget in (self.resume, self.discard):
            widget.setVisible(now.unfinished and not now.job and not now.background)
        self.resume.setEnabled(bool(now.models))
        self.outcome.setText(now.outcome if now.outcome or now.labels else "Accept slices; the model learns from them.")
        self.outcome.setVisible(bool(self.outcome.text()))
        self.compare.setVisible(now.comparison is not None)
        self.switch.setVisible(bool(now.candidate))
        self.switch.setText(f"Back to {now.replaced}" if now.replaced else "Use it anyway")
        self.library.draw(now)
        self.findings.draw(now)
        self._draw_labels(now)

    def _on_button(self) -> None:
        """A new fine-tuning takes the place of an interrupted one: only the user knows whether that may go."""
        if self._is_unfinished:
            self.asking.ask(self._make_question())
        else:
            self.finetune_wanted.emit()

    def _make_question(self) -> QMessageBox:
        box = QMessageBox(QMessageBox.Icon.Question, "Begin anew?", QUESTION, parent=self)
        box.setInformativeText(DETAIL)
        resume = box.addButton("Resume it", QMessageBox.ButtonRole.AcceptRole)
        anew = box.addButton("Begin anew", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(resume)
        box.setEscapeButton(box.addButton(QMessageBox.StandardButton.Cancel))
        resume.clicked.connect(self.resume_wanted)
        anew.clicked.connect(self.finetune_wanted)
        return box

    def _show_work(self, shown: bool) -> None:
        for widget in (self.curve, self.dice, self.validation, *self.pictures):
            widget.setVisible(shown)

    def _draw_labels(self, now: Snapshot) -> None:
        study = now.study and (now.study.hash, now.study.name)
        if self._drawn != (wanted := (now.labels, study, now.known)):
            self._drawn = wanted
            self.labels.clear()
            for label in reversed(now.labels):
                item = QListWidgetItem(describe_label(label, now.study, now.known))
                item.setData(Qt.ItemDataRole.UserRole, label)
                self.labels.addItem(item)
        self.labels.setVisible(bool(now.labels))
        self._on_selection()

    def _on_selection(self) -> None:
        self.remove.setVisible(self.labels.currentItem() is not None and bool(self.labels.selectedItems()))

    def _on_remove(self) -> None:
        self.remove_wanted.emit(self.labels.currentItem().data(Qt.ItemDataRole.UserRole))
