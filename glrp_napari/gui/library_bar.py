"""The library's part of the section Learn: its menu, and what must be known about it: who holds it, what is damaged."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from glrp_napari.gui.pieces import Notice, ProgressRow, add_menu, make_button
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.gui.words import describe_damaged


class LibraryBar(QWidget):
    """Shows notices about the library; says what the user wants by signals. `menu` belongs beside the title."""

    protocol_wanted = Signal()
    import_folder_wanted = Signal()
    import_zip_wanted = Signal()
    export_folder_wanted = Signal()
    export_zip_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.menu = make_button("Library", "Conventions and reader, import and export of labels")
        add_menu(
            self.menu,
            (
                ("Conventions and reader…", self.protocol_wanted.emit),
                ("Import labels from a folder…", self.import_folder_wanted.emit),
                ("Import labels from a .zip file…", self.import_zip_wanted.emit),
                ("Export labels to a folder…", self.export_folder_wanted.emit),
                ("Export labels to a .zip file…", self.export_zip_wanted.emit),
            ),
        )
        self.read_only = Notice("Take over", "Write to this library from here, if you know that nobody else does")
        self.damaged = Notice("Set aside", "Move the damaged records to the library's folder 'damaged' and go on")
        self.take_over_wanted, self.set_aside_wanted = self.read_only.wanted, self.damaged.wanted
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.read_only)
        column.addWidget(self.damaged)
        self.progress = ProgressRow()
        column.addWidget(self.progress)

    def draw(self, now: Snapshot) -> None:
        """Show a snapshot."""
        self.read_only.say(now.read_only, now.can_take_over)
        self.damaged.say(describe_damaged(now.damaged), not now.read_only)
