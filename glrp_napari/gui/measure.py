"""The section Measure: the numbers, ED and ES, base and apex of each ventricle, body size, and what opens on demand."""

from collections.abc import Mapping
from functools import partial
from itertools import product

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QGridLayout, QLabel, QWidget

from glrp_napari.cine import HEIGHT_CM, WEIGHT_KG
from glrp_napari.decisions import settle_body
from glrp_napari.gui.measure_words import describe_body, describe_phase, describe_sources, make_table
from glrp_napari.gui.pieces import Section, UndoPasses, make_button, make_label, make_row
from glrp_napari.gui.shortcuts import KEYS
from glrp_napari.gui.slice_range import SliceRange, describe_slices
from glrp_napari.gui.snapshot import Snapshot, StudyShown
from glrp_napari.norms import Sex

PHASES = ("ed", "es")
SIDES = ("lv", "rv")
NAMES = {"ed": "end-diastole", "es": "end-systole"}
LOOPS = (("Play: whole cycle", ""), ("Play: ED to ES", "systole"), ("Play: ES to ED", "diastole"))
BODY = "Height, weight and sex"


class MeasureSection(Section):
    """Shows the numbers and what they rest on; says what the reader decides by signals."""

    go_wanted = Signal(str)
    phase_set = Signal(str)
    loop_chosen = Signal(str)
    slices_set = Signal(str, str, object, bool)
    body_set = Signal(object)
    undo_wanted = Signal()
    opened = Signal(str)

    def __init__(self) -> None:
        super().__init__("Measure")
        self._study = ""
        self._had_mask = False
        self.table = make_label()
        self.table.setTextFormat(Qt.TextFormat.RichText)
        self.table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.column.addWidget(self.table)
        self.phases: dict[str, QLabel] = {}
        self.ranges: dict[tuple[str, str], SliceRange] = {}
        self.numbers: dict[tuple[str, str], QLabel] = {}
        self._add_phases()
        self._add_slices()
        self._add_body()
        self.missing = make_label(role="quiet")
        self.column.addWidget(self.missing)
        self.figures = make_button("Curves, wall…", "Volume–time curves, and the bullseye of wall thickness")
        self.montage = make_button("Montage…", "All slices at ED and at ES with contours; a click goes there")
        self.undo = make_button("Undo", "Take back the last step, here or in the mask (Ctrl+Z)")
        self.figures.clicked.connect(lambda: self.opened.emit("figures"))
        self.montage.clicked.connect(lambda: self.opened.emit("montage"))
        self.undo.clicked.connect(self.undo_wanted)
        self.column.addLayout(make_row(self.figures, self.montage, self.undo, stretch=(3, 2, 1)))
        self.fold(True)

    def draw(self, now: Snapshot) -> None:
        """Show a snapshot."""
        study = now.study
        self.body.setEnabled(study is not None)
        self._unfold_once(study)
        measured = study.measured if study else None
        self.table.setText(make_table(measured) if measured else "")
        self.table.setToolTip(describe_sources(measured) if measured else "")
        self.table.setVisible(bool(self.table.text()))
        self.undo.setEnabled(bool(study and study.can_undo))
        known = measured is not None and measured.function.ed is not None
        for button in (self.figures, self.montage):
            button.setEnabled(known)
        self.missing.setText(" ".join(measured.missing) if measured and known else "")
        self.missing.setVisible(bool(self.missing.text()))
        if study is not None:
            self._draw_phases(study)
            self._draw_slices(study)
            self._draw_body(study)

    def _unfold_once(self, study: StudyShown | None) -> None:
        """Unfold when the first mask comes; later the reader's folding stands."""
        has_mask = bool(study and study.predicted)
        if has_mask and not self._had_mask:
            self._had_mask = True
            self.fold(False)

    def _draw_phases(self, study: StudyShown) -> None:
        measured = study.measured is not None and study.measured.function.ed is not None
        for phase in PHASES:
            frame, chosen = getattr(study.phases, phase), getattr(study.reading.phases, phase) is not None
            self.phases[phase].setText(describe_phase(phase.upper(), frame, chosen, measured))

    def _draw_slices(self, study: StudyShown) -> None:
        measured = study.measured
        apex_first = bool(measured and measured.apex_first)
        for (side, phase), bar in self.ranges.items():
            frame = getattr(study.phases, phase)
            extent = measured.extents.get(frame) if measured and frame is not None else None
            # What was decided shows at once; the numbers follow.
            slices = getattr(study.reading, f"{side}_slices").get(frame, getattr(extent, side)) if extent else None
            bar.setEnabled(extent is not None)
            bar.show_slices(slices, study.slices, apex_first)
            self.numbers[side, phase].setText(describe_slices(slices, apex_first) if extent else "–")

    def _draw_body(self, study: StudyShown) -> None:
        reading, body = study.reading, settle_body(study.body, study.reading)
        values: Mapping[QDoubleSpinBox, float | None] = {
            self.height_box: body.height_cm,
            self.weight_box: body.weight_kg,
            self.age_box: reading.age_years,
        }
        for box, value in values.items():
            with QSignalBlocker(box):
                box.setValue(value or 0)
        with QSignalBlocker(self.sex):
            self.sex.setCurrentIndex(self.sex.findData(reading.sex.value if reading.sex else ""))
        self.body_source.setText(describe_body(study.body, reading))
        self.body_source.setVisible(bool(self.body_source.text()))
        bsa = study.measured.function.bsa_m2 if study.measured else None
        from_file = ", from the file" if study.measured and study.measured.bsa_from_file else ""
        self._body_text = BODY if bsa is None else f"Body surface {bsa:.2f} m²{from_file}"
        self._on_body_toggled(self.body_toggle.isChecked())

    def _add_phases(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.setColumnStretch(0, 1)
        for row, phase in enumerate(PHASES):
            self.phases[phase] = make_label()
            go = make_button(f"Go to {phase.upper()}", f"Show {NAMES[phase]} ({KEYS[f'go_{phase}']})")
            here = make_button("Set here", f"The frame on screen is {NAMES[phase]}")
            go.clicked.connect(lambda _checked=False, phase=phase: self.go_wanted.emit(phase))
            here.clicked.connect(lambda _checked=False, phase=phase: self.phase_set.emit(phase))
            for column, widget in enumerate((self.phases[phase], go, here)):
                grid.addWidget(widget, row, column)
            setattr(self, f"go_{phase}", go)
            setattr(self, f"set_{phase}", here)
        self.column.addLayout(grid)
        self.loop = QComboBox()
        self.loop.setToolTip("What the space bar plays")
        self.loop.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for text, data in LOOPS:
            self.loop.addItem(text, data)
        self.loop.activated.connect(lambda _index: self.loop_chosen.emit(self.loop.currentData()))
        self.column.addWidget(self.loop)

    def _add_slices(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(make_label("Slices", "quiet"), 0, 0)
        base, apex = make_label("base", "quiet"), make_label("apex", "quiet")
        apex.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        grid.addLayout(make_row(base, apex), 0, 1)
        for row, (side, phase) in enumerate(product(SIDES, PHASES), 1):
            bar, numbers = SliceRange(), make_label()
            bar.setProperty("side", side)
            bar.setToolTip(
                f"The {side.upper()}'s slices at {NAMES[phase]}: drag base or apex, or move the base by ← and →, "
                "the apex with Shift. Slices outside count nothing and are not learned from."
            )
            bar.chosen.connect(partial(self.slices_set.emit, side, phase))
            self.ranges[side, phase], self.numbers[side, phase] = bar, numbers
            for column, widget in enumerate((make_label(f"{side.upper()} at {phase.upper()}"), bar, numbers)):
                grid.addWidget(widget, row, column)
        self.column.addLayout(grid)

    def _add_body(self) -> None:
        self._body_text = BODY
        self.body_toggle = make_button(f"{BODY} ▸", "For values by body surface and for normal ranges", checkable=True)
        self.body_toggle.setFlat(True)
        self.body_toggle.toggled.connect(self._on_body_toggled)
        self.body_box = QWidget()
        self.height_box = self._make_body_box(" cm", HEIGHT_CM[1])
        self.height_box.valueChanged.connect(lambda value: self.body_set.emit({"height_cm": value}))
        self.weight_box = self._make_body_box(" kg", WEIGHT_KG[1])
        self.weight_box.valueChanged.connect(lambda value: self.body_set.emit({"weight_kg": value}))
        self.age_box = self._make_body_box(" years", 120)
        self.age_box.valueChanged.connect(lambda value: self.body_set.emit({"age_years": value or None}))
        self.sex = QComboBox()
        self.sex.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.sex.addItem("–", "")
        for sex in Sex:
            self.sex.addItem(sex.value, sex.value)
        self.sex.activated.connect(lambda _index: self.body_set.emit({"sex": self.sex.currentData() or None}))
        grid = QGridLayout(self.body_box)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        fields = (("Height", self.height_box), ("Weight", self.weight_box), ("Sex", self.sex), ("Age", self.age_box))
        for index, (text, widget) in enumerate(fields):
            grid.addWidget(make_label(text), index // 2, index % 2 * 2)
            grid.addWidget(widget, index // 2, index % 2 * 2 + 1)
        self.body_source = make_label(role="quiet")
        grid.addWidget(self.body_source, 2, 0, 1, 4)
        self.body_box.hide()
        self.column.addWidget(self.body_toggle)
        self.column.addWidget(self.body_box)

    def _make_body_box(self, suffix: str, most: float) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setDecimals(0)
        box.setRange(0, most)
        box.setSuffix(suffix)
        UndoPasses(box)
        box.setSpecialValueText("–")
        box.setKeyboardTracking(False)
        return box

    def _on_body_toggled(self, open_: bool) -> None:
        self.body_box.setVisible(open_)
        self.body_toggle.setText(f"{self._body_text} {'▾' if open_ else '▸'}")
