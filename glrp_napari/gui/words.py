"""The sentences of the window. Pure: from values to words a clinician uses; frames and slices count from 1."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from glrp_napari.cine import Structure, count
from glrp_napari.drawing.palette import NAMES
from glrp_napari.gui.snapshot import Snapshot, StudyShown
from glrp_napari.known_studies import NONE_KNOWN, KnownStudies
from glrp_napari.library import DamagedRecord, Label
from glrp_napari.lint import LabelFinding
from glrp_napari.measure import Function
from glrp_napari.slice_states import SliceState
from glrp_napari.suggest import Cause, Suggestion

STATES: Mapping[SliceState, str] = {
    SliceState.UNTOUCHED: "not segmented yet",
    SliceState.PREDICTED: "segmented by the model",
    SliceState.EDITED: "edited by you, not yet accepted",
    SliceState.ACCEPTED: "accepted as it was",
    SliceState.CORRECTED: "corrected and accepted",
}

CAUSES: Mapping[Cause, str] = {
    "uncertain": "uncertain",
    "flickers": "jumps from frame to frame",
    "may end here": "unsure where it ends",
}


MAP_NAMES: Mapping[SliceState, str] = {
    SliceState.PREDICTED: "segmented",
    SliceState.EDITED: "edited",
    SliceState.ACCEPTED: "accepted",
    SliceState.CORRECTED: "corrected",
}
"""The states in one word, for the map's legend."""


NEWER = "A later version of this program wrote to this label library. Here it is open for reading only."
CLAIMING = "The label library is still being opened. Until it is, nothing can be written to it."


def describe_slice(study: StudyShown) -> str:
    """Where one is and what the slice is, e.g. `Slice 5, frame 1: segmented by the model`."""
    return describe_place(study.frame, study.slice, study.state)


def describe_place(frame: int, level: int, state: SliceState) -> str:
    """A slice of a frame (from 0) and what it is."""
    return f"Slice {level + 1}, frame {frame + 1}: {STATES[state]}"


def describe_suggestion(suggestion: Suggestion | None, study: StudyShown | None) -> str:
    """Why the slice on screen was suggested, e.g. `RV base, frame 9: uncertain, 14 % of its volume`; else empty."""
    if suggestion is None or study is None or (suggestion.frame, suggestion.slice) != (study.frame, study.slice):
        return ""
    where, why = f"frame {suggestion.frame + 1}", CAUSES[suggestion.cause]
    if suggestion.structure is None:
        return f"Empty slice, {suggestion.region}, {where}: {why}"
    name = NAMES[suggestion.structure]
    return f"{name} {suggestion.region}, {where}: {why}, {suggestion.share:.0%} of its volume".replace("%", " %")


def describe_left(seconds: float | None) -> str:
    """Time left, rounded as a person would say it; empty while unknown."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{max(1, round(seconds))} s left"
    return f"{round(seconds / 60)} min left"


CHECKS_FOLLOW = "then up to three checks about as long each"


def describe_training(stage: str, seconds_left: float | None) -> str:
    """How far a fine-tuning is, e.g. `Training, loss 0.500: 85 s left, then up to three checks about as long each`.

    `stage` is as the job says it, with the loss behind it. What the job knows is the time left of the training on
    screen; the checks that follow the first one are further trainings, unless enough patients are kept apart.
    """
    left = describe_left(seconds_left)
    if stage.startswith("Training"):
        return f"{stage}: {left + ', ' if left else ''}{CHECKS_FOLLOW}"
    return " · ".join(part for part in (stage, left) if part)


def describe_finetune(labels: int) -> str:
    """The fine-tune button's text; N is the count."""
    return f"Fine-tune on my {count(labels, 'label') if labels else 'labels'}"


def explain_finetune(now: Snapshot) -> str:
    """Why one cannot fine-tune now; empty where one can."""
    if now.job:
        return "Wait until this fine-tuning is done." if now.job == "finetune" else "Wait until the study is segmented."
    if now.background:
        return "Wait until the fine-tuning in the background is done."
    if not now.labels:
        return "Accept at least one slice first: it becomes a label."
    if not now.learnable:
        return "All labels are of slices outside base and apex: accept at least one between them."
    return "" if now.models else "There is no model to begin with: import one under Models…"


def describe_draft(saved_at: str) -> str:
    """The question about an unsaved draft; `saved_at` is ISO 8601."""
    when = datetime.fromisoformat(saved_at).astimezone()
    return f"Restore your unsaved corrections from {when:%d %B, %H:%M}?"


