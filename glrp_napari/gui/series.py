"""The other series of a DICOM folder: found after the likeliest one was opened, so that nobody is asked first."""

from pathlib import Path

from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.words import describe_series
from glrp_napari.gui.workplace import Workplace
from glrp_napari.reading import Series, list_series


class SeriesChoice(QObject):
    """Lists the open folder's series and opens another of them."""

    found = Signal(object, int)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._folder: Path | None = None
        self._series: tuple[Series, ...] = ()
        self._shown = 0
        workplace.opening.connect(self._on_opening)
        workplace.opened.connect(self._on_opened)

    def choose(self, index: int) -> None:
        """Open the series at this place in the list."""
        if self._folder is not None:
            self._shown = index
            self._workplace.open_path(self._folder, self._series[index].key)

    def _on_opening(self, path: Path | None, anew: bool) -> None:
        if anew:
            self._folder, self._series, self._shown = (path if path and path.is_dir() else None), (), 0

    def _on_opened(self, _study: object) -> None:
        folder = self._folder
        if folder is None:
            self.found.emit((), 0)
        elif not self._series:
            self._workplace.readers.run(lambda: list_series(folder), self._on_listed, self._workplace.tell)

    def _on_listed(self, series: tuple[Series, ...]) -> None:
        self._series = series
        self.found.emit(tuple(map(describe_series, series)), self._shown)
