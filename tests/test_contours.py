"""Smoothing, closing and pushing outlines of drawn hearts."""

import numpy as np
import pytest

from glrp_napari.anatomy_checks import check_slice
from glrp_napari.cine import Mask, Structure
from glrp_napari.contours import close_ring, push_border, smooth_outline
from tests.test_anatomy_checks import open_ring
from tests.test_masks import draw_slice

PIXEL = (1.0, 1.0)
HEART = draw_slice(10, 16, 14)


def count(labels: Mask, *structures: Structure) -> int:
    return int(np.isin(labels, structures).sum())


def wrong(labels: Mask, truth: Mask = HEART) -> int:
    return int((labels != truth).sum())


@pytest.mark.parametrize("structure", list(Structure))
def test_smoothing_a_smooth_outline_changes_next_to_nothing(structure: Structure) -> None:
    assert wrong(smooth_outline(HEART, structure, PIXEL)) <= 0.05 * count(HEART, structure)


def test_smoothing_takes_a_spike_away_and_keeps_the_area() -> None:
    spiked = HEART.copy()
    spiked[31:33, 46:52] = Structure.LV
    smooth = smooth_outline(spiked, Structure.LV, PIXEL)
    assert not (smooth[31:33, 48:52] == Structure.LV).any()
    assert count(smooth, Structure.LV) == pytest.approx(count(spiked, Structure.LV), abs=8)
    assert (smooth[31:33, 49:52] == Structure.MYO).all()


def test_smoothing_the_myocardium_smooths_the_epicardium_and_leaves_the_lv() -> None:
    notched = HEART.copy()
    notched[31:34, 49:54] = 0
    smooth = smooth_outline(notched, Structure.MYO, PIXEL)
    assert (smooth[31:34, 49:52] == 0).sum() <= 3
    np.testing.assert_array_equal(smooth == Structure.LV, notched == Structure.LV)


def test_smoothing_counts_in_mm() -> None:
    spiked = HEART.copy()
    spiked[30:34, 46:52] = Structure.LV
    fine, coarse = (smooth_outline(spiked, Structure.LV, (mm, mm)) for mm in (0.3, 1.0))
    assert (coarse != fine).any()
    assert wrong(coarse) < wrong(fine)


def test_a_structure_that_is_not_there_cannot_be_smoothed() -> None:
    with pytest.raises(ValueError, match="not on this slice"):
        smooth_outline(draw_slice(10, 16), Structure.RV, PIXEL)


@pytest.mark.parametrize("half_degrees", [20, 45, 80])
def test_an_open_ring_is_closed_near_the_truth(half_degrees: float) -> None:
    flawed = open_ring(half_degrees)
    closed = close_ring(flawed, PIXEL)
    assert not check_slice(closed, PIXEL)
    assert wrong(closed) < 0.7 * wrong(flawed)
    np.testing.assert_array_equal(closed == Structure.LV, HEART == Structure.LV)
    np.testing.assert_array_equal(closed == Structure.RV, HEART == Structure.RV)


def test_a_closed_ring_stays_and_an_lv_without_wall_gets_one() -> None:
    np.testing.assert_array_equal(close_ring(HEART, PIXEL), HEART)
    assert not check_slice(close_ring(draw_slice(lv=10), PIXEL), PIXEL)
    with pytest.raises(ValueError, match="no LV"):
        close_ring(draw_slice(rv=10), PIXEL)


@pytest.mark.parametrize(
    ("structure", "start", "end", "grows"),
    [
        (Structure.LV, (32, 44), (32, 48), True),
        (Structure.LV, (32, 48), (32, 44), False),
        (Structure.MYO, (32, 51), (32, 55), True),
        (Structure.RV, (22, 14), (17, 11), True),
    ],
)
def test_pushing_moves_the_border_with_the_brush(
    structure: Structure, start: tuple[float, float], end: tuple[float, float], grows: bool
) -> None:
    pushed = push_border(HEART, structure, start, end, 8, PIXEL)
    region = [Structure.MYO, Structure.LV] if structure is Structure.MYO else [structure]
    difference = count(pushed, *region) - count(HEART, *region)
    assert difference > 8 if grows else difference < -8
    rows, columns = np.nonzero(pushed != HEART)
    assert (np.hypot(rows - end[0], columns - end[1]) <= 8).all()
    assert not check_slice(pushed, PIXEL)


def test_an_lv_pushed_in_leaves_wall_and_one_pushed_out_takes_it() -> None:
    inward = push_border(HEART, Structure.LV, (32, 48), (32, 44), 8, PIXEL)
    assert set(inward[(HEART == Structure.LV) & (inward != HEART)]) == {Structure.MYO}
    assert (inward >= Structure.MYO).sum() == (HEART >= Structure.MYO).sum()


def test_a_drag_far_from_the_border_changes_nothing() -> None:
    np.testing.assert_array_equal(push_border(HEART, Structure.LV, (32, 36), (32, 37), 4, PIXEL), HEART)
