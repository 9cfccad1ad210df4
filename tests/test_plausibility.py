"""Frames compared: mass, stroke volumes and curves; and what is named is not yet an alarm."""

import numpy as np
import pytest

from glrp_napari.anatomy_checks import GRAVE, Finding, Rule
from glrp_napari.assessment import measure_reading
from glrp_napari.cine import Cine, Geometry, Mask, Source, Structure
from glrp_napari.decisions import Reading
from glrp_napari.measure import Function, Phases, measure_ventricle
from glrp_napari.phantom import Phantom, make_phantom
from glrp_napari.plausibility import Watch, check_function, choose_light

GEOMETRY = Geometry(spacing_mm=(8.0, 1.0, 1.0))
Curve = list[float | None]


def numbers(lv: Curve, myo: Curve | None = None, rv: Curve | None = None) -> Function:
    """A function with these volumes, ED being the LV's fullest frame and ES its emptiest."""
    filled = [t for t, v in enumerate(lv) if v]
    ed, es = (f(filled, key=lambda t: lv[t]) if len(filled) > 1 else None for f in (max, min))
    sides = {"LV": lv, "RV": rv or lv}
    pumps = [measure_ventricle(np.array(sides[side], float), Phases(ed, es), None) for side in ("LV", "RV")]
    curves = {"MYO": tuple(myo or [100.0] * len(lv)), **{side: tuple(curve) for side, curve in sides.items()}}
    return Function(ed=ed, es=es, lv=pumps[0], rv=pumps[1], lv_mass_g=None, heart_rate_bpm=None, volumes_ml=curves)


def find(lv: Curve, myo: Curve | None = None, rv: Curve | None = None) -> dict[Rule, float]:
    return {f.rule: f.severity for f in check_function(numbers(lv, myo, rv))}


def look(watch: Watch, cine: Cine, mask: Mask, reading: Reading | None = None) -> tuple[Finding, ...]:
    return watch.look(mask, range(len(mask)), measure_reading(cine, mask, reading or Reading()).function)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(25, slices=range(4, 7))


def test_a_sound_heart_gives_nothing(phantom: Phantom) -> None:
    assert choose_light(look(Watch(phantom.cine.geometry), phantom.cine, phantom.mask)) == "green"


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
    assert not check_function(numbers([120.0, None], [100.0, None]))
    assert not find([0, 0], [0, 0], [0, 0])


def test_a_jump_of_the_curve_is_found_where_it_is() -> None:
    smooth = [90 + 30 * np.cos(2 * np.pi * t / 20) for t in range(20)]
    assert not find(smooth)
    jumping = list(smooth)
    jumping[7] += 30
    worst = check_function(numbers(jumping, rv=smooth))
    worst.sort(key=lambda f: -f.severity)
    assert (worst[0].rule, worst[0].frame, worst[0].structure) == (Rule.CURVE, 7, Structure.LV)
    assert not find(jumping[:7])


def test_frames_that_are_not_segmented_break_no_curve() -> None:
    curve: list[float | None] = [90 + 30 * np.cos(2 * np.pi * t / 20) for t in range(20)]
    curve[5] = None
    assert not check_function(numbers(curve))


def test_the_reader_s_phases_and_base_are_those_of_the_light() -> None:
    cine = Cine(np.zeros((3, 8, 32, 36), np.float32), GEOMETRY, Source(name="box"), (0.0, 100.0, 200.0))
    mask = np.zeros(cine.images.shape, np.uint8)
    for t, half in enumerate((6, 3, 4)):
        mask[t, :, 4:28, 14:34] = Structure.MYO
        mask[t, :, 16 - half : 16 + half, 18:30] = Structure.LV
        mask[t, :, 16 - half : 16 + half, 2:14] = Structure.RV
    mask[0, 0, :, 2:14] = Structure.RV  # an atrium drawn as the RV
    whole = dict.fromkeys(range(3), (0, 7))
    drawn = Reading(lv_slices=whole, rv_slices=whole)
    watch = Watch(GEOMETRY)

    def strokes(reading: Reading) -> dict[int | None, str]:
        return {f.frame: f.text for f in look(watch, cine, mask, reading) if f.rule == Rule.STROKE}

    assert set(strokes(drawn)) == {1}
    assert set(strokes(drawn.model_copy(update={"phases": Phases(0, 2)}))) == {2}
    shown = measure_reading(cine, mask, drawn).function
    assert f"{shown.lv.sv_ml:.0f} ml (LV) and {shown.rv.sv_ml:.0f} ml (RV)" in strokes(drawn)[1]
    assert not strokes(drawn.model_copy(update={"rv_slices": dict.fromkeys(range(3), (1, 7))}))


def test_the_worst_place_comes_first_and_a_slice_is_looked_at_once(phantom: Phantom) -> None:
    watch, mask = Watch(phantom.cine.geometry), phantom.mask.copy()
    look(watch, phantom.cine, mask)
    flaw(mask, 4, 1)
    found = look(watch, phantom.cine, mask)
    assert {(f.frame, f.slice) for f in found if f.rule in (Rule.RING, Rule.OUTSIDE)} == {(4, 1)}
    assert (found[0].frame, found[0].slice) == (4, 1)
    assert choose_light(found) == "red"
    assert found[0].severity >= GRAVE
    mask[4, 1] = phantom.mask[4, 1]
    assert choose_light(look(watch, phantom.cine, mask)) == "green"


def flaw(mask: Mask, frame: int, level: int) -> None:
    """Take half of the wall away."""
    wall = mask[frame, level] == Structure.MYO
    wall[:, : int(np.argwhere(wall)[:, 1].mean())] = False
    mask[frame, level][wall] = 0
