"""Projection heads: from the encoder's last map to the vectors that the contrastive loss compares (paper Fig. 1).

Used in pre-training only and dropped after it. Must not know positions or losses.
"""

from typing import cast

from torch import Tensor, nn

PATCH_ROWS = 3
"""The last map is cut into 3 × 3 patches (paper §3.3.2)."""
PATCHES = PATCH_ROWS**2


class SliceHead(nn.Module):
    """Global average pool, Linear, ReLU, Linear: (N, `channels`, h, w) to (N, `out`).

    The hidden layer has `channels` units unless `hidden` says otherwise (PCL: 768 → 768 → 512, inherited).
    """

    def __init__(self, channels: int, hidden: int | None = None, out: int = 512) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.layers = _make_layers(channels, hidden, out)

    def forward(self, coarse: Tensor) -> Tensor:
        """The encoder's last map (N, C, h, w) to the slices' vectors (N, out)."""
        return cast(Tensor, self.layers(self.pool(coarse).flatten(1)))


class PatchHead(nn.Module):
    """Averages over 3 × 3 patches, each through one and the same perceptron: (N, `channels`, h, w) to (9 N, `out`).

    Patch p (row by row) of image i is number 9 i + p. That patches have a head of their own, and all nine the same,
    is ours: the paper doesn't say, and patches change place when an image is turned or flipped.
    """

    def __init__(self, channels: int, hidden: int | None = None, out: int = 512) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(PATCH_ROWS)
        self.layers = _make_layers(channels, hidden, out)

    def forward(self, coarse: Tensor) -> Tensor:
        """The encoder's last map (N, C, h, w) to the patches' vectors (9 N, out)."""
        patches = self.pool(coarse).flatten(2).movedim(1, 2).flatten(0, 1)  # (N, C, 3, 3) → (N, 9, C) → (9 N, C)
        return cast(Tensor, self.layers(patches))


def _make_layers(channels: int, hidden: int | None, out: int) -> nn.Sequential:
    hidden = hidden or channels
    return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out))
