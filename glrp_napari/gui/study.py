"""The section Study: opening, what was opened in words, the mask's file, and the session folder."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFrame, QSpinBox, QVBoxLayout

from glrp_napari.gui.pieces import ProgressRow, Section, add_menu, make_button, make_label, make_row, set_primary
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.gui.words import describe_draft, describe_warnings


class StudySection(Section):
    """Shows the open study; says what the user wants by signals."""

    file_wanted = Signal()
    folder_wanted = Signal()
    layer_wanted = Signal()
    load_wanted = Signal()
    save_wanted = Signal()
    seg_wanted = Signal()
    table_wanted = Signal()
    report_wanted = Signal(bool)
    cancelled = Signal()
    session_wanted = Signal()
    restore_wanted = Signal()
    discard_wanted = Signal()
    series_wanted = Signal(int)
    rate_typed = Signal(int)

    def __init__(self) -> None:
        super().__init__("Study")
        self.open_button = make_button("Open…", "A file, a DICOM folder or a layer; or drop it on the image")
        self.save_button = make_button("Save…", "Save mask, table or report of this study")
        self._fill_menus()
        self.column.addLayout(make_row(self.open_button, self.save_button, stretch=(2, 1)))
        self.progress = ProgressRow()
        self.progress.cancelled.connect(self.cancelled)
        self.column.addWidget(self.progress)
        self.name = make_label()
        self.line = make_label()
        self.warnings = make_label(role="quiet")
        self.series = QComboBox()
        self.series.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.series.setPlaceholderText("Choose a series…")
        self.series.setToolTip("The series in this folder, short-axis stacks first")
        self.series.activated.connect(self.series_wanted)
        self.series.hide()
        self.rate = self._make_rate()
        for widget in (self.name, self.line, self.series, self.warnings, self.rate):
            self.column.addWidget(widget)
        self.draft = self._make_draft_bar()
        self.column.addWidget(self.draft)
        self.session = make_label(role="quiet")
        self.change = make_button("Change…", "Keep labels, models and drafts in another folder")
        self.change.clicked.connect(self.session_wanted)
        self.column.addLayout(make_row(self.session, self.change, stretch=(1, 0)))

    def show_series(self, titles: Sequence[str], chosen: int) -> None:
        """Offer the series of a folder; nothing to choose from hides the list."""
        self.series.clear()
        self.series.addItems(list(titles))
        self.series.setCurrentIndex(chosen)
        self.series.setVisible(len(titles) > 1)

    def draw(self, now: Snapshot, primary: bool) -> None:
        """Show a snapshot."""
        set_primary(self.open_button, primary)
        self.open_button.setEnabled(not now.opening)
        self.open_button.setText("Opening…" if now.opening else "Open…")
        study = now.study
        self.save_button.setEnabled(study is not None)
        self.load_action.setEnabled(study is not None)
        for action in (self.seg_action, self.named_action):
            action.setEnabled(study is not None and study.is_dicom)
        self.name.setText(study.name if study else "Nothing is open yet.")
        self.line.setText(study.line if study else "Open a short-axis cine, or drop it on the image.")
        self.warnings.setText(describe_warnings(study.warnings) if study else "")
        self.warnings.setToolTip("\n".join(study.warnings) if study else "")
        self.warnings.setVisible(bool(study and study.warnings))
        self.rate.setVisible(bool(study and study.rate_unknown))
        self.draft.setVisible(bool(now.draft_from))
        if now.draft_from:
            self.draft_text.setText(describe_draft(now.draft_from))
        self.session.setText(f"Labels and models: {now.session.folder}")

    def _fill_menus(self) -> None:
        *_, self.load_action = add_menu(
            self.open_button,
            (
                ("File (NIfTI, NRRD, MHA, DICOM)…", self.file_wanted.emit),
                ("DICOM folder…", self.folder_wanted.emit),
                ("The image layer selected in napari", self.layer_wanted.emit),
                ("A mask of this study (NIfTI, DICOM SEG)…", self.load_wanted.emit),
            ),
        )
        _mask, self.seg_action, _table, _report, self.named_action = add_menu(
            self.save_button,
            (
                ("Mask (NIfTI)…", self.save_wanted.emit),
                ("Mask (DICOM SEG, a file a frame)…", self.seg_wanted.emit),
                ("Table of measurements (CSV, JSON)…", self.table_wanted.emit),
                ("Report (PDF)…", lambda: self.report_wanted.emit(False)),
                ("Report with name and dates (PDF)…", lambda: self.report_wanted.emit(True)),
            ),
        )

    def _make_rate(self) -> QSpinBox:
        rate = QSpinBox()
        rate.setRange(0, 250)
        rate.setSpecialValueText("Heart rate: type it, the file does not say")
        rate.setPrefix("Heart rate ")
        rate.setSuffix(" /min")
        rate.setKeyboardTracking(False)
        rate.valueChanged.connect(self.rate_typed)
        return rate

    def _make_draft_bar(self) -> QFrame:
        bar = QFrame()
        bar.setProperty("role", "notice")
        self.draft_text = make_label()
        self.restore, self.discard = make_button("Restore"), make_button("Discard")
        self.restore.clicked.connect(self.restore_wanted)
        self.discard.clicked.connect(self.discard_wanted)
        column = QVBoxLayout(bar)
        column.setContentsMargins(4, 2, 4, 4)
        column.addWidget(self.draft_text)
        column.addLayout(make_row(self.restore, self.discard))
        return bar
