"""The display transform: anterior up, the patient's right on the left, for every way the axes can be stored."""

import itertools

import numpy as np
import pytest

from glrp_napari.cine import Geometry
from glrp_napari.orientation import Display, find_display

POSTERIOR, LEFT, SUPERIOR = np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])


def geometry(y: np.ndarray, x: np.ndarray) -> Geometry:
    axes = tuple(tuple(float(v) for v in axis) for axis in (np.cross(x, y), y, x))
    return Geometry(spacing_mm=(8, 1, 1), axes=axes)


@pytest.mark.parametrize(
    ("y", "x", "display"),
    [
        (POSTERIOR, LEFT, Display()),
        (-POSTERIOR, LEFT, Display(flip_vertical=True)),
        (POSTERIOR, -LEFT, Display(flip_horizontal=True)),
        (-POSTERIOR, -LEFT, Display(flip_vertical=True, flip_horizontal=True)),
        (LEFT, POSTERIOR, Display(swap=True)),
        (-LEFT, POSTERIOR, Display(swap=True, flip_horizontal=True)),
        (LEFT, -POSTERIOR, Display(swap=True, flip_vertical=True)),
    ],
)
def test_axial_slices(y: np.ndarray, x: np.ndarray, display: Display) -> None:
    assert find_display(geometry(y, x)) == display


@pytest.mark.parametrize("flags", itertools.product((False, True), repeat=3))
def test_an_oblique_slice_looks_the_same_however_it_is_stored(flags: tuple[bool, bool, bool]) -> None:
    normal = np.array([0.62, -0.60, -0.50]) / np.linalg.norm([0.62, -0.60, -0.50])
    down = np.cross(normal, np.array([0.0, -0.5, 1.0]))
    down /= np.linalg.norm(down)
    y, x = down, np.cross(down, normal)
    plain = find_display(geometry(y, x))
    swap, flip_y, flip_x = flags
    y, x = (-y if flip_y else y), (-x if flip_x else x)
    stored = geometry(x, y) if swap else geometry(y, x)
    found = find_display(stored)
    assert screen(stored, found) == pytest.approx(screen(geometry(down, np.cross(down, normal)), plain))


def screen(geometry: Geometry, display: Display) -> list[float]:
    y, x = (np.asarray(axis) for axis in geometry.axes[1:])
    down, right = (x, y) if display.swap else (y, x)
    return [*(-down if display.flip_vertical else down), *(-right if display.flip_horizontal else right)]
