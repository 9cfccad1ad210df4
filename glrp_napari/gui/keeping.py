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
        self._folder = Path()
        self._claim: Claim | None = None

    def claim(self, folder: Path, take_over: bool = False) -> None:
        """Claim a library instead of the one held until now."""
        self._folder = folder

        def swap() -> None:
            self.close()
            self._claim = claim_library(folder, take_over)

        self._writers.run(swap, lambda _none: self.changed.emit("", False), self._on_refused)

    def take_over(self) -> None:
        """Claim the library from one who has ended."""
        self.claim(self._folder, take_over=True)

    def close(self) -> None:
        """Let the library go; nothing must be writing any more."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()

    def _on_refused(self, error: Exception) -> None:
        held = isinstance(error, LibraryHeld)
        reason = str(error) if held else f"The label library {self._folder} cannot be written to: {error}"
        self.changed.emit(reason, held and error.is_stale)
