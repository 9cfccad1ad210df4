"""The list of what is odd about labels before training: a click shows the slice, the user may go on all the same."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QListWidget, QListWidgetItem, QVBoxLayout

from glrp_napari.gui.pieces import make_button, make_label, make_row
from glrp_napari.gui.snapshot import Snapshot, StudyShown
from glrp_napari.gui.words import describe_finding, describe_findings
from glrp_napari.known_studies import NONE_KNOWN
from glrp_napari.lint import LabelFinding

TALLEST = 110


class FindingsPanel(QFrame):
    """Shows findings until the user goes on or puts them away."""

    label_chosen = Signal(object)
    anyway = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "notice")
        self.text = make_label()
        self.list = QListWidget()
        self.list.setMaximumHeight(TALLEST)
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.list.itemClicked.connect(lambda item: self.label_chosen.emit(item.data(Qt.ItemDataRole.UserRole)))
        self.go_on = make_button("Fine-tune anyway", "Train on the labels as they are")
        self.close_button = make_button("Not now", "Close this list")
        self.go_on.clicked.connect(self._on_go_on)
        self.close_button.clicked.connect(self.hide)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(4)
        column.addWidget(self.text)
        column.addWidget(self.list)
        column.addLayout(make_row(self.go_on, self.close_button))
        self._known = NONE_KNOWN
        self.hide()

    def draw(self, now: Snapshot) -> None:
        """Know what closed studies are called."""
        self._known = now.known

    def show_findings(self, findings: Sequence[LabelFinding], study: StudyShown | None) -> None:
        """List findings; none hides the panel."""
        self.list.clear()
        for finding in findings:
            item = QListWidgetItem(describe_finding(finding, study, self._known))
            item.setToolTip(item.text())
            item.setData(Qt.ItemDataRole.UserRole, finding.label)
            self.list.addItem(item)
        self.text.setText(describe_findings(len(findings)))
        self.setVisible(bool(findings))

    def _on_go_on(self) -> None:
        self.hide()
        self.anyway.emit()
