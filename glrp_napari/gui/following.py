"""Carrying an edit on: the job that follows the heart, its proposals as a ghost over the image, and taking them.

Nothing is written before the reader takes it; then it is one step, and slices that a person edited are left alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from time import monotonic

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal

from glrp_napari.cine import Mask
from glrp_napari.drawing.palette import COLOURS
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.editing import EditError, OpenStudy
from glrp_napari.gui.layers import find_grid
from glrp_napari.gui.workplace import Workplace
from glrp_napari.propagate import apply_edit, carry_edit, find_edit, spread_edits
from glrp_napari.registration import find_surroundings, follow
from glrp_napari.slice_states import BY_PERSON, SliceState

GHOST_WIDTH = 1
NO_EDIT = "Carrying on needs a slice that you edited on screen."
NOTHING = "There is nothing to carry on to: what is around was edited by you, or has nothing there to change."


@dataclass(frozen=True, eq=False)
class Proposal:
    """A slice (Y, X) as it would become, and as it was when that was worked out."""

    before: Mask
    after: Mask


class Following(QObject):
    """Works out proposals for the workplace's study, shows them, and takes or drops them."""

    began = Signal()
    advanced = Signal(str, int, int, object)
    changed = Signal()
    _stepped = Signal(int, int)

    def __init__(self, workplace: Workplace, touch: Callable[[], None]) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._touch = touch
        self._stop = Event()
        self._began = 0.0
        self._ghost: Labels | None = None
        self.proposals: dict[Place, Proposal] = {}
        self.left: set[Place] = set()
        """Places whose proposal is not to be taken."""
        self.is_busy = False
        self._stepped.connect(self._on_stepped, Qt.ConnectionType.QueuedConnection)
        workplace.closing.connect(self._on_closing)

    def follow_heart(self, study: OpenStudy) -> None:
        """Work out what the edit on screen becomes in the other frames of this slice."""
        if self.is_busy:
            return
        self.drop()
        start, level = study.place
        before, after = self._find_edited(study, study.place)
        others = [t for t in range(len(study.states)) if study.states[t, level] not in BY_PERSON and t != start]
        images, masks = study.cine.images[:, level], study.mask.data[:, level].copy()
        pixel_mm, stop = study.cine.geometry.spacing_mm[1:], Event()
        self._stop, self.is_busy, self._began = stop, True, monotonic()

        def work() -> dict[Place, Proposal]:
            found = {}
            steps = propose_frames(images, masks, start, before, after, pixel_mm)
            for done, (frame, proposed) in enumerate(steps, 1):
                if stop.is_set():
                    return {}
                self._stepped.emit(done, len(images) - 1)
                if frame in others and not np.array_equal(proposed, masks[frame]):
                    found[(frame, level)] = Proposal(masks[frame], proposed)
            return found

        self.began.emit()
        self._workplace.readers.run(work, lambda found: self._on_found(study, stop, found), self._on_failed)

    def spread(self, study: OpenStudy) -> None:
        """Work out what the edits of the frame on screen become in the slices about them."""
        if self.is_busy:
            return
        self.drop()
        frame, pixel_mm, stop = study.place[0], study.cine.geometry.spacing_mm[1:], Event()
        labels, edited = study.mask.data[frame].copy(), {}
        for level, state in enumerate(study.states[frame]):
            before = _look_before(study, (frame, level))
            if state in BY_PERSON and not np.array_equal(before, labels[level]):
                edited[level] = before
        if not edited:
            raise EditError(NO_EDIT)
        untouched = [z for z, state in enumerate(study.states[frame]) if state not in BY_PERSON]
        self._stop, self.is_busy = stop, True

        def work() -> dict[Place, Proposal]:
            changed = propose_slices(labels, edited, pixel_mm)
            return {(frame, z): Proposal(labels[z], proposed) for z, proposed in changed if z in untouched}

        self._workplace.readers.run(work, lambda found: self._on_found(study, stop, found), self._on_failed)

    def cancel(self) -> None:
        """Give up working; nothing is proposed."""
        self._stop.set()

    def toggle(self, place: Place) -> None:
        """Leave the proposal for a slice out, or take it in again."""
        if place in self.proposals:
            self.left ^= {place}
            self._draw(place)
            self.changed.emit()

    def take(self) -> None:
        """Write what is proposed and not left out, as one step, except where the slice changed meanwhile."""
        study = self._workplace.study
        if study is None or not self.proposals:
            return
        chosen = {place: p for place, p in self.proposals.items() if place not in self.left}
        slices = {place: p.after for place, p in chosen.items() if _is_fresh(study, place, p)}
        self.drop()
        study.write_slices(slices, SliceState.EDITED)
        self._touch()
        self._workplace.changed.emit()

    def drop(self) -> None:
        """Forget the proposals and take their ghost away."""
        ghost, self._ghost = self._ghost, None
        self.proposals, self.left = {}, set()
        if ghost is not None and ghost in self._workplace.viewer.layers:
            self._workplace.viewer.layers.remove(ghost)
        self.changed.emit()

    def _find_edited(self, study: OpenStudy, place: Place) -> tuple[Mask, Mask]:
        before, after = _look_before(study, place), study.mask.data[place].copy()
        if study.states[place] not in BY_PERSON or np.array_equal(before, after):
            raise EditError(NO_EDIT)
        return before, after

    def _show(self, study: OpenStudy, found: dict[Place, Proposal]) -> None:
        self.proposals = found
        if not found:
            self._workplace.tell(NOTHING)
        else:
            self._ghost = make_ghost(study)
            for place, proposal in found.items():
                self._ghost.data[place] = proposal.after
            self._workplace.viewer.add_layer(self._ghost)
            self._workplace.viewer.layers.selection.active = study.mask
        self.changed.emit()

    def _draw(self, place: Place) -> None:
        if self._ghost is not None:
            self._ghost.data[place] = 0 if place in self.left else self.proposals[place].after
            self._ghost.refresh(extent=False)

    def _on_found(self, study: OpenStudy, stop: Event, found: dict[Place, Proposal]) -> None:
        self.is_busy = False
        if stop.is_set() or study is not self._workplace.study:
            self.changed.emit()
        else:
            fresh = {place: p for place, p in found.items() if _is_fresh(study, place, p)}
            self._show(study, fresh)

    def _on_failed(self, error: BaseException) -> None:
        self.is_busy = False
        self._workplace.tell(error)
        self.changed.emit()

    def _on_stepped(self, done: int, total: int) -> None:
        if self.is_busy:
            left = (monotonic() - self._began) * (total - done) / done
            self.advanced.emit("Following the heart", done, total, left)

    def _on_closing(self) -> None:
        self.cancel()
        self.drop()


