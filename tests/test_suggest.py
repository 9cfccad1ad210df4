"""Which slices are suggested: those in doubt, not those of a person, spread over place and the network's view."""

from itertools import pairwise

import numpy as np
import pytest

from glrp_napari.cine import Mask, Structure
from glrp_napari.device import choose_placement
from glrp_napari.models import DEFAULT_MODEL, find_model
from glrp_napari.phantom import make_phantom, sample_anatomy
from glrp_napari.segment import FrameResult, Segmenter, open_model, segment
from glrp_napari.slice_states import SliceState
from glrp_napari.suggest import Segmented, measure_doubts, suggest

FRAMES, SLICES = 12, 8


def draw_cine() -> Mask:
    """A heart (T, Z, 48, 48) in slices 1 to 6, base first, smallest in frame 5."""
    y, x = np.indices((48, 48)) - 24
    mask = np.zeros((FRAMES, SLICES, 48, 48), np.uint8)
    for t, z in np.ndindex(FRAMES, SLICES):
        if 1 <= z <= 6:
            lv = 8 - 0.6 * z - 2 * min(t / 5, (FRAMES - t) / 7)
            mask[t, z][np.hypot(y, x + 14) < 7 - 0.8 * z] = Structure.RV
            mask[t, z][np.hypot(y, x) < lv + 4] = Structure.MYO
            mask[t, z][np.hypot(y, x) < lv] = Structure.LV
    return mask


def draw_study(states: np.ndarray | None = None, embedding: np.ndarray | None = None) -> Segmented:
    """A little doubt on the wall of every slice, the same everywhere."""
    mask = draw_cine()
    return Segmented(mask, np.where(mask == Structure.MYO, 0.2, 0.01).astype(np.float16), states, embedding)


def places(study: Segmented, count: int = 10) -> list[tuple[int, int]]:
    return [(s.frame, s.slice) for s in suggest([study], count)]


def test_the_doubtful_slice_comes_first_and_says_why() -> None:
    study = draw_study()
    study.uncertainty[8, 2][study.mask[8, 2] == Structure.RV] = 0.9
    first = suggest([study], 1)[0]
    assert (first.frame, first.slice) == (8, 2)
    assert (first.structure, first.region, first.cause) == (Structure.RV, "base", "uncertain")
    rv = (study.mask[8] == Structure.RV).sum((1, 2))
    assert first.share == pytest.approx(rv[2] / rv.sum())


def test_the_same_doubt_counts_by_its_share_of_the_volume() -> None:
    study = draw_study()
    doubts = measure_doubts(study).causes[3, :, 0]
    assert all(a > b for a, b in pairwise(doubts[1:7]))


def test_a_slice_that_flickers_comes_before_one_that_moves_on() -> None:
    study = draw_study()
    study.mask[9, 4] = 0
    study.uncertainty[9, 4] = 0
    first = suggest([study], 1)[0]
    assert (first.frame, first.slice, first.cause) == (9, 4, "flickers")
    assert (first.structure, first.share) == (None, 0.0)


def test_doubt_in_the_empty_slice_beyond_the_base_is_seen() -> None:
    study = draw_study()
    study.uncertainty[7, 0][study.mask[7, 1] == Structure.LV] = 0.6
    first = suggest([study], 1)[0]
    assert (first.frame, first.slice, first.cause) == (7, 0, "may end here")


def test_the_ends_of_the_contraction_come_first_of_equals() -> None:
    lv = (draw_cine() == Structure.LV).sum((1, 2, 3))
    study = draw_study()
    study.uncertainty[:] = 0
    study.uncertainty[:, 3, 20:26, 20:26] = 0.3
    assert {frame for frame, _ in places(study, 2)} == {int(lv.argmax()), int(lv.argmin())}


def test_ten_picks_differ_in_place() -> None:
    picks = places(draw_study())
    assert len(set(picks)) == 10
    assert len({z for _, z in picks}) >= 4
    assert len({t for t, _ in picks}) >= 4
    near = [(a, b) for i, a in enumerate(picks) for b in picks[:i] if a[1] == b[1] and abs(a[0] - b[0]) in (1, 11)]
    assert near == []


