"""Correcting by hand: the actions behind the section's buttons and keys, all on our mask layer only."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from glrp_napari.cine import Structure
from glrp_napari.gui import tools
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.drafting import Drafting
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.following import Following
from glrp_napari.gui.labelling import Labelling
from glrp_napari.gui.measure_words import describe_changed
from glrp_napari.gui.pushing import Pushing
from glrp_napari.gui.shortcuts import SHORTCUTS
from glrp_napari.gui.workplace import Workplace
from glrp_napari.slice_states import STORED

UNDO_KEYS = ("Control-Z", "Control-Shift-Z")
STILL_STORED = "The stored label stays as it was accepted until you accept the slice again or remove the label."
OPACITIES = (0.2, 0.45, 0.8)
OUTLINE = 2
"""Width of outlines in pixels of the image."""


class Correcting(QObject):
    """Performs named actions on the workplace's study."""

    tools_changed = Signal()

    def __init__(self, workplace: Workplace, drafting: Drafting, labelling: Labelling) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._drafting = drafting
        self.following = Following(workplace, drafting.touch)
        self.pushing = Pushing(self, self._on_pushed)
        self._views: dict[str, Callable[[OpenStudy], None]] = {}
        self._actions: dict[str, Callable[[OpenStudy], None]] = {
            "choose_rv": lambda study: self.choose(study, Structure.RV),
            "choose_myo": lambda study: self.choose(study, Structure.MYO),
            "choose_lv": lambda study: self.choose(study, Structure.LV),
            "undo": lambda study: self._change_back(study, study.history.undo),
            "redo": lambda study: self._change_back(study, study.history.redo),
            "push": lambda _study: self.pushing.take(),
            "interpolate": tools.interpolate,
            "follow_heart": self.following.follow_heart,
            "spread_edit": self.following.spread,
            "take_proposals": lambda _study: self.following.take(),
            "toggle_proposal": lambda study: self.following.toggle(study.place),
            "smooth_outline": tools.smooth_outline,
            "close_ring": tools.close_ring,
            "copy_slice_before": tools.copy_slice_before,
            "copy_frame_before": tools.copy_frame_before,
            "accept_slice": lambda _study: labelling.accept(whole_frame=False),
            "accept_frame": lambda _study: labelling.accept(whole_frame=True),
        }
        self.pushing.changed.connect(self.tools_changed)
        self.offer(toggle_outline=toggle_outline, toggle_mask=toggle_mask, step_opacity=step_opacity)
        workplace.opened.connect(self._on_opened)

    def offer(self, **views: Callable[[OpenStudy], None]) -> None:
        """Take over actions by name that change what is seen and nothing of the mask."""
        self._views |= views

    def bind(self, viewer: ViewerModel) -> None:
        """Make the keys work in this viewer, whichever layer is selected."""
        for shortcut in SHORTCUTS:
            viewer.bind_key(shortcut.key, lambda _viewer, action=shortcut.action: self.do(action), overwrite=True)

        for keys, redo in zip(UNDO_KEYS, (False, True), strict=True):
            viewer.bind_key(keys, lambda _viewer, redo=redo: self._step_back(redo), overwrite=True)

    def bind_window(self, widget: QWidget) -> None:
        """Make Ctrl+Z and Ctrl+Shift+Z work from anywhere in the window that the widget is in."""
        for keys, redo in (("Ctrl+Z", False), ("Ctrl+Shift+Z", True)):
            QShortcut(QKeySequence(keys), widget).activated.connect(lambda redo=redo: self._step_back(redo))

    def do(self, action: str) -> None:
        """Perform an action by name; says why where it makes no sense."""
        if (study := self._workplace.study) is None:
            return
        if (view := self._views.get(action)) is not None:
            view(study)
            return
        try:
            self._actions[action](study)
        except ValueError as error:
            self._workplace.tell(error)
        else:
            self._drafting.touch()
        self._workplace.changed.emit()

    def choose(self, study: OpenStudy, structure: Structure) -> None:
        """Paint this structure from now on; a tool that paints stays, any other becomes the brush."""
        self._workplace.viewer.layers.selection.active = study.mask
        study.mask.selected_label = int(structure)
        if study.mask.mode not in ("paint", "fill", "polygon") and not self.pushing.is_on:
            study.mask.mode = "paint"

    def choose_tool(self, mode: str) -> None:
        """Take a tool, in napari's name for it."""
        if (study := self._workplace.study) is not None:
            self._workplace.viewer.layers.selection.active = study.mask
            self.pushing.leave()
            study.mask.mode = mode
            self.tools_changed.emit()

    def set_brush(self, size: int) -> None:
        """Set the brush size in pixels."""
        if (study := self._workplace.study) is not None:
            study.mask.brush_size = size

    def _change_back(self, study: OpenStudy, step: Callable[[], Collection[Place]]) -> None:
        """Undo or redo; the reader is told of what is not to be seen in the mask.

        A slice that was stored then is a label again only as the library holds it now; else it may be accepted again.
        """
        stored, decided = np.isin(study.states, STORED), study.reading
        differing = [place for place in step() if not study.shows_stored(place)]
        hidden = [place for place in differing if stored[place] or _hides_label(study, place)]
        for place in differing:
            study.withdraw(place)
        if hidden:
            self._workplace.tell(STILL_STORED)
        elif study.reading != decided:
            self._workplace.tell(describe_changed(decided, study.reading))

    def _step_back(self, redo: bool) -> None:
        study, active = self._workplace.study, self._workplace.viewer.layers.selection.active
        if isinstance(active, Labels) and (study is None or active is not study.mask):
            (active.redo if redo else active.undo)()
        elif study is not None:
            self.do("redo" if redo else "undo")

    def _on_opened(self, study: OpenStudy) -> None:
        study.mask.bind_key("Control-Z", lambda _layer: self.do("undo"), overwrite=True)
        study.mask.bind_key("Control-Shift-Z", lambda _layer: self.do("redo"), overwrite=True)
        events = study.mask.events
        for event in (events.mode, events.selected_label, events.brush_size, events.contour):
            event.connect(self._on_tool_event)
        # A stroke is recorded before the layer has repainted; draw the dock after that.
        events.paint.connect(lambda _event: QTimer.singleShot(0, self._workplace.changed.emit))
        self.pushing.watch(study)
        self.tools_changed.emit()

    def _on_pushed(self) -> None:
        self._drafting.touch()
        self._workplace.changed.emit()

    def _on_tool_event(self, _event: Any) -> None:
        self.tools_changed.emit()


def _hides_label(study: OpenStudy, place: Place) -> bool:
    """Whether a slice would pass for stored while the library holds another mask of it."""
    return place in study.stored and study.states[place] in STORED


def toggle_outline(study: OpenStudy) -> None:
    """Show outlines, or filled areas."""
    study.mask.contour = 0 if study.mask.contour else OUTLINE


def toggle_mask(study: OpenStudy) -> None:
    """Take the mask away from the image, or put it back: to see by flicker what lies under it."""
    study.mask.visible = not study.mask.visible


def step_opacity(study: OpenStudy) -> None:
    """The next of the opacities: fainter, usual, stronger."""
    now = float(study.mask.opacity)
    study.mask.opacity = next((value for value in OPACITIES if value > now + 0.01), OPACITIES[0])


def release_keys(viewer: ViewerModel) -> None:
    """Take our keys out of a viewer."""
    for key in (*(shortcut.key for shortcut in SHORTCUTS), *UNDO_KEYS):
        viewer.bind_key(key, None)
