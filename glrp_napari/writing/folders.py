"""Whether a folder can be written to, asked before any work starts, and never waited for without end.

It must not know what is going to be written.
"""

import secrets
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from pathlib import Path
from threading import Thread

ANSWER_S = 10.0
"""A network drive that is gone can keep a program waiting for ever."""


def check_folder(folder: Path, answer_s: float = ANSWER_S) -> None:
    """Make the folder if it is not there, and write and remove a file in it.

    Raises `OSError` with a sentence where that cannot be, or where there is no answer within `answer_s` seconds.
    """
    answer: Future[None] = Future()
    Thread(target=_try_out, args=(folder, answer), daemon=True).start()
    try:
        answer.result(answer_s)
    except NoAnswer:
        raise OSError(f"{folder}: no answer in {answer_s:.0f} s, expected a folder; is its drive connected?") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OSError(f"{folder}: nothing can be written there ({reason}), expected a folder to write in") from None


def _try_out(folder: Path, answer: Future[None]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".glrp-{secrets.token_hex(8)}.tmp"
        probe.write_bytes(b"")
        probe.unlink()
        answer.set_result(None)
    except OSError as error:
        answer.set_exception(error)
