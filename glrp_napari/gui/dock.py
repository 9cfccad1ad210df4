"""The dock "GLRP cardiac": five sections over one workplace. The only module that knows all of them."""

from collections.abc import Callable, Sequence
from functools import partial

from napari.utils.events import EventEmitter
from napari.viewer import Viewer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QVBoxLayout, QWidget

from glrp_napari.gui.correct import CorrectSection
from glrp_napari.gui.correcting import Correcting, release_keys
from glrp_napari.gui.drafting import Drafting
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.effort_keeping import EffortKeeping
from glrp_napari.gui.figures import Figures
from glrp_napari.gui.flicker import Flicker
from glrp_napari.gui.jobs import WORKER
from glrp_napari.gui.labelling import Labelling
from glrp_napari.gui.learn import LearnSection
from glrp_napari.gui.learn_windows import LearnWindows
from glrp_napari.gui.learning import Learning
from glrp_napari.gui.leaving import Leaving
from glrp_napari.gui.library_care import LibraryCare
from glrp_napari.gui.measure import MeasureSection
from glrp_napari.gui.measuring import Measuring
from glrp_napari.gui.naming import Naming
from glrp_napari.gui.pieces import STYLE, Notice
from glrp_napari.gui.playback import Playback
from glrp_napari.gui.segment import SegmentSection
from glrp_napari.gui.segmenting import Segmenting
from glrp_napari.gui.series import SeriesChoice
from glrp_napari.gui.slice_map import SliceMap
from glrp_napari.gui.snapshot import choose_next
from glrp_napari.gui.study import StudySection
from glrp_napari.gui.study_files import StudyFiles
from glrp_napari.gui.study_opening import StudyOpening
from glrp_napari.gui.suggesting import Suggesting
from glrp_napari.gui.watching import Watching
from glrp_napari.gui.words import describe_elsewhere
from glrp_napari.gui.workplace import Workplace
from glrp_napari.library import Label
from glrp_napari.messages import Validated
from glrp_napari.session import Session, default_reader, default_session, remember_reader

WIDTH = 330


