"""Whether a fine-tuned model may take the place of its base: pure rules over a comparison, and their words.

A model that is better on a few labels may have forgotten the rest; so it must be better on corrected slices it did
not see *and* within bounds on what the base already did well. Knows no network, no file and no window.
"""

from dataclasses import dataclass
from typing import Literal

from glrp_napari.cine import count
from glrp_napari.comparison import Anchor, Comparison, mean_by_structure

MIN_GAIN = 0.002
"""A smaller rise of the mean Dice is no improvement; ours."""
MAX_LOSS = 0.02
"""No structure may lose more Dice than this on the held-out slices; ours."""
MAX_DROP = 0.005
"""The mean Dice on phantoms that no training saw may fall by so much."""
MIN_AGREEMENT = 0.97
"""The Dice between both models where the base is sure must stay this high."""

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
    if not comparison.complete:
        return "unchecked"
    if not comparison.patients or comparison.anchor is None:
        return "unproven"
    if comparison.candidate - comparison.base < MIN_GAIN:
        return "not better"
    if list_losses(comparison):
        return "one structure worse"
    if comparison.anchor.drop > MAX_DROP:
        return "forgets"
    if comparison.anchor.agreement is not None and comparison.anchor.agreement < MIN_AGREEMENT:
        return "disagrees"
    return "better"


def list_losses(comparison: Comparison) -> tuple[str, ...]:
    """The structures that lost more Dice than `MAX_LOSS`, every patient counting the same."""
    before = mean_by_structure([patient.base.dice for patient in comparison.patients])
    after = mean_by_structure([patient.candidate.dice for patient in comparison.patients])
    return tuple(name for name, dice in before.items() if dice - after.get(name, 0.0) > MAX_LOSS)


def _explain(comparison: Comparison, reason: Reason) -> str:
    """One sentence for a clinician."""
    figures = f"Dice {comparison.base:.3f} before, {comparison.candidate:.3f} now"
    where = describe_held_out(comparison)
    match reason:
        case "better":
            return f"It helped: {figures} on {where}{_describe_anchor(comparison.anchor)}.{_warn(comparison)}"
        case "unchecked":
            return "The checks were cut short, so nothing is known about the new model; the model before stays."
        case "unproven":
            return (
                "Nothing can be said about the new model: that needs corrected slices of two patients, or of two "
                "slice positions of one, on which the model before was not trained. The model before stays."
            )
        case "not better":
            return f"It did not help: {figures} on {where}. The model before stays."
        case "one structure worse":
            lost = " and ".join(list_losses(comparison))
            return f"Better on the whole but worse on {lost}: {figures} on {where}. The model before stays."
        case "forgets":
            drop = comparison.anchor.drop if comparison.anchor else 0.0
            return (
                f"Better on your slices ({figures}), but it forgot hearts it knew: {drop:.3f} less Dice on test "
                f"hearts, at most {MAX_DROP} is allowed. The model before stays."
            )
        case "disagrees":
            agreement = (comparison.anchor.agreement if comparison.anchor else None) or 0.0
            return (
                f"Better on your slices ({figures}), but it changed answers that were sure before (agreement "
                f"{agreement:.3f}, at least {MIN_AGREEMENT} is expected): right only if you label by another rule. "
                "The model before stays."
            )


def describe_held_out(comparison: Comparison) -> str:
    """On what was measured: `12 corrected slices of 3 patients, each kept apart in turn`."""
    slices = count(comparison.slices, "corrected slice")
    if comparison.held_out == "slices":
        return f"{slices} of the same patient, kept apart in turn"
    return f"{slices} of {count(len(comparison.patients), 'patient')}, kept apart"


def _describe_anchor(anchor: Anchor | None) -> str:
    if anchor is None:
        return ""
    agreement = "" if anchor.agreement is None else f", agreement with the model before {anchor.agreement:.3f}"
    change = 0.0 - round(anchor.drop, 3)
    return f"; test hearts {change:{'+' if change else ''}.3f}{agreement}"


def _warn(comparison: Comparison) -> str:
    if comparison.held_out == "slices":
        return " All of it is one patient: this proves little about others."
    return ""
