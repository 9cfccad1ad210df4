"""The few-label loop on tiny networks: it helps, it is checked, it can be cut short and goes on after a crash."""

import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from glrp_training import adapt as adapting
from glrp_training import pictures, recall, score, trial
from glrp_training import slices as slicing
from glrp_training.adapt import adapt, choose_settings, resume
from glrp_training.compare import Judged, compare_patients, predict_labels
from glrp_training.consistency import Consistency
from glrp_training.finetune import FinetuneSettings, Material, finetune
from glrp_training.optimise import NotFiniteError
from glrp_training.refit import Refit, refit
from glrp_training.slices import (
    ACCEPTED_WEIGHT,
    CHANGED_WEIGHT,
    cut_middle,
    join_slices,
    prepare_frame,
    prepare_label,
    weigh_pixels,
)
from glrp_training.unfinished import Unfinished, UnfinishedError, hold

from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.comparison import PhaseSlices
from glrp_napari.device import Placement
from glrp_napari.gate import decide
from glrp_napari.library import (
    Accepted,
    Label,
    LibraryError,
    Protocol,
    accept_slice,
    accept_slices,
    adopt_protocol,
    list_labels,
    load_slice,
    mark_outside,
    remove_label,
    save_protocol,
)
from glrp_napari.library.phases import PHASES, keep_phases
from glrp_napari.library.store import save_record
from glrp_napari.messages import (
    FinetuneDone,
    Interrupted,
    Notice,
    Progress,
    StudyFile,
    TrainingStep,
    Validated,
)
from glrp_napari.models import (
    Architecture,
    Model,
    ModelError,
    Preprocessing,
    find_model,
    save_model_files,
)
from glrp_napari.phantom import Phantom
from glrp_napari.progress import collect
from glrp_napari.segment import Segmenter, open_model
from glrp_napari.unet import UNet
from glrp_napari.weights import blank_card, encode_weights, load_network

CPU = Placement(torch.device("cpu"), None, batch=8)
STEPS = 24
STUDY = "a" * 64


def make_square_cine(seed: int, slices: int = 6, contrast: float = 1.0) -> tuple[Cine, np.ndarray]:
    """A grey ring with a bright middle in noise (with contrast −1 a dark one), its place another in each slice."""
    random = np.random.default_rng(seed)
    images = random.normal(100, 8, (1, slices, 64, 64)).astype(np.float32)
    mask = np.zeros((1, slices, 64, 64), np.uint8)
    for z in range(slices):
        y, x = random.integers(-6, 6, 2) + 20
        mask[0, z, y : y + 24, x : x + 24] = 2
        mask[0, z, y + 6 : y + 18, x + 6 : x + 18] = 3
        images[0, z] += contrast * (60 * (mask[0, z] == 2) + 150 * (mask[0, z] == 3))
    return Cine(images, Geometry(spacing_mm=(8, 2, 2)), Source(f"squares-{seed}")), mask


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, few phantoms."""
    make = recall.make_test_phantoms
    settings = choose_settings(1).model_copy(
        update={"steps": STEPS, "rate": 2e-3, "warmup": 2, "consistency": Consistency(batch=2, ramp=5)}
    )
    monkeypatch.setattr(adapting, "choose_settings", lambda _labels: settings)
    monkeypatch.setattr(recall, "REHEARSAL_SEEDS", range(10_000, 10_001))
    monkeypatch.setattr(trial, "make_test_phantoms", lambda settings, seeds=(7,): make(settings, list(seeds)[:1]))


@pytest.fixture(scope="module")
def bright_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A tiny network that knows bright squares."""
    settings = Preprocessing(size=64, spacing_mm=2.0)
    cines = [make_square_cine(seed) for seed in range(100, 104)]
    slices = join_slices(prepare_frame(cine.images[0], mask[0], (8, 2, 2), settings) for cine, mask in cines)
    torch.manual_seed(0)
    network = UNet(Architecture(width=4))
    for _ in finetune(network, Material(slices, 64), FinetuneSettings(steps=120, batch=8, warmup=5, rate=1e-2), CPU):
        pass
    card = blank_card(name="bright", title="Bright", architecture=network.architecture, preprocessing=settings)
    return save_model_files(tmp_path_factory.mktemp("bright"), card, encode_weights(network))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Three corrected slices of each of two patients."""
    for seed in range(2):
        cine, mask = make_square_cine(seed)
        for z in (0, 2, 4):
            accept_slice(tmp_path / "labels", cine, mask[0, z], 0, z, "corrected")
    return tmp_path / "labels"


@pytest.fixture
def study(tmp_path: Path) -> StudyFile:
    """The first patient, open in the window."""
    cine, _ = make_square_cine(0)
    np.save(tmp_path / "study.npy", cine.images)
    return StudyFile(images=tmp_path / "study.npy", geometry=cine.geometry, name="squares-0")


def finish(events: Iterator[object]) -> FinetuneDone:
    *_, done = events
    assert isinstance(done, FinetuneDone)
    return done


def test_labels_of_another_contrast_help_and_the_comparison_is_by_patients_kept_apart(
    bright_model: Model, tmp_path: Path, study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, settings = tmp_path / "labels", adapting.choose_settings(1).model_copy(update={"steps": 40, "rate": 5e-3})
    monkeypatch.setattr(adapting, "choose_settings", lambda _labels: settings)
    for seed in range(2):
        cine, mask = make_square_cine(seed, contrast=0.4)
        for z in (0, 2, 4):
            accept_slice(library, cine, mask[0, z], 0, z, "corrected")
    events = list(adapt(library, bright_model, tmp_path / "models", "mine", CPU, study, tmp_path / "pictures"))
    done = events[-1]
    assert isinstance(done, FinetuneDone)
    comparison = done.comparison
    assert (comparison.held_out, comparison.complete, comparison.slices, comparison.trained) == ("patients", True, 6, 6)
    assert comparison.candidate > comparison.base + 0.03
    assert [change.picture is not None and change.picture.exists() for change in comparison.changed] == [True] * 6
    stages = dict.fromkeys(event.stage for event in events if isinstance(event, TrainingStep))
    assert list(stages) == ["Training", "Check 1 of 2", "Check 2 of 2"]
    looks = [event for event in events if isinstance(event, Validated) and event.dice]
    assert looks[-1].dice["mean"] > 0
    assert (library / "validation.json").exists()
    assert not (tmp_path / "models/unfinished").exists()
    card = find_model(str(done.model)).card
    assert (card.parent, len(card.labels)) == ("bright", 6)
    assert card.figures["verdict"] == decide(comparison).sentence
    assert len(card.training["content"]) == 6


def test_a_candidate_that_forgot_or_did_not_help_is_refused(
    library: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that is turned into noise by a training is never taken into use by itself."""
    monkeypatch.setattr(trial, "step_back", lambda _base, tuned, _share: spoil(tuned))
    comparison = finish(adapt(library, tiny_model, tmp_path, "bad", CPU)).comparison
    assert not decide(comparison).accepted
    assert comparison.complete


