"""What is anatomically odd about labels: open rings, holes, islands, gaps between slices. One place for these rules.

Pure geometry of one slice or one frame; it knows no images, states, files or windows, and corrects nothing. Those who
check training labels and those who watch over a study while it is corrected read the same findings.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from glrp_napari.cine import Mask, Structure

Plane = NDArray[np.bool_]
Pixel = tuple[float, float]
"""Pixel size (y, x) in mm."""

NAMES = {Structure.RV: "the RV", Structure.MYO: "the myocardium", Structure.LV: "the LV"}


class Rule(StrEnum):
    """What a finding is about."""

    RING = "open ring"
    OUTSIDE = "LV outside"
    ISLAND = "island"
    HOLE = "hole"
    GAP = "gap between slices"
    MASS = "mass"
    STROKE = "stroke volumes"
    CURVE = "volume curve"


@dataclass(frozen=True)
class Finding:
    """Something odd. `severity` is its size over what the rule tolerates: above 1 it is broken, from `GRAVE` on badly.

    Up to 1 it is worth naming and no alarm (only differences between frames are named so).
    `text` is a sentence without the place; `frame` and `slice` count from 0 and are None where the finding belongs to
    no single one.
    """

    rule: Rule
    text: str
    severity: float
    structure: Structure | None = None
    slice: int | None = None
    frame: int | None = None


OPEN_SHARE = 0.05
"""Share of the cavity's outline without myocardium that is still a ring."""
OUTSIDE_MM2 = ISLAND_MM2 = HOLE_MM2 = 5.0
"""Areas that may be the pixels' doing. Of the 1,902 slices that experts drew for ACDC one has a ring more open than
this and an island larger than this, none a hole, an LV outside or a gap between slices."""
GRAVE = 2.0
CORNERS = np.ones((3, 3), bool)


def check_slice(labels: Mask, pixel_mm: Pixel) -> tuple[Finding, ...]:
    """Everything odd in one slice (Y, X): ring, LV outside of its wall, islands and holes.

    Raises ValueError for an array that is not a slice.
    """
    if labels.ndim != 2:
        raise ValueError(f"a slice to check is (Y, X): found shape {labels.shape}")
    heart = _crop(labels)
    if heart is None:
        return ()
    area = pixel_mm[0] * pixel_mm[1]
    return (*_check_ring(heart, area), *_check_pieces(heart, area), *_check_holes(heart, area))


def check_gaps(present: NDArray[np.bool_]) -> tuple[Finding, ...]:
    """Structures missing in a slice though slices on both sides have them; `present` is (Z, 3), RV, MYO, LV."""
    found = []
    for structure, column in zip(Structure, present.T, strict=True):
        filled = np.flatnonzero(column)
        for z in range(filled[0], filled[-1]) if len(filled) else ():
            if not column[z]:
                text = f"{NAMES[structure]} is missing, though slices on both sides have it"
                found.append(Finding(Rule.GAP, text, GRAVE, structure, slice=z))
    return tuple(found)


def measure_open_share(cavity: Plane, wall: Plane) -> float:
    """Part of the cavity's outer border (Y, X) that is not wall; 1 without a cavity."""
    border = ndimage.binary_dilation(cavity) & ~cavity
    return float(1 - wall[border].mean()) if border.any() else 1.0


def keep_largest(region: Plane) -> Plane:
    """The largest piece of a region (Y, X), pieces touching at corners counting as one; nothing of nothing."""
    pieces, count = ndimage.label(region, CORNERS)
    return region if count < 2 else np.asarray(pieces == 1 + np.bincount(pieces.ravel())[1:].argmax())


def _crop(labels: Mask) -> Mask | None:
    """The labelled part with a margin of one, so that what is odd at an image's edge is so as anywhere."""
    rows, columns = np.flatnonzero(labels.any(1)), np.flatnonzero(labels.any(0))
    if len(rows) == 0:
        return None
    return np.pad(labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)


def _check_ring(labels: Mask, area: float) -> list[Finding]:
    cavity, wall = labels == Structure.LV, labels == Structure.MYO
    if not (cavity & ~ndimage.binary_fill_holes(wall)).any():
        return []
    found = []
    share = measure_open_share(keep_largest(cavity), wall)
    if share > OPEN_SHARE:
        text = f"the ring of myocardium is open over {share:.0%} of the cavity's outline"
        found.append(Finding(Rule.RING, text, share / OPEN_SHARE, Structure.MYO))
    outside = int(np.count_nonzero(cavity & ~convex_hull_image(wall))) * area if wall.any() else 0.0
    if outside > OUTSIDE_MM2:
        text = f"{outside:.0f} mm² of the LV lie outside of the myocardium"
        found.append(Finding(Rule.OUTSIDE, text, outside / OUTSIDE_MM2, Structure.LV))
    return found


def _check_pieces(labels: Mask, area: float) -> list[Finding]:
    found = []
    for structure in Structure:
        pieces, count = ndimage.label(labels == structure, CORNERS)
        sizes = np.bincount(pieces.ravel())[1:] * area
        loose = float(sizes.sum() - sizes.max()) if count > 1 else 0.0
        if loose > ISLAND_MM2:
            text = f"{NAMES[structure]} is in {count} pieces; {loose:.0f} mm² lie apart"
            found.append(Finding(Rule.ISLAND, text, loose / ISLAND_MM2, structure))
    return found


def _check_holes(labels: Mask, area: float) -> list[Finding]:
    """Holes in a structure: background that the RV, or the LV with its wall, encloses."""
    found = []
    for structure, region in ((Structure.RV, labels == Structure.RV), (Structure.LV, labels >= Structure.MYO)):
        inside = ndimage.binary_fill_holes(region) & ~region
        hole = int(np.count_nonzero(inside)) * area
        if hole > HOLE_MM2:
            text = f"{NAMES[structure]} has a hole of {hole:.0f} mm²"
            found.append(Finding(Rule.HOLE, text, hole / HOLE_MM2, structure))
    return found
