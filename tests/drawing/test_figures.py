"""The figures of a study: what is drawn where, asked of the axes; and clicks on them."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glrp_napari.cine import Cine, Geometry, Source, Structure
from glrp_napari.curves import fit_curve
from glrp_napari.drawing.bullseye import Scale, draw_bullseye
from glrp_napari.drawing.montage import draw_montage
from glrp_napari.drawing.volumes import draw_volumes
from glrp_napari.extent import Extent
from glrp_napari.measure import Phases
from glrp_napari.segments import SEGMENTS

MS = tuple(40.0 * t for t in range(20))
VOLUMES = {
    "LV": tuple(float(100 + 40 * np.cos(2 * np.pi * t / 20)) for t in range(20)),
    "RV": (None,) * 20,
    "MYO": (90.0,) * 20,
}


def test_curves_show_dots_as_measured_the_smooth_curve_and_both_phases() -> None:
    axes = Figure().subplots()
    curve = fit_curve(VOLUMES["LV"], MS)
    draw_volumes(axes, VOLUMES, MS, Phases(0, 10), {Structure.LV: curve})
    dots, smooth, *_ = axes.lines
    assert tuple(dots.get_ydata()) == pytest.approx(VOLUMES["LV"])
    assert tuple(smooth.get_xdata()) == curve.smooth_ms
    assert {text.get_text().strip() for text in axes.texts} == {"ED", "ES"}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["LV"]


def test_curves_without_times_count_frames_from_1() -> None:
    axes = Figure().subplots()
    draw_volumes(axes, VOLUMES, None, Phases(None, None))
    assert list(axes.lines[0].get_xdata()) == list(range(1, 21))
    assert axes.get_xlabel() == "frame"


@pytest.mark.parametrize(
    ("x", "y", "name"),
    [
        (0.1, 0.9, "basal anterior"),
        (-0.8, 0.3, "basal anteroseptal"),
        (-0.8, -0.3, "basal inferoseptal"),
        (0.0, -0.6, "mid inferior"),
        (0.5, -0.3, "mid inferolateral"),
        (0.8, 0.3, "basal anterolateral"),
        (-0.35, 0.0, "apical septal"),
        (0.35, 0.0, "apical lateral"),
    ],
)
def test_segments_lie_as_the_aha_draws_them(x: float, y: float, name: str) -> None:
    assert SEGMENTS[find_segment(draw(dict.fromkeys(SEGMENTS, 1.0)), x, y) or 0] == name


def test_the_cap_is_no_segment() -> None:
    assert find_segment(draw(dict.fromkeys(SEGMENTS, 1.0)), 0.0, 0.1) is None


def test_a_bullseye_writes_each_value_in_its_segment() -> None:
    values = {number: float(number) + 30 for number in SEGMENTS}
    axes = draw({**values, 5: None})
    written = {find_segment(axes, *text.get_position()): text.get_text() for text in axes.texts}
    assert {number: written[number] for number in SEGMENTS} == {
        number: "–" if number == 5 else f"{value:.0f}" for number, value in values.items()
    }


def draw(values: dict[int, float | None]) -> Axes:
    """A bullseye of these values."""
    axes = Figure().subplots()
    draw_bullseye(axes, values, Scale("Thickening, %", 0, 60, "viridis"))
    return axes


def find_segment(axes: Axes, x: float, y: float) -> int | None:
    """The segment that is painted at a place of the axes; None in the cap or outside."""
    place = axes.transData.transform((x, y))
    painted = zip(SEGMENTS, axes.patches, strict=False)  # the cap comes after them
    return next((number for number, wedge in painted if wedge.contains_point(place, radius=0)), None)


@pytest.mark.parametrize("swap", [False, True])
def test_contours_of_a_montage_lie_on_their_slices_however_the_file_is_stored(swap: bool) -> None:
    """One voxel column marked in image and mask: its contour must surround it on the screen."""
    axes = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0)) if swap else Geometry(spacing_mm=(8, 1, 1)).axes
    images = np.zeros((2, 3, 60, 50), np.float32)
    mask = np.zeros(images.shape, np.uint8)
    images[1, 2, 20:24, 30:37] = 1.0
    mask[1, 2, 20:24, 30:37] = Structure.LV
    cine = Cine(images, Geometry(spacing_mm=(8, 2.0, 1.0), axes=axes), Source("study"))
    figure_axes = Figure().subplots()
    montage = draw_montage(figure_axes, cine, mask, {1: "ES"}, columns=2)
    tile = next(tile for tile in montage.tiles if tile.slice == 2)
    line = next(line for line in figure_axes.lines if line.get_linestyle() == "-")
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert montage.find_place(float(x.mean()), float(y.mean())) == (1, 2)
    picture = next(i for i in figure_axes.images if tuple(i.get_extent())[::2] == (tile.left, tile.top + tile.height))
    shown = np.asarray(picture.get_array())
    pixel = np.array([tile.height, tile.width]) / shown.shape
    lit = np.argwhere(shown == 1) * pixel + pixel / 2 + (tile.top, tile.left)
    assert lit.mean(0) == pytest.approx((y.mean(), x.mean()), abs=0.6)
    down_mm, right_mm = (7.0, 8.0) if swap else (8.0, 7.0)
    assert (np.ptp(y), np.ptp(x)) == pytest.approx((down_mm, right_mm), abs=0.1)


def test_what_does_not_count_is_dotted() -> None:
    mask = np.zeros((1, 3, 40, 40), np.uint8)
    mask[0, :2, 10:20, 10:20] = Structure.LV
    cine = Cine(np.ones(mask.shape, np.float32), Geometry(spacing_mm=(8, 1, 1)), Source("study"))
    axes = Figure().subplots()
    montage = draw_montage(axes, cine, mask, {0: "ED"}, {0: Extent(lv=(1, 1))})
    solid = [montage.find_place(*map(np.mean, line.get_data())) for line in axes.lines if line.get_linestyle() == "-"]
    assert set(solid) == {(0, 1)}
    assert {line.get_linestyle() for line in axes.lines} == {"-", ":"}


def test_a_montage_without_a_mask_shows_whole_slices() -> None:
    cine = Cine(np.zeros((1, 2, 30, 40), np.float32), Geometry(spacing_mm=(8, 1, 2)), Source("study"))
    montage = draw_montage(Figure().subplots(), cine, np.zeros(cine.images.shape, np.uint8), {0: "ED"})
    assert [(tile.width, tile.height) for tile in montage.tiles] == [(80.0, 30.0)] * 2
    assert montage.find_place(-1, -1) is None
