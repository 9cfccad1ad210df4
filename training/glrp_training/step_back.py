"""Going part of the way back from fine-tuned weights to those they came from (WiSE-FT, Wortsman et al. 2022).

The network halfway between both does nearly as well on the new and hardly forgets the old: measured to be so here
too, and better than a pull back in each step (`docs/few-labels.md`).
"""

import copy
from collections.abc import Callable, Generator

import torch

from glrp_napari.comparison import Anchor
from glrp_napari.gate import MAX_DROP, MIN_AGREEMENT
from glrp_napari.messages import Notice, Progress
from glrp_napari.unet import UNet

Event = Progress | Notice

SHARES = (0.5, 0.35, 0.2)
"""Shares of the way from the base to the fine-tuned weights, tried from the boldest on."""
ALL = 1.0
OF_USE = 0.5
"""Mean Dice on the labels from which the base is worth keeping. On labels that were learned from, all of the way always
looks best: among scans that the base half knows, going by that lost 0.03 Dice on new ones (`docs/few-labels.md`)."""
USUAL_SHARE = 0.5
"""Where there is no time to try."""
SAFETY = 0.5
"""The part of the gate's bound on phantoms that may be used up on those it is chosen by."""


def step_back(base: UNet, tuned: UNet, share: float) -> UNet:
    """A network a `share` of the way from `base` to `tuned`, counters of steps aside."""
    result = copy.deepcopy(tuned)
    with torch.no_grad():
        for old, new in zip(base.state_dict().values(), result.state_dict().values(), strict=True):
            if new.is_floating_point():
                new.copy_(old.to(new).lerp(new, share))
    return result


def choose_share(
    base: UNet,
    tuned: UNet,
    measure: Callable[[UNet], Generator[Event, None, Anchor]],
    rate: Callable[[UNet], Generator[Event, None, float]],
) -> Generator[Event, None, float]:
    """The largest share that forgets next to nothing of what `measure` looks at; the smallest if all do.

    But where all do and the base is of no use on the labels, the new is too far from the old for one network to hold
    both. Then the reader, who may overrule the gate, gets what does best by `rate`, the mean Dice on those labels.
    """
    for share in SHARES:
        anchor = yield from measure(step_back(base, tuned, share))
        agrees = anchor.agreement is None or anchor.agreement >= MIN_AGREEMENT
        if agrees and anchor.drop <= SAFETY * MAX_DROP:
            return share
    if (yield from rate(base)) >= OF_USE:
        return SHARES[-1]
    rates = {}
    for share in (*SHARES, ALL):
        rates[share] = yield from rate(step_back(base, tuned, share))
    return max(rates, key=lambda share: rates[share])
