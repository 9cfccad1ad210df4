"""Whose drafts are whose: windows that have the same study open keep theirs apart, and no work of either is lost.

Each opening of a study writes its work to two slots of its own in turn, and holds a lock meanwhile. What has no lock
any more was left by a crash, and is offered until somebody answers; what another window holds is nobody else's. What a
study was when it was closed goes to two slots that all openings share, to be taken up without asking, and ends the
opening's own. Who closes a study that another window has closed meanwhile leaves a draft to be offered.

Knows no window.
"""

import secrets
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from glrp_napari.autosave import Draft, Record, Slots, digest_work, find_newest
from glrp_napari.cine import Cine
from glrp_napari.held import is_held

OWN, CLOSED = "ab", "cd"
"""How the slots of an opening end, after its name, and the slots of closed studies."""
CLOSING, CLOSING_S = ".closing.lock", 20.0
"""Held while a closing is written; who waits longer than that leaves a draft instead."""


class StudyDrafts:
    """One opening's drafts of a study, by the cine's hash, in a folder; to be used by one thread at a time.

    Nothing is made there before the first is saved.
    """

    def __init__(self, folder: Path, study: str) -> None:
        self.folder = folder
        self._study, self._slots = study, Slots(folder, study)
        self._seen, self._closed_as = 0, ""  # the newest closing that this opening knows, and what was in it
        self._begin()

    def load_closed(self, cine: Cine) -> Draft | None:
        """The study as it was closed last, or None. A damaged one is passed over for the one before."""
        records = self._read_closed()
        self._seen = find_newest(records)
        draft = self._slots.load_newest(records, cine)
        self._closed_as = "" if draft is None else digest_work(draft)
        return draft

    def load_offered(self, cine: Cine) -> Draft | None:
        """The newest intact draft of an opening that ended before the study was closed, or None."""
        records = {slot: record for slot, record in self._slots.read().items() if slot not in CLOSED}
        left = {slot: r for slot, r in records.items() if not is_held(self._lock_path(_name_opening(slot)))}
        return self._slots.load_newest(left, cine)

    def save(self, cine: Cine, draft: Draft) -> None:
        """Write a draft over the older of this opening's two; a closed one ends them. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if draft.closed and self._close(cine, draft):
            self._slots.remove(self._own)
            return
        if not self._lock.is_locked:
            self._lock.acquire(blocking=False)
        self._slots.write(self._own, cine, replace(draft, closed=False))

    def discard(self, offered: Draft) -> None:
        """Remove a draft that was offered, and the one it came after."""
        name = _name_opening(offered.slot)
        self._slots.remove({offered.slot, *(name + end for end in OWN)})
        self._lock_path(name).unlink(missing_ok=True)

    def release(self) -> None:
        """End the opening: a draft of it that is left is to be offered. What is saved after that is another's."""
        if self._lock.is_locked:
            self._lock.release()
            if self._slots.read().keys().isdisjoint(self._own):
                Path(self._lock.lock_file).unlink(missing_ok=True)
        self._begin()

    def _begin(self) -> None:
        name = secrets.token_hex(4)
        self._own = tuple(name + end for end in OWN)
        self._lock = FileLock(self._lock_path(name), thread_local=False)

    def _lock_path(self, name: str) -> Path:
        return self.folder / f"{self._study[:12]}-{name}.lock"

    def _read_closed(self) -> dict[str, Record]:
        return {slot: record for slot, record in self._slots.read().items() if slot in CLOSED}

    def _close(self, cine: Cine, draft: Draft) -> bool:
        """Write a closing; False where another window's came since the one that this opening knows, or comes now."""
        try:
            with FileLock(self.folder / CLOSING, thread_local=False).acquire(timeout=CLOSING_S):
                return self._close_in_turn(cine, draft)
        except (Timeout, PermissionError):
            return False

    def _close_in_turn(self, cine: Cine, draft: Draft) -> bool:
        records = self._read_closed()
        newest, digest = find_newest(records), digest_work(draft)
        if newest > self._seen:
            return digest == self._closed_as
        if newest < self._seen or digest != self._closed_as:
            self._seen, self._closed_as = self._slots.write(CLOSED, cine, draft), digest
            return True
        for slot, record in records.items():  # nothing is new but where the reader was
            if record.counter == newest:
                self._slots.write_record(slot, record.model_copy(update={"view": draft.view}))
        return True


def _name_opening(slot: str) -> str:
    """The opening whose slot it is; earlier versions had one for all, and slots by themselves beside it."""
    return slot[:-1] if slot[-1] in OWN else slot
