"""What the section Study asks for by a file dialog: opening, loading and saving masks, tables, reports, the session."""

from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from glrp_napari.gui import asking
from glrp_napari.gui.drafting import Drafting
from glrp_napari.gui.mask_files import MaskFiles
from glrp_napari.gui.saving import Saving
from glrp_napari.gui.study import StudySection
from glrp_napari.gui.study_opening import StudyOpening
from glrp_napari.gui.transferring import Transferring
from glrp_napari.gui.workplace import Workplace
from glrp_napari.session import remember_session
from glrp_napari.writing.folders import check_folder


class StudyFiles(QObject):
    """Asks where, and has it done; `remembers` keeps a session folder that was chosen for the next time."""

    def __init__(
        self,
        workplace: Workplace,
        opening: StudyOpening,
        drafting: Drafting,
        transferring: Transferring,
        window: QWidget,
        remembers: bool,
    ) -> None:
        super().__init__(window)
        self._workplace, self._opening, self._drafting = workplace, opening, drafting
        self._transferring = transferring
        self._window, self._remembers = window, remembers
        self.masks = MaskFiles(workplace, window)
        self.saving = Saving(workplace)

    def connect_section(self, section: StudySection) -> None:
        """Answer the section's wishes, and show there what takes long."""
        section.file_wanted.connect(lambda: self.open(asking.ask_file(self._window, "Open a cine", asking.CINES)))
        section.folder_wanted.connect(lambda: self.open(asking.ask_folder(self._window, "Open a DICOM folder")))
        section.layer_wanted.connect(self._opening.open_selected_layer)
        section.load_wanted.connect(self._on_load_mask)
        section.save_wanted.connect(self._on_save_mask)
        section.seg_wanted.connect(self._on_save_seg)
        section.table_wanted.connect(self._on_save_table)
        section.report_wanted.connect(self._on_save_report)
        section.session_wanted.connect(self._on_change_session)
        section.cancelled.connect(self.saving.cancel)
        self.saving.began.connect(section.progress.begin)
        self.saving.advanced.connect(section.progress.advance)
        self.saving.ended.connect(section.progress.end)

    def open(self, path: Path | None) -> None:
        """Open what was chosen, if anything was."""
        if path is not None:
            self._workplace.tell("")
            self._opening.open_path(path)

    def change_session(self, folder: Path) -> None:
        """Keep labels, models and drafts in `folder` if files can be kept there, else say why not."""
        place = self._workplace
        if self._may_change():
            place.readers.run(lambda: check_folder(folder), lambda _none: self._take_session(folder), place.tell)

    def _may_change(self) -> bool:
        """Whether nothing works with the session folder; an import would go on in a library that is let go."""
        is_free = not self._workplace.now.job and not self._transferring.steps.is_running
        if not is_free:
            self._workplace.tell("Wait until the work under way is done, or cancel it, before changing the folder.")
        return is_free

    def _on_load_mask(self) -> None:
        for path in asking.ask_files(self._window, "Load a mask, or several of single frames", asking.MASKS):
            self.masks.load(path)

    def _on_save_mask(self) -> None:
        name = f"{self._workplace.look().study.name}_mask.nii.gz"
        if (path := asking.ask_target(self._window, "Save the mask", name)) is not None:
            self.masks.save(path, self._drafting.begin_saving())

    def _on_save_seg(self) -> None:
        if (folder := asking.ask_folder(self._window, "Save a DICOM SEG a frame in")) is not None:
            self.saving.save_seg(folder)

    def _on_save_table(self) -> None:
        name = f"{self._workplace.look().study.name}.csv"
        if (path := asking.ask_target(self._window, "Save the table", name, asking.CSV)) is not None:
            self.saving.save_table(path)

    def _on_save_report(self, with_patient: bool) -> None:
        name = f"{self._workplace.look().study.name}_report.pdf"
        if (path := asking.ask_target(self._window, "Save the report", name, asking.PDF)) is not None:
            self.saving.save_report(path, with_patient)

    def _on_change_session(self) -> None:
        if (path := asking.ask_folder(self._window, "Keep labels, models and drafts in")) is not None:
            self.change_session(path)

    def _take_session(self, folder: Path) -> None:
        if not self._may_change():  # begun while the folder was checked
            return
        self._workplace.change_session(folder)
        if self._remembers:
            remember_session(self._workplace.now.session)