def spoil(network: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0)
    return network


def test_of_one_patient_slices_are_left_out(tiny_model: Model, tmp_path: Path) -> None:
    cine, mask = make_square_cine(0)
    for z in range(2):
        accept_slice(tmp_path / "labels", cine, mask[0, z], 0, z, "corrected")
    done = finish(adapt(tmp_path / "labels", tiny_model, tmp_path / "models", "mine", CPU))
    assert (done.comparison.held_out, done.comparison.slices) == ("slices", 2)
    assert len(find_model(str(done.model)).card.labels) == 2


@pytest.mark.parametrize(
    ("study", "ed", "es", "known"),
    [
        (STUDY, (0, 0, 1), (2, 0, 1), True),
        (STUDY, (0, 1, 1), (2, 1, 1), True),  # what lies beyond the base counts nothing, though it is labelled
        (STUDY, (0, 0, 1), (1, 0, 0), True),
        (STUDY, (0, 0, 1), (1, 0, 1), False),
        (STUDY, (0, 0, 1), (0, 0, 1), False),
        ("b" * 64, (0, 0, 1), (2, 0, 1), False),
    ],
)
def test_hearts_are_measured_where_the_settled_phases_are_labelled_from_base_to_apex(
    study: str,
    ed: tuple[int, int, int],
    es: tuple[int, int, int],
    known: bool,
    tiny_model: Model,
    tmp_path: Path,
) -> None:
    """Frames 0, 2 and 3 are labelled from end to end, frame 1 in slice 0; the smallest volume is not that of ES."""
    one, masks = make_square_cine(0, slices=2)
    cine = Cine(np.repeat(one.images, 4, 0), one.geometry, one.source)
    judged = []
    for frame, z in [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (3, 0), (3, 1)]:
        mask = masks[0, z].copy()
        mask[26 + (8, 8, 6, 2)[frame] :][mask[26 + (8, 8, 6, 2)[frame] :] == 3] = 2
        label = accept_slice(tmp_path, cine, mask, frame, z, "corrected", study=STUDY)
        judged.append(Judged(label, cine.images[frame, z], mask, cine.geometry, mask, mask))
    phases = [PhaseSlices(frame=frame, first=first, last=last) for frame, first, last in (ed, es)]
    (patient,) = compare_patients(judged, {study: (phases[0], phases[1])}, {STUDY: STUDY})
    assert (patient.labelled_heart is not None) == known
    if patient.labelled_heart is not None:
        pixels = [
            sum((o.mask == 3).sum() for o in judged if o.label.frame == p.frame and p.first <= o.label.slice <= p.last)
            for p in phases
        ]
        found = [patient.labelled_heart.edv_ml, patient.labelled_heart.esv_ml]
        assert found == pytest.approx([count * 0.032 for count in pixels])
    nothing_found = [replace(one, candidate=np.zeros_like(one.mask)) for one in judged]
    (patient,) = compare_patients(nothing_found, {study: (phases[0], phases[1])}, {STUDY: STUDY})
    assert patient.labelled_heart is None, "without a cavity there is no ejection fraction to compare"


def test_case_74_two_studies_of_one_patient_are_compared_as_one(tmp_path: Path) -> None:
    judged = []
    for seed in range(3):
        cine, masks = make_square_cine(seed, slices=1)
        label = accept_slice(tmp_path, cine, masks[0, 0], 0, 0, "corrected")
        judged.append(Judged(label, cine.images[0, 0], masks[0, 0], cine.geometry, masks[0, 0], masks[0, 0]))
    whose = {one.label.study: ("one", "other", "one")[i] for i, one in enumerate(judged)}
    assert [patient.slices for patient in compare_patients(judged, {}, whose)] == [2, 1]


def test_a_structure_that_the_labels_lack_has_no_dice_but_an_area_error(tmp_path: Path) -> None:
    """One pixel of an RV that is not there: the same structures are compared, whichever model finds it."""
    cine, masks = make_square_cine(0, slices=1)
    label = accept_slice(tmp_path, cine, masks[0, 0], 0, 0, "corrected", study=STUDY)
    strayed = masks[0, 0].copy()
    strayed[0, 0] = 1
    judged = [Judged(label, cine.images[0, 0], masks[0, 0], cine.geometry, strayed, masks[0, 0])]
    (patient,) = compare_patients(judged, {}, {STUDY: STUDY})
    assert patient.base.dice == patient.candidate.dice == {"MYO": 1, "LV": 1}
    assert patient.base.area_error_cm2["RV"] == pytest.approx(0.04)
    assert "RV" not in patient.candidate.area_error_cm2
    empty = [replace(judged[0], mask=np.zeros_like(strayed))]
    assert compare_patients(empty, {}, {STUDY: STUDY}) == ()


