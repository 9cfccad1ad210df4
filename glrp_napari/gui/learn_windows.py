"""The windows that Learn opens on demand, "Did it help?" and "Models", and what is done in them."""

from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from glrp_napari.gui.comparing import ComparisonWindow
from glrp_napari.gui.model_window import ModelWindow
from glrp_napari.gui.snapshot import Snapshot
from glrp_napari.gui.workplace import Workplace
from glrp_napari.model_files import Imported, export_model, import_model
from glrp_napari.models import VERDICT, Model, read_comparison


class LearnWindows(QObject):
    """Opens the windows; each exists at most once."""

    def __init__(self, workplace: Workplace, parent: QWidget) -> None:
        super().__init__(parent)
        self._workplace, self._parent = workplace, parent
        self.comparison: ComparisonWindow | None = None
        self.models: ModelWindow | None = None

    def draw(self, now: Snapshot) -> None:
        """Keep the list of models up to date."""
        if self.models is not None:
            self.models.draw(now.models, now.model, now.known)

    def show_comparison(self) -> None:
        """Did it help?"""
        now = self._workplace.now
        if now.comparison is not None:
            self._show(ComparisonWindow(now.candidate, now.comparison, self._parent, known=now.known))

    def show_models(self) -> None:
        """All models."""
        if self.models is None:
            self.models = ModelWindow(self._parent)
            self.models.use_wanted.connect(self._workplace.choose_model)
            self.models.comparison_wanted.connect(self._on_comparison)
            self.models.export_wanted.connect(self._on_export)
            self.models.import_wanted.connect(self._on_import)
        self.draw(self._workplace.now)
        self.models.show()
        self.models.raise_()

    def _on_comparison(self, model: Model) -> None:
        """Did this one help? The one just trained still has its pictures, of others the card knows the figures."""
        now, card = self._workplace.now, model.card
        if now.comparison is not None and card.name == now.candidate:
            self.show_comparison()
        elif (comparison := read_comparison(card)) is not None:
            sentence = str(card.figures.get(VERDICT, ""))
            self._show(ComparisonWindow(card.name, comparison, self._parent, sentence, now.known))

    def _show(self, window: ComparisonWindow) -> None:
        if self.comparison is not None:
            self.comparison.close()
        self.comparison = window
        window.show()

    def _on_export(self, model: Model, path: Path) -> None:
        place = self._workplace
        place.writers.run(lambda: export_model(model, path), lambda _none: None, place.tell)

    def _on_import(self, path: Path) -> None:
        place, folder = self._workplace, self._workplace.now.session.models
        place.writers.run(lambda: import_model(path, folder), self._on_imported, place.tell)

    def _on_imported(self, imported: Imported) -> None:
        self._workplace.tell(imported)
        self._workplace.list_session()
