"""How plausible a study's masks are as a whole: anatomy in every frame, and function over the cycle.

The rules on one slice or frame are those of `anatomy_checks`; here the frames are compared: the LV's mass cannot change
within a beat, both ventricles pump the same blood, volumes change smoothly. Those numbers are the ones measured as the
reader decided, never others. Pure: it knows masks and numbers, no states, layers or windows. Tolerances are set by what
experts drew, so that a sound study is green: a light that cries wolf is looked at by nobody.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from glrp_napari.anatomy_checks import GRAVE, Finding, Rule, check_gaps, check_slice
from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.measure import MYOCARDIUM_G_PER_ML, Function

MASS_NAMED, MASS_SHARE = 0.10, 0.30
"""Differences of the LV's mass between ED and ES that are named, and that are held against the masks.

The myocardium does not change within a beat, yet in 63 of the 100 patients that experts drew for ACDC the two masses
are more than 10 % apart (95th percentile: 30 %), for the base moves through the slices and thin walls are drawn thick.
"""
STROKE_NAMED, STROKE_SHARE = 0.15, 0.60
"""Differences of the two stroke volumes that are named, and that are held against the masks.

Of the same patients 60 are above 15 % (95th percentile: 60 %): valves leak, and the RV's base is hard to place.
"""
CURVE_SHARE = 0.08
"""Part of a ventricle's largest volume by which one frame may lie off the line between its neighbours."""
VENTRICLES = (Structure.LV, Structure.RV)


class Watch:
    """Remembers what was found in each slice, so that only slices that changed are looked at again.

    Not to be shared between threads.
    """

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self._seen: dict[tuple[int, int], tuple[bytes, tuple[Finding, ...], NDArray[np.int_]]] = {}

    def look(self, mask: Mask, frames: Collection[int], function: Function | None) -> tuple[Finding, ...]:
        """Everything odd in the segmented `frames` of a mask (T, Z, Y, X) and its numbers so far, the worst first."""
        found: list[Finding] = []
        counts = np.zeros((*mask.shape[:2], len(Structure)), int)
        for t in sorted(frames):
            for z, plane in enumerate(mask[t]):
                anatomy, counts[t, z] = self._look_at_slice((t, z), plane)
                found += [replace(finding, frame=t, slice=z) for finding in anatomy]
            found += [replace(finding, frame=t) for finding in check_gaps(counts[t] > 0)]
        found += [] if function is None else check_function(function)
        return sort_findings(found)

    def _look_at_slice(self, place: tuple[int, int], plane: Mask) -> tuple[tuple[Finding, ...], NDArray[np.int_]]:
        content = plane.tobytes()
        seen = self._seen.get(place)
        if seen is None or seen[0] != content:
            still = np.frombuffer(content, np.uint8).reshape(plane.shape)  # the reader may be painting meanwhile
            counts = np.bincount(still.ravel(), minlength=4)[1:4]
            seen = content, check_slice(still, self.geometry.spacing_mm[1:]), counts
            self._seen[place] = seen
        return seen[1], seen[2]


def check_function(function: Function) -> list[Finding]:
    """What is odd about the numbers that the reader is shown: the LV's mass, stroke volumes, curves."""
    found = [*_check_mass(function), *_check_strokes(function)]
    for structure in VENTRICLES:
        found += _check_curve(structure, function.volumes_ml[structure.name])
    return found


def sort_findings(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; of equal ones the first in time and place."""
    return tuple(sorted(found, key=lambda f: (-f.severity, f.frame or 0, f.slice or 0)))


def choose_light(found: Sequence[Finding]) -> str:
    """The light's colour, "green", "amber" or "red", for findings with the worst first."""
    worst = found[0].severity if found else 0.0
    return "red" if worst >= GRAVE else "amber" if worst > 1 else "green"


def _check_mass(function: Function) -> list[Finding]:
    if function.ed is None or function.es is None:
        return []
    wall = function.volumes_ml[Structure.MYO.name]
    first, second = ((wall[t] or 0.0) * MYOCARDIUM_G_PER_ML for t in (function.ed, function.es))
    if min(first, second) == 0:
        return []
    share = abs(second - first) / ((first + second) / 2)
    text = f"the LV's mass is {first:.0f} g at ED and {second:.0f} g at ES ({share:.0%} apart)"
    found = Finding(Rule.MASS, text, share / MASS_SHARE, Structure.MYO, frame=function.es)
    return [found] if share > MASS_NAMED else []


def _check_strokes(function: Function) -> list[Finding]:
    lv, rv = function.lv.sv_ml, function.rv.sv_ml
    if lv is None or rv is None or not function.rv.esv_ml or max(lv, rv) <= 0:
        return []
    share = abs(lv - rv) / max(lv, rv)
    text = f"the stroke volumes are {lv:.0f} ml (LV) and {rv:.0f} ml (RV), {share:.0%} apart"
    return [Finding(Rule.STROKE, text, share / STROKE_SHARE, frame=function.es)] if share > STROKE_NAMED else []


def _check_curve(structure: Structure, volumes: Sequence[float | None]) -> list[Finding]:
    """Frames whose volume lies off the line between those before and after, the cycle being closed."""
    count, largest = len(volumes), max((v for v in volumes if v is not None), default=0.0)
    found: list[Finding] = []
    if count < 8 or largest == 0:
        return found
    for t, here in enumerate(volumes):
        before, after = volumes[t - 1], volumes[(t + 1) % count]
        if before is None or here is None or after is None:
            continue
        share = abs(here - (before + after) / 2) / largest
        text = f"the volume of the {structure.name} jumps: {before:.0f}, {here:.0f}, {after:.0f} ml in three frames"
        if share > CURVE_SHARE:
            found.append(Finding(Rule.CURVE, text, share / CURVE_SHARE, structure, frame=t))
    return found
