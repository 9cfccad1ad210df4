"""The section Correct: structures, tools, undo, filling in from neighbours, and accepting slices as labels."""

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QGridLayout, QMenu, QPushButton, QSlider

from glrp_napari.cine import Structure
from glrp_napari.drawing.palette import COLOURS, NAMES
from glrp_napari.gui.light import Light
from glrp_napari.gui.pieces import Section, make_button, make_label, make_row, set_primary
from glrp_napari.gui.proposals import ProposalPart
from glrp_napari.gui.shortcuts import KEYS
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.gui.words import describe_slice, describe_suggestion
from glrp_napari.slice_states import PENDING

TOOLS = (("paint", "Brush", "P"), ("fill", "Fill", "F"), ("erase", "Erase", "E"), ("pan_zoom", "Move", "Z"))
ACTIONS = (
    (
        "follow_heart",
        "Follow the heart",
        "Propose what you changed on this slice for the other frames",
    ),
    ("interpolate", "Interpolate", "Fill the slices between the two nearest ones you edited"),
)
MORE = (
    ("spread_edit", "Carry to neighbouring slices", "Propose what you changed in this frame for the slices beside it"),
    ("smooth_outline", "Smooth the outline", "Smooth the chosen structure's outline on this slice"),
    ("close_ring", "Close the ring", "Close the myocardium about the LV on this slice, and fill holes"),
    ("copy_slice_before", "Copy slice before", "Copy the mask of the slice before onto this one"),
    ("copy_frame_before", "Copy frame before", "Copy this slice's mask of the frame before"),
)
VIEWS = (
    ("toggle_mask", "Hide or show the mask", "See what lies under it"),
    ("step_opacity", "Opacity", "Fainter, usual, stronger, in turn"),
    ("flicker", "Before the last run, or now", "What a new model changed, in turn with the mask as it is"),
)


class CorrectSection(Section):
    """Buttons for correcting by hand; says what the user wants by `wanted`, naming the action."""

    wanted = Signal(str)
    tool_chosen = Signal(str)
    brush_changed = Signal(int)

    def __init__(self) -> None:
        super().__init__("Correct")
        self.structures = {s: self._make_structure(s) for s in (Structure.RV, Structure.MYO, Structure.LV)}
        self.tools = {mode: self._make_tool(mode, text, key) for mode, text, key in TOOLS}
        self.column.addLayout(make_row(*self.structures.values()))
        self.push = self._make_action("push", "Push", "Drag the chosen structure's border along with the mouse")
        self.push.setCheckable(True)
        self.column.addLayout(make_row(*self.tools.values(), self.push))
        self._add_brush()
        self.undo = self._make_action("undo", "Undo", "Take back the last step, here or under Measure (Ctrl+Z)")
        self.redo = self._make_action("redo", "Redo", "Do it again (Ctrl+Shift+Z)")
        self.column.addLayout(make_row(self.undo, self.redo))
        self.edits = [self._make_action(*action) for action in ACTIONS]
        grid = QGridLayout()
        grid.setSpacing(4)
        for index, button in enumerate((*self.edits, self.outline, self._make_more())):
            grid.addWidget(button, index // 2, index % 2)
        self.column.addLayout(grid)
        self.proposals = ProposalPart()
        self.column.addWidget(self.proposals)
        self.state = make_label()
        self.column.addWidget(self.state)
        self.light = Light()
        self.column.addWidget(self.light)
        self.accept_slice = self._make_action("accept_slice", "Accept slice", "Keep this slice as a label")
        self.accept_frame = self._make_action("accept_frame", "Accept frame", "Keep all slices of this frame as labels")
        self.column.addLayout(make_row(self.accept_slice, self.accept_frame, stretch=(2, 1)))
        self.suggest = self._make_action("next_suggestion", "Next suggestion", "Go to the slice most worth correcting")
        self.why = make_label(role="quiet")
        self.column.addLayout(make_row(self.suggest, self.why, stretch=(0, 1)))

    def draw(self, now: Snapshot, primary: bool) -> None:
        """Show a snapshot."""
        set_primary(self.accept_slice, primary)
        self.body.setEnabled(now.study is not None)
        self.draw_place(now)

    def draw_place(self, now: Snapshot) -> None:
        """Show what depends on the slice on screen: cheap, for it is called at every step."""
        study = now.study
        self.state.setText(describe_slice(study) if study else "")
        self.undo.setEnabled(bool(study and study.can_undo))
        self.redo.setEnabled(bool(study and study.can_redo))
        self.accept_slice.setEnabled(bool(study and study.state in PENDING))
        self.accept_frame.setEnabled(bool(study and study.frame_pending))
        self.suggest.setEnabled(bool(study and study.predicted))
        self.why.setText(describe_suggestion(now.suggestion, study))

    def draw_tools(self, structure: int, mode: str, brush: int, contour: int, pushing: bool = False) -> None:
        """Show which structure and tool the mask layer has."""
        for value, button in self.structures.items():
            button.setChecked(structure == value and mode != "erase")
        for name, button in self.tools.items():
            button.setChecked(mode == name and not pushing)
        self.push.setChecked(pushing)
        self.brush.blockSignals(True)
        self.brush.setValue(brush)
        self.brush.blockSignals(False)
        self.brush_text.setText(f"Brush {brush}")
        self.outline.setText("Show filled" if contour else "Show outlines")

    def _make_more(self) -> QPushButton:
        button = make_button("More", "What is needed less often")
        menu = QMenu(button)
        menu.setToolTipsVisible(True)
        for group in (MORE, VIEWS):
            menu.addSeparator()
            for action, text, tooltip in group:
                entry = menu.addAction(f"{text}  ({KEYS[action]})" if action in KEYS else text)
                entry.setToolTip(tooltip)
                entry.triggered.connect(lambda _checked=False, action=action: self.wanted.emit(action))
        button.setMenu(menu)
        return button

    def _make_structure(self, structure: Structure) -> QPushButton:
        action = f"choose_{structure.name.lower()}"
        button = make_button(NAMES[structure], f"Paint {NAMES[structure]} ({KEYS[action]})", checkable=True)
        swatch = QPixmap(12, 12)
        swatch.fill(QColor(COLOURS[structure]))
        button.setIcon(QIcon(swatch))
        button.clicked.connect(lambda: self.wanted.emit(action))
        return button

    def _make_tool(self, mode: str, text: str, key: str) -> QPushButton:
        button = make_button(text, f"{text} ({key})", checkable=True)
        button.clicked.connect(lambda: self.tool_chosen.emit(mode))
        return button

    def _make_action(self, action: str, text: str, tooltip: str) -> QPushButton:
        keys: Mapping[str, str] = KEYS
        button = make_button(text, f"{tooltip} ({keys[action]})" if action in keys else tooltip)
        button.clicked.connect(lambda: self.wanted.emit(action))
        return button

    def _add_brush(self) -> None:
        self.brush_text = make_label("Brush 6")
        self.brush = QSlider(Qt.Orientation.Horizontal)
        self.brush.setRange(1, 40)
        self.brush.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.brush.setToolTip("Brush size in pixels ([ and ])")
        self.brush.valueChanged.connect(self.brush_changed)
        self.outline = self._make_action("toggle_outline", "Show outlines", "Outlines or filled areas")
        self.column.addLayout(make_row(self.brush_text, self.brush, stretch=(0, 1)))
