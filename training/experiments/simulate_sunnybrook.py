"""Ten labels of one Sunnybrook study: do they help on the other, of whose vendor the model never saw a scan?

    python training/experiments/simulate_sunnybrook.py SUNNYBROOK acdc.json --base base35.safetensors --out DIR

Labels are the slices that the window would suggest among those that readers drew: their LV, beside the model's RV. Both
studies take turns; Dice is of the LV's cavity. What was known before is looked at on patients of ACDC's `test`.
"""

import json
import shutil
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import numpy as np
from glrp_training.adapt import adapt
from glrp_training.dataset import load_dataset
from glrp_training.places import look_at
from glrp_training.score import Case
from glrp_training.simulate import average, load_patients, pass_on, score_patients, store_corrections, store_study
from glrp_training.sunnybrook import draw_as_readers, measure_lv, read_contours

from glrp_napari.device import choose_placement
from glrp_napari.gate import decide
from glrp_napari.models import find_model
from glrp_napari.progress import collect
from glrp_napari.reading import read_cine
from glrp_napari.segment import open_model
from glrp_napari.slice_states import SliceState
from glrp_napari.suggest import suggest

STUDIES = ("SCD0000101", "SCD0000201")


def main() -> None:
    """Fine-tune on either study, print what became of the other."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sunnybrook", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--base", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--patients", type=int, default=10)
    options = parser.parse_args()
    base, place = find_model(options.base), choose_placement()
    before = open_model(base, place)
    patients = load_patients(load_dataset(options.dataset), "test", 0, options.patients)
    original = average(collect(score_patients(before, patients)))
    cines = {name: read_cine(options.sunnybrook / name / "dicom") for name in STUDIES}
    cavities = {name: read_contours(options.sunnybrook / name, cines[name].images.shape, "i") for name in STUDIES}
    for source, target in (STUDIES, STUDIES[::-1]):
        cine, cavity, work = cines[source], cavities[source], options.out / source
        shutil.rmtree(work, ignore_errors=True)
        seen = collect(look_at(cine, before))
        states = np.where(cavity.any((2, 3)), SliceState.PREDICTED, SliceState.UNTOUCHED).astype(np.uint8)
        picks = [(one.frame, one.slice) for one in suggest([replace(seen, states=states)], options.labels)]
        outline = read_contours(options.sunnybrook / source, cine.images.shape, "o")
        patient = Case(source, cine, draw_as_readers(seen.mask, cavity, outline), source)
        collect(store_corrections(work / "labels", patient, picks, before, base.card.name))
        study = store_study(work / "study.npy", patient)
        done = collect(pass_on(adapt(work / "labels", base, work / "models", source, place, study)))
        after, verdict = open_model(find_model(str(done.model)), place), decide(done.comparison)
        row = {
            "labels of": source,
            "labels": len(picks),
            "base": collect(measure_lv(before, cines[target], cavities[target])),
            "candidate": collect(measure_lv(after, cines[target], cavities[target])),
            "base_original": original,
            "candidate_original": average(collect(score_patients(after, patients))),
            "accepted": verdict.accepted,
            "sentence": verdict.sentence,
        }
        (work / "outcome.json").write_text(json.dumps(row, indent=1) + "\n")
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
