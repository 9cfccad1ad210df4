"""Accepting slices as labels, and taking labels out again: what changes in the open study and in the library."""

from collections.abc import Mapping
from functools import partial

from qtpy.QtCore import QObject, Signal

from glrp_napari.cine import Mask
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.editing import OpenStudy, describe_stored
from glrp_napari.gui.matching import Matching
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import Label, accept_slices, load_protocol, remove_label
from glrp_napari.library.phases import keep_phases


class Labelling(QObject):
    """Makes labels of the workplace's study; `accepted` carries the study and its slices, before they are stored."""

    accepted = Signal(object, object)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._storing = 0
        self._matching = Matching(workplace, lambda: self._storing > 0)

    def accept(self, whole_frame: bool) -> None:
        """Store the slice, or the frame, on screen as labels."""
        place = self._workplace
        if (study := place.study) is None or not place.may_write():
            return
        before = {where: study.states[where] for where in study.acceptable(whole_frame)}
        accepted = study.accept(list(before))
        made = {where: study.states[where] for where in before}
        masks = {(one.frame, one.slice): one.mask for one in accepted}
        self.accepted.emit(study, accepted)
        folder, loaded, reader = place.now.session.labels, study.loaded, place.now.reader
        self._storing += 1
        place.changed.emit()

        def finish(labels: tuple[Label, ...]) -> None:
            self._storing -= 1
            self._on_accepted(study, labels, masks, before, made)

        def give_up(error: Exception) -> None:
            self._storing -= 1
            study.take_back(before, made)
            place.tell(error)
            place.survey_library()
            place.changed.emit()

        store = partial(accept_slices, folder, loaded.cine, accepted, study=loaded.hash, who=reader)
        place.writers.run(store, finish, give_up)
        keep = partial(keep_phases, folder, study.settle_phases())  # apart: no label is lost with it
        place.writers.run(keep, lambda _none: None, place.tell)
        check = partial(load_protocol, folder)  # only to tell of a damaged one
        place.writers.run(check, lambda _protocol: None, place.tell)

    def remove(self, label: Label) -> None:
        """Take a label out of the library."""
        place, folder = self._workplace, self._workplace.now.session.labels
        if place.may_write():
            place.writers.run(lambda: remove_label(folder, label), lambda _none: place.list_session(), place.tell)

    def _on_accepted(
        self,
        study: OpenStudy,
        labels: tuple[Label, ...],
        masks: Mapping[Place, Mask],
        before: Mapping[Place, int],
        made: Mapping[Place, int],
    ) -> None:
        by_place = {(label.frame, label.slice): label for label in labels}
        stored = {where: describe_stored(label, masks[where]) for where, label in by_place.items()}
        study.stored |= stored
        left = {where: state for where, state in before.items() if where not in stored}
        if left:
            study.take_back(left, made)
            self._workplace.tell(describe_left(len(left)))
        self._workplace.update(new_labels=self._workplace.now.new_labels + len(labels))
        self._workplace.list_session()


def describe_left(slices: int) -> str:
    """That corrected labels were not replaced by a model's answer."""
    if slices == 1:
        return "Not accepted: the library holds a corrected label of this slice, which stays. Remove that one first."
    return f"{slices} slices were not accepted: the library holds corrected labels of them, which stay."
