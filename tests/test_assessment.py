"""The reader's decisions, what follows from them, and what is said where nothing can be measured."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from glrp_napari.assessment import measure_reading
from glrp_napari.cine import Body, Cine, Geometry, Mask, Source, Structure, with_heart_rate
from glrp_napari.decisions import Reading, list_outside, list_uncounted
from glrp_napari.extent import Extent
from glrp_napari.measure import Phases, measure_function
from glrp_napari.norms import Quantity, Sex
from glrp_napari.segments import Insertions


def make_beating(slices: int = 6) -> tuple[Cine, Mask]:
    """Ten frames of a cylinder that shrinks by half and back, ring around it, RV beside it; all slices alike."""
    y, x = np.indices((40, 60)) - np.array([20, 36])[:, None, None]
    planes = []
    for t in range(10):
        radius = 10 - 4 * np.sin(np.pi * t / 10) ** 2
        plane = np.where(np.hypot(y, x + 20) < radius + 4, Structure.RV, 0)
        plane = np.where(np.hypot(y, x) < 12, Structure.MYO, plane)
        planes.append(np.where(np.hypot(y, x) < radius, Structure.LV, plane))
    mask = np.repeat(np.array(planes, np.uint8)[:, None], slices, 1)
    return Cine(mask, Geometry(spacing_mm=(8.0, 1.5, 1.5)), Source("x"), tuple(80.0 * t for t in range(10))), mask


CINE, MASK = make_beating()


def measured(**decisions: object):  # noqa: ANN201
    return measure_reading(CINE, MASK, Reading(**decisions))


def test_an_undecided_reading_is_as_found() -> None:
    found = measured()
    plain = measure_function(MASK, CINE.geometry, rr_ms=CINE.rr_ms)
    assert (found.function.ed, found.function.es) == (plain.ed, plain.es)
    assert found.function.lv.edv_ml == pytest.approx(plain.lv.edv_ml, rel=0.02)
    assert set(found.extents) == set(found.insertions) == {plain.ed, plain.es}
    assert found.lv_curve is not None
    assert found.rv_curve is not None
    assert [segment.number for segment in found.segments] == list(range(1, 17))
    assert (found.missing, found.judged) == ((), {})


def test_a_ventricle_drawn_at_one_phase_only_has_no_ejection_fraction_and_no_rates() -> None:
    mask = MASK.copy()
    mask[1:][mask[1:] == Structure.RV] = 0
    found = measure_reading(CINE, mask, Reading())
    rv = found.function.rv
    assert (rv.edv_ml, rv.esv_ml, rv.ef_percent, rv.output_l_min) == (measured().function.rv.edv_ml, None, None, None)
    assert found.rv_curve is None


@pytest.mark.parametrize(("without", "known"), [("es", "ed"), ("ed", "es")])
def test_a_phase_without_insertion_points_is_cut_by_those_of_the_other(without: str, known: str) -> None:
    whole = measured()
    hidden, shown = getattr(whole.function, without), getattr(whole.function, known)
    mask = MASK.copy()
    mask[hidden][mask[hidden] == Structure.RV] = 0
    found = measure_reading(CINE, mask, Reading())
    assert found.insertions == dict.fromkeys((hidden, shown), whole.insertions[shown])
    assert len(found.segments) == 16
    assert f"Frame {hidden + 1} shows no insertion points of the RV, so frame {shown + 1}'s are used there." in (
        found.missing
    )
    mask[mask == Structure.RV] = 0
    nowhere = measure_reading(CINE, mask, Reading())
    assert nowhere.segments == ()
    assert any("expected insertion points to be given" in sentence for sentence in nowhere.missing)


def test_an_unfinished_frame_decides_neither_phase() -> None:
    mask = MASK.copy()
    mask[3, :-2] = 0
    found, whole = measure_reading(CINE, mask, Reading()), measured()
    assert (found.function.ed, found.function.es) == (whole.function.ed, whole.function.es)
    assert found.function.lv == whole.function.lv
    assert measure_reading(CINE, mask, Reading(phases=Phases(None, 3))).function.es == 3


def test_without_any_myocardium_every_slice_of_the_cavity_counts() -> None:
    mask = np.where(MASK == Structure.LV, MASK, 0).astype(np.uint8)
    assert measure_reading(CINE, mask, Reading()).function.lv == measured().function.lv


@pytest.mark.parametrize("flipped", [False, True])
def test_the_base_at_es_lies_no_higher_than_at_ed_unless_the_reader_says_so(flipped: bool) -> None:
    """The heart narrows to the last slice, its apex; at ED nothing is drawn in slice 0, at ES there is."""
    mask = MASK.copy()
    mask[0, 0] = 0
    mask[:, 5] = np.where(mask[:, 5] > Structure.RV, Structure.MYO, 0)
    way = slice(None, None, -1) if flipped else slice(None)
    found = measure_reading(CINE, mask[:, way], Reading())
    assert (found.function.ed, found.function.es) == (0, 5)
    assert found.extents[0].rv == found.extents[5].rv == (1, 4)
    assert found.extents[0].lv == found.extents[5].lv == ((0, 4) if flipped else (1, 5))
    said = (0, 5)
    assert measure_reading(CINE, mask[:, way], Reading(lv_slices={5: said})).extents[5].lv == said


def test_a_cavity_at_the_edge_of_what_is_drawn_is_as_open_as_anywhere() -> None:
    """A basal slice with wall along a quarter of the cavity is not the LV's, be it the largest thing in the mask."""
    mask = np.where(MASK == Structure.RV, 0, MASK).astype(np.uint8)
    mask[:, 0] = 0
    mask[:, 0, 4:36, 20:52], mask[:, 0, 4:36, 52:54] = Structure.LV, Structure.MYO
    found = measure_reading(CINE, mask, Reading())
    assert {extent.lv for extent in found.extents.values()} == {(1, 5)}


