"""Saving what a study comes to, off the GUI's thread: DICOM SEG, the table, the report; with progress and cancel.

Knows the workplace and the engine's `export`, none of the widgets.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import numpy as np
from qtpy.QtCore import QObject, Signal

from glrp_napari.cine import Mask
from glrp_napari.export import Step, export_numbers, export_report, export_seg
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import find_protocol
from glrp_napari.report import Origin, StudyReport, report_study
from glrp_napari.slice_states import BY_PERSON
from glrp_napari.writing.folders import check_folder

Work = Callable[[OpenStudy, Mask, Origin], Iterator[Step]]
SEVERAL = "several"
"""Stands for a name where the frames come from different models or machines."""


class Saving(QObject):
    """Saves files of the workplace's study, one at a time."""

    began = Signal(str)
    advanced = Signal(str, int, int, object)
    ended = Signal()
    _stepped = Signal(object, float)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._stop = Event()
        self._what = ""
        self._stepped.connect(self._on_step)
        workplace.closing.connect(self.cancel)

    def save_seg(self, folder: Path) -> None:
        """Write every labelled frame as a DICOM SEG of its own into a folder."""
        self._start("DICOM SEG", folder, lambda study, mask, o: export_seg(folder, mask, study.loaded.cine, o))

    def save_table(self, path: Path) -> None:
        """Write the numbers as CSV, and as JSON beside it."""

        def work(study: OpenStudy, mask: Mask, origin: Origin) -> Iterator[Step]:
            yield Step(0, 1)
            export_numbers(path.with_suffix(""), _report(study, mask, origin))
            yield Step(1, 1)

        self._start("Table", path.parent, work)

    def save_report(self, path: Path, with_patient: bool) -> None:
        """Write the report's two pages; the patient's name and dates only if wanted."""

        def work(study: OpenStudy, mask: Mask, origin: Origin) -> Iterator[Step]:
            report = _report(study, mask, origin)
            yield from export_report(path, report, study.loaded.cine, mask, with_patient)

        self._start("Report", path.parent, work)

    def cancel(self) -> None:
        """Stop after the file that is being written; those written stay, each whole."""
        self._stop.set()

    def _start(self, what: str, folder: Path, work: Work) -> None:
        study = self._workplace.study
        if study is None or self._what:
            return
        self._what, self._stop = what, Event()
        self.began.emit(f"Saving {what}…")
        mask, origin, stop = study.mask.data.copy(), self._find_origin(study), self._stop
        labels = self._workplace.now.session.labels

        def run() -> str:
            check_folder(folder)
            began, saved = monotonic(), Step(0, 1)
            agreed = origin.model_copy(update={"protocol": find_protocol(labels)})
            for saved in work(study, mask, agreed):
                self._stepped.emit(saved, monotonic() - began)
                if stop.is_set():
                    break
            whole = saved.done == saved.total
            return f"{what} saved." if whole else f"Saving was cancelled: {saved.done} of {saved.total} written."

        self._workplace.writers.run(run, self._on_saved, self._on_failed)

    def _find_origin(self, study: OpenStudy) -> Origin:
        runs = [run for frame, run in sorted(study.runs.items()) if study.states[frame].any()]
        name = _name_one(run.model for run in runs)
        hashes = [m.card.weights_sha256 for m in self._workplace.now.models if m.card.name == name]
        return Origin(
            model=name,
            model_sha256="".join(hashes[:1]),
            device=_name_one(run.device for run in runs),
            crf=any(run.crf for run in runs),
            by_person=int(np.isin(study.states, BY_PERSON).sum()),
        )

    def _on_step(self, step: Step, seconds: float) -> None:
        left = seconds / step.done * (step.total - step.done) if step.done else None
        self.advanced.emit(f"Saving {self._what}", step.done, step.total, left)

    def _on_saved(self, sentence: str) -> None:
        self._end()
        self._workplace.tell(sentence)

    def _on_failed(self, error: Exception) -> None:
        self._end()
        self._workplace.tell(error)

    def _end(self) -> None:
        self._what = ""
        self.ended.emit()


def _report(study: OpenStudy, mask: Mask, origin: Origin) -> StudyReport:
    return report_study(study.loaded.cine, mask, origin, reading=study.reading)


def _name_one(names: Iterable[str]) -> str:
    """The one name that all share, or that there are several; nothing for none."""
    found = set(names)
    return SEVERAL if len(found) > 1 else "".join(found)
