import pytest
import torch
from glrp_training.augment import Augmentation
from glrp_training.consistency import Consistency, ask_teacher, disturb, follow, make_teacher
from glrp_training.finetune import FinetuneSettings, Material, finetune
from glrp_training.slices import Slices

from glrp_napari.device import Placement
from glrp_napari.models import Architecture
from glrp_napari.unet import UNet


def test_a_teacher_is_the_moving_average_of_the_student() -> None:
    student = UNet(Architecture(width=4))
    teacher = make_teacher(student)
    weight = "decoder.head.weight"
    before = student.state_dict()[weight].clone()
    student.state_dict()[weight].add_(1)
    follow(teacher, student, decay=0.9, step=10_000)
    torch.testing.assert_close(teacher.state_dict()[weight], before + 0.1)
    follow(teacher, student, decay=0.9, step=0)  # the first step takes the student over
    torch.testing.assert_close(teacher.state_dict()[weight], before + 1)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize(("threshold", "share"), [(0.0, 1.0), (1.01, 0.0)])
def test_only_sure_pixels_count(threshold: float, share: float) -> None:
    labels, sure = ask_teacher(make_teacher(UNet(Architecture(width=4))), torch.randn(2, 1, 32, 32), threshold)
    assert labels.shape == sure.shape == (2, 32, 32)
    assert float(sure.float().mean()) == share


def test_a_box_of_the_next_view_brings_its_labels_along() -> None:
    labels = torch.arange(4)[:, None, None].expand(4, 32, 32)
    sure = labels % 2 == 0
    views = labels[:, None].float() * 100  # intensity changes are far smaller than 100
    generator = torch.Generator().manual_seed(0)
    strong, mixed, certain = disturb(views, labels, sure, 1.0, generator)
    boxes = mixed != labels
    assert (boxes.float().mean((1, 2)) > 0.03).all()
    assert torch.equal(mixed[boxes], labels.roll(1, 0)[boxes])
    assert torch.equal(certain, mixed % 2 == 0)
    for i in range(4):  # inside and outside of the box differ as their labels do
        assert (strong[i, 0][boxes[i]].mean() > strong[i, 0][~boxes[i]].mean()) == (i == 0)
    untouched = disturb(views, labels, sure, 0.0, generator)
    assert torch.equal(untouched[1], labels)


def test_unlabelled_slices_take_part_once_the_weight_has_risen(squares: Slices) -> None:
    settings = FinetuneSettings(
        steps=4,
        batch=4,
        warmup=1,
        augmentation=Augmentation(intensity=False),
        consistency=Consistency(batch=4, threshold=0.0, ramp=2),
    )
    losses = {}
    for name, unlabelled in (("without", None), ("with", squares.images)):
        torch.manual_seed(0)
        network = UNet(Architecture(width=4))
        material = Material(squares, 48, unlabelled=unlabelled)
        losses[name] = [e.loss for e in finetune(network, material, settings, Placement(torch.device("cpu"), None, 8))]
    assert losses["with"][0] == pytest.approx(losses["without"][0])  # its weight begins at zero
    assert losses["with"][2] > losses["without"][2]
