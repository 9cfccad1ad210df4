"""The LV's wall as a figure: bullseyes of thickness and thickening, and the RV's insertion points to be dragged.

Directions are `segments.Insertions`: degrees about the cavity's middle in mm, from growing x towards growing y.
"""

from dataclasses import dataclass
from math import atan2, cos, degrees, hypot, radians, sin
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from qtpy.QtCore import Signal

from glrp_napari.assessment import Measurements
from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.drawing.bullseye import THICKENING, THICKNESS, draw_bullseye
from glrp_napari.drawing.palette import COLOURS, SCREEN
from glrp_napari.orientation import find_display
from glrp_napari.segments import Insertions

REACH_MM = 45.0
"""From the cavity's middle to the end of a line that is dragged."""
VIEW_MM = 70.0
GRAB_MM = 9.0
COLOUR = "#ffd166"
ENDS = ("anterior", "inferior")


@dataclass(eq=False)
class Handles:
    """The picture of one phase: whose frame it is, where its cavity's middle lies, and its two lines."""

    frame: int
    middle: tuple[float, float]
    swap: bool
    angles: dict[str, float]
    lines: dict[str, Line2D]

    def place(self, end: str) -> tuple[float, float]:
        """The end of a line, across and down in mm."""
        return self._turn(*(REACH_MM * f(radians(self.angles[end])) for f in (cos, sin)))

    def find(self, across: float, down: float) -> str | None:
        """The line whose end is near."""
        near = {end: hypot(across - x, down - y) for end in ENDS for x, y in (self.place(end),)}
        best = min(near, key=lambda end: near[end])
        return best if near[best] <= GRAB_MM else None

    def move(self, end: str, across: float, down: float) -> None:
        """Turn a line towards a place."""
        x, y = self._to_file(across - self.middle[0], down - self.middle[1])
        self.angles[end] = degrees(atan2(y, x))
        self.redraw()

    def redraw(self) -> None:
        """Draw both lines where they now are."""
        for end, line in self.lines.items():
            across, down = self.place(end)
            line.set_data([self.middle[0], across], [self.middle[1], down])

    def _turn(self, x: float, y: float) -> tuple[float, float]:
        across, down = (y, x) if self.swap else (x, y)
        return self.middle[0] + across, self.middle[1] + down

    def _to_file(self, across: float, down: float) -> tuple[float, float]:
        return (down, across) if self.swap else (across, down)


class WallFigure(FigureCanvasQTAgg):
    """Two pictures with handles above two bullseyes."""

    insertions_set = Signal(int, object)

    def __init__(self) -> None:
        super().__init__(Figure(layout="constrained", facecolor=SCREEN.ground))
        self.handles: dict[Axes, Handles] = {}
        self._held: tuple[Handles, str] | None = None
        self.mpl_connect("button_press_event", self._on_press)
        self.mpl_connect("motion_notify_event", self._on_motion)
        self.mpl_connect("button_release_event", self._on_release)

    def show_wall(self, cine: Cine, mask: Mask, measured: Measurements) -> None:
        """Draw the wall of a mask (T, Z, Y, X) as it was measured."""
        self.figure.clear()
        self.handles.clear()
        self._held = None
        phases = {"ED": measured.function.ed, "ES": measured.function.es}
        top, bottom = self.figure.subplots(2, 2)
        for axes, (name, frame) in zip(top, phases.items(), strict=True):
            axes.set_axis_off()
            if frame is not None and frame in measured.insertions:
                self._draw_picture(axes, cine, mask, measured, frame, name)
        thickness = {segment.number: segment.ed_mm for segment in measured.segments}
        thickening = {segment.number: segment.thickening_percent for segment in measured.segments}
        draw_bullseye(bottom[0], thickness, THICKNESS, SCREEN)
        draw_bullseye(bottom[1], thickening, THICKENING, SCREEN)
        self.draw_idle()

    def _draw_picture(self, axes: Axes, cine: Cine, mask: Mask, measured: Measurements, frame: int, name: str) -> None:
        level = find_middle_slice(mask[frame], measured.extents[frame].lv)
        labels, display = mask[frame, level], find_display(cine.geometry)
        pixel_mm = np.array(cine.geometry.spacing_mm[1:])
        down, across = np.argwhere(labels == Structure.LV).mean(0) * pixel_mm
        image = cine.images[frame, level]
        if display.swap:
            image, labels, pixel_mm, down, across = image.T, labels.T, pixel_mm[::-1], across, down
        _draw_plane(axes, image, labels, pixel_mm)
        axes.set_xlim(across - VIEW_MM, across + VIEW_MM)
        axes.set_ylim(down + VIEW_MM, down - VIEW_MM)
        if display.flip_horizontal:
            axes.invert_xaxis()
        if display.flip_vertical:
            axes.invert_yaxis()
        axes.set_title(f"{name} · frame {frame + 1}, slice {level + 1}", color=SCREEN.text, fontsize="medium")
        self.handles[axes] = self._add_handles(axes, frame, (float(across), float(down)), display.swap, measured)

    def _add_handles(
        self, axes: Axes, frame: int, middle: tuple[float, float], swap: bool, measured: Measurements
    ) -> Handles:
        found = measured.insertions[frame]
        angles = {"anterior": found.anterior_deg, "inferior": found.inferior_deg}
        styles = {"anterior": "-", "inferior": "--"}
        lines = {
            end: axes.plot([], [], styles[end], marker="o", markevery=[1], color=COLOUR, linewidth=1.2)[0]
            for end in ENDS
        }
        handles = Handles(frame, middle, swap, angles, lines)
        handles.redraw()
        return handles

    def _on_press(self, event: Any) -> None:
        handles = self.handles.get(event.inaxes)
        if handles is not None and (end := handles.find(event.xdata, event.ydata)) is not None:
            self._held = (handles, end)

    def _on_motion(self, event: Any) -> None:
        if self._held is not None and self.handles.get(event.inaxes) is self._held[0]:
            handles, end = self._held
            handles.move(end, event.xdata, event.ydata)
            self.draw_idle()

    def _on_release(self, _event: Any) -> None:
        if self._held is not None:
            handles, self._held = self._held[0], None
            anterior, inferior = (handles.angles[end] for end in ENDS)
            self.insertions_set.emit(handles.frame, Insertions(anterior_deg=anterior, inferior_deg=inferior))


def _draw_plane(axes: Axes, image: NDArray[Any], labels: Mask, pixel_mm: NDArray[np.float64]) -> None:
    """A slice and its contours, in mm; pixel (0, 0) has its middle at 0."""
    dy, dx = pixel_mm
    rows, columns = labels.shape
    edges = (-dx / 2, (columns - 0.5) * dx, (rows - 0.5) * dy, -dy / 2)
    axes.imshow(image, cmap="gray", extent=edges, interpolation="bilinear")
    for structure in Structure:
        if (labels == structure).any():
            grid = np.arange(columns) * dx, np.arange(rows) * dy
            axes.contour(*grid, labels == structure, levels=[0.5], colors=[COLOURS[structure]], linewidths=1)


def find_middle_slice(labels: Mask, slices: tuple[int, int] | None) -> int:
    """Of the slices with a cavity in one frame (Z, Y, X), inside `slices` if given, the middle one."""
    first, last = slices or (0, len(labels) - 1)
    cavity = [z for z in range(first, last + 1) if (labels[z] == Structure.LV).any()]
    return cavity[len(cavity) // 2]
