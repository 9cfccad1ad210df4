from functools import partial

import pytest
import torch
from glrp_training.targets import (
    STRATEGIES,
    Strategy,
    WeightFunction,
    weigh_by_distance,
    weigh_neighbours,
    weigh_partitions,
    weigh_patches,
    weigh_slices,
)
from torch import Tensor

POSITIONS = torch.tensor([0.2, 0.2, 0.4, 1.0])
"""Two views of a basal slice, one of the slice next to it, one of the apex."""
SOURCES = torch.tensor([7, 7, 3, 5])
NEAR, FAR, FARTHEST = 1 / (1 + 15 * 0.04), 1 / (1 + 15 * 0.36), 1 / (1 + 15 * 0.64)
BY_DISTANCE = [[0, 1, NEAR, FARTHEST], [1, 0, NEAR, FARTHEST], [NEAR, NEAR, 0, FAR], [FARTHEST, FARTHEST, FAR, 0]]
LINEAR = [[0, 1, 0.8, 0.2], [1, 0, 0.8, 0.2], [0.8, 0.8, 0, 0.4], [0.2, 0.2, 0.4, 0]]
OWN_VIEW = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
NEIGHBOURS = [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("simclr", OWN_VIEW),
        ("gcl", OWN_VIEW),  # 0.2 is in the first quarter, 0.4 in the second, 1 in the fourth
        ("pcl", NEIGHBOURS),
        ("grp", BY_DISTANCE),
        ("glrp", BY_DISTANCE),
        ("glrp-linear", LINEAR),
    ],
)
def test_weights_of_slices(name: str, expected: list[list[float]]) -> None:
    torch.testing.assert_close(weigh_slices(STRATEGIES[name], POSITIONS, SOURCES), torch.tensor(expected).float())


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (partial(weigh_by_distance, a=0), [1, 1, 1, 1]),
        (partial(weigh_neighbours, threshold=0.7), [0, 0, 1, 1]),
        (partial(weigh_partitions, partitions=2), [0, 0, 0, 1]),
        (partial(weigh_partitions, partitions=5), [0, 0, 0, 1]),
    ],
)
def test_settings_of_a_strategy(function: WeightFunction, expected: list[float]) -> None:
    assert function(POSITIONS, SOURCES)[3].tolist() == expected


def test_a_position_on_a_border_belongs_to_one_partition_however_it_was_rounded() -> None:
    fifths = torch.tensor([0.0, 0.1, 0.2, 0.4, 0.6, 0.6000001, 0.8, 1.0])
    part = weigh_partitions(fifths, fifths, partitions=5)
    assert part.sum(1).tolist() == [3, 3, 3, 1, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("name", "slices", "patches"),
    [
        ("random", False, False),
        ("simclr", True, False),
        ("gcl", True, False),
        ("pcl", True, False),
        ("grp", True, False),
        ("lrp", False, True),
        ("glrp", True, True),
        ("glrp-linear", True, True),
    ],
)
def test_terms_of_each_strategy(name: str, slices: bool, patches: bool) -> None:
    """λ1 and λ2 of eq. (5) weigh the terms a strategy has."""
    strategy = STRATEGIES[name]
    assert (strategy.slices is not None, strategy.patches is not None) == (slices, patches)
    assert strategy.name == name


def test_no_strategy_is_untested() -> None:
    assert set(STRATEGIES) == {"random", "simclr", "gcl", "pcl", "grp", "lrp", "glrp", "glrp-linear"}


@pytest.mark.parametrize(("name", "between"), [("lrp", BY_DISTANCE), ("glrp", BY_DISTANCE), ("glrp-linear", LINEAR)])
def test_weights_of_patches_are_those_of_their_slices_times_their_similarity(
    name: str, between: list[list[float]]
) -> None:
    table = torch.arange(1.0, 82).reshape(9, 9)
    weights = weigh_patches(STRATEGIES[name], POSITIONS, table)
    assert weights.shape == (36, 36)
    for i, p, j, q in [(0, 0, 1, 0), (0, 2, 2, 7), (3, 8, 2, 1), (2, 4, 3, 4), (1, 3, 1, 5)]:
        of_views = between[i][j] if i != j else 1.0
        assert weights[9 * i + p, 9 * j + q] == pytest.approx(of_views * float(table[p, q]))
    assert not weights.diagonal().any()


@pytest.mark.parametrize("name", ["random", "lrp"])
def test_a_missing_global_term_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"strategy {name}: found no global term"):
        weigh_slices(STRATEGIES[name], POSITIONS, SOURCES)


@pytest.mark.parametrize("name", ["random", "simclr", "gcl", "pcl", "grp"])
def test_a_missing_local_term_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"strategy {name}: found no local term"):
        weigh_patches(STRATEGIES[name], POSITIONS, torch.ones(9, 9))


def test_a_new_strategy_is_a_function_and_an_entry() -> None:
    def weigh_neighbours_in_order(positions: Tensor, sources: Tensor) -> Tensor:
        return (sources[:, None] - sources).abs().eq(2).to(positions)

    own = Strategy("ordered", slices=weigh_neighbours_in_order)
    assert weigh_slices(own, POSITIONS, SOURCES).nonzero().tolist() == [[0, 3], [1, 3], [2, 3], [3, 0], [3, 1], [3, 2]]
