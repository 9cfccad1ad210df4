"""A window with the dock, driven as a person would: real keys, real mouse, a worker's double in a real process."""

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from glrp_napari import models
from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.gui.dock import CardiacDock
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.launch import wait_until
from glrp_napari.gui.layers import image_options
from glrp_napari.session import Session
from napari import Viewer
from napari.layers import Image
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

FAKE_WORKER = str(Path(__file__).with_name("fake_worker.py"))


def make_cine(frames: int = 4, slices: int = 5, side: int = 32, name: str = "study") -> Cine:
    """Every voxel encodes its own (t, z, y, x)."""
    t, z, y, x = np.indices((frames, slices, side, side))
    images = (1000 * t + 100 * z + y + x / side).astype(np.float32)
    times = tuple(50.0 * i for i in range(frames))
    return Cine(images, Geometry(spacing_mm=(8.0, 1.5, 1.25)), Source(name=name), times if frames > 1 else None)


@dataclass
class Window:
    """The window under test."""

    viewer: Viewer
    dock: CardiacDock

    @property
    def study(self) -> OpenStudy:
        assert self.dock.workplace.study is not None
        return self.dock.workplace.study

    @property
    def place(self) -> tuple[int, int]:
        return self.study.place

    @property
    def canvas(self) -> object:
        return self.viewer.window._qt_viewer.canvas.native

    def wait(self, true: Callable[[], bool], seconds: float = 60.0) -> None:
        assert wait_until(true, seconds)

    def settle(self) -> None:
        """Until nothing is under way in the background."""
        place = self.dock.workplace
        QApplication.processEvents()
        self.wait(lambda: not (place.readers.is_busy or place.writers.is_busy or place.now.job or place.now.opening))
        QApplication.processEvents()

    def open(self, cine: Cine) -> OpenStudy:
        self.viewer.add_image(cine.images, **image_options(cine))
        self.wait(lambda: self.dock.workplace.study is not None and self.study.cine is cine)
        self.settle()
        return self.study

    def open_layer(self, layer: Image) -> OpenStudy:
        self.dock.opening.open_layer(layer)
        self.settle()
        return self.study

    def go(self, frame: int, level: int) -> None:
        self.viewer.dims.set_current_step((0, 1), (frame, level))
        QApplication.processEvents()

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.canvas, key, modifier)
        QApplication.processEvents()

    def click(self, button: object) -> None:
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        QApplication.processEvents()

    def point(self, y: int, x: int) -> QPoint:
        """Where on the canvas a voxel of the slice on screen lies."""
        world = self.study.mask.data_to_world((*self.place, y, x))
        view = self.viewer.window._qt_viewer.canvas.view
        node = view.scene.transform.map([world[3], world[2], 0, 1])
        return QPoint(round(node[0] / node[3]), round(node[1] / node[3]))

    def drag(self, *path: tuple[int, int]) -> None:
        """Draw with the mouse along voxels (y, x)."""
        button = Qt.MouseButton.LeftButton
        QTest.mouseMove(self.canvas, self.point(*path[0]))
        QTest.mousePress(self.canvas, button, pos=self.point(*path[0]))
        for place in path[1:]:
            QTest.mouseMove(self.canvas, self.point(*place))
            QTest.qWait(15)
        QTest.mouseRelease(self.canvas, button, pos=self.point(*path[-1]))
        QApplication.processEvents()


def make_window(folder: Path, mode: str = "well", command: tuple[str, ...] = ()) -> Window:
    viewer = Viewer()
    dock = CardiacDock(viewer, Session(folder), command or (sys.executable, FAKE_WORKER, mode))
    viewer.window.add_dock_widget(dock, name="GLRP cardiac", area="right")
    viewer.window._qt_window.resize(1000, 700)
    window = Window(viewer, dock)
    viewer.window._qt_window.activateWindow()
    QTest.qWaitForWindowActive(viewer.window._qt_window, 3000)
    window.settle()
    return window


def close_window(window: Window) -> None:
    window.dock.workplace.close()
    window.viewer.close()
    QApplication.processEvents()
    gc.collect()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A resources folder with one model, so that the window's tests need no trained one."""
    folder = tmp_path_factory.mktemp("resources")
    card = models.Card(name="base", title="A model", weights_sha256="")
    models.save_model_files(folder, card, b"weights")
    return folder


@pytest.fixture(scope="module")
def shared_window(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, qapp: QApplication) -> Iterator[Window]:
    """One window for a module's tests."""
    patch = pytest.MonkeyPatch()
    patch.setattr(models, "find_resources", lambda: model_folder)
    window = make_window(tmp_path_factory.mktemp("session"))
    yield window
    close_window(window)
    patch.undo()


@pytest.fixture(autouse=True)
def forget_sessions(request: pytest.FixtureRequest) -> None:
    """Many tests open the same voxels, which is the same study: what one left of it is nothing to the next."""
    if "shared_window" in request.fixturenames:
        window = request.getfixturevalue("shared_window")
        place = window.dock.workplace
        window.wait(lambda: not place.writers.is_busy)
        for path in place.now.session.drafts.glob("*"):
            path.unlink()


@pytest.fixture
def window(tmp_path: Path, model_folder: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    """A window of the test's own."""
    monkeypatch.setattr(models, "find_resources", lambda: model_folder)
    window = make_window(tmp_path / "session")
    yield window
    close_window(window)
