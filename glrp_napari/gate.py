"""Whether a fine-tuned model may take the place of the one in use: pure rules over a comparison, and their words.

A model that is better on a few labels may have forgotten the rest; so it must be better on corrected slices it did
not see *and* within bounds on what its base already did well. Every figure is compared as it is printed, so that no
sentence contradicts itself. Knows no network, no file and no window.
"""

from dataclasses import dataclass
from typing import Literal

from glrp_napari.cine import Structure, count
from glrp_napari.comparison import Anchor, Comparison, mean_by_structure
from glrp_napari.drawing.palette import NAMES

MIN_GAIN = 0.002
"""A smaller rise of the mean Dice is no improvement; ours."""
MAX_LOSS = 0.02
"""No structure may lose more Dice than this on the held-out slices; ours."""
MAX_DROP = 0.005
"""The mean Dice on phantoms that no training saw may fall by so much."""
MIN_AGREEMENT = 0.97
"""The Dice between both models where the base is sure must stay this high."""
DIGITS = 3
"""Those of a Dice, printed and decided by."""

Reason = Literal["better", "unchecked", "unproven", "not better", "one structure worse", "forgets", "disagrees"]


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate becomes the active model by itself, why, and that in one sentence."""

    accepted: bool
    reason: Reason
    sentence: str


def decide(comparison: Comparison) -> Verdict:
    """The verdict; the first rule that speaks against the candidate gives the reason."""
    reason = _find_reason(comparison)
    accepted = reason == "better"
    return Verdict(accepted, reason, _explain(comparison, reason))


def _find_reason(comparison: Comparison) -> Reason:
    anchor = comparison.anchor
    if not comparison.complete:
        return "unchecked"
    if not comparison.patients or anchor is None:
        return "unproven"
    if subtract(comparison.candidate, comparison.base) < MIN_GAIN:
        return "not better"
    if list_losses(comparison):
        return "one structure worse"
    if _measure_drop(anchor) > MAX_DROP:
        return "forgets"
    if anchor.agreement is not None and round(anchor.agreement, DIGITS) < MIN_AGREEMENT:
        return "disagrees"
    return "better"


def list_losses(comparison: Comparison) -> dict[str, float]:
    """The structures that lost more Dice than `MAX_LOSS`, and how much, every patient counting the same."""
    before = mean_by_structure([patient.base.dice for patient in comparison.patients])
    after = mean_by_structure([patient.candidate.dice for patient in comparison.patients])
    losses = {name: subtract(dice, after.get(name, 0.0)) for name, dice in before.items()}
    return {name: loss for name, loss in losses.items() if loss > MAX_LOSS}


def subtract(one: float, other: float) -> float:
    """The difference of two values as they are printed."""
    return round(round(one, DIGITS) - round(other, DIGITS), DIGITS)


def _measure_drop(anchor: Anchor) -> float:
    return subtract(anchor.base_phantoms, anchor.candidate_phantoms)


def _explain(comparison: Comparison, reason: Reason) -> str:
    """One sentence for a clinician, and whatever must be known beside it."""
    stays = f"{comparison.in_use if comparison.is_second_round else 'The model before'} stays."
    figures, where = _describe_figures(comparison), describe_held_out(comparison)
    anchor = comparison.anchor or Anchor(base_phantoms=0, candidate_phantoms=0)  # there is one wherever it is named
    match reason:
        case "better":
            return f"It helped: {figures} on {where}{_describe_anchor(comparison, anchor)}{_warn(comparison)}"
        case "unchecked":
            return (
                f"The checks were cut short, so nothing is known about the new model; {_name_in_use(comparison)} stays."
            )
        case "unproven":
            return f"Nothing can be said about the new model: {_describe_want(comparison)} {stays}"
        case "not better":
            return f"It did not help: {figures} on {where}; at least {MIN_GAIN} more is needed. {stays}"
        case "one structure worse":
            losses = list_losses(comparison).items()
            lost = " and ".join(f"{_name_structure(name)} ({loss:.3f} less Dice)" for name, loss in losses)
            return (
                f"Better on the whole but worse on {lost}, at most {MAX_LOSS} is allowed: {figures} on {where}. {stays}"
            )
        case "forgets":
            return (
                f"Better on your slices ({figures}), but it forgot hearts it knew: {_measure_drop(anchor):.3f} less "
                f"Dice on test hearts, at most {MAX_DROP} is allowed. {stays}"
            )
        case "disagrees":
            return (
                f"Better on your slices ({figures}), but it changed answers that were sure before (agreement "
                f"{anchor.agreement or 0.0:.3f}, at least {MIN_AGREEMENT} is expected): right only if you label by "
                f"another rule. {stays}"
            )


def describe_held_out(comparison: Comparison) -> str:
    """On what was measured: `12 corrected slices of 3 patients, kept apart`."""
    slices = count(comparison.slices, "corrected slice")
    if comparison.held_out == "slices":
        return f"{slices} of the same patient, kept apart in turn"
    return f"{slices} of {count(len(comparison.patients), 'patient')}, kept apart"


def _name_in_use(comparison: Comparison) -> str:
    return comparison.in_use if comparison.is_second_round else "the model before"


def _name_structure(name: str) -> str:
    """As it is written within a sentence."""
    word = NAMES[Structure[name]]
    return word if word.isupper() else word.lower()


def describe_dice(before: float, now: float, model: str) -> str:
    """`0.864 before, 0.880 now`; where "before" would leave a doubt, the model before is named."""
    return f"{before:.{DIGITS}f} {f'with {model}' if model else 'before'}, {now:.{DIGITS}f} now"


def _describe_figures(comparison: Comparison) -> str:
    model = comparison.in_use if comparison.is_second_round else ""
    return f"Dice {describe_dice(comparison.base, comparison.candidate, model)}"


def _describe_want(comparison: Comparison) -> str:
    """What a comparison would have needed."""
    name = _name_in_use(comparison)
    if comparison.all_seen:
        return (
            f"{name} has already learned from the patients you corrected, so none is left to compare on; correct "
            "slices of another one."
        )
    return (
        "that needs corrected slices of two patients, or of two slice positions of one, on which "
        f"{name} was not trained."
    )


def _describe_anchor(comparison: Comparison, anchor: Anchor) -> str:
    model = comparison.started_from if comparison.is_second_round else ""
    hearts = f"; on test hearts {describe_dice(anchor.base_phantoms, anchor.candidate_phantoms, model)}"
    base = "the model it started from" if model else "the model before"
    if anchor.agreement is not None:
        return f"{hearts}; agreement with {base} {anchor.agreement:.3f}."
    return f"{hearts}. Agreement with {base} could not be checked: {explain_no_agreement(anchor)}."


def explain_no_agreement(anchor: Anchor) -> str:
    """Why two models' answers on unlabelled slices were not compared."""
    return "it was sure of no unlabelled slice of the open study" if anchor.study_open else "no study was open"


def _warn(comparison: Comparison) -> str:
    if comparison.held_out == "slices":
        return " All of it is one patient: this proves little about others."
    return ""
