"""The open study: its cine, its layers and what each slice is; taking over runs, drafts and labels. Draws nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from numpy.typing import NDArray

from glrp_napari.assessment import Measurements
from glrp_napari.autosave import Draft
from glrp_napari.cine import Cine, Mask, describe, with_heart_rate
from glrp_napari.comparison import PhaseSlices, SettledPhases
from glrp_napari.decisions import Reading, list_outside
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.history import EditHistory
from glrp_napari.gui.layers import make_mask_layer, make_uncertainty_layer
from glrp_napari.gui.loading import Loaded
from glrp_napari.gui.snapshot import StudyShown
from glrp_napari.gui.words import describe_function
from glrp_napari.library import Accepted, Label, State
from glrp_napari.measure import UNCHOSEN, Phases
from glrp_napari.slice_states import BY_PERSON, PENDING, SliceState
from glrp_napari.suggest import Segmented
from glrp_napari.undo_steps import pack, unpack


class EditError(ValueError):
    """An edit that makes no sense where it was asked for; the sentence says what it needs."""


@dataclass(frozen=True)
class Run:
    """What segmented a frame: the model's name, whether the CRF refined it, and where it ran (empty: not known)."""

    model: str
    crf: bool = False
    device: str = ""


Identity = tuple[str, str | int]
"""A label as far as the map shows it: its state and its mask."""


def identify(label: Label) -> Identity:
    """What tells a label from another of its place: a counter does not, from one library to the next."""
    return label.state, label.mask_sha256 or label.counter


@dataclass(frozen=True)
class Stored:
    """A label that the library is known to hold: which one it is, and its mask, packed (see `pack`)."""

    identity: Identity
    packed: bytes


def describe_stored(label: Label, mask: Mask) -> Stored:
    """A label and its mask (Y, X) as the map remembers them."""
    return Stored(identify(label), pack(mask))


