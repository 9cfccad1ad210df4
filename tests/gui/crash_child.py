"""The window of the tests that kill it: it opens a study, paints, says when its draft is on disk, and waits."""

import sys
from pathlib import Path

from glrp_napari.gui.ending import Ending
from glrp_napari.gui.launch import wait_until
from glrp_napari.reading import read_cine
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from tests.gui.conftest import make_window


def main(study: Path, session: Path) -> None:
    window = make_window(session)
    window.open(read_cine(study))
    window.press(Qt.Key.Key_G)
    window.drag((20, 8), (20, 14))
    wait_until(lambda: any((session / "drafts").glob("*.json")), 60)
    ending = Ending()
    print("saved", flush=True)
    QApplication.exec()
    if ending.asked:  # as `python -m glrp_napari.gui` does
        window.viewer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
