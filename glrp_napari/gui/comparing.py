"""The window "Did it help?": one sentence, the figures by patient, and the slices that changed most, before and now."""

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QListWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from glrp_napari.comparison import Comparison, SliceChange
from glrp_napari.gate import decide
from glrp_napari.gui.before_after import Picture, PictureLabel, load_picture, paint
from glrp_napari.gui.comparison_rows import HEADS, describe_change, list_rows
from glrp_napari.gui.pieces import STYLE, make_label, make_row
from glrp_napari.known_studies import NONE_KNOWN, KnownStudies

SOURCE = (
    "Between readers: seven core laboratories on fifteen cines, Suinesiaputra et al., "
    "J Cardiovasc Magn Reson 17:63 (2015)."
)
NOT_KEPT = "The slices that changed most, and their pictures, can be seen only in the window that trained the model."
HINT = "White: your label. Colours: the model. Press F to see before and now in turn, ↑ ↓ for another slice."


class ComparisonWindow(QDialog):
    """Shows one comparison; `name` is the new model's, `known` what studies are called. `sentence` says what was
    concluded then, if that is known.
    """

    def __init__(
        self,
        name: str,
        comparison: Comparison,
        parent: QWidget | None = None,
        sentence: str = "",
        known: KnownStudies = NONE_KNOWN,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Did it help? {name}")
        self.setStyleSheet(STYLE)
        self.resize(900, 820)
        self._changes = comparison.changed
        self._picture: Picture | None = None
        self._flickering = False
        self.sentence = make_label(sentence or decide(comparison).sentence, "title")
        self.table = _make_table(list_rows(comparison, known))
        self.slices = QListWidget()
        self.slices.setWordWrap(True)
        self.slices.addItems([describe_change(change, known) for change in self._changes])
        self.slices.currentRowChanged.connect(self._on_row)
        self.before, self.after = PictureLabel(300), PictureLabel(300)
        self.captions = make_label("Before"), make_label("Now")
        self._lay_out(comparison)
        self.slices.setCurrentRow(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """F: before and now in turn, on the right."""
        if event.key() == Qt.Key.Key_F:
            self.flicker()
        else:
            super().keyPressEvent(event)

    def flicker(self) -> None:
        """Show on the right what was before, or again what is now."""
        self._flickering = not self._flickering
        self._draw()

    def _lay_out(self, comparison: Comparison) -> None:
        column = QVBoxLayout(self)
        column.addWidget(self.sentence)
        column.addWidget(self.table, 1)
        if any(patient.candidate_heart for patient in comparison.patients):
            column.addWidget(make_label(SOURCE, "quiet"))
        if self._changes:
            self._lay_out_changes(column)
        elif comparison.patients:
            column.addWidget(make_label(NOT_KEPT, "quiet"))

    def _lay_out_changes(self, column: QVBoxLayout) -> None:
        column.addWidget(make_label("The slices that changed most", "title"))
        self.slices.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.slices.installEventFilter(self)
        sides = []
        for caption, picture in zip(self.captions, (self.before, self.after), strict=True):
            side = QWidget()
            inner = QVBoxLayout(side)
            inner.setContentsMargins(0, 0, 0, 0)
            inner.addWidget(caption)
            inner.addWidget(picture, 1)
            sides.append(side)
        column.addLayout(make_row(self.slices, *sides, stretch=(1, 1, 1)), 1)
        column.addWidget(make_label(HINT, "quiet"))

    def eventFilter(self, watched: object, event: object) -> bool:
        """The list would take the letter for a search."""
        if isinstance(event, QKeyEvent) and event.type() == event.Type.KeyPress and event.key() == Qt.Key.Key_F:
            self.flicker()
            return True
        return False

    def _on_row(self, row: int) -> None:
        change = self._changes[row] if 0 <= row < len(self._changes) else None
        self._picture = _load(change)
        self._flickering = False
        self._draw()

    def _draw(self) -> None:
        self.captions[1].setText("Before" if self._flickering else "Now")
        if (picture := self._picture) is not None:
            self.before.show_pixmap(paint(picture, picture.before))
            self.after.show_pixmap(paint(picture, picture.before if self._flickering else picture.after))


def _load(change: SliceChange | None) -> Picture | None:
    """The picture of a change, None where its file is gone: pictures last as long as the window."""
    if change is None or change.picture is None or not change.picture.exists():
        return None
    return load_picture(change.picture)


def _make_table(rows: Sequence[Sequence[str]]) -> QTableWidget:
    table = QTableWidget(len(rows), len(HEADS))
    table.setHorizontalHeaderLabels(HEADS)
    table.verticalHeader().hide()
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setStretchLastSection(True)
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            table.setItem(i, j, QTableWidgetItem(text))
    return table
