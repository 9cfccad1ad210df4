"""Several answers made one: those of several networks (paper eq. 8), and those of neighbouring slices.

Knows neither networks nor images.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from glrp_napari.models import Fusion

NEIGHBOUR_WEIGHT = 0.07
"""Of each of the two neighbouring slices. Chosen on ACDC's `val`: a 2-D network sees slices one by one."""
LEAST_PROBABILITY = 1e-4


def fuse_probabilities(answers: Tensor, fusion: Fusion) -> Tensor:
    """Softmax of K networks (K, N, C, H, W) to one distribution (N, C, H, W); that of a single network stays as it is.

    Eq. (8): Q_L = q0 + q_L · M_L with q_L = 1, renormalised. That M is the mean over the networks is our reading, and
    q0 ours: the paper gives neither.
    """
    if len(answers) == 1:
        return answers[0]
    said = one_hot(answers.argmax(2), answers.shape[2]).movedim(-1, 2).to(answers) if fusion.votes else answers
    fused = fusion.q0 + said.mean(0)
    return fused / fused.sum(1, keepdim=True)


def couple_slices(probabilities: Tensor, weight: float = NEIGHBOUR_WEIGHT) -> Tensor:
    """A stack (Z, C, Y, X) in which each slice's log-probabilities take in those of its neighbours (ours).

    (1 − 2w) log p + w (log p above + log p below), renormalised; beyond the ends a stack repeats its last slice.
    """
    logs = probabilities.clamp_min(LEAST_PROBABILITY).log()
    above, below = torch.cat([logs[1:], logs[-1:]]), torch.cat([logs[:1], logs[:-1]])
    return ((1 - 2 * weight) * logs + weight * (above + below)).softmax(1)
