"""One segmentation run: the request, its frames into the mask as one undo step."""

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.editing import OpenStudy, Run
from glrp_napari.gui.segment import Choice
from glrp_napari.gui.workplace import Workplace
from glrp_napari.messages import Failed, FrameSegmented, Notice, Progress, SegmentDone, SegmentRequest, Terminal

ALL_KEPT = "The run changed nothing: you edited or accepted every slice of it. Options can redo the slices you edited."


class Segmenting(QObject):
    """Runs segmentations of the workplace's study."""

    began = Signal()
    advanced = Signal(str, int, int, object)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._study: OpenStudy | None = None
        self._choice = Choice()
        self._run = Run("")
        self._taken = 0
        workplace.jobs.happened.connect(self._on_event)
        workplace.jobs.ended.connect(self._on_ended)

    def start(self, choice: Choice) -> None:
        """Segment the open study as chosen."""
        place, model = self._workplace, self._workplace.find_model()
        if place.study is None or model is None or place.now.job or place.now.opening:
            return
        self._study, self._choice, self._taken = place.study, choice, 0
        self._run = Run(model.card.name, choice.crf)
        frame = place.study.place[0]
        place.study.history.begin_run(self._run.model)
        place.jobs.run(
            SegmentRequest(
                study=place.study.loaded.file,
                model=model.weights,
                out=Path(mkdtemp(dir=place.scratch.claim())),
                frames=(frame,) if choice.scope == "frame" else choice.scope,
                first=frame,
                crf=choice.crf,
                device=choice.device,
            )
        )
        place.update(job="segment", model_changed=False)
        self.began.emit()

    def _on_event(self, event: object) -> None:
        if self._workplace.now.job != "segment":
            return
        if isinstance(event, FrameSegmented):
            self._take_frame(event)
        elif isinstance(event, Progress):
            self.advanced.emit(event.stage, event.done, event.total, event.seconds_left)
        elif isinstance(event, Notice):
            self._workplace.tell(event.text)

    def _take_frame(self, event: FrameSegmented) -> None:
        study = self._study
        if study is None or study is not self._workplace.study:
            return
        taken = study.apply_frame(event.frame, np.load(event.mask), self._choice.redo_edited)
        if taken:
            self._taken += taken
            study.segmented_by, study.runs[event.frame] = self._run.model, self._run
        uncertainty = np.load(event.uncertainty)
        study.keep_view(event.frame, uncertainty, np.load(event.embedding))
        if self._choice.uncertainty:
            study.show_uncertainty(event.frame, uncertainty)
        for path in (event.mask, event.uncertainty, event.embedding):
            path.unlink(missing_ok=True)
        self._workplace.changed.emit()

    def _on_ended(self, terminal: Terminal) -> None:
        if self._workplace.now.job != "segment":
            return
        study, self._study = self._study, None
        if study is not None:
            study.history.end_run()
        if isinstance(terminal, Failed):
            self._workplace.tell(terminal.reason)
        self._workplace.update(job="")
        if isinstance(terminal, SegmentDone) and study is not None:
            ran = replace(self._run, device=terminal.device)
            study.runs |= {t: ran for t in terminal.frames if study.runs.get(t) is self._run}
            self._show_some(study, terminal)
            if terminal.frames and not self._taken:
                self._workplace.tell(ALL_KEPT)

    def _show_some(self, study: OpenStudy, done: SegmentDone) -> None:
        """Turn to end diastole when nothing of the run is on screen, or it would seem to have done nothing."""
        frame, level = study.place
        if study is self._workplace.study and done.frames and frame not in done.frames:
            study.go(done.frames[0] if done.ed is None else done.ed, level)