def test_slices_the_network_sees_alike_are_not_both_picked() -> None:
    views = np.random.default_rng(0).normal(size=(FRAMES, SLICES, 16))
    study = draw_study()
    first, second = places(study, 2)
    views[second] = views[first] + 0.01
    assert second not in places(draw_study(embedding=views), 5)


def test_what_a_person_did_is_never_suggested_and_its_like_come_late() -> None:
    states = np.full((FRAMES, SLICES), SliceState.PREDICTED, np.uint8)
    best = places(draw_study(), 1)[0]
    states[best] = SliceState.CORRECTED
    states[:, 6], states[3], states[4, 2:] = SliceState.ACCEPTED, SliceState.EDITED, SliceState.UNTOUCHED
    picks = places(draw_study(states), 200)
    assert all(states[pick] == SliceState.PREDICTED for pick in picks)
    assert len(picks) == ((states == SliceState.PREDICTED)[:, 1:7]).sum()
    assert picks[0][1] != best[1]


def test_several_studies_share_the_picks() -> None:
    sure = draw_study()
    sure.uncertainty[:] *= np.float16(0.6)
    assert suggest([sure, draw_study()], 3)[0].study == 1
    assert {s.study for s in suggest([draw_study(), draw_study()], 6)} == {0, 1}


@pytest.mark.parametrize("frames", [1, 2])
def test_a_frame_or_two_are_enough(frames: int) -> None:
    study = draw_study()
    short = Segmented(study.mask[:frames], study.uncertainty[:frames])
    assert len(suggest([short], 3)) == 3


def test_nothing_to_suggest_is_no_error() -> None:
    empty = np.zeros((2, 3, 8, 8), np.uint8)
    assert suggest([Segmented(empty, empty.astype(np.float16))]) == ()
    assert suggest([draw_study(np.zeros((FRAMES, SLICES), np.uint8))]) == ()
    assert suggest([]) == ()


def test_shapes_that_do_not_fit_are_named() -> None:
    mask = draw_cine()
    with pytest.raises(ValueError, match=r"found uncertainty.*\(12, 7\).*for a mask of \(12, 8, 48, 48\)"):
        Segmented(mask, np.zeros(mask.shape), np.zeros((12, 7), np.uint8))


def test_it_is_the_same_every_time() -> None:
    views = np.random.default_rng(1).normal(size=(FRAMES, SLICES, 16))
    assert suggest([draw_study(embedding=views)]) == suggest([draw_study(embedding=views)])


def test_suggested_slices_of_phantoms_hold_more_error_than_others() -> None:
    """The shipped model on cines it never saw: Dice loss by volume of ten picks against that of all slices."""
    segmenter = open_model(find_model(DEFAULT_MODEL), choose_placement("cpu"))
    studies, errors = zip(*(judge_phantom(1_000_000 + i, segmenter) for i in range(3)), strict=True)
    picks = suggest(studies)
    held = np.mean([errors[pick.study][pick.frame, pick.slice] for pick in picks])
    usual = np.mean(np.concatenate([each.ravel() for each in errors]))
    print(f"wrong part of the heart: {held:.4f} in a pick, {usual:.4f} in any slice")
    assert held >= 1.5 * usual
    assert len({(pick.study, pick.slice) for pick in picks}) >= 6


def judge_phantom(seed: int, segmenter: Segmenter) -> tuple[Segmented, np.ndarray]:
    """Five frames of a held-out phantom, segmented, and the error (T, Z) of each slice as a part of the heart."""
    anatomy = sample_anatomy(np.random.default_rng(seed), "held-out")
    phantom = make_phantom(seed, anatomy, frames=range(0, anatomy.frames, 5))
    events = segment(phantom.cine.images, phantom.cine.geometry, segmenter)
    results = sorted((e for e in events if isinstance(e, FrameResult)), key=lambda result: result.frame)
    mask, doubt, views = (np.stack([getattr(r, n) for r in results]) for n in ("mask", "uncertainty", "embedding"))
    wrong = sum(((mask == s) ^ (phantom.mask == s)).sum((2, 3)) / 2 for s in Structure)
    return Segmented(mask, doubt, embedding=views), wrong / ((phantom.mask > 0).sum() / len(mask))
