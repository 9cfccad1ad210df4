"""Noting what studies are called as they are opened, so that labels of closed ones can be named."""

from qtpy.QtCore import QObject

from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.workplace import Workplace
from glrp_napari.known_studies import KnownStudies, KnownStudy, load_known, remember_study


class Naming(QObject):
    """Keeps the snapshot's `known` studies those of the session."""

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        workplace.opened.connect(self._on_opened)
        workplace.session_changed.connect(self._on_session_changed)
        self._load()

    def _load(self) -> None:
        place, session = self._workplace, self._workplace.now.session
        place.writers.run(lambda: load_known(session.studies), self._on_known, self._on_failed)

    def _on_session_changed(self) -> None:
        """The open study goes on in the new session, and its labels will lie there."""
        if self._workplace.study is not None:
            self._on_opened(self._workplace.study)
        else:
            self._load()

    def _on_opened(self, study: OpenStudy) -> None:
        place, session, source = self._workplace, self._workplace.now.session, study.loaded.cine.source
        path = None if source.path is None else source.path.absolute()
        known = KnownStudy(name=source.name, path=path)
        place.writers.run(
            lambda: remember_study(session.studies, study.loaded.hash, known), self._on_known, self._on_failed
        )

    def _on_known(self, known: KnownStudies) -> None:
        self._workplace.update(known=known)

    def _on_failed(self, error: Exception) -> None:
        """Where the session folder cannot be read or written, what matters more says so."""
        if not isinstance(error, OSError):
            self._workplace.tell(error)
