"""Keeps the ledger of effort while a person corrects: what was accepted, strokes, and time with signs of life."""

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from glrp_napari.effort import ActiveTime, Effort, append_effort, read_efforts, sum_by_model
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.effort_window import EffortWindow
from glrp_napari.gui.labelling import Labelling
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import Accepted


class EffortKeeping(QObject):
    """Writes a record at each accept, and at closing what came after the last one."""

    def __init__(self, workplace: Workplace, labelling: Labelling) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._active = ActiveTime()
        self._strokes = 0
        self._counted: dict[Place, int] = {}
        workplace.opened.connect(self._on_opened)
        labelling.accepted.connect(self._on_accepted)
        workplace.closing.connect(self._on_closing)

    def touch(self, *_event: object) -> None:
        """A sign of life: the mouse moved over the image, another slice was shown, something was drawn."""
        if self._workplace.study is not None:
            self._active.touch(time.monotonic())

    def show_curve(self, window: QWidget) -> None:
        """Open the curve of effort from model to model, once what was accepted last is in the ledger."""
        folder = self._workplace.now.session.folder
        self._workplace.writers.run(
            lambda: sum_by_model(read_efforts(folder)),
            lambda models: EffortWindow(models, window).show(),
            self._workplace.tell,
        )

    def _on_opened(self, study: OpenStudy) -> None:
        self._active, self._strokes, self._counted = ActiveTime(), 0, {}
        study.history.done_by_person = self._on_stroke

    def _on_stroke(self) -> None:
        self._strokes += 1
        self.touch()

    def _on_accepted(self, study: OpenStudy, slices: Sequence[Accepted]) -> None:
        """A slice that is corrected again counts once, with what it changed in all.

        Of slices that several models had answered, the one of which most was changed is charged with strokes and time.
        """
        self.touch()
        work: dict[str | None, tuple[int, int]] = {}  # by model: voxels changed, slices
        for one in slices:
            place = one.frame, one.slice
            now = 0 if one.before is None else int(np.count_nonzero(one.mask != one.before))
            changed, new = work.get(one.model, (0, 0))
            counted = self._counted.get(place, 0)
            work[one.model] = changed + max(0, now - counted), new + (place not in self._counted)
            self._counted[place] = max(now, counted)
        for model in sorted(work, key=lambda model: work[model], reverse=True):
            changed, new = work[model]
            self._write(study, model, new, changed)

    def _on_closing(self) -> None:
        if (study := self._workplace.study) is not None and (self._strokes or self._active.seconds >= 1):
            self._write(study, study.segmented_by, 0, 0)

    def _write(self, study: OpenStudy, model: str | None, slices: int, changed: int) -> None:
        """Add what was done since the last record; drawn from nothing, it corrected no model and is in none."""
        strokes, seconds = self._strokes, self._active.take()
        self._strokes = 0
        if model is None:
            return
        effort = Effort(
            study=study.loaded.hash,
            model=model,
            slices=slices,
            changed=changed,
            strokes=strokes,
            active_s=round(seconds, 1),
        )
        folder = self._workplace.now.session.folder
        self._workplace.writers.run(partial(append_effort, folder, effort), lambda _none: None, self._workplace.tell)
