"""The plausibility light: a dot, green, amber or red, and the worst finding in words; a click goes there."""

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QPushButton, QSizePolicy

from glrp_napari.anatomy_checks import Finding
from glrp_napari.plausibility import choose_light

SHADES = {"green": "#3fae5a", "amber": "#e0a030", "red": "#d9483b"}
SOUND = "Nothing implausible"


class Light(QPushButton):
    """Shows findings with the worst first."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = "green"
        self._full = SOUND
        self.setFlat(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setStyleSheet("text-align: left; border: none; padding: 2px;")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.show_findings(())

    def show_findings(self, found: Sequence[Finding]) -> None:
        """Take over what was found."""
        self.colour = choose_light(found)
        self._full = describe_finding(found[0]) if found else SOUND
        more = len([finding for finding in found if finding.severity > 1])
        lines = [describe_finding(finding) for finding in found[:12]]
        self.setToolTip("\n".join([*lines, f"{more} in all; a click goes to the first" if more else ""]).strip())
        self.setEnabled(bool(found))
        self.setIcon(QIcon(_draw_dot(SHADES[self.colour])))
        self._elide()

    def resizeEvent(self, event: object) -> None:
        """Cut the sentence to the width; Qt calls this."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        width = max(40, self.width() - 30)
        self.setText(self.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideRight, width))


def describe_finding(finding: Finding) -> str:
    """A finding in a line, its place first, counted from 1: `Frame 3, slice 5: the ring is open …`."""
    place = [f"{noun} {i + 1}" for noun, i in (("frame", finding.frame), ("slice", finding.slice)) if i is not None]
    text = ": ".join(part for part in (", ".join(place), finding.text) if part)
    return text[0].upper() + text[1:]


def _draw_dot(colour: str) -> QPixmap:
    dot = QPixmap(14, 14)
    dot.fill(QColor(0, 0, 0, 0))
    painter = QPainter(dot)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colour))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(1, 1, 12, 12)
    painter.end()
    return dot
