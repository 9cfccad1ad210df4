"""A job in a process of its own: `python -m glrp_napari.worker`.

Loads what a job needs, says `Ready`, takes one request from stdin, streams events to stdout and ends in exactly one
terminal event. Cancel stops it between two events, and a fine-tuning then keeps what it has. The end of stdin, or a
polite kill, means that the client is gone: a fine-tuning then leaves a checkpoint.

`python -m glrp_napari.worker REQUEST.json` runs the request in that file to its end, with nobody listening: so a
fine-tuning goes on when its window is closed. How it ended lies in its folder of models for the next window.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from glrp_napari.messages import (
    Cancel,
    Cancelled,
    Event,
    Failed,
    FinetuneRequest,
    FrameSegmented,
    Interrupted,
    Ready,
    SegmentDone,
    SegmentRequest,
    Terminal,
    decode_request,
    encode,
)
from glrp_napari.reasons import explain
from glrp_napari.session import UNFINISHED_OUTCOME
from glrp_napari.writing.atomic import write_atomically

if TYPE_CHECKING:
    from glrp_napari.segment import FrameResult


class Stop:
    """Whether, and why, a job is to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.client_is_gone = False

    @property
    def is_asked(self) -> bool:
        """Whether the job is to stop."""
        return self._asked.is_set()

    def ask(self, client_is_gone: bool = False) -> None:
        """Stop soon."""
        self.client_is_gone = client_is_gone
        self._asked.set()


def main() -> None:
    """Serve one request."""
    stop = Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.ask(client_is_gone=True))
    if sys.argv[1:]:
        sys.exit(run_alone(Path(sys.argv[1]), stop))
    else:
        serve(stop)


def serve(stop: Stop) -> None:
    """One request from stdin, its events to stdout."""
    wire = claim_stdout()
    import glrp_training.adapt  # noqa: F401  the slow imports happen before the request comes

    send(wire, Ready())
    requests = os.fdopen(0, "rb", buffering=0)  # unbuffered: a thread waiting in it holds no lock when Python exits
    line = requests.readline()
    if not line.strip():
        return
    threading.Thread(target=wait_for_stop, args=(requests, stop), daemon=True).start()
    for event in run_to_end(line, stop):
        send(wire, event)


def run_alone(request: Path, stop: Stop) -> int:
    """The request in a file, to its end; a failure's reason goes to stderr too. Returns the exit status."""
    line, status = request.read_bytes(), 0
    for event in run_to_end(line, stop):
        if isinstance(event, Terminal):
            store_outcome(line, event)  # here, where a fine-tuning that is done still holds the lock on its models
        if isinstance(event, Failed):
            print(event.reason, file=sys.stderr)
            status = 1
    return status


def store_outcome(line: bytes, terminal: Terminal) -> None:
    """Leave word of how the fine-tuning requested on `line` ended; no window waits for anything else."""
    try:
        request = decode_request(line)
    except ValueError:
        return
    if isinstance(request, FinetuneRequest):
        request.models.mkdir(parents=True, exist_ok=True)
        write_atomically(request.models / UNFINISHED_OUTCOME, encode(terminal))


def claim_stdout() -> IO[bytes]:
    """Keep the real stdout for messages; whatever else prints goes to stderr."""
    wire = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return wire


def send(wire: IO[bytes], event: Event) -> None:
    """Write one event; when nobody reads any more, leave at once."""
    try:
        wire.write(encode(event))
    except BrokenPipeError:
        os._exit(1)


def wait_for_stop(requests: IO[bytes], stop: Stop) -> None:
    """Ask to stop on a cancel message, or at the end of stdin, which means that the client is gone; what makes no sense
    is passed over.
    """
    for line in requests:
        with suppress(ValueError):
            if isinstance(decode_request(line), Cancel):
                stop.ask()
                return
    stop.ask(client_is_gone=True)


def run_to_end(line: bytes, stop: Stop) -> Iterator[Event]:
    """The events of the request on `line`; the last one, and only that, is terminal."""
    try:
        events = run_request(decode_request(line))
        for event in events:
            yield event
            if stop.is_asked and not isinstance(event, Terminal):
                yield from wind_up(events, stop)
                return
    except Exception as error:  # the job's border: any error becomes the job's terminal event
        yield Failed(reason=explain(error), detail=traceback.format_exc())


def wind_up(events: Generator[Event, None, None], stop: Stop) -> Iterator[Event]:
    """The last events of a job that is to stop: it may save what it has, or leave a checkpoint for later."""
    if not stop.client_is_gone:
        try:
            yield events.throw(Interrupted())
            yield from events
        except (Interrupted, StopIteration):
            yield Cancelled()
        return
    events.close()
    yield Cancelled()


def run_request(request: SegmentRequest | FinetuneRequest | Cancel) -> Generator[Event, None, None]:
    """Dispatch."""
    match request:
        case SegmentRequest():
            yield from run_segment(request)
        case FinetuneRequest():
            yield from run_finetune(request)
        case Cancel():
            yield Cancelled()


def run_segment(request: SegmentRequest) -> Iterator[Event]:
    """Segment as asked; each frame's arrays are written to the request's folder before the event that names them."""
    import numpy as np

    from glrp_napari.device import choose_placement
    from glrp_napari.measure import find_phases
    from glrp_napari.models import find_model
    from glrp_napari.refine import CrfSettings
    from glrp_napari.segment import FrameResult, open_model, segment

    started = time.monotonic()
    images = np.load(request.study.images, mmap_mode="r")
    model = find_model(str(request.model))
    segmenter = open_model(model, choose_placement(request.device))
    loaded = time.monotonic()
    masks = np.zeros(images.shape, np.uint8)
    done: list[int] = []
    crf = CrfSettings() if request.crf else None
    for event in segment(images, request.study.geometry, segmenter, request.frames, request.first, crf):
        if isinstance(event, FrameResult):
            masks[event.frame] = event.mask
            done.append(event.frame)
            yield _store_frame(event, request.out)
        else:
            yield event
    phases = find_phases(masks, request.study.geometry, frames=done)
    seconds = {"load": loaded - started, "segment": time.monotonic() - loaded}
    device = segmenter.placement.device.type
    yield SegmentDone(frames=tuple(done), ed=phases.ed, es=phases.es, device=device, seconds=seconds)


def run_finetune(request: FinetuneRequest) -> Iterator[Event]:
    """Adapt the base model to the library, or go on with what was interrupted."""
    from glrp_training.adapt import adapt, resume

    from glrp_napari.device import choose_placement
    from glrp_napari.models import find_model

    base, place = find_model(str(request.base)), choose_placement(request.device)
    if request.resume:
        yield from resume(base, request.models, place, request.pictures)
        return
    in_use = None if request.in_use is None else find_model(str(request.in_use))
    yield from adapt(
        request.library,
        base,
        request.models,
        request.name,
        place,
        request.study,
        request.pictures,
        request.phases,
        in_use=in_use,
        may_write=request.may_write,
    )


def _store_frame(result: "FrameResult", out: Path) -> FrameSegmented:
    import numpy as np

    paths = {name: out / f"{name}-{result.frame:04d}.npy" for name in ("mask", "uncertainty", "embedding")}
    np.save(paths["mask"], result.mask)
    np.save(paths["uncertainty"], result.uncertainty)
    np.save(paths["embedding"], result.embedding)
    return FrameSegmented(frame=result.frame, **paths)


if __name__ == "__main__":
    main()
