"""The right to write to the session's label library: claimed when it is opened, let go when the window closes.

While another window has it, this one only reads and says who holds it.
"""

from pathlib import Path

from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.background import Background
from glrp_napari.library import Claim, LibraryHeld, claim_library


class Keeping(QObject):
    """Holds at most one library, claimed and let go on the one thread that writes.

    `changed` says why it may not be written to ("" where it may), and whether the one who holds it seems to have
    ended, so that the user may take it over.
    """

    changed = Signal(str, bool)

    def __init__(self, writers: Background, parent: QObject) -> None:
        super().__init__(parent)
        self._writers = writers
        self._folder, self._asked = Path(), 0
        self._claim: Claim | None = None

    def claim(self, folder: Path, take_over: bool = False) -> None:
        """Claim a library instead of the one held until now."""
        self._folder, self._asked = folder, self._asked + 1
        asked = self._asked

        def swap() -> None:
            self.close()
            self._claim = claim_library(folder, take_over)

        def answer(why: str, has_ended: bool) -> None:
            if asked == self._asked:  # else another library was asked for meanwhile
                self.changed.emit(why, has_ended)

        def refuse(error: Exception) -> None:
            held = isinstance(error, LibraryHeld)
            why = str(error) if held else f"The label library {folder} cannot be written to: {error}"
            answer(why, held and error.is_stale)

        self._writers.run(swap, lambda _none: answer("", False), refuse)

    def holds(self, folder: Path) -> bool:
        """Whether this library may be written to; to be asked on the thread that writes, where no claim waits."""
        return self._claim is not None and self._claim.folder == folder

    def take_over(self) -> None:
        """Claim the library from one who has ended."""
        self.claim(self._folder, take_over=True)

    def close(self) -> None:
        """Let the library go; nothing must be writing any more."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()
