"""What the dock shows at one moment, as a frozen value, and the one next step that follows from it. Pure: no Qt."""

from dataclasses import dataclass, field
from typing import Literal

from glrp_napari.assessment import Measurements
from glrp_napari.cine import Body
from glrp_napari.comparison import Comparison
from glrp_napari.decisions import Reading
from glrp_napari.known_studies import KnownStudies
from glrp_napari.library import DamagedRecord, Label
from glrp_napari.measure import UNCHOSEN, Phases
from glrp_napari.models import Model
from glrp_napari.session import SegmentOptions, Session
from glrp_napari.slice_states import SliceState
from glrp_napari.suggest import Suggestion

Job = Literal["", "segment", "finetune"]
UNDECIDED = Reading()
UNKNOWN = Body()
USUAL = SegmentOptions()
Step = Literal["", "open", "segment", "accept", "finetune", "compare"]


@dataclass(frozen=True)
class StudyShown:
    """The open study in words, and what its slices are: counts by state, and the state of the slice on screen.

    `states` are those of all slices, (T, Z) in its order, one byte a `SliceState`.
    """

    name: str
    line: str
    warnings: tuple[str, ...]
    hash: str
    frames: int
    slices: int
    is_dicom: bool = False
    rate_unknown: bool = False
    frame: int = 0
    slice: int = 0
    state: SliceState = SliceState.UNTOUCHED
    states: bytes = b""
    predicted: int = 0
    edited: int = 0
    frame_pending: int = 0
    result: str = ""
    can_undo: bool = False
    can_redo: bool = False
    reading: Reading = UNDECIDED
    body: Body = UNKNOWN
    measured: Measurements | None = None
    phases: Phases = UNCHOSEN


@dataclass(frozen=True)
class Snapshot:
    """Everything the sections draw. `new_labels` counts those accepted since the last fine-tuning here.

    `candidate` is the last fine-tuned model and `comparison` what was found about it; it is in use already where the
    gate let it pass, and `replaced` is then the model before. `unfinished` says that a fine-tuning was interrupted,
    or, with `background`, that a process without a window works on it.
    `model_changed` says that the chosen model has not segmented the open study yet. `read_only` says why the library
    may not be written to, empty where it may; `damaged` are its records that cannot be read. `known` are the
    studies that were opened in this session, by what they are called.
    """

    session: Session
    study: StudyShown | None = None
    opening: bool = False
    job: Job = ""
    models: tuple[Model, ...] = ()
    model: str = ""
    options: SegmentOptions = USUAL
    labels: tuple[Label, ...] = ()
    damaged: tuple[DamagedRecord, ...] = ()
    known: KnownStudies = field(default_factory=dict)
    read_only: str = ""
    can_take_over: bool = False
    reader: str = ""
    new_labels: int = 0
    candidate: str = ""
    replaced: str = ""
    comparison: Comparison | None = None
    unfinished: bool = False
    background: bool = False
    model_changed: bool = False
    draft_from: str = ""
    outcome: str = ""
    suggestion: Suggestion | None = None

    @property
    def learnable(self) -> tuple[Label, ...]:
        """The labels that a fine-tuning would learn from: those between base and apex."""
        return tuple(label for label in self.labels if not label.outside)


def choose_next(now: Snapshot) -> Step:
    """The one step to offer as the obvious next; none while a job works and nothing was corrected meanwhile."""
    if now.study is None:
        return "" if now.opening else "open"
    if now.study.edited:
        return "accept"
    if now.job:
        return ""
    if not now.models:
        return ""
    if now.study.predicted == 0 or now.model_changed:
        return "segment"
    if now.new_labels:
        return "finetune"
    refused = now.comparison is not None and not now.replaced
    return "compare" if refused else "accept"
