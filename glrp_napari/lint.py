"""What should be looked at in a library before a model learns from it: shapes no heart has, masks that lie beside their
heart, conventions that change from label to label.

Each slice is examined once and let go; what follows is concluded from the evidence of all. Rules of shape are those of
`anatomy_checks`; here are the ones that need the image or other labels. Only `lint_library` touches the disk. The
tolerances are from ACDC's truth, see the constants.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from glrp_napari.anatomy_checks import check_gaps, check_slice
from glrp_napari.cine import Mask, Structure
from glrp_napari.library import Label, LibraryError, Protocol, load_protocol, load_slice
from glrp_napari.reading import ReadError

Convention = Literal["", "cavity", "wall"]

REACH_MM = 10.0
"""So far around its place a mask is tried."""
FRAME_SHIFT_MM, FRAME_FIT, FRAME_SLICES = 3.5, 0.85, 3
"""A frame of at least so many slices is shifted if it fits better so far away, and here only so well as a part."""
SLICE_SHIFT_MM, SLICE_FIT = 4.5, 0.45
"""The same for a slice alone, which proves less."""
LEAST_CONTRAST = 0.7
"""Blood must be brighter than wall by this part of the labelled pixels' standard deviation; ACDC's median has 1.5."""
LEAST_MM2 = 100.0
"""An LV or wall smaller than this says nothing about its place or its papillary muscles."""
WALL_MM2, CAVITY_MM2 = 15.0, 60.0
"""Dark areas within the LV's hull that show the one convention, or the other. Papillary muscles left in the cavity
reach the second in seven of ten slices of ACDC; one in a hundred has 8 mm² of wall there. Of its 1,902 slices none
breaches the convention "cavity"; with papillary muscles moved to the wall 18 seem to breach "wall"."""
NAMED = {Structure.RV: "a right ventricle", Structure.MYO: "a myocardium", Structure.LV: "a left ventricle"}
LEAST_OF_EACH, LEAST_SHARE = 2, 0.1
"""Both conventions are in use if each shows in so many slices, and in such a part of those that show any."""


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """A label with what it shows: image and mask (Y, X), pixel size (y, x) in mm."""

    label: Label
    image: NDArray[np.float32]
    mask: Mask
    pixel_mm: tuple[float, float]


@dataclass(frozen=True)
class Unlabelled:
    """A slice that is no label: the study's hash and the place in it."""

    study: str
    frame: int
    slice: int


@dataclass(frozen=True)
class LabelFinding:
    """Something to look at: the label, or a slice that is none, the rule's name, and a sentence without the place."""

    label: Label | Unlabelled
    rule: str
    text: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one slice says.

    `findings` are its own, `present` says which structures it has (RV, MYO, LV), `papillaries` how they are drawn,
    `fit` how well the mask fits at shifts up to REACH_MM (see `measure_fit`), None where that says nothing.
    """

    label: Label
    findings: tuple[LabelFinding, ...]
    present: tuple[bool, bool, bool]
    papillaries: Convention
    fit: NDArray[np.float64] | None
    pixel_mm: tuple[float, float]


def lint_library(folder: Path, labels: Sequence[Label]) -> Generator[tuple[int, int], None, tuple[LabelFinding, ...]]:
    """Examine labels of a library; yields how many of how many are done, returns the findings."""
    evidence, unreadable, protocol = [], [], None
    try:
        protocol = load_protocol(folder)
    except LibraryError as error:
        unreadable += [LabelFinding(label, "conventions", str(error)) for label in labels[:1]]
    for number, label in enumerate(labels, 1):
        try:
            image, mask, geometry = load_slice(folder, label)
        except (LibraryError, ReadError, FileNotFoundError) as error:
            unreadable.append(LabelFinding(label, "unreadable", str(error)))
        else:
            _, y, x = geometry.spacing_mm
            evidence.append(examine_slice(LabelledSlice(label, image, mask, (y, x))))
        yield number, len(labels)
    return (*unreadable, *conclude(evidence, protocol))


def find_unaccepted(study: str, edited: Sequence[tuple[int, int]]) -> tuple[LabelFinding, ...]:
    """That slices (frame, slice) of a study (by hash) were edited but not accepted, said at the first of them."""
    if not edited:
        return ()
    are = "edited slice is" if len(edited) == 1 else "edited slices are"
    text = f"{len(edited)} {are} not accepted (K) and will not be learned from"
    return (LabelFinding(Unlabelled(study, *min(edited)), "not accepted", text),)


def examine_slice(one: LabelledSlice) -> Evidence:
    """The evidence of one slice."""
    shapes = check_slice(one.mask, one.pixel_mm)
    large = all(
        np.count_nonzero(one.mask == s) * np.prod(one.pixel_mm) >= LEAST_MM2 for s in (Structure.MYO, Structure.LV)
    )
    return Evidence(
        label=one.label,
        findings=tuple(LabelFinding(one.label, str(found.rule), found.text) for found in shapes),
        present=tuple((one.mask == s).any() for s in Structure),
        papillaries=find_convention(one) if large else "",
        fit=measure_fit(one) if large else None,
        pixel_mm=one.pixel_mm,
    )


def conclude(evidence: Sequence[Evidence], protocol: Protocol | None = None) -> tuple[LabelFinding, ...]:
    """All findings, in the order of study, frame and slice; `protocol` is the library's, where one was agreed."""
    frames = defaultdict(list)
    for one in sorted(evidence, key=lambda one: (one.label.study, one.label.frame, one.label.slice)):
        frames[one.label.study, one.label.frame].append(one)
    found = [finding for one in evidence for finding in one.findings]
    for stack in frames.values():
        found += _find_gaps(stack)
        found += find_shift(stack)
    found += _find_breaches(evidence, protocol) if protocol else _find_two_ways(evidence)
    labels = [one.label for one in evidence]
    found += _find_two_protocols(labels)
    found += _find_without_protocol(labels, protocol)
    found += _find_empty(evidence)
    found += _find_never_drawn(evidence)
    return tuple(sorted(found, key=lambda one: (one.label.study, one.label.frame, one.label.slice)))


