"""How far a fine-tuning goes from the base: far enough to help, not so far that the old is forgotten."""

from collections.abc import Callable, Generator

import pytest
import torch
from glrp_training.step_back import ALL, choose_share, step_back

from glrp_napari.comparison import Anchor
from glrp_napari.models import Architecture
from glrp_napari.progress import collect
from glrp_napari.unet import UNet


def make_network(value: float) -> UNet:
    """A network all of whose weights and statistics are the same, so that it tells how far it went."""
    network = UNet(Architecture(width=4))
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(value)
    return network


BASE, TUNED = make_network(0), make_network(1)


def read_share(network: UNet) -> float:
    return round(next(network.parameters()).flatten()[0].item(), 3)


def forget(drop: float, disagreement: float) -> Callable[[UNet], Generator[None, None, Anchor]]:
    """What measures a network that, all of the way, loses so much on phantoms and of the agreement."""

    def measure(network: UNet) -> Generator[None, None, Anchor]:
        yield
        share = read_share(network)
        return Anchor(base_phantoms=0.8, candidate_phantoms=0.8 - drop * share, agreement=1 - disagreement * share)

    return measure


def rate_by(best: float, of_base: float) -> Callable[[UNet], Generator[None, None, float]]:
    """What rates the base so, and other networks by how near they went to `best`."""

    def rate(network: UNet) -> Generator[None, None, float]:
        yield
        share = read_share(network)
        return of_base if share == 0 else 1 - abs(share - best)

    return rate


def test_every_weight_and_statistic_goes_the_share_of_the_way() -> None:
    found = step_back(BASE, TUNED, 0.35).state_dict()
    assert all(torch.allclose(t, torch.tensor(0.35)) for t in found.values() if t.is_floating_point())
    assert all(int(t) == 1 for t in found.values() if not t.is_floating_point()), "counters are the fine-tuned ones"


@pytest.mark.parametrize(
    ("drop", "disagreement", "of_base", "best", "share"),
    [
        (0.0, 0.0, 0.1, 1.0, 0.5),  # nothing is forgotten: no further than half of the way
        (0.006, 0.0, 0.1, 1.0, 0.35),
        (0.012, 0.0, 0.1, 1.0, 0.2),
        (0.0, 0.08, 0.1, 1.0, 0.35),
        (0.1, 0.0, 0.8, 1.0, 0.2),  # the base is of use: as little is forgotten as can be
        (0.1, 0.0, 0.1, 1.0, ALL),
        (0.1, 0.0, 0.1, 0.4, 0.35),
        (0.0, 0.4, 0.1, 0.1, 0.2),
    ],
)
def test_the_largest_share_that_keeps_the_old_else_the_smallest_or_for_a_useless_base_the_best(
    drop: float, disagreement: float, of_base: float, best: float, share: float
) -> None:
    assert collect(choose_share(BASE, TUNED, forget(drop, disagreement), rate_by(best, of_base))) == share