class CardiacDock(QWidget):
    """The dock widget. Tests give their own `session` and worker `command`."""

    def __init__(
        self, napari_viewer: Viewer, session: Session | None = None, command: tuple[str, ...] = WORKER
    ) -> None:
        super().__init__()
        self._viewer = napari_viewer
        remembers = session is None
        self.workplace = Workplace(napari_viewer, session or default_session(), command)
        self.opening = StudyOpening(self.workplace)
        self.labelling = Labelling(self.workplace)
        self.playback = Playback(napari_viewer, self)
        self.drafting = Drafting(self.workplace)
        self.series = SeriesChoice(self.workplace, self.opening)
        self.segmenting = Segmenting(self.workplace)
        self.learning = Learning(self.workplace)
        self.correcting = Correcting(self.workplace, self.drafting, self.labelling)
        self.correcting.offer(flicker=Flicker(self.workplace).toggle)
        self.watching = Watching(self.workplace)
        self.suggesting = Suggesting(self.workplace, self.labelling)
        self.effort = EffortKeeping(self.workplace, self.labelling)
        self.windows = LearnWindows(self.workplace, self)
        self.leaving = Leaving(self.workplace, self.learning, napari_viewer.window._qt_window)
        self.library = LibraryCare(self.workplace, self)
        transferring = self.library.transferring
        self.files = StudyFiles(self.workplace, self.opening, self.drafting, transferring, self, remembers)
        if remembers:
            self.workplace.update(reader=default_reader())
            self.library.reader_typed.connect(remember_reader)
        self.naming = Naming(self.workplace)
        self.measuring = Measuring(self.workplace)
        self.figures = Figures(self.workplace, self.measuring, self)
        self.study, self.segment = StudySection(), SegmentSection()
        self.correct, self.learn = CorrectSection(), LearnSection()
        self.measure = MeasureSection()
        self.slice_map = SliceMap()
        self._lay_out()
        self._connect_workplace()
        self._connect_study()
        self._connect_work()
        self._connect_measure()
        self.draw()

    def draw(self) -> None:
        """Draw the present moment."""
        now = self.workplace.look()
        step = choose_next(now)
        self.study.draw(now, step == "open")
        self.segment.draw(now, step == "segment")
        self.slice_map.draw(now.study)
        self.correct.draw(now, step == "accept" and not self.correcting.following.proposals)
        self.draw_proposals()
        self.learn.draw(now, step)
        self.windows.draw(now)
        self.measure.draw(now)

    def draw_tools(self) -> None:
        """Draw which structure and tool are taken."""
        if (study := self.workplace.study) is not None:
            mask = study.mask
            pushing, brush = self.correcting.pushing.is_on, int(mask.brush_size)
            self.correct.draw_tools(int(mask.selected_label), str(mask.mode), brush, mask.contour, pushing)

    def draw_proposals(self) -> None:
        """Draw what is proposed, and whether that is still being worked out."""
        following, study = self.correcting.following, self.workplace.study
        place = study.place if study else (0, 0)
        self.correct.proposals.draw(following.proposals, following.left, place)
        if not following.is_busy:
            self.correct.proposals.progress.end()

    def tell(self, sentence: str) -> None:
        """Show a sentence at the top of the dock until it is closed."""
        self._notice.say(sentence, can_act=True)

    def _lay_out(self) -> None:
        self.setStyleSheet(STYLE)
        self.setMinimumWidth(WIDTH)
        # A click in the dock leaves, or gives, the focus to the image, where the keys work.
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocusProxy(self._viewer.window._qt_viewer.canvas.native)
        self._notice = Notice("✕", "Close this message")
        self._notice.wanted.connect(lambda: self.tell(""))
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(4)
        sections = (self.study, self.segment, self.slice_map, self.correct, self.learn, self.measure)
        for widget in (self._notice, *sections):
            column.addWidget(widget)
        column.addStretch(1)
        scroll = self._scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def _connect_workplace(self) -> None:
        self.workplace.changed.connect(self.draw)
        self.workplace.told.connect(self.tell)
        self.workplace.opened.connect(self._on_opened)
        self.correcting.tools_changed.connect(self.draw_tools)
        self._viewer.dims.events.current_step.connect(self._on_step)
        self._viewer.layers.events.removing.connect(self._on_layer_removing)
        self.playback.bind()
        self.correcting.bind(self._viewer)
        moves, touch = self._viewer.mouse_move_callbacks, self.effort.touch
        moves.append(touch)
        self.destroyed.connect(lambda: moves.remove(touch))
        watched = ((self._viewer.dims.events.current_step, self._on_step),)
        watched += ((self._viewer.layers.events.removing, self._on_layer_removing),)
        self.destroyed.connect(partial(release, self.workplace, self._viewer, watched, self.playback.unbind))
        QApplication.instance().aboutToQuit.connect(self.workplace.close)
        self.correcting.bind_window(self)

    def _connect_study(self) -> None:
        study = self.study
        self.files.connect_section(study)
        study.restore_wanted.connect(self.drafting.restore)
        study.discard_wanted.connect(self.drafting.discard)
        study.series_wanted.connect(self.series.choose)
        study.rate_typed.connect(self._on_rate)
        self.series.found.connect(study.show_series)

    def _connect_work(self) -> None:
        self.segment.wanted.connect(self.segmenting.start)
        self.segment.model_chosen.connect(self.workplace.choose_model)
        self.segment.options_chosen.connect(self.workplace.choose_options)
        self.segmenting.began.connect(lambda: self.segment.progress.begin("Starting…"))
        self.segmenting.advanced.connect(self.segment.progress.advance)
        self.slice_map.chosen.connect(self._on_place_chosen)
        self.correct.wanted.connect(self.correcting.do)
        self.correct.tool_chosen.connect(self.correcting.choose_tool)
        self.correct.brush_changed.connect(self.correcting.set_brush)
        self._connect_correct()
        self.correcting.offer(next_suggestion=lambda _study: self.suggesting.go_next())
        self.learn.effort_wanted.connect(lambda: self.effort.show_curve(self))
        self.library.connect_section(self.learn)
        self.library.linting.passed.connect(lambda: self.learning.start())
        self.learn.findings.anyway.connect(lambda: self.learning.start())
        self.learn.switch_wanted.connect(self.learning.switch)
        self.learn.resume_wanted.connect(lambda: self.learning.start(resume=True))
        self.learn.discard_wanted.connect(self.learning.discard)
        self.learn.comparison_wanted.connect(self.windows.show_comparison)
        self.learn.models_wanted.connect(self.windows.show_models)
        self.learn.remove_wanted.connect(self.labelling.remove)
        for chosen in (self.learn.label_chosen, self.learn.findings.label_chosen):
            chosen.connect(self._on_label_chosen)
        self.learning.began.connect(self.learn.begin)
        self.learning.began.connect(lambda: self._reveal(self.learn))
        self.library.linting.found.connect(lambda *_: self._reveal(self.learn))
        self.learning.advanced.connect(self.learn.advance)
        self.learning.lost.connect(self.learn.curve.add)
        self.learning.validated.connect(self._on_validated)
        for section in (self.segment, self.learn):
            section.cancelled.connect(self.workplace.jobs.cancel)

    def _connect_correct(self) -> None:
        part, following = self.correct.proposals, self.correcting.following
        part.taken.connect(lambda: self.correcting.do("take_proposals"))
        part.toggled.connect(lambda: self.correcting.do("toggle_proposal"))
        part.dropped.connect(following.drop)
        part.progress.cancelled.connect(following.cancel)
        following.began.connect(lambda: part.progress.begin("Following the heart"))
        following.advanced.connect(part.progress.advance)
        following.changed.connect(self.draw)
        self.watching.found.connect(self.correct.light.show_findings)
        self.correct.light.clicked.connect(self.watching.go_to_worst)

    def _connect_measure(self) -> None:
        section, measuring = self.measure, self.measuring
        self.correcting.offer(go_ed=partial(measuring.go, phase="ed"), go_es=partial(measuring.go, phase="es"))
        section.go_wanted.connect(lambda phase: self.correcting.do(f"go_{phase}"))
        section.phase_set.connect(measuring.set_phase)
        section.slices_set.connect(measuring.set_slices)
        section.body_set.connect(lambda decisions: measuring.decide(**decisions))
        section.undo_wanted.connect(lambda: self.correcting.do("undo"))
        section.loop_chosen.connect(self._on_loop)
        section.opened.connect(self.figures.show)
        self.figures.made.connect(self.correcting.bind_window)

    def _reveal(self, section: QWidget) -> None:
        """Scroll to the section in which something new is to be seen, once it is laid out."""
        QTimer.singleShot(0, lambda: self._scroll.ensureWidgetVisible(section, 0, 0))

    def _on_validated(self, found: Validated) -> None:
        first = self.learn.pictures[0].isHidden()
        self.learn.show_validation(found)
        if first:  # later the user may have scrolled on
            self._reveal(self.learn.pictures[0])

    def _on_opened(self, study: OpenStudy) -> None:
        self.playback.open(study.cine)
        self.measure.loop.setCurrentIndex(0)
        self.tell("")

    def _on_rate(self, beats: int) -> None:
        self.workplace.set_heart_rate(beats)
        if self.workplace.study is not None:
            self.playback.open(self.workplace.study.cine)

    def _on_loop(self, part: str) -> None:
        study = self.workplace.study
        if study is None or not part or None in study.phases:
            self.playback.loop_all()
        else:
            ed, es = study.phases
            first, last = (ed, es) if part == "systole" else (es, ed)
            self.playback.loop(first, last, len(study.states))

    def _on_step(self, _event: object) -> None:
        self.effort.touch()
        if self.workplace.study is not None:
            now = self.workplace.look()
            self.correct.draw_place(now)
            self.slice_map.draw(now.study)
            self.draw_proposals()

    def _on_layer_removing(self, _event: object) -> None:
        """Have napari free the layer's GL objects in the canvas's own context, whichever Qt left current.

        napari 0.9 frees them at once on removal (`_clean_and_update_scenegraph`); freed from Qt's context, which
        shares them, the canvas's next draw follows a dangling program and ends the process (Mesa, some NVIDIA).
        """
        self._viewer.window._qt_viewer.canvas.native.makeCurrent()

    def _on_place_chosen(self, frame: int, level: int) -> None:
        if self.workplace.study is not None:
            self.workplace.study.go(frame, level)

    def _on_label_chosen(self, label: Label) -> None:
        now = self.workplace.look()
        if now.study is not None and now.study.hash == label.study:
            self.workplace.study.go(label.frame, label.slice)
        else:
            self.tell(describe_elsewhere(label, now.known))


def release(
    workplace: Workplace,
    viewer: Viewer,
    watched: Sequence[tuple[EventEmitter, Callable[[object], None]]],
    unbind: Callable[[], None],
) -> None:
    """The dock is gone, the viewer may stay: end processes, save drafts, and give keys and wheel back to napari."""
    workplace.close()
    for event, callback in watched:
        event.disconnect(callback)
    unbind()
    release_keys(viewer)
