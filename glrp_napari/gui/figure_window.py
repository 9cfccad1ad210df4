"""The window of figures: volume–time curves and the wall on one page, the montage on another.

Shows measurements, never changes them: it says by signals what was clicked or dragged. The only module of the window,
with `wall_figure`, that loads matplotlib.
"""

from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from glrp_napari.assessment import Measurements
from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.drawing.montage import Montage, draw_montage
from glrp_napari.drawing.palette import SCREEN
from glrp_napari.drawing.volumes import draw_volumes
from glrp_napari.gui.measure_words import describe_rates
from glrp_napari.gui.pieces import make_label
from glrp_napari.gui.wall_figure import WallFigure
from glrp_napari.measure import Phases

TABS = ("figures", "wall", "montage")


class FigureWindow(QWidget):
    """Three pages of figures of one study; `shown` are the measurements on screen."""

    place_chosen = Signal(int, int)
    insertions_set = Signal(int, object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.shown: Measurements | None = None
        self._montage: Montage | None = None
        self._study: tuple[Cine, Mask] | None = None
        self.pages = QTabWidget()
        self.curves, self.rates = FigureCanvasQTAgg(Figure(layout="constrained")), make_label(role="quiet")
        self.wall = WallFigure()
        self.montage = FigureCanvasQTAgg(Figure(layout="constrained"))
        self.montage.mpl_connect("button_press_event", self._on_click)
        self.wall.insertions_set.connect(self.insertions_set)
        hint = make_label("Click a slice to go there. Dotted: does not count.", "quiet")
        turn = make_label("Drag the ends of the lines to where the RV meets the LV.", "quiet")
        for title, widgets in (
            ("Curves", (self.curves, self.rates)),
            ("Wall", (self.wall, turn)),
            ("Montage", (self.montage, hint)),
        ):
            self.pages.addTab(_stack(*widgets), title)
        self.pages.currentChanged.connect(lambda _index: self._draw_page())
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.pages)
        self.resize(980, 760)

    def choose(self, tab: str) -> None:
        """Turn to a page."""
        self.pages.setCurrentIndex(TABS.index(tab))

    def draw(self, cine: Cine, mask: Mask, measured: Measurements) -> None:
        """Show measurements of a mask (T, Z, Y, X), on the page that is open; the others are drawn when turned to."""
        self.setWindowTitle(f"Measurements of {cine.source.name}")
        self._study, self.shown = (cine, mask), measured
        self._draw_page()

    def _draw_page(self) -> None:
        if self._study is None or self.shown is None:
            return
        cine, mask = self._study
        draw = (self._draw_curves, self._draw_wall, self._draw_montage)[self.pages.currentIndex()]
        draw(cine, mask, self.shown)

    def _draw_curves(self, cine: Cine, _mask: Mask, measured: Measurements) -> None:
        self.curves.figure.clear()
        self.curves.figure.set_facecolor(SCREEN.ground)
        found = {Structure.LV: measured.lv_curve, Structure.RV: measured.rv_curve}
        curves = {structure: curve for structure, curve in found.items() if curve is not None}
        function = measured.function
        axes = self.curves.figure.add_subplot()
        draw_volumes(axes, function.volumes_ml, cine.frame_ms, Phases(function.ed, function.es), curves, SCREEN)
        self.curves.draw_idle()
        self.rates.setText(describe_rates(measured) or " ".join(measured.missing))

    def _draw_wall(self, cine: Cine, mask: Mask, measured: Measurements) -> None:
        self.wall.show_wall(cine, mask, measured)

    def _draw_montage(self, cine: Cine, mask: Mask, measured: Measurements) -> None:
        self.montage.figure.clear()
        self.montage.figure.set_facecolor(SCREEN.ground)
        frames = {measured.function.ed: "ED", measured.function.es: "ES"}
        known = {frame: name for frame, name in frames.items() if frame is not None}
        if known:
            axes = self.montage.figure.add_subplot()
            self._montage = draw_montage(axes, cine, mask, known, measured.extents, ink=SCREEN)
        self.montage.draw_idle()

    def _on_click(self, event: Any) -> None:
        if self._montage is None or event.inaxes is None:
            return
        if (place := self._montage.find_place(event.xdata, event.ydata)) is not None:
            self.place_chosen.emit(*place)


def _stack(*widgets: QWidget) -> QWidget:
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(2, 2, 2, 2)
    for index, widget in enumerate(widgets):
        column.addWidget(widget, 0 if index else 1)
    return page
