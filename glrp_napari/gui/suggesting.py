"""Going to the slice that is worth labelling next: ranks off the GUI's thread after runs and accepts."""

from dataclasses import replace

import numpy as np
from qtpy.QtCore import QObject

from glrp_napari.gui.atoms import Place
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.labelling import Labelling
from glrp_napari.gui.workplace import Workplace
from glrp_napari.messages import SegmentDone
from glrp_napari.slice_states import SliceState
from glrp_napari.suggest import Suggestion, suggest

NOTHING_SEGMENTED = "Nothing to suggest yet: segment the volume first."
NO_DOUBT = "Run Segment again to get suggestions: they need the model's doubt, which is not kept."
NOTHING_LEFT = "No more suggestions: every slice in doubt was shown or corrected. The next one starts from the first."


class Suggesting(QObject):
    """Keeps the ranking of the workplace's study fresh and shows one suggestion after another."""

    def __init__(self, workplace: Workplace, labelling: Labelling) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._picks: tuple[Suggestion, ...] = ()
        self._shown: set[Place] = set()
        self._asked = 0
        self._ranking = self._wanted = False
        workplace.opened.connect(self._on_opened)
        workplace.jobs.ended.connect(self._on_job_ended)
        labelling.accepted.connect(lambda _study, _slices: self._rank())

    def go_next(self) -> None:
        """Show the next suggestion, or as soon as the ranking is there; says so where there is none."""
        if self._ranking:
            self._wanted = True
        elif (study := self._workplace.study) is not None and not self._show_next(study):
            self._rank(wanted=True)

    def _show_next(self, study: OpenStudy) -> bool:
        for pick in self._picks:
            place = pick.frame, pick.slice
            if place not in self._shown and study.states[place] == SliceState.PREDICTED:
                self._shown.add(place)
                study.go(*place)
                self._workplace.viewer.layers.selection.active = study.mask
                self._workplace.update(suggestion=pick)
                return True
        return False

    def _rank(self, wanted: bool = False) -> None:
        """Rank what is segmented, with what was shown already set apart as if it were labelled."""
        study = self._workplace.study
        if study is None or (left := study.left_by_run) is None:
            self._picks = ()
            if wanted:
                is_segmented = study is not None and bool(np.any(study.states == SliceState.PREDICTED))
                self._workplace.tell(NO_DOUBT if is_segmented else NOTHING_SEGMENTED)
            return
        states = study.states.copy()
        for place in self._shown:
            states[place] = max(int(states[place]), SliceState.EDITED)
        given = replace(left, mask=study.mask.data.copy(), states=states)
        self._ranking, self._wanted, self._asked = True, wanted or self._wanted, self._asked + 1
        asked = self._asked
        self._workplace.readers.run(
            lambda: suggest([given]), lambda picks: self._take(asked, picks), lambda error: self._fail(asked, error)
        )

    def _take(self, asked: int, picks: tuple[Suggestion, ...]) -> None:
        if asked != self._asked:  # a newer ranking is under way
            return
        self._picks, self._ranking = picks, False
        wanted, self._wanted = self._wanted, False
        study = self._workplace.study
        if wanted and study is not None and not self._show_next(study):
            self._shown.clear()
            nothing = not np.any(study.states == SliceState.PREDICTED)
            self._workplace.tell(NOTHING_SEGMENTED if nothing else NOTHING_LEFT)

    def _fail(self, asked: int, error: BaseException) -> None:
        if asked == self._asked:
            self._ranking = self._wanted = False
            self._workplace.tell(error)

    def _on_opened(self, _study: OpenStudy) -> None:
        self._picks, self._shown, self._asked = (), set(), self._asked + 1
        self._ranking = self._wanted = False
        self._workplace.update(suggestion=None)

    def _on_job_ended(self, terminal: object) -> None:
        if isinstance(terminal, SegmentDone):
            self._shown.clear()
            self._rank()
