"""A ventricle's slices as a bar that is dragged by its ends: base on the left, apex on the right.

The ends lie between slices, so that the bar is as long as what counts; together they stand for no slice at all. It must
not know the study.
"""

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from superqt import QRangeSlider

from glrp_napari.extent import Slices

_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class SliceRange(QRangeSlider):
    """Shows which slices count and says what the reader makes of them.

    `chosen` carries first and last slice (None: no slice counts), and whether it goes on with the drag that the last
    one was of. The arrow keys move the base, with Shift the apex.
    """

    chosen = Signal(object, bool)

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._apex_first = False
        self._is_held = self._has_moved = False
        self._ends = self.value()
        self.setSingleStep(0)  # superqt keeps the ends that far apart
        self.setBarMovesAllHandles(False)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.valueChanged.connect(self._on_value)

    def show_slices(self, slices: Slices | None, count: int, apex_first: bool) -> None:
        """Show first and last slice of a stack of `count`; what is being dragged stays under the hand."""
        if self.isSliderDown():
            return
        self._apex_first = apex_first
        low, high = self.value()
        with QSignalBlocker(self):
            self.setRange(0, count)
            if slices is not None or low != high:  # ends that were drawn together stay where they met
                self.setValue(find_ends(slices, count, apex_first))
        self._ends = self.value()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A press begins a drag; Qt calls this."""
        self._is_held, self._has_moved = True, False
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The drag is over; Qt calls this."""
        super().mouseReleaseEvent(event)
        self._is_held = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move an end by a slice; Qt calls this."""
        step = _STEPS.get(event.key())
        if step is None:
            event.ignore()
            return
        low, high = self.value()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.setValue((low, max(low, high + step)))
        else:
            self.setValue((min(low + step, high), high))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The wheel scrolls the dock, it changes no measurement; Qt calls this."""
        event.ignore()

    def _on_value(self, ends: tuple[int, int]) -> None:
        if ends == self._ends:
            return  # superqt tells of a press too
        continues, self._ends, self._has_moved = self._is_held and self._has_moved, ends, True
        self.chosen.emit(find_slices(ends, self.maximum(), self._apex_first), continues)


def find_ends(slices: Slices | None, count: int, apex_first: bool) -> tuple[int, int]:
    """Where first and last slice of a stack of `count` lie, in slices from the base on."""
    if slices is None:
        return (0, 0)
    first, last = slices
    return (count - 1 - last, count - first) if apex_first else (first, last + 1)


def find_slices(ends: tuple[int, int], count: int, apex_first: bool) -> Slices | None:
    """The first and last slice between two ends of a stack of `count`: the inverse of `find_ends`."""
    low, high = ends
    if low == high:
        return None
    return (count - high, count - 1 - low) if apex_first else (low, high - 1)


def describe_slices(slices: Slices | None, apex_first: bool) -> str:
    """Base and apex in words, counted from 1: `11 – 2`, or `none`."""
    if slices is None:
        return "none"
    base, apex = reversed(slices) if apex_first else slices
    return f"{base + 1} – {apex + 1}"
