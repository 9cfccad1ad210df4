"""Which way up a short-axis slice is shown: anterior up and the patient's right (the RV) on the left.

Pure: from a geometry to a display transform of the viewer. Data, layers and what is saved never turn.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Geometry

ANTERIOR = np.array([0.0, -1.0, 0.0])
LEFT = np.array([1.0, 0.0, 0.0])


@dataclass(frozen=True)
class Display:
    """How the two in-plane axes lie on the screen: `swap` shows x downwards and y across; then each may be flipped."""

    swap: bool = False
    flip_vertical: bool = False
    flip_horizontal: bool = False

    @property
    def order(self) -> tuple[int, int, int, int]:
        """The viewer's axis order for (T, Z, Y, X) data."""
        return (0, 1, 3, 2) if self.swap else (0, 1, 2, 3)

    @property
    def orientation(self) -> tuple[str, str]:
        """The camera's two directions, in napari's words."""
        return ("up" if self.flip_vertical else "down", "left" if self.flip_horizontal else "right")

    def turn(self, plane: NDArray[np.generic]) -> NDArray[np.generic]:
        """A slice (Y, X) as it lies on the screen, first axis downwards and second one rightwards."""
        shown = plane.T if self.swap else plane
        return shown[:: -1 if self.flip_vertical else 1, :: -1 if self.flip_horizontal else 1]


def find_display(geometry: Geometry) -> Display:
    """Of the eight ways to lay the axes on the screen, the one with anterior most upwards and left most rightwards.

    Among equals the file's own order wins. Coordinates are LPS (see `Geometry`).
    """
    displays = [Display(*flags) for flags in product((False, True), repeat=3)]
    return max(displays, key=lambda display: (round(_score(geometry, display), 6), -displays.index(display)))


def _score(geometry: Geometry, display: Display) -> float:
    down, right = _screen_directions(geometry, display)
    return float(-down @ ANTERIOR + right @ LEFT)


def _screen_directions(geometry: Geometry, display: Display) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The patient directions that point down and right on the screen."""
    y, x = (np.asarray(geometry.axes[axis]) for axis in (1, 2))
    down, right = (x, y) if display.swap else (y, x)
    return (-down if display.flip_vertical else down), (-right if display.flip_horizontal else right)
