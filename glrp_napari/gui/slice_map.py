"""The map of the study: a column a frame, a row a slice, a colour for what each is; a click jumps there.

It draws states and says where one clicked; it must not know what the states come from.
"""

from collections.abc import Mapping

from qtpy.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QVBoxLayout, QWidget

from glrp_napari.gui.pieces import make_label
from glrp_napari.gui.snapshot import StudyShown
from glrp_napari.gui.words import MAP_NAMES, describe_place
from glrp_napari.slice_states import SliceState

COLOURS: Mapping[SliceState, str] = {
    SliceState.UNTOUCHED: "#30343c",
    SliceState.PREDICTED: "#7b8494",
    SliceState.EDITED: "#e69f00",
    SliceState.ACCEPTED: "#56b4e9",
    SliceState.CORRECTED: "#18b98a",
}
"""Greys where no person was; orange, blue and green that the colour-blind can tell apart (after Okabe and Ito)."""
LARGEST_CELL, TALLEST = 12.0, 100.0


class SliceGrid(QWidget):
    """The grid alone. `chosen` is (frame, slice), from 0."""

    chosen = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self._study: StudyShown | None = None
        self._picture = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        """Qt's question for the size: as wide as there is room, as tall as its rows."""
        rows = self._study.slices if self._study else 1
        return QSize(120, round(rows * min(LARGEST_CELL, TALLEST / rows)) + 2)

    def show_study(self, study: StudyShown | None) -> None:
        """Draw this study; the picture of the states is made anew only when they changed."""
        before, self._study = self._study, study
        if study is None:
            return
        if before is None or before.states != study.states or before.frames != study.frames:
            self._picture = make_picture(study.states, study.frames, study.slices)
        if before is None or before.slices != study.slices:
            self.updateGeometry()
        self.update()

    def find_cell(self, x: float, y: float) -> tuple[int, int] | None:
        """The frame and slice under a point of the widget, None beside the grid."""
        study, box = self._study, self._box()
        if study is None or not box.contains(x, y):
            return None
        frame = int((x - box.left()) / box.width() * study.frames)
        level = int((y - box.top()) / box.height() * study.slices)
        return min(frame, study.frames - 1), min(level, study.slices - 1)

    def find_centre(self, frame: int, level: int) -> tuple[float, float]:
        """The middle of a cell in the widget."""
        study, box = self._study, self._box()
        if study is None:
            return box.center().x(), box.center().y()
        x = box.left() + (frame + 0.5) * box.width() / study.frames
        return x, box.top() + (level + 0.5) * box.height() / study.slices

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the states, thin lines between them where there is room, and the slice on screen; Qt calls this."""
        if (study := self._study) is None:
            return
        painter, box = QPainter(self), self._box()
        painter.drawImage(box, self._picture)
        painter.setPen(QPen(self.palette().window().color(), 1))
        for t in range(1, study.frames) if box.width() / study.frames >= 4 else ():
            x = box.left() + t * box.width() / study.frames
            painter.drawLine(round(x), round(box.top()), round(x), round(box.bottom()))
        for z in range(1, study.slices) if box.height() / study.slices >= 4 else ():
            y = box.top() + z * box.height() / study.slices
            painter.drawLine(round(box.left()), round(y), round(box.right()), round(y))
        painter.setPen(QPen(QColor("white"), 2))
        painter.drawRect(self._cell(study.frame, study.slice))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump to the slice under the mouse; Qt calls this."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._jump(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go along while the button is held; Qt calls this."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._jump(event)

    def event(self, event: QEvent) -> bool:
        """Say in words what the slice under the mouse is; Qt calls this."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.describe(event.pos().x(), event.pos().y()), self)
            return True
        return super().event(event)

    def describe(self, x: float, y: float) -> str:
        """What the slice under a point is; empty beside the grid."""
        study, cell = self._study, self.find_cell(x, y)
        if study is None or cell is None:
            return ""
        frame, level = cell
        return describe_place(frame, level, SliceState(study.states[frame * study.slices + level]))

    def _jump(self, event: QMouseEvent) -> None:
        study, cell = self._study, self.find_cell(event.position().x(), event.position().y())
        if study is not None and cell is not None and cell != (study.frame, study.slice):
            self.chosen.emit(*cell)

    def _box(self) -> QRectF:
        frames = self._study.frames if self._study else 1
        width = min(self.width() - 2.0, frames * 2 * LARGEST_CELL)
        return QRectF(1, 1, width, self.height() - 2)

    def _cell(self, frame: int, level: int) -> QRect:
        """A cell in whole pixels, so that its mark is sharp."""
        study, box = self._study, self._box()
        if study is None:
            return QRect()
        left, right = (round(box.left() + t * box.width() / study.frames) for t in (frame, frame + 1))
        top, bottom = (round(box.top() + z * box.height() / study.slices) for z in (level, level + 1))
        return QRect(left, top, right - left, bottom - top)


class SliceMap(QWidget):
    """The grid with its legend; hidden while no study is open."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = SliceGrid()
        self.chosen = self.grid.chosen
        self.legend = make_label(role="quiet")
        self.legend.setStyleSheet("font-size: 11px")  # one line, beside a scroll bar too
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        shown = [(COLOURS[state], name) for state, name in MAP_NAMES.items()]
        self.legend.setText(" ".join(f'<span style="color:{colour}">■</span>&nbsp;{name}' for colour, name in shown))
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 2, 6, 2)
        column.setSpacing(2)
        column.addWidget(self.grid)
        column.addWidget(self.legend)

    def draw(self, study: StudyShown | None) -> None:
        """Show a study: cheap, for it is called at every step."""
        if self.isHidden() == (study is not None):
            self.setVisible(study is not None)
        self.grid.show_study(study)


def make_picture(states: bytes, frames: int, slices: int) -> QImage:
    """One pixel a slice, frames across; `states` are those of a (T, Z) array in its order."""
    picture = QImage(frames, slices, QImage.Format.Format_RGB32)
    colours = {int(state): QColor(name).rgb() for state, name in COLOURS.items()}
    for index, state in enumerate(states):
        picture.setPixel(index // slices, index % slices, colours[state])
    return picture
