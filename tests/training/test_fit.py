from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from glrp_training import fit
from glrp_training.augment import Augmentation
from glrp_training.checkpoint import Checkpoint, CheckpointError
from glrp_training.consistency import Consistency
from glrp_training.dataset import Dataset, Item
from glrp_training.evaluate import Score, Summary, summarise
from glrp_training.finetune import FinetuneSettings
from glrp_training.fit import DatasetFit, fit_dataset

from glrp_napari.device import choose_placement
from glrp_napari.messages import TrainingStep, Validated
from glrp_napari.models import Architecture, Preprocessing, find_model
from glrp_napari.phantom import Anatomy, make_phantom
from glrp_napari.weights import load_network
from glrp_napari.writing.masks import write_images, write_mask

SETTINGS = DatasetFit(
    phantoms=0,
    validate_every=2,
    architecture=Architecture(width=4),
    preprocessing=Preprocessing(size=64, spacing_mm=3.0),
    finetuning=FinetuneSettings(steps=6, batch=4, augmentation=Augmentation(intensity=False)),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two patients to train on, of whom the first has no mask, and one to validate on."""
    folder = tmp_path_factory.mktemp("data")
    items = []
    for number, split in enumerate(("train", "train", "val")):
        phantom = make_phantom(number, Anatomy(slices=3, frames=8, pixels=96, pixel_mm=2.5), frames=(0,))
        image, mask = folder / f"p{number}.nii.gz", folder / f"p{number}_gt.nii.gz"
        write_images(image, phantom.cine.images, phantom.cine)
        write_mask(mask, phantom.mask, phantom.cine)
        items.append(Item(image=image, mask=mask if number else None, patient=f"p{number}", frame=0, split=split))
    return Dataset(name="phantoms", items=tuple(items))


def run(dataset: Dataset, folder: Path, steps: int | None = None, **changes: object) -> list[TrainingStep]:
    """The steps taken; with `steps` it is left after so many, as if killed."""
    settings = SETTINGS.model_copy(update=changes)
    done = []
    for event in fit_dataset(dataset, settings, folder, "model", "Model", choose_placement("cpu")):
        if isinstance(event, TrainingStep):
            done.append(event)
            if len(done) == steps:
                break
    return done


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_network(find_model(str(folder / "model.safetensors"))).state_dict()


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_killed_fit_ends_in_the_model_of_an_undisturbed_one(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    run(dataset, tmp_path / "whole")
    for every_s in (0.0, 1e9):  # a checkpoint at every step, or none but the first
        monkeypatch.setattr(fit, "Checkpoint", partial(Checkpoint, every_s=every_s))
        folder = tmp_path / str(every_s)
        run(dataset, folder, steps=killed_after)
        assert (folder / "model.checkpoint").exists()
        assert run(dataset, folder)[-1].step == 6
        assert not (folder / "model.checkpoint").exists()
        whole, resumed = read_weights(tmp_path / "whole"), read_weights(folder)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(
    ("dice", "kept"), [([0.2, 0.9, 0.5], 4), ([0.0, 0.0, 0.0], 2), ([0.1, 0.2, 0.3], 6)], ids=["best", "none", "last"]
)
def test_the_best_validation_is_kept_also_if_all_are_zero(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dice: list[float], kept: int
) -> None:
    values: Iterator[float] = iter(dice)
    table = {name: {"dice": 0.0} for name in ("LV", "MYO", "RV")}
    monkeypatch.setattr(fit, "summarise", lambda scores: {**table, "mean": {"dice": next(values)}})
    run(dataset, tmp_path)
    assert find_model(str(tmp_path / "model.safetensors")).card.figures["step"] == kept


@pytest.mark.parametrize("which", [1, 3], ids=["first", "last"])
def test_a_validation_that_is_interrupted_is_done_when_the_fit_goes_on(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    asked: list[int] = []

    def break_off(scores: list[Score]) -> Summary:
        asked.append(1)
        if len(asked) == which:
            raise KeyboardInterrupt
        return summarise(scores)

    monkeypatch.setattr(fit, "summarise", break_off)
    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path)
    events = fit_dataset(dataset, SETTINGS, tmp_path, "model", "Model", choose_placement("cpu"))
    assert [event.step for event in events if isinstance(event, Validated)] == [2, 4, 6][which - 1 :]
    assert len(asked) == 4


def test_a_part_without_labels_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no labelled frame in the part 'vall'"):
        run(dataset, tmp_path, validate_on="vall")


def test_a_finished_model_is_never_trained_over(dataset: Dataset, tmp_path: Path) -> None:
    run(dataset, tmp_path)
    before = read_weights(tmp_path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: found a finished model, expected a new name"):
        run(dataset, tmp_path, finetuning=SETTINGS.finetuning.model_copy(update={"seed": 5}))
    after = read_weights(tmp_path)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_studies_without_masks_take_part_unlabelled(dataset: Dataset, tmp_path: Path) -> None:
    trusting = SETTINGS.finetuning.model_copy(update={"consistency": Consistency(batch=4, threshold=0.0, ramp=1)})
    without, with_them = (
        run(dataset, tmp_path / str(on), unlabelled=on, finetuning=trusting)[-1].loss for on in (False, True)
    )
    assert without != with_them


def test_a_labelled_cine_must_say_which_frame_is_labelled(tmp_path: Path) -> None:
    phantom = make_phantom(0, Anatomy(slices=3, frames=8, pixels=96, pixel_mm=2.5), frames=(0, 3))
    image, mask = tmp_path / "cine.nii.gz", tmp_path / "cine_gt.nii.gz"
    write_images(image, phantom.cine.images, phantom.cine)
    write_mask(mask, phantom.mask, phantom.cine)
    dataset = Dataset(name="one", items=(Item(image=image, mask=mask, patient="p"),))
    with pytest.raises(ValueError, match="found 2 frames, expected `frame` to say which is labelled"):
        run(dataset, tmp_path, validate_on=None)
