"""Undo for all that a reader does: every stroke, tool, model run and decision is one step, in one order.

napari's Labels layer keeps the history of strokes; all else is put into that same history, so that there is one Ctrl+Z.
The slices' states, and what a model last answered for a slice, go back with the voxels. The only module that touches
the layer's private history. Its items are lists of atoms (see `atoms`), and a decision alone is an empty list.
"""

from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from glrp_napari.decisions import Reading
from glrp_napari.gui.atoms import Place, find_places, take_back
from glrp_napari.slice_states import SliceState
from glrp_napari.undo_steps import KEPT_STEPS, KeptStep, SliceBefore, pack, unpack


@dataclass(frozen=True)
class Answer:
    """What a model last answered for a slice, packed (see `pack`), and its name, empty where that is not known."""

    packed: bytes
    model: str = ""


Standing = tuple[int, Answer | None]
"""What a slice is: its state, and the model's last answer if there was one."""


@dataclass(frozen=True)
class Step:
    """What was before a step: the slices that it changed, and the reader's decisions where it changed them."""

    slices: dict[Place, Standing]
    reading: Reading | None = None


class EditHistory:
    """The undo history of one mask layer (T, Z, Y, X), its `states` (T, Z), changed in place, and the `reading`."""

    def __init__(self, layer: Labels, states: NDArray[np.uint8]) -> None:
        self.layer = layer
        self.states = states
        self.reading = Reading()
        self._predicted: dict[Place, Answer] = {}
        self._model = ""
        self._past: deque[Step] = deque(maxlen=layer._history_limit)
        self._future: deque[Step] = deque(maxlen=layer._history_limit)
        self._run: list[Any] | None = None
        self._last_run: list[Any] = []
        self._ours = False
        self.done_by_person: Callable[[], None] = lambda: None
        """Called at each of a person's strokes and tools, which are effort."""
        layer.events.paint.connect(self._on_paint)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back that is not a run still going on."""
        return bool(self.layer._undo_history) and self.layer._undo_history[-1] is not self._run

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back and can be done again."""
        return bool(self.layer._redo_history)

    def find_predicted(self, place: Place) -> NDArray[np.uint8] | None:
        """The model's last answer for a slice (Y, X), whatever was edited since; None where no model segmented it."""
        answer = self._predicted.get(place)
        return None if answer is None else unpack(answer.packed, self.layer.data.shape[2:])

    def find_model(self, place: Place) -> str:
        """Which model answered for a slice last; empty where none did, or it is not known."""
        return self._predicted[place].model if place in self._predicted else ""

    def find_drawn(self) -> set[Place]:
        """The slices on which a stroke is being drawn."""
        return {place for atom in self.layer._staged_history for place in find_places(atom)}

    def find_since_run(self) -> set[Place]:
        """The slices that the steps after the beginning of the run under way changed; all that were, outside a run."""
        steps = zip(reversed(self.layer._undo_history), reversed(self._past), strict=False)
        later = takewhile(lambda step: step[0] is not self._run, steps)
        return {place for _item, step in later for place in step.slices}

    def find_replaced(self) -> dict[Place, NDArray[np.uint8]]:
        """The slices (Y, X) that the last run changed, as they were before it; none where all of them were empty."""
        replaced = {place: before for place, before, _after in self._last_run}
        return replaced if any(before.any() for before in replaced.values()) else {}

    def list_predicted(self, states: Container[int]) -> dict[Place, Answer]:
        """The models' last answers for the slices in one of these states."""
        return {place: answer for place, answer in self._predicted.items() if int(self.states[place]) in states}

    def set_predicted(self, slices: Mapping[Place, NDArray[np.uint8]], models: Mapping[Place, str]) -> None:
        """Take over what models had answered, and which, from a draft; it is no step of its own."""
        self._predicted |= {place: Answer(pack(mask), models.get(place, "")) for place, mask in slices.items()}

    def list_steps(self) -> tuple[KeptStep, ...]:
        """The last steps that can be taken back, the oldest first, to be kept on disk."""
        items = list(self.layer._undo_history)
        if not self.can_undo or len(items) != len(self._past):
            return ()
        data, kept = self.layer.data.copy(), list[KeptStep]()
        for item, step in list(zip(items, self._past, strict=True))[: -KEPT_STEPS - 1 : -1]:
            for atom in reversed(item):
                take_back(data, atom)
            before = tuple(
                SliceBefore(
                    frame=t,
                    slice=z,
                    voxels=pack(data[t, z]),
                    state=SliceState(state),
                    predicted=answer.packed if answer else None,
                    model=answer.model if answer else "",
                )
                for (t, z), (state, answer) in step.slices.items()
            )
            kept.append(KeptStep(slices=before, reading=step.reading))
        return tuple(reversed(kept))

    def restore_steps(self, steps: Sequence[KeptStep]) -> None:
        """Be able to take these steps back, as `list_steps` gave them for the same mask."""
        items, past, now = list[list[Any]](), list[Step](), dict[Place, NDArray[np.uint8]]()
        for step in reversed(steps):
            atoms = []
            for one in step.slices:
                place = one.frame, one.slice
                before = unpack(one.voxels, self.layer.data.shape[2:])
                atoms.append((place, before, now.get(place, self.layer.data[place]).copy()))
                now[place] = before
            items.append(atoms)
            past.append(Step({(one.frame, one.slice): _find_standing(one) for one in step.slices}, step.reading))
        self.layer._undo_history.extend(reversed(items))
        self._past.extend(reversed(past))

    def undo(self) -> Collection[Place]:
        """Take the last step back, voxels, states and decisions; returns the slices that it had changed."""
        if not self.can_undo:
            return ()
        self.layer.undo()
        return self._swap(self._past, self._future)

    def redo(self) -> Collection[Place]:
        """Do the last undone step again, as `undo`; returns the slices that it changes."""
        if not self.can_redo:
            return ()
        self.layer.redo()
        return self._swap(self._future, self._past)

    def write(
        self, slices: Mapping[Place, NDArray[np.uint8]], state: SliceState, reading: Reading | None = None
    ) -> bool:
        """Write whole slices, and take decisions with them, as one step; False if no slice changed.

        Slices and decisions that would not change are left alone.
        """
        atoms, before = self._put(slices, state)
        decided = reading if reading != self.reading else None
        if atoms or decided is not None:
            self._append(atoms, Step(before, None if decided is None else self.reading))
        if decided is not None:
            self.reading = decided
        if atoms and state == SliceState.EDITED:
            self.done_by_person()
        return bool(atoms)

    def decide(self, reading: Reading, continues: bool = False) -> None:
        """Take the reader's decisions as one step; those that change nothing are none.

        One that `continues` the last decision, as a drag does, is one step with it.
        """
        if continues and self._past and self._past[-1].reading is not None and not self._past[-1].slices:
            self.reading = reading
        else:
            self.write({}, SliceState.EDITED, reading)

    def begin_run(self, model: str = "") -> None:
        """Open the one step that a run's frames will join, the answers of this model; strokes made meanwhile come
        after it.
        """
        self._run, self._model = [], model
        self._append(self._run, Step({}))

    def write_run(self, slices: Mapping[Place, NDArray[np.uint8]], keep: Iterable[Place] = ()) -> None:
        """Add a run's slices to its step, except those in `keep` and those of a stroke that is being drawn."""
        if self._run is None:
            raise RuntimeError("a run's slices arrived outside a run")
        kept = set(keep) | self.find_drawn()
        atoms, before = self._put({p: s for p, s in slices.items() if p not in kept}, SliceState.PREDICTED)
        self._run += atoms
        step = next((i for i, item in enumerate(self.layer._undo_history) if item is self._run), None)
        if step is not None and len(self._past) == len(self.layer._undo_history):
            self._past[step].slices.update(before)
        if atoms:
            self._forget_future()

    def end_run(self) -> None:
        """Close the run's step; a run that changed nothing leaves none."""
        run, self._run = self._run, None
        self._last_run = run or self._last_run
        for index, item in enumerate(self.layer._undo_history):
            if item is run and not run:
                del self.layer._undo_history[index]
                del self._past[index]
                break

    def _put(
        self, slices: Mapping[Place, NDArray[np.uint8]], state: SliceState
    ) -> tuple[list[Any], dict[Place, Standing]]:
        data, atoms, before = self.layer.data, [], {}
        for place, new in slices.items():
            changed = not np.array_equal(data[place], new)
            if changed or (state == SliceState.PREDICTED and self.states[place] != state):
                before[place] = self._standing(place)
                atoms.append((place, data[place].copy(), new.copy()))
                data[place] = new
                self.states[place] = state
                if state == SliceState.PREDICTED:
                    self._predicted[place] = Answer(pack(new), "" if self._run is None else self._model)
        if atoms:
            self._refresh(before)
        return atoms, before

    def _refresh(self, places: Iterable[Place]) -> None:
        shown = tuple(int(i) for i in np.round(self.layer.world_to_data(self.layer._slice_input.world_slice.point))[:2])
        if shown in set(places):
            self.layer.refresh(extent=False)

    def _append(self, item: list[Any], before: Step) -> None:
        self._forget_future()
        self._past.append(before)
        self._ours = True
        try:
            self.layer._append_to_undo_history(item)
        finally:
            self._ours = False

    def _forget_future(self) -> None:
        self.layer._redo_history.clear()
        self._future.clear()

    def _on_paint(self, event: Any) -> None:
        if self._ours:
            return
        places = {place for atom in event.value for place in find_places(atom)}
        self._past.append(Step({place: self._standing(place) for place in places}))
        self._future.clear()
        for place in places:
            self.states[place] = SliceState.EDITED
        self.done_by_person()

    def _swap(self, source: deque[Step], target: deque[Step]) -> Collection[Place]:
        if not source:
            return ()
        step = source.pop()
        now = {place: self._standing(place) for place in step.slices}
        target.append(Step(now, None if step.reading is None else self.reading))
        for place, (state, answer) in step.slices.items():
            self.states[place] = state
            self._predicted.pop(place, None)
            if answer is not None:
                self._predicted[place] = answer
        if step.reading is not None:  # the heart rate is the file's or typed, and no step
            self.reading = step.reading.model_copy(update={"heart_rate_bpm": self.reading.heart_rate_bpm})
        return step.slices.keys()

    def _standing(self, place: Place) -> Standing:
        return int(self.states[place]), self._predicted.get(place)


def _find_standing(one: SliceBefore) -> Standing:
    return int(one.state), None if one.predicted is None else Answer(one.predicted, one.model)