class OpenStudy:
    """A loaded cine with its mask layer (T, Z, Y, X) and the states (T, Z) of the mask's slices."""

    def __init__(self, loaded: Loaded, image: Image, viewer: ViewerModel) -> None:
        self.loaded = loaded
        self.drafts = loaded.drafts
        self.cine: Cine = loaded.cine
        self.image = image
        self.viewer = viewer
        self.states: NDArray[np.uint8] = np.zeros(self.cine.images.shape[:2], dtype=np.uint8)
        self.mask: Labels = make_mask_layer(np.zeros(self.cine.images.shape, np.uint8), self.cine, image)
        self.history = EditHistory(self.mask, self.states)
        self.uncertainty: Image | None = None
        self.left_by_run: Segmented | None = None
        """What the runs left beside the mask, None before the first."""
        self.segmented_by: str | None = None
        self.runs: dict[int, Run] = {}
        """By frame, what segmented it last; without those that no run wrote to."""
        self.stored: dict[Place, Stored] = {}
        """What the library is known to hold of this study (see `matching`)."""
        self.revision = 0
        """Counts a person's changes, so that one can tell whether there were any meanwhile."""
        self.measured: Measurements | None = None
        self.estimated = UNCHOSEN
        """ED and ES from the images, for as long as there is no mask."""

    @property
    def reading(self) -> Reading:
        """The reader's decisions; set, they are no step to take back (see `EditHistory.decide`)."""
        return self.history.reading

    @reading.setter
    def reading(self, reading: Reading) -> None:
        self.history.reading = reading

    @property
    def place(self) -> Place:
        """The slice on screen, (t, z)."""
        t, z = np.round(self.mask.world_to_data(self.viewer.dims.point)[:2])
        frames, slices = self.states.shape
        return int(np.clip(t, 0, frames - 1)), int(np.clip(z, 0, slices - 1))

    def go(self, frame: int, level: int) -> None:
        """Show this slice of this frame."""
        world = self.mask.data_to_world((frame, level, 0, 0))
        first = self.viewer.dims.ndim - len(world)
        self.viewer.dims.set_point((first, first + 1), world[:2])

    @property
    def phases(self) -> Phases:
        """ED and ES: the reader's, else as measured, else as estimated."""
        return self._find_phases(self.measured)

    def _find_phases(self, measured: Measurements | None) -> Phases:
        function = measured.function if measured else None
        found = self.estimated if function is None or function.ed is None else Phases(function.ed, function.es)
        return Phases(*(f if c is None else c for c, f in zip(self.reading.phases, found, strict=True)))

    def settle_phases(self, measured: Measurements | None = None) -> SettledPhases:
        """ED and ES with the LV's slices that count in them, by the study's hash; empty where one is not known.

        They are as `measured`, by default last.
        """
        measured = measured or self.measured
        lv = {t: extent.lv for t, extent in measured.extents.items()} if measured else {}
        found = [
            PhaseSlices(frame=frame, first=ends[0], last=ends[1])
            for frame in self._find_phases(measured)
            if frame is not None and (ends := lv.get(frame)) is not None
        ]
        return {self.loaded.hash: (found[0], found[1])} if len(found) == 2 else {}

    def set_heart_rate(self, beats: int) -> None:
        """Spread the frames evenly over a cycle at so many beats a minute; 0 takes the file's word again."""
        self.cine = with_heart_rate(self.loaded.cine, beats) if beats else self.loaded.cine
        self.reading = self.reading.model_copy(update={"heart_rate_bpm": float(beats) or None})

    def apply_frame(self, frame: int, mask: Mask, redo_edited: bool) -> int:
        """Take over a run's frame (Z, Y, X), but not on slices a person touched, unless asked to; returns how many.

        What was changed since the run began stays in any case: it is undone before the run, to what was there.
        """
        since = self.history.find_since_run()
        mine = () if redo_edited else BY_PERSON
        keep = [(frame, z) for z, state in enumerate(self.states[frame]) if state in mine or (frame, z) in since]
        self.history.write_run({(frame, z): mask[z] for z in range(len(mask))}, keep)
        return len(mask) - len(keep)

    def find_model(self, place: Place) -> str | None:
        """The model whose answer for a slice is the last; None where none segmented it.

        Not always the one that ran over the frame last: that left out what a person had touched.
        """
        if self.history.find_predicted(place) is None:
            return None
        run = self.runs.get(place[0])
        return self.history.find_model(place) or (run.model if run else None)

    def keep_view(self, frame: int, uncertainty: NDArray[np.float16], embedding: NDArray[np.float32]) -> None:
        """Keep a run's doubt (Z, Y, X) and the network's view (Z, C) of a frame; another network's view begins anew."""
        left, width = self.left_by_run, embedding.shape[1]
        if left is None or left.embedding is None or left.embedding.shape[2] != width:
            doubt = np.zeros(self.mask.data.shape, np.float16) if left is None else left.uncertainty
            views = np.zeros((*self.states.shape, width), np.float32)
            self.left_by_run = left = Segmented(self.mask.data, doubt, self.states, views)
        left.uncertainty[frame] = uncertainty
        left.embedding[frame] = embedding

    def show_uncertainty(self, frame: int, uncertainty: NDArray[np.float16]) -> None:
        """Put a frame (Z, Y, X) into the uncertainty layer, which is made at the first one."""
        if self.uncertainty is None or self.uncertainty not in self.viewer.layers:
            self.uncertainty = make_uncertainty_layer(self.cine, self.image)
            self.viewer.layers.insert(self.viewer.layers.index(self.mask), self.uncertainty)
            self.viewer.layers.selection.active = self.mask
        self.uncertainty.data[frame] = uncertainty
        if frame == self.place[0]:
            self.uncertainty.refresh(extent=False)

    def write_slices(self, slices: Mapping[Place, Mask], state: SliceState = SliceState.EDITED) -> None:
        """Take over slices (Y, X) from a file as one step; those that change count as edited by a person, say."""
        self.history.write(slices, state)

    def restore(self, draft: Draft) -> None:
        """Take over a draft's mask, states and decisions as one step."""
        slices = {place: draft.mask[place] for place in np.ndindex(*self.states.shape)}
        self.history.write(slices, SliceState.EDITED, draft.reading)
        self.states[:] = draft.states
        self.stored = {}
        self._take_decisions(draft)

    def resume(self, draft: Draft) -> None:
        """Be what the study was when it was closed, with the steps to take back that it had."""
        self.mask.data[:] = draft.mask
        self.states[:] = draft.states
        self.mask.refresh(extent=False)
        self._take_decisions(draft)
        self.history.restore_steps(draft.steps)
        if draft.view is not None:
            self.go(*draft.view)

    def draft(self, saved_at: str, closed: bool) -> Draft:
        """The study as it is now, to be kept."""
        return Draft(
            mask=self.mask.data.copy(),
            states=self.states.copy(),
            saved_at=saved_at,
            reading=self.reading,
            view=self.place,
            model=self.segmented_by,
            closed=closed,
            steps=self.history.list_steps() if closed else (),
        )

    def list_answers(self) -> dict[Place, Mask]:
        """The model's last answer for each slice that a person worked on, where it is known."""
        answers = self.history.list_predicted(BY_PERSON)
        return {place: unpack(answer.packed, self.mask.data.shape[2:]) for place, answer in answers.items()}

    def _take_decisions(self, draft: Draft) -> None:
        self.set_heart_rate(round(draft.reading.heart_rate_bpm or 0))
        self.reading, self.segmented_by = draft.reading, draft.model
        segmented = np.flatnonzero(draft.states.any(1)).tolist() if draft.model else []
        self.runs = {frame: Run(draft.model or "") for frame in segmented}
        untouched = zip(*np.nonzero(draft.states == SliceState.PREDICTED), strict=True)
        as_model_left = {(int(t), int(z)): draft.mask[t, z] for t, z in untouched}
        self.history.set_predicted({**as_model_left, **draft.predicted}, draft.answered_by)

    def accept(self, places: list[Place]) -> list[Accepted]:
        """Mark slices as labels and return what is to be stored, with copies of the mask."""
        accepted = []
        outside = {t: list_outside(self.mask.data[t], self.reading, t) for t in {t for t, _ in places}}
        for place in places:
            mask, predicted = self.mask.data[place].copy(), self.history.find_predicted(place)
            by_hand = self.states[place] in (SliceState.EDITED, SliceState.CORRECTED)
            by_hand &= predicted is None or not np.array_equal(mask, predicted)  # a stroke may have been painted over
            self.states[place] = SliceState.CORRECTED if by_hand else SliceState.ACCEPTED
            before = predicted if by_hand else None
            state: State = "corrected" if by_hand else "accepted"
            beyond, model = place[1] in outside[place[0]], self.find_model(place)
            accepted.append(Accepted(*place, state, mask, before, beyond, model))
        return accepted

    def shows_stored(self, place: Place) -> bool:
        """Whether the mask of a slice is the one that the library is known to hold."""
        return place in self.stored and self.stored[place].packed == pack(self.mask.data[place])

    def withdraw(self, place: Place) -> None:
        """The slice is no longer as the library has it: what it was before it was accepted."""
        before = {SliceState.CORRECTED: SliceState.EDITED, SliceState.ACCEPTED: SliceState.PREDICTED}
        state = SliceState(self.states[place])
        self.states[place] = before.get(state, state)

    def take_back(self, before: Mapping[Place, int], accepted: Mapping[Place, int]) -> None:
        """Slices were not stored: they are what they were `before`, where they still are as they were `accepted`."""
        for place, state in before.items():
            if self.states[place] == accepted[place]:  # else it was drawn on meanwhile
                self.states[place] = state

    def acceptable(self, whole_frame: bool) -> list[Place]:
        """The slices that accepting would take: the one on screen, or all of its frame that are not empty of work."""
        t, z = self.place
        levels = self._list_counted(t) if whole_frame else [z]
        return [(t, i) for i in levels if self.states[t, i] in PENDING]

    def _list_counted(self, frame: int) -> list[int]:
        """The slices of a frame between base and apex of either ventricle, where these are settled; else all."""
        extent = self.measured.extents.get(frame) if self.measured else None
        return [z for z in range(self.states.shape[1]) if extent is None or extent.holds(z)]


def look_at_study(study: OpenStudy) -> StudyShown:
    """The open study as a frozen value to draw."""
    frame, level = study.place
    return StudyShown(
        name=study.cine.source.name,
        line=describe(study.cine),
        warnings=study.cine.warnings,
        is_dicom=study.loaded.cine.source.format == "DICOM",
        rate_unknown=study.loaded.cine.rr_ms is None and len(study.states) > 1,
        hash=study.loaded.hash,
        frames=study.states.shape[0],
        slices=study.states.shape[1],
        frame=frame,
        slice=level,
        state=SliceState(study.states[frame, level]),
        states=study.states.tobytes(),
        predicted=int(np.count_nonzero(study.states)),
        edited=int(np.count_nonzero(study.states == SliceState.EDITED)),
        frame_pending=len(study.acceptable(whole_frame=True)),
        result=describe_function(study.measured.function) if study.measured and study.states.any() else "",
        can_undo=study.history.can_undo,
        can_redo=study.history.can_redo,
        reading=study.reading,
        body=study.cine.body,
        measured=study.measured,
        phases=study.phases,
    )
