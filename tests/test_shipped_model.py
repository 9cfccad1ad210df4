"""The default model as it ships: on phantoms it never saw, and on real scans."""

from pathlib import Path

import numpy as np
import pytest
from glrp_training.evaluate import Score, score_cine, summarise
from glrp_training.score import make_cases, score_cases
from glrp_training.sunnybrook import measure_lv, read_contours

from glrp_napari.device import choose_placement
from glrp_napari.models import DEFAULT_MODEL, find_model
from glrp_napari.progress import collect
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.segment import FrameResult, Segmenter, open_model, segment

PHANTOMS = 4


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    model = find_model(DEFAULT_MODEL)
    return open_model(model, choose_placement("cpu"))


@pytest.mark.parametrize("name", [DEFAULT_MODEL, "glrp-fast", "glrp-k10"])
def test_it_says_where_it_comes_from_and_under_which_licence(name: str) -> None:
    card = find_model(name).card
    assert "CC BY-NC-SA" in card.licence
    assert "10.1109/TMI.2018.2837502" in card.citation
    assert card.training


def test_it_segments_phantoms_that_training_never_saw(segmenter: Segmenter) -> None:
    events = score_cases(make_cases(PHANTOMS), segmenter, PHANTOMS)
    table = summarise([event for event in events if isinstance(event, Score)])
    print(table)
    assert table["mean"]["dice"] is not None
    assert table["mean"]["dice"] >= 0.80


def test_the_fast_model_is_nearly_as_good_on_phantoms() -> None:
    fast = open_model(find_model("glrp-fast"), choose_placement("cpu"))
    events = score_cases(make_cases(PHANTOMS), fast, PHANTOMS)
    dice = summarise([event for event in events if isinstance(event, Score)])["mean"]["dice"]
    assert dice is not None
    assert dice >= 0.80


@pytest.mark.realdata
def test_it_segments_a_whole_acdc_cine(segmenter: Segmenter, data_dir: Path) -> None:
    folder = data_dir / "acdc" / "patient090"
    cine = read_cine(folder / "patient090_4d.nii.gz")
    truth = np.zeros(cine.images.shape, np.uint8)
    for frame in (4, 11):
        truth[frame - 1] = read_mask(folder / f"patient090_frame{frame:02d}_gt.nii.gz", cine, frame=frame - 1)[
            frame - 1
        ]
    mask = np.zeros_like(truth)
    for event in segment(cine.images, cine.geometry, segmenter, frames=(3, 10)):
        if isinstance(event, FrameResult):
            mask[event.frame] = event.mask
    table = summarise(score_cine("patient090", mask, truth, cine.geometry.spacing_mm))
    assert (table["mean"]["dice"] or 0) >= 0.8


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["SCD0000101", "SCD0000201"])
def test_it_finds_the_lv_of_a_dicom_cine(segmenter: Segmenter, data_dir: Path, name: str) -> None:
    """Against the readers' endocardial contours, frame by frame where there are some."""
    cine = read_cine(data_dir / "sunnybrook" / name / "dicom")
    cavity = read_contours(data_dir / "sunnybrook" / name, cine.images.shape, "i")
    assert collect(measure_lv(segmenter, cine, cavity)) >= 0.85
