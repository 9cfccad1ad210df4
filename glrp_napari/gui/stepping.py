"""Work that a generator does a step at a time, off the GUI's thread: how far it is, the time left, and Cancel.

The generator yields (done, total) and returns its result; to cancel is to cease to iterate.
"""

import time
from collections.abc import Callable, Generator
from typing import Any

from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.background import Background

Steps = Generator[tuple[int, int], None, Any]


class Stepping(QObject):
    """Runs one generator at a time in `background`, a step a turn, so that other work there gets its turn too."""

    began = Signal(str)
    advanced = Signal(str, int, int, object)
    ended = Signal()

    def __init__(self, background: Background, parent: QObject) -> None:
        super().__init__(parent)
        self._background = background
        self._steps: Steps | None = None
        self._stage = ""
        self._started = 0.0

    @property
    def is_running(self) -> bool:
        """Whether a generator is under way."""
        return self._steps is not None

    def run(
        self, stage: str, steps: Steps, done: Callable[[Any], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Iterate; `done(result)` or `failed(error)` comes at the end, neither after `cancel`."""
        self._steps, self._stage, self._started = steps, stage, time.monotonic()
        self.began.emit(f"{stage}…")
        self._step(steps, done, failed)

    def cancel(self) -> None:
        """Stop after the step under way."""
        steps, self._steps = self._steps, None
        if steps is not None:
            self._background.run(steps.close, lambda _none: self.ended.emit(), lambda _error: self.ended.emit())

    def _step(self, steps: Steps, done: Callable[[Any], None], failed: Callable[[BaseException], None]) -> None:
        def advance(answer: tuple[bool, Any]) -> None:
            if self._steps is not steps:  # cancelled
                return
            is_result, value = answer
            if is_result:
                self._end()
                done(value)
            else:
                count, total = value
                left = (time.monotonic() - self._started) / max(count, 1) * (total - count)
                self.advanced.emit(f"{self._stage}: {count} of {total}", count, total, left)
                self._step(steps, done, failed)

        def give_up(error: BaseException) -> None:
            if self._steps is steps:
                self._end()
                failed(error)

        self._background.run(lambda: take_step(steps), advance, give_up)

    def _end(self) -> None:
        self._steps = None
        self.ended.emit()


def take_step(steps: Steps) -> tuple[bool, Any]:
    """The generator's next step, or (True, its result)."""
    try:
        return False, next(steps)
    except StopIteration as end:
        return True, end.value
