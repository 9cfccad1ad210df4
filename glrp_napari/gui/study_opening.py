"""Opening a study: from a file, a folder or a layer of napari, one at a time; and noticing when a layer of it goes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from glrp_napari.cine import Cine
from glrp_napari.decisions import Reading
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.layers import CINE_KEY, image_options, read_layer
from glrp_napari.gui.loading import Loaded, load_study, prepare_study
from glrp_napari.gui.workplace import Workplace


class StudyOpening(QObject):
    """Reads studies off the GUI's thread and has the workplace show them; the open one stays until then.

    `began` carries the path, if there is one, and whether it is opened anew, not for another of its series.
    """

    began = Signal(object, bool)
    failed = Signal()

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        workplace.viewer.layers.events.inserted.connect(self._on_layer_inserted)
        workplace.viewer.layers.events.removed.connect(self._on_layer_removed)

    def open_path(self, path: Path, series: str | None = None) -> None:
        """Open a file or folder."""
        scratch, drafts = self._workplace.scratch, self._workplace.now.session.drafts
        if self._may_open():
            self.began.emit(path, series is None)
            self._open(lambda: load_study(path, series, scratch, drafts), None)

    def open_layer(self, layer: Image) -> None:
        """Take an image layer of napari as the study."""
        scratch, drafts = self._workplace.scratch, self._workplace.now.session.drafts
        cine = layer.metadata.get(CINE_KEY)
        if self._may_open():
            self.began.emit(cine.source.path if isinstance(cine, Cine) else None, True)
            self._open(lambda: prepare_study(lambda: read_layer(layer), scratch, drafts), layer)

    def open_selected_layer(self) -> None:
        """Take the image layer selected in napari as the study."""
        layer = self._workplace.viewer.layers.selection.active
        if isinstance(layer, Image):
            self.open_layer(layer)
        else:
            self._workplace.tell("Select an image layer in napari's layer list first.")

    def _may_open(self) -> bool:
        now = self._workplace.now
        if now.opening or now.job == "segment":
            self._workplace.tell("Wait until the study is opened and segmented, or cancel, before opening another.")
            return False
        return True

    def _open(self, load: Callable[[], Loaded], layer: Image | None) -> None:
        self._workplace.update(opening=True)
        self._workplace.readers.run(load, lambda loaded: self._on_loaded(loaded, layer), self._on_failed)

    def _on_loaded(self, loaded: Loaded, layer: Image | None) -> None:
        image = layer or Image(loaded.cine.images, **image_options(loaded.cine))
        self._workplace.show_study(OpenStudy(self._keep_work(loaded), image, self._workplace.viewer))

    def _keep_work(self, loaded: Loaded) -> Loaded:
        """The study that is open, opened once more, is as it is now: the draft on disk is older."""
        before = self._workplace.study
        if before is None or before.loaded.hash != loaded.hash:
            return loaded
        was_closed = before.loaded.closed is not None  # then it may be empty because all of it was taken back
        if not (before.states.any() or before.reading != Reading() or was_closed):
            return loaded
        answers = before.list_answers()
        models = {place: before.history.find_model(place) for place in answers}
        kept = replace(before.draft("", closed=True), predicted=answers, answered_by=models)
        return replace(loaded, drafts=before.drafts, closed=kept)

    def _on_failed(self, error: Exception) -> None:
        self._workplace.update(opening=False)
        self._workplace.tell(error)
        self.failed.emit()

    def _on_layer_inserted(self, event: Any) -> None:
        layer, study = event.value, self._workplace.study
        cine = layer.metadata.get(CINE_KEY) if isinstance(layer, Image) else None
        # napari's "duplicate layer" copies the metadata: such a layer shows the open study and is not another one.
        is_open = study is not None and (study.image is layer or study.loaded.cine is cine)
        if isinstance(cine, Cine) and not self._workplace.is_closed and not is_open:
            self.open_layer(layer)

    def _on_layer_removed(self, event: Any) -> None:
        study = self._workplace.study
        if study is not None and not self._workplace.is_closed and event.value in (study.image, study.mask):
            self._workplace.tell("A layer of the study was removed, so the study was closed. Open it again to go on.")
            self._workplace.close_study()
