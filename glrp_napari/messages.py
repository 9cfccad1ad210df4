"""The words a job and its client exchange: one JSON object a line over the job's stdin and stdout.

Arrays never travel here; a message names the `.npy` file that holds them. A job receives one request, sends events
and ends in exactly one terminal event. Knows neither torch nor Qt.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from glrp_napari.cine import Geometry
from glrp_napari.comparison import Comparison, SettledPhases

MAX_LINE_BYTES = 1_000_000
"""A longer line is not one of ours and is refused unread."""


class Interrupted(Exception):
    """Thrown into a running job's generator when its client cancels: a job that has something worth keeping may save
    it and still end as done; for any other this ends it.
    """


class Message(BaseModel):
    """Base of all messages: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StudyFile(Message):
    """A cine as a job reads it: `images` is an .npy file (T, Z, Y, X), opened memory-mapped.

    `outside` are the slices beyond base and apex by frame, where a reader set them: nothing is learned from those.
    """

    images: Path
    geometry: Geometry
    name: str
    outside: dict[int, tuple[int, ...]] = {}


class SegmentRequest(Message):
    """Segment `frames` of a study with the weights file `model`; results go to `out` as .npy files.

    `frames` is "all", "ed-es" (found by the job) or frame indices; `first` is segmented first, being on screen.
    """

    kind: Literal["segment"] = "segment"
    study: StudyFile
    model: Path
    out: Path
    frames: Literal["all", "ed-es"] | tuple[int, ...] = "all"
    first: int = 0
    crf: bool = False
    device: str = "auto"


class FinetuneRequest(Message):
    """Adapt the weights file `base` to the labels in the folder `library`; the new model is written to `models`.

    `in_use` is the weights file whose place the new model may take, with which it is compared (None: that is `base`).
    `may_write` says that the client has claimed the library, so that the order of its patients may be kept there.
    `study` is the open study, of whose unlabelled slices a few take part. `pictures` is the folder for pictures of
    slices before and after (None: none are made). `phases` are ED and ES of the open study, where they are settled;
    those of others are in the library. With `resume` the interrupted fine-tuning in `models` goes on.
    """

    kind: Literal["finetune"] = "finetune"
    library: Path
    base: Path
    models: Path
    name: str
    in_use: Path | None = None
    may_write: bool = False
    study: StudyFile | None = None
    pictures: Path | None = None
    phases: SettledPhases = {}
    resume: bool = False
    device: str = "auto"


class Cancel(Message):
    """Stop soon. The end of stdin means the same."""

    kind: Literal["cancel"] = "cancel"


class Ready(Message):
    """The job's process has started, has loaded what it needs and waits for its request."""

    kind: Literal["ready"] = "ready"


class Notice(Message):
    """A sentence for the user, e.g. that the GPU's memory was too small and the job goes on on the CPU."""

    kind: Literal["notice"] = "notice"
    text: str


class Progress(Message):
    """`done` of `total` pieces of `stage`; `seconds_left` is None until it can be estimated."""

    kind: Literal["progress"] = "progress"
    stage: str
    done: int
    total: int
    seconds_left: float | None = None


class FrameSegmented(Message):
    """One frame is done: `mask` is uint8 (Z, Y, X), `uncertainty` float16 (Z, Y, X) in 0…1 (normalised entropy).

    `embedding` is float32 (Z, C), how the network sees each slice.
    """

    kind: Literal["frame-segmented"] = "frame-segmented"
    frame: int
    mask: Path
    uncertainty: Path
    embedding: Path


class TrainingStep(Message):
    """One optimisation step: its loss, and the time left. `stage` names the training where there are several."""

    kind: Literal["training-step"] = "training-step"
    stage: str = "Training"
    step: int
    total: int
    loss: float
    seconds_left: float | None = None


class Validated(Message):
    """The network after `step`, measured on the validation part: mean Dice by structure and under "mean".

    `picture` is an .npz file of one slice of it: `image`, `label`, `before` (the base's answer) and `after`.
    """

    kind: Literal["validated"] = "validated"
    step: int
    dice: dict[str, float]
    picture: Path | None = None


class SegmentDone(Message):
    """The segmentation is complete. `ed` and `es` are the frames found; `seconds` is the time by stage."""

    kind: Literal["segment-done"] = "segment-done"
    frames: tuple[int, ...]
    ed: int | None
    es: int | None
    device: str
    seconds: dict[str, float]


class FinetuneDone(Message):
    """The new model is in the weights file `model`, with its card beside it; `gate.decide` judges the comparison."""

    kind: Literal["finetune-done"] = "finetune-done"
    model: Path
    comparison: Comparison


class Cancelled(Message):
    """The job stopped because it was asked to."""

    kind: Literal["cancelled"] = "cancelled"


class Failed(Message):
    """The job could not finish; `reason` is one sentence for the user, `detail` the technical rest."""

    kind: Literal["failed"] = "failed"
    reason: str
    detail: str = ""


Request = Annotated[SegmentRequest | FinetuneRequest | Cancel, Field(discriminator="kind")]
Terminal = SegmentDone | FinetuneDone | Cancelled | Failed
Event = Annotated[
    Ready
    | Notice
    | Progress
    | FrameSegmented
    | TrainingStep
    | Validated
    | SegmentDone
    | FinetuneDone
    | Cancelled
    | Failed,
    Field(discriminator="kind"),
]
_REQUESTS: TypeAdapter[Request] = TypeAdapter(Request)
_EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def encode(message: Message) -> bytes:
    """The message as one line, newline included."""
    return message.model_dump_json().encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """One line as a request. Raises ValueError (pydantic's ValidationError) when it is none."""
    return _REQUESTS.validate_json(_check_length(line))


def decode_event(line: bytes) -> Event:
    """One line as an event. Raises ValueError (pydantic's ValidationError) when it is none."""
    return _EVENTS.validate_json(_check_length(line))


def _check_length(line: bytes) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"message of {len(line)} bytes: expected at most {MAX_LINE_BYTES}")
    return line
