import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from glrp_napari import messages as m
from glrp_napari.cine import Geometry
from glrp_napari.comparison import Comparison

STUDY = m.StudyFile(images=Path("a.npy"), geometry=Geometry(spacing_mm=(8, 1.5, 1.5)), name="a")
REQUESTS = [
    m.SegmentRequest(study=STUDY, model=Path("m.safetensors"), out=Path("o"), frames=(0, 3)),
    m.SegmentRequest(study=STUDY, model=Path("m.safetensors"), out=Path("o"), frames="ed-es", crf=True),
    m.FinetuneRequest(
        library=Path("l"), base=Path("b"), models=Path("m"), name="mine", in_use=Path("i"), may_write=True
    ),
    m.Cancel(),
]
EVENTS = [
    m.Ready(),
    m.Notice(text="ein Wort: é"),
    m.Progress(stage="Segmenting", done=1, total=3, seconds_left=1.5),
    m.FrameSegmented(frame=2, mask=Path("m.npy"), uncertainty=Path("u.npy"), embedding=Path("e.npy")),
    m.TrainingStep(step=1, total=2, loss=0.5),
    m.Validated(step=1, dice={"LV": 0.9}),
    m.SegmentDone(frames=(0, 1), ed=0, es=1, device="cpu", seconds={"segment": 1.0}),
    m.FinetuneDone(model=Path("m"), comparison=Comparison(held_out="nothing")),
    m.Cancelled(),
    m.Failed(reason="why"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.kind)
def test_requests_survive_the_wire(request_: m.Request) -> None:
    line = m.encode(request_)
    assert line.count(b"\n") == 1
    assert m.decode_request(line) == request_


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.kind)
def test_events_survive_the_wire(event: m.Event) -> None:
    assert m.decode_event(m.encode(event)) == event


@pytest.mark.parametrize(
    "line",
    [b"", b"hello\n", b"{}\n", b'{"kind": "ready", "extra": 1}\n', b'{"kind": "unknown"}\n', b"\xff\xfe\n"],
)
def test_fault_12_garbage_is_refused(line: bytes) -> None:
    with pytest.raises(ValidationError):
        m.decode_event(line)


def test_fault_13_a_huge_message_is_refused_before_parsing() -> None:
    line = json.dumps({"kind": "notice", "text": "x" * m.MAX_LINE_BYTES}).encode()
    with pytest.raises(ValueError, match="expected at most"):
        m.decode_event(line)
