"""Accepting slices as labels, and taking labels out again: what changes in the open study and in the library."""

from functools import partial

from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import Label, accept_slices, remove_label
from glrp_napari.library.phases import keep_phases


class Labelling(QObject):
    """Makes labels of the workplace's study; `accepted` carries the study and its slices, before they are stored."""

    accepted = Signal(object, object)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace

    def accept(self, whole_frame: bool) -> None:
        """Store the slice, or the frame, on screen as labels."""
        place = self._workplace
        if (study := place.study) is None or not place.may_write():
            return
        before = {where: study.states[where] for where in study.acceptable(whole_frame)}
        accepted = study.accept(list(before))
        self.accepted.emit(study, accepted)
        folder, loaded, model = place.now.session.labels, study.loaded, study.find_model(study.place[0])
        place.changed.emit()

        def give_up(error: Exception) -> None:
            for where, state in before.items():
                study.states[where] = state
            place.tell(error)
            place.changed.emit()

        store = partial(accept_slices, folder, loaded.cine, accepted, model, loaded.hash, place.now.reader)
        place.writers.run(store, self._on_accepted, give_up)
        keep = partial(keep_phases, folder, study.settle_phases())  # apart: no label is lost with it
        place.writers.run(keep, lambda _none: None, place.tell)

    def remove(self, label: Label) -> None:
        """Take a label out of the library."""
        place, folder = self._workplace, self._workplace.now.session.labels
        if place.may_write():
            place.writers.run(lambda: remove_label(folder, label), lambda _none: self._on_removed(label), place.tell)

    def _on_accepted(self, labels: tuple[Label, ...]) -> None:
        self._workplace.update(new_labels=self._workplace.now.new_labels + len(labels))
        self._workplace.list_session()

    def _on_removed(self, label: Label) -> None:
        study = self._workplace.study
        if study is not None and study.loaded.hash == label.study:
            study.withdraw((label.frame, label.slice))
            self._workplace.changed.emit()
        self._workplace.list_session()
