"""Going part of the way back from fine-tuned weights to those they came from (WiSE-FT, Wortsman et al. 2022).

The network halfway between both does nearly as well on the new and hardly forgets the old: measured to be so here
too, and better than a pull back in each step (`docs/few-labels.md`).
"""

import copy
from collections.abc import Generator, Sequence

import torch

from glrp_napari.device import Placement
from glrp_napari.gate import MAX_DROP
from glrp_napari.messages import Notice, Progress
from glrp_napari.models import Preprocessing
from glrp_napari.segment import Segmenter
from glrp_napari.unet import UNet
from glrp_training.recall import score_phantoms
from glrp_training.slices import Slices

SHARES = (0.5, 0.35, 0.2)
"""Shares of the way from the base to the fine-tuned weights, tried from the boldest on; more was never better."""
USUAL_SHARE = 0.5
"""Where there is no time to try."""
WEIGHING = "Weighing old against new"
SAFETY = 0.5
"""The part of the gate's bound on phantoms that may be used up on other ones."""


def step_back(base: UNet, tuned: UNet, share: float) -> UNet:
    """A network a `share` of the way from `base` to `tuned`, counters of steps aside."""
    result = copy.deepcopy(tuned)
    with torch.no_grad():
        for old, new in zip(base.state_dict().values(), result.state_dict().values(), strict=True):
            if new.is_floating_point():
                new.copy_(old.to(new).lerp(new, share))
    return result


def choose_share(
    base: UNet, tuned: UNet, phantoms: Sequence[Slices], preprocessing: Preprocessing, placement: Placement
) -> Generator[Progress | Notice, None, float]:
    """The largest share that forgets next to nothing of phantoms no training saw; the smallest if all do."""
    before = yield from score_phantoms(Segmenter((base,), preprocessing, placement), phantoms, WEIGHING)
    for share in SHARES[:-1]:
        network = step_back(base, tuned, share)
        after = yield from score_phantoms(Segmenter((network,), preprocessing, placement), phantoms, WEIGHING)
        if before - after <= SAFETY * MAX_DROP:
            return share
    return SHARES[-1]
