"""Sunnybrook Cardiac Data: a study's readers' contours as masks, and a model held against them.

Source: Radau et al., Evaluation Framework for Algorithms Segmenting Short Axis Cardiac MRI, The MIDAS Journal, 2009. A
study is a folder with `dicom/N.dcm` and `contours/i-contours/IM-0001-N-icontour-manual.txt` (endocardium of the LV) and
`o-contours` (epicardium, of end diastole alone): lines "x y" in pixels. Nobody drew the RV.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.messages import Notice
from glrp_napari.segment import FrameResult, Segmenter, segment
from glrp_training.evaluate import list_labelled

Bits = NDArray[np.bool_]


def read_contours(study: Path, shape: tuple[int, ...], kind: Literal["i", "o"]) -> Bits:
    """What lies within the endocardium ("i") or the epicardium ("o"), (T, Z, Y, X), on the grid of `study`/dicom.

    A file's place in time is its trigger time's among those of its slice.
    """
    headers = {int(file.stem): pydicom.dcmread(file, stop_before_pixels=True) for file in study.glob("dicom/*.dcm")}
    row, column = np.reshape(next(iter(headers.values())).ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(row, column)
    heights = {n: round(float(np.asarray(h.ImagePositionPatient, float) @ normal), 2) for n, h in headers.items()}
    levels = sorted(set(heights.values()))
    inside = np.zeros(shape, bool)
    for file in study.glob(f"contours/{kind}-contours/*.txt"):
        number = int(file.name.split("-")[2])
        beside = sorted((float(headers[n].TriggerTime), n) for n in headers if heights[n] == heights[number])
        place = [n for _, n in beside].index(number), levels.index(heights[number])
        inside[place] = polygon2mask(shape[2:], np.loadtxt(file)[:, ::-1])
    return inside


def draw_as_readers(answers: Mask, cavity: Bits, outline: Bits) -> Mask:
    """A model's answers (T, Z, Y, X) with the LV corrected to the contours, slices without an inner one left empty.

    The RV stays the model's, and so does the outer border of the wall where readers drew none.
    """
    left, drawn = np.isin(answers, (Structure.LV, Structure.MYO)), outline.any((2, 3), keepdims=True)
    result = np.where(left & drawn & ~outline, 0, answers)
    result[(result == Structure.LV) | outline] = Structure.MYO
    result[cavity] = Structure.LV
    return np.where(cavity.any((2, 3), keepdims=True), result, 0).astype(np.uint8)


def measure_lv(model: Segmenter, cine: Cine, cavity: Bits) -> Generator[Notice, None, float]:
    """Dice of the LV's cavity over all slices in which readers drew it."""
    overlap = total = 0
    for event in segment(cine.images, cine.geometry, model, list_labelled(cavity.astype(np.uint8))):
        if isinstance(event, FrameResult):
            truth = cavity[event.frame]
            lv = (event.mask == Structure.LV) & truth.any((1, 2), keepdims=True)
            overlap, total = overlap + int((lv & truth).sum()), total + int(lv.sum()) + int(truth.sum())
        elif isinstance(event, Notice):
            yield event
    return 2 * overlap / total
