"""Opening napari with the dock and a study in it, and a picture of the whole window; for the demo and the docs."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from napari import Viewer
from qtpy.QtWidgets import QApplication

from glrp_napari.gui.dock import CardiacDock
from glrp_napari.session import Session
from glrp_napari.slice_states import SliceState

TITLE = "GLRP cardiac"


def open_window(
    path: Path | None = None, mask: Path | None = None, session: Session | None = None, show: bool = True
) -> tuple[Viewer, CardiacDock]:
    """A napari window with the dock; with `path` its study opened, with `mask` a model's mask of it. Waits for both."""
    viewer = Viewer(title=TITLE, show=show)
    dock = CardiacDock(viewer, session)
    viewer.window.add_dock_widget(dock, name=TITLE, area="right")
    viewer.window._qt_window.resize(1500, 980)
    if path is not None:
        dock.opening.open_path(path)
        wait_until(lambda: not dock.workplace.now.opening)
    if mask is not None:
        dock.files.masks.take(mask, None, SliceState.PREDICTED)
        wait_until(lambda: not dock.workplace.readers.is_busy)
    return viewer, dock


def save_screenshot(viewer: Viewer, path: Path, settle_s: float = 1.0) -> Path:
    """A PNG of the whole window as it stands once it has settled."""
    wait_until(lambda: False, settle_s)
    viewer.window.screenshot(str(path), canvas_only=False, flash=False)
    return path


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Let the window work until `true()`, or for so many seconds; returns whether it became true."""
    end = monotonic() + seconds
    while not true() and monotonic() < end:
        QApplication.processEvents()
        sleep(0.005)
    return true()
