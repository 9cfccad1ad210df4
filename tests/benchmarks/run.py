"""`make bench`: how fast a cine is segmented here, and how that compares with plain eager fp32 in the same run."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from few_labels import time_few_labels
from scipy import ndimage
from training_steps import compare_training_steps

from glrp_napari.device import choose_placement
from glrp_napari.models import DEFAULT_MODEL, find_model
from glrp_napari.phantom import Anatomy, make_phantom
from glrp_napari.refine import CrfSettings, has_crf, refine_probabilities
from glrp_napari.segment import open_model
from glrp_napari.weights import load_network
from glrp_napari.writing.masks import write_images

FRAMES, SLICES = 30, 10
FAST_MODEL = "glrp-fast"


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = folder / "study.nii.gz"
        phantom = make_phantom(1, Anatomy(frames=FRAMES, slices=SLICES))
        write_images(study, phantom.cine.images, phantom.cine)
        time_command(study, folder, "all")
        time_command(study, folder, "ed-es")
        time_command(study, folder, "all", FAST_MODEL)
    compare_with_eager()
    compare_with_fast()
    compare_training_steps()
    time_few_labels()
    one_core = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run([sys.executable, __file__, "crf"], check=True, env=one_core)


def time_command(study: Path, folder: Path, frames: str, model: str = DEFAULT_MODEL) -> None:
    """Time `glrp segment` as a process, its start included, and read its own stages and peak memory."""
    started = time.monotonic()
    command = [sys.executable, "-m", "glrp_napari.cli", "segment", str(study), "--out", str(folder)]
    command += ["--frames", frames, "--model", model]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    stages = json.loads((folder / "study.json").read_text())["seconds"]
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(f"{FRAMES} frames × {SLICES} slices, {frames}, {model}: {sum(stages.values()):.1f} s {stages}, "
          f"{seconds:.1f} s with the start of Python, peak memory so far {peak_gb:.2f} GB")  # fmt: skip


def compare_with_eager(slices: int = 10, repeats: int = 5) -> None:
    """The default model on ten slices, as shipped against the same network unfused in float32."""
    network = load_network(find_model(DEFAULT_MODEL))
    run_ours, images = prepare_run(DEFAULT_MODEL, slices)

    @torch.inference_mode()
    def run_eager() -> None:
        network(images[:, None]).softmax(1)

    best_ours, best_eager = time_both(run_ours, run_eager, repeats)
    ratio, ours_ms, eager_ms = best_eager / best_ours, best_ours / slices * 1000, best_eager / slices * 1000
    print(f"a slice: {ours_ms:.0f} ms; eager fp32: {eager_ms:.0f} ms; {ratio:.2f} times as fast")


def compare_with_fast(slices: int = 10, repeats: int = 5) -> None:
    """The default model and the fast one on ten slices, both as shipped."""
    usual, fast = (prepare_run(name, slices)[0] for name in (DEFAULT_MODEL, FAST_MODEL))
    best_usual, best_fast = time_both(usual, fast, repeats)
    print(f"a slice of {FAST_MODEL}: {best_fast / slices * 1000:.0f} ms; {best_usual / best_fast:.2f} times as fast")


def prepare_run(name: str, slices: int) -> tuple[Callable[[], None], torch.Tensor]:
    """What segments so many slices (N, S, S) of noise by a model as shipped, and the slices."""
    model = find_model(name)
    size = model.card.preprocessing.size
    segmenter, images = open_model(model, choose_placement("cpu")), torch.randn(slices, size, size)

    def run() -> None:
        list(segmenter.predict(images))

    return run, images


def time_both(one: Callable[[], None], other: Callable[[], None], repeats: int) -> tuple[float, float]:
    """The best seconds of each, alternating, so that a noisy machine hits both alike."""
    times = [(clock(one), clock(other)) for _ in range(repeats)]
    return min(first for first, _ in times), min(second for _, second in times)


def compare_crf(repeats: int = 9) -> None:
    """The two engines of the CRF on noisy slices of blobs, 1.25 mm a pixel, four classes, as CPU time."""
    if not has_crf():
        print("CRF: pydensecrf is not installed, nothing to compare with")
        return
    for side in (144, 288):
        noise = np.random.default_rng(side)
        blobs = np.stack([ndimage.gaussian_filter(noise.normal(size=(side, side)), 6) for _ in range(5)]) * 60
        frame = (blobs[:1] + noise.normal(size=(side, side)) * 0.3).astype(np.float32)
        likelihood = np.exp(blobs[1:] - blobs[1:].max(0))
        probabilities = (likelihood / likelihood.sum(0)).astype(np.float32)[None]
        for iterations in (5, 10):
            engines = (CrfSettings(iterations=iterations, engine=engine) for engine in ("grid", "pydensecrf"))
            acts = [partial(refine_probabilities, probabilities, frame, (1.25, 1.25), settings) for settings in engines]
            times = [[clock(act, time.process_time) for act in acts] for _ in range(repeats)]  # alternating
            ours, reference = np.min(times, axis=0)
            print(f"CRF {side}², {iterations} iterations: {ours * 1000:.1f} ms a slice; "
                  f"pydensecrf: {reference * 1000:.1f} ms; {reference / ours:.1f} times as fast")  # fmt: skip


def clock(act: Callable[[], object], now: Callable[[], float] = time.monotonic) -> float:
    """Seconds that one call takes."""
    started = now()
    act()
    return now() - started


if __name__ == "__main__":
    compare_crf() if sys.argv[1:] == ["crf"] else main()
