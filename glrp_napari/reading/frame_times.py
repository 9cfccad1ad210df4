"""Frame times from the one number that image files keep for them: the interval, often without a unit.

It must not know any format. Times are in ms after the R wave.
"""

import math

UNKNOWN = "the file does not say how long a frame lasts; the heart rate can be typed in"
_PLAUSIBLE_MS = (5.0, 500.0)
_LONGEST_MS = 1000.0


def times_from_interval(
    interval: float, ms_per_unit: float | None, frames: int, offset: float = 0.0
) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """Frame times in ms and warnings, from an interval in units of `ms_per_unit` (None: the file names no unit).

    A missing interval, or the toolkits' default of 1 without a unit, is unknown, as is one of a second or more: no
    heart does that. Without a unit, a number that only as seconds or only as ms gives a heart is taken as such.
    """
    if frames == 1:
        return None, ()
    warnings: tuple[str, ...] = ()
    if not math.isfinite(interval) or interval <= 0:
        return None, (UNKNOWN,)
    if ms_per_unit is None:
        ms_per_unit = _guess_unit(interval)
        if ms_per_unit is None:
            return None, (UNKNOWN,)
        unit = "s" if ms_per_unit == 1000.0 else "ms"
        warnings = (f"the frame interval {interval:g} has no unit in the file and was taken as {unit}",)
    if interval * ms_per_unit >= _LONGEST_MS:
        return None, (f"a frame interval of {interval * ms_per_unit / 1000:g} s is no heart's; {UNKNOWN}",)
    start = offset * ms_per_unit if math.isfinite(offset) else 0.0
    return tuple(start + index * interval * ms_per_unit for index in range(frames)), warnings


def _guess_unit(interval: float) -> float | None:
    shortest, longest = _PLAUSIBLE_MS
    return next((unit for unit in (1000.0, 1.0) if shortest <= interval * unit <= longest), None)
