"""The window "Effort": how much the models' segmentations had to be corrected, from one model to the next."""

from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QDialog, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from glrp_napari.effort import ModelEffort
from glrp_napari.gui.pieces import STYLE, make_label

COLUMNS = ("Model", "Studies", "Slices accepted", "Voxels changed / slice", "Strokes / slice", "Minutes / slice")
NONE_YET = "Nothing was corrected yet: segment a study, correct and accept slices, and the effort appears here."
EXPLAINED = "Voxels changed in each accepted slice, model after model. Pauses over 30 s do not count as work."


class EffortWindow(QDialog):
    """A curve over a table; shows what it is given."""

    def __init__(self, models: Sequence[ModelEffort], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Effort of correcting")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setStyleSheet(STYLE)
        column = QVBoxLayout(self)
        column.addWidget(make_label(EXPLAINED if models else NONE_YET))
        if models:
            column.addWidget(EffortCurve(models), 1)
            column.addWidget(make_table(models))
            self.resize(640, 420)


class EffortCurve(QWidget):
    """Voxels changed in each accepted slice, one point a model in the order of use."""

    def __init__(self, models: Sequence[ModelEffort]) -> None:
        super().__init__()
        self._names = [one.model for one in models]
        self._values = [one.changed_per_slice for one in models]
        self.setMinimumHeight(180)

    def sizeHint(self) -> QSize:
        """Qt's question for the size."""
        return QSize(600, 220)

    def paintEvent(self, event: object) -> None:
        """Draw the curve; Qt calls this."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(60, 24, self.width() - 110, self.height() - 60)
        text = self.palette().windowText().color()
        painter.setPen(QPen(QColor("#9a9fa8"), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        points = self._lay_points(area)
        painter.setPen(QPen(QColor("#7fa8e0"), 2))
        painter.drawPolyline(QPolygonF(points))
        width = area.width() / max(1, len(points))
        for point, name, value in zip(points, self._names, self._values, strict=True):
            painter.setBrush(QColor("#7fa8e0"))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawEllipse(point, 4, 4)
            painter.setPen(text)
            above = QRectF(point.x() - 40, point.y() - 24, 80, 18)
            painter.drawText(above, Qt.AlignmentFlag.AlignCenter, f"{value:.0f}")
            short = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, int(width))
            below = QRectF(point.x() - width / 2, area.bottom() + 6, width, 20)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, short)
        painter.end()

    def _lay_points(self, area: QRectF) -> list[QPointF]:
        """From zero upwards, so that half the effort is half the height."""
        high, step = max(self._values) or 1.0, area.width() / len(self._values)
        return [
            QPointF(area.left() + (i + 0.5) * step, area.bottom() - value / high * area.height())
            for i, value in enumerate(self._values)
        ]


def make_table(models: Sequence[ModelEffort]) -> QTableWidget:
    """The figures behind the curve."""
    table = QTableWidget(len(models), len(COLUMNS))
    table.setHorizontalHeaderLabels(COLUMNS)
    table.verticalHeader().hide()
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    for row, one in enumerate(models):
        figures = (one.changed_per_slice, one.strokes / one.slices, one.minutes_per_slice)
        texts = (
            one.model,
            str(one.studies),
            str(one.slices),
            *(f"{f:.{d}f}" for f, d in zip(figures, (0, 1, 1), strict=True)),
        )
        for index, text in enumerate(texts):
            table.setItem(row, index, QTableWidgetItem(text))
    table.resizeColumnsToContents()
    return table