def find_convention(one: LabelledSlice) -> Convention:
    """Whether what is dark within the LV's convex hull, so papillary muscle, is drawn as cavity or as wall.

    Dark is below the middle between the medians of cavity and wall; the hull's border, where both mix, is left out.
    """
    cavity, wall = one.mask == Structure.LV, one.mask == Structure.MYO
    limit = (np.median(one.image[cavity]) + np.median(one.image[wall])) / 2
    dark = ndimage.binary_erosion(convex_hull_image(cavity)) & (one.image < limit)
    as_wall, as_cavity = (np.count_nonzero(dark & part) * np.prod(one.pixel_mm) for part in (wall, cavity))
    if as_wall >= WALL_MM2 and as_wall > as_cavity:
        return "wall"
    return "cavity" if as_cavity >= CAVITY_MM2 and as_wall < as_cavity / 10 else ""


def measure_fit(one: LabelledSlice) -> NDArray[np.float64] | None:
    """How well the mask would fit at each shift (dy, dx) within REACH_MM, 1 at best.

    That is blood's mean brightness less the wall's: in cine MRI blood is bright beside muscle, whatever the scanner.
    None where the two do not differ anywhere in reach.
    """
    reach = [round(REACH_MM / size) for size in one.pixel_mm]
    image = np.pad(one.image, [(n, n) for n in reach], mode="edge").astype(np.float64)
    blood = (one.mask == Structure.LV) | (one.mask == Structure.RV)
    parts = [np.nonzero(part) for part in (blood, one.mask == Structure.MYO)]
    fit = np.empty((2 * reach[0] + 1, 2 * reach[1] + 1))
    for dy, dx in np.ndindex(*fit.shape):
        bright, dark = (image[y + dy, x + dx].mean() for y, x in parts)
        fit[dy, dx] = bright - dark
    best = float(fit.max())
    return fit / best if best > LEAST_CONTRAST * one.image[one.mask > 0].std() else None


def find_shift(stack: Sequence[Evidence]) -> list[LabelFinding]:
    """Masks of one frame that lie beside their heart: all together where there are enough, else each alone."""
    fits = [one.fit for one in stack if one.fit is not None]
    if len(fits) >= FRAME_SLICES and len({fit.shape for fit in fits}) == 1:
        moved = _measure_shift(np.mean(fits, axis=0), stack[0].pixel_mm)
        if moved[0] > FRAME_SHIFT_MM and moved[1] < FRAME_FIT:
            text = f"the masks of this frame seem shifted by about {moved[0]:.0f} mm against the images"
            return [LabelFinding(stack[0].label, "shifted", text)]
    found = []
    for one in stack:
        if one.fit is not None:
            distance, fit = _measure_shift(one.fit, one.pixel_mm)
            if distance > SLICE_SHIFT_MM and fit < SLICE_FIT:
                text = f"the mask seems shifted by about {distance:.0f} mm against the image"
                found.append(LabelFinding(one.label, "shifted", text))
    return found


def _measure_shift(fit: NDArray[np.float64], pixel_mm: tuple[float, float]) -> tuple[float, float]:
    """How far away in mm the mask fits best, and how well it fits where it is, as a part of that."""
    middle = np.array(fit.shape) // 2
    best = np.unravel_index(fit.argmax(), fit.shape)
    distance = float(np.linalg.norm((np.array(best) - middle) * pixel_mm))
    return distance, float(fit[tuple(middle)] / fit.max())


