"""Each rule on drawn hearts with one flaw of known size, and on what experts drew."""

import numpy as np
import pytest
import SimpleITK as sitk

from glrp_napari.anatomy_checks import Finding, Rule, check_gaps, check_slice
from glrp_napari.cine import Mask, Structure
from tests.test_masks import draw_slice

PIXEL = (1.0, 1.5)


def draw_heart() -> Mask:
    return draw_slice(10, 16, 14)


def open_ring(half_degrees: float) -> Mask:
    """A heart whose wall is missing on the right, over twice this angle."""
    labels = draw_heart()
    rows, columns = np.indices(labels.shape)
    angle = np.degrees(np.arctan2(rows - 32, columns - 36))
    labels[(labels == Structure.MYO) & (abs(angle) < half_degrees)] = 0
    return labels


def put(labels: Mask, rows: slice, columns: slice, value: int) -> Mask:
    labels[rows, columns] = value
    return labels


def find(labels: Mask) -> dict[Rule, Finding]:
    return {finding.rule: finding for finding in check_slice(labels, PIXEL)}


@pytest.mark.parametrize(
    "labels",
    [draw_heart(), draw_slice(), draw_slice(rv=9), draw_slice(epi=12), draw_slice(1, 3), open_ring(4)],
    ids=["heart", "empty", "RV only", "apical cap", "tiny", "a gap of two pixels"],
)
def test_sound_slices_give_nothing(labels: Mask) -> None:
    assert check_slice(labels, PIXEL) == ()


@pytest.mark.parametrize(("half", "share"), [(30, 1 / 6), (45, 1 / 4)])
def test_an_open_ring_is_measured(half: float, share: float) -> None:
    found = find(open_ring(half))
    assert set(found) == {Rule.RING}
    assert found[Rule.RING].severity == pytest.approx(share / 0.05, rel=0.12)


def test_a_cavity_without_wall_is_an_open_ring() -> None:
    assert "100%" in find(draw_slice(lv=10))[Rule.RING].text


def test_the_lv_leaking_through_the_ring_lies_outside() -> None:
    found = find(put(open_ring(30), slice(30, 34), slice(46, 60), Structure.LV))
    assert set(found) == {Rule.RING, Rule.OUTSIDE}
    assert found[Rule.OUTSIDE].severity == pytest.approx(4 * 10 * 1.5 / 5, rel=0.05)


@pytest.mark.parametrize("structure", list(Structure))
def test_an_island_is_measured_in_mm2(structure: Structure) -> None:
    found = find(put(draw_heart(), slice(2, 4), slice(2, 6), structure))
    assert Rule.RING not in found
    assert found[Rule.ISLAND].structure == structure
    assert "12 mm²" in found[Rule.ISLAND].text
    assert not find(put(draw_heart(), slice(2, 3), slice(2, 4), structure))


@pytest.mark.parametrize(("row", "column", "structure"), [(32, 12, Structure.RV), (32, 36, Structure.LV)])
def test_a_hole_is_measured_in_mm2(row: int, column: int, structure: Structure) -> None:
    found = find(put(draw_heart(), slice(row, row + 2), slice(column, column + 2), 0))
    assert set(found) == {Rule.HOLE}
    assert found[Rule.HOLE].structure == structure
    assert "6 mm²" in found[Rule.HOLE].text


def test_what_touches_the_image_s_edge_is_checked_as_anywhere() -> None:
    assert check_slice(draw_slice(10, 16, y=16, x=16)[1:, 1:], PIXEL) == ()


def find_present(frame: Mask) -> np.ndarray:
    return np.array([[(plane == structure).any() for structure in Structure] for plane in frame])


def test_gaps_between_slices_are_named() -> None:
    frame = np.stack([draw_slice(), draw_heart(), draw_slice(rv=14), open_ring(30), draw_slice()])
    found = check_gaps(find_present(frame))
    assert [(f.rule, f.structure, f.slice) for f in found] == [
        (Rule.GAP, Structure.MYO, 2),
        (Rule.GAP, Structure.LV, 2),
    ]


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(Y, X\)"):
        check_slice(np.zeros((2, 3, 3), np.uint8), PIXEL)


@pytest.mark.realdata
def test_experts_masks_are_hardly_ever_odd(data_dir: object) -> None:
    """Of all 200 frames of ACDC's training set one has findings; here ten patients are read."""
    odd = {}
    for path in sorted(data_dir.glob("acdc/patient02*/*_gt.nii.gz")):
        image = sitk.ReadImage(str(path))
        frame, pixel_mm = sitk.GetArrayFromImage(image).astype(np.uint8), image.GetSpacing()[1::-1]
        found = {(one.rule, z) for z, plane in enumerate(frame) for one in check_slice(plane, pixel_mm)}
        if found := found | {(one.rule, one.slice) for one in check_gaps(find_present(frame))}:
            odd[path.name] = found
    assert odd == {"patient029_frame01_gt.nii.gz": {(Rule.RING, 0), (Rule.ISLAND, 0)}}
