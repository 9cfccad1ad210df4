"""One fine-tuning: the request, its events, and the new model that waits to be taken into use."""

from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.words import describe_validation
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
    describe_comparison,
    is_worse,
)

NAME = "my-labels"


class Learning(QObject):
    """Fine-tunes the chosen model on the session's labels."""

    began = Signal()
    advanced = Signal(str, int, int, object)
    lost = Signal(float)
    validated = Signal(str)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        workplace.jobs.happened.connect(self._on_event)
        workplace.jobs.ended.connect(self._on_ended)

    def start(self) -> None:
        """Fine-tune."""
        place, base = self._workplace, self._workplace.find_model()
        if base is None or place.now.job or not place.now.labels:
            return
        session = place.now.session
        place.jobs.run(FinetuneRequest(library=session.labels, base=base.weights, models=session.models, name=NAME))
        place.update(job="finetune", candidate="", outcome="")
        self.began.emit()

    def use_candidate(self) -> None:
        """Segment with the new model from now on."""
        name = self._workplace.now.candidate
        if name:
            self._workplace.update(candidate="", outcome=f"In use: {name}. The model before stays in the list.")
            self._workplace.choose_model(name)

    def _on_event(self, event: object) -> None:
        if self._workplace.now.job != "finetune":
            return
        if isinstance(event, TrainingStep):
            self.lost.emit(event.loss)
            self.advanced.emit(f"Loss {event.loss:.3f}", event.step, event.total, event.seconds_left)
        elif isinstance(event, Validated):
            self.validated.emit(describe_validation(event.dice, event.step))
        elif isinstance(event, Progress):
            self.advanced.emit(event.stage, event.done, event.total, event.seconds_left)
        elif isinstance(event, Notice):
            self._workplace.tell(event.text)

    def _on_ended(self, terminal: Terminal) -> None:
        if self._workplace.now.job != "finetune":
            return
        self._workplace.update(job="")
        if isinstance(terminal, FinetuneDone):
            sentence = f"New model {terminal.model.stem}. {describe_comparison(terminal.comparison)}"
            worse = is_worse(terminal.comparison)
            if worse:
                sentence += " The model in use did better: keep it, or correct more slices."
            self._workplace.update(
                candidate=terminal.model.stem, candidate_is_worse=worse, outcome=sentence, new_labels=0
            )
            self._workplace.list_session()
        elif isinstance(terminal, Failed):
            self._workplace.tell(terminal.reason)
