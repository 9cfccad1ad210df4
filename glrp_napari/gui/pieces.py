"""Small widgets that sections share: buttons that leave the focus on the image, a notice, a progress row, a curve."""

from collections.abc import Callable, Sequence
from math import isnan

from qtpy.QtCore import QEvent, QObject, QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QKeySequence, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QAction,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from glrp_napari.drawing.palette import COLOURS
from glrp_napari.gui.words import describe_left

STYLE = """
QPushButton, QToolButton { padding: 4px 8px; }
QPushButton[primary="true"]:enabled { background: #2563c9; color: white; font-weight: bold; }
QPushButton[primary="true"]:enabled:hover { background: #2f73e0; }
QPushButton:checked { background: #3a4150; border: 1px solid #8fa3c8; }
QPushButton[big="true"] { padding: 8px; font-size: 14px; }
QPushButton[role="title"] { font-weight: bold; font-size: 13px; padding: 5px 2px 1px 2px; text-align: left;
    background: transparent; border: none; }
QPushButton[role="title"]:hover { color: #9db8e8; }
QLabel[role="quiet"] { color: #9a9fa8; }
QRangeSlider:focus { border: 1px solid #8fa3c8; border-radius: 4px; }
QFrame[role="notice"] { border: 1px solid #b98a2e; border-radius: 4px; }
QFrame[role="notice"] QLabel { padding: 2px; }
QProgressBar { max-height: 14px; }
""" + "".join(f'QRangeSlider[side="{s.name.lower()}"] {{ qproperty-barColor: {COLOURS[s]}; }}\n' for s in COLOURS)


def make_button(text: str, tooltip: str = "", checkable: bool = False) -> QPushButton:
    """A button that the Tab key reaches but a click does not focus, so that keys go on to the image."""
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


class UndoPasses(QObject):
    """Lets Ctrl+Z in a number box go on to the window, once the number is no longer being typed."""

    def __init__(self, box: QAbstractSpinBox) -> None:
        super().__init__(box)
        box.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: object) -> bool:
        """Qt: an event of the box; true keeps it from the box, which would claim the key for its own text."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.ShortcutOverride:
            return False
        undoes = event.matches(QKeySequence.StandardKey.Undo) or event.matches(QKeySequence.StandardKey.Redo)
        return undoes and not watched.findChild(QLineEdit).isUndoAvailable()


def set_primary(button: QPushButton, primary: bool) -> None:
    """Show a button as the obvious next one, or as any other."""
    if bool(button.property("primary")) != primary:
        button.setProperty("primary", primary)
        button.style().unpolish(button)
        button.style().polish(button)


def make_label(text: str = "", role: str = "") -> QLabel:
    """A line of text that wraps; `role` is "quiet" or nothing."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setProperty("role", role)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def make_row(*widgets: QWidget, stretch: Sequence[int] = ()) -> QHBoxLayout:
    """Widgets side by side; `stretch` gives their shares of the width."""
    row = QHBoxLayout()
    row.setSpacing(4)
    for index, widget in enumerate(widgets):
        row.addWidget(widget, stretch[index] if index < len(stretch) else 0)
    return row


def add_menu(button: QPushButton, entries: Sequence[tuple[str, Callable[[], None]]]) -> list[QAction]:
    """Give a button a menu of texts and what they do; returns its entries."""
    menu = QMenu(button)
    actions = [menu.addAction(text) for text, _act in entries]
    for action, (_text, act) in zip(actions, entries, strict=True):
        action.triggered.connect(lambda _checked=False, act=act: act())
    button.setMenu(menu)
    return actions


class Section(QWidget):
    """A titled part of the dock; parts are added to `column`, rare things to the `heading` beside the title.

    A click on the title folds it. It is `body` that is enabled or not, so that the title can always be clicked.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = make_button("", "Fold or unfold this part", checkable=True)
        self.title.setProperty("role", "title")
        self.title.setFlat(True)
        self.title.setChecked(True)
        self.title.toggled.connect(self._on_title)
        self._name = title
        self.body = QWidget()
        self.column = QVBoxLayout(self.body)
        self.column.setContentsMargins(6, 0, 6, 2)
        self.column.setSpacing(4)
        self.heading = make_row(self.title, stretch=(1,))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        outer.addLayout(self.heading)
        outer.addWidget(self.body)
        self._on_title(True)

    @property
    def is_open(self) -> bool:
        """Whether its parts are shown."""
        return self.title.isChecked()

    def fold(self, folded: bool) -> None:
        """Show the title only, or all."""
        self.title.setChecked(not folded)

    def _on_title(self, open_: bool) -> None:
        self.body.setVisible(open_)
        self.title.setText(f"{'▾' if open_ else '▸'} {self._name}")


class Notice(QFrame):
    """A sentence with a button for what can be done about it; hidden while there is nothing to say."""

    wanted = Signal()

    def __init__(self, text: str, tooltip: str) -> None:
        super().__init__()
        self.setProperty("role", "notice")
        self.text = make_label()
        self.button = make_button(text, tooltip)
        self.button.clicked.connect(self.wanted)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 4, 4)
        row.addWidget(self.text, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def say(self, sentence: str, can_act: bool) -> None:
        """Show a sentence, or hide where it is empty."""
        self.text.setText(sentence)
        self.button.setVisible(can_act)
        self.setVisible(bool(sentence))


class ProgressRow(QWidget):
    """A bar with the time left and Cancel; hidden while nothing runs."""

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.text = make_label(role="quiet")
        self.button = make_button("Cancel")
        self.button.clicked.connect(self._on_cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(make_row(self.bar, self.button, stretch=(1, 0)))
        column.addWidget(self.text)
        self.hide()

    def begin(self, text: str) -> None:
        """Show the row at work of unknown length."""
        self.bar.setRange(0, 0)
        self.text.setText(text)
        self.button.setEnabled(True)
        self.show()

    def advance(self, text: str, done: int, total: int, seconds_left: float | None) -> None:
        """Show `done` of `total` and the time left."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.text.setText(" · ".join(part for part in (text, describe_left(seconds_left)) if part))

    def end(self) -> None:
        """Hide the row."""
        self.hide()

    def _on_cancel(self) -> None:
        self.button.setEnabled(False)
        self.text.setText("Cancelling…")
        self.cancelled.emit()


class Sparkline(QWidget):
    """Curves of the values so far, all scaled to one range: the loss, going down, or a Dice a structure.

    Where a value is not a number its curve leaves it out; a curve of those alone is not drawn.
    """

    def __init__(self, colours: Sequence[str] = ("#7fa8e0",)) -> None:
        super().__init__()
        self._colours = colours
        self._values: list[tuple[float, ...]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Qt's question for the size."""
        return QSize(120, 36)

    def clear(self) -> None:
        """Begin anew."""
        self._values.clear()
        self.update()

    def add(self, *values: float) -> None:
        """One more value of each curve."""
        self._values.append(values)
        self.update()

    def paintEvent(self, event: object) -> None:
        """Draw the curve; Qt calls this."""
        if len(self._values) < 2:
            return
        known = [value for values in self._values for value in values if not isnan(value)]
        low, high = min(known, default=0.0), max(known, default=0.0)
        width, height = (self.width() - 4) / (len(self._values) - 1), (self.height() - 6) / ((high - low) or 1.0)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, curve in zip(self._colours, zip(*self._values, strict=True), strict=False):
            points = [
                QPointF(2 + i * width, 3 + (high - value) * height) for i, value in enumerate(curve) if not isnan(value)
            ]
            painter.setPen(QPen(QColor(colour), 1.5))
            painter.drawPolyline(QPolygonF(points))
        painter.end()
