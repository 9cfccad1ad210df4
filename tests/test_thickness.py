"""Wall thickness of shapes whose wall is known, and of a phantom heart."""

import numpy as np
import pytest

from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.extent import Extent
from glrp_napari.measure import Phases
from glrp_napari.phantom import Anatomy, make_phantom
from glrp_napari.segments import Insertions
from glrp_napari.thickness import average_segments, measure_segments, measure_thickness

SPACINGS = [(8.0, 1.0, 1.0), (8.0, 1.0, 1.6), (10.0, 1.8, 1.4)]
STRAIGHT = Insertions(anterior_deg=-120, inferior_deg=120)


def draw_wall(geometry: Geometry, inner: Mask | float, outer: Mask | float, slices: int = 3) -> Mask:
    """Slices (Z, Y, X) of 110 × 110 mm with borders at radii in mm, which may differ from pixel to pixel."""
    angle, r = find_polar(geometry)
    plane = np.where(r < inner, Structure.LV, np.where(r < outer, Structure.MYO, 0))
    assert angle.shape == plane.shape
    return np.array([plane] * slices, np.uint8)


def find_polar(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Angle in degrees and radius in mm of each pixel about a middle between the pixels."""
    _, dy, dx = geometry.spacing_mm
    y, x = np.indices((int(110 / dy), int(110 / dx))).astype(float)
    y, x = (y - y.mean() - 0.2) * dy, (x - x.mean() - 0.35) * dx
    return np.degrees(np.arctan2(y, x)), np.hypot(y, x)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize(("inner", "outer"), [(20, 24), (22, 31), (10, 20), (30, 35), (25, 41)])
def test_concentric_cylinders(spacing_mm: tuple[float, float, float], inner: float, outer: float) -> None:
    geometry = Geometry(spacing_mm=spacing_mm)
    labels = draw_wall(geometry, inner, outer)
    thickness = measure_thickness(labels, geometry)
    assert (np.isfinite(thickness) == (labels == Structure.MYO)).all()
    numbers = (labels == Structure.MYO).astype(np.uint8)
    assert average_segments(thickness, numbers)[1] == pytest.approx(outer - inner, abs=0.2)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_every_segment_of_an_ellipsoid(spacing_mm: tuple[float, float, float]) -> None:
    """Nested half ellipsoids: the radii shrink from slice to slice, at end-systole the cavity's is 6 mm less."""
    geometry = Geometry(spacing_mm=spacing_mm)
    slices = 9
    height = np.sqrt(1 - (np.arange(slices) / 10) ** 2)
    mask = np.array([[draw_wall(geometry, ri * h, 36 * h, 1)[0] for h in height] for ri in (26.0, 20.0)])
    insertions = dict.fromkeys((0, 1), STRAIGHT)
    found = measure_segments(mask, geometry, Phases(0, 1), insertions=insertions, apex_first=False)
    levels = [height[:3].mean(), height[3:6].mean(), height[6:].mean()]
    assert [s.number for s in found] == list(range(1, 17))
    for segment in found:
        level = levels[min((segment.number - 1) // 6, 2)]
        assert segment.ed_mm == pytest.approx(10 * level, abs=0.5)
        assert segment.es_mm == pytest.approx(16 * level, abs=0.5)
        assert segment.thickening_percent == pytest.approx(60, abs=9)


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_turning_the_insertion_turns_the_segments(turns: int) -> None:
    """Six sectors of 6 to 11 mm, the first from the anterior insertion at -120° through the septum."""
    geometry = Geometry(spacing_mm=(8.0, 1.0, 1.2))
    angle, _ = find_polar(geometry)
    sector = ((-120 - angle) % 360 // 60).astype(int)
    mask = np.array([draw_wall(geometry, 24.0, 24.0 + 6 + sector)] * 2)
    turned = Insertions(anterior_deg=-120 - 60 * turns, inferior_deg=120 - 60 * turns)
    found = measure_segments(mask, geometry, Phases(0, 1), insertions={0: turned, 1: STRAIGHT}, apex_first=False)
    for i, number in enumerate((2, 3, 4, 5, 6, 1)):
        segment = found[number - 1]
        assert segment.es_mm == pytest.approx(6 + i, abs=0.5)
        assert segment.ed_mm == pytest.approx(6 + (i + turns) % 6, abs=0.5)


def test_an_open_wall_is_measured_where_it_is() -> None:
    geometry = Geometry(spacing_mm=(8.0, 1.2, 1.2))
    angle, _ = find_polar(geometry)
    labels = draw_wall(geometry, 24.0, np.where(np.abs(angle) < 60, 24.0, 33.0))
    thickness = measure_thickness(labels, geometry)
    wall = (labels == Structure.MYO) & (np.abs(angle) > 80)
    assert np.nanmean(thickness[wall]) == pytest.approx(9, abs=0.3)
    assert np.nanmin(thickness[wall]) > 7


def test_papillary_muscles_and_empty_slices_change_nothing() -> None:
    geometry = Geometry(spacing_mm=(8.0, 1.0, 1.0))
    labels = draw_wall(geometry, 24.0, 32.0)
    labels[0, 50:54, 60:64] = Structure.MYO
    labels[1][labels[1] == Structure.LV] = 0
    thickness = measure_thickness(labels, geometry)
    _, r = find_polar(geometry)
    ring = (r >= 24) & (r < 32)
    assert thickness[0][ring] == pytest.approx(thickness[2][ring])
    assert np.isnan(thickness[1]).all()


@pytest.fixture(scope="module")
def beating() -> tuple[Mask, Geometry]:
    anatomy = Anatomy(breathing_mm=0.0, trabeculae=0.0, wall_mm=8.0, pixels=160)
    phantom = make_phantom(7, anatomy, frames=(0, 9))
    return phantom.mask, phantom.cine.geometry


def test_a_phantom_thickens_plausibly(beating: tuple[Mask, Geometry]) -> None:
    mask, geometry = beating
    for segment in measure_segments(mask, geometry, Phases(0, 1)):
        assert segment.ed_mm is not None
        assert segment.thickening_percent is not None
        assert segment.ed_mm == pytest.approx(8, abs=1.6)
        assert 20 < segment.thickening_percent < 90


def test_a_stack_upside_down_has_the_same_segments(beating: tuple[Mask, Geometry]) -> None:
    mask, geometry = beating
    assert measure_segments(mask[:, ::-1], geometry, Phases(0, 1)) == measure_segments(mask, geometry, Phases(0, 1))


def test_the_extent_bounds_the_thirds(beating: tuple[Mask, Geometry]) -> None:
    mask, geometry = beating
    whole = measure_segments(mask, geometry, Phases(0, 1))
    cut = measure_segments(mask, geometry, Phases(0, 1), extents={0: Extent(lv=(2, 7), rv=(0, 9))})
    assert [s.es_mm for s in cut] == [s.es_mm for s in whole]
    assert [s.ed_mm for s in cut] != [s.ed_mm for s in whole]


@pytest.mark.parametrize(("infarct_deg", "number"), [(10.0, 11), (-50.0, 12), (100.0, 10)])
def test_an_infarct_shows_in_its_segment(infarct_deg: float, number: int) -> None:
    """The septum's middle is at 160° and anterior is above: inferolateral is at 10°, anterolateral at -50°."""
    anatomy = Anatomy(thinning=0.6, infarct_deg=infarct_deg, septum_deg=160.0, breathing_mm=0.0, pixels=160)
    phantom = make_phantom(8, anatomy, frames=(0, 9))
    found = {s.number: s.ed_mm or 0 for s in measure_segments(phantom.mask, phantom.cine.geometry, Phases(0, 1))}
    middle = sorted(range(7, 13), key=lambda segment: found[segment])
    assert middle[0] == number
    assert found[number] < 0.8 * found[middle[-1]]


def test_thickening_needs_both_phases(beating: tuple[Mask, Geometry]) -> None:
    with pytest.raises(ValueError, match="end-diastole and end-systole"):
        measure_segments(*beating, Phases(0, None))
