import importlib.util
from pathlib import Path

import numpy as np
import pytest
from glrp_training.evaluate import score_cine, score_frame, score_pairs, summarise, tabulate

from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask

SPACING = (8.0, 1.5, 1.2)


def box(where: tuple[slice, ...], shape: tuple[int, ...] = (6, 30, 30), label: int = 3) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[where] = label
    return mask


LV = box((slice(1, 4), slice(5, 15), slice(5, 15)))


@pytest.mark.parametrize(
    ("prediction", "dice", "hd"),
    [
        (LV, 1.0, 0.0),
        (np.roll(LV, 4, 2), 0.6, 4.8),
        (np.roll(LV, 2, 1), 0.8, 3.0),
        (np.roll(LV, 1, 0), 2 / 3, 8.0),
        (np.zeros_like(LV), 0.0, None),
    ],
)
def test_moved_boxes_have_known_scores(prediction: np.ndarray, dice: float, hd: float | None) -> None:
    lv = score_frame("case", prediction, LV, SPACING)[0]
    assert lv.structure == "LV"
    assert lv.dice == pytest.approx(dice)
    assert lv.hd_mm == (hd if hd is None else pytest.approx(hd))
    assert lv.truth_ml == pytest.approx(3 * 100 * 8 * 1.5 * 1.2 / 1000)


def test_both_empty_is_skipped_and_one_empty_counts() -> None:
    scores = score_frame("a", LV, LV, SPACING) + score_frame("b", np.zeros_like(LV), LV, SPACING)
    table = summarise(scores)
    assert (table["LV"]["dice"], table["LV"]["undefined"], table["LV"]["hd_mm"]) == (0.5, 1, 0.0)
    assert table["RV"]["dice"] is None
    assert table["mean"]["dice"] == 0.5


def test_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"case: found a prediction of \(5, 30, 30\), expected"):
        score_frame("case", LV[1:], LV, SPACING)


def test_only_frames_with_truth_are_scored() -> None:
    truth = np.stack([LV, np.zeros_like(LV), LV])
    assert {score.case for score in score_cine("x", truth, truth, SPACING)} == {"x frame 0", "x frame 2"}


def test_csv_has_a_line_a_structure() -> None:
    lines = tabulate(score_frame("case", LV, LV, SPACING)).splitlines()
    assert lines[0].startswith("case,structure,dice")
    assert len(lines) == 4


@pytest.mark.realdata
def test_scores_equal_an_independent_implementation(data_dir: Path, tmp_path: Path) -> None:
    """ED of one patient against the mask of ES, which has the same grid, by score.py beside the data."""
    script = data_dir.parent / "score.py"
    if not script.exists():
        pytest.skip(f"no independent scorer at {script}")
    spec = importlib.util.spec_from_file_location("score", script)
    assert spec is not None
    assert spec.loader is not None
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    for patient, ed, es in (("patient001", 1, 12), ("patient040", 1, 13), ("patient090", 4, 11)):
        paths = [data_dir / "acdc" / patient / f"{patient}_frame{f:02d}_gt.nii.gz" for f in (ed, es)]
        truth, spacing = other.load(paths[0])
        wrong, _ = other.load(paths[1])
        cine = read_cine(paths[0])
        ours = score_frame(
            patient, read_mask(paths[1], cine)[0], read_mask(paths[0], cine)[0], cine.geometry.spacing_mm
        )
        for score, label in zip(ours, (3, 2, 1), strict=True):
            hd, hd95 = other.hausdorff(wrong == label, truth == label, spacing)
            assert score.dice == pytest.approx(other.dice(wrong == label, truth == label), abs=1e-6)
            assert (score.hd_mm, score.hd95_mm) == (pytest.approx(hd, abs=1e-6), pytest.approx(hd95, abs=1e-6))
        assert len(score_pairs(paths[1], paths[0])) == 3
