"""Keeping the open study: a draft when painting pauses and every 30 s, its session at closing, both taken up again.

After a crash the draft is offered; after closing in good order the study is as it was, without a question.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject, QTimer

from glrp_napari.assessment import Reading
from glrp_napari.autosave import Draft, discard_draft, discard_up_to, load_draft, save_draft, set_aside
from glrp_napari.gui.editing import BY_PERSON, OpenStudy
from glrp_napari.gui.history import unpack
from glrp_napari.gui.workplace import Workplace

PAUSE_MS = 1500
EVERY_MS = 30_000


class Drafting(QObject):
    """Saves drafts of the workplace's study while a person's work is in it."""

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._dirty = False
        self._reading = Reading()
        self._offered: Draft | None = None
        self._offered_in = Path()
        self._pause, self._every = QTimer(self), QTimer(self)
        self._pause.setSingleShot(True)
        for timer, interval in ((self._pause, PAUSE_MS), (self._every, EVERY_MS)):
            timer.setInterval(interval)
            timer.timeout.connect(lambda: self.save())
        self._every.start()
        workplace.opened.connect(self._on_opened)
        workplace.session_changed.connect(self._mark)
        workplace.changed.connect(self._on_changed)
        workplace.closing.connect(self._on_closing)

    def touch(self, *_event: object) -> None:
        """The mask changed: save when this pauses."""
        if self._workplace.study is not None:
            self._workplace.study.revision += 1
            self._mark()

    def save(self, after: Callable[[], None] = lambda: None) -> None:
        """Save a draft if there is anything of a person's in the study that is not in one yet; `after` comes then."""
        study = self._workplace.study
        by_person = study is not None and (np.isin(study.states, BY_PERSON).any() or study.reading != Reading())
        if study is not None and self._dirty and by_person:
            self._write(study, False, after)

    def _on_closing(self) -> None:
        """Keep the study as it is; while an offer is not answered, only as a draft, so that it is asked again."""
        study = self._workplace.study
        if study is None or self._offered is not None:
            self.save()
        elif study.states.any() or study.reading != Reading():
            self._write(study, True, lambda: None)

    def _write(self, study: OpenStudy, closed: bool, after: Callable[[], None]) -> None:
        self._dirty = False
        draft = study.draft(datetime.now(UTC).isoformat(timespec="seconds"), closed)
        predicted, shape = study.history.list_predicted(BY_PERSON), draft.mask.shape[2:]
        folder, loaded, protect = self._workplace.now.session.drafts, study.loaded, self._protect_offered(study)

        def write() -> None:
            protect()
            answers = {place: unpack(packed, shape) for place, packed in predicted.items()}
            save_draft(folder, loaded.hash, loaded.cine, replace(draft, predicted=answers))
            after()

        def give_up(error: Exception) -> None:
            self._dirty = True
            self._workplace.tell(f"The draft of your corrections could not be saved: {error}")

        self._workplace.writers.run(write, lambda _none: None, give_up)

    def begin_saving(self) -> Callable[[], None]:
        """What to call once the mask as it is now lies in a file: no draft is left to offer, unless it changed since.

        The study as it is then stands where its last closing did, so that a crash does not bring that one back. While
        an offer is not answered, it is the offer that comes again.
        """
        study, folder = self._workplace.study, self._workplace.now.session.drafts
        revision = study.revision if study else 0

        def finish() -> None:
            if study is None or study is not self._workplace.study or study.revision != revision:
                return
            if self._offered is None:
                self._write(study, True, lambda: None)
                return
            self._dirty, protect = False, self._protect_offered(study)

            def discard() -> None:
                protect()
                discard_draft(folder, study.loaded.hash)

            self._workplace.writers.run(discard, lambda _none: None, self._workplace.tell)

        return finish

    def restore(self) -> None:
        """Take the offered draft into the mask."""
        study, offered, folder = self._workplace.study, self._offered, self._offered_in
        if study is not None and offered is not None:
            study.restore(offered)
            self._answer()
            self.touch()
            name = study.loaded.hash
            self.save(after=lambda: discard_up_to(folder, name, offered))

    def discard(self) -> None:
        """Throw the offered draft away; what was painted since keeps its own, else the study is as it was closed."""
        study, offered, folder = self._workplace.study, self._offered, self._offered_in
        self._answer()
        if study is not None and offered is not None:
            loaded, tell = study.loaded, self._workplace.tell

            def throw_away() -> Draft | None:
                discard_up_to(folder, loaded.hash, offered)
                return load_draft(folder, loaded.hash, loaded.cine, closed=True)

            self._workplace.writers.run(throw_away, lambda draft: self._resume(study, draft), tell)

    def _answer(self) -> None:
        self._offered = None
        self._workplace.update(draft_from="")

    def _protect_offered(self, study: OpenStudy) -> Callable[[], None]:
        """What to call before drafts are written or removed: puts an offer nobody has answered out of their way."""
        offered, folder, name = self._offered, self._offered_in, study.loaded.hash
        return (lambda: None) if offered is None else (lambda: set_aside(folder, name, offered))

    def _resume(self, study: OpenStudy, draft: Draft | None) -> None:
        if draft is not None and study is self._workplace.study and not study.states.any():
            study.resume(draft)
            self._reading = study.reading
            self._workplace.changed.emit()

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
        self._dirty = False
        self._reading = study.reading
        draft = study.loaded.draft
        self._offered, self._offered_in = draft, self._workplace.now.session.drafts
        if draft is not None and draft.closed:
            self._offered = None
            self._resume(study, draft)
        study.mask.events.paint.connect(self.touch)
