"""An edit carried along with the heart, against phantoms whose truth is known in every frame, and a patient's cine."""

from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK as sitk

from glrp_napari.anatomy_checks import check_slice
from glrp_napari.cine import Mask, Structure
from glrp_napari.masks import measure_depth
from glrp_napari.phantom import Phantom, make_phantom
from glrp_napari.propagate import apply_edit, carry_edit, find_edit, spread_edits
from glrp_napari.registration import find_surroundings, follow
from tests.test_masks import draw_slice, measure_radius

PIXEL = (1.0, 1.0)
FRAMES = range(0, 24, 2)
Flaw = Callable[[Mask, tuple[float, float]], Mask]


def shrink_lv(labels: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """The cavity is taken 3 mm too small: the wall gets the rest."""
    inner = measure_depth(labels == Structure.LV, pixel_mm) > 3
    return np.where((labels == Structure.LV) & ~inner, Structure.MYO, labels).astype(np.uint8)


def thin_wall(labels: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """The wall's outer 3 mm are missing in its lower half."""
    outer = (labels == Structure.MYO) & (measure_depth(labels >= Structure.MYO, pixel_mm) < 3)
    return np.where(outer & ~_upper(labels >= Structure.MYO), 0, labels).astype(np.uint8)


def cut_rv(labels: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """The RV's outer 5 mm are missing in its upper half."""
    right = labels == Structure.RV
    return np.where(right & (measure_depth(right, pixel_mm) < 5) & _upper(right), 0, labels).astype(np.uint8)


def _upper(region: np.ndarray) -> np.ndarray:
    rows = np.arange(len(region))[:, None]
    return rows < np.argwhere(region)[:, 0].mean()


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(3, frames=FRAMES, slices=[5])


def count_wrong(masks: Mask, truth: Mask) -> int:
    return int(np.count_nonzero(masks != truth))


def propagate(images: np.ndarray, masks: Mask, start: int, after: Mask, pixel_mm: tuple[float, float]) -> Mask:
    box = find_surroundings((masks > 0).any(0) | (after > 0), pixel_mm)
    edit = find_edit(masks[start][box], after[box], pixel_mm)
    result = masks.copy()
    result[start] = after
    for frame, motion in follow(images[:, box[0], box[1]], start, pixel_mm):
        result[frame][box] = apply_edit(carry_edit(edit, motion), masks[frame][box], pixel_mm)
    return result


@pytest.mark.parametrize("flaw", [shrink_lv, thin_wall, cut_rv])
def test_an_edit_that_follows_the_heart_is_much_nearer_the_truth(phantom: Phantom, flaw: Flaw) -> None:
    pixel_mm = phantom.cine.geometry.spacing_mm[1:]
    images, truth = phantom.cine.images[:, 0], phantom.mask[:, 0]
    flawed = np.stack([flaw(labels, pixel_mm) for labels in truth])
    propagated = propagate(images, flawed, 0, truth[0], pixel_mm)
    before, after = count_wrong(flawed[1:], truth[1:]), count_wrong(propagated[1:], truth[1:])
    assert after < 0.5 * before


@pytest.mark.parametrize("flaw", [shrink_lv, thin_wall, cut_rv])
def test_what_was_right_stays_and_is_nearer_than_copying_the_mask(phantom: Phantom, flaw: Flaw) -> None:
    """In end-systole, the frame that moved most: copying the corrected mask would be worse than leaving the flaw."""
    pixel_mm = phantom.cine.geometry.spacing_mm[1:]
    truth = phantom.mask[:, 0]
    flawed = np.stack([flaw(labels, pixel_mm) for labels in truth])
    systole = int(np.argmin((truth == Structure.LV).sum((1, 2))))
    propagated = propagate(phantom.cine.images[:, 0], flawed, 0, truth[0], pixel_mm)
    right = flawed[systole] == truth[systole]
    assert count_wrong(propagated[systole], truth[systole]) < 0.5 * count_wrong(truth[0], truth[systole])
    assert np.count_nonzero(right & (propagated[systole] != truth[systole])) < 0.02 * np.count_nonzero(truth[systole])


def test_the_motion_reaches_every_other_frame_once_and_can_be_left(phantom: Phantom) -> None:
    images = phantom.cine.images[:5, 0, 80:160, 80:160]
    assert [frame for frame, _motion in follow(images, 1, PIXEL)] == [2, 0, 3, 4]
    assert next(follow(images, 0, PIXEL))[0] == 1
    assert list(follow(images[:1], 0, PIXEL)) == []
    with pytest.raises(ValueError, match="from frame 7"):
        next(follow(images, 7, PIXEL))


def test_a_still_heart_takes_the_edit_as_it_is() -> None:
    before, after = draw_slice(10, 16, 14), draw_slice(8, 18, 14)
    edit = find_edit(before, after, PIXEL)
    still = np.zeros((2, *before.shape))
    np.testing.assert_array_equal(apply_edit(carry_edit(edit, still), before, PIXEL), after)


def test_a_moved_heart_takes_the_edit_along() -> None:
    before, after = draw_slice(10, 16, 14), draw_slice(10, 19, 14)
    motion = np.zeros((2, *before.shape))
    motion[0] = -6  # all tissue lies 6 pixels lower here
    moved = apply_edit(carry_edit(find_edit(before, after, PIXEL), motion), draw_slice(10, 16, 14, y=38), PIXEL)
    assert count_wrong(moved, draw_slice(10, 19, 14, y=38)) < 12


def test_a_structure_drawn_anew_is_added_and_one_erased_is_removed() -> None:
    with_rv, without = draw_slice(10, 16, 14), draw_slice(10, 16)
    np.testing.assert_array_equal(apply_edit(find_edit(without, with_rv, PIXEL), without, PIXEL), with_rv)
    np.testing.assert_array_equal(apply_edit(find_edit(with_rv, without, PIXEL), with_rv, PIXEL), without)
    larger = find_edit(with_rv, draw_slice(10, 16, 18), PIXEL)
    np.testing.assert_array_equal(apply_edit(larger, without, PIXEL), without)


def test_no_edit_is_an_error() -> None:
    with pytest.raises(ValueError, match="as it was before"):
        find_edit(draw_slice(10), draw_slice(10), PIXEL)


def test_an_edit_fades_over_the_slices_and_stops_at_an_edited_one() -> None:
    frame = np.stack([draw_slice(10, 16)] * 7)
    frame[6] = 0
    edit = find_edit(draw_slice(10, 16), draw_slice(10, 22), PIXEL)
    spread = dict(spread_edits({3: edit}, frame, PIXEL))
    radii = {z: measure_radius(s, Structure.MYO, Structure.LV) for z, s in spread.items()}
    assert radii == pytest.approx({1: 18, 2: 20, 4: 20, 5: 18}, abs=0.4)
    between = dict(spread_edits({1: edit, 5: edit}, frame, PIXEL))
    assert set(between) == {0, 2, 3, 4}
    assert measure_radius(between[3], Structure.MYO, Structure.LV) == pytest.approx(22, abs=0.6)
    assert all(check_slice(s, PIXEL) == () for s in between.values())


@pytest.mark.realdata
@pytest.mark.parametrize("flaw", [shrink_lv, thin_wall])
def test_on_a_patient_the_edit_at_diastole_mends_systole(data_dir: object, flaw: Flaw) -> None:
    folder = data_dir / "acdc" / "patient090"
    image = sitk.ReadImage(str(folder / "patient090_4d.nii.gz"))
    pixel_mm = image.GetSpacing()[1::-1]
    cine = sitk.GetArrayFromImage(image)
    diastole, systole = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"patient090_frame{n:02d}_gt.nii.gz"))).astype(np.uint8)
        for n in (4, 11)
    )
    for z in (2, 3):
        masks = np.zeros(cine[:, z].shape, np.uint8)
        masks[3], masks[10] = flaw(diastole[z], pixel_mm), flaw(systole[z], pixel_mm)
        wrong = count_wrong(masks[10], systole[z])
        assert count_wrong(propagate(cine[:, z], masks, 3, diastole[z], pixel_mm)[10], systole[z]) < 0.75 * wrong
