"""The other series of a DICOM folder: found after the likeliest one was opened, so that nobody is asked first."""

from pathlib import Path

from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.study_opening import StudyOpening
from glrp_napari.gui.workplace import Workplace
from glrp_napari.reading import Series, list_series

NONE = -1
"""No series is chosen, as a combo box counts."""


class SeriesChoice(QObject):
    """Lists the open folder's series and opens another of them."""

    found = Signal(object, int)

    def __init__(self, workplace: Workplace, opening: StudyOpening) -> None:
        super().__init__(workplace)
        self._workplace, self._opening = workplace, opening
        self._folder: Path | None = None
        self._series: tuple[Series, ...] = ()
        self._shown = 0
        opening.began.connect(self._on_opening)
        workplace.opened.connect(self._on_opened)
        opening.failed.connect(self._on_not_opened)

    def choose(self, index: int) -> None:
        """Open the series at this place in the list."""
        if self._folder is not None:
            self._shown = index
            self._opening.open_path(self._folder, self._series[index].key)

    def _on_opening(self, path: Path | None, anew: bool) -> None:
        if anew:
            self._folder, self._series, self._shown = (path if path and path.is_dir() else None), (), 0
            self.found.emit((), 0)

    def _on_opened(self, _study: object) -> None:
        self._list()

    def _on_not_opened(self) -> None:
        """A folder with several equally likely series is not opened: the user chooses, with none chosen yet."""
        if not self._series:
            self._shown = NONE
        self._list()

    def _list(self) -> None:
        folder = self._folder
        if folder is not None and not self._series:
            self._workplace.readers.run(
                lambda: list_series(folder), lambda series: self._on_listed(folder, series), self._workplace.tell
            )

    def _on_listed(self, folder: Path, series: tuple[Series, ...]) -> None:
        if folder is self._folder:  # else another was opened meanwhile
            self._series = series
            self.found.emit(tuple(one.description for one in series), self._shown)
