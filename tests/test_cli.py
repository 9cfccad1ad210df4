"""The command line as its user meets it: files in, files out, one line and exit code 2 when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.assessment import measure_reading
from glrp_napari.decisions import Reading
from glrp_napari.library import list_labels
from glrp_napari.models import Model
from glrp_napari.phantom import Anatomy, Phantom, make_phantom
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.masks import write_images, write_mask

SMALL = Anatomy(frames=4, slices=5, pixels=96, pixel_mm=2.4)


def glrp(*arguments: object, home: Path | None = None, code: int = 0) -> str:
    """Run `glrp`; its stdout, or its stderr when `code` is not 0."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_DATA_HOME": str(home), "COLUMNS": "300"}
    command = [sys.executable, "-m", "glrp_napari.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(3, SMALL)


@pytest.fixture(scope="module")
def study(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "heart.nii.gz"
    write_images(path, phantom.cine.images, phantom.cine)
    return path


def test_segment_writes_mask_and_measurements(study: Path, tiny_model: Model, tmp_path: Path) -> None:
    glrp("segment", study, "--out", tmp_path, "--model", tiny_model.weights, "--frames", "0,2", home=tmp_path)
    cine = read_cine(study)
    mask = read_mask(tmp_path / "heart_mask.nii.gz", cine)
    report = json.loads((tmp_path / "heart.json").read_text())
    assert mask.shape == cine.images.shape
    assert not mask[[1, 3]].any()
    assert (report["model"], report["model_sha256"]) == ("tiny", tiny_model.card.weights_sha256)
    assert (report["frames"], report["device"]) == ([0, 2], "cpu")
    assert set(report["seconds"]) == {"read", "load model", "segment"}
    measured = measure_reading(cine, mask, Reading())
    assert report["measurements"]["function"] == json.loads(measured.function.model_dump_json())
    assert report["measurements"]["function"]["volumes_ml"]["LV"][1] is None


def test_label_fine_tune_and_segment_with_the_new_model(
    study: Path, phantom: Phantom, tiny_model: Model, tmp_path: Path
) -> None:
    write_mask(tmp_path / "truth.nii.gz", phantom.mask, phantom.cine)
    library, models = tmp_path / "labels", tmp_path / "models"
    glrp("label", study, tmp_path / "truth.nii.gz", "--library", library, "--frames", "0,2", home=tmp_path)
    assert len(list_labels(library)) >= 5
    assert {(label.frame, label.state) for label in list_labels(library)} == {(0, "corrected"), (2, "corrected")}
    base = ("--base", tiny_model.weights, "--models", models)
    out = glrp("finetune", "--library", library, "--name", "mine", "--study", study, *base, home=tmp_path)
    assert "of the same patient, kept apart" in out.replace("\n", " ")
    assert json.loads((models / "mine-1.json").read_text())["figures"]["anchor"]["study_open"]
    glrp("segment", study, "--out", tmp_path, "--model", models / "mine-1.safetensors", "--frames", "0", home=tmp_path)
    assert json.loads((tmp_path / "heart.json").read_text())["model"] == "mine-1"


def test_evaluate_scores_a_folder(phantom: Phantom, tmp_path: Path) -> None:
    for folder in ("masks", "truth/nested"):
        (tmp_path / folder).mkdir(parents=True)
    wrong = np.roll(phantom.mask, 2, axis=3)
    write_mask(tmp_path / "masks/a_mask.nii.gz", wrong, phantom.cine)
    write_mask(tmp_path / "truth/nested/a_gt.nii.gz", phantom.mask, phantom.cine)
    glrp("evaluate", tmp_path / "masks", tmp_path / "truth", "--out", tmp_path / "scores", home=tmp_path)
    table = json.loads((tmp_path / "scores/scores.json").read_text())
    assert 0.3 < table["LV"]["dice"] < 1
    assert len((tmp_path / "scores/scores.csv").read_text().splitlines()) == 1 + 3 * len(phantom.mask)


def test_doctor_and_models_print(tmp_path: Path) -> None:
    out = glrp("doctor", home=tmp_path)
    assert "torch" in out
    assert "cpu" in out
    assert "name" in glrp("models", home=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("segment", "nosuch.nii.gz", "--out", "."), ("nosuch.nii.gz",)),
        (("segment", "STUDY", "--out", ".", "--model", "nosuch"), ("model nosuch: not found", "expected one of")),
        (("segment", "STUDY", "--out", ".", "--model", "TINY", "--frames", "0,x"), ("found '0,x'", "expected")),
        (("segment", "STUDY", "--out", ".", "--model", "TINY", "--frames", "9"), ("frame 9", "expected 0 to 3")),
        (("segment", "STUDY", "--out", ".", "--model", "TINY", "--device", "tpu"), ("device tpu", "expected")),
        (("label", "STUDY", "TRUTH", "--library", "l", "--frames", "9"), ("no frame 9", "expected 0 to 3")),
        (("label", "STUDY", "TRUTH", "--library", "l", "--frames", "-1"), ("no frame -1", "expected 0 to 3")),
        (("label", "STUDY", "TRUTH", "--library", "l", "--slices", "1,99"), ("no slice 99", "expected 0 to")),
        (("label", "STUDY", "TRUTH", "--library", "l", "--label-map", "1=XX"), ("'1=XX'", "expected")),
        (("finetune", "--name", "x"), ("--library", "--dataset")),
        (("finetune", "--name", "x", "--library", "."), ("no accepted labels", "expected")),
        (("finetune", "--name", "x", "--library", ".", "--steps", "9"), ("--steps", "with --dataset only")),
        (("finetune", "--name", "x", "--dataset", "d", "--series", "s"), ("--series", "with --library only")),
        (("finetune", "--name", "x", "--dataset", "d", "--base", "b", "--n4"), ("--n4", "and no --base only")),
        (("evaluate", ".", "."), ("found no", "expected")),
    ],
)
def test_an_error_is_one_line_and_code_2(
    arguments: tuple[str, ...], words: tuple[str, ...], study: Path, phantom: Phantom, tiny_model: Model,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    truth = tmp_path / "truth.nii"
    write_mask(truth, phantom.mask, phantom.cine)
    places = {"STUDY": str(study), "TRUTH": str(truth), "TINY": str(tiny_model.weights)}
    error = glrp(*(places.get(argument, argument) for argument in arguments), home=tmp_path, code=2)
    assert error.count("\n") == 1
    assert all(word in error for word in words), error
    assert not list(tmp_path.rglob("*.nii.gz"))
