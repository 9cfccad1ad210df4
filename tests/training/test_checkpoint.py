import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from glrp_training.checkpoint import Checkpoint, CheckpointError, fingerprint
from glrp_training.finetune import FinetuneSettings, Material, finetune
from glrp_training.slices import Slices

from glrp_napari.device import Placement
from glrp_napari.models import Architecture
from glrp_napari.unet import UNet

CPU = Placement(torch.device("cpu"), None, batch=4)
SETTINGS = FinetuneSettings(steps=12, batch=4, warmup=2)
RUN_UNTIL_KILLED = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_checkpoint import run
torch.set_num_threads(1)
for event in run(torch.load({data!r}), Path({checkpoint!r}), {semi}):
    print(event.step, flush=True)
"""


def run(data: dict[str, torch.Tensor], checkpoint: Path | None, semi: bool, network: UNet | None = None):  # noqa: ANN201
    torch.manual_seed(0)
    fresh = UNet(Architecture(width=4))
    network = network or fresh
    slices = Slices(data["images"], data["masks"])
    material = Material(slices, 48, unlabelled=data["images"] if semi else None)
    kept = Checkpoint(checkpoint, "run", every_s=0) if checkpoint else None
    yield from finetune(network, material, SETTINGS, CPU, kept)


@pytest.mark.parametrize("semi", [False, True], ids=["supervised", "semi-supervised"])
def test_fault_7_a_killed_training_goes_on_bit_for_bit(squares: Slices, tmp_path: Path, semi: bool) -> None:
    data = {"images": squares.images, "masks": squares.masks}
    torch.save(data, tmp_path / "data.pt")
    checkpoint = tmp_path / "run.checkpoint"
    script = RUN_UNTIL_KILLED.format(
        folder=str(Path(__file__).parent), data=str(tmp_path / "data.pt"), checkpoint=str(checkpoint), semi=semi
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert any(line.strip() == "6" for line in child.stdout)  # reads until the sixth step is reported
    child.send_signal(signal.SIGKILL)
    child.wait()

    torch.manual_seed(0)
    resumed, undisturbed = UNet(Architecture(width=4)), UNet(Architecture(width=4))
    undisturbed.load_state_dict(resumed.state_dict())
    ours = [(event.step, event.loss) for event in run(data, checkpoint, semi, resumed)]
    theirs = [(event.step, event.loss) for event in run(data, None, semi, undisturbed)]
    assert 5 <= ours[0][0] - 1 < SETTINGS.steps
    assert ours == theirs[ours[0][0] - 1 :]
    assert all(
        torch.equal(a, b) for a, b in zip(resumed.state_dict().values(), undisturbed.state_dict().values(), strict=True)
    )


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    network = UNet(Architecture(width=4))
    Checkpoint(tmp_path / "run", "a").save(3, {"network": network})
    with pytest.raises(CheckpointError, match="other settings or data"):
        Checkpoint(tmp_path / "run", "b").restore({"network": network})
    with pytest.raises(CheckpointError, match="other settings or data"):
        Checkpoint(tmp_path / "run", "a").restore({"network": network, "teacher": network})
    assert Checkpoint(tmp_path / "run", "a").restore({"network": network}) == 3
    assert Checkpoint(tmp_path / "none", "a").restore({"network": network}) == 0


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run: found .*expected a checkpoint; remove"):
        Checkpoint(tmp_path / "run", "a").restore({"network": UNet(Architecture(width=4))})


def test_a_checkpoint_is_written_when_it_is_due(tmp_path: Path) -> None:
    network = UNet(Architecture(width=4))
    never, always = Checkpoint(tmp_path / "never", "a", every_s=1e9), Checkpoint(tmp_path / "always", "a", every_s=0)
    for checkpoint in (never, always):
        checkpoint.save_when_due(1, {"network": network})
    assert not never.path.exists()
    assert always.path.exists()
    always.remove()
    assert not always.path.exists()


def test_a_fingerprint_tells_settings_and_data_apart() -> None:
    data = torch.arange(6.0)
    other = SETTINGS.model_copy(update={"rate": 1e-4})
    known = {
        fingerprint(settings, tensor)
        for settings in (SETTINGS, other)
        for tensor in (data, data.reshape(2, 3), data.half(), data + 1)
    }
    assert len(known) == 8
    assert fingerprint(SETTINGS, data) == fingerprint(SETTINGS.model_copy(), data.clone())
