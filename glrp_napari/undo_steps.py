"""Steps of undo as they are kept on disk: what each slice that a step changed was before it.

Pure values and their packing; taking a step back is the history's (`gui.history`).
"""

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from glrp_napari.cine import Mask
from glrp_napari.decisions import Reading
from glrp_napari.slice_states import SliceState

KEPT_STEPS = 50
"""So many steps outlive the window; a run over a whole cine takes some 300 kB."""


_BASE64 = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class SliceBefore(BaseModel):
    """A slice before a step: its voxels, its state, and a model's last answer with its name; packed (see `pack`)."""

    model_config = _BASE64

    frame: int = Field(ge=0)
    slice: int = Field(ge=0)
    voxels: bytes
    state: SliceState
    predicted: bytes | None = None
    model: str = ""


class KeptStep(BaseModel):
    """The slices that a step changed, and the reader's decisions before it where it changed those."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slices: tuple[SliceBefore, ...] = ()
    reading: Reading | None = None


_STEPS = TypeAdapter(tuple[KeptStep, ...])


def encode_steps(steps: Iterable[KeptStep]) -> bytes:
    """The steps, the oldest first, as JSON."""
    return _STEPS.dump_json(tuple(steps))


def decode_steps(data: bytes, shape: tuple[int, ...]) -> tuple[KeptStep, ...]:
    """The steps of a mask (T, Z, Y, X) of this shape. Raises ValueError for anything else."""
    steps = _STEPS.validate_json(data)
    for one in (one for step in steps for one in step.slices):
        if one.frame >= shape[0] or one.slice >= shape[1]:
            raise ValueError(f"found frame {one.frame}, slice {one.slice}, expected one of {shape[:2]}")
        for packed in (one.voxels, one.predicted):
            if packed is not None:
                unpack(packed, shape[2:])
    return steps


def pack(mask: NDArray[np.uint8]) -> bytes:
    """A slice in a kilobyte or so: a whole cine's would take as much memory as its mask."""
    return zlib.compress(np.ascontiguousarray(mask).tobytes(), 1)


def unpack(packed: bytes, shape: tuple[int, ...]) -> Mask:
    """A packed slice as an array (Y, X). Raises ValueError where it is none of that shape."""
    size = int(np.prod(shape))
    try:
        data = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError(f"found a packed slice that is damaged ({error})") from None
    if len(data) != size:
        raise ValueError(f"found a packed slice of another size, expected {size} voxels")
    return np.frombuffer(data, np.uint8).reshape(shape).copy()
