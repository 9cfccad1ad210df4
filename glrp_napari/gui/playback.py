"""Moving through a cine: wheel = slice, arrows = frame, space = play at the heart's own rate on a fixed slice."""

import time
from typing import Any

import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QObject, Qt, QTimer

from glrp_napari.cine import Cine

USUAL_RR_MS = 1000.0
"""The heart cycle to play at where the file does not say."""

FRAME, SLICE = 0, 1


class Playback(QObject):
    """Steps and plays the frames of the open cine in a viewer."""

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._frame_ms = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_tick)
        self._began, self._first = 0.0, 0
        self._loop: tuple[int, ...] = ()
        self._scrolled = 0.0
        self._wheel_before: list[Any] = []

    @property
    def is_playing(self) -> bool:
        """Whether the heart beats."""
        return self._timer.isActive()

    def bind(self) -> None:
        """Take over wheel, arrows and space in this viewer; Ctrl+wheel zooms instead of the wheel alone."""
        viewer = self._viewer
        for key, axis, by in (("Left", FRAME, -1), ("Right", FRAME, 1), ("Up", SLICE, 1), ("Down", SLICE, -1)):
            viewer.bind_key(key, lambda _viewer, axis=axis, by=by: self.step(axis, by), overwrite=True)
        viewer.bind_key("Space", lambda _viewer: self.toggle(), overwrite=True)
        self._wheel_before = list(viewer.mouse_wheel_callbacks)
        viewer.mouse_wheel_callbacks[:] = [self._on_wheel]

    def unbind(self) -> None:
        """Give wheel, arrows and space back to napari."""
        for key in ("Left", "Right", "Up", "Down", "Space"):
            self._viewer.bind_key(key, None)
        self._viewer.mouse_wheel_callbacks[:] = self._wheel_before

    def open(self, cine: Cine) -> None:
        """Play this cine from now on, all of it."""
        self.stop()
        self._loop = ()
        self._frame_ms = cine.interval_ms or USUAL_RR_MS / len(cine.images)

    def loop(self, first: int, last: int, frames: int) -> None:
        """Play only from `first` to `last` of so many frames, around the end of the cycle where `last` is before."""
        self._loop = find_part(first, last, frames)
        self._restart()

    def loop_all(self) -> None:
        """Play the whole cycle."""
        self._loop = ()
        self._restart()

    def toggle(self) -> None:
        """Start or stop."""
        if self.is_playing:
            self.stop()
        elif self._frame_ms and self._viewer.dims.nsteps[FRAME] > 1:
            self._restart()
            self._timer.start(max(5, round(self._frame_ms / 2)))

    def stop(self) -> None:
        """Stop on the frame shown."""
        self._timer.stop()

    def step(self, axis: int, by: int) -> None:
        """Go `by` steps along frames (around the cycle) or slices (to the end)."""
        dims = self._viewer.dims
        if dims.ndim <= axis:
            return
        count, now = int(dims.nsteps[axis]), int(dims.current_step[axis])
        dims.set_current_step(axis, (now + by) % count if axis == FRAME else int(np.clip(now + by, 0, count - 1)))

    def _restart(self) -> None:
        """Go on from the frame shown, or from the start of the loop where it is outside."""
        frame = int(self._viewer.dims.current_step[FRAME])
        self._began = time.perf_counter()
        self._first = frame if not self._loop else self._loop.index(frame) if frame in self._loop else 0

    def _on_tick(self) -> None:
        passed_ms = (time.perf_counter() - self._began) * 1000
        part = self._loop or range(int(self._viewer.dims.nsteps[FRAME]))
        frame = part[find_frame(passed_ms, self._frame_ms, self._first, len(part))]
        if frame != self._viewer.dims.current_step[FRAME]:
            self._viewer.dims.set_current_step(FRAME, frame)

    def _on_wheel(self, viewer: Any, event: Any) -> None:
        delta = float(np.clip(event.delta[1], -1, 1))
        if "Control" in event.modifiers:
            viewer.scene.camera.zoom *= 1.15**delta
        elif not event.modifiers:
            self._scrolled += delta
            whole = int(self._scrolled)
            self._scrolled -= whole
            if whole:
                self.step(SLICE, whole)
        event.handled = True


def find_part(first: int, last: int, frames: int) -> tuple[int, ...]:
    """The frames from `first` to `last`, both played, going around the end of the cycle if need be."""
    return tuple((first + step) % frames for step in range((last - first) % frames + 1))


def find_frame(passed_ms: float, frame_ms: float, first: int, frames: int) -> int:
    """The frame on screen so long after starting at `first`: true to the clock, however slow the drawing is."""
    return (first + int(passed_ms / frame_ms)) % frames
