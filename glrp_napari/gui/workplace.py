"""What the dock works on: the session folder, the open study, the labels and models; and opening, accepting, saving.

Knows the viewer's layers and the engine, none of the dock's widgets: it tells them by `changed` and `told`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer
from qtpy.QtCore import QObject, Signal

from glrp_napari.autosave import SliceState
from glrp_napari.cine import Cine, Mask
from glrp_napari.gui.background import Background
from glrp_napari.gui.editing import OpenStudy, look_at_study
from glrp_napari.gui.history import Place
from glrp_napari.gui.jobs import WORKER, Jobs
from glrp_napari.gui.keeping import Keeping
from glrp_napari.gui.layers import CINE_KEY, image_options, orient_viewer, read_layer
from glrp_napari.gui.opening import Loaded, load_mask, load_study, prepare_study
from glrp_napari.gui.scratch import Scratch, sweep_scratch
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.gui.words import NEWER
from glrp_napari.library import Label, Survey, accept_slices, remove_label, survey_labels
from glrp_napari.models import Model, list_models
from glrp_napari.session import SegmentOptions, Session
from glrp_napari.writing.folders import check_folder
from glrp_napari.writing.masks import write_mask


class Workplace(QObject):
    """The state behind the dock. `now` is the last snapshot's ground; views get it through `look`."""

    changed = Signal()
    told = Signal(str)
    opened = Signal(object)
    opening = Signal(object, bool)
    not_opened = Signal()
    session_changed = Signal()
    closing = Signal()
    accepted = Signal(object, object)

    def __init__(self, viewer: ViewerModel, session: Session, command: tuple[str, ...] = WORKER) -> None:
        super().__init__()
        self.viewer = viewer
        self.study: OpenStudy | None = None
        self._scratches = [Scratch(session.scratch)]
        self.readers = Background(self)
        self.writers = Background(self, threads=1)
        self.keeping = Keeping(self.writers, self)
        self.jobs = Jobs(command, self)
        self.now = Snapshot(session=session)
        self._closed = False
        viewer.layers.events.inserted.connect(self._on_layer_inserted)
        viewer.layers.events.removed.connect(self._on_layer_removed)
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
        expected = not isinstance(error, Exception) or isinstance(error, ValueError | OSError)
        self.told.emit(str(error) if expected else f"Something went wrong: {type(error).__name__}: {error}")

    # --- session -------------------------------------------------------------------------------------------------

    def change_session(self, folder: Path) -> None:
        """Keep labels, models and drafts in `folder` from now on."""
        fresh = {"model": "", "candidate": "", "replaced": "", "comparison": None, "outcome": "", "new_labels": 0}
        self.update(session=Session(folder), options=SegmentOptions(), **fresh)
        self._scratches.append(Scratch(self.now.session.scratch))
        self._enter_session()
        self.session_changed.emit()

    def try_session(self, folder: Path, taken: Callable[[], None]) -> None:
        """Change to `folder` if files can be kept there, else say why not; `taken` comes then."""
        if self.now.job:
            self.tell("Wait until the work under way is done, or cancel it, before changing the folder.")
            return

        def take(_none: object) -> None:
            self.change_session(folder)
            taken()

        self.readers.run(lambda: check_folder(folder), take, self.tell)

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
        self.writers.run(lambda: survey_labels(session.labels), self._on_surveyed, self.tell)

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

    # --- opening -------------------------------------------------------------------------------------------------

    def open_path(self, path: Path, series: str | None = None) -> None:
        """Open a file or folder."""
        scratch, drafts = self.scratch, self.now.session.drafts
        if self._may_open():
            self.opening.emit(path, series is None)
            self._open(lambda: load_study(path, series, scratch, drafts), None)

    def open_layer(self, layer: Image) -> None:
        """Take an image layer of napari as the study."""
        scratch, drafts = self.scratch, self.now.session.drafts
        cine = layer.metadata.get(CINE_KEY)
        if self._may_open():
            self.opening.emit(cine.source.path if isinstance(cine, Cine) else None, True)
            self._open(lambda: prepare_study(lambda: read_layer(layer), scratch, drafts), layer)

    def open_selected_layer(self) -> None:
        """Take the image layer selected in napari as the study."""
        layer = self.viewer.layers.selection.active
        if isinstance(layer, Image):
            self.open_layer(layer)
        else:
            self.tell("Select an image layer in napari's layer list first.")

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
            for layer in (study.mask, study.uncertainty, study.image):
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
        self.update(draft_from="")

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

    # --- masks and labels ----------------------------------------------------------------------------------------

    def save_mask(self, path: Path, done: Callable[[], None]) -> None:
        """Write the study's mask to a file."""
        if (study := self.study) is not None:
            mask = study.mask.data.copy()
            self.writers.run(lambda: write_mask(path, mask, study.cine), lambda _none: done(), self.tell)

    def load_mask(self, path: Path, label_map: dict[int, int] | None, state: SliceState = SliceState.EDITED) -> None:
        """Take over a mask from a file, as a person's edits or, with PREDICTED, as a model's segmentation."""
        if (study := self.study) is not None:
            frame = study.place[0]
            self.readers.run(
                lambda: load_mask(path, study.cine, label_map, frame),
                lambda slices: self._on_mask_read(study, slices, state),
                self.tell,
            )

    def accept(self, whole_frame: bool) -> None:
        """Store the slice, or the frame, on screen as labels."""
        if (study := self.study) is None or not self.may_write():
            return
        before = {place: study.states[place] for place in study.acceptable(whole_frame)}
        accepted = study.accept(list(before))
        self.accepted.emit(study, accepted)
        folder, loaded, model = self.now.session.labels, study.loaded, study.segmented_by
        self.changed.emit()

        def give_up(error: Exception) -> None:
            for place, state in before.items():
                study.states[place] = state
            self.tell(error)
            self.changed.emit()

        store = partial(accept_slices, folder, loaded.cine, accepted, model, loaded.hash, self.now.reader)
        self.writers.run(store, self._on_accepted, give_up)

    def remove_label(self, label: Label) -> None:
        """Take a label out of the library."""
        folder = self.now.session.labels
        if not self.may_write():
            return
        self.writers.run(lambda: remove_label(folder, label), lambda _none: self._on_removed(label), self.tell)

    def may_write(self) -> bool:
        """Whether the library may be changed here; says why where it may not."""
        if self.now.read_only:
            self.tell(self.now.read_only)
        return not self.now.read_only

    # --- answers -------------------------------------------------------------------------------------------------

    def _may_open(self) -> bool:
        if self.now.opening or self.now.job == "segment":
            self.tell("Wait until the study is opened and segmented, or cancel, before opening another.")
            return False
        return True

    def _open(self, load: Callable[[], Loaded], layer: Image | None) -> None:
        self.update(opening=True)
        self.readers.run(load, lambda loaded: self._on_loaded(loaded, layer), self._on_open_failed)

    def _on_loaded(self, loaded: Loaded, layer: Image | None) -> None:
        before = self.study
        if before is not None and before.loaded.hash == loaded.hash and before.states.any():
            kept = replace(before.draft("", closed=True), predicted=before.list_answers())
            loaded = replace(loaded, drafts=before.drafts, closed=kept)  # the one on disk is older
        self.close_study()
        image = layer or Image(loaded.cine.images, **image_options(loaded.cine))
        self.study = OpenStudy(loaded, image, self.viewer)
        for added in (image, self.study.mask):
            if added not in self.viewer.layers:
                self.viewer.add_layer(added)
        image.name = loaded.cine.source.name  # napari numbers a name that the study before still had
        self.viewer.dims.axis_labels = self.study.mask.axis_labels
        self.viewer.layers.selection.active = self.study.mask
        orient_viewer(self.viewer, loaded.cine)
        self.study.go(0, loaded.cine.images.shape[1] // 2)
        self.jobs.prepare()
        self.update(opening=False, model_changed=False)
        self.opened.emit(self.study)

    def _on_open_failed(self, error: Exception) -> None:
        self.update(opening=False)
        self.tell(error)
        self.not_opened.emit()

    def _on_mask_read(self, study: OpenStudy, slices: dict[Place, Mask], state: SliceState) -> None:
        if self.study is study:
            study.write_slices(slices, state)
            self.changed.emit()

    def _on_listed(self, models: tuple[Model, ...], remembered: str) -> None:
        names = [model.card.name for model in models]
        chosen = [name for name in (self.now.model, remembered, *names) if name in names]
        self.update(models=models, model="".join(chosen[:1]))

    def _on_surveyed(self, survey: Survey) -> None:
        changes = {"read_only": NEWER, "can_take_over": False} if survey.is_newer else {}
        self.update(labels=survey.labels, damaged=survey.damaged, **changes)

    def _on_removed(self, label: Label) -> None:
        if self.study is not None and self.study.loaded.hash == label.study:
            self.study.withdraw((label.frame, label.slice))
            self.changed.emit()
        self.list_session()

    def _on_accepted(self, labels: tuple[Label, ...]) -> None:
        self.now = replace(self.now, new_labels=self.now.new_labels + len(labels))
        self.list_session()

    def _on_layer_inserted(self, event: Any) -> None:
        layer = event.value
        cine = layer.metadata.get(CINE_KEY) if isinstance(layer, Image) else None
        # napari's "duplicate layer" copies the metadata: such a layer shows the open study and is not another one.
        is_open = self.study is not None and (self.study.image is layer or self.study.loaded.cine is cine)
        if isinstance(cine, Cine) and not self._closed and not is_open:
            self.open_layer(layer)

    def _on_layer_removed(self, event: Any) -> None:
        layer: Layer = event.value
        if self.study is not None and not self._closed and layer in (self.study.image, self.study.mask):
            self.tell("A layer of the study was removed, so the study was closed. Open it again to go on.")
            self.close_study()