def propose_frames(
    images: NDArray[np.generic], masks: Mask, start: int, before: Mask, after: Mask, pixel_mm: tuple[float, float]
) -> Iterator[tuple[int, Mask]]:
    """The other frames of a slice (T, Y, X) after the edit that made `after` of `before` at `start`, nearest first."""
    rows, columns = find_surroundings((masks > 0).any(0) | (before > 0) | (after > 0), pixel_mm)
    edit = find_edit(before[rows, columns], after[rows, columns], pixel_mm)
    for frame, motion in follow(images[:, rows, columns], start, pixel_mm):
        proposed = masks[frame].copy()
        proposed[rows, columns] = apply_edit(carry_edit(edit, motion), masks[frame, rows, columns], pixel_mm)
        yield frame, proposed


def propose_slices(
    labels: Mask, edited: Mapping[int, Mask], pixel_mm: tuple[float, float]
) -> Iterator[tuple[int, Mask]]:
    """The slices of a frame (Z, Y, X) that change about those `edited`, which are given as they were before (Y, X)."""
    befores = np.stack(list(edited.values()))
    rows, columns = find_surroundings((labels > 0).any(0) | (befores > 0).any(0), pixel_mm)
    edits = {z: find_edit(before[rows, columns], labels[z, rows, columns], pixel_mm) for z, before in edited.items()}
    for z, part in spread_edits(edits, labels[:, rows, columns], pixel_mm):
        proposed = labels[z].copy()
        proposed[rows, columns] = part
        yield z, proposed


def make_ghost(study: OpenStudy) -> Labels:
    """An empty layer of outlines over the study's mask."""
    colours = {None: "transparent", 0: "transparent", **COLOURS}
    ghost = Labels(
        np.zeros_like(study.mask.data),
        name="Proposed",
        opacity=1.0,
        colormap=DirectLabelColormap(color_dict=colours),
        **find_grid(study.image),
    )
    ghost.contour = GHOST_WIDTH
    ghost.editable = False
    return ghost


def _look_before(study: OpenStudy, place: Place) -> Mask:
    """The slice before a person edited it: the model's last answer, or nothing."""
    before = study.history.find_predicted(place)
    return np.zeros_like(study.mask.data[place]) if before is None else before


def _is_fresh(study: OpenStudy, place: Place, proposal: Proposal) -> bool:
    return study.states[place] not in BY_PERSON and np.array_equal(study.mask.data[place], proposal.before)
