"""The rows of the table "Did it help?", and the words for a slice in it. Pure."""

from collections.abc import Iterator

from glrp_napari.cine import Structure, count
from glrp_napari.comparison import READERS, Anchor, Comparison, Heart, PatientComparison, SliceChange
from glrp_napari.drawing.palette import NAMES
from glrp_napari.gate import MAX_DROP, MIN_AGREEMENT, explain_no_agreement
from glrp_napari.known_studies import NONE_KNOWN, KnownStudies

HEADS = ("", "measure", "before", "now", "beside it")
Row = tuple[str, str, str, str, str]


def list_rows(comparison: Comparison, known: KnownStudies = NONE_KNOWN) -> list[Row]:
    """Figures by patient, called as his study is if that is known; then the anchor's."""
    rows = [
        row
        for number, patient in enumerate(comparison.patients, 1)
        for row in _list_patient(patient, _name(patient.study, known, f"Patient {number} ({patient.study[:8]})"))
    ]
    started_from = comparison.started_from if comparison.is_second_round else ""
    return rows + (_list_anchor(comparison.anchor, started_from) if comparison.anchor else [])


def describe_change(change: SliceChange, known: KnownStudies = NONE_KNOWN) -> str:
    """A slice in the list; frames and slices count from 1."""
    place = f"{_name(change.study, known, change.study[:8])} · frame {change.frame + 1} · slice {change.slice + 1}"
    return f"{place}: Dice {change.before:.2f} → {change.after:.2f}"


def _name(study: str, known: KnownStudies, otherwise: str) -> str:
    return known[study].name if study in known else otherwise


def _list_patient(patient: PatientComparison, name: str) -> Iterator[Row]:
    base, now = patient.base, patient.candidate
    who = f"{name}, {count(patient.slices, 'slice')}"
    for key in dict.fromkeys((*base.dice, *base.area_error_cm2, *now.area_error_cm2)):
        called = NAMES[Structure[key]]
        if key in base.dice:
            yield who, f"{called} Dice", f"{base.dice[key]:.3f}", f"{now.dice.get(key, 0.0):.3f}", ""
            who = ""
        if key in base.hd95_mm and key in now.hd95_mm:
            yield "", f"{called} outline off by (95 %)", f"{base.hd95_mm[key]:.1f} mm", f"{now.hd95_mm[key]:.1f} mm", ""
        errors = [f"{scores.area_error_cm2.get(key, 0.0):.2f} cm²" for scores in (base, now)]
        found = [f"{scores.area_cm2.get(key, 0.0):.1f}" for scores in (base, now)]
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


def _list_anchor(anchor: Anchor, started_from: str) -> list[Row]:
    """What is kept of the model that training started from, which is named where "before" is another."""
    beside = f", before: {started_from}" if started_from else ""
    before, now = f"{anchor.base_phantoms:.3f}", f"{anchor.candidate_phantoms:.3f}"
    rows: list[Row] = [("Not forgotten?", f"Dice on test hearts{beside}", before, now, f"may fall by {MAX_DROP}")]
    if anchor.agreement is None:
        rows.append(("", f"agreement where it was sure{beside}", "", "not checked", explain_no_agreement(anchor)))
    else:
        slices = f"{anchor.slices} unlabelled slices, at least {MIN_AGREEMENT}"
        rows.append(("", f"agreement where it was sure{beside}", "1.000", f"{anchor.agreement:.3f}", slices))
    return rows