def test_accepted_slices_alone_prove_nothing(tiny_model: Model, tmp_path: Path) -> None:
    cine, mask = make_square_cine(0)
    for z in range(2):
        accept_slice(tmp_path / "labels", cine, mask[0, z], 0, z, "accepted")
    comparison = finish(adapt(tmp_path / "labels", tiny_model, tmp_path / "models", "mine", CPU)).comparison
    assert decide(comparison).reason == "unproven"


@pytest.mark.parametrize("when", ["Training", "Check 1 of 2"])
def test_cancelled_what_there_is_so_far_is_kept(when: str, library: Path, tiny_model: Model, tmp_path: Path) -> None:
    events = adapt(library, tiny_model, tmp_path, "mine", CPU)
    for event in events:
        if isinstance(event, TrainingStep) and event.stage == when and event.step == 12:
            break
    done = events.throw(Interrupted())
    assert isinstance(done, FinetuneDone)
    assert decide(done.comparison).reason == "unchecked"
    base, kept = load_network(tiny_model), load_network(find_model(str(done.model)))
    assert any(not torch.equal(a, b) for a, b in zip(base.parameters(), kept.parameters(), strict=True))
    assert not (tmp_path / "unfinished").exists()


def watch_ten_patients(library: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A label of each; a look at who is kept apart is best the second time. Returns the steps of the looks so far."""
    for seed in range(10):
        cine, mask = make_square_cine(seed, slices=1)
        accept_slice(library, cine, mask[0, 0], 0, 0, "corrected")
    looks: list[int] = []

    def look(_self: object, _network: object, step: int) -> Iterator[Validated]:
        looks.append(step)
        yield Validated(step=step, dice={"mean": 0.9 if len(looks) == 2 else 0.5})

    monkeypatch.setattr(trial.Watch, "look", look)
    return looks


def test_cancelled_the_best_that_was_seen_on_patients_kept_apart_is_kept(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = watch_ten_patients(tmp_path / "labels", monkeypatch)
    events = adapt(tmp_path / "labels", tiny_model, tmp_path, "mine", CPU)
    for event in events:
        if isinstance(event, Validated) and len(looks) == 4:
            break
    done = events.throw(Interrupted())
    assert isinstance(done, FinetuneDone)
    assert find_model(str(done.model)).card.training["steps"] == looks[1]


WAITS = ["Making test hearts", "Weighing old against new", "Looking at slices kept apart", "Old and new model"]


@pytest.mark.parametrize("stage", WAITS)
def test_cancelled_while_it_is_weighed_or_checked_it_is_kept(
    stage: str, library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    events, trained = adapt(library, tiny_model, tmp_path, "mine", CPU), False
    for event in events:
        trained |= isinstance(event, TrainingStep) and event.step == STEPS
        if trained and isinstance(event, Progress) and event.stage.startswith(stage):
            break
    done = events.throw(Interrupted())
    assert isinstance(done, FinetuneDone)
    assert find_model(str(done.model)).card.training["steps"] == STEPS


def test_between_two_events_little_is_done_so_that_a_cancel_is_heard_soon(
    library: Path, tiny_model: Model, tmp_path: Path, study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, made, run, make = [0], [0], Segmenter._run, slicing.make_phantom

    def count_slices(self: Segmenter, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        looked[0] += len(slices)
        return run(self, slices)

    def count_phantoms(*args: object, **options: object) -> Phantom:
        made[0] += 1
        return make(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "_run", count_slices)
    for module in (slicing, score):
        monkeypatch.setattr(module, "make_phantom", count_phantoms)
    total = 0
    for event in adapt(library, tiny_model, tmp_path, "mine", CPU, study):
        assert looked[0] <= recall.AT_ONCE, event
        assert made[0] <= 1, event
        total += looked[0]
        looked[0] = made[0] = 0
    assert total > 50


def test_resumed_at_its_last_step_and_cancelled_the_training_is_kept(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    events = adapt(library, tiny_model, tmp_path, "mine", CPU)
    for event in events:
        if isinstance(event, TrainingStep) and event.step == event.total:
            break
    events.close()
    events = resume(tiny_model, tmp_path, CPU)
    again = next(events)
    assert isinstance(again, TrainingStep)
    assert again.step == again.total
    done = events.throw(Interrupted())
    assert isinstance(done, FinetuneDone)
    assert find_model(str(done.model)).card.training["steps"] == STEPS


def test_fault_25_cancelled_at_any_moment_leaves_a_model_or_nothing(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    for number, moment in enumerate(np.random.default_rng(0).integers(1, 140, 5)):
        folder = tmp_path / str(number)
        events = adapt(library, tiny_model, folder, "mine", CPU)
        for _ in range(moment):
            next(events)
        try:
            done = events.throw(Interrupted())
        except Interrupted:
            assert not list(folder.glob("*.safetensors"))
        else:
            assert isinstance(done, FinetuneDone)
            load_network(find_model(str(done.model)))
        assert not (folder / "unfinished/job.json").exists() or moment < 10


def test_closed_it_goes_on_with_the_same_losses(
    library: Path, tiny_model: Model, tmp_path: Path, study: StudyFile
) -> None:
    whole = list(adapt(library, tiny_model, tmp_path / "whole", "mine", CPU, study))
    events = adapt(library, tiny_model, tmp_path / "cut", "mine", CPU, study)
    for event in events:
        if isinstance(event, TrainingStep) and event.step == 9:
            break
    events.close()
    study.images.unlink()  # the window, and what it kept for jobs, is gone
    rest = list(resume(tiny_model, tmp_path / "cut", CPU))
    ours, theirs = ([(e.stage, e.step, e.loss) for e in part if isinstance(e, TrainingStep)] for part in (rest, whole))
    assert ours[0][1] == 9  # told again: whoever closed it may not have dealt with it
    assert ours == theirs[8:]
    first, second = (find_model(str(part[-1].model)).card for part in (whole, rest))
    assert first.weights_sha256 == second.weights_sha256


@pytest.mark.parametrize("resumed", [False, True])
def test_a_label_accepted_anew_or_removed_meanwhile_does_not_end_the_training(
    resumed: bool, library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    events = adapt(library, tiny_model, tmp_path / "models", "mine", CPU)
    for event in events:
        if isinstance(event, TrainingStep) and event.step == 3:
            break
    cine, mask = make_square_cine(0)
    accept_slice(library, cine, np.roll(mask[0, 2], 2, 0), 0, 2, "corrected")
    remove_label(library, list_labels(library)[0])
    if resumed:
        events.close()
        events = resume(tiny_model, tmp_path / "models", CPU)
    comparison = finish(events).comparison
    assert (comparison.complete, comparison.slices) == (True, 6)


def test_a_label_accepted_anew_while_labels_are_read_does_not_end_the_training(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    events = adapt(library, tiny_model, tmp_path / "models", "mine", CPU)
    next(events)
    cine, mask = make_square_cine(1)
    accept_slice(library, cine, mask[0, 4], 0, 4, "corrected")
    assert finish(events).comparison.complete


RUN_UNTIL_KILLED = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from glrp_training.adapt import adapt
from glrp_training import unfinished
from glrp_napari.models import find_model
unfinished.CHECKPOINT_EVERY_S = 0
from glrp_napari.device import Placement
place = Placement(torch.device("cpu"), None, batch=8)
for event in adapt(Path(sys.argv[1]), find_model(sys.argv[2]), Path(sys.argv[3]), "mine", place):
    print(event.kind, getattr(event, "step", 0), flush=True)
"""


def save_other(folder: Path, model: Model, name: str, **card: object) -> Model:
    """A model of other weights that segments nothing."""
    network = load_network(model)
    torch.nn.init.zeros_(network.decoder.head.weight)
    known = {"architecture": model.card.architecture, "preprocessing": model.card.preprocessing}
    return save_model_files(folder, blank_card(name=name, title=name, **known, **card), encode_weights(network))


@pytest.mark.parametrize("resumed", [False, True])
def test_a_second_fine_tuning_begins_at_the_base_and_is_compared_with_the_model_in_use(
    resumed: bool, bright_model: Model, library: Path, tmp_path: Path
) -> None:
    """The training is the base's, to the bit; the figures before are those of the model in use, gone or not."""
    in_use = save_other(tmp_path / "models", bright_model, "mine-1")
    first = finish(adapt(library, bright_model, tmp_path / "other", "mine", CPU))
    events = adapt(library, bright_model, tmp_path / "models", "mine", CPU, in_use=in_use)
    if resumed:
        for event in events:
            if isinstance(event, TrainingStep) and event.step == 12:
                break
        events.close()
        for path in (tmp_path / "models").glob("mine-1.*"):
            path.unlink()
        events = resume(bright_model, tmp_path / "models", CPU)
    done = finish(events)
    one, other = (find_model(str(each.model)).card for each in (first, done))
    assert one.weights_sha256 == other.weights_sha256
    assert other.parent == "bright"
    assert done.comparison.candidate == first.comparison.candidate
    assert done.comparison.anchor == first.comparison.anchor
    assert first.comparison.base > 0.3
    assert done.comparison.base < first.comparison.base / 2
    assert (done.comparison.in_use, done.comparison.started_from) == ("mine-1", "bright")
    assert first.comparison.in_use == first.comparison.started_from == "bright"


def test_what_the_model_in_use_has_learned_from_validates_nothing(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    labels = list_labels(library)
    by_patient = [[label.stem for label in labels if label.study == study] for study in {one.study for one in labels}]
    one = save_other(tmp_path / "one", tiny_model, "mine-1", labels=tuple(by_patient[0]))
    found = finish(adapt(library, tiny_model, tmp_path / "models", "mine", CPU, in_use=one)).comparison
    assert (found.held_out, len(found.patients), found.all_seen) == ("patients", 1, False)
    assert by_patient[1][0].startswith(found.patients[0].study[:12])
    both = save_other(tmp_path / "both", tiny_model, "mine-1", labels=(*by_patient[0], *by_patient[1]))
    found = finish(adapt(library, tiny_model, tmp_path / "models", "mine", CPU, in_use=both)).comparison
    assert (found.held_out, found.patients, found.all_seen) == ("nothing", (), True)
    verdict = decide(found)
    assert verdict.reason == "unproven"
    assert "mine-1 has already learned from the patients you corrected" in verdict.sentence


def test_a_base_that_corrects_the_bias_field_is_refused_at_once(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    preprocessing = tiny_model.card.preprocessing.model_copy(update={"n4": True})
    card = tiny_model.card.model_copy(update={"name": "n4", "preprocessing": preprocessing})
    other = save_model_files(tmp_path / "models", card, tiny_model.weights.read_bytes() + b" ")
    for base, in_use in ((other, None), (tiny_model, other)):
        with pytest.raises(ModelError, match="n4: found a model that corrects the bias field"):
            next(adapt(library, base, tmp_path / "models", "mine", CPU, in_use=in_use))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_fault_7_killed_it_goes_on_from_the_last_checkpoint(library: Path, tiny_model: Model, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN_UNTIL_KILLED, str(library), str(tiny_model.weights), str(tmp_path / "killed")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert any(line.split() == ["training-step", "5"] for line in child.stdout)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with hold(tmp_path / "killed"):  # the system let go of the lock
        pass
    steps = [event.step for event in resume(tiny_model, tmp_path / "killed", CPU) if isinstance(event, TrainingStep)]
    assert 4 <= steps[0] <= 7


def test_fault_5_a_full_disk_pauses_and_goes_on(
    library: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glrp_training import checkpoint, unfinished

    write, full = checkpoint.write_atomically, iter([False, True, True, False])

    def write_or_not(path: Path, data: bytes) -> None:
        if next(full, False):
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_atomically", write_or_not)
    monkeypatch.setattr(checkpoint, "WAIT_FOR_ROOM_S", 0.0)
    monkeypatch.setattr(unfinished, "CHECKPOINT_EVERY_S", 0.0)
    events = list(adapt(library, tiny_model, tmp_path, "mine", CPU))
    paused = [event for event in events if isinstance(event, Progress) and "no room left" in event.stage]
    assert len(paused) == 2
    assert isinstance(events[-1], FinetuneDone)


@pytest.mark.parametrize("module", ["unfinished", "adapt"])
def test_fault_5_a_full_disk_pauses_what_keeps_the_outcome(
    module: str, library: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the training came to, before it is checked, and the model itself."""
    from glrp_training import checkpoint, unfinished

    where, name = {"unfinished": (unfinished, "save_entry"), "adapt": (adapting, "save_model_files")}[module]
    write, full = getattr(where, name), [2]

    def write_or_not(path: Path, *rest: object) -> object:
        if (module == "adapt" or path.name.startswith("trained")) and full[0]:
            full[0] -= 1
            raise OSError(28, "No space left on device")
        return write(path, *rest)

    monkeypatch.setattr(where, name, write_or_not)
    monkeypatch.setattr(checkpoint, "WAIT_FOR_ROOM_S", 0.0)
    events = list(adapt(library, tiny_model, tmp_path, "mine", CPU))
    paused = [event for event in events if isinstance(event, Progress) and "no room left" in event.stage]
    assert len(paused) == 2
    assert events[-1].model.stem == "mine-1"


def test_fault_5_a_picture_that_cannot_be_written_is_told_of_once_and_goes_on(
    library: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "write_atomically", refuse)
    events = list(adapt(library, tiny_model, tmp_path, "mine", CPU, pictures=tmp_path / "pictures"))
    told = [event for event in events if isinstance(event, Notice) and "Pictures of slices" in event.text]
    assert len(told) == 1
    assert events[-1].comparison.complete
    assert {change.picture for change in events[-1].comparison.changed} == {None}
    assert {event.picture for event in events if isinstance(event, Validated)} == {None}


def test_two_do_not_fine_tune_into_one_folder(library: Path, tiny_model: Model, tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(UnfinishedError, match="another fine-tuning at work"):
        next(adapt(library, tiny_model, tmp_path, "mine", CPU))
    with pytest.raises(UnfinishedError, match="no interrupted fine-tuning"):
        list(resume(tiny_model, tmp_path, CPU))


def test_case_74_what_an_ancestor_was_trained_on_validates_nothing(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    first = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU)).model))
    again = finish(adapt(library, first, tmp_path, "mine", CPU)).comparison
    assert (again.held_out, again.patients) == ("nothing", ())


def test_of_a_fused_base_the_first_network_is_fine_tuned(library: Path, tiny_model: Model, tmp_path: Path) -> None:
    one, other = load_network(tiny_model), load_network(tiny_model)
    torch.nn.init.zeros_(other.decoder.head.weight)
    card = blank_card(
        name="fused",
        title="Fused",
        members=("glrp", "grp"),
        architecture=tiny_model.card.architecture,
        preprocessing=tiny_model.card.preprocessing,
    )
    fused = save_model_files(tmp_path, card, encode_weights(one, other, members=("glrp", "grp")))
    done = finish(adapt(library, fused, tmp_path, "mine", CPU))
    card = find_model(str(done.model)).card
    assert (card.parent, card.members) == ("fused", ())
    assert done.comparison.in_use == done.comparison.started_from == "fused"


def test_a_fused_base_is_compared_with_all_its_networks(bright_model: Model, library: Path, tmp_path: Path) -> None:
    """Its first network finds nothing, so that it alone would be easy to beat."""
    known, first = load_network(bright_model), load_network(bright_model)
    with torch.no_grad():
        first.decoder.head.weight.zero_()
        first.decoder.head.bias.zero_()
    layout = {"architecture": known.architecture, "preprocessing": bright_model.card.preprocessing}
    card = blank_card(name="fused", title="Fused", members=("a", "b"), **layout)
    fused = save_model_files(tmp_path, card, encode_weights(first, known, members=("a", "b")))
    labels = list_labels(library)
    judged = []
    for label in labels:
        image, mask, geometry = load_slice(library, label)
        judged.append(Judged(label, image, mask, geometry, mask, mask))
    answers = collect(predict_labels(open_model(fused, CPU), library, labels))
    judged = [replace(one, base=answers[one.label.stem]) for one in judged]
    expected = compare_patients(judged, {}, {label.study: label.study for label in labels})
    found = finish(adapt(library, fused, tmp_path, "mine", CPU)).comparison
    assert found.base == pytest.approx(sum(patient.base.mean_dice for patient in expected) / 2)
    assert found.base > 0.3


@pytest.mark.parametrize("bad_step", [4, 16])
def test_fault_18_a_loss_that_is_no_number_keeps_what_there_was(
    bad_step: int, library: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too early, nothing is worth keeping; nor is a resume offered that would break off at the same step."""
    train = trial.finetune

    def break_off(*args: object, **kwargs: object) -> Iterator[object]:
        for event in train(*args, **kwargs):
            if isinstance(event, TrainingStep) and event.step == bad_step:
                raise NotFiniteError("loss: found nan")
            yield event

    monkeypatch.setattr(trial, "finetune", break_off)
    events = adapt(library, tiny_model, tmp_path, "mine", CPU)
    if bad_step < adapting.LEAST_STEPS:
        with pytest.raises(NotFiniteError):
            finish(events)
        assert not list(tmp_path.glob("mine*"))
    else:
        seen = list(events)
        assert isinstance(done := seen[-1], FinetuneDone)
        assert "broke off after step 15" in next(e.text for e in seen if isinstance(e, Notice))
        assert find_model(str(done.model)).card.training["steps"] == bad_step - 1
        assert decide(done.comparison).reason == "unchecked"
    with pytest.raises(UnfinishedError, match="found no interrupted fine-tuning"):
        list(resume(tiny_model, tmp_path, CPU))


def test_a_model_imported_meanwhile_is_not_overwritten(library: Path, tiny_model: Model, tmp_path: Path) -> None:
    events = adapt(library, tiny_model, tmp_path, "mine", CPU)
    for event in events:
        if isinstance(event, TrainingStep):
            break
    imported = save_model_files(tmp_path, tiny_model.card.model_copy(update={"name": "mine-1"}), b"a colleague's")
    done = finish(events)
    assert imported.weights.read_bytes() == b"a colleague's"
    assert done.model.stem == find_model(str(done.model)).card.name != "mine-1"


def test_case_71_a_study_in_which_nothing_is_drawn_is_not_trained_on(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    cine, mask = make_square_cine(7)
    accept_slice(library, cine, np.zeros_like(mask[0, 0]), 0, 0, "corrected")
    accept_slice(library, make_square_cine(0)[0], np.zeros_like(mask[0, 0]), 0, 5, "corrected")
    events = list(adapt(library, tiny_model, tmp_path, "mine", CPU))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert "1 of 8 labels left out: in their studies nothing is drawn." in notices
    assert events[-1].comparison.trained == 7, "an empty slice of a heart that is drawn elsewhere teaches its ends"


@pytest.mark.parametrize(("apart", "learned"), [(0, False), (1, True)])
def test_case_74_of_a_patient_kept_apart_nothing_is_learned(
    apart: int,
    learned: bool,
    library: Path,
    tiny_model: Model,
    tmp_path: Path,
    study: StudyFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the fold without the open study's patient his unlabelled slices do not take part either."""
    remove_label(library, list_labels(library)[2])  # slices at even positions are learned from, if unlabelled
    seen: list[Material] = []
    train = trial.finetune
    monkeypatch.setattr(trial, "finetune", lambda net, m, *rest: seen.append(m) or train(net, m, *rest))
    finish(adapt(library, tiny_model, tmp_path, "mine", CPU, study))
    order = [label.study for label in list_labels(library)]
    patients = list(dict.fromkeys(order))
    folds = dict(zip(patients, seen[1:], strict=True))
    open_study = recall.hash_study_file(study)
    assert open_study == patients[0]
    assert (folds[patients[apart]].unlabelled is not None) == learned
    assert seen[0].unlabelled is not None, "the final training keeps nobody apart"


def test_hearts_of_a_study_that_is_not_open_are_measured_by_the_library_s_phases(
    tiny_model: Model, tmp_path: Path
) -> None:
    library = tmp_path / "labels"
    for seed in range(2):
        one, masks = make_square_cine(seed, slices=2)
        cine = Cine(np.repeat(one.images, 2, 0), one.geometry, one.source)
        for frame, z in np.ndindex(2, 2):
            label = accept_slice(library, cine, masks[0, z], frame, z, "corrected")
    ed, es = PhaseSlices(frame=0, first=0, last=1), PhaseSlices(frame=1, first=0, last=1)
    keep_phases(library, {label.study: (ed, es)})
    found = finish(adapt(library, tiny_model, tmp_path, "mine", CPU)).comparison.patients
    assert [patient.labelled_heart is not None for patient in found] == [p.study == label.study for p in found]
    assert any(patient.labelled_heart for patient in found)


def test_fault_7_cancelled_after_a_crash_the_best_that_was_seen_before_it_is_kept(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = watch_ten_patients(tmp_path / "labels", monkeypatch)
    events = adapt(tmp_path / "labels", tiny_model, tmp_path, "mine", CPU)
    assert any(isinstance(event, Validated) and len(looks) == 3 for event in events)
    events.close()
    events = resume(tiny_model, tmp_path, CPU)
    assert any(isinstance(event, Validated) and len(looks) == 5 for event in events)
    done = events.throw(Interrupted())
    assert find_model(str(done.model)).card.training["steps"] == looks[1]


def test_fault_7_what_was_trained_is_not_trained_anew_when_the_checks_were_interrupted(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    events = adapt(library, tiny_model, tmp_path, "mine", CPU)
    assert any(isinstance(event, Progress) and event.stage.startswith("Old and new") for event in events)
    events.close()
    rest = list(resume(tiny_model, tmp_path, CPU))
    assert {event.stage for event in rest if isinstance(event, TrainingStep)} == {"Check 1 of 2", "Check 2 of 2"}


def end(_job: Unfinished) -> None:
    """As a signal would."""
    raise KeyboardInterrupt


def test_fault_7_killed_after_the_model_was_saved_it_is_not_made_twice(
    library: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "remove", end)
        with pytest.raises(KeyboardInterrupt):
            finish(adapt(library, tiny_model, tmp_path / "models", "mine", CPU))
    saved = finish(resume(tiny_model, tmp_path / "models", CPU)).model
    assert list((tmp_path / "models").glob("*.safetensors")) == [saved]


def test_case_74_a_model_in_use_is_not_compared_on_patients_whose_labels_were_removed_since(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    in_use = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU)).model))
    for label in list_labels(library):
        remove_label(library, label)
    for seed, z in np.ndindex(2, 6):
        cine, mask = make_square_cine(seed)
        if f"-z{z:03d}" not in " ".join(in_use.card.labels):
            accept_slice(library, cine, mask[0, z], 0, z, "corrected")
    assert list_labels(library)
    second = finish(adapt(library, tiny_model, tmp_path, "mine", CPU, in_use=in_use)).comparison
    assert (second.patients, second.all_seen) == ((), True)


def test_case_75_damaged_phases_are_told_of_and_cost_no_training(
    library: Path, tiny_model: Model, tmp_path: Path
) -> None:
    (library / PHASES).write_text("{")
    events = list(adapt(library, tiny_model, tmp_path, "mine", CPU))
    assert any("remove the file to keep them anew" in event.text for event in events if isinstance(event, Notice))
    assert isinstance(events[-1], FinetuneDone)


def test_labels_without_the_conventions_of_others_are_told_of(library: Path, tiny_model: Model, tmp_path: Path) -> None:
    save_protocol(library, Protocol(papillaries="wall"))
    cine, mask = make_square_cine(0)
    accept_slice(library, cine, mask[0, 5], 0, 5, "corrected")
    events = list(adapt(library, tiny_model, tmp_path, "mine", CPU))
    assert any("so the training follows none" in event.text for event in events if isinstance(event, Notice))
    assert find_model(str(events[-1].model)).card.training["protocol"] is None


def test_a_refit_follows_the_conventions_of_the_card(library: Path, tiny_model: Model, tmp_path: Path) -> None:
    """Those adopted later are not those that the model was trained by."""
    model = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU)).model))
    adopt_protocol(library, Protocol(papillaries="wall"))
    assert run_out(refit(model, tiny_model, library, CPU), []).is_same
    agreed = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU)).model))
    assert agreed.card.training["protocol"]["papillaries"] == "wall"
    assert agreed.card.weights_sha256 != model.card.weights_sha256
    assert run_out(refit(agreed, tiny_model, library, CPU), []).is_same