@pytest.mark.parametrize(
    ("decisions", "outside"),
    [
        ({}, []),
        ({"lv_slices": {4: (2, 3)}, "rv_slices": {4: (2, 3)}}, []),
        ({"lv_slices": {0: (2, 3)}, "rv_slices": {0: (3, 4)}}, [0, 1, 5]),
        ({"lv_slices": {0: (2, 3)}, "rv_slices": {0: None}}, [0, 1, 4, 5]),
        ({"lv_slices": {0: (2, 9)}}, [0]),
        ({"lv_slices": {0: None}, "rv_slices": {0: None}}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_slices_are_outside_only_where_the_reader_said_so(decisions: dict[str, object], outside: list[int]) -> None:
    """In frame 0 the RV is drawn from slice 1 on: of a ventricle that nobody set, the ends are as found."""
    mask = MASK[0].copy()
    mask[0][mask[0] == Structure.RV] = 0
    assert list_outside(mask, Reading(**decisions), 0) == outside


@pytest.mark.parametrize(
    ("decisions", "uncounted"),
    [
        ({}, {}),
        ({"lv_slices": {9: (2, 3)}}, {}),
        ({"lv_slices": {0: (2, 3)}, "rv_slices": {0: (3, 4)}}, {t: (0, 1, 5) for t in range(3)}),
        (
            {"lv_slices": {0: (1, 4), 2: (2, 3)}, "rv_slices": {0: (1, 4), 2: None}},
            {0: (0, 5), 1: (0, 5), 2: (0, 1, 4, 5)},
        ),
    ],
)
def test_a_frame_that_nobody_decided_lacks_the_slices_beyond_all_decided_ones(
    decisions: dict[str, object], uncounted: dict[int, tuple[int, ...]]
) -> None:
    assert list_uncounted(MASK[[0, 0, 0]], Reading(**decisions)) == uncounted


def test_every_decision_survives_the_session_file_and_unknown_ones_are_refused() -> None:
    reading = Reading(
        phases=Phases(2, None),
        lv_slices={2: (1, 6), 9: None},
        rv_slices={2: (0, 5)},
        insertions={2: Insertions(anterior_deg=-120, inferior_deg=120)},
        height_cm=180,
        weight_kg=80,
        sex=Sex.FEMALE,
        age_years=50,
        heart_rate_bpm=61,
    )
    assert Reading.model_validate_json(reading.model_dump_json()) == reading
    for wrong in ({"base": 3}, {"height_cm": -1}, {"lv_slices": {0: (4, 2)}}, {"lv_slices": {-1: (0, 2)}}):
        with pytest.raises(ValidationError):
            Reading.model_validate(wrong)


def test_phases_and_slices_are_the_reader_s() -> None:
    found = measured()
    ed, first, last = found.function.ed, *found.extents[found.function.ed].lv
    moved = measured(lv_slices={ed: (first + 1, last)})
    plane_ml = np.count_nonzero(MASK[ed, first] == Structure.LV) * CINE.geometry.voxel_ml
    assert moved.function.lv.edv_ml == pytest.approx(found.function.lv.edv_ml - plane_ml, abs=0.02)
    assert moved.function.rv == found.function.rv
    assert (moved.function.lv.esv_ml, moved.extents[ed].rv) == (found.function.lv.esv_ml, found.extents[ed].rv)
    later = measured(phases=Phases(ed + 2, None), lv_slices={ed: (first + 1, last)})
    assert (later.function.ed, later.function.es) == (ed + 2, found.function.es)
    assert set(later.extents) == {ed + 2, found.function.es}
    none = measured(rv_slices=dict.fromkeys(found.extents))
    assert none.function.rv.edv_ml is None
    assert none.function.lv == found.function.lv


def test_between_the_phases_the_base_moves_as_the_heart_empties() -> None:
    cine, mask = make_beating()
    found = measure_reading(cine, mask, Reading(lv_slices={0: (0, 5), 5: (2, 5)}))
    lv = np.array(found.function.volumes_ml["LV"]) / np.array(
        measure_reading(cine, mask, Reading()).lv_curve.measured_ml
    )
    counted = np.round(lv * 6).astype(int)
    assert (counted[0], counted[5]) == (6, 4)
    assert (np.diff(counted[:6]) <= 0).all()
    assert (np.diff(counted[5:]) >= 0).all()
    assert 5 in counted


def test_body_size_and_heart_rate_are_typed() -> None:
    found = measured(height_cm=180, weight_kg=80, heart_rate_bpm=50, sex=Sex.MALE)
    assert found.function.bsa_m2 == 2.0
    assert found.function.lv.edvi_ml_m2 == pytest.approx(found.function.lv.edv_ml / 2, abs=0.01)
    assert found.function.heart_rate_bpm == 50
    assert found.lv_curve.rr_ms == pytest.approx(1200)
    assert set(found.judged) == set(Quantity)
    tiny = measured(height_cm=18, weight_kg=80)
    assert tiny.function.bsa_m2 is None
    assert tiny.missing == ("Height: found 18.0 cm, expected 100 to 250 cm.",)


@pytest.mark.parametrize(
    ("typed", "bsa", "source"),
    [
        ({}, 2.0, "height and weight from the file"),
        ({"height_cm": 125}, 1.667, "weight from the file"),
        ({"height_cm": 125, "weight_kg": 45}, 1.25, ""),
        ({"height_cm": 0}, None, ""),
        ({"weight_kg": 0}, None, ""),
    ],
)
def test_the_files_height_and_weight_stand_until_others_are_typed(
    typed: dict[str, float], bsa: float | None, source: str
) -> None:
    found = measure_reading(replace(CINE, body=Body(180, 80)), MASK, Reading(**typed))
    assert (found.function.bsa_m2, found.bsa_source) == (bsa, source)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("phase", "ED is set to frame 4, which is not segmented."),
        ("few", "a volume–time curve needs 8"),
        ("rate", "Type the heart rate."),
        ("thin", "the segments need at least 3"),
        ("alone", "No slice shows where the RV meets the LV"),
        ("empty", "fewer than two frames hold an LV"),
        ("RV at ED only", "No stroke volume of the RV"),
        ("no RV", "No volumes of the RV"),
        ("swapped", "The LV is larger at ES than at ED: are frames 6 and 1 right?"),
        ("incomplete", "Drawn in less than half of the LV's slices, so neither ED nor ES unless set: frame 4."),
        ("nothing", ""),
    ],
)
def test_case_71_what_cannot_be_measured_is_missing_with_its_reason(change: str, reason: str) -> None:
    cine, mask = make_beating()
    reading = Reading()
    if change == "phase":
        mask[3], reading = 0, Reading(phases=Phases(3, None))
    elif change == "few":
        mask[[1, 2, 3, 4, 6, 7]] = 0
    elif change == "rate":
        cine = replace(cine, frame_ms=None)
    elif change == "thin":
        reading = Reading(lv_slices={0: (0, 1)})
    elif change == "alone":
        mask[mask == Structure.RV] = 0
    elif change == "empty":
        mask[:] = 0
    elif change == "RV at ED only":
        mask[1:][mask[1:] == Structure.RV] = 0
    elif change == "no RV":
        mask[mask == Structure.RV] = 0
    elif change == "swapped":
        reading = Reading(phases=Phases(5, 0))
    elif change == "incomplete":
        mask[3, :-2] = 0
    found = measure_reading(cine, mask, reading)
    assert any(reason in sentence for sentence in found.missing) == bool(reason)
    assert (found.function.ed is None) == (change == "empty")


def test_slices_that_the_stack_lacks_are_passed_over() -> None:
    cine, mask = make_beating()
    found = measure_reading(cine, mask, Reading(lv_slices={0: (2, 40)}, rv_slices={0: (40, 50)}))
    assert found.extents[0] == Extent(lv=(2, 5), rv=None)


def test_another_study_s_mask_is_refused() -> None:
    cine, mask = make_beating()
    with pytest.raises(ValueError, match=r"expected the cine's \(10, 6, 40, 60\)"):
        measure_reading(cine, mask[:, 1:], Reading())


def test_a_heart_rate_spreads_the_frames() -> None:
    cine, _ = make_beating()
    assert with_heart_rate(cine, 60).frame_ms == pytest.approx(np.arange(10) * 100.0)
    assert with_heart_rate(cine, 75).rr_ms == pytest.approx(800)
