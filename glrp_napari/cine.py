"""The nouns everyone shares: a cine, its geometry, where it came from and the structures of the heart.

Every array is ordered (T, Z, Y, X). This module knows no file format, no toolkit and no network.
"""

import hashlib
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Triple = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Mask = NDArray[np.uint8]
"""Labels on a cine's native grid, (T, Z, Y, X) or (Z, Y, X); 0 is background, see `Structure`."""


class Structure(IntEnum):
    """The segmented structures; the values are the labels in every mask (the order of ACDC)."""

    RV = 1
    MYO = 2
    LV = 3


HEIGHT_CM, WEIGHT_KG = (100.0, 250.0), (25.0, 350.0)
"""What an adult's height and weight may be, limits included; anything else is taken for a mistake."""


class Body(NamedTuple):
    """Height in cm and weight in kg, None where not known; personal data."""

    height_cm: float | None = None
    weight_kg: float | None = None


class Geometry(BaseModel):
    """Where the voxels of one frame lie in the patient.

    Everything is in array order (z, y, x). `axes[i]` is the unit vector, in patient coordinates (LPS: x to the
    patient's left, y to posterior, z to superior), along which index i grows; `origin_mm` is the centre of voxel
    (0, 0, 0) in the same coordinates.
    """

    model_config = ConfigDict(frozen=True)

    spacing_mm: tuple[Positive, Positive, Positive]
    axes: tuple[Triple, Triple, Triple] = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    origin_mm: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)

    @model_validator(mode="after")
    def _check_axes(self) -> Self:
        axes = np.asarray(self.axes)
        # np.allclose, the plainer way to say it, takes a third of the time in which a library of labels opens.
        if not np.abs(axes @ axes.T - np.eye(3)).max() <= 1e-3:
            raise ValueError(f"axes are not orthonormal: found {self.axes}")
        return self

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing_mm)) / 1000.0


@dataclass(frozen=True)
class Source:
    """Where a cine came from, as far as writing results beside it needs.

    `name` is the study's name in file names (the file's name without suffix, or the folder's). `file_shape` is the
    shape as the file stores it, slowest axis first, trailing axes of length 1 included. `nifti_header` holds the raw
    header bytes up to the voxel data when the file is NIfTI, so that a mask can repeat its geometry bit for bit. `exam`
    is a hash that all series of one DICOM examination share, empty where there is none.
    """

    name: str
    path: Path | None = None
    format: str = "memory"
    file_shape: tuple[int, ...] = ()
    nifti_header: bytes = b""
    exam: str = ""


@dataclass(frozen=True, eq=False)
class Cine:
    """A short-axis cine: images (T, Z, Y, X) as stored, geometry, frame times and source.

    `frame_ms` are the times after the R wave in ms, one per frame, or None where the file does not say. `cycle_ms` is
    the length of the heart cycle where the frames cover only a part of it. `warnings` are sentences for the reader of
    the study. `body` is the patient's as the file has it, and plausible; it is for the body surface area, and goes into
    no label and no log.
    """

    images: NDArray[Any]
    geometry: Geometry
    source: Source
    frame_ms: tuple[float, ...] | None = None
    warnings: tuple[str, ...] = ()
    body: Body = field(default=Body(), repr=False)
    cycle_ms: float | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or 0 in self.images.shape:
            raise ValueError(f"a cine is (T, Z, Y, X) with no empty axis: found shape {self.images.shape}")
        if self.frame_ms is not None and len(self.frame_ms) != len(self.images):
            raise ValueError(f"found {len(self.frame_ms)} frame times for {len(self.images)} frames")

    @property
    def interval_ms(self) -> float | None:
        """The mean time from frame to frame in ms."""
        if self.frame_ms is None or len(self.frame_ms) < 2:
            return None
        return (self.frame_ms[-1] - self.frame_ms[0]) / (len(self.frame_ms) - 1)

    @property
    def rr_ms(self) -> float | None:
        """Length of the heart cycle in ms: `cycle_ms`, else the mean frame interval times the number of frames."""
        if self.cycle_ms is not None or self.interval_ms is None:
            return self.cycle_ms
        return self.interval_ms * len(self.images)


def describe(cine: Cine) -> str:
    """The study in a line, e.g. `30 frames × 10 slices, 1.41 × 1.41 × 8.0 mm, RR 920 ms`; in-plane spacing x first."""
    frames, slices = cine.images.shape[:2]
    z, y, x = cine.geometry.spacing_mm
    line = f"{count(frames, 'frame')} × {count(slices, 'slice')}, {x:.2f} × {y:.2f} × {z:.1f} mm"
    return line if cine.rr_ms is None else f"{line}, RR {cine.rr_ms:.0f} ms"


def with_heart_rate(cine: Cine, beats_per_min: float) -> Cine:
    """The cine with its frames spread evenly over a cycle at so many beats a minute."""
    frames = len(cine.images)
    return replace(cine, frame_ms=tuple(60_000 / beats_per_min * t / frames for t in range(frames)), cycle_ms=None)


def hash_study(cine: Cine) -> str:
    """SHA-256 (hex) of voxels, shape and spacing: the same voxels under another name or format have the same hash.

    Spacing counts to four digits, as formats keep it in different precision.
    """
    spacing = " ".join(f"{mm:.4g}" for mm in cine.geometry.spacing_mm)
    digest = hashlib.sha256(f"{cine.images.shape} {spacing}".encode())
    digest.update(np.ascontiguousarray(cine.images, dtype="<f4").data)
    return digest.hexdigest()


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it needs one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
