"""The rows of the table "Did it help?", and the words for a slice in it. Pure."""

from collections.abc import Iterator

from glrp_napari.cine import Structure, count
from glrp_napari.comparison import READERS, Anchor, Comparison, Heart, PatientComparison, SliceChange
from glrp_napari.drawing.palette import NAMES
from glrp_napari.gate import MAX_DROP, MIN_AGREEMENT, explain_no_agreement

HEADS = ("", "measure", "before", "now", "beside it")
Row = tuple[str, str, str, str, str]


def list_rows(comparison: Comparison) -> list[Row]:
    """Figures by patient, then the anchor's."""
    rows = [row for number, patient in enumerate(comparison.patients, 1) for row in _list_patient(patient, number)]
    return rows + (_list_anchor(comparison.anchor) if comparison.anchor else [])


def describe_change(change: SliceChange) -> str:
    """A slice in the list; frames and slices count from 1."""
    place = f"{change.study[:8]} · frame {change.frame + 1} · slice {change.slice + 1}"
    return f"{place}: Dice {change.before:.2f} → {change.after:.2f}"


def _list_patient(patient: PatientComparison, number: int) -> Iterator[Row]:
    base, now = patient.base, patient.candidate
    who = f"Patient {number} ({patient.study[:8]}), {count(patient.slices, 'slice')}"
    for name in dict.fromkeys((*base.dice, *base.area_error_cm2, *now.area_error_cm2)):
        called = NAMES[Structure[name]]
        if name in base.dice:
            yield who, f"{called} Dice", f"{base.dice[name]:.3f}", f"{now.dice.get(name, 0.0):.3f}", ""
            who = ""
        if name in base.hd95_mm and name in now.hd95_mm:
            yield "", f"{called} HD95", f"{base.hd95_mm[name]:.1f} mm", f"{now.hd95_mm[name]:.1f} mm", ""
        errors = [f"{scores.area_error_cm2.get(name, 0.0):.2f} cm²" for scores in (base, now)]
        found = [f"{scores.area_cm2.get(name, 0.0):.1f}" for scores in (base, now)]
        yield who, f"{called} area off by", errors[0], errors[1], f"it is {found[0]} and {found[1]} cm²"
        who = ""
    yield from _list_hearts(patient.labelled_heart, patient.base_heart, patient.candidate_heart)


def _list_hearts(labelled: Heart | None, base: Heart | None, now: Heart | None) -> Iterator[Row]:
    if labelled is None or base is None or now is None:
        return
    for spread in READERS:
        truth, before, after = (getattr(heart, spread.field) for heart in (labelled, base, now))
        readers = f"between readers {spread.low}–{spread.high} {spread.unit}; yours {truth:.0f} {spread.unit}"
        unit = spread.unit
        yield "", f"Δ{spread.name}", f"{before - truth:+.1f} {unit}", f"{after - truth:+.1f} {unit}", readers


def _list_anchor(anchor: Anchor) -> list[Row]:
    before, now = f"{anchor.base_phantoms:.3f}", f"{anchor.candidate_phantoms:.3f}"
    rows: list[Row] = [("Not forgotten?", "Dice on test hearts", before, now, f"may fall by {MAX_DROP}")]
    if anchor.agreement is None:
        rows.append(("", "agreement where it was sure", "", "not checked", explain_no_agreement(anchor)))
    else:
        slices = f"{anchor.slices} unlabelled slices, at least {MIN_AGREEMENT}"
        rows.append(("", "agreement where it was sure", "1.000", f"{anchor.agreement:.3f}", slices))
    return rows
