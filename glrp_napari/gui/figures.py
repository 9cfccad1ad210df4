"""Opening the window of curves, bullseye and montage on demand, and keeping it true while it is open.

Matplotlib is loaded with the first figure, not with the dock.
"""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.measuring import Measuring
from glrp_napari.gui.workplace import Workplace

if TYPE_CHECKING:
    from glrp_napari.gui.figure_window import FigureWindow


class Figures(QObject):
    """At most one window of figures, of the open study; `made` says which when it is there."""

    made = Signal(object)

    def __init__(self, workplace: Workplace, measuring: Measuring, dock: QWidget) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._measuring = measuring
        self._dock = dock
        self.window: FigureWindow | None = None
        workplace.changed.connect(self._on_changed)
        workplace.opened.connect(lambda _study: self.close())

    def show(self, tab: str) -> None:
        """Bring up the figures ("figures", "wall" or "montage") of the open study, if it is measured."""
        study = self._workplace.study
        if study is None or study.measured is None:
            return
        if self.window is None:
            self.window = self._make_window()
        self._draw(study)
        self.window.choose(tab)
        self.window.show()
        self.window.raise_()

    def close(self) -> None:
        """Close the window: the study is another."""
        if self.window is not None:
            self.window.close()

    def _make_window(self) -> "FigureWindow":
        from glrp_napari.gui.figure_window import FigureWindow

        window = FigureWindow(self._dock)
        window.place_chosen.connect(self._on_place)
        window.insertions_set.connect(self._measuring.set_insertions)
        self.made.emit(window)
        return window

    def _draw(self, study: OpenStudy) -> None:
        if self.window is not None and study.measured is not None:
            self.window.draw(study.cine, study.mask.data, study.measured)

    def _on_place(self, frame: int, level: int) -> None:
        if (study := self._workplace.study) is not None:
            study.go(frame, level)

    def _on_changed(self) -> None:
        study = self._workplace.study
        if self.window is None or not self.window.isVisible():
            return
        if study is None:
            self.close()
        elif study.measured is not self.window.shown:
            self._draw(study)
