"""A request to end (SIGTERM, as at shutdown) closes the window in good order, so that everything is kept.

Python runs signal handlers between its own instructions only, and Qt's loop has none while nothing happens: so the
signal's wake-up byte is sent through a socket that Qt watches. Knows no study.
"""

import signal
import socket
import sys

from qtpy.QtCore import QSocketNotifier
from qtpy.QtWidgets import QApplication


class Ending:
    """Quits the application on SIGTERM, unless somebody else handles it; keep the object as long as the program."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._notifier = QSocketNotifier(self._near.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(lambda *_: self._near.recv(64))
        if sys.platform != "win32" and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            for end in (self._near, self._far):
                end.setblocking(False)
            signal.set_wakeup_fd(self._far.fileno(), warn_on_full_buffer=False)
            signal.signal(signal.SIGTERM, lambda *_: QApplication.quit())
