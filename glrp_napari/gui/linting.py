"""The look at the labels before a model learns from them: what is odd, or would be missed, is listed, and the user
decides.
"""

import numpy as np
from qtpy.QtCore import QObject, Signal

from glrp_napari.gui.stepping import Stepping
from glrp_napari.gui.workplace import Workplace
from glrp_napari.lint import LabelFinding, find_unaccepted, lint_library
from glrp_napari.slice_states import SliceState


class Linting(QObject):
    """Checks the labels to learn from; `passed` where nothing is odd, else `found` carries the findings."""

    passed = Signal()
    found = Signal(object)

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self.steps = Stepping(workplace.readers, self)

    def start(self) -> None:
        """Check all labels."""
        now = self._workplace.now
        if now.learnable and not now.job and not self.steps.is_running:
            steps = lint_library(now.session.labels, now.learnable)
            self.steps.run("Checking labels", steps, self._on_checked, self._workplace.tell)

    def _on_checked(self, findings: tuple[LabelFinding, ...]) -> None:
        findings = (*self._find_unaccepted(), *findings)
        self.found.emit(findings)
        if not findings:
            self.passed.emit()

    def _find_unaccepted(self) -> tuple[LabelFinding, ...]:
        """What was edited in the open study and is no label."""
        study = self._workplace.study
        if study is None:
            return ()
        edited = np.argwhere(study.states == SliceState.EDITED).tolist()
        return find_unaccepted(study.loaded.hash, [(frame, level) for frame, level in edited])
