"""A job in a child process, as the window sees it: a request goes in, events come out, one terminal event ends it.

The process may die, hang or write nonsense; the terminal event comes all the same and exactly once. Knows nothing of
what jobs do and draws nothing.
"""

import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from qtpy.QtCore import QObject, QProcess, QTimer, Signal

from glrp_napari.messages import (
    MAX_LINE_BYTES,
    Cancel,
    Cancelled,
    Failed,
    FinetuneRequest,
    Ready,
    SegmentRequest,
    Terminal,
    decode_event,
    encode,
)

CANCEL_MS = 1800
"""After this long without an answer a cancelled job is killed."""

QUIET_MS = 60_000
"""A job that says nothing for so long may hang; the window then offers to end it."""

LINGER_MS = 5000
"""A process that has said its last word has this long to leave by itself."""

LEAVE_MS = 3000
"""When the window closes, a running job has this long to leave a checkpoint."""

NICENESS = 10

WORKER = (sys.executable, "-m", "glrp_napari.worker")


class Job(QObject):
    """One child process and its one request. `start`, then `send`; `happened` carries events, `ended` the last one."""

    happened = Signal(object)
    ended = Signal(object)
    fell_silent = Signal()

    def __init__(self, command: Sequence[str] = WORKER, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = tuple(command)
        self._quiet = QTimer(self)
        self._quiet.setInterval(QUIET_MS)
        self._quiet.timeout.connect(self.fell_silent)
        self._buffer = bytearray()
        self._skipping = False
        self._cancelling = False
        self._terminal: Terminal | None = None
        self.is_ready = False
        self.log: deque[str] = deque(maxlen=200)
        self._process = self._make_process()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and the job has not ended."""
        return self._terminal is None and self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def pid(self) -> int:
        """The process's id, 0 when there is none."""
        return int(self._process.processId() or 0)

    def start(self) -> None:
        """Start the process. It loads what it needs and waits, holding no GPU memory, for the request."""
        self._process.start(self._command[0], list(self._command[1:]))

    def send(self, request: SegmentRequest | FinetuneRequest) -> None:
        """Give the job its request."""
        self._quiet.start()
        self._process.write(encode(request))

    def cancel(self) -> None:
        """Ask the job to stop; kill it if it does not within `CANCEL_MS`."""
        if self._terminal is None and not self._cancelling:
            self._cancelling = True
            self._process.write(encode(Cancel()))
            QTimer.singleShot(CANCEL_MS, self, self._on_patience_ended)

    def stop(self, patience_ms: int = 0) -> None:
        """End the process, without an event: the window closes. It has `patience_ms` to leave a checkpoint."""
        self._terminal = self._terminal or Cancelled()
        self._quiet.stop()
        if patience_ms and self._process.state() != QProcess.ProcessState.NotRunning:
            self._process.closeWriteChannel()
            self._process.waitForFinished(patience_ms)
        self._kill()
        self._process.waitForFinished(3000)

    def _make_process(self) -> QProcess:
        process = QProcess(self)
        process.readyReadStandardOutput.connect(self._on_output)
        process.readyReadStandardError.connect(self._on_stderr)
        process.started.connect(self._on_started)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        if hasattr(process, "setUnixProcessParameters"):  # its own process group, so that all of it can be killed
            process.setUnixProcessParameters(QProcess.UnixProcessFlag.CreateNewSession)
        return process

    def _on_started(self) -> None:
        """Let the window go before the job wherever they want the same core."""
        if hasattr(os, "setpriority"):
            niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
            with suppress(ProcessLookupError):  # it has ended already
                os.setpriority(
                    os.PRIO_PGRP if os.getpgid(self.pid) == self.pid else os.PRIO_PROCESS, self.pid, niceness
                )

    def _on_output(self) -> None:
        self._buffer += bytes(self._process.readAllStandardOutput().data())
        *lines, rest = self._buffer.split(b"\n")
        for line in lines:
            self._read_line(bytes(line))
        self._buffer = bytearray(rest)
        if len(self._buffer) > MAX_LINE_BYTES:
            self._buffer.clear()
            self._skipping = True

    def _read_line(self, line: bytes) -> None:
        if self._skipping:
            self._skipping = False
            self.log.append("[a line that was too long was refused]")
            return
        try:
            event = decode_event(line)
        except ValueError:
            self.log.append(line[:200].decode(errors="replace"))
            return
        if isinstance(event, Terminal):
            self._end(event)
        elif isinstance(event, Ready):
            self.is_ready = True
        elif self._terminal is None:
            self._quiet.start()
            self.happened.emit(event)

    def _on_stderr(self) -> None:
        text = bytes(self._process.readAllStandardError().data()).decode(errors="replace")
        self.log.extend(line[:500] for line in text.splitlines())

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._on_output()
        self._on_stderr()
        if self._terminal is None:
            crashed = status == QProcess.ExitStatus.CrashExit
            self._end(self._explain(f"stopped unexpectedly ({'signal' if crashed else 'exit code'} {code})"))

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._terminal is None:
            self._end(self._explain(f"could not be started: {self._process.errorString()}"))

    def _on_patience_ended(self) -> None:
        if self._terminal is None:
            self._end(Cancelled())
            self._kill()

    def _explain(self, what: str) -> Terminal:
        if self._cancelling:
            return Cancelled()
        return Failed(reason=f"The computation {what}. Your work is safe.", detail="\n".join(list(self.log)[-20:]))

    def _end(self, terminal: Terminal) -> None:
        if self._terminal is None:
            self._terminal = terminal
            self._quiet.stop()
            self._process.closeWriteChannel()
            QTimer.singleShot(LINGER_MS, self, self._kill)
            self.ended.emit(terminal)

    def _kill(self) -> None:
        if self._process.state() == QProcess.ProcessState.NotRunning:
            return
        pid = self.pid
        if pid and hasattr(os, "killpg") and os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            self._process.kill()


class Jobs(QObject):
    """Starts jobs, at most one at a time, and keeps one idle process ready, so that a click need not wait for it."""

    happened = Signal(object)
    ended = Signal(object)
    fell_silent = Signal()

    def __init__(self, command: Sequence[str] = WORKER, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = tuple(command)
        self._idle: Job | None = None
        self.running: Job | None = None
        self._leaving: list[Job] = []

    def prepare(self) -> None:
        """Have an idle process ready."""
        if self._idle is None or not self._idle.is_alive:
            self._idle = Job(self._command, self)
            self._idle.start()

    @property
    def is_prepared(self) -> bool:
        """Whether an idle process has loaded all and waits."""
        return self._idle is not None and self._idle.is_ready

    def run(self, request: SegmentRequest | FinetuneRequest) -> None:
        """Start a job. Raises RuntimeError while another runs."""
        if self.running is not None:
            raise RuntimeError("a job is running already")
        self.prepare()
        self.running, self._idle = self._idle, None
        self.running.happened.connect(self.happened)
        self.running.ended.connect(self._on_ended)
        self.running.fell_silent.connect(self.fell_silent)
        self.running.send(request)

    def cancel(self) -> None:
        """Cancel the running job, if any."""
        if self.running is not None:
            self.running.cancel()

    def close(self) -> None:
        """End all processes; a running one may leave a checkpoint first."""
        for job in (self.running, self._idle, *self._leaving):
            if job is not None:
                job.stop(LEAVE_MS if job is self.running else 0)
        self.running = self._idle = None

    def _on_ended(self, terminal: Terminal) -> None:
        self._leaving = [job for job in self._leaving if job.pid] + [self.running]
        self.running = None
        self.prepare()
        self.ended.emit(terminal)
