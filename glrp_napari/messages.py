"""The words a job and its client exchange: one JSON object a line over the job's stdin and stdout.

Arrays never travel here; a message names the `.npy` file that holds them. A job receives one request, sends events
and ends in exactly one terminal event. Knows neither torch nor Qt.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from glrp_napari.cine import Geometry

MAX_LINE_BYTES = 1_000_000
"""A longer line is not one of ours and is refused unread."""


class Message(BaseModel):
    """Base of all messages: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StudyFile(Message):
    """A cine as a job reads it: `images` is an .npy file (T, Z, Y, X), opened memory-mapped."""

    images: Path
    geometry: Geometry
    name: str


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
    """Adapt the weights file `base` to the labels in the folder `library`; the new model is written to `models`."""

    kind: Literal["finetune"] = "finetune"
    library: Path
    base: Path
    models: Path
    name: str
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
    """One optimisation step: its loss, and the time left."""

    kind: Literal["training-step"] = "training-step"
    step: int
    total: int
    loss: float
    seconds_left: float | None = None


class Validated(Message):
    """The network after `step`, measured on the validation part: mean Dice by structure and under "mean"."""

    kind: Literal["validated"] = "validated"
    step: int
    dice: dict[str, float]


class Comparison(Message):
    """Base and candidate on labelled slices that training did not see: mean Dice by structure and over all.

    `held_out` says what kept them apart: other patients, other slices of the same patients, or nothing
    ("not validated"; then the figures are empty). `trained` labels were learned from, `slices` were kept apart.
    """

    held_out: Literal["patients", "slices", "nothing"]
    trained: int = 0
    slices: int = 0
    base: dict[str, float] = Field(default_factory=dict)
    candidate: dict[str, float] = Field(default_factory=dict)


class SegmentDone(Message):
    """The segmentation is complete. `ed` and `es` are the frames found; `seconds` is the time by stage."""

    kind: Literal["segment-done"] = "segment-done"
    frames: tuple[int, ...]
    ed: int | None
    es: int | None
    device: str
    seconds: dict[str, float]


class FinetuneDone(Message):
    """The new model is in the weights file `model`, with its card beside it."""

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


def is_worse(comparison: Comparison) -> bool:
    """Whether the candidate's mean Dice on what was kept apart is below the base's."""
    return comparison.candidate.get("mean", 0.0) < comparison.base.get("mean", 0.0)


def describe_comparison(comparison: Comparison) -> str:
    """The comparison in one sentence for the user."""
    trained = f"Trained on {_count(comparison.trained, 'label')}"
    if comparison.held_out == "nothing":
        return f"{trained}. Not validated: that needs new labels from two patients, or five of one."
    before, after = comparison.base.get("mean", 0.0), comparison.candidate.get("mean", 0.0)
    where = "another patient" if comparison.held_out == "patients" else "the same patient"
    kept = f"{_count(comparison.slices, 'labelled slice')} of {where}, kept apart"
    return f"{trained}. Dice on {kept}: {before:.3f} before, {after:.3f} now ({after - before:+.3f})."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _check_length(line: bytes) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"message of {len(line)} bytes: expected at most {MAX_LINE_BYTES}")
    return line
