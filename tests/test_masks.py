"""Interpolation between labelled slices."""

import numpy as np
import pytest

from glrp_napari.cine import Mask, Structure
from glrp_napari.masks import interpolate_slices

SIZE = 64


def draw_slice(lv: float = 0, epi: float = 0, rv: float = 0, y: float = 32, x: float = 36) -> Mask:
    """Radii of LV and epicardium about (y, x), and of an RV to their left."""
    rows, columns = np.indices((SIZE, SIZE))
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[np.hypot(rows - y, columns - x + 16) < rv] = Structure.RV
    labels[np.hypot(rows - y, columns - x) < epi] = Structure.MYO
    labels[np.hypot(rows - y, columns - x) < lv] = Structure.LV
    return labels


def stack(first: Mask, last: Mask, slices: int = 5) -> Mask:
    """A mask whose slice 1 and last but one are given, with rubbish between them and marks outside."""
    mask = np.full((slices + 2, SIZE, SIZE), 1, np.uint8)
    mask[1], mask[slices] = first, last
    return mask


def measure_radius(labels: Mask, *structures: Structure) -> float:
    return float(np.sqrt(np.isin(labels, structures).sum() / np.pi))


@pytest.mark.parametrize("labels", [draw_slice(10, 16, 14), draw_slice(lv=10), draw_slice(rv=9), draw_slice(0, 12)])
def test_equal_slices_are_repeated(labels: Mask) -> None:
    between = interpolate_slices(stack(labels, labels), 1, 5)
    assert all((between[z] == labels).all() for z in range(1, 6))


def test_only_slices_between_change_in_a_copy() -> None:
    mask = stack(draw_slice(10, 16, 14), draw_slice(6, 11, 9))
    before = mask.copy()
    result = interpolate_slices(mask, 1, 5)
    assert (mask == before).all()
    assert (result[[0, 1, 5, 6]] == before[[0, 1, 5, 6]]).all()
    assert all((result[z] != before[z]).any() for z in (2, 3, 4))
    assert result.dtype == np.uint8


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (draw_slice(10, 16), draw_slice(6, 12), [(9, 15), (8, 14), (7, 13)]),
        (draw_slice(4, 8), draw_slice(12, 20), [(6, 11), (8, 14), (10, 17)]),
        (draw_slice(12, 16), draw_slice(0, 0), [(9, 12), (6, 8), (3, 4)]),
        (draw_slice(0, 0), draw_slice(12, 16), [(3, 4), (6, 8), (9, 12)]),
        (draw_slice(12, 16), draw_slice(0, 8), [(9, 14), (6, 12), (3, 10)]),
    ],
)
def test_radii_grow_linearly(first: Mask, last: Mask, expected: list[tuple[float, float]]) -> None:
    result = interpolate_slices(stack(first, last), 1, 5)
    for z, (lv, epi) in enumerate(expected, start=2):
        assert measure_radius(result[z], Structure.LV) == pytest.approx(lv, abs=0.8)
        assert measure_radius(result[z], Structure.LV, Structure.MYO) == pytest.approx(epi, abs=0.8)


@pytest.mark.parametrize("shift", [(0, 0), (6, -4), (-8, 8)])
def test_lv_stays_inside_its_wall(shift: tuple[int, int]) -> None:
    first, last = draw_slice(10, 15, 14), draw_slice(5, 9, 8, 32 + shift[0], 36 + shift[1])
    for labels in interpolate_slices(stack(first, last), 1, 5)[2:5]:
        assert set(np.unique(labels)) == {0, 1, 2, 3}
        y, x = np.nonzero(labels == Structure.LV)
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            assert (labels[y + dy, x + dx] >= Structure.MYO).all()


def test_rv_yields_where_structures_meet() -> None:
    first, last = draw_slice(8, 12), draw_slice(rv=20)
    labels = interpolate_slices(stack(first, last), 1, 5)[3]
    alone = interpolate_slices(stack(draw_slice(), last), 1, 5)[3]
    assert (labels[alone == Structure.RV] >= 1).all()
    assert measure_radius(labels, Structure.LV, Structure.MYO) == pytest.approx(6, abs=0.8)


@pytest.mark.parametrize(("first", "last"), [(1, 2), (3, 3), (5, 1), (-1, 4), (1, 7)])
def test_nothing_between_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match=f"found {first} and {last}"):
        interpolate_slices(stack(draw_slice(8, 12), draw_slice(8, 12)), first, last)


def test_two_empty_slices_are_refused() -> None:
    with pytest.raises(ValueError, match="slices 1 and 5 are both empty"):
        interpolate_slices(stack(draw_slice(), draw_slice()), 1, 5)
