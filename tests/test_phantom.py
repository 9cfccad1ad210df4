"""The phantom's truth against the figures it was asked for, its beat, its looks in numbers and its repeatability."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from glrp_napari.cine import Mask, Structure
from glrp_napari.measure import measure_function, measure_volumes
from glrp_napari.phantom import HELD_OUT, RANGES, Anatomy, Heart, Phantom, contract, make_phantom, sample_anatomy

STILL = Anatomy(breathing_mm=0.0, axis_tilt=0.0)
SMALL = Anatomy(frames=10, slices=8, slice_mm=10.0, pixels=128, pixel_mm=1.9)
FINE = STILL.model_copy(update={"slice_mm": 2.0, "slices": 50, "pixel_mm": 1.0, "frames": 20})


@pytest.fixture(scope="module")
def fine() -> Phantom:
    """Thin slices and small pixels at ED, at ES and in filling."""
    return make_phantom(3, FINE, frames=(0, 8, 13))


@pytest.fixture(scope="module")
def whole() -> Phantom:
    return make_phantom(4, SMALL)


def test_shape_and_names(whole: Phantom) -> None:
    cine, anatomy = whole.cine, whole.anatomy
    assert cine.images.shape == whole.mask.shape == (anatomy.frames, anatomy.slices, anatomy.pixels, anatomy.pixels)
    assert (cine.images.dtype, whole.mask.dtype) == (np.int16, np.uint8)
    assert (cine.source.name, cine.source.format) == ("phantom-0004", "phantom")
    assert cine.geometry.spacing_mm == (anatomy.slice_mm, anatomy.pixel_mm, anatomy.pixel_mm)
    assert cine.rr_ms == pytest.approx(60000 / anatomy.heart_rate_bpm)
    assert set(np.unique(whole.mask)) == {0, 1, 2, 3}


def test_same_seed_same_voxels_other_seed_others() -> None:
    first, again, other = (make_phantom(seed, frames=(2,), slices=(4,)) for seed in (7, 7, 8))
    assert (first.cine.images == again.cine.images).all()
    assert (first.mask == again.mask).all()
    assert first.anatomy != other.anatomy
    same_anatomy = make_phantom(8, first.anatomy, frames=(2,), slices=(4,))
    assert (same_anatomy.cine.images != first.cine.images).any()


@pytest.mark.parametrize(("frames", "slices"), [((0, 9), None), ((5,), (3, 4)), (None, (0,))])
def test_a_part_equals_the_whole(
    whole: Phantom, frames: tuple[int, ...] | None, slices: tuple[int, ...] | None
) -> None:
    part = make_phantom(4, SMALL, frames, slices)
    t, z = list(frames or range(len(whole.mask))), list(slices or range(whole.mask.shape[1]))
    assert (part.cine.images == whole.cine.images[np.ix_(t, z)]).all()
    assert (part.mask == whole.mask[np.ix_(t, z)]).all()
    assert part.cine.frame_ms == tuple(whole.cine.frame_ms[i] for i in t)
    first = np.array(whole.cine.geometry.origin_mm) + z[0] * whole.anatomy.slice_mm * np.array(
        whole.cine.geometry.axes[0]
    )
    assert part.cine.geometry.origin_mm == pytest.approx(first)
    assert (part.shifts_mm == whole.shifts_mm[z]).all()


@pytest.mark.parametrize(
    ("frames", "slices", "message"),
    [
        ((25,), None, r"frames are 0 to 24: found \[25\]"),
        ((-1,), None, r"frames are 0 to 24: found \[-1\]"),
        (None, (), r"slices are 0 to 10: found \[\]"),
        (None, (2, 4), r"slices are contiguous and ascending: found \[2, 4\]"),
    ],
)
def test_frames_and_slices_it_does_not_have_are_refused(
    frames: tuple[int, ...] | None, slices: tuple[int, ...] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_phantom(1, Anatomy(), frames, slices)


def test_mask_volumes_equal_the_analytic_ones(fine: Phantom) -> None:
    volumes = measure_volumes(fine.mask, fine.cine.geometry)
    for t, frame in enumerate((0, 8, 13)):
        heart = Heart(FINE, contract(FINE, frame / FINE.frames))
        assert volumes[Structure.LV][t] == pytest.approx(heart.lv_ml, rel=0.02)
        assert volumes[Structure.MYO][t] == pytest.approx(heart.wall_ml, rel=0.02)
        assert volumes[Structure.RV][t] == pytest.approx(heart.rv_ml, rel=0.08)


def test_wall_thickens_at_constant_volume(fine: Phantom) -> None:
    wall = measure_volumes(fine.mask, fine.cine.geometry)[Structure.MYO]
    assert wall.max() / wall.min() < 1.05
    middle = fine.mask[:2, 22]
    radii = [[np.sqrt((frame >= s).sum() / np.pi) for s in (Structure.LV, Structure.MYO)] for frame in middle]
    thickness = [epi - endo for endo, epi in radii]
    assert thickness[0] == pytest.approx(FINE.wall_mm, abs=1.0)
    assert thickness[1] / thickness[0] > 1.25


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_analytic_wall_volume_never_changes(seed: int, phase: float) -> None:
    anatomy = sample_anatomy(np.random.default_rng(seed))
    heart, rest = Heart(anatomy, contract(anatomy, phase)), Heart(anatomy, 0.0)
    radius = np.sqrt(anatomy.lv_edv_ml * 1000 / (rest.lv_ml * 1000)) * rest.radius_mm
    assert rest.outer_mm - radius == pytest.approx(anatomy.wall_mm)
    ratio = (heart.outer_mm**2 * heart.height_mm - heart.radius_mm**2 * heart.length_mm) / (
        rest.outer_mm**2 * rest.height_mm - rest.radius_mm**2 * rest.length_mm
    )
    assert ratio == pytest.approx(1.0)


@pytest.mark.parametrize("ranges", ["training", "held-out"])
@pytest.mark.parametrize("seed", range(20, 26))
def test_ejection_fraction_and_volumes_are_as_asked(seed: int, ranges: str) -> None:
    anatomy = sample_anatomy(np.random.default_rng(seed), ranges)
    es = int(np.argmax([contract(anatomy, t / anatomy.frames) for t in range(anatomy.frames)]))
    phantom = make_phantom(seed, anatomy, frames=(0, es))
    function = measure_function(phantom.mask, phantom.cine.geometry)
    assert (function.ed, function.es) == (0, 1)
    assert function.lv.ef_percent == pytest.approx(100 * anatomy.lv_ef, abs=6)
    assert function.rv.ef_percent == pytest.approx(100 * anatomy.rv_ef, abs=12)
    assert function.lv.edv_ml == pytest.approx(anatomy.lv_edv_ml, rel=0.08)
    assert function.rv.edv_ml == pytest.approx(anatomy.lv_edv_ml * anatomy.rv_edv_ratio, rel=0.15)


@pytest.mark.parametrize("heart_rate", [50, 68, 90])
def test_the_cycle_has_systole_diastasis_and_atrial_kick(heart_rate: float) -> None:
    anatomy = Anatomy(heart_rate_bpm=heart_rate)
    curve = np.array([contract(anatomy, t) for t in np.linspace(0, 1, 1001)])
    systole = int(curve.argmax()) / 1000
    assert curve[0] == pytest.approx(0)
    assert curve[-1] == pytest.approx(0)
    assert curve.max() == pytest.approx(1, abs=1e-4)
    assert 0.25 < systole < 0.5
    fall = -np.diff(curve[int(1000 * systole) :])
    assert (fall >= -1e-9).all()
    early, late = fall[: len(fall) // 2], fall[-160:]
    plateau = fall[len(fall) // 2 : -160]
    assert plateau.min() < 0.1 * early.max()
    assert late.max() > 3 * plateau.min()


def test_valve_plane_descends_and_apex_stays() -> None:
    phantom = make_phantom(5, FINE, frames=(0, 8))
    labelled = [np.flatnonzero((frame >= Structure.MYO).any((1, 2))) * FINE.slice_mm for frame in phantom.mask]
    assert 6 <= labelled[1][0] - labelled[0][0] <= 20
    assert abs(labelled[1][-1] - labelled[0][-1]) <= FINE.slice_mm


@pytest.mark.parametrize("seed", range(30, 34))
def test_lv_is_enclosed_by_its_wall_in_middle_slices(seed: int) -> None:
    phantom = make_phantom(seed, frames=(0, 9), slices=(3, 4, 5))
    for labels in phantom.mask.reshape(-1, *phantom.mask.shape[2:]):
        around = ndimage.binary_dilation(labels == Structure.LV) & (labels != Structure.LV)
        assert (labels[around] == Structure.MYO).all()
        assert all(ndimage.label(labels == s)[1] == 1 for s in (Structure.LV, Structure.MYO))
        assert (labels == Structure.RV).any()


def test_papillary_muscles_are_dark_but_belong_to_the_cavity() -> None:
    clean = STILL.model_copy(update={"noise": 0.0, "bias": 0.0, "trabeculae": 0.0})
    phantom = make_phantom(6, clean, frames=(0,), slices=(5,))
    cavity = ndimage.binary_erosion(phantom.mask[0, 0] == Structure.LV, iterations=3)
    values = phantom.cine.images[0, 0][cavity] / clean.blood_level
    assert values.min() < 0.6
    assert np.median(values) > 0.85


@pytest.mark.parametrize("breathing_mm", [0.0, 4.0])
def test_breathing_shifts_stay_in_range_and_move_the_heart(breathing_mm: float) -> None:
    anatomy = STILL.model_copy(update={"breathing_mm": breathing_mm, "ellipticity": 0.0})
    phantom = make_phantom(9, anatomy, frames=(0,))
    assert (np.hypot(*phantom.shifts_mm.T) <= breathing_mm).all()
    middle = range(3, 8)
    centres = np.array([_find_centre(phantom.mask[0, z] == Structure.LV) for z in middle]) * anatomy.pixel_mm
    moved = centres - phantom.shifts_mm[list(middle)]
    assert np.abs(moved - moved.mean(0)).max() < 0.7
    assert (np.ptp(centres, axis=0).max() > 1.5) == (breathing_mm > 0)


def _find_centre(region: Mask) -> tuple[float, ...]:
    return tuple(float(v) for v in ndimage.center_of_mass(region))


@pytest.mark.parametrize("seed", range(40, 46))
def test_contrast_is_that_of_a_balanced_sequence(seed: int) -> None:
    """The ratios span what 100 public clinical studies show: MYO/LV 0.3 to 0.65, RV/LV 0.65 to 1.35."""
    phantom = make_phantom(seed, frames=(0,))
    images, mask = phantom.cine.images[0].astype(float), phantom.mask[0]
    blood = images[mask == Structure.LV].mean()
    assert 0.28 < images[mask == Structure.MYO].mean() / blood < 0.65
    assert 0.6 < images[mask == Structure.RV].mean() / blood < 1.4
    assert 0.1 < images[mask == Structure.LV].std() / blood < 0.4
    assert np.percentile(images, 2) / blood < 0.15
    assert 1.0 < np.percentile(images, 99) / blood < 4


def test_partial_volume_blurs_the_apex_of_thick_slices() -> None:
    clean = {"noise": 0.0, "bias": 0.0, "trabeculae": 0.0}
    thick = make_phantom(2, STILL.model_copy(update=clean), frames=(0,))
    thin = make_phantom(2, STILL.model_copy(update=clean | {"slice_mm": 1.0, "slices": 110}), frames=(0,))
    assert _count_mixed(thick) > 1.5 * _count_mixed(thin)


def _count_mixed(phantom: Phantom) -> float:
    """Part of the cavity's low half whose signal is neither blood nor muscle."""
    cavity = phantom.mask[0] == Structure.LV
    low = np.flatnonzero(cavity.any((1, 2)))
    cavity[: low[0] + (3 * len(low)) // 4] = False
    values = phantom.cine.images[0][cavity] / phantom.anatomy.blood_level
    return float(((values > 0.5) & (values < 0.8)).mean())


def test_held_out_ranges_are_disjoint_from_training() -> None:
    assert HELD_OUT.keys() <= RANGES.keys() <= Anatomy.model_fields.keys()
    assert len(HELD_OUT) >= 4
    for name, intervals in HELD_OUT.items():
        for (low, high), (seen_low, seen_high) in itertools.product(intervals, RANGES[name]):
            assert low < high
            assert high < seen_low or low > seen_high


@pytest.mark.parametrize(("ranges", "unseen"), [("training", set()), ("held-out", set(HELD_OUT))])
@pytest.mark.parametrize("seed", range(15))
def test_samples_lie_in_their_ranges(seed: int, ranges: str, unseen: set[str]) -> None:
    anatomy = sample_anatomy(np.random.default_rng(seed), ranges)
    for name, intervals in RANGES.items():
        seen = any(low <= getattr(anatomy, name) <= high for low, high in intervals)
        assert seen != (name in unseen), name
    assert 20 <= anatomy.frames <= 30
    assert 8 <= anatomy.slices <= 11
    assert 0.25 <= anatomy.lv_ef <= 0.70
