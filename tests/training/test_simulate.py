"""Corrections simulated from truth: which slices are labelled, what is stored of them, what is told of the outcome."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from glrp_training import simulate as simulating
from glrp_training.domains import DOMAINS
from glrp_training.places import draw_places, look_at, suggest_places
from glrp_training.score import Case
from glrp_training.simulate import move, simulate, store_corrections

from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.comparison import Anchor, Comparison, PatientComparison, Scores
from glrp_napari.device import Placement
from glrp_napari.library import list_labels, load_before, load_slice
from glrp_napari.messages import FinetuneDone, Progress
from glrp_napari.models import Model
from glrp_napari.progress import collect
from glrp_napari.segment import FrameResult, open_model, segment
from glrp_napari.suggest import suggest

CPU = Placement(torch.device("cpu"), None, batch=8)


def make_patient(name: str, frames: int = 2, slices: int = 3) -> Case:
    """A bright square in noise, labelled in all slices but the last."""
    images = np.random.default_rng(len(name)).normal(100, 8, (frames, slices, 64, 64)).astype(np.int16)
    truth = np.zeros(images.shape, np.uint8)
    truth[:, :-1, 20:44, 20:44], truth[:, :-1, 26:38, 26:38] = 2, 3
    images[truth == 3] += 100
    return Case(name, Cine(images, Geometry(spacing_mm=(8, 2, 2)), Source(name)), truth, name)


@pytest.fixture
def patients() -> list[Case]:
    return [make_patient("a"), make_patient("bb"), make_patient("ccc")]


def test_places_of_few_labels_come_first_among_those_of_more(patients: list[Case]) -> None:
    six = draw_places(patients, 6, seed=1)
    assert six[:4] == draw_places(patients, 4, seed=1)
    assert len(set(six)) == 6
    assert {i for i, _, _ in six} == {0, 1}  # a third as many patients
    assert all(patients[i].truth[t, z].any() for i, t, z in six)


def test_suggested_places_are_those_of_the_window_among_the_same_patients(
    patients: list[Case], tiny_model: Model
) -> None:
    model = open_model(tiny_model, CPU)
    studies = [collect(look_at(patient.cine, model)) for patient in patients[:2]]
    picks = collect(suggest_places(patients, 5, model))
    assert picks == [(one.study, one.frame, one.slice) for one in suggest(studies, 5)]
    assert len(set(picks)) == 5
    assert {i for i, _, _ in picks} == {0, 1}
    assert {i for i, _, _ in collect(suggest_places(patients, 1, model))} == {0}


def test_a_domain_changes_the_images_and_leaves_the_original(patients: list[Case]) -> None:
    before = patients[0].cine.images.copy()
    moved = move(patients[0], DOMAINS["inverted"])
    lv = patients[0].truth == 3
    assert moved.cine.images[lv].mean() < moved.cine.images[~lv].mean()
    assert moved.cine.images.dtype == np.float32
    np.testing.assert_array_equal(moved.truth, patients[0].truth)
    np.testing.assert_array_equal(patients[0].cine.images, before)


def test_corrections_are_truth_beside_the_model_s_answers(
    patients: list[Case], tiny_model: Model, tmp_path: Path
) -> None:
    patient, segmenter = patients[0], open_model(tiny_model, CPU)
    list(store_corrections(tmp_path, patient, [(1, 0), (0, 1)], segmenter, "tiny"))
    labels = list_labels(tmp_path)
    assert [(label.frame, label.slice, label.state, label.model) for label in labels] == [
        (1, 0, "corrected", "tiny"),
        (0, 1, "corrected", "tiny"),
    ]
    events = segment(patient.cine.images, patient.cine.geometry, segmenter)
    answers = {event.frame: event.mask for event in events if isinstance(event, FrameResult)}
    for label in labels:
        np.testing.assert_array_equal(load_slice(tmp_path, label)[1], patient.truth[label.frame, label.slice])
        np.testing.assert_array_equal(load_before(tmp_path, label), answers[label.frame][label.slice])


def test_a_gate_that_takes_what_did_not_help_is_wrong(
    patients: list[Case], tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fine-tuning gives back the base under a comparison that speaks for it."""
    scores = [Scores(dice={"LV": value}) for value in (0.5, 0.6)]
    patient = PatientComparison(study="a" * 64, slices=2, base=scores[0], candidate=scores[1])
    anchor = Anchor(base_phantoms=0.9, candidate_phantoms=0.899)
    comparison = Comparison(held_out="patients", patients=(patient,), anchor=anchor)
    steps = tiny_model.card.model_copy(update={"training": {"steps": 7}})

    def adapt(library: Path, *_rest: object) -> Iterator[Progress | FinetuneDone]:
        assert len(list_labels(library)) == 2
        yield Progress(stage="Training", done=1, total=1)
        yield FinetuneDone(model=tiny_model.weights, comparison=comparison)

    monkeypatch.setattr(simulating, "adapt", adapt)
    monkeypatch.setattr(simulating, "find_model", lambda _name: Model(steps, tiny_model.weights))
    originals = {"MYO": 0.25, "LV": 0.75}
    places = draw_places(patients, 2, seed=0)
    outcome = collect(simulate(tiny_model, tmp_path, "same", patients, patients[2:], places, CPU, originals))
    assert (outcome.accepted, outcome.reason, outcome.steps, outcome.labels) == (True, "better", 7, 2)
    assert outcome.base == outcome.candidate == outcome.candidate_original
    assert outcome.base_original == 0.5
    assert outcome.gain_seen == pytest.approx(0.1)
    assert outcome.phantoms_drop == pytest.approx(0.001)
    assert not outcome.helped
    assert not outcome.gate_was_right
