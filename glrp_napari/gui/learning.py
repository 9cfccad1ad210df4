"""One fine-tuning: the request, its events, and what becomes of the new model."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from qtpy.QtCore import QObject, QTimer, Signal

from glrp_napari.decisions import list_uncounted
from glrp_napari.gate import decide
from glrp_napari.gui.detached import Outcome, discard_unfinished, is_at_work, is_due, store_request, take_outcome
from glrp_napari.gui.words import SILENT, describe_outcome
from glrp_napari.gui.workplace import Workplace
from glrp_napari.messages import (
    Failed,
    FinetuneDone,
    FinetuneRequest,
    Notice,
    Progress,
    StudyFile,
    Terminal,
    TrainingStep,
    Validated,
)
from glrp_napari.models import Model, find_base
from glrp_napari.session import UNFINISHED, UNFINISHED_JOB

NAME = "my-labels"
LEFT_RUNNING = "The fine-tuning that was left running"
PROBE_MS = 3000
"""How often one looks whether a fine-tuning in the background is done."""


class Learning(QObject):
    """Fine-tunes the chosen model's base on the session's labels; what comes of it is compared with the chosen one."""

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
        self._request: FinetuneRequest | None = None
        self._stamp: int | None = None
        self._probed: tuple[Path, bool] | None = None
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(PROBE_MS)
        self._again.timeout.connect(self._probe)
        workplace.changed.connect(self._on_changed)

    def start(self, resume: bool = False) -> None:
        """Fine-tune, or go on with what was interrupted."""
        place, base = self._workplace, self._find_base()
        if base is None or place.now.job or not (resume or place.now.learnable):
            return
        self._request = self._make_request(base, resume)
        self._stamp = read_stamp(self._request.models)
        place.jobs.run(self._request)
        place.update(job="finetune", candidate="", replaced="", comparison=None, outcome="")
        self.began.emit()

    def discard(self) -> None:
        """Give an interrupted fine-tuning up."""
        place, models = self._workplace, self._workplace.now.session.models
        place.writers.run(lambda: discard_unfinished(models), lambda _none: place.list_session(), place.tell)

    def leave_running(self) -> None:
        """The window closes: let the fine-tuning go on in a process of its own, from its checkpoint.

        Where it had yet to write the first, it begins anew with the same request.
        """
        self._workplace.jobs.close()
        if (request := self._request) is None:
            return
        wrote = request.resume or read_stamp(request.models) not in (None, self._stamp)
        changed = {"pictures": None, "may_write": False}  # the window lets the library go
        if wrote:
            changed |= {"resume": True, "study": None}
        start_detached(store_request(request.model_copy(update=changed)))

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

    def _probe(self) -> None:
        """Look whether a process without a window fine-tunes here."""
        place, models = self._workplace, self._workplace.now.session.models
        if not place.now.job:
            place.writers.run(lambda: (is_at_work(models), is_due(models)), self._on_probed, place.tell)

    def _make_request(self, base: Model, resume: bool) -> FinetuneRequest:
        place, chosen = self._workplace, self._workplace.find_model()
        session = place.now.session
        return FinetuneRequest(
            library=session.labels,
            base=base.weights,
            models=session.models,
            name=NAME,
            in_use=None if chosen in (None, base) else chosen.weights,
            may_write=not place.now.read_only,
            study=self._describe_study(),
            pictures=Path(mkdtemp(dir=place.scratch.claim())),
            phases=place.study.settle_phases() if place.study is not None else {},
            resume=resume,
        )

    def _describe_study(self) -> StudyFile | None:
        """The open study, and which of its slices count nothing."""
        study = self._workplace.study
        if study is None:
            return None
        return study.loaded.file.model_copy(update={"outside": list_uncounted(study.mask.data, study.reading)})

    def _on_changed(self) -> None:
        now = self._workplace.now
        key = (now.session.models, now.unfinished)
        if not now.job and key != self._probed:
            self._probed = key
            self._probe()

    def _on_probed(self, found: tuple[bool, bool]) -> None:
        place, before, models = self._workplace, self._workplace.now.background, self._workplace.now.session.models
        at_work, is_due = found
        if at_work != before:
            place.update(background=at_work)
        if at_work or is_due or before:  # one that fails leaves word a moment after its work is over
            self._again.start()
        if before and not at_work:
            place.list_session()  # its model is there now
        # Not in the same go: by then a session just opened is listed, and known is the model that this may replace.
        place.writers.run(lambda: take_outcome(models), partial(self._on_outcome, models), place.tell)

    def _on_outcome(self, models: Path, outcome: Outcome | None) -> None:
        """A fine-tuning without a window ended: as if this window had waited for it."""
        if outcome is None or models != self._workplace.now.session.models:
            return
        if isinstance(outcome, Failed):
            outcome = outcome.model_copy(update={"reason": f"{LEFT_RUNNING} failed: {outcome.reason}"})
        self._finish(outcome)

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
        self._request = None
        self._probed = None  # meanwhile one in the background may have ended
        self._workplace.update(job="")
        self._finish(terminal)

    def _finish(self, terminal: Terminal) -> None:
        if isinstance(terminal, FinetuneDone):
            self._take(terminal)
        elif isinstance(terminal, Failed):
            self._workplace.tell(terminal.reason)
        self._workplace.list_session()

    def _take(self, done: FinetuneDone) -> None:
        """Use the new model where the gate lets it pass, in place of the very model that it was compared with."""
        place, name, verdict = self._workplace, done.model.stem, decide(done.comparison)
        compared, now = done.comparison.in_use, place.now.model
        taken = verdict.accepted and compared in ("", now)
        sentence = verdict.sentence
        if verdict.accepted and not taken:
            sentence += f" It was compared with {compared}, and {now} is in use."
        place.update(
            candidate=name,
            replaced=now if taken else "",
            comparison=done.comparison,
            outcome=describe_outcome(name, taken, sentence),
            new_labels=0,
        )
        if taken:
            place.choose_model(name)


def read_stamp(models: Path) -> int | None:
    """What tells an unfinished fine-tuning in a folder of models from the one before it; None: there is none."""
    try:
        return (models / UNFINISHED / UNFINISHED_JOB).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def start_detached(request: Path) -> None:
    """A process that outlives the window and does what a file requests."""
    command = [sys.executable, "-m", "glrp_napari.worker", str(request)]
    nothing = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
