"""What the reader of a study decided (`Reading`), and what holds where nobody decided: phases, slices, body.

Shared by the window, the session's file and the report, so that the same decisions always give the same numbers. Not to
be confused with `reading/`, which reads files. Pure: it knows no files and no windows.

What nobody decided is as found: ED and ES from the volumes, base and apex as `extent.propose_extent` suggests, height
and weight from the file. A frame that holds no label is one that is not segmented.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from glrp_napari.cine import Body, Cine, Mask, Positive, Structure
from glrp_napari.extent import Extent, Slices, find_apex_first, propose_extent
from glrp_napari.measure import UNCHOSEN, Phases, find_phases, measure_volumes
from glrp_napari.norms import Sex
from glrp_napari.segments import Insertions

Frame = Annotated[int, Field(ge=0)]
Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Height in cm or weight in kg; 0 says that it is not known, whatever the file says."""
SIDES = ("lv", "rv")
"""The ventricles that have a base and an apex of their own; the myocardium goes with the LV."""


class Reading(BaseModel):
    """The reader's decisions; whatever is None, or a frame that is not named, is as found. Frames count from 0.

    `lv_slices` and `rv_slices` hold by frame the first and last slice that count (None: no slice counts); those of a
    frame that is neither ED nor ES wait until it is. Height in cm, weight in kg, age in years; `heart_rate_bpm` stands
    instead of the file's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phases: Phases = UNCHOSEN
    lv_slices: dict[Frame, Slices | None] = {}
    rv_slices: dict[Frame, Slices | None] = {}
    insertions: dict[Frame, Insertions] = {}
    height_cm: Size | None = None
    weight_kg: Size | None = None
    sex: Sex | None = None
    age_years: Annotated[float, Field(ge=0)] | None = None
    heart_rate_bpm: Positive | None = None


def crop_to_labels(mask: Mask) -> Mask:
    """The part of a mask (T, Z, Y, X) that holds labels, with a margin of one background voxel in the slice.

    Nothing measured depends on where it lies there.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=(0, 1, axis))) for axis in (3, 2))
    if len(rows) == 0:
        return mask[..., :1, :1]
    held = mask[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(held, ((0, 0), (0, 0), (1, 1), (1, 1)))


def settle_phases(cine: Cine, mask: Mask, reading: Reading, segmented: list[int], missing: list[str]) -> Phases:
    """ED and ES as decided, else as found; a decision for a frame that is not segmented is passed over and named.

    They are found in the slices that are the LV's in every frame, for a base that comes and goes is no contraction;
    frames with less than half of the LV's slices are no phase by their own, and are named.
    """
    chosen = {}
    for name, frame in reading.phases._asdict().items():
        if frame is not None and frame not in segmented:
            missing.append(f"{name.upper()} is set to frame {frame + 1}, which is not segmented.")
            frame = None
        chosen[name] = frame
    proposed = {t: slices for t in segmented if (slices := propose_extent(mask[t]).lv) is not None}
    unfinished = _list_unfinished(proposed)
    if unfinished:
        shown = ", ".join(str(t + 1) for t in unfinished)
        missing.append(f"Drawn in less than half of the LV's slices, so neither ED nor ES unless set: frame {shown}.")
    whole = [t for t in segmented if t not in unfinished]
    core = _find_core([slices for t, slices in proposed.items() if t in whole])
    found = find_phases(mask[:, core], cine.geometry, whole)
    settled = [f if c is None else c for f, c in zip(found, chosen.values(), strict=True)]
    return UNCHOSEN if None in settled else Phases(*settled)


def _list_unfinished(proposed: Mapping[int, tuple[int, int]]) -> list[int]:
    """The frames with less than half as many slices as the one with the most."""
    most = max((last - first + 1 for first, last in proposed.values()), default=0)
    return [t for t, (first, last) in proposed.items() if 2 * (last - first + 1) < most]


def _find_core(proposed: Sequence[tuple[int, int]]) -> slice:
    """The slices that all of these have in common; all where there is none."""
    first, last = max((s[0] for s in proposed), default=0), min((s[1] for s in proposed), default=-1)
    return slice(first, last + 1) if first <= last else slice(None)


def settle_extents(cine: Cine, mask: Mask, reading: Reading, phases: Phases, segmented: list[int]) -> dict[int, Extent]:
    """The slices that count in every segmented frame.

    At ED and ES they are the reader's, else the proposal's, which reaches no further up at ES than at ED, for the base
    comes down with the contraction. So every other frame lies between them as far as its LV has emptied (ours), and the
    curve has no step at either phase.
    """
    if phases.ed is None or phases.es is None:
        return {t: _settle_frame(mask[t], reading, t) for t in segmented}
    ed, es = (_settle_frame(mask[t], reading, t) for t in (phases.ed, phases.es))
    es = _lower_base(es, propose_extent(mask[phases.ed]), find_apex_first(mask[phases.ed]), reading, phases.es)
    lv_ml = measure_volumes(mask, cine.geometry)[Structure.LV]
    stroke_ml = float(lv_ml[phases.ed] - lv_ml[phases.es]) or 1.0
    between = {t: _blend(ed, es, float(lv_ml[phases.ed] - lv_ml[t]) / stroke_ml) for t in segmented}
    return between | {phases.ed: ed, phases.es: es}


def _lower_base(es: Extent, ed: Extent, apex_first: bool, reading: Reading, frame: int) -> Extent:
    """ES, of which what the reader did not set ends at ED's proposed base, where anything of it is left."""
    sides: dict[str, tuple[int, int] | None] = {}
    for side, decided in (("lv", reading.lv_slices), ("rv", reading.rv_slices)):
        slices, bound = getattr(es, side), getattr(ed, side)
        if slices is not None and bound is not None and frame not in decided:
            first, last = slices
            lowered = (first, min(last, bound[1])) if apex_first else (max(first, bound[0]), last)
            slices = lowered if lowered[0] <= lowered[1] else slices
        sides[side] = slices
    return Extent(**sides)


def list_outside(labels: Mask, reading: Reading, frame: int) -> list[int]:
    """The slices of a frame (Z, Y, X) beyond base and apex, where the reader set them of either ventricle.

    Where the reader set neither, there are none: what is only found overrules nobody who accepts a slice.
    """
    if frame not in reading.lv_slices and frame not in reading.rv_slices:
        return []
    extent = _settle_frame(crop_to_labels(labels[None])[0], reading, frame)
    return [level for level in range(len(labels)) if not extent.holds(level)]


def list_uncounted(mask: Mask, reading: Reading) -> dict[int, tuple[int, ...]]:
    """By frame, the slices of a mask (T, Z, Y, X) beyond base and apex; empty where the reader set them nowhere.

    A frame in which he did not set them has those that lie beyond in every frame in which he did.
    """
    decided = [t for t in sorted({*reading.lv_slices, *reading.rv_slices}) if t < len(mask)]
    beyond = {t: set(list_outside(mask[t], reading, t)) for t in decided}
    if not beyond:
        return {}
    always = set.intersection(*beyond.values())
    return {t: tuple(sorted(beyond.get(t, always))) for t in range(len(mask))}


def _settle_frame(labels: Mask, reading: Reading, frame: int) -> Extent:
    """The extent of one frame (Z, Y, X): each ventricle's as decided, else as proposed."""
    proposed = propose_extent(labels)
    return Extent(
        lv=_fit_in(reading.lv_slices.get(frame, proposed.lv), len(labels)),
        rv=_fit_in(reading.rv_slices.get(frame, proposed.rv), len(labels)),
    )


def _fit_in(slices: tuple[int, int] | None, count: int) -> tuple[int, int] | None:
    return None if slices is None or slices[0] >= count else (slices[0], min(slices[1], count - 1))


def _blend(ed: Extent, es: Extent, emptied: float) -> Extent:
    """The extent of a frame that has `emptied` (0 at ED, 1 at ES)."""
    part = float(np.clip(emptied, 0, 1))
    sides: dict[str, tuple[int, int] | None] = {}
    for side in SIDES:
        start, end = getattr(ed, side), getattr(es, side)
        if start is None or end is None:
            sides[side] = start if part < 0.5 else end
        else:
            first, last = (round(a + part * (b - a)) for a, b in zip(start, end, strict=True))
            sides[side] = (first, last)
    return Extent(**sides)


def settle_body(found: Body, reading: Reading) -> Body:
    """Height and weight as typed, else as `found` in the file."""
    typed = (reading.height_cm, reading.weight_kg)
    return Body(*(f if t is None else t or None for t, f in zip(typed, found, strict=True)))
