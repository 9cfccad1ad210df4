"""One fine-tuning: the request, its events, and what becomes of the new model."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from qtpy.QtCore import QObject, Signal

from glrp_napari.gate import decide
from glrp_napari.gui.words import SILENT, describe_outcome
from glrp_napari.gui.workplace import Workplace
from glrp_napari.messages import (
    Failed,
    FinetuneDone,
    FinetuneRequest,
    Notice,
    Progress,
    Terminal,
    TrainingStep,
    Validated,
    encode,
)
from glrp_napari.models import Model, find_base
from glrp_napari.writing.atomic import write_atomically

NAME = "my-labels"


class Learning(QObject):
    """Fine-tunes the chosen model's base on the session's labels."""

    began = Signal()
    advanced = Signal(str, int, int, object)
    lost = Signal(float)
    validated = Signal(object)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        workplace.jobs.happened.connect(self._on_event)
        workplace.jobs.ended.connect(self._on_ended)
        workplace.jobs.fell_silent.connect(lambda: workplace.tell(SILENT))

    def start(self, resume: bool = False) -> None:
        """Fine-tune, or go on with what was interrupted."""
        place, base = self._workplace, self._find_base()
        if base is None or place.now.job or not (resume or place.now.labels):
            return
        place.jobs.run(self._make_request(base, resume))
        place.update(job="finetune", candidate="", replaced="", comparison=None, outcome="")
        self.began.emit()

    def discard(self) -> None:
        """Give an interrupted fine-tuning up."""
        place, folder = self._workplace, self._workplace.now.session.unfinished.parent
        place.writers.run(lambda: shutil.rmtree(folder), lambda _none: place.list_session(), place.tell)

    def leave_running(self) -> None:
        """The window closes: let the fine-tuning go on in a process of its own, from its checkpoint."""
        place, base = self._workplace, self._find_base()
        place.jobs.close()
        if base is None or not place.now.session.unfinished.exists():
            return
        request = self._make_request(base, resume=True, for_window=False)
        path = place.now.session.unfinished.with_name("request.json")
        write_atomically(path, encode(request))
        start_alone(path)

    def switch(self) -> None:
        """Use the new model although the gate refused it, or go back to the one before."""
        place = self._workplace
        if place.now.replaced:
            place.choose_model(place.now.replaced)
            place.update(replaced="", outcome=f"{place.now.model} is in use again. The new model stays in the list.")
        elif place.now.candidate:
            before = place.now.model
            place.choose_model(place.now.candidate)
            place.update(replaced=before, outcome=f"{place.now.candidate} is in use, because you chose so.")

    def _find_base(self) -> Model | None:
        """The model that the chosen one came from before any label of the user's: fine-tuning begins there."""
        chosen = self._workplace.find_model()
        return None if chosen is None else find_base(chosen, self._workplace.now.models)

    def _make_request(self, base: Model, resume: bool, for_window: bool = True) -> FinetuneRequest:
        place = self._workplace
        session = place.now.session
        return FinetuneRequest(
            library=session.labels,
            base=base.weights,
            models=session.models,
            name=NAME,
            study=place.study.loaded.file if place.study is not None and for_window else None,
            pictures=Path(mkdtemp(dir=place.scratch.claim())) if for_window else None,
            phases=self._find_phases(),
            resume=resume,
        )

    def _find_phases(self) -> dict[str, tuple[int, int]]:
        """ED and ES of the open study, where both are known."""
        study = self._workplace.study
        if study is None or (ed := study.phases.ed) is None or (es := study.phases.es) is None:
            return {}
        return {study.loaded.hash: (ed, es)}

    def _on_event(self, event: object) -> None:
        if self._workplace.now.job != "finetune":
            return
        if isinstance(event, TrainingStep):
            self.lost.emit(event.loss)
            self.advanced.emit(f"{event.stage}, loss {event.loss:.3f}", event.step, event.total, event.seconds_left)
        elif isinstance(event, Validated):
            self.validated.emit(event)
        elif isinstance(event, Progress):
            self.advanced.emit(event.stage, event.done, event.total, event.seconds_left)
        elif isinstance(event, Notice):
            self._workplace.tell(event.text)

    def _on_ended(self, terminal: Terminal) -> None:
        if self._workplace.now.job != "finetune":
            return
        self._workplace.update(job="")
        if isinstance(terminal, FinetuneDone):
            self._take(terminal)
        elif isinstance(terminal, Failed):
            self._workplace.tell(terminal.reason)
        self._workplace.list_session()

    def _take(self, done: FinetuneDone) -> None:
        """Use the new model where the gate lets it pass."""
        place, name, verdict = self._workplace, done.model.stem, decide(done.comparison)
        before = place.now.model if verdict.accepted else ""
        outcome = describe_outcome(name, verdict.accepted, verdict.sentence)
        place.update(candidate=name, replaced=before, comparison=done.comparison, outcome=outcome, new_labels=0)
        if verdict.accepted:
            place.choose_model(name)


def start_alone(request: Path) -> None:
    """A process that outlives the window and does what a file requests."""
    command = [sys.executable, "-m", "glrp_napari.worker", str(request)]
    nothing = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
