import subprocess
import sys
from pathlib import Path

import torch

CHILD = Path(__file__).with_name("gloo_child.py")


def run(processes: int, out: Path) -> dict[str, torch.Tensor]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run([*command, str(CHILD), str(out)], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return torch.load(out)


def test_two_processes_have_the_loss_and_the_gradient_of_one(tmp_path: Path) -> None:
    """Fails when embeddings are gathered without their gradient, or scaled by the number of processes."""
    one, two = run(1, tmp_path / "one.pt"), run(2, tmp_path / "two.pt")
    assert (one["processes"], two["processes"]) == (1, 2)
    torch.testing.assert_close(two["loss"], one["loss"], atol=1e-6, rtol=0)
    assert one["gradients"].keys() == two["gradients"].keys()
    for name, gradient in one["gradients"].items():
        torch.testing.assert_close(two["gradients"][name], gradient, atol=1e-6, rtol=0, msg=name)
    assert max(float(gradient.abs().max()) for gradient in one["gradients"].values()) > 1e-3
