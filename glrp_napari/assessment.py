"""Every number that follows from a mask, the cine and what its reader decided (`decisions.Reading`).

Pure: it knows no files and no windows.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from glrp_napari.cine import Body, Cine, Mask, with_heart_rate
from glrp_napari.curves import VolumeCurve, fit_curve
from glrp_napari.decisions import SIDES, Reading, crop_to_labels, settle_body, settle_extents, settle_phases
from glrp_napari.extent import Extent, find_apex_first, keep_inside
from glrp_napari.measure import Function, Phases, measure_function
from glrp_napari.norms import Judgement, Quantity, judge_function, measure_bsa
from glrp_napari.segments import Insertions, find_insertions
from glrp_napari.thickness import SegmentThickness, measure_segments

Found = TypeVar("Found")


class Measurements(BaseModel):
    """Everything measured from a mask by a reading. `missing` says in sentences what could not be, and why.

    `extents` and `insertions` are those that the numbers rest on at ED and ES, decided or found; `judged` compares with
    the published ranges and is empty without a sex. A curve is None, `segments` is empty, where they are missing.
    `apex_first` says at which end of the stack the apex lies (None: unknown). `bsa_from_file` names what the body
    surface area takes from the file; the values themselves are personal data and are not among the measurements.
    """

    model_config = ConfigDict(frozen=True)

    function: Function
    extents: dict[int, Extent] = {}
    insertions: dict[int, Insertions] = {}
    lv_curve: VolumeCurve | None = None
    rv_curve: VolumeCurve | None = None
    segments: tuple[SegmentThickness, ...] = ()
    judged: dict[Quantity, Judgement] = {}
    apex_first: bool | None = None
    bsa_from_file: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def bsa_source(self) -> str:
        """What the body surface area takes from the file, in words: `height and weight from the file`; else nothing."""
        return f"{' and '.join(self.bsa_from_file)} from the file" if self.bsa_from_file else ""


def measure_reading(cine: Cine, mask: Mask, reading: Reading) -> Measurements:
    """All numbers of a mask (T, Z, Y, X) of a cine as its reader decided. Raises ValueError for another shape.

    What cannot be measured is missing with its reason, never an error: a report is written all the same. Decisions
    about frames or slices that are not there, or not segmented, are passed over and named.
    """
    if mask.shape != cine.images.shape:
        raise ValueError(f"the mask is {mask.shape}: expected the cine's {cine.images.shape}")
    mask = crop_to_labels(mask)
    timed = with_heart_rate(cine, reading.heart_rate_bpm) if reading.heart_rate_bpm else cine
    missing: list[str] = []
    segmented = [t for t, labels in enumerate(mask) if labels.any()]
    phases = settle_phases(cine, mask, reading, segmented, missing)
    extents = settle_extents(cine, mask, reading, phases, segmented)
    body = settle_body(cine.body, reading)
    function = measure_function(
        mask,
        cine.geometry,
        segmented,
        timed.rr_ms,
        chosen=phases,
        extents=extents,
        bsa_m2=_attempt(missing, lambda: _measure_bsa(body)),
    )
    missing += _explain(function)
    at_phases = {t: extents[t] for t in phases if t is not None}
    insertions = _settle_insertions(cine, mask, reading, at_phases, missing)
    segments = _attempt(missing, lambda: _measure_wall(cine, mask, phases, extents, insertions))
    lv_curve, rv_curve = (_fit(timed, function, side, missing) for side in SIDES)
    return Measurements(
        function=function,
        extents=at_phases,
        insertions=insertions,
        lv_curve=lv_curve,
        rv_curve=rv_curve,
        segments=segments or (),
        judged=judge_function(function, reading.sex, reading.age_years) if reading.sex else {},
        apex_first=None if phases.ed is None else find_apex_first(mask[phases.ed]),
        bsa_from_file=_list_from_file(reading) if function.bsa_m2 else (),
        missing=tuple(dict.fromkeys(missing)),
    )


def _explain(function: Function) -> Iterator[str]:
    """A sentence for each volume, or ejection fraction, that is not defined or cannot be right."""
    if function.ed is None or function.es is None:
        yield "No ED and ES: fewer than two frames hold an LV."
        return
    for side in SIDES:
        name, ventricle = side.upper(), getattr(function, side)
        if ventricle.edv_ml is None:
            yield f"No volumes of the {name}: it is not drawn at ED, or in no slice that counts."
        elif ventricle.esv_ml is None:
            yield f"No stroke volume of the {name}: it is not drawn at ES, or in no slice that counts."
        elif ventricle.esv_ml > ventricle.edv_ml:
            yield f"The {name} is larger at ES than at ED: are frames {function.ed + 1} and {function.es + 1} right?"


def _list_from_file(reading: Reading) -> tuple[str, ...]:
    typed = {"height": reading.height_cm, "weight": reading.weight_kg}
    return tuple(name for name, value in typed.items() if value is None)


def _measure_bsa(body: Body) -> float | None:
    if body.height_cm is None or body.weight_kg is None:
        return None
    return measure_bsa(body.height_cm, body.weight_kg)


def _settle_insertions(
    cine: Cine, mask: Mask, reading: Reading, extents: Mapping[int, Extent], missing: list[str]
) -> dict[int, Insertions]:
    """Insertion points by frame, decided or found; of two phases the one that shows none has the other's, for the heart
    hardly turns between them.
    """
    settled, reasons = {}, list[str]()
    for frame, extent in extents.items():
        given = reading.insertions.get(frame)
        counted = keep_inside(mask[frame], extent)
        found = given or _attempt(reasons, partial(find_insertions, counted, cine.geometry))
        if found is not None:
            settled[frame] = found
    if reasons and settled:
        (known,) = settled
        (other,) = extents.keys() - settled.keys()
        missing.append(f"Frame {other + 1} shows no insertion points of the RV, so frame {known + 1}'s are used there.")
        return {frame: settled[known] for frame in extents}
    missing += reasons
    return settled


def _measure_wall(
    cine: Cine, mask: Mask, phases: Phases, extents: Mapping[int, Extent], insertions: Mapping[int, Insertions]
) -> tuple[SegmentThickness, ...]:
    if phases.ed is None or phases.es is None or not {phases.ed, phases.es} <= set(insertions):
        return ()
    return measure_segments(mask, cine.geometry, phases, extents=extents, insertions=insertions)


def _fit(cine: Cine, function: Function, side: str, missing: list[str]) -> VolumeCurve | None:
    volumes = [volume or None for volume in function.volumes_ml[side.upper()]]  # not drawn is not empty
    if not any(volumes) or len(volumes) < 2:
        return None
    if cine.frame_ms is None:
        missing.append("No rates: the file does not say how long a frame lasts. Type the heart rate.")
        return None
    times = cine.frame_ms
    return _attempt(missing, lambda: fit_curve(volumes, times, cine.rr_ms))


def _attempt(missing: list[str], measure: Callable[[], Found]) -> Found | None:
    """What `measure` gives, or None and the sentence of why not."""
    try:
        return measure()
    except ValueError as error:
        sentence = str(error)
        missing.append(f"{sentence[:1].upper()}{sentence[1:]}.")
        return None
