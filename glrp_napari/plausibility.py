"""How plausible a study's masks are as a whole: anatomy in every frame, and function over the cycle.

The rules on one slice or frame are those of `anatomy_checks`; here the frames are compared: the LV's mass cannot change
within a beat, both ventricles pump the same blood, volumes change smoothly. Pure: it knows masks and geometry, no
states, layers or windows. Tolerances are set by what experts drew, so that a sound study is green: a light that cries
wolf is looked at by nobody.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from glrp_napari.anatomy_checks import GRAVE, Finding, Rule, check_gaps, check_slice
from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.measure import MYOCARDIUM_G_PER_ML, Phases

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

    def look(self, mask: Mask, frames: Collection[int]) -> tuple[Finding, ...]:
        """Everything odd in the segmented `frames` of a mask (T, Z, Y, X), the worst first."""
        found: list[Finding] = []
        counts = np.zeros((*mask.shape[:2], len(Structure)), int)
        for t in sorted(frames):
            for z, plane in enumerate(mask[t]):
                anatomy, counts[t, z] = self._look_at_slice((t, z), plane)
                found += [replace(finding, frame=t, slice=z) for finding in anatomy]
            found += [replace(finding, frame=t) for finding in check_gaps(counts[t] > 0)]
        found += check_function(counts.sum(1) * self.geometry.voxel_ml, frames)
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


def check_function(volumes_ml: NDArray[np.float64], frames: Collection[int]) -> list[Finding]:
    """What is odd about the volumes (T, 3; RV, MYO, LV) of the segmented frames: mass, stroke volumes, curves."""
    phases = _find_phases(volumes_ml[:, Structure.LV - 1], frames)
    found = []
    if phases.ed is not None and phases.es is not None:
        ed, es = volumes_ml[phases.ed], volumes_ml[phases.es]
        found += [*_check_mass(ed, es, phases.es), *_check_strokes(ed, es, phases.es)]
    for structure in VENTRICLES:
        found += _check_curve(structure, volumes_ml[:, structure - 1], frames)
    return found


def sort_findings(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; of equal ones the first in time and place."""
    return tuple(sorted(found, key=lambda f: (-f.severity, f.frame or 0, f.slice or 0)))


def choose_light(found: Sequence[Finding]) -> str:
    """The light's colour, "green", "amber" or "red", for findings with the worst first."""
    worst = found[0].severity if found else 0.0
    return "red" if worst >= GRAVE else "amber" if worst > 1 else "green"


def _find_phases(lv_ml: NDArray[np.float64], frames: Collection[int]) -> Phases:
    filled = [t for t in sorted(frames) if lv_ml[t] > 0]
    if len(filled) < 2:
        return Phases(None, None)
    return Phases(max(filled, key=lambda t: lv_ml[t]), min(filled, key=lambda t: lv_ml[t]))


def _check_mass(ed: NDArray[np.float64], es: NDArray[np.float64], frame: int) -> list[Finding]:
    first, second = (float(v[Structure.MYO - 1]) * MYOCARDIUM_G_PER_ML for v in (ed, es))
    if min(first, second) == 0:
        return []
    share = abs(second - first) / ((first + second) / 2)
    text = f"the LV's mass is {first:.0f} g at ED and {second:.0f} g at ES ({share:.0%} apart)"
    return [Finding(Rule.MASS, text, share / MASS_SHARE, Structure.MYO, frame=frame)] if share > MASS_NAMED else []


def _check_strokes(ed: NDArray[np.float64], es: NDArray[np.float64], frame: int) -> list[Finding]:
    lv, rv = (float(ed[s - 1] - es[s - 1]) for s in VENTRICLES)
    if ed[Structure.RV - 1] == 0 or es[Structure.RV - 1] == 0 or max(lv, rv) <= 0:
        return []
    share = abs(lv - rv) / max(lv, rv)
    text = f"the stroke volumes are {lv:.0f} ml (LV) and {rv:.0f} ml (RV), {share:.0%} apart"
    return [Finding(Rule.STROKE, text, share / STROKE_SHARE, frame=frame)] if share > STROKE_NAMED else []


def _check_curve(structure: Structure, volumes: NDArray[np.float64], frames: Collection[int]) -> list[Finding]:
    """Frames whose volume lies off the line between those before and after, the cycle being closed."""
    count = len(volumes)
    found: list[Finding] = []
    for t in frames:
        before, after = (t - 1) % count, (t + 1) % count
        if count < 8 or before not in frames or after not in frames or volumes.max() == 0:
            continue
        share = abs(volumes[t] - (volumes[before] + volumes[after]) / 2) / float(volumes.max())
        text = f"the volume of the {structure.name} jumps: {volumes[before]:.0f}, {volumes[t]:.0f}, "
        text += f"{volumes[after]:.0f} ml in three frames"
        if share > CURVE_SHARE:
            found.append(Finding(Rule.CURVE, text, float(share) / CURVE_SHARE, structure, frame=t))
    return found
