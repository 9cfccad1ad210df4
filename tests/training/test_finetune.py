from pathlib import Path

import pytest
import torch
from glrp_training.augment import Augmentation, augment
from glrp_training.checkpoint import Checkpoint
from glrp_training.finetune import FinetuneSettings, Material, _Learner, finetune
from glrp_training.losses import segmentation_loss, soft_dice_loss
from glrp_training.optimise import NotFiniteError
from glrp_training.plateau import Plateau
from glrp_training.slices import Slices

from glrp_napari.device import Placement
from glrp_napari.messages import Notice, TrainingStep
from glrp_napari.models import Architecture
from glrp_napari.unet import UNet

CPU = Placement(torch.device("cpu"), None, batch=4)
STILL = Augmentation(
    rotation_deg=(0, 0), scale=(1, 1), shift_px=0, flip=False, elastic_share=0, elastic_px=0, intensity=False
)
SHORT = FinetuneSettings(steps=60, batch=4, warmup=2, rate=1e-2, augmentation=STILL)


def train(
    slices: Slices, settings: FinetuneSettings, steps: int | None = None, unlabelled: torch.Tensor | None = None
) -> tuple[UNet, list[float]]:
    torch.manual_seed(0)
    network = UNet(Architecture(width=4))
    losses = []
    for event in finetune(network, Material(slices, 48, unlabelled=unlabelled), settings, CPU):
        assert isinstance(event, TrainingStep)
        losses.append(event.loss)
        if event.step == steps:
            break
    return network, losses


@pytest.mark.parametrize(("fall", "closed"), [(0.02, 50), (0.02, 80), (0.0, 30), (0.0, 50), (0.0, 80)])
def test_fault_7_a_training_that_is_closed_and_goes_on_stops_where_it_would_have(
    squares: Slices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fall: float, closed: int
) -> None:
    """The loss falls by this part in 40 steps, or stays."""
    monkeypatch.setattr(_Learner, "try_step", lambda _self, _batch, step, _size: (1 - fall) ** (step / 40))
    settings = SHORT.model_copy(update={"steps": 160})

    def run(name: str, until: int | None = None) -> int:
        checkpoint = Checkpoint(tmp_path / name, "one", every_s=1e9)
        network, last = UNet(Architecture(width=4)), 0
        events = finetune(network, Material(squares, 48), settings, CPU, checkpoint, Plateau(checkpoint.notes))
        for event in events:
            assert isinstance(event, TrainingStep)
            last = event.step
            if last == until:
                break
        events.close()
        return max(last, checkpoint.steps)

    whole = run("whole")
    assert whole == (160 if fall else 80)
    assert run("closed", closed) == closed
    assert run("closed") == whole


def test_training_learns_and_counts_its_steps(squares: Slices) -> None:
    _, losses = train(squares, SHORT)
    assert len(losses) == SHORT.steps
    assert losses[-1] < 0.5 * losses[0]


def test_a_seed_decides_everything(squares: Slices) -> None:
    settings = SHORT.model_copy(update={"steps": 4, "augmentation": Augmentation()})
    (first, losses), (second, again) = train(squares, settings), train(squares, settings)
    assert losses == again
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert train(squares, settings.model_copy(update={"seed": 1}))[1] != losses


def test_ceasing_to_iterate_is_cancelling(squares: Slices) -> None:
    assert len(train(squares, SHORT, steps=3)[1]) == 3


def test_fault_18_a_loss_that_is_no_number_stops_and_keeps_the_weights(squares: Slices) -> None:
    squares.images[:] = torch.nan
    network = UNet(Architecture(width=4))
    before = {name: value.clone() for name, value in network.named_parameters()}
    with pytest.raises(NotFiniteError):
        list(finetune(network, Material(squares, 48), SHORT, CPU))
    assert all(torch.equal(before[name], value) for name, value in network.named_parameters())