def test_rehearsal_tests_and_card_follow_one_protocol_though_a_patient_is_kept_apart(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only label without conventions is of the fifth patient of ten, whom the training does not see."""
    monkeypatch.setattr(adapting, "choose_settings", lambda _labels: FinetuneSettings(steps=10, batch=2))
    library, found = tmp_path / "labels", []
    for seed in range(10):
        cine, mask = make_square_cine(seed)
        accept_slice(library, cine, mask[0, 0], 0, 0, "corrected")
    fifth = list_labels(library)[4]
    for label in list_labels(library):
        if label != fifth:
            save_record(library, label.model_copy(update={"protocol": Protocol(papillaries="wall")}))
    for module in (recall, trial):
        kept = module.redraw
        monkeypatch.setattr(
            module, "redraw", lambda s, protocol, kept=kept: found.append(protocol) or kept(s, protocol)
        )
    card = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU)).model)).card
    assert fifth.stem in card.training["apart"]
    assert {*found, card.training["protocol"]} == {None}


@pytest.mark.parametrize(
    ("papillaries", "is_drawn", "muscle"), [("wall", True, ("LV",)), ("wall", False, ()), ("cavity", True, ())]
)
def test_muscle_is_taken_out_of_answers_where_the_conventions_say_so_and_the_labels_show_it(
    tiny_model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    papillaries: Literal["wall", "cavity"],
    is_drawn: bool,
    muscle: tuple[str, ...],
) -> None:
    monkeypatch.setattr(adapting, "choose_settings", lambda _labels: FinetuneSettings(steps=10, batch=2))
    opened: list[tuple[str, ...]] = []

    def answer(
        model: Segmenter, library: Path, labels: Sequence[Label]
    ) -> Generator[Progress, None, dict[str, np.ndarray]]:
        """Its labels, were it not that only a model without muscle draws the block within the cavity as wall."""
        opened.append(tuple(model.muscle))
        masks = {label.stem: load_slice(library, label)[1].copy() for label in labels}
        for mask in masks.values():
            rows, columns = np.nonzero(mask == 3)
            block = slice(rows.min() + 4, rows.min() + 8), slice(columns.min() + 4, columns.min() + 8)
            mask[block] = 2 if model.muscle else 3
        yield Progress(stage="Answering", done=1, total=1)
        return masks

    monkeypatch.setattr(trial, "predict_labels", answer)
    library = tmp_path / "labels"
    save_protocol(library, Protocol(papillaries=papillaries))
    for seed in range(2):
        cine, mask = make_square_cine(seed)
        rows, columns = np.nonzero(mask[0, 0] == 3)
        top, left = rows.min() + 4, columns.min() + 4
        mask[0, 0, top : top + 4, left : left + 4] = 2 if is_drawn else 3
        accept_slice(library, cine, mask[0, 0], 0, 0, "corrected")
    card = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU)).model)).card
    assert card.muscle == muscle
    assert (("LV",) in opened) == (papillaries == "wall")  # and without the convention it is not even tried


def test_an_empty_library_is_refused(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="found no accepted labels"):
        list(adapt(tmp_path, tiny_model, tmp_path, "mine", CPU))


def test_labels_outside_base_and_apex_are_left_out_and_counted(tiny_model: Model, tmp_path: Path) -> None:
    library = tmp_path / "labels"
    cine, mask = make_square_cine(0)
    slices = [Accepted(0, z, "corrected", mask[0, z], outside=z == 5) for z in (1, 3, 5)]
    labels = accept_slices(library, cine, slices)
    events = list(adapt(library, tiny_model, tmp_path / "models", "mine", CPU))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert "1 of 3 labels left out: outside base and apex." in notices
    assert (events[-1].comparison.trained, events[-1].comparison.slices) == (2, 2)
    card = find_model(str(events[-1].model)).card
    assert set(card.labels) == set(card.training["content"]) == {label.stem for label in labels[:2]}
    assert "2 labels" in card.title
    mark_outside(library, labels[0].study, {0: [1, 3, 5]})
    with pytest.raises(LibraryError, match="found only labels that are empty, or outside base and apex"):
        list(adapt(library, tiny_model, tmp_path / "models", "mine", CPU))


def test_a_label_far_from_the_middle_of_its_slice_is_in_the_square(tmp_path: Path) -> None:
    images = np.zeros((1, 1, 300, 300), np.int16)
    cine = Cine(images, Geometry(spacing_mm=(8, 1.4, 1.4)), Source("wide"))
    mask = np.zeros((300, 300), np.uint8)
    mask[20:60, 230:270] = 3
    label = accept_slice(tmp_path, cine, mask, 0, 0, "corrected")
    seen = cut_middle(prepare_label(tmp_path, label, Preprocessing()).masks, 192)
    assert int((seen == 3).sum()) == pytest.approx(1600 * (1.4 / 1.25) ** 2, rel=0.05)


def test_what_a_person_changed_counts_most_and_what_was_accepted_least() -> None:
    mask, before = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    mask[4, 4] = 3
    assert (weigh_pixels("accepted", mask, before) == ACCEPTED_WEIGHT).all()
    assert (weigh_pixels("corrected", mask, None) == 1).all()
    weights = weigh_pixels("corrected", mask, before)
    assert (weights[4, 4], weights[4, 5], weights[0, 0]) == (CHANGED_WEIGHT, CHANGED_WEIGHT, 1)


@pytest.mark.parametrize(("labels", "most"), [(1, 60), (10, 140), (100, 160)])
def test_few_labels_take_few_steps(labels: int, most: int) -> None:
    assert choose_settings(labels).steps <= most


def test_unlabelled_slices_take_part_but_for_those_beyond_base_and_apex(library: Path, study: StudyFile) -> None:
    """Slices 0, 2 and 4 of the only frame are labelled."""
    labels, settings = list_labels(library), Preprocessing(size=64, spacing_mm=2.0)
    assert recall.sample_study(study, labels, settings)[1].tolist() == [1, 3, 5]
    partly = study.model_copy(update={"outside": {0: (0, 1)}})
    images, levels = recall.sample_study(partly, labels, settings)
    assert (len(images), levels.tolist()) == (2, [3, 5])


@pytest.mark.parametrize(("frames", "levels"), [(1, 3), (6, 10), (8, 20), (6, 61), (1, 100)])
def test_what_is_learned_from_what_is_tried_and_what_is_tested_on_lie_at_positions_of_their_own(
    frames: int, levels: int, tmp_path: Path
) -> None:
    np.save(tmp_path / "study.npy", np.zeros((frames, levels, 16, 16), np.float32))
    study = StudyFile(images=tmp_path / "study.npy", geometry=Geometry(spacing_mm=(8, 2, 2)), name="s")
    _, found = recall.sample_study(study, [], Preprocessing(size=64, spacing_mm=2.0))
    assert min(levels, 40) <= len(found) <= recall.MAX_SAMPLED
    parts = recall.part_positions(found, torch.ones(len(found), dtype=torch.bool))
    positions = [set(found[parts == part].tolist()) for part in (recall.TESTED, recall.LEARNED, recall.TRIED)]
    assert all(positions)
    assert sum(map(len, positions)) == len(set.union(*positions)), "no position has two parts"
    assert max(map(len, positions)) - min(map(len, positions)) <= 1


@pytest.mark.parametrize(
    ("sure", "parts"),
    [
        ((), "LLLL"),
        ((2,), "LLTL"),
        ((1, 3), "LTLL"),
        ((0, 1, 3), "TLLS"),
        ((0, 1, 2, 3), "TLST"),
    ],
)
def test_of_few_sure_positions_the_test_of_the_gate_comes_first(sure: tuple[int, ...], parts: str) -> None:
    levels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    is_sure = torch.tensor([level in sure for level in (0, 1, 2, 3)] + [False] * 4)
    names = {recall.TESTED: "T", recall.LEARNED: "L", recall.TRIED: "S"}
    found = "".join(names[int(part)] for part in recall.part_positions(levels, is_sure))
    assert found == parts * 2


def test_the_share_is_chosen_by_other_slices_than_the_gate_tests(
    bright_model: Model, tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SURE": 0.4, "MIN_HEART_PX": 5, "SURE_SHARE": 0.1}.items():
        monkeypatch.setattr(recall, name, value)
    cine, _ = make_square_cine(9, slices=6)
    np.save(tmp_path / "s.npy", cine.images)
    study = StudyFile(images=tmp_path / "s.npy", geometry=cine.geometry, name="s")
    learned, measured, train, measure = [], [], trial.finetune, trial.measure_agreement
    monkeypatch.setattr(trial, "measure_agreement", lambda m, part: measured.append(part.images) or measure(m, part))
    monkeypatch.setattr(trial, "finetune", lambda net, m, *rest: learned.append(m.unlabelled) or train(net, m, *rest))
    anchor = finish(adapt(library, bright_model, tmp_path, "mine", CPU, study)).comparison.anchor
    assert anchor is not None
    assert (anchor.slices, anchor.study_open) == (2, True)
    assert anchor.agreement is not None
    parts = (learned[0], measured[0], measured[-1])
    keys = [{image.numpy().tobytes() for image in images} for images in parts]
    assert [len(part) for part in keys] == [2, 2, 2]
    assert len(set.union(*keys)) == 6


def test_a_refit_gives_the_same_weights_until_a_label_is_changed(
    library: Path, tiny_model: Model, tmp_path: Path, study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only unlabelled slice that could be learned from lies beyond the apex: the card says so, no file does."""
    remove_label(library, list_labels(library)[2])
    eager = choose_settings(1).model_copy(update={"consistency": Consistency(batch=2, ramp=5, threshold=0.0)})
    monkeypatch.setattr(adapting, "choose_settings", lambda _labels: eager.model_copy(update={"steps": STEPS}))
    partly = study.model_copy(update={"outside": {0: (4,)}})
    model = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU, partly)).model))
    other = find_model(str(finish(adapt(library, tiny_model, tmp_path, "mine", CPU, study)).model))
    assert model.card.weights_sha256 != other.card.weights_sha256
    events: list[object] = []
    outcome = run_out(refit(model, tiny_model, library, CPU, study), events)
    assert outcome.is_same
    assert events
    cine, mask = make_square_cine(1)
    accept_slice(library, cine, mask[0, 0], 0, 0, "corrected")  # again as it was, but now the last in the library
    assert run_out(refit(model, tiny_model, library, CPU, study), []).is_same
    with pytest.raises(ModelError, match="found no study, expected study"):
        run_out(refit(model, tiny_model, library, CPU), [])
    cine, mask = make_square_cine(0)
    accept_slice(library, cine, np.roll(mask[0, 2], 2, 0), 0, 2, "corrected")
    with pytest.raises(LibraryError, match="changed since mine-1 was made"):
        run_out(refit(model, tiny_model, library, CPU, study), [])


def run_out(events: Generator[object, None, Refit], seen: list[object]) -> Refit:
    """What a generator returns."""
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            outcome: Refit = end.value
            return outcome
