"""Running a function off the GUI's thread and getting its result, or its error, back on it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

Done = Callable[[Any], None]
Failed = Callable[[BaseException], None]


class Background(QObject):
    """Threads for reading and writing files; with one, in order. Callbacks come on the GUI's thread, until `close`.

    Python's threads and one queued signal: Qt's QRunnable is freed by two owners and brings PySide6 down now and then.
    """

    _ended = Signal(object)

    def __init__(self, parent: QObject | None = None, threads: int = 2) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="glrp")
        self._waiting: dict[Future[Any], tuple[Done, Failed]] = {}
        self._closed = False
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    @property
    def is_busy(self) -> bool:
        """Whether a function runs, waits, or has its callback still to come."""
        return bool(self._waiting)

    def run(self, function: Callable[[], Any], done: Done, failed: Failed) -> None:
        """Call `function` in a thread, then `done(result)` or `failed(error)` here; after `close` nothing is begun."""
        if self._closed:
            return
        future = self._pool.submit(function)
        self._waiting[future] = (done, failed)
        future.add_done_callback(self._ended.emit)

    def close(self) -> None:
        """Let what was asked for finish (a file being saved), and call nobody back."""
        self._closed = True
        self._waiting.clear()
        self._ended.disconnect(self._on_ended)
        self._pool.shutdown(wait=True)

    def _on_ended(self, future: Future[Any]) -> None:
        if (waiting := self._waiting.pop(future, None)) is None:
            return
        done, failed = waiting
        if (error := future.exception()) is None:
            done(future.result())
        else:
            failed(error)
