"""Keeping a draft of the open study's corrections: when painting pauses, every 30 s, and at closing."""

from datetime import UTC, datetime

import numpy as np
from qtpy.QtCore import QObject, QTimer

from glrp_napari.autosave import Draft, discard_draft, save_draft
from glrp_napari.gui.editing import BY_PERSON, OpenStudy
from glrp_napari.gui.workplace import Workplace

PAUSE_MS = 1500
EVERY_MS = 30_000


class Drafting(QObject):
    """Saves drafts of the workplace's study while a person's work is in it."""

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._dirty = False
        self._pause, self._every = QTimer(self), QTimer(self)
        self._pause.setSingleShot(True)
        for timer, interval in ((self._pause, PAUSE_MS), (self._every, EVERY_MS)):
            timer.setInterval(interval)
            timer.timeout.connect(self.save)
        self._every.start()
        workplace.opened.connect(self._on_opened)
        workplace.closing.connect(self.save)

    def touch(self, *_event: object) -> None:
        """The mask changed: save when this pauses."""
        self._dirty = True
        self._pause.start()

    def save(self) -> None:
        """Save a draft if there is anything of a person's in the mask that is not in one yet."""
        study = self._workplace.study
        if study is None or not self._dirty or not np.isin(study.states, BY_PERSON).any():
            return
        self._dirty = False
        draft = Draft(study.mask.data.copy(), study.states.copy(), datetime.now(UTC).isoformat(timespec="seconds"))
        folder, loaded = self._workplace.now.session.drafts, study.loaded

        def give_up(error: Exception) -> None:
            self._dirty = True
            self._workplace.tell(f"The draft of your corrections could not be saved: {error}")

        self._workplace.writers.run(
            lambda: save_draft(folder, loaded.hash, loaded.cine, draft), lambda _none: None, give_up
        )

    def restore(self) -> None:
        """Take the offered draft into the mask."""
        study = self._workplace.study
        if study is not None and study.loaded.draft is not None:
            study.restore(study.loaded.draft)
            self._workplace.update(draft_from="")

    def discard(self) -> None:
        """Throw the offered draft away, or the one of a mask that was saved to a file."""
        study = self._workplace.study
        if study is not None:
            self._dirty = False
            folder, name = self._workplace.now.session.drafts, study.loaded.hash
            self._workplace.writers.run(lambda: discard_draft(folder, name), lambda _none: None, self._workplace.tell)
        self._workplace.update(draft_from="")

    def _on_opened(self, study: OpenStudy) -> None:
        self._dirty = False
        study.mask.events.paint.connect(self.touch)
