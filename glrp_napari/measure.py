"""What a cardiologist reads from a mask: volumes, end-diastole and end-systole, ejection fraction, mass.

Definitions follow the SCMR's recommendations (Schulz-Menger et al., J Cardiovasc Magn Reson 22:19, 2020): volumes by
summation of discs, papillary muscles as the mask has them (here with the cavity), mass at end-diastole. Pure: it knows
masks and geometry, no images, files or windows. Frames count from 0; what is not defined is None, never NaN.

The reader may overrule the two frames (`Phases`) and say which slices count in a frame (`extent.Extent`).
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.extent import Extents, keep_inside

MYOCARDIUM_G_PER_ML = 1.05
Volumes = NDArray[np.float64]
"""Volumes in ml by frame, (T,)."""


class Phases(NamedTuple):
    """Frames of end-diastole and end-systole; None where fewer than two frames hold an LV.

    As the reader's choice, None means: as found.
    """

    ed: int | None
    es: int | None


UNCHOSEN = Phases(None, None)
UNDEFINED = "ED and ES are not defined: fewer than two segmented frames hold an LV"


class Ventricle(BaseModel):
    """One ventricle's volumes in ml, ejection fraction in % and output in l/min (None without the heart rate).

    `…i_…` and `index_l_min_m2` are the same by body surface area (None without it).
    """

    model_config = ConfigDict(frozen=True)

    edv_ml: float | None = None
    esv_ml: float | None = None
    sv_ml: float | None = None
    ef_percent: float | None = None
    output_l_min: float | None = None
    edvi_ml_m2: float | None = None
    esvi_ml_m2: float | None = None
    svi_ml_m2: float | None = None
    index_l_min_m2: float | None = None


class Function(BaseModel):
    """The heart's function. `volumes_ml` holds a value per structure and frame, None in frames not segmented.

    The LV's mass is the myocardium's at end-diastole, papillary muscles not among it (they are in the cavity).
    """

    model_config = ConfigDict(frozen=True)

    ed: int | None
    es: int | None
    lv: Ventricle
    rv: Ventricle
    lv_mass_g: float | None
    heart_rate_bpm: float | None
    volumes_ml: dict[str, tuple[float | None, ...]]
    bsa_m2: float | None = None
    lv_mass_g_m2: float | None = None

    def __str__(self) -> str:
        """One line; frames count from 1: `LV EDV 142 ml, ESV 61 ml, EF 57 %, mass 104 g · ED frame 1, ES frame 11`."""
        if self.ed is None or self.es is None:
            return UNDEFINED
        return " · ".join([*self.describe_volumes(), f"ED frame {self.ed + 1}, ES frame {self.es + 1}"])

    def describe_volumes(self) -> list[str]:
        """What each ventricle that is drawn at ED and ES comes to: `LV EDV 142 ml, ESV 61 ml, EF 57 %, mass 104 g`."""
        mass = "" if self.lv_mass_g is None else f", mass {self.lv_mass_g:.0f} g"
        return [
            f"{name} EDV {v.edv_ml:.0f} ml, ESV {v.esv_ml:.0f} ml, EF {v.ef_percent:.0f} %{extra}"
            for name, v, extra in (("LV", self.lv, mass), ("RV", self.rv, ""))
            if v.edv_ml is not None and v.esv_ml is not None and v.ef_percent is not None
        ]


def measure_volumes(mask: Mask, geometry: Geometry, extents: Extents | None = None) -> dict[Structure, Volumes]:
    """Volume in ml of every structure in every frame (T,) of a mask (T, Z, Y, X).

    In the frames that `extents` names only the slices inside count. Raises ValueError for another shape, and for a
    frame or slice that the mask does not have.
    """
    if mask.ndim != 4:
        raise ValueError(f"a mask to measure is (T, Z, Y, X): found shape {mask.shape}")
    counted = _cut(mask, extents) if extents else mask
    return {s: np.count_nonzero(counted == s, axis=(1, 2, 3)) * geometry.voxel_ml for s in Structure}


def find_phases(
    mask: Mask, geometry: Geometry, frames: Collection[int] | None = None, chosen: Phases = UNCHOSEN
) -> Phases:
    """The frames where the LV is largest and smallest, among `frames` (None: all) that hold any LV.

    What is `chosen` stands, whatever the volumes. Raises ValueError where a chosen frame is not among `frames`.
    """
    return _find_phases(measure_volumes(mask, geometry)[Structure.LV], frames, chosen)


def measure_function(
    mask: Mask,
    geometry: Geometry,
    frames: Collection[int] | None = None,
    rr_ms: float | None = None,
    *,
    chosen: Phases = UNCHOSEN,
    extents: Extents | None = None,
    bsa_m2: float | None = None,
) -> Function:
    """Everything from a mask (T, Z, Y, X) of which `frames` are segmented (None: all).

    Both ventricles are measured at the LV's end-diastole and end-systole, found from all slices (so that moving a base
    does not move a phase) unless `chosen`. `rr_ms` is the length of the heart cycle, `bsa_m2` the body surface area
    (`norms.measure_bsa`). Raises ValueError as `measure_volumes` and `find_phases` do.
    """
    phases = find_phases(mask, geometry, frames, chosen)
    volumes = measure_volumes(mask, geometry, extents)
    segmented = range(len(mask)) if frames is None else frames
    heart_rate = 60000.0 / rr_ms if rr_ms else None
    myocardium = None if phases.ed is None else float(volumes[Structure.MYO][phases.ed])
    mass = myocardium * MYOCARDIUM_G_PER_ML if myocardium else None
    return Function(
        ed=phases.ed,
        es=phases.es,
        lv=measure_ventricle(volumes[Structure.LV], phases, heart_rate, bsa_m2),
        rv=measure_ventricle(volumes[Structure.RV], phases, heart_rate, bsa_m2),
        lv_mass_g=_round(mass),
        lv_mass_g_m2=_divide(mass, bsa_m2),
        heart_rate_bpm=_round(heart_rate, 1),
        bsa_m2=_round(bsa_m2, 3),
        volumes_ml={
            s.name: tuple(_round(float(v)) if t in segmented else None for t, v in enumerate(volumes[s]))
            for s in Structure
        },
    )


def _cut(mask: Mask, extents: Extents) -> Mask:
    result = mask.copy()
    for frame, extent in extents.items():
        if not 0 <= frame < len(mask):
            raise ValueError(f"an extent is given for frame {frame}: expected 0 to {len(mask) - 1}")
        result[frame] = keep_inside(mask[frame], extent)
    return result


def _find_phases(lv_ml: Volumes, frames: Collection[int] | None, chosen: Phases) -> Phases:
    segmented = set(range(len(lv_ml)) if frames is None else frames)
    for name, frame in chosen._asdict().items():
        if frame is not None and frame not in segmented:
            raise ValueError(f"{name.upper()} is chosen as frame {frame}: expected one of {sorted(segmented)}")
    found = [t for t in sorted(segmented) if lv_ml[t] > 0]
    if len(found) < 2:
        return chosen if None not in chosen else UNCHOSEN
    ed, es = max(found, key=lambda t: lv_ml[t]), min(found, key=lambda t: lv_ml[t])
    return Phases(ed if chosen.ed is None else chosen.ed, es if chosen.es is None else chosen.es)


def measure_ventricle(
    volumes_ml: Volumes, phases: Phases, heart_rate: float | None, bsa: float | None = None
) -> Ventricle:
    """What the volumes (T,) of one ventricle at ED and ES come to.

    Nothing where a phase is unknown or the ventricle is not drawn at ED; the EDV alone where it is not drawn at ES, for
    no ventricle empties itself.
    """
    if phases.ed is None or phases.es is None or volumes_ml[phases.ed] == 0:
        return Ventricle()
    edv, esv = float(volumes_ml[phases.ed]), float(volumes_ml[phases.es])
    if esv == 0:
        return Ventricle(edv_ml=_round(edv), edvi_ml_m2=_divide(edv, bsa))
    output = None if heart_rate is None else (edv - esv) * heart_rate / 1000
    return Ventricle(
        edv_ml=_round(edv),
        esv_ml=_round(esv),
        sv_ml=_round(edv - esv),
        ef_percent=_round(100 * (edv - esv) / edv),
        output_l_min=_round(output),
        edvi_ml_m2=_divide(edv, bsa),
        esvi_ml_m2=_divide(esv, bsa),
        svi_ml_m2=_divide(edv - esv, bsa),
        index_l_min_m2=_divide(output, bsa),
    )


def _round(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)


def _divide(value: float | None, bsa_m2: float | None) -> float | None:
    return None if value is None or bsa_m2 is None else round(value / bsa_m2, 2)
