"""The window "Models": every version with its card; use one, hand one on as a file, take one in."""

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDialog, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from glrp_napari.gui import asking
from glrp_napari.gui.model_words import describe_card
from glrp_napari.gui.pieces import STYLE, make_button, make_label, make_row
from glrp_napari.known_studies import NONE_KNOWN, KnownStudies
from glrp_napari.models import Model, read_comparison


class ModelWindow(QDialog):
    """Lists models; says what the user wants by signals."""

    use_wanted = Signal(str)
    comparison_wanted = Signal(object)
    export_wanted = Signal(object, object)
    import_wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models")
        self.setStyleSheet(STYLE)
        self.resize(640, 420)
        self._drawn: tuple[Sequence[Model], str, KnownStudies] = ((), "", NONE_KNOWN)
        self.list = QListWidget()
        self.list.currentItemChanged.connect(lambda *_: self._draw_card())
        self.card = make_label()
        self.card.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.card.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.use = make_button("Use this one", "Segment with it from now on; so one also goes back to an older one")
        self.use.clicked.connect(lambda: self.use_wanted.emit(self._chosen().card.name))
        self.compare = make_button("Did it help?…", "The figures by patient, as they were found after its fine-tuning")
        self.compare.clicked.connect(lambda: self.comparison_wanted.emit(self._chosen()))
        self.export = make_button("Export…", "Save the model as one file, to use it elsewhere")
        self.export.clicked.connect(self._on_export)
        self.take_in = make_button("Import…", "Take in a model that was exported; it is checked first")
        self.take_in.clicked.connect(self._on_import)
        column = QVBoxLayout(self)
        column.addLayout(make_row(self.list, self.card, stretch=(1, 2)), 1)
        column.addLayout(make_row(self.use, self.compare, self.export, self.take_in))

    def draw(self, models: Sequence[Model], active: str, known: KnownStudies) -> None:
        """Show these models, of which one is in use, and the `known` names of studies; the selection stays."""
        if self._drawn == (models, active, known):
            return
        self._drawn = (models, active, known)
        selected = self._chosen().card.name if self.list.currentItem() else active
        self.list.clear()
        for model in models:
            name = model.card.name
            item = QListWidgetItem(f"{name}  (in use)" if name == active else name)
            item.setData(Qt.ItemDataRole.UserRole, model)
            self.list.addItem(item)
            if name == selected:
                self.list.setCurrentItem(item)
        self._draw_card()

    def _draw_card(self) -> None:
        there = self.list.currentItem() is not None
        self.card.setText(describe_card(self._chosen().card, self._drawn[2]) if there else "")
        self.use.setEnabled(there and self._chosen().card.name != self._drawn[1])
        self.compare.setEnabled(there and read_comparison(self._chosen().card) is not None)
        self.export.setEnabled(there)

    def _chosen(self) -> Model:
        model: Model = self.list.currentItem().data(Qt.ItemDataRole.UserRole)
        return model

    def _on_export(self) -> None:
        model = self._chosen()
        path = asking.ask_target(self, "Export the model", f"{model.card.name}.zip", asking.ZIP)
        if path is not None:
            self.export_wanted.emit(model, path)

    def _on_import(self) -> None:
        path: Path | None = asking.ask_file(self, "Import a model", asking.MODELS)
        if path is not None:
            self.import_wanted.emit(path)
