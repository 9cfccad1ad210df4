"""A worker's double for what the real one must not be made to do: crash, hang, talk nonsense. `fake_worker.py MODE`."""

import os
import sys
import time
from pathlib import Path

import numpy as np
from glrp_napari import messages as m
from glrp_napari.comparison import Anchor, Comparison, PatientComparison, Scores, SliceChange
from glrp_napari.gate import decide


def send(message: m.Message) -> None:
    sys.stdout.buffer.write(m.encode(message))
    sys.stdout.buffer.flush()


def segment(request: m.SegmentRequest, mode: str) -> None:
    images = np.load(request.study.images, mmap_mode="r")
    asked = {"all": range(len(images)), "ed-es": (1, 3)}.get(request.frames, request.frames)
    frames = sorted(asked, key=lambda frame: frame != request.first)
    for done, frame in enumerate(frames, 1):
        mask = np.zeros(images.shape[1:], np.uint8)
        mask[:, 4:12, 4:12], mask[:, 6:10, 6:10] = 2, 3
        paths = [request.out / f"{kind}{frame}.npy" for kind in "mue"]
        np.save(paths[0], mask)
        np.save(paths[1], np.full(mask.shape, 0.25, np.float16))
        np.save(paths[2], np.random.default_rng(frame).normal(size=(len(mask), 8)).astype(np.float32))
        send(m.FrameSegmented(frame=frame, mask=paths[0], uncertainty=paths[1], embedding=paths[2]))
        send(m.Progress(stage="segmenting", done=done, total=len(frames), seconds_left=1.0))
        misbehave(mode)
        time.sleep(0.02)
    send(m.SegmentDone(frames=tuple(frames), ed=min(frames), es=max(frames), device="cpu", seconds={}))


def finetune(request: m.FinetuneRequest, mode: str) -> None:
    from glrp_napari.models import load_card, name_version, save_model_files

    for step in range(1, 6):
        send(m.TrainingStep(step=step, total=5, loss=1 / step, seconds_left=5.0 - step))
        send(m.Validated(step=step, dice={"RV": 0.7, "LV": 0.9, "mean": 0.8}))
        misbehave(mode)
    found = compare(request, 0.7 if mode == "worse" else 0.9)
    changes = {
        "name": name_version(request.name, request.models),
        "title": "My labels",
        "figures": {"verdict": decide(found).sentence, **found.model_dump(mode="json", exclude={"changed"})},
    }
    model = save_model_files(request.models, load_card(request.base).model_copy(update=changes), b"weights")
    send(m.FinetuneDone(model=model.weights, comparison=found))


def compare(request: m.FinetuneRequest, dice: float) -> Comparison:
    """Two slices of one patient: 0.8 before."""
    names = ("RV", "MYO", "LV")
    before, after = (
        Scores(
            dice=dict.fromkeys(names, value), area_cm2=dict.fromkeys(names, 9), area_error_cm2=dict.fromkeys(names, 1)
        )
        for value in (0.8, dice)
    )
    patient = PatientComparison(study="a" * 64, slices=2, base=before, candidate=after)
    picture = request.pictures / "change.npz"
    image, mask = np.arange(1600, dtype=np.uint8).reshape(40, 40), np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 3
    np.savez(picture, image=image, label=mask, before=np.roll(mask, 4, 0), after=mask, pixel_mm=(1, 1))
    change = SliceChange(study="a" * 64, frame=0, slice=2, before=0.8, after=dice, picture=picture)
    anchor = Anchor(base_phantoms=0.9, candidate_phantoms=0.9, agreement=0.99, slices=4)
    return Comparison(held_out="slices", trained=1, patients=(patient,), anchor=anchor, changed=(change, change))


def misbehave(mode: str) -> None:
    match mode:
        case "crash":
            print("out of luck", file=sys.stderr, flush=True)
            os.kill(os.getpid(), 9)
        case "exit":
            print("no luck either", file=sys.stderr, flush=True)
            sys.exit(3)
        case "hang":
            time.sleep(600)
        case "slow":
            time.sleep(0.3)
        case "garbage":
            sys.stdout.buffer.write(b'Loading 100%|###|\xff\xfe\n{"kind": "nonsense"}\n')
        case "long line":
            sys.stdout.buffer.write(b"x" * 3_000_000 + b"\n")
        case "flood":
            sys.stderr.write("warning: nothing of note\n" * 20_000)


def main(mode: str) -> None:
    send(m.Ready())
    line = sys.stdin.buffer.readline()
    if line:
        Path(os.environ.get("FAKE_WORKER_LOG", os.devnull)).write_bytes(line)
        request = m.decode_request(line)
        (segment if isinstance(request, m.SegmentRequest) else finetune)(request, mode)


if __name__ == "__main__":
    main(sys.argv[1])
