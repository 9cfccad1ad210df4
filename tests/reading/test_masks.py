from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glrp_napari.cine import Cine
from glrp_napari.reading import ReadError, read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.masks import write_mask

from .nifti_files import SHAPE, build_nifti, encode_places, save


@pytest.fixture
def cine(tmp_path: Path) -> Cine:
    return read_cine(save(tmp_path, build_nifti(encode_places())))


LABELS = (encode_places() % 4).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_mask_of_all_frames(dtype: Any, cine: Cine, tmp_path: Path) -> None:  # noqa: ANN401
    mask = read_mask(save(tmp_path, build_nifti(LABELS.astype(dtype)), "mask.nii"), cine)
    assert np.array_equal(mask, LABELS)
    assert mask.dtype == np.uint8


def test_mask_of_one_frame(cine: Cine, tmp_path: Path) -> None:
    path = save(tmp_path, build_nifti(LABELS[1]), "mask.nii")
    mask = read_mask(path, cine, frame=2)
    assert np.array_equal(mask[2], LABELS[1])
    assert not mask[:2].any()
    still = replace(cine, images=cine.images[:1], frame_ms=None)
    assert np.array_equal(read_mask(path, still)[0], LABELS[1])
    with pytest.raises(ReadError, match="the frame it belongs to"):
        read_mask(path, cine)
    with pytest.raises(ReadError, match="frame 3 asked for, expected 0 to 2"):
        read_mask(path, cine, frame=3)


def test_other_order_is_mapped(cine: Cine, tmp_path: Path) -> None:
    """M&Ms: 1 LV, 2 MYO, 3 RV."""
    path = save(tmp_path, build_nifti(LABELS), "mask.nii")
    assert np.array_equal(read_mask(path, cine, {1: 3, 2: 2, 3: 1}), np.array([0, 3, 2, 1])[LABELS])
    with pytest.raises(ValueError, match="expected 0-3"):
        read_mask(path, cine, {1: 4})


def _replace(value: float) -> Any:  # noqa: ANN401
    return np.where(encode_places() == 1234, value, LABELS.astype(float))


REFUSED: dict[str, tuple[Any, dict[str, object], Mapping[int, int] | None, str]] = {
    "case_66_other_shape": (LABELS[:, :3], {}, None, "the grid 5 × 6 × 3 × 3 frames"),
    "case_66_other_frames": (LABELS[:2], {}, None, "5 × 6 × 4 × 2 frames"),
    "case_66_other_spacing": (LABELS, {"pixdim": [1, 1.6, 1.5, 8, 40, 1, 1, 1]}, None, "1.6 × 1.5 × 8 mm"),
    "case_67_other_origin": (LABELS, {"srow_x": (-1.5, 0, 0, 12)}, None, "from (-12.00, -20.00, 30.00)"),
    "case_67_flipped": (LABELS, {"srow_x": (1.5, 0, 0, 4)}, None, "along (-1.000 0.000 0.000)"),
    "case_68_unknown_label": (_replace(7), {}, None, "the labels [7]"),
    "case_68_not_in_the_map": (LABELS, {}, {1: 1, 2: 2}, "the labels [3]"),
    "case_69_float_labels": (_replace(1.5), {}, None, "not whole numbers"),
    "case_69_nan_label": (_replace(np.nan), {}, None, "not whole numbers"),
    "case_70_negative_label": (_replace(-1), {}, {-1: 1, 1: 1, 2: 2, 3: 3}, "the label -1"),
}


@pytest.mark.parametrize(("voxels", "fields", "labels", "found"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(
    voxels: Any, fields: dict[str, object], labels: Mapping[int, int] | None, found: str, cine: Cine, tmp_path: Path  # noqa: ANN401
) -> None:  # fmt: skip
    path = save(tmp_path, build_nifti(voxels, fields), "mask.nii")
    with pytest.raises(ReadError) as caught:
        read_mask(path, cine, labels)
    assert found in str(caught.value)


def test_both_grids_are_shown(cine: Cine, tmp_path: Path) -> None:
    path = save(tmp_path, build_nifti(LABELS[:, :3]), "mask.nii")
    with pytest.raises(ReadError) as caught:
        read_mask(path, cine)
    assert "5 × 6 × 3 × 3 frames" in caught.value.found
    assert "5 × 6 × 4 × 3 frames, 1.5 × 1.5 × 8 mm, from (-10.00, -20.00, 30.00)" in caught.value.expected


def test_case_71_empty_mask(cine: Cine, tmp_path: Path) -> None:
    path = tmp_path / "mask.nii.gz"
    write_mask(path, np.zeros(SHAPE, np.uint8), cine)
    assert not read_mask(path, cine).any()


@pytest.mark.realdata
def test_acdc_truth(data_dir: Path) -> None:
    folder = data_dir / "acdc" / "patient001"
    cine = read_cine(folder / "patient001_frame01.nii.gz")
    mask = read_mask(folder / "patient001_frame01_gt.nii.gz", cine)
    assert mask.shape == cine.images.shape
    assert set(np.unique(mask)) == {0, 1, 2, 3}
