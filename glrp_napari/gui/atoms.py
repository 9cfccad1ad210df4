"""The atoms of the undo history of a mask layer: those of napari, and ours.

Ours are `((t, z), before, after)` with whole slices (Y, X), which replay by plain indexing.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]
"""A slice of a frame: (t, z)."""


def take_back(data: NDArray[np.uint8], atom: Any) -> None:
    """Undo one atom of napari's history in a mask (T, Z, Y, X)."""
    if not hasattr(atom, "slice_key"):
        where, before, _after = atom
        data[where] = before
    elif atom.mask is None:
        data[atom.slice_key] = atom.old_values
    else:
        data[atom.slice_key][atom.mask] = atom.old_values


def find_places(atom: Any) -> Iterator[Place]:
    """The slices (t, z) that one atom of napari's history changes."""
    key = atom.slice_key if hasattr(atom, "slice_key") else atom[0]
    frame, level = key[:2]
    if isinstance(frame, slice):
        yield from product(range(frame.start, frame.stop), range(level.start, level.stop))
    else:
        frames, levels = np.broadcast_arrays(np.atleast_1d(frame), np.atleast_1d(level))
        yield from {(int(t), int(z)) for t, z in zip(frames, levels, strict=True)}
