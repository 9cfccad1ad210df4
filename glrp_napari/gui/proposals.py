"""The part of Correct that shows what is proposed and takes or drops it; hidden while nothing is."""

from collections.abc import Collection

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from glrp_napari.cine import count
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.pieces import ProgressRow, make_button, make_label, make_row, set_primary


class ProposalPart(QWidget):
    """Draws proposals by place (t, z); says what the reader wants."""

    taken = Signal()
    dropped = Signal()
    toggled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.progress = ProgressRow()
        self.text = make_label()
        self.take = make_button("Take", "Write what is proposed, as one step, on slices you did not edit")
        self.leave = make_button("Leave this one", "Do not take what is proposed for the slice on screen")
        self.drop = make_button("Drop all", "Forget what is proposed")
        self.take.clicked.connect(self.taken)
        self.leave.clicked.connect(self.toggled)
        self.drop.clicked.connect(self.dropped)
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(4)
        body.addWidget(self.text)
        body.addLayout(make_row(self.take, self.leave, self.drop, stretch=(1, 1, 0)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.progress)
        column.addWidget(self._body)
        self._body.hide()

    def draw(self, proposed: Collection[Place], left: Collection[Place], place: Place) -> None:
        """Show how many are proposed, and what becomes of the slice on screen."""
        self._body.setVisible(bool(proposed))
        if not proposed:
            return
        taken = len(proposed) - len(left)
        here = "left as it is" if place in left else "outlined" if place in proposed else "nothing proposed"
        self.text.setText(f"Proposed for {describe_number(proposed)} · here: {here}")
        self.take.setText(f"Take {taken}" if left else "Take all")
        self.take.setEnabled(taken > 0)
        set_primary(self.take, taken > 0)
        self.leave.setText("Take this one" if place in left else "Leave this one")
        self.leave.setEnabled(place in proposed)


def describe_number(places: Collection[Place]) -> str:
    """`11 frames`, or `2 slices` where all are of one frame."""
    return count(len(places), "frame" if len({z for _t, z in places}) == 1 else "slice")