def describe_warnings(warnings: tuple[str, ...]) -> str:
    """The first warning, and how many more the tooltip has."""
    if not warnings:
        return ""
    more = f" (and {len(warnings) - 1} more: point here)" if len(warnings) > 1 else ""
    return f"Note: {warnings[0]}{more}"


def describe_label(label: Label, study: StudyShown | None, known: KnownStudies = NONE_KNOWN) -> str:
    """A label in the list, e.g. `patient007 (not open) · frame 1 · slice 5 · corrected`."""
    outside = " · outside base and apex" if label.outside else ""
    return f"{_describe_label_place(label, study, known)} · {label.state}{outside}"


def describe_finding(finding: LabelFinding, study: StudyShown | None, known: KnownStudies = NONE_KNOWN) -> str:
    """What is odd about a label, and where."""
    return f"{_describe_label_place(finding.label, study, known)}: {finding.text}"


def describe_elsewhere(label: Label, known: KnownStudies) -> str:
    """What to open to see a label of a study that is not open."""
    if (found := known.get(label.study)) is None:
        return (
            "This label's study was never opened here, so its name is not known. Open it, and a click shows the slice."
        )
    place = "" if found.path is None else f" ({found.path})"
    return f"Open {found.name}{place} to see this slice."


def describe_findings(number: int) -> str:
    """The heading of the list of findings."""
    it = "it" if number == 1 else "them"
    return f"{count(number, 'thing')} to look at in the labels. Click to see {it}; correct and accept again."


def _describe_label_place(label: Label, study: StudyShown | None, known: KnownStudies) -> str:
    """The open study by name, another by the name it had when it was open, else by the start of its hash."""
    if study is not None and study.hash == label.study:
        name = study.name
    else:
        found = known.get(label.study)
        name = f"study {label.study[:8]}" if found is None else f"{found.name} (not open)"
    return f"{name} · frame {label.frame + 1} · slice {label.slice + 1}"


def describe_damaged(damaged: Sequence[DamagedRecord]) -> str:
    """Which records of the library cannot be read, and that nothing trains until that is settled."""
    if not damaged:
        return ""
    more = f" And {len(damaged) - 1} more." if len(damaged) > 1 else ""
    return f"A label's record is damaged: {damaged[0]}.{more}"


def describe_import(taken: int, known: int, refused: Sequence[str]) -> str:
    """What became of an import, e.g. `Imported 12 labels; 3 were here already. Refused: …`."""
    sentence = f"Imported {count(taken, 'label')}"
    if known:
        sentence += f"; {known} had a label here already, which stays"
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        sentence += f". Refused: {refused[0]}{more}"
    return f"{sentence}."


def describe_relinked(images: int) -> str:
    """That missing images of labels were found again."""
    return f"The library lacked the images of {count(images, 'label')} of this study; they were written again."


def describe_export(labels: int) -> str:
    """What an export wrote."""
    return f"Exported {count(labels, 'label')}."


def describe_function(function: Function) -> str:
    """The measurements in one line, e.g. `LV EDV 142 ml, ESV 61 ml, EF 57 %, mass 104 g · ED frame 1, ES frame 11`.

    Of a single segmented frame, its volumes.
    """
    lv_ml = function.volumes_ml["LV"]
    measured = [frame for frame, value in enumerate(lv_ml) if value is not None]
    if function.ed is not None or len(measured) != 1:
        return str(function)
    frame = measured[0]
    names = (("LV", "LV"), ("MYO", "myocardium"), ("RV", "RV"))
    return f"Frame {frame + 1}: " + ", ".join(f"{name} {function.volumes_ml[key][frame]:.0f} ml" for key, name in names)


def describe_validation(dice: Mapping[str, float], step: int) -> str:
    """How the model in training does on what is kept apart, by structure and under "mean"."""
    if not dice:
        return "A slice that is not labelled: before and now"
    parts = ", ".join(f"{NAMES[Structure[name]]} {value:.2f}" for name, value in dice.items() if name != "mean")
    return f"Dice {dice['mean']:.3f} on slices kept apart, after {count(step, 'step')}" + (
        f" ({parts})" if parts else ""
    )


SILENT = (
    "The computation has said nothing for a minute: it may hang. Cancel ends it within two seconds; your work is safe, "
    "and a fine-tuning can be resumed."
)


def describe_outcome(candidate: str, in_use: bool, sentence: str) -> str:
    """What a fine-tuning came to, in the dock; `sentence` is the gate's."""
    return f"{candidate} is in use now. {sentence}" if in_use else f"{candidate} is made but not in use. {sentence}"
