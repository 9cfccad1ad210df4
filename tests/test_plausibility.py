"""Frames compared: mass, stroke volumes and curves; and what is named is not yet an alarm."""

import numpy as np
import pytest

from glrp_napari.anatomy_checks import GRAVE, Rule
from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.phantom import Phantom, make_phantom
from glrp_napari.plausibility import Watch, check_function, choose_light

GEOMETRY = Geometry(spacing_mm=(8.0, 1.0, 1.0))


def volumes(lv: list[float], myo: list[float] | None = None, rv: list[float] | None = None) -> np.ndarray:
    return np.stack([rv or lv, myo or [100.0] * len(lv), lv], axis=1).astype(float)


def find(*args: list[float], **kwargs: list[float]) -> dict[Rule, float]:
    table = volumes(*args, **kwargs)
    return {f.rule: f.severity for f in check_function(table, range(len(table)))}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(25, slices=range(4, 7))


def test_a_sound_heart_gives_nothing(phantom: Phantom) -> None:
    assert choose_light(Watch(phantom.cine.geometry).look(phantom.mask, range(len(phantom.mask)))) == "green"


@pytest.mark.parametrize(("es_mass", "severity"), [(100, None), (110, None), (115, 0.465), (140, 1.11), (200, 2.22)])
def test_the_mass_stays_within_a_beat(es_mass: float, severity: float | None) -> None:
    found = find([120, 50], [100, es_mass])
    assert found == pytest.approx({Rule.MASS: severity} if severity else {}, abs=0.01)


@pytest.mark.parametrize(("rv_stroke", "severity"), [(70, None), (60, None), (50, 0.476), (20, 1.19), (-10, 1.90)])
def test_both_ventricles_pump_the_same(rv_stroke: float, severity: float | None) -> None:
    found = find([120, 50], rv=[130, 130 - rv_stroke])
    assert found == pytest.approx({Rule.STROKE: severity} if severity else {}, abs=0.01)


def test_without_an_rv_or_a_second_frame_nothing_is_compared() -> None:
    assert not find([120, 50], rv=[0, 0])
    assert not check_function(volumes([120, 50], [100, 300]), [0])
    assert not find([0, 0], [0, 0], [0, 0])


def test_a_jump_of_the_curve_is_found_where_it_is() -> None:
    smooth = [90 + 30 * np.cos(2 * np.pi * t / 20) for t in range(20)]
    assert not find(smooth)
    jumping = list(smooth)
    jumping[7] += 30
    worst = check_function(volumes(jumping, rv=smooth), range(20))
    worst.sort(key=lambda f: -f.severity)
    assert (worst[0].rule, worst[0].frame, worst[0].structure) == (Rule.CURVE, 7, Structure.LV)
    assert not find(jumping[:7])


def test_frames_that_are_not_segmented_break_no_curve() -> None:
    table = volumes([90 + 30 * np.cos(2 * np.pi * t / 20) for t in range(20)])
    table[5] = 0
    assert not check_function(table, [t for t in range(20) if t != 5])


def test_the_worst_place_comes_first_and_a_slice_is_looked_at_once(phantom: Phantom) -> None:
    watch, mask = Watch(phantom.cine.geometry), phantom.mask.copy()
    frames = range(len(mask))
    watch.look(mask, frames)
    flaw(mask, 4, 1)
    found = watch.look(mask, frames)
    assert {(f.frame, f.slice) for f in found if f.rule in (Rule.RING, Rule.OUTSIDE)} == {(4, 1)}
    assert (found[0].frame, found[0].slice) == (4, 1)
    assert choose_light(found) == "red"
    assert found[0].severity >= GRAVE
    mask[4, 1] = phantom.mask[4, 1]
    assert choose_light(watch.look(mask, frames)) == "green"


def flaw(mask: Mask, frame: int, level: int) -> None:
    """Take half of the wall away."""
    wall = mask[frame, level] == Structure.MYO
    wall[:, : int(np.argwhere(wall)[:, 1].mean())] = False
    mask[frame, level][wall] = 0
