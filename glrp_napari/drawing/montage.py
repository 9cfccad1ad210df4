"""All slices of chosen frames side by side, with the contours of their structures, cut to the heart.

Slices lie as the window shows them (`orientation`). Draws into axes; it must not know files or windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.contrast import find_contrast
from glrp_napari.drawing.palette import COLOURS, PAPER, Ink
from glrp_napari.extent import Extents, keep_inside
from glrp_napari.masks import find_box
from glrp_napari.orientation import Display, find_display

_MARGIN_MM = 20.0
_GAP_MM = 3.0
_TITLE_MM = 20.0
Region = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """Where a slice of a frame lies in the axes, in mm: from `left` and `top`, y growing downwards."""

    frame: int
    slice: int
    left: float
    top: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a place in the axes lies on it."""
        return self.left <= x < self.left + self.width and self.top <= y < self.top + self.height


@dataclass(frozen=True)
class Montage:
    """A montage that was drawn, so that a click on it can be understood."""

    tiles: tuple[Tile, ...]

    def find_place(self, x: float, y: float) -> tuple[int, int] | None:
        """Frame and slice at a place in the axes, or None between the tiles."""
        return next(((tile.frame, tile.slice) for tile in self.tiles if tile.holds(x, y)), None)


def draw_montage(
    axes: Axes,
    cine: Cine,
    mask: Mask,
    frames: Mapping[int, str],
    extents: Extents | None = None,
    columns: int = 6,
    ink: Ink = PAPER,
) -> Montage:
    """Draw every slice of `frames` (by frame, what each is called: "ED") with contours of `mask` (T, Z, Y, X).

    Contours in slices that do not count by `extents` are dotted. Slices and frames are counted from 1 on the figure.
    """
    display = find_display(cine.geometry)
    chosen = list(frames)
    region = _find_heart(mask[chosen], cine)
    tiles = _lay_out(chosen, cine, region, display, columns)
    for frame, title in frames.items():
        _draw_title(axes, [tile for tile in tiles if tile.frame == frame], title, ink)
        limits = find_contrast(cine.images[(frame, slice(None), *region)])
        counted = keep_inside(mask[frame], extents[frame]) if extents and frame in extents else mask[frame]
        for tile in (tile for tile in tiles if tile.frame == frame):
            _draw_image(axes, tile, _cut(cine.images[frame, tile.slice], region, display), limits)
            for labels, line in ((mask[frame], ":"), (counted, "-")):
                _draw_contours(axes, tile, _cut(labels[tile.slice], region, display), line)
    axes.set_xlim(0, max(tile.left + tile.width for tile in tiles))
    axes.set_ylim(max(tile.top + tile.height for tile in tiles), 0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return Montage(tuple(tiles))


def _find_heart(labels: Mask, cine: Cine) -> Region:
    """The part of the slices that holds all labels (F, Z, Y, X) and a margin; all of them where there is none."""
    heart = np.asarray(labels.any(axis=(0, 1)))
    if not heart.any():
        return slice(None), slice(None)
    return find_box(heart, [round(_MARGIN_MM / mm) for mm in cine.geometry.spacing_mm[1:]])


def _lay_out(frames: Sequence[int], cine: Cine, region: Region, display: Display, columns: int) -> list[Tile]:
    rows_px, columns_px = cine.images[0, 0][region].shape
    height, width = rows_px * cine.geometry.spacing_mm[1], columns_px * cine.geometry.spacing_mm[2]
    if display.swap:
        height, width = width, height
    slices = cine.images.shape[1]
    columns = min(columns, slices)
    block = _TITLE_MM + -(-slices // columns) * (height + _GAP_MM)
    return [
        Tile(
            frame=frame,
            slice=z,
            left=z % columns * (width + _GAP_MM),
            top=n * block + _TITLE_MM + z // columns * (height + _GAP_MM),
            width=width,
            height=height,
        )
        for n, frame in enumerate(frames)
        for z in range(slices)
    ]


def _cut(plane: NDArray[np.generic], region: Region, display: Display) -> NDArray[np.generic]:
    return display.turn(plane[region])


def _draw_title(axes: Axes, tiles: Sequence[Tile], title: str, ink: Ink) -> None:
    place = (0, tiles[0].top - _TITLE_MM / 3)
    axes.text(*place, f"{title} · frame {tiles[0].frame + 1}", color=ink.text, fontsize="medium")


def _draw_image(axes: Axes, tile: Tile, plane: NDArray[np.generic], limits: tuple[float, float]) -> None:
    edges = (tile.left, tile.left + tile.width, tile.top + tile.height, tile.top)
    axes.imshow(plane, cmap="gray", vmin=limits[0], vmax=limits[1], extent=edges, interpolation="bilinear")
    axes.annotate(
        str(tile.slice + 1), (tile.left, tile.top), (3, -3), textcoords="offset points",
        va="top", color="white", fontsize="x-small", path_effects=[withStroke(linewidth=1.5, foreground="black")],
    )  # fmt: skip


def _draw_contours(axes: Axes, tile: Tile, labels: NDArray[np.generic], line: str) -> None:
    """The outline of each structure; the myocardium's outer border is that of wall and cavity together."""
    lv, rv = labels == Structure.LV, labels == Structure.RV
    wall = ndimage.binary_fill_holes(lv | (labels == Structure.MYO))
    pixel = np.array([tile.height, tile.width]) / labels.shape
    for structure, region in ((Structure.RV, rv), (Structure.MYO, wall), (Structure.LV, lv)):
        for border in find_contours(np.pad(region, 1).astype(float), 0.5):
            y, x = ((border - 0.5) * pixel + (tile.top, tile.left)).T
            axes.plot(x, y, line, color=COLOURS[structure], linewidth=0.9)
