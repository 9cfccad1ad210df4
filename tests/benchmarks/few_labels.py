"""How long fine-tuning on ten labelled slices of one study takes: the final training, and all checks after it."""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from glrp_training.adapt import adapt

from glrp_napari.device import choose_placement
from glrp_napari.library import Accepted, accept_slices
from glrp_napari.messages import StudyFile, TrainingStep
from glrp_napari.models import DEFAULT_MODEL, find_model
from glrp_napari.phantom import make_phantom

LABELS = 10


def time_few_labels() -> None:
    """Wall clock and processor time of each part, with the default model on a phantom."""
    phantom = make_phantom(11, frames=(0, 5, 9))
    places = [(0, z) for z in np.flatnonzero(phantom.mask[0].any((1, 2)))][:LABELS]
    places += [(2, int(z)) for z in np.flatnonzero(phantom.mask[2].any((1, 2)))][: LABELS - len(places)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        accepted = [Accepted(t, int(z), "corrected", phantom.mask[t, z]) for t, z in places]
        accept_slices(folder / "labels", phantom.cine, accepted)
        np.save(folder / "study.npy", phantom.cine.images)
        study = StudyFile(images=folder / "study.npy", geometry=phantom.cine.geometry, name="phantom")
        base, place, started = find_model(DEFAULT_MODEL), choose_placement(), (time.monotonic(), measure_cpu())
        print(f"On {place.device}: at most 180 s are wanted of the final training on two cores, 20 s on a GPU")
        stage, last = "Preparing", started
        for event in adapt(folder / "labels", base, folder / "models", "bench", place, study):
            if isinstance(event, TrainingStep):
                now, cpu = time.monotonic(), measure_cpu()
                if event.stage != stage:
                    stage, last = event.stage, (now, cpu)
                elif event.step % 32 == 0:
                    print(
                        f"{stage}: step {event.step} after {now - last[0]:.0f} s, {cpu - last[1]:.0f} s of processors"
                    )
        wall, cpu = time.monotonic() - started[0], measure_cpu() - started[1]
        print(f"{len(places)} labels of one study, checks included: {wall:.0f} s, {cpu:.0f} s of processors")


def measure_cpu() -> float:
    """Seconds of processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    time_few_labels()
