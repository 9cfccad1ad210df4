"""One of two processes that share a contrastive batch: prints its loss and saves its gradient.

Run by torchrun: `gloo_child.py OUT`. With one process it is the reference.
"""

import sys
from pathlib import Path

import torch
from glrp_training.pretrain import Pretrainer, PretrainSettings, leave_fabric, make_fabric, measure_loss
from glrp_training.targets import STRATEGIES

from glrp_napari.device import Placement
from glrp_napari.models import Architecture
from glrp_napari.unet import UNet


def main(out: Path) -> None:
    """Loss and gradient of eight views, of which each process has its part."""
    fabric = make_fabric(Placement(torch.device("cpu"), None, batch=4))
    torch.manual_seed(0)
    module = Pretrainer(UNet(Architecture(width=4)).encoder, STRATEGIES["glrp"]).double().eval()
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    wrapped, _ = fabric.setup(module, optimiser)
    views = torch.randn(8, 1, 48, 48, dtype=torch.float64)
    positions, sources = torch.rand(4, dtype=torch.float64).repeat(2), torch.arange(4).repeat(2)
    own = slice(fabric.global_rank, None, fabric.world_size)
    psm = torch.full((9, 9), 0.3, dtype=torch.float64).fill_diagonal_(1)
    settings = PretrainSettings(strategy="glrp")
    loss = measure_loss(wrapped, views[own], positions[own], sources[own], STRATEGIES["glrp"], settings, fabric, psm)
    fabric.backward(loss)
    if fabric.is_global_zero:
        gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
        torch.save({"loss": loss.detach(), "gradients": gradients, "processes": fabric.world_size}, out)
    leave_fabric(fabric)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
