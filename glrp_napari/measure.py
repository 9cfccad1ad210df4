"""What a cardiologist reads from a mask: volumes, end-diastole and end-systole, ejection fraction, mass.

Definitions follow the SCMR's recommendations (Schulz-Menger et al., J Cardiovasc Magn Reson 22:19, 2020): volumes by
summation of discs, papillary muscles as the mask has them (here with the cavity), mass at end-diastole. Pure: it knows
masks and geometry, no images, files or windows. Frames count from 0; what is not defined is None, never NaN.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from glrp_napari.cine import Geometry, Mask, Structure

MYOCARDIUM_G_PER_ML = 1.05


class Phases(NamedTuple):
    """Frames of end-diastole and end-systole; None where fewer than two frames hold an LV."""

    ed: int | None
    es: int | None


class Ventricle(BaseModel):
    """One ventricle's volumes in ml, ejection fraction in % and output in l/min (None without the heart rate)."""

    model_config = ConfigDict(frozen=True)

    edv_ml: float | None = None
    esv_ml: float | None = None
    sv_ml: float | None = None
    ef_percent: float | None = None
    output_l_min: float | None = None


class Function(BaseModel):
    """The heart's function. `volumes_ml` holds a value per structure and frame, None in frames not segmented."""

    model_config = ConfigDict(frozen=True)

    ed: int | None
    es: int | None
    lv: Ventricle
    rv: Ventricle
    lv_mass_g: float | None
    heart_rate_bpm: float | None
    volumes_ml: dict[str, tuple[float | None, ...]]

    def __str__(self) -> str:
        """One line; frames count from 1: `LV EDV 142 ml, ESV 61 ml, EF 57 %, mass 104 g · ED frame 1, ES frame 11`."""
        if self.ed is None or self.es is None:
            return "ED and ES are not defined: fewer than two segmented frames hold an LV"
        parts = [
            f"{name} EDV {v.edv_ml:.0f} ml, ESV {v.esv_ml:.0f} ml, EF {v.ef_percent:.0f} %"
            for name, v in (("LV", self.lv), ("RV", self.rv))
            if v.edv_ml is not None and v.esv_ml is not None and v.ef_percent is not None
        ]
        if self.lv_mass_g is not None:
            parts[0] += f", mass {self.lv_mass_g:.0f} g"
        return " · ".join([*parts, f"ED frame {self.ed + 1}, ES frame {self.es + 1}"])


def measure_volumes(mask: Mask, geometry: Geometry) -> dict[Structure, NDArray[np.float64]]:
    """Volume in ml of every structure in every frame (T,) of a mask (T, Z, Y, X)."""
    if mask.ndim != 4:
        raise ValueError(f"a mask to measure is (T, Z, Y, X): found shape {mask.shape}")
    return {s: np.count_nonzero(mask == s, axis=(1, 2, 3)) * geometry.voxel_ml for s in Structure}


def find_phases(mask: Mask, geometry: Geometry, frames: Collection[int] | None = None) -> Phases:
    """The frames where the LV is largest and smallest, among `frames` (None: all) that hold any LV."""
    return _find_phases(measure_volumes(mask, geometry)[Structure.LV], frames)


def measure_function(
    mask: Mask, geometry: Geometry, frames: Collection[int] | None = None, rr_ms: float | None = None
) -> Function:
    """Everything from a mask (T, Z, Y, X) of which `frames` are segmented (None: all).

    Both ventricles are measured at the LV's end-diastole and end-systole. `rr_ms` is the length of the heart cycle.
    """
    volumes = measure_volumes(mask, geometry)
    phases = _find_phases(volumes[Structure.LV], frames)
    segmented = range(len(mask)) if frames is None else frames
    heart_rate = 60000.0 / rr_ms if rr_ms else None
    myocardium = None if phases.ed is None else float(volumes[Structure.MYO][phases.ed])
    return Function(
        ed=phases.ed,
        es=phases.es,
        lv=_measure_ventricle(volumes[Structure.LV], phases, heart_rate),
        rv=_measure_ventricle(volumes[Structure.RV], phases, heart_rate),
        lv_mass_g=round(myocardium * MYOCARDIUM_G_PER_ML, 2) if myocardium else None,
        heart_rate_bpm=None if heart_rate is None else round(heart_rate, 1),
        volumes_ml={
            s.name: tuple(round(float(v), 2) if t in segmented else None for t, v in enumerate(volumes[s]))
            for s in Structure
        },
    )


def _find_phases(lv_ml: NDArray[np.float64], frames: Collection[int] | None) -> Phases:
    found = [t for t in sorted(range(len(lv_ml)) if frames is None else set(frames)) if lv_ml[t] > 0]
    if len(found) < 2:
        return Phases(None, None)
    return Phases(ed=max(found, key=lambda t: lv_ml[t]), es=min(found, key=lambda t: lv_ml[t]))


def _measure_ventricle(volumes_ml: NDArray[np.float64], phases: Phases, heart_rate: float | None) -> Ventricle:
    if phases.ed is None or phases.es is None or volumes_ml[phases.ed] == 0:
        return Ventricle()
    edv, esv = float(volumes_ml[phases.ed]), float(volumes_ml[phases.es])
    return Ventricle(
        edv_ml=round(edv, 2),
        esv_ml=round(esv, 2),
        sv_ml=round(edv - esv, 2),
        ef_percent=round(100 * (edv - esv) / edv, 2),
        output_l_min=None if heart_rate is None else round((edv - esv) * heart_rate / 1000, 2),
    )
