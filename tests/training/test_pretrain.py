import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from glrp_training import pretrain as pretrain_module
from glrp_training.augment import Augmentation, augment, augment_images
from glrp_training.checkpoint import Checkpoint
from glrp_training.optimise import NotFiniteError
from glrp_training.pretrain import PretrainSettings, make_fabric, pretrain
from glrp_training.slices import UnlabelledSlices
from glrp_training.targets import STRATEGIES

from glrp_napari.device import Placement
from glrp_napari.messages import TrainingStep
from glrp_napari.models import Architecture
from glrp_napari.unet import Encoder, UNet

CPU = Placement(torch.device("cpu"), None, batch=4)
ABLE = [name for name, strategy in STRATEGIES.items() if strategy.slices or strategy.patches]
PSM = torch.full((9, 9), 0.3).fill_diagonal_(1)
SHORT = PretrainSettings(steps=4, batch=4, rate=0.05, augmentation=Augmentation(intensity=False))
RUN_UNTIL_KILLED = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_pretrain import make_slices, run
torch.set_num_threads(1)
for event in run(Path({checkpoint!r})):
    print(event.step, flush=True)
"""


def make_slices(n: int = 12) -> UnlabelledSlices:
    """Squares that grow from base to apex, as positions do."""
    images = torch.zeros(n, 48, 48)
    for i in range(n):
        images[i, 8 : 12 + 2 * i, 8 : 12 + 2 * i] = 1
    return UnlabelledSlices(images.half(), torch.arange(1, n + 1) / n)


def make_encoder() -> Encoder:
    torch.manual_seed(0)
    return UNet(Architecture(width=4)).encoder


def run(
    checkpoint: Path | None, encoder: Encoder | None = None, settings: PretrainSettings | None = None
) -> Iterator[TrainingStep]:
    settings = settings or SHORT.model_copy(update={"steps": 12})
    kept = Checkpoint(checkpoint, "run", every_s=0) if checkpoint else None
    encoder = encoder or make_encoder()
    torch.manual_seed(1)  # the heads
    yield from pretrain(encoder, make_slices(), settings, 48, make_fabric(CPU), PSM, kept)


@pytest.mark.parametrize("name", ABLE)
def test_every_strategy_learns(name: str) -> None:
    settings = SHORT.model_copy(update={"strategy": name, "steps": 30, "batch": 6})
    encoder = make_encoder()
    before = [parameter.clone() for parameter in encoder.parameters()]
    losses = [event.loss for event in run(None, encoder, settings)]
    assert len(losses) == 30
    assert sum(losses[-5:]) < sum(losses[:5])
    assert not any(torch.equal(a, b) for a, b in zip(before, encoder.parameters(), strict=True) if a.ndim > 1)


def test_a_seed_decides_everything() -> None:
    first, again = ([event.loss for event in run(None, settings=SHORT)] for _ in range(2))
    assert first == again
    assert first != [event.loss for event in run(None, settings=SHORT.model_copy(update={"seed": 1}))]


@pytest.mark.parametrize(
    ("name", "psm", "expected"),
    [
        ("random", PSM, "random: found nothing to pre-train with, expected one of simclr, gcl"),
        ("none", PSM, "none: found nothing to pre-train with"),
        ("lrp", None, "lrp: found no patch similarity"),
    ],
)
def test_a_strategy_that_cannot_be_trained_is_refused(name: str, psm: torch.Tensor | None, expected: str) -> None:
    settings = SHORT.model_copy(update={"strategy": name})
    with pytest.raises(ValueError, match=expected):
        list(pretrain(make_encoder(), make_slices(), settings, 48, make_fabric(CPU), psm))


def test_fault_18_a_gradient_that_is_no_number_stops_and_keeps_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third step's loss is finite and its gradient is not."""
    measure, calls = pretrain_module.measure_loss, []

    def measure_badly(*arguments: object, **options: object) -> torch.Tensor:
        calls.append(1)
        loss = measure(*arguments, **options)  # type: ignore[arg-type]
        if len(calls) == 3:
            loss.register_hook(lambda gradient: gradient * torch.inf)
        return loss

    monkeypatch.setattr(pretrain_module, "measure_loss", measure_badly)
    encoder, path = make_encoder(), tmp_path / "run.checkpoint"
    with pytest.raises(NotFiniteError, match="the gradient became"):
        list(run(path, encoder))
    assert all(torch.isfinite(parameter).all() for parameter in encoder.parameters())
    assert torch.load(path)["steps"] == 2


def test_a_view_without_mask_is_the_view_with_one() -> None:
    images, settings = make_slices().images, Augmentation()
    masks = torch.zeros(images.shape, dtype=torch.uint8)
    alone = augment_images(images, 48, settings, torch.Generator().manual_seed(5))
    assert torch.equal(alone, augment(images, masks, 48, settings, torch.Generator().manual_seed(5))[0])


def test_a_killed_pre_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    script = RUN_UNTIL_KILLED.format(folder=str(Path(__file__).parent), checkpoint=str(checkpoint))
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert any(line.strip() == "6" for line in child.stdout)
    child.send_signal(signal.SIGKILL)
    child.wait()

    resumed, undisturbed = make_encoder(), make_encoder()
    ours = [(event.step, event.loss) for event in run(checkpoint, resumed)]
    theirs = [(event.step, event.loss) for event in run(None, undisturbed)]
    assert 5 <= ours[0][0] - 1 < 12
    assert ours == theirs[ours[0][0] - 1 :]
    assert all(
        torch.equal(a, b) for a, b in zip(resumed.state_dict().values(), undisturbed.state_dict().values(), strict=True)
    )
