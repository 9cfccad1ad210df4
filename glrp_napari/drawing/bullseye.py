"""The AHA's bullseye: a value for each of the 16 segments, base outside, anterior up, septum on the left.

After Cerqueira et al., Circulation 105:539, 2002; segment 17 (the cap) is drawn and never has a value on a short axis.
Draws plain values into axes; it must not know masks, files or windows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, radians, sin

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_rgba
from matplotlib.patches import Wedge

from glrp_napari.drawing.palette import PAPER, Ink
from glrp_napari.segments import SEGMENTS

Rgba = tuple[float, float, float, float]

_RINGS = ((1.0, 0.74), (0.74, 0.48), (0.48, 0.22))
"""Outer and inner radius of base, middle and apex; within is the cap."""
_SIXTHS = (90, 150, 210, 270, 330, 30)
_QUARTERS = (90, 180, 270, 0)
"""Where the middle of each segment of a ring lies, in degrees from the right, counter-clockwise."""
_WALLS = ((0, 1.12, "anterior"), (-1.12, 0, "septum"), (0, -1.12, "inferior"), (1.12, 0, "lateral"))
_DARK = 0.55
"""Below this lightness of the ground, the number on it is white."""
_WIDE = 50
"""Over a scale as wide as this a decimal says nothing."""


@dataclass(frozen=True)
class Scale:
    """What a bullseye shows, the values at the ends of its colours, and Matplotlib's name for these."""

    title: str
    low: float
    high: float
    colours: str


THICKNESS = Scale("Wall thickness at end diastole, mm", 0.0, 16.0, "viridis")
THICKENING = Scale("Wall thickening, %", 0.0, 100.0, "magma")


def draw_bullseye(axes: Axes, values: Mapping[int, float | None], scale: Scale, ink: Ink = PAPER) -> None:
    """Draw the value of each segment by its AHA number; those without one are left grey with a dash."""
    low, high = scale.low, scale.high
    paint = matplotlib.colormaps[scale.colours]
    for number in SEGMENTS:
        value = values.get(number)
        fill = to_rgba(ink.quiet, 0.25) if value is None else _look_up(paint, (value - low) / (high - low))
        text = "–" if value is None else f"{value:.{0 if high - low >= _WIDE else 1}f}"
        _draw_segment(axes, number, text, fill, ink)
    axes.add_patch(Wedge((0, 0), _RINGS[-1][1], 0, 360, facecolor=ink.ground, edgecolor=ink.quiet, linewidth=0.8))
    for x, y, text in _WALLS:
        turn = 90 if y == 0 else 0
        axes.text(x, y, text, rotation=turn, ha="center", va="center", color=ink.quiet, fontsize="x-small")
    axes.set_title(scale.title, color=ink.text, fontsize="medium", pad=4)
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
    axes.set_axis_off()


def _draw_segment(axes: Axes, number: int, text: str, fill: Rgba, ink: Ink) -> None:
    wedge = _make_wedge(number)
    wedge.set(facecolor=fill, edgecolor=ink.ground, linewidth=1.2)
    axes.add_patch(wedge)
    written = ink.quiet if text == "–" else "white" if _measure_lightness(fill) < _DARK else "black"
    x, y = _find_middle(number)
    axes.text(x, y, text, ha="center", va="center", fontsize="small", color=written)


def _look_up(colours: Colormap, part: float) -> Rgba:
    red, green, blue, alpha = np.asarray(colours(part)).tolist()
    return red, green, blue, alpha


def _measure_lightness(fill: Rgba) -> float:
    red, green, blue, _alpha = fill
    return 0.3 * red + 0.59 * green + 0.11 * blue


def _make_wedge(number: int) -> Wedge:
    outer, inner, angle, half = _place(number)
    return Wedge((0, 0), outer, angle - half, angle + half, width=outer - inner)


def _find_middle(number: int) -> tuple[float, float]:
    outer, inner, angle, _half = _place(number)
    radius = (outer + inner) / 2
    return radius * cos(radians(angle)), radius * sin(radians(angle))


def _place(number: int) -> tuple[float, float, float, float]:
    """Outer and inner radius, direction of the middle and half the width in degrees of a segment."""
    ring = min((number - 1) // 6, 2)
    outer, inner = _RINGS[ring]
    angle = _QUARTERS[number - 13] if ring == 2 else _SIXTHS[(number - 1) % 6]
    return outer, inner, angle, 45 if ring == 2 else 30
