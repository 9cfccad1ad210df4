"""AHA segments and insertion points on drawn slices, where both are known."""

import numpy as np
import pytest

from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.segments import (
    SEGMENTS,
    Insertions,
    assign_segments,
    find_insertion_points,
    find_insertions,
    measure_angle,
)

UP = Geometry(spacing_mm=(8.0, 1.0, 1.5))
UPSIDE_DOWN = Geometry(spacing_mm=(8.0, 1.0, 1.5), axes=((0, 0, -1), (0, -1, 0), (1, 0, 0)))
CENTRE = (52.3, 57.4)
"""Middle of the LV in mm."""


def draw_heart(septum_deg: float = 180.0, slices: int = 9) -> Mask:
    """Slices (Z, 110, 80) of 1 × 1.5 mm: LV of 20 and 30 mm radius, an RV of 28 mm whose middle is 34 mm from it.

    The circles cross 53.0° off the direction `septum_deg`.
    """
    y, x = np.indices((110, 80)).astype(float)
    y, x = y * 1.0 - CENTRE[0], x * 1.5 - CENTRE[1]
    r = np.hypot(y, x)
    ry, rx = 34 * np.sin(np.radians(septum_deg)), 34 * np.cos(np.radians(septum_deg))
    plane = np.where(np.hypot(y - ry, x - rx) < 28, Structure.RV, 0)
    plane = np.where(r < 30, Structure.MYO, plane)
    plane = np.where(r < 20, Structure.LV, plane)
    return np.array([plane] * slices, np.uint8)


HALF_DEG = float(np.degrees(np.arccos((30**2 + 34**2 - 28**2) / (2 * 30 * 34))))


def wrap(angle: float) -> float:
    return (angle + 180) % 360 - 180


@pytest.mark.parametrize("septum_deg", [180.0, 150.0, 215.0])
def test_insertions_are_where_the_circles_cross(septum_deg: float) -> None:
    found = find_insertions(draw_heart(septum_deg), UP)
    assert wrap(found.anterior_deg - septum_deg - HALF_DEG) == pytest.approx(0, abs=4)
    assert wrap(found.inferior_deg - septum_deg + HALF_DEG) == pytest.approx(0, abs=4)


def test_anterior_follows_the_patient() -> None:
    up, down = (find_insertions(draw_heart(), geometry) for geometry in (UP, UPSIDE_DOWN))
    assert (up.anterior_deg, up.inferior_deg) == (down.inferior_deg, down.anterior_deg)
    assert up.anterior_deg < 0 < up.inferior_deg


def test_insertion_points_lie_on_the_outer_wall() -> None:
    plane = draw_heart()[0]
    points = find_insertion_points(plane, UP)
    assert points is not None
    for y, x in points:
        assert plane[int(y), int(x)] == Structure.MYO
        assert np.hypot(y * 1.0 - CENTRE[0], x * 1.5 - CENTRE[1]) == pytest.approx(30, abs=3.5)
    assert measure_angle(plane, UP, points[0]) == pytest.approx(-180 + HALF_DEG, abs=4)


@pytest.mark.parametrize("missing", [Structure.RV, Structure.LV, Structure.MYO])
def test_no_insertion_without_all_three(missing: Structure) -> None:
    labels = draw_heart()
    labels[labels == missing] = 0
    assert find_insertion_points(labels[0], UP) is None
    with pytest.raises(ValueError, match=r"no slice shows|found 0 slices"):
        find_insertions(labels, UP)


def number_at(numbers: Mask, z: int, angle_deg: float) -> int:
    y = (CENTRE[0] + 25 * np.sin(np.radians(angle_deg))) / 1.0
    x = (CENTRE[1] + 25 * np.cos(np.radians(angle_deg))) / 1.5
    return int(numbers[z, round(y), round(x)])


@pytest.mark.parametrize(("geometry", "turn"), [(UP, -1), (UPSIDE_DOWN, 1)], ids=["anterior above", "anterior below"])
def test_segments_in_their_directions(geometry: Geometry, turn: int) -> None:
    """RV on the left: the septum's middle is at 180°; from there towards the anterior insertion and on."""
    numbers = assign_segments(
        draw_heart(), geometry, Insertions(anterior_deg=180 - 60 * turn, inferior_deg=180 + 60 * turn)
    )
    ring = {2: -30, 3: 30, 4: 90, 5: 150, 6: 210, 1: 270}
    for number, away in ring.items():
        angle = 180 + turn * away
        assert [number_at(numbers, z, angle) for z in (0, 2, 3, 5)] == [number, number, number + 6, number + 6]
    for number, away in {14: 0, 15: 90, 16: 180, 13: 270}.items():
        assert [number_at(numbers, z, 180 + turn * away) for z in (6, 8)] == [number, number]
    assert set(np.unique(numbers)) == {0, *SEGMENTS}
    assert ((numbers > 0) == (draw_heart() == Structure.MYO)).all()


@pytest.mark.parametrize(("slices", "counts"), [(3, (1, 1, 1)), (8, (3, 2, 3)), (10, (3, 4, 3)), (11, (4, 3, 4))])
@pytest.mark.parametrize("apex_first", [False, True])
def test_thirds_from_base_to_apex(slices: int, counts: tuple[int, int, int], apex_first: bool) -> None:
    labels = np.concatenate([draw_heart(slices=slices), np.zeros((2, 110, 80), np.uint8)])
    numbers = assign_segments(labels, UP, Insertions(anterior_deg=-120, inferior_deg=120), apex_first=apex_first)
    highest = numbers[:slices].max((1, 2))
    expected = np.repeat([6, 12, 16], counts)
    assert (highest == (expected[::-1] if apex_first else expected)).all()
    assert not numbers[slices:].any()


def test_both_references_agree_on_a_septum_of_120_degrees_only() -> None:
    labels = draw_heart()
    both = Insertions(anterior_deg=-120, inferior_deg=120)
    wide = Insertions(anterior_deg=-100, inferior_deg=120)
    by = {
        (insertions, reference): assign_segments(labels, UP, insertions, reference=reference)  # type: ignore[arg-type]
        for insertions in (both, wide)
        for reference in ("anterior", "inferior")
    }
    assert (by[both, "anterior"] == by[both, "inferior"]).all()
    assert (by[wide, "inferior"] == by[both, "inferior"]).all()
    assert (by[wide, "anterior"] != by[both, "anterior"]).any()


def test_too_few_slices_are_refused() -> None:
    with pytest.raises(ValueError, match="found 2 slices with cavity and wall"):
        assign_segments(draw_heart(slices=2), UP)
