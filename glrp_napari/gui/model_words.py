"""A model's card in words. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from glrp_napari.cine import count
from glrp_napari.comparison import Anchor, Comparison
from glrp_napari.gate import DIGITS, describe_dice, describe_held_out
from glrp_napari.known_studies import NONE_KNOWN, KnownStudies
from glrp_napari.library import Protocol
from glrp_napari.library.protocol import describe_protocol
from glrp_napari.library.record import STUDY_DIGITS
from glrp_napari.models import VERDICT, Card, read_comparison

SHOWN_STUDIES = 12


def describe_card(card: Card, known: KnownStudies = NONE_KNOWN) -> str:
    """Title, origin, labels, protocol, figures and licence, a line each; what a card does not have is left out."""
    lines = [card.title, card.summary, f"Made from: {card.parent}" if card.parent else ""]
    learned = f"Learned from {count(len(card.labels), 'label')}: {_list_studies(card.labels, known)}"
    lines += [learned if card.labels else ""]
    lines += [_describe_conventions(card.training["protocol"]) if card.training.get("protocol") else ""]
    lines += [f"Muscle in the cavity is taken out of its answers: {' and '.join(card.muscle)}" if card.muscle else ""]
    lines += [str(card.figures.get(VERDICT, "")), _describe_figures(card)]
    lines += [f"Weights: SHA-256 {card.weights_sha256[:16]}…", f"Licence: {card.licence}" if card.licence else ""]
    return "\n\n".join(line for line in lines if line)


def _describe_conventions(values: object) -> str:
    """Those in a card, which another version may have written."""
    try:
        return f"Conventions: {describe_protocol(Protocol.model_validate(values))}"
    except ValidationError:
        return "Conventions: some that this version does not know"


def _list_studies(labels: Sequence[str], known: KnownStudies) -> str:
    """`patient007 (4), study 1f2e3d4c (2)`: the studies of these labels, and how many each has."""
    names = {study[:STUDY_DIGITS]: one.name for study, one in known.items()}
    labelled = Counter(label[:STUDY_DIGITS] for label in labels)
    parts = [f"{names.get(study, f'study {study[:8]}')} ({number})" for study, number in labelled.items()]
    more = len(parts) - SHOWN_STUDIES
    return ", ".join(parts[:SHOWN_STUDIES]) + (f" and {more} more" if more > 0 else "")


def _describe_figures(card: Card) -> str:
    """What was found about a fine-tuned model; of another the scores that its card holds.

    A comparison that cannot be read gives no numbers: by themselves those mean nothing to anyone.
    """
    if (comparison := read_comparison(card)) is not None:
        return describe_comparison(comparison)
    return "" if VERDICT in card.figures else "\n".join(_list_scores(card.figures))


def _list_scores(figures: Mapping[str, Any], of: str = "") -> list[str]:
    """`ACDC test: Dice 0.910, Hausdorff distance 10.9 mm` of each data set scored, those of a twin named as its."""
    lines = []
    for name, value in figures.items():
        match value:
            case {"mean": {"dice": dice, "hd_mm": distance}}:
                lines.append(f"{of}{name}: Dice {dice:.{DIGITS}f}, Hausdorff distance {distance:.1f} mm")
            case dict():
                lines += _list_scores(value, f"Its {name} on ")
            case int() | float() if name.lower().endswith(" dice"):
                lines.append(f"{of}{name.removesuffix(' dice')}: Dice {value:.{DIGITS}f}")
    return lines


def describe_comparison(comparison: Comparison) -> str:
    """The figures behind the verdict, a line each."""
    lines = []
    if comparison.patients:
        model = comparison.in_use if comparison.is_second_round else ""
        figures = describe_dice(comparison.base, comparison.candidate, model)
        lines.append(f"Dice on {describe_held_out(comparison)}: {figures}")
    if comparison.anchor is not None:
        lines += _describe_anchor(comparison.anchor, comparison)
    return "\n".join(lines)


def _describe_anchor(anchor: Anchor, comparison: Comparison) -> list[str]:
    base = comparison.started_from if comparison.is_second_round else ""
    hearts = f"Dice on test hearts: {describe_dice(anchor.base_phantoms, anchor.candidate_phantoms, base)}"
    agreement = f"Agreement with {base or 'the model before'}"
    if anchor.agreement is None:
        return [hearts, f"{agreement}, where that was sure: not measured"]
    slices = count(anchor.slices, "unlabelled slice")
    return [hearts, f"{agreement} on {slices}, where that was sure: {anchor.agreement:.3f}"]
