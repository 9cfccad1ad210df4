"""Contrastive strategies: which views, and which patches of views, should look alike, as target weights (method §4).

A strategy is nothing but functions from positions to weights; the loss is the same for all. A new one is three lines:
a function of two, and an entry in `STRATEGIES`. Must not know networks, images or the loss.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

WeightFunction = Callable[[Tensor, Tensor], Tensor]
"""Positions (M,) in 0…1 from base to apex, and sources (M,), the slice of which each view is, to weights (M, M) ≥ 0."""


@dataclass(frozen=True)
class Strategy:
    """What a pretext task compares: whole views (the global term), patches (the local term), both or nothing."""

    name: str
    slices: WeightFunction | None = None
    patches: WeightFunction | None = None


def weigh_slices(strategy: Strategy, positions: Tensor, sources: Tensor) -> Tensor:
    """Unnormalised target weights (M, M) of whole views; none of a view for itself.

    `positions` (M,) in 0…1 from base to apex, `sources` (M,) the index of the slice of which a view is. Raises
    ValueError for a strategy without a global term.
    """
    if strategy.slices is None:
        raise ValueError(f"strategy {strategy.name}: found no global term, expected one to weigh slices")
    return strategy.slices(positions, sources).fill_diagonal_(0)


def weigh_patches(strategy: Strategy, positions: Tensor, psm_table: Tensor) -> Tensor:
    """Unnormalised target weights (9 M, 9 M) of patches, PSM(l, m) · d_ij (paper eq. 4); none of a patch for itself.

    `positions` (M,) as above, `psm_table` (9, 9) as `psm.expand_psm` gives it. Patches come view by view: patch p of
    view i, row by row in its 3 × 3, is number 9 i + p. Raises ValueError for a strategy without a local term.
    """
    if strategy.patches is None:
        raise ValueError(f"strategy {strategy.name}: found no local term, expected one to weigh patches")
    # Eq. (4) knows positions only, so each view counts as a slice of its own.
    sources = torch.arange(len(positions), device=positions.device)
    weights = strategy.patches(positions, sources)
    return torch.kron(weights, psm_table.to(weights)).fill_diagonal_(0)


def weigh_by_distance(positions: Tensor, sources: Tensor, a: float = 15.0) -> Tensor:
    """d_ij = 1 / (1 + a (x_i − x_j)²): similarity falls sharply with distance (paper eq. 1, a = 15)."""
    return 1 / (1 + a * _subtract(positions) ** 2)


def weigh_linearly(positions: Tensor, sources: Tensor) -> Tensor:
    """d_ij = 1 − |x_i − x_j|: what eq. (10) of the paper must mean; its signed difference fits no logarithm (ours)."""
    return 1 - _subtract(positions).abs()


def weigh_neighbours(positions: Tensor, sources: Tensor, threshold: float = 0.35) -> Tensor:
    """1 for views nearer than `threshold`, else 0 (PCL, Zeng 2021; the threshold is inherited)."""
    return (_subtract(positions).abs() < threshold).to(positions)


def weigh_partitions(positions: Tensor, sources: Tensor, partitions: int = 4) -> Tensor:
    """1 for views in the same of so many equal parts of the heart, else 0 (the global part of GCL, Chaitanya 2020).

    As PCL compares it (inherited). A position on a border belongs to the part nearer the base.
    """
    part = (positions * partitions - 1e-4).ceil().clamp_min(1)  # 3/5 · 5 may come out above 3
    return (part[:, None] == part).to(positions)


def weigh_own_view(positions: Tensor, sources: Tensor) -> Tensor:
    """1 for the other view of the same slice, else 0 (SimCLR's NT-Xent, Chen 2020)."""
    return (sources[:, None] == sources).to(positions)


def _subtract(positions: Tensor) -> Tensor:
    return positions[:, None] - positions


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            Strategy("random"),
            Strategy("simclr", slices=weigh_own_view),
            Strategy("gcl", slices=weigh_partitions),
            Strategy("pcl", slices=weigh_neighbours),
            Strategy("grp", slices=weigh_by_distance),
            Strategy("lrp", patches=weigh_by_distance),
            Strategy("glrp", slices=weigh_by_distance, patches=weigh_by_distance),
            Strategy("glrp-linear", slices=weigh_linearly, patches=weigh_linearly),
        )
    }
)
"""By name, as the paper's tables list them; "random" has nothing to learn, "glrp-linear" is its GLRP-cl*."""
