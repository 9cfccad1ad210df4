"""The tool Push: the mouse drags a piece of the chosen structure's border along, and letting go is one step.

The brush's size is how far about the mouse the border follows.

It is no mode of napari's: the layer rests in "pan_zoom", where it leaves the mouse to callbacks, with panning off.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from glrp_napari.cine import Structure
from glrp_napari.contours import push_border
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.slice_states import SliceState

NEXT = 0.5
"""The mouse's way in pixels after which the border moves again."""


class Pushing(QObject):
    """The tool on one study's mask layer at a time; `is_on` says whether it is taken."""

    changed = Signal()

    def __init__(self, parent: QObject, done: Callable[[], None]) -> None:
        super().__init__(parent)
        self._done = done
        self._study: OpenStudy | None = None
        self.is_on = False

    def watch(self, study: OpenStudy) -> None:
        """Work on this study from now on."""
        self._study, self.is_on = study, False
        study.mask.mouse_drag_callbacks.append(self._on_drag)
        study.mask.events.mode.connect(self._on_mode)

    def take(self) -> None:
        """Take the tool."""
        if self._study is not None:
            self._study.viewer.layers.selection.active = self._study.mask
            self._study.mask.mode = "pan_zoom"
            self._study.mask.mouse_pan = False
            self.is_on = True
            self.changed.emit()

    def leave(self) -> None:
        """Put the tool away; napari's own tools take the mouse again."""
        if self.is_on and self._study is not None:
            self.is_on = False
            self._study.mask.mouse_pan = self._study.mask.mode == "pan_zoom"
            self.changed.emit()

    def _on_mode(self, _event: Any) -> None:
        self.leave()

    def _on_drag(self, layer: Labels, event: Any) -> Iterator[None]:
        study = self._study
        if not self.is_on or study is None or layer is not study.mask or event.button != 1:
            return
        place, structure = study.place, Structure(layer.selected_label or Structure.LV)
        before = mine = layer.data[place].copy()
        last = self._find_point(layer, event)
        yield
        while event.type == "mouse_move":
            point = self._find_point(layer, event)
            if np.hypot(*np.subtract(point, last)) >= NEXT:
                radius, pixel_mm = float(layer.brush_size), study.cine.geometry.spacing_mm[1:]
                mine = push_border(mine, structure, last, point, radius, pixel_mm)
                layer.data[place] = mine
                layer.refresh(extent=False)
                last = point
            yield
            if not np.array_equal(layer.data[place], mine):
                return  # a run or an undo wrote this slice meanwhile: theirs stands
        layer.data[place] = before
        if study.history.write({place: mine}, SliceState.EDITED):
            self._done()

    def _find_point(self, layer: Labels, event: Any) -> tuple[float, float]:
        y, x = layer.world_to_data(event.position)[-2:]
        return float(y), float(x)
