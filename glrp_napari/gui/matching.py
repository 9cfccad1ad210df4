"""Keeping the map of the open study true to the label library: what is stored there is shown, what is not is no label.

The map comes from the study as it was closed, and the library changes without it: by an import, in the list, in another
window, with the session folder.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from qtpy.QtCore import QObject

from glrp_napari.cine import Mask
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.editing import OpenStudy, describe_stored, identify
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import Label, Survey, load_masks
from glrp_napari.slice_states import STORED, SliceState

STATES = {"accepted": SliceState.ACCEPTED, "corrected": SliceState.CORRECTED}


class Matching(QObject):
    """Follows each survey of the library, but not while the study's own labels are on their way there."""

    def __init__(self, workplace: Workplace, is_storing: Callable[[], bool]) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._is_storing = is_storing
        self._told: set[str] = set()
        workplace.opened.connect(self._on_opened)
        workplace.session_changed.connect(self._on_session_changed)
        workplace.surveyed.connect(self._on_surveyed)

    def _on_opened(self, _study: OpenStudy) -> None:
        self._told = set()
        self._workplace.survey_library()

    def _on_session_changed(self) -> None:
        self._told = set()
        if (study := self._workplace.study) is not None:
            study.stored = {}

    def _on_surveyed(self, survey: Survey) -> None:
        """Read the masks that the map does not know, then follow."""
        place, folder = self._workplace, self._workplace.now.session.labels
        if (study := place.study) is None or self._is_storing():  # the survey may be from before what is being stored
            return
        labels = find_labels(study, survey)
        unknown = [label for where, label in labels.items() if not is_known(study, where, label)]

        def follow(masks: dict[Place, Mask]) -> None:
            current = study is place.study and folder == place.now.session.labels
            if current and not self._is_storing():  # what is being stored is surveyed afterwards
                match(study, labels, masks)
                self._tell_unread([label for label in unknown if (label.frame, label.slice) not in masks])
                place.changed.emit()

        place.writers.run(partial(load_masks, folder, study.loaded.cine, unknown), follow, place.tell)

    def _tell_unread(self, unread: Sequence[Label]) -> None:
        """Say once of each label that it could not be read; every survey tries again."""
        if not self._told.issuperset(label.stem for label in unread):
            self._workplace.tell(describe_unread(unread))
        self._told = {label.stem for label in unread}


def describe_unread(labels: Sequence[Label]) -> str:
    """That labels, one at least, could not be read, and where the first is."""
    where = f"slice {labels[0].slice + 1}, frame {labels[0].frame + 1}"
    if len(labels) == 1:
        return f"The library holds a label of {where} that could not be read: the mask on screen may be another."
    more = f"{len(labels)} labels of this study that could not be read, the first of {where}"
    return f"The library holds {more}: the masks on screen may be others."


def find_labels(study: OpenStudy, survey: Survey) -> dict[Place, Label]:
    """The labels of a study by their place in it."""
    frames, slices = study.states.shape
    own = (label for label in survey.labels if label.study == study.loaded.hash)
    return {(one.frame, one.slice): one for one in own if one.frame < frames and one.slice < slices}


def is_known(study: OpenStudy, place: Place, label: Label) -> bool:
    """Whether the map knows this very label of a place."""
    return place in study.stored and study.stored[place].identity == identify(label)


def match(study: OpenStudy, labels: Mapping[Place, Label], masks: Mapping[Place, Mask]) -> None:
    """Have the map say what the library holds: `labels`, and the `masks` (Y, X) of those that the map did not know.

    A slice that nobody drew on shows the stored mask, all of them as one step to take back; a drawing stays, as one
    that is not accepted. What the library does not hold is as it was before it was accepted. A label whose mask could
    not be read stays unknown.
    """
    for t, z in np.argwhere(np.isin(study.states, STORED)).tolist():
        if (t, z) not in labels:
            study.withdraw((t, z))
    drawn, shown = study.history.find_drawn(), {}
    for place, mask in masks.items():
        if np.array_equal(study.mask.data[place], mask):
            study.states[place] = STATES[labels[place].state]
        elif study.states[place] in (SliceState.EDITED, SliceState.CORRECTED):
            study.states[place] = SliceState.EDITED
        elif place not in drawn:
            shown[place] = mask
    study.history.write(shown, SliceState.ACCEPTED)
    for place in shown:
        study.states[place] = STATES[labels[place].state]
    kept = {place: study.stored[place] for place, label in labels.items() if is_known(study, place, label)}
    study.stored = kept | {place: describe_stored(labels[place], mask) for place, mask in masks.items()}
