"""A request to end (SIGTERM, as at shutdown) closes the window in good order, so that everything is kept.

Python runs signal handlers between its own instructions only, and Qt's loop has none while nothing happens: so the
signal's wake-up byte is sent through a socket that Qt watches. Knows no study.
"""

import signal
import socket
import sys

from qtpy.QtCore import QSocketNotifier, QTimer
from qtpy.QtWidgets import QApplication


class Ending:
    """Ends Qt's loop on SIGTERM, unless somebody else handles it; keep the object as long as the program.

    `asked` says that the loop ended so. The windows are still there then, and are the caller's to close: left to
    Python's end they may bring the process down.
    """

    def __init__(self) -> None:
        self.asked = False
        self._near, self._far = socket.socketpair()
        self._notifier = QSocketNotifier(self._near.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(lambda *_: self._near.recv(64))
        if sys.platform != "win32" and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            for end in (self._near, self._far):
                end.setblocking(False)
            signal.set_wakeup_fd(self._far.fileno(), warn_on_full_buffer=False)
            signal.signal(signal.SIGTERM, lambda *_: self._end())

    def _end(self) -> None:
        """Leave Qt's loop without a question to anybody; queued, as a loop yet to begin would not hear of it."""
        self.asked = True
        QTimer.singleShot(0, lambda: QApplication.exit(0))