def _find_gaps(stack: Sequence[Evidence]) -> Iterable[LabelFinding]:
    """Structures missing between labelled slices that have them."""
    for gap in check_gaps(np.array([one.present for one in stack])):
        if gap.slice is not None:
            yield LabelFinding(stack[gap.slice].label, str(gap.rule), gap.text)


def _find_breaches(evidence: Sequence[Evidence], protocol: Protocol) -> list[LabelFinding]:
    """Labels that draw papillary muscles otherwise than was agreed."""
    text = "papillary muscles are drawn as {} here; by this library's conventions they count to the {}"
    return [
        LabelFinding(one.label, "papillary muscles", text.format(one.papillaries, protocol.papillaries))
        for one in evidence
        if one.papillaries not in ("", protocol.papillaries)
    ]


def _find_two_ways(evidence: Sequence[Evidence]) -> list[LabelFinding]:
    """The rarer way of drawing papillary muscles, where both are in use and none was agreed."""
    ways: Mapping[Convention, list[Evidence]] = {
        way: [one for one in evidence if one.papillaries == way] for way in ("cavity", "wall")
    }
    rare, common = sorted(ways, key=lambda way: len(ways[way]))
    shown = len(ways[rare]) + len(ways[common])
    if len(ways[rare]) < LEAST_OF_EACH or len(ways[rare]) < LEAST_SHARE * shown:
        return []
    text = f"papillary muscles are drawn as {rare} here, as {common} in {len(ways[common])} other labels"
    return [LabelFinding(one.label, "papillary muscles", text) for one in ways[rare]]


def _find_two_protocols(labels: Sequence[Label]) -> list[LabelFinding]:
    """Labels accepted under other conventions than the latest one."""
    agreed = [label for label in labels if label.protocol is not None]
    if not agreed:
        return []
    latest = max(agreed, key=lambda label: label.counter).protocol
    text = "accepted under other conventions than the library's latest labels"
    return [LabelFinding(label, "conventions", text) for label in agreed if label.protocol != latest]


def _find_without_protocol(labels: Sequence[Label], protocol: Protocol | None) -> Iterable[LabelFinding]:
    """Labels without conventions where others have some or the library has: one finding a study names its slices."""
    if protocol is None and all(label.protocol is None for label in labels):
        return
    studies = defaultdict(list)
    for label in sorted(labels, key=lambda label: (label.frame, label.slice)):
        if label.protocol is None:
            studies[label.study].append(label)
    for without in studies.values():
        yield LabelFinding(
            without[0],
            "conventions",
            f"accepted without conventions: {_name_slices(without)}; so the training follows none. Save the "
            "conventions once more (menu Library) and answer Yes, or accept the slices again",
        )


def _name_slices(labels: Sequence[Label]) -> str:
    """Labels of one study by frame: `slices 1 and 3 of frame 2, slice 4 of frame 9`; counted from 1."""
    frames = defaultdict(list)
    for label in labels:
        frames[label.frame].append(str(label.slice + 1))
    named = []
    for frame, levels in frames.items():
        slices = f"slices {', '.join(levels[:-1])} and {levels[-1]}" if levels[1:] else f"slice {levels[0]}"
        named.append(f"{slices} of frame {frame + 1}")
    return ", ".join(named)


def _find_empty(evidence: Sequence[Evidence]) -> list[LabelFinding]:
    """Studies in which no label shows anything: they teach that there is no heart."""
    studies = defaultdict(list)
    for one in evidence:
        studies[one.label.study].append(one)
    empty = [stack[0] for stack in studies.values() if not any(any(one.present) for one in stack)]
    return [LabelFinding(one.label, "empty", "nothing is labelled in this study's labels") for one in empty]


def _find_never_drawn(evidence: Sequence[Evidence]) -> Iterable[LabelFinding]:
    """Structures that none of a study's labels shows, as where its readers did not draw them.

    A label alone does not tell: it may lie where the heart has none. Nor do held-out slices: nothing is scored there
    that their labels lack.
    """
    studies = defaultdict(list)
    for one in evidence:
        studies[one.label.study].append(one)
    for stack in studies.values():
        drawn = [any(one.present[index] for one in stack) for index in range(len(Structure))]
        names = [NAMED[structure] for structure, is_drawn in zip(Structure, drawn, strict=True) if not is_drawn]
        for name in names if any(drawn) and len(stack) > 1 else ():
            text = f"in none of the {len(stack)} labels of this study is {name} drawn"
            yield LabelFinding(stack[0].label, "never drawn", f"{text}; the model would learn that there is none")
