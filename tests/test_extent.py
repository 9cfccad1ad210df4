"""Which slices are a ventricle's, and where the apex is."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from glrp_napari.cine import Mask, Structure
from glrp_napari.extent import Extent, find_apex_first, keep_inside, propose_extent
from glrp_napari.phantom import make_phantom

LV, MYO, RV = Structure.LV, Structure.MYO, Structure.RV


def draw_slice(lv: float, wall: float = 0.0, rv: float = 0.0, part: float = 1.0) -> Mask:
    """A slice (40, 60): a cavity of a radius, a wall around a `part` of it and an RV beside them."""
    y, x = np.indices((40, 60)) - np.array([20, 36])[:, None, None]
    r, turn = np.hypot(y, x), (np.arctan2(y, x) / (2 * np.pi)) % 1
    plane = np.where(np.hypot(y, x + 20) < rv, RV, 0)
    plane = np.where((r < lv + wall) & (turn < part), MYO, plane)
    return np.where(r < lv, LV, plane).astype(np.uint8)


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([draw_slice(0), draw_slice(8, 4, 6), draw_slice(6, 4, 3), draw_slice(0, 4), draw_slice(0)], ((1, 3), (1, 2))),
        ([draw_slice(8, 4, 6, part=0.4), draw_slice(8, 4, 6, part=0.7), draw_slice(6, 4)], ((1, 2), (0, 1))),
        ([draw_slice(3), draw_slice(8, 4), draw_slice(6, 4)], ((1, 2), None)),
        ([draw_slice(0, 4), draw_slice(8, 4, 6), draw_slice(6, 4, 3), draw_slice(0, 3)], ((1, 3), (1, 2))),
        ([draw_slice(0, 3), draw_slice(6, 4, 3), draw_slice(8, 4, 6), draw_slice(0, 4)], ((0, 2), (1, 2))),
        ([draw_slice(2, 1), draw_slice(0), draw_slice(8, 4, 6), draw_slice(6, 4, 3)], ((2, 3), (2, 3))),
        ([draw_slice(0), draw_slice(0)], (None, None)),
    ],
    ids=[
        "apical cap counts",
        "open base does not",
        "no wall, no LV",
        "stray wall at the base",
        "apex first",
        "largest run",
        "empty",
    ],
)
def test_proposed_extent(slices: list[Mask], expected: tuple[object, object]) -> None:
    extent = propose_extent(np.array(slices))
    assert (extent.lv, extent.rv) == expected


def test_labels_outside_go_each_with_its_ventricle() -> None:
    labels = np.array([draw_slice(8, 4, 6)] * 4)
    kept = keep_inside(labels, Extent(lv=(1, 2), rv=(3, 3)))
    assert [(plane == LV).any() for plane in kept] == [(plane == MYO).any() for plane in kept] == [0, 1, 1, 0]
    assert [(plane == RV).any() for plane in kept] == [0, 0, 0, 1]
    assert (kept[1][labels[1] == LV] == LV).all()
    assert not keep_inside(labels, Extent()).any()
    assert labels[0].any()


@pytest.mark.parametrize("slices", [(2, 1), (-1, 3)])
def test_extents_that_cannot_be_are_refused(slices: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="expected 0 <= first <= last"):
        Extent(lv=slices)


def test_an_extent_beyond_the_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="reaches slice 4: expected at most 3"):
        keep_inside(np.array([draw_slice(8, 4)] * 4), Extent(lv=(0, 4)))


@pytest.mark.parametrize("seed", [3, 4])
def test_the_apex_is_found_either_way_round(seed: int) -> None:
    for labels in make_phantom(seed, frames=(0, 9)).mask:
        assert not find_apex_first(labels)
        assert find_apex_first(labels[::-1])


def test_the_apex_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no label"):
        find_apex_first(np.zeros((3, 4, 4), np.uint8))


@pytest.mark.realdata
@pytest.mark.parametrize("patient", ["patient001", "patient030", "patient050", "patient070", "patient090"])
def test_experts_masks_keep_all_their_slices(data_dir: Path, patient: str) -> None:
    import SimpleITK as sitk

    for path in (data_dir / "acdc" / patient).glob("*_gt.nii.gz"):
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkUInt8))
        assert (keep_inside(labels, propose_extent(labels)) == labels).all()
        assert not find_apex_first(labels)
