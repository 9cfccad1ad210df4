"""Losses of fine-tuning: cross-entropy (paper eq. 6, its misprint mended) with soft Dice (ours)."""

import torch.nn.functional as F
from torch import Tensor


def segmentation_loss(logits: Tensor, labels: Tensor, dice_weight: float = 1.0) -> Tensor:
    """Mean cross-entropy −Σ_c y_c log p_c plus `dice_weight` times one minus soft Dice.

    `logits` (N, C, H, W), `labels` (N, H, W) integer. Computed in float32 whatever the logits' type.
    """
    logits = logits.float()
    loss = F.cross_entropy(logits, labels)
    return loss + dice_weight * soft_dice_loss(logits, labels) if dice_weight else loss


def soft_dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """One minus the soft Dice over the whole batch, averaged over the classes without background (Milletari 2016)."""
    probabilities = logits.softmax(1)[:, 1:]
    truth = F.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities)
    overlap = (probabilities * truth).sum((0, 2, 3))
    total = (probabilities + truth).sum((0, 2, 3))
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()
