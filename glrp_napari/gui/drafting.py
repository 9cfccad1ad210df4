"""Keeping the open study: a draft when painting pauses and every 30 s, its session at closing, both taken up again.

The study opens as it was closed last, without a question; a draft that a crash left is offered until it is answered.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
from qtpy.QtCore import QObject, QTimer

from glrp_napari.autosave import Draft
from glrp_napari.decisions import Reading
from glrp_napari.drafts import StudyDrafts
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.workplace import Workplace
from glrp_napari.slice_states import BY_PERSON
from glrp_napari.undo_steps import unpack

PAUSE_MS = 1500
EVERY_MS = 30_000


class Drafting(QObject):
    """Saves drafts of the workplace's study while a person's work is in it."""

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._dirty = False
        self._is_kept = False  # whether a draft or a closing of the open study lies in its folder
        self._reading = Reading()
        self._offered: Draft | None = None
        self._pause, self._every = QTimer(self), QTimer(self)
        self._pause.setSingleShot(True)
        for timer, interval in ((self._pause, PAUSE_MS), (self._every, EVERY_MS)):
            timer.setInterval(interval)
            timer.timeout.connect(self.save)
        self._every.start()
        workplace.opened.connect(self._on_opened)
        workplace.session_changed.connect(self._on_session_changed)
        workplace.changed.connect(self._on_changed)
        workplace.closing.connect(self._on_closing)

    def touch(self, *_event: object) -> None:
        """The mask changed: save when this pauses."""
        if self._workplace.study is not None:
            self._workplace.study.revision += 1
            self._mark()

    def save(self) -> None:
        """Save a draft if there is anything of a person's in the study that is not in one yet."""
        study = self._workplace.study
        by_person = study is not None and (np.isin(study.states, BY_PERSON).any() or study.reading != Reading())
        if study is not None and self._dirty and by_person:
            self._write(study, closed=False)

    def begin_saving(self) -> Callable[[], None]:
        """What to call once the mask as it is now lies in a file: no draft is left to offer, unless it changed since.

        The study as it is then stands where its last closing did, so that a crash does not bring that one back.
        """
        study = self._workplace.study
        revision = study.revision if study else 0

        def finish() -> None:
            if study is not None and study is self._workplace.study and study.revision == revision:
                self._write(study, closed=True)

        return finish

    def restore(self) -> None:
        """Take the offered draft into the mask."""
        study, offered = self._workplace.study, self._offered
        if study is not None and offered is not None:
            study.restore(offered)
            self.touch()
            self._write(study, closed=False, after=partial(self._found.discard, offered))
            self._offer_next(study)
            self._workplace.survey_library()

    def discard(self) -> None:
        """Throw the offered draft away."""
        study, offered = self._workplace.study, self._offered
        if study is not None and offered is not None:
            discard = partial(self._found.discard, offered)
            self._workplace.writers.run(discard, lambda _none: None, self._workplace.tell)
            self._offer_next(study)

    def _write(self, study: OpenStudy, closed: bool, after: Callable[[], None] = lambda: None) -> None:
        """Write a draft, or the study as it was closed; `after` comes then, on the thread that writes."""
        self._dirty, self._is_kept = False, True
        draft = study.draft(datetime.now(UTC).isoformat(timespec="seconds"), closed)
        predicted, shape = study.history.list_predicted(BY_PERSON), draft.mask.shape[2:]
        models = {place: answer.model for place, answer in predicted.items()}
        drafts, cine = study.drafts, study.loaded.cine

        def write() -> None:
            answers = {place: unpack(answer.packed, shape) for place, answer in predicted.items()}
            drafts.save(cine, replace(draft, predicted=answers, answered_by=models))
            after()

        def give_up(error: Exception) -> None:
            self._dirty = True
            self._workplace.tell(f"The draft of your corrections could not be saved: {error}")

        self._workplace.writers.run(write, lambda _none: None, give_up)

    def _offer(self, draft: Draft | None) -> None:
        self._offered = draft
        self._workplace.update(draft_from=draft.saved_at if draft else "")

    def _offer_next(self, study: OpenStudy) -> None:
        """An offer was answered: show the one that another crash left, if any."""
        self._offer(None)

        def show(draft: Draft | None) -> None:
            if study is self._workplace.study:
                self._offer(draft)

        load = partial(self._found.load_offered, study.loaded.cine)
        self._workplace.writers.run(load, show, self._workplace.tell)

    def _on_changed(self) -> None:
        """The reader's decisions are work as strokes are."""
        study = self._workplace.study
        if study is not None and study.reading != self._reading:
            self._reading = study.reading
            self._mark()

    def _mark(self) -> None:
        self._dirty = True
        self._pause.start()

    def _on_opened(self, study: OpenStudy) -> None:
        self._found = study.drafts
        if study.loaded.closed is not None:
            study.resume(study.loaded.closed)
        self._dirty, self._reading = False, study.reading
        self._is_kept = study.loaded.closed is not None
        study.mask.events.paint.connect(self.touch)
        self._offer(study.loaded.offered)
        if study.drafts.folder != self._workplace.now.session.drafts:  # changed while the study was being read
            self._on_session_changed()

    def _on_closing(self) -> None:
        """Keep the study as it is; one whose work was all taken back too, lest what was kept of it comes back."""
        study = self._workplace.study
        if study is not None and (study.states.any() or study.reading != Reading() or self._is_kept):
            self._write(study, closed=True)
        if study is not None:
            self._release(study.drafts)

    def _on_session_changed(self) -> None:
        """The open study goes on in the new folder; a draft that lies in the one before is offered there."""
        if (study := self._workplace.study) is not None:
            self._release(study.drafts)
            study.drafts = StudyDrafts(self._workplace.now.session.drafts, study.loaded.hash)
            self._is_kept = False
            self._mark()

    def _release(self, drafts: StudyDrafts) -> None:
        self._workplace.writers.run(drafts.release, lambda _none: None, self._workplace.tell)
