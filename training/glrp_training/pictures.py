"""Pictures of slices before and now, best effort: where one cannot be written, the training goes on without it.

Knows neither networks nor labels.
"""

import io
from collections.abc import Generator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Mask
from glrp_napari.masks import find_box
from glrp_napari.messages import Notice
from glrp_napari.writing.atomic import write_atomically

MARGIN = 24


class Pictures:
    """A folder for pictures, or none; of the first that cannot be written there is a word."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._is_told = False

    @property
    def are_wanted(self) -> bool:
        """Whether there is a folder."""
        return self._folder is not None

    def save(
        self,
        name: str,
        image: NDArray[np.float32],
        label: Mask,
        before: Mask,
        after: Mask,
        pixel_mm: tuple[float, float],
    ) -> Generator[Notice, None, Path | None]:
        """A slice (Y, X) as .npz: `image` (grey levels), `label`, `before` and `after`; returns its path, None where it
        could not be written or is not wanted.
        """
        if self._folder is None:
            return None
        low, high = np.percentile(image, (1, 99))
        grey = (np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
        packed = io.BytesIO()
        np.savez(packed, image=grey, label=label, before=before, after=after, pixel_mm=np.asarray(pixel_mm))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path := self._folder / name, packed.getvalue())
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                yield Notice(text=f"Pictures of slices before and now cannot be saved ({error.strerror}); it goes on.")
            return None
        return path


def frame_heart(*masks: Mask) -> tuple[slice, slice]:
    """The part of a slice (Y, X) about all that any mask has; all of it where none has anything."""
    heart = np.any([mask > 0 for mask in masks], axis=0)
    if not heart.any():
        return slice(None), slice(None)
    rows, columns = find_box(heart, (MARGIN, MARGIN))
    return rows, columns
