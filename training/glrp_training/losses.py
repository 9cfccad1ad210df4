"""The losses: of fine-tuning, cross-entropy (paper eq. 6, its misprint mended) with soft Dice (ours); of pre-training,
the contrastive loss of all strategies (eq. 2 and 4).

They must not know what a target means, nor where logits and embeddings come from.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Form = Literal["mended", "literal"]
"""Where target weights enter the contrastive loss: as the target distribution, or inside the logarithm as printed."""
SHORTEST = 1e-4
"""Embeddings are divided by their length or by this; so that a vanishing one has no gradient beyond half precision."""


def segmentation_loss(logits: Tensor, labels: Tensor, dice_weight: float = 1.0, where: Tensor | None = None) -> Tensor:
    """Mean cross-entropy −Σ_c y_c log p_c plus `dice_weight` times one minus soft Dice.

    `logits` (N, C, H, W), `labels` (N, H, W) integer. `where` (N, H, W) says how much each pixel
    counts in either term: 0 or false is nothing.
    Computed in float32 whatever the logits' type.
    """
    logits = logits.float()
    loss = F.cross_entropy(logits, labels) if where is None else _masked_cross_entropy(logits, labels, where)
    return loss + dice_weight * soft_dice_loss(logits, labels, where) if dice_weight else loss


def soft_dice_loss(logits: Tensor, labels: Tensor, where: Tensor | None = None) -> Tensor:
    """One minus the soft Dice over the whole batch, averaged over the classes without background (Milletari 2016)."""
    probabilities = logits.softmax(1)[:, 1:]
    truth = F.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities)
    overlap, total = probabilities * truth, probabilities + truth
    if where is not None:
        overlap, total = overlap * where[:, None], total * where[:, None]
    overlap, total = overlap.sum((0, 2, 3)), total.sum((0, 2, 3))
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()


def _masked_cross_entropy(logits: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    each = F.cross_entropy(logits, labels, reduction="none")
    return (each * where).sum() / where.sum().clamp_min(1)


def contrastive_loss(embeddings: Tensor, targets: Tensor, temperature: float = 0.1, form: Form = "mended") -> Tensor:
    """How far the embeddings' similarities are from the target weights; the mean over anchors.

    `embeddings` (M, D) of any length and precision, `targets` (M, M) weights ≥ 0 of any scale, their diagonal ignored.
    With s_ij the cosine (eq. 3), τ the `temperature` and w_ij an anchor's weights made to sum to 1,

    - "mended" (ours): −Σ_j w_ij log softmax_j(s_ij / τ) over j ≠ i. Its minimum is the entropy of w;
    - "literal": eq. (2) and (4) as printed, the weight d_ij inside the logarithm: −mean_j log softmax_j(s_ij / τ +
      ln d_ij). Its optimum is s_ij = c − τ ln d_ij, so the *less* similar are pulled together (method §4).

    Where the paper sums over anchors this averages (ours). An anchor without any weight counts nothing; if none has
    any, the loss is 0. Computed in float32 at least, also under autocast. Raises ValueError for shapes that do not
    match, and in the literal form for a weight of zero, whose logarithm it would take.
    """
    count = len(embeddings)
    if targets.shape != (count, count) or count < 2:
        raise ValueError(f"found targets of {tuple(targets.shape)} for {count} embeddings: expected both M ≥ 2, (M, M)")
    exact = torch.promote_types(embeddings.dtype, torch.float32)
    with torch.autocast(embeddings.device.type, enabled=False):
        directions = F.normalize(embeddings.to(exact), dim=1, eps=SHORTEST)
        own = torch.eye(count, dtype=torch.bool, device=embeddings.device)
        weights = targets.to(directions).masked_fill(own, 0)
        counted = weights.sum(1) > 0
        logits = directions @ directions.T / temperature
        if form == "literal":
            logits = logits + _take_logarithm(weights, own | ~counted[:, None])
            weights = (~own & counted[:, None]).to(weights)
        logarithms = logits.masked_fill(own, -torch.inf).log_softmax(1).masked_fill(own, 0)
        shares = weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(exact).tiny)
        return -(shares * logarithms).sum() / counted.sum().clamp_min(1)


def _take_logarithm(weights: Tensor, ignored: Tensor) -> Tensor:
    if bool(((weights == 0) & ~ignored).any()):
        raise ValueError("found target weights of 0: expected positive ones, of which the literal form takes the log")
    return weights.masked_fill(ignored, 1).log()
