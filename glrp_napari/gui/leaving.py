"""Closing the window while a fine-tuning runs: asked is whether to stop it, let it go on, or not to close."""

from typing import Literal

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from glrp_napari.gui.learning import Learning
from glrp_napari.gui.workplace import Workplace

Answer = Literal["stop", "go on", "stay"]
QUESTION = "A fine-tuning is running."
DETAIL = (
    "Stopped, it can be resumed the next time. Left running, it works on in the background and its model is in the "
    "list the next time."
)


class Leaving(QObject):
    """Watches the window for its closing."""

    def __init__(self, workplace: Workplace, learning: Learning, window: QWidget) -> None:
        super().__init__(workplace)
        self._workplace, self._learning, self._window = workplace, learning, window
        window.installEventFilter(self)

    def eventFilter(self, watched: object, event: object) -> bool:
        """Qt: an event of the window; true keeps it from the window."""
        closing = isinstance(event, QEvent) and event.type() == QEvent.Type.Close and not self._workplace.is_closed
        if closing and self._workplace.now.job == "finetune":
            answer = ask(self._window)
            if answer == "stay":
                event.ignore()
                return True
            if answer == "go on":
                self._learning.leave_running()
        return False


def ask(window: QWidget) -> Answer:
    """The question."""
    box = QMessageBox(QMessageBox.Icon.Question, "Close the window?", QUESTION, parent=window)
    box.setInformativeText(DETAIL)
    stop = box.addButton("Stop it", QMessageBox.ButtonRole.DestructiveRole)
    go_on = box.addButton("Leave it running", QMessageBox.ButtonRole.AcceptRole)
    stay = box.addButton("Don't close", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.exec()
    answers: dict[object, Answer] = {stop: "stop", go_on: "go on"}
    return next((answer for button, answer in answers.items() if box.clickedButton() is button), "stay")
