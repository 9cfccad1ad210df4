"""Measuring the open study: the numbers follow the mask and the reader's decisions by themselves, off the GUI's thread.

Knows the workplace, none of the section's widgets: what changed is drawn from the next snapshot.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from qtpy.QtCore import QObject, QTimer

from glrp_napari.assessment import Measurements, measure_reading
from glrp_napari.cine import Cine, Mask
from glrp_napari.comparison import SettledPhases
from glrp_napari.decisions import Reading, list_outside
from glrp_napari.extent import Slices
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import mark_outside
from glrp_napari.library.phases import keep_phases
from glrp_napari.measure import Phases
from glrp_napari.motion import estimate_phases
from glrp_napari.segments import Insertions

PAUSE_MS = 300
"""The numbers follow an edit after this long, so that a stroke is not measured while it is drawn."""
Phase = Literal["ed", "es"]
Side = Literal["lv", "rv"]
Basis = tuple[int, Reading, tuple[float, ...] | None]
"""What numbers rest on: the mask's checksum, the reader's decisions, the frame times."""


@dataclass(frozen=True)
class Answer:
    """The numbers and what they rest on."""

    basis: Basis
    measurements: Measurements


class Measuring(QObject):
    """Keeps `OpenStudy.measured` up to date and takes the reader's decisions."""

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._basis: Basis | None = None
        self._marked = Reading()
        self._as_opened = Reading()
        self._kept: tuple[Path, SettledPhases] | None = None
        self._is_measuring = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._measure)
        workplace.changed.connect(self._on_changed)
        workplace.opened.connect(self._on_opened)
        workplace.closing.connect(self._on_closing)

    @property
    def is_pending(self) -> bool:
        """Whether the numbers may still change by themselves."""
        return self._timer.isActive() or self._is_measuring

    def go(self, study: OpenStudy, phase: Phase) -> None:
        """Show this phase of the slice on screen."""
        frame = getattr(study.phases, phase)
        if frame is None:
            self._workplace.tell(f"Where {phase.upper()} is, is not known yet: segment, or set it by hand.")
        else:
            study.go(frame, study.place[1])

    def set_phase(self, phase: Phase) -> None:
        """The frame on screen is this phase."""
        if (study := self._workplace.study) is not None:
            self.decide(phases=study.reading.phases._replace(**{phase: study.place[0]}))

    def set_slices(self, side: Side, phase: Phase, slices: Slices | None, continues: bool = False) -> None:
        """A ventricle has these slices, first and last, in this phase; None: no slice counts."""
        study = self._workplace.study
        if study is not None and (frame := getattr(study.phases, phase)) is not None:
            field = f"{side}_slices"
            self.decide(continues, **{field: getattr(study.reading, field) | {frame: slices}})

    def set_insertions(self, frame: int, insertions: Insertions) -> None:
        """The RV meets the LV there in this frame."""
        if (study := self._workplace.study) is not None:
            self.decide(insertions=study.reading.insertions | {frame: insertions})

    def decide(self, continues: bool = False, **decisions: Any) -> None:
        """Take decisions of the reader by `Reading`'s names; those that change nothing are no step of undo.

        One that `continues` the last is one step of undo with it.
        """
        if (study := self._workplace.study) is None:
            return
        reading = Reading(**(dict(study.reading) | decisions))
        if reading != study.reading:
            study.history.decide(reading, continues)
            self._timer.start(0)
            self._workplace.changed.emit()

    def _mark_labels(self, study: OpenStudy) -> None:
        """Have the library note which labels lie beyond base and apex as they are set now, if this window may write.

        Done when the numbers are there, not at each step: an end that is dragged passes many slices.
        """
        place, folder, reading = self._workplace, self._workplace.now.session.labels, study.reading
        frames = find_moved(self._marked, reading)
        masks = {frame: study.mask.data[frame].copy() for frame in frames}
        self._marked = reading

        def mark() -> int:
            outside = {frame: list_outside(labels, reading, frame) for frame, labels in masks.items()}
            return mark_outside(folder, study.loaded.hash, outside)

        if frames and not place.now.read_only:
            place.writers.run(mark, lambda changed: changed and place.list_session(), place.tell)

    def _keep_phases(self, study: OpenStudy) -> None:
        """Have the library follow the reader in where ED, ES, base and apex of a study with labels are.

        Not where he decided nothing since it was opened: the numbers alone may come of a mask that is not whole.
        """
        place, folder, phases = self._workplace, self._workplace.now.session.labels, study.settle_phases()
        if self._may_keep(study) and phases and (folder, phases) != self._kept:
            self._kept = folder, phases
            place.writers.run(lambda: keep_phases(folder, phases), lambda _none: None, place.tell)

    def _may_keep(self, study: OpenStudy) -> bool:
        now = self._workplace.now
        is_decided = study.reading != self._as_opened or self._kept is not None
        return is_decided and not now.read_only and any(label.study == study.loaded.hash for label in now.labels)

    def _on_closing(self) -> None:
        """What was decided last is not measured yet: the library still learns of it."""
        place, folder, study = self._workplace, self._workplace.now.session.labels, self._workplace.study
        if study is not None and self.is_pending and self._may_keep(study):
            cine, mask, reading = study.cine, study.mask.data, study.reading

            def keep() -> None:
                keep_phases(folder, study.settle_phases(measure_reading(cine, mask, reading)))

            place.writers.run(keep, lambda _none: None, place.tell)
        self._timer.stop()

    def _measure(self) -> None:
        study = self._workplace.study
        if study is None or self._workplace.now.job == "segment":
            return
        if self._is_measuring:
            self._timer.start(PAUSE_MS)
            return
        self._is_measuring = True
        cine, mask, reading, basis = study.cine, study.mask.data, study.reading, self._basis
        self._workplace.readers.run(
            lambda: measure_anew(cine, mask, reading, basis),
            lambda answer: self._on_measured(study, answer),
            self._fail,
        )

    def _on_changed(self) -> None:
        if self._workplace.study is not None and not self._timer.isActive():
            self._timer.start(PAUSE_MS)

    def _on_opened(self, study: OpenStudy) -> None:
        self._basis, self._marked = None, Reading()
        self._as_opened, self._kept = study.reading, None

        def show(phases: Phases) -> None:
            study.estimated = phases
            self._workplace.changed.emit()

        self._workplace.readers.run(lambda: estimate_phases(study.cine.images), show, self._workplace.tell)

    def _on_measured(self, study: OpenStudy, answer: Answer | None) -> None:
        self._is_measuring = False
        if answer is not None and study is self._workplace.study:
            self._basis = answer.basis
            study.measured = answer.measurements
            self._mark_labels(study)
            self._keep_phases(study)
            if study.reading != answer.basis[1]:  # as while an end is dragged
                self._timer.start(0)
            self._workplace.changed.emit()

    def _fail(self, error: BaseException) -> None:
        self._is_measuring = False
        self._workplace.tell(error)


def find_moved(before: Reading, after: Reading) -> set[int]:
    """The frames whose base or apex the reader set otherwise, or no longer."""
    sides = ((before.lv_slices, after.lv_slices), (before.rv_slices, after.rv_slices))
    return {frame for old, new in sides for frame, _ in old.items() ^ new.items()}


def measure_anew(cine: Cine, mask: Mask, reading: Reading, before: Basis | None) -> Answer | None:
    """The numbers of a mask (T, Z, Y, X) as it is now, or None where they would rest on the same as `before`."""
    frozen = np.ascontiguousarray(mask).copy()
    basis = (zlib.crc32(frozen.data), reading, cine.frame_ms)
    return None if basis == before else Answer(basis, measure_reading(cine, frozen, reading))