def test_case_out_of_memory_takes_fewer_slices_at_once_and_says_so(
    squares: Slices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that only fits two slices into memory: batches of four are learned from in two parts."""
    forward = UNet.forward

    def forward_small(self: UNet, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, images)

    monkeypatch.setattr(UNet, "forward", forward_small)
    network = UNet(Architecture(width=4))
    events = list(finetune(network, Material(squares, 48), SHORT.model_copy(update={"steps": 3}), CPU))
    assert [event.kind for event in events] == ["notice", "training-step", "training-step", "training-step"]
    assert isinstance(events[0], Notice)
    assert "2 slices at once" in events[0].text


def test_frozen_norm_keeps_the_running_statistics(squares: Slices) -> None:
    torch.manual_seed(0)
    before = UNet(Architecture(width=4)).encoder.blocks[0][1].running_mean.clone()
    frozen, _ = train(squares, SHORT.model_copy(update={"freeze_norm": True, "steps": 2}))
    free, _ = train(squares, SHORT.model_copy(update={"steps": 2}))
    assert torch.equal(frozen.encoder.blocks[0][1].running_mean, before)
    assert not torch.equal(free.encoder.blocks[0][1].running_mean, before)


def test_without_change_augmentation_is_the_middle_of_the_slice(squares: Slices) -> None:
    views, labels = augment(squares.images, squares.masks, 32, STILL, torch.Generator().manual_seed(0))
    assert torch.allclose(views[:, 0], squares.images[:, 8:40, 8:40].float(), atol=1e-3)
    assert torch.equal(labels, squares.masks[:, 8:40, 8:40].long())


def test_image_and_mask_move_together(squares: Slices) -> None:
    settings = Augmentation(intensity=False)
    views, labels = augment(squares.images, squares.masks, 48, settings, torch.Generator().manual_seed(3))
    lv = views[:, 0] > 1.5
    assert 2 * (lv & (labels == 3)).sum() / (lv.sum() + (labels == 3).sum()) > 0.9
    assert not torch.equal(labels, squares.masks.long())


def test_intensity_changes_stay_finite_for_constant_slices() -> None:
    images, masks = torch.zeros(16, 32, 32), torch.zeros(16, 32, 32, dtype=torch.uint8)
    views, _ = augment(images, masks, 32, Augmentation(), torch.Generator().manual_seed(0))
    assert torch.isfinite(views).all()


def test_equation_6_cross_entropy_is_minus_y_log_p() -> None:
    logits = torch.randn(2, 4, 3, 3)
    labels = torch.randint(0, 4, (2, 3, 3))
    by_hand = -logits.log_softmax(1).gather(1, labels[:, None]).mean()
    assert float(segmentation_loss(logits, labels, dice_weight=0)) == pytest.approx(float(by_hand))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dice_loss_is_zero_when_right_and_near_one_when_wrong(dtype: torch.dtype) -> None:
    labels = torch.randint(0, 4, (2, 32, 32))
    sure = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).to(dtype) * 100
    assert float(soft_dice_loss(sure, labels)) == pytest.approx(0, abs=1e-3)
    assert float(soft_dice_loss(sure.roll(1, dims=1), labels)) > 0.9


def test_pixels_outside_the_mask_of_a_loss_count_nothing() -> None:
    logits, labels = torch.randn(2, 4, 8, 8), torch.randint(0, 4, (2, 8, 8))
    where = torch.zeros(2, 8, 8, dtype=torch.bool)
    where[:, :4] = True
    inside = float(segmentation_loss(logits[:, :, :4], labels[:, :4]))
    assert float(segmentation_loss(logits, labels, where=where)) == pytest.approx(inside, abs=1e-5)
    assert float(segmentation_loss(logits, labels, where=torch.zeros_like(where))) == pytest.approx(0, abs=1e-6)


def test_weighted_pixels_count_more_and_a_perfect_answer_still_costs_nothing() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, 2:6, 2:6] = 3
    sure = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float() * 100
    weights = torch.ones(1, 8, 8)
    weights[0, 2:4] = 3
    assert float(soft_dice_loss(sure, labels, weights)) == pytest.approx(0, abs=1e-3)
    wrong_light, wrong_heavy = sure.clone(), sure.clone()
    wrong_light[0, :, 5], wrong_heavy[0, :, 2] = sure[0, :, 0], sure[0, :, 0]
    light, heavy = (float(segmentation_loss(logits, labels, where=weights)) for logits in (wrong_light, wrong_heavy))
    assert 0 < light < heavy
