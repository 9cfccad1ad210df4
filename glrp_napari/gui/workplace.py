"""What the dock works on: the session folder with its labels and models, and the open study; and changing either.

Knows the viewer's layers and the engine, none of the dock's widgets: it tells them by signals. What is done with the
study, from opening it on, is done by others (`study_opening`, `mask_files`, `labelling`, …).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.background import Background
from glrp_napari.gui.editing import OpenStudy, look_at_study
from glrp_napari.gui.jobs import WORKER, Jobs
from glrp_napari.gui.keeping import Keeping
from glrp_napari.gui.layers import show_layers
from glrp_napari.gui.scratch import Scratch, sweep_scratch
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.gui.words import CLAIMING, NEWER
from glrp_napari.library import Survey, survey_labels
from glrp_napari.models import Model, list_models
from glrp_napari.reasons import EXPECTED, explain
from glrp_napari.session import SegmentOptions, Session


class Workplace(QObject):
    """The state behind the dock. `now` is the last snapshot's ground; views get it through `look`.

    `opened` comes with the study once it is shown, `closing` while it still is, and also when the window closes.
    `surveyed` comes with what was found in the library.
    """

    changed = Signal()
    told = Signal(str)
    opened = Signal(object)
    closing = Signal()
    surveyed = Signal(object)
    session_changed = Signal()

    def __init__(self, viewer: ViewerModel, session: Session, command: tuple[str, ...] = WORKER) -> None:
        super().__init__()
        self.viewer = viewer
        self.study: OpenStudy | None = None
        self._scratches = [Scratch(session.scratch)]
        self.readers = Background(self)
        self.writers = Background(self, threads=1)
        self.keeping = Keeping(self.writers, self)
        self.jobs = Jobs(command, self)
        self.now = Snapshot(session=session, read_only=CLAIMING)
        self._closed = False
        self.keeping.changed.connect(lambda why, ended: self.update(read_only=why, can_take_over=ended))
        self._enter_session()

    @property
    def scratch(self) -> Scratch:
        """Where the files for jobs go; those of the sessions before stay until the window closes."""
        return self._scratches[-1]

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def look(self) -> Snapshot:
        """The moment as a frozen value."""
        return replace(self.now, study=look_at_study(self.study) if self.study else None)

    def update(self, **changes: Any) -> None:
        """Change fields of the snapshot's ground and say so."""
        self.now = replace(self.now, **changes)
        self.changed.emit()

    def tell(self, error: object) -> None:
        """Show a sentence, or an error's sentence, in the window."""
        foreseen = not isinstance(error, Exception) or isinstance(error, EXPECTED)
        self.told.emit(str(error) if foreseen else f"Something went wrong: {explain(error)}")

    def close(self) -> None:
        """The window closes: save what is unsaved, end all processes, remove what was for the jobs."""
        if self._closed:
            return
        self._closed = True
        self.closing.emit()
        self.jobs.close()
        for background in (self.readers, self.writers):
            background.close()
        self.keeping.close()
        for scratch in self._scratches:
            scratch.close()

    # --- session -------------------------------------------------------------------------------------------------

    def change_session(self, folder: Path) -> None:
        """Keep labels, models and drafts in `folder` from now on."""
        fresh = {"model": "", "candidate": "", "replaced": "", "comparison": None, "outcome": "", "new_labels": 0}
        fresh |= {"read_only": CLAIMING, "can_take_over": False}  # until the claim is answered
        self.update(session=Session(folder), options=SegmentOptions(), **fresh)
        self._scratches.append(Scratch(self.now.session.scratch))
        self._enter_session()
        self.session_changed.emit()

    def list_session(self) -> None:
        """Look into the session folder: labels and models; sweep up what windows that crashed have left."""
        session = self.now.session
        self.writers.run(lambda: sweep_scratch(session.scratch), lambda _none: None, self.tell)
        self.writers.run(
            lambda: (list_models(session.models), session.read_model()),
            lambda found: self._on_listed(*found),
            self.tell,
        )
        self.writers.run(session.unfinished.exists, lambda found: self.update(unfinished=found), self.tell)
        self.survey_library()

    def survey_library(self) -> None:
        """Look which labels there are."""
        folder = self.now.session.labels

        def show(survey: Survey) -> None:
            if folder == self.now.session.labels:  # else another session was entered meanwhile
                self._on_surveyed(survey)

        self.writers.run(lambda: survey_labels(folder), show, self.tell)

    def may_write(self) -> bool:
        """Whether the library may be changed here; says why where it may not."""
        if self.now.read_only:
            self.tell(self.now.read_only)
        return not self.now.read_only

    def _enter_session(self) -> None:
        session = self.now.session
        self.keeping.claim(session.labels)
        self.writers.run(session.read_options, lambda options: self.update(options=options), self.tell)
        self.list_session()

    def choose_model(self, name: str) -> None:
        """Segment with this model from now on, also after a restart."""
        session = self.now.session
        self.writers.run(lambda: session.remember_model(name), lambda _none: None, self.tell)
        changed = self.study is not None and self.study.segmented_by not in (None, name)
        self.update(model=name, model_changed=changed)

    def choose_options(self, options: SegmentOptions) -> None:
        """Segment so from now on, also after a restart."""
        session = self.now.session
        self.writers.run(lambda: session.remember_options(options), lambda _none: None, self.tell)
        self.update(options=options)

    def find_model(self) -> Model | None:
        """The chosen model."""
        return next((model for model in self.now.models if model.card.name == self.now.model), None)

    def _on_listed(self, models: tuple[Model, ...], remembered: str) -> None:
        names = [model.card.name for model in models]
        chosen = [name for name in (self.now.model, remembered, *names) if name in names]
        self.update(models=models, model="".join(chosen[:1]))

    def _on_surveyed(self, survey: Survey) -> None:
        changes = {"read_only": NEWER, "can_take_over": False} if survey.is_newer else {}
        self.update(labels=survey.labels, damaged=survey.damaged, **changes)
        self.surveyed.emit(survey)

    # --- study ---------------------------------------------------------------------------------------------------

    def show_study(self, study: OpenStudy) -> None:
        """Have this study open in place of the one before, in the middle of its first frame."""
        self.close_study()
        self.study = study  # before its layers come, which might be taken for another study's
        show_layers(self.viewer, study.image, study.mask, study.cine)
        study.go(0, study.cine.images.shape[1] // 2)
        self.jobs.prepare()
        self.update(opening=False, model_changed=False)
        self.opened.emit(study)

    def set_heart_rate(self, beats: int) -> None:
        """Take a typed heart rate (beats a minute; 0: unknown) for a study whose file has no frame times."""
        if self.study is not None:
            self.study.set_heart_rate(beats)
            self.changed.emit()

    def close_study(self) -> None:
        """Let the open study go; its layers leave the viewer, its unsaved corrections stay as a draft."""
        if self.study is not None:
            self.closing.emit()
            study, self.study = self.study, None
            if self.now.job == "segment":
                self.jobs.cancel()
            with self.viewer.layers.batched_update():  # napari collects garbage after each layer, or after a batch
                for layer in (study.mask, study.uncertainty, study.image):
                    if layer in self.viewer.layers:
                        self.viewer.layers.remove(layer)
        self.update(draft_from="")
