"""The plausibility light's engine: looks at the masks in the background soon after they changed, one look at a time."""

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from glrp_napari.anatomy_checks import Finding
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.workplace import Workplace
from glrp_napari.plausibility import Watch

WAIT_MS = 250
"""After the last change: strokes come in quick succession."""


class Watching(QObject):
    """Tells what is odd in the workplace's study by `found`, the worst first."""

    found = Signal(object)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._watch: Watch | None = None
        self._study: OpenStudy | None = None
        self._looking = self._again = False
        self.findings: Sequence[Finding] = ()
        self._timer = QTimer(self, interval=WAIT_MS, singleShot=True)
        self._timer.timeout.connect(self._on_time)
        workplace.changed.connect(self._timer.start)
        workplace.opened.connect(self._on_opened)
        workplace.closing.connect(self._on_closing)

    def go_to_worst(self) -> None:
        """Show the slice of the worst finding."""
        if self._study is not None and self.findings and self.findings[0].frame is not None:
            frame, level = self.findings[0].frame, self.findings[0].slice
            self._study.go(frame, self._study.place[1] if level is None else level)

    def _on_time(self) -> None:
        study, watch = self._study, self._watch
        if study is None or watch is None:
            return
        if self._looking:
            self._again = True
            return
        self._looking = True
        mask, frames = study.mask.data, np.flatnonzero(study.states.any(1)).tolist()
        function = study.measured.function if study.measured else None  # new numbers come with a change of their own
        self._workplace.readers.run(
            lambda: watch.look(mask, frames, function), lambda found: self._on_found(study, found), self._on_failed
        )

    def _on_found(self, study: OpenStudy, found: Sequence[Finding]) -> None:
        self._looking = False
        if study is self._study:
            self.findings = found
            self.found.emit(found)
        if self._again:
            self._again = False
            self._timer.start()

    def _on_failed(self, error: BaseException) -> None:
        self._looking = False
        self._workplace.tell(error)

    def _on_opened(self, study: OpenStudy) -> None:
        self._study, self._watch = study, Watch(study.cine.geometry)
        self._timer.start()

    def _on_closing(self) -> None:
        self._study = self._watch = None
        self._timer.stop()
        self.findings = ()
        self.found.emit(())
