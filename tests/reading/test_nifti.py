import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import DTypeLike, NDArray

from glrp_napari.cine import describe
from glrp_napari.reading import ReadError, read_cine
from glrp_napari.writing.nifti import affine_ras

from .nifti_files import SHAPE, build_nifti, encode_places, patch, save

GOOD = build_nifti(encode_places())
DIM, DATATYPE, PIXDIM, VOX_OFFSET, SLOPE, SROW = 40, 70, 76, 108, 112, 280


def _damage_crc(data: bytes) -> bytes:
    packed = gzip.compress(data, mtime=0)
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


def _bomb() -> bytes:
    return gzip.compress(GOOD + bytes(50 * 2**20), mtime=0)


REFUSED: dict[str, tuple[bytes, str]] = {
    "case_01_empty": (b"", "an empty file"),
    "case_02_text": (b"This is a letter, not an image.\n" * 40, "text"),
    "case_03_header_cut": (GOOD[:200], "a header cut after 200 bytes"),
    "case_04_data_truncated": (GOOD[:-1], "declares"),
    "case_05_gz_truncated": (gzip.compress(GOOD)[:-100], "cut off"),
    "case_05_gz_trailer_missing": (gzip.compress(GOOD)[:-8], "cut off"),
    "case_06_gz_crc_wrong": (_damage_crc(GOOD), "damaged gzip stream"),
    "case_07_gz_bomb": (_bomb(), "more than"),
    "case_09_vox_offset_past_end": (patch(GOOD, VOX_OFFSET, "<f", 1e6), "declares"),
    "case_09_vox_offset_in_header": (patch(GOOD, VOX_OFFSET, "<f", 100), "voxels from byte 100"),
    "case_09_vox_offset_nan": (patch(GOOD, VOX_OFFSET, "<f", float("nan")), "voxels from byte nan"),
    "case_10_negative_dim": (patch(GOOD, DIM + 2, "<h", -5), "-5"),
    "case_11_rank_9": (patch(GOOD, DIM, "<h", 9), "9 dimensions"),
    "case_12_32767_cubed": (patch(GOOD, DIM, "<4h", 3, 32767, 32767, 32767), "declares 70"),
    "case_13_dims_overflow": (patch(GOOD, DIM, "<8h", 4, *[32767] * 4, 1, 1, 1), "declares 23"),
    "case_14_datatype_unknown": (patch(GOOD, DATATYPE, "<h", 77), "datatype 77"),
    "case_15_complex": (patch(GOOD, DATATYPE, "<h", 32), "complex64"),
    "case_16_rgb": (patch(GOOD, DATATYPE, "<h", 128), "RGB"),
    "case_16_vector": (patch(GOOD, DIM, "<6h", 5, 5, 6, 4, 1, 3), "several values a voxel"),
    "case_21_spacing_zero": (patch(GOOD, PIXDIM + 4, "<f", 0), "voxel size of 0 × 1.5 × 8 mm"),
    "case_23_spacing_nan": (patch(GOOD, PIXDIM + 8, "<f", float("nan")), "1.5 × nan × 8 mm"),
    "case_23_spacing_inf": (patch(GOOD, PIXDIM + 12, "<f", float("inf")), "1.5 × 1.5 × inf mm"),
    "case_28_sheared": (patch(GOOD, SROW + 4, "<f", 0.02), "from square"),
    "case_29_singular_zero_row": (patch(GOOD, SROW + 32, "<3f", 0, 0, 0), "singular"),
    "case_29_singular_parallel": (patch(patch(GOOD, SROW + 4, "<f", -1.5), SROW + 20, "<f", 0), "singular"),
    "case_29_orientation_nan": (patch(GOOD, SROW, "<f", float("nan")), "NaN"),
    "case_35_png": (b"\x89PNG\r\n\x1a\n" + bytes(600), "a PNG picture"),
    "case_35_two_dimensions": (patch(GOOD, DIM, "<h", 2), "2 dimensions"),
    "case_41_all_nan": (build_nifti(np.full(SHAPE, np.nan, np.float32)), "NaN in every voxel"),
    "case_43_infinite": (build_nifti(np.where(encode_places() == 1234, np.inf, 1.0)), "infinite"),
    "case_43_minus_infinite": (build_nifti(np.where(encode_places() == 1234, -np.inf, 1.0)), "infinite"),
    "header_without_voxels": (patch(GOOD, 344, "<4s", b"ni1\0"), "magic"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "found"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(data: bytes, found: str, tmp_path: Path) -> None:
    path = save(tmp_path, data)
    with pytest.raises(ReadError, match=re.escape(found)) as caught:
        read_cine(path)
    line = str(caught.value)
    assert line.startswith("study.nii: found ")
    assert ", expected " in line
    assert "\n" not in line
    assert path.read_bytes() == data


@pytest.mark.parametrize("scale", [1, 40])
def test_case_07_declared_size_is_refused_before_allocation(scale: int, tmp_path: Path) -> None:
    """A packed header that declares gigabytes in a small file asks for no memory."""
    header = patch(GOOD[:352], DIM, "<8h", 4, 32767, 32767, scale, 1, 1, 1, 1)
    path = save(tmp_path, gzip.compress(header + bytes(1000)), "study.nii.gz")
    with pytest.raises(ReadError, match="declares"):
        read_cine(path)


@pytest.mark.parametrize("name", ["study.nii", "study.nii.gz", "study", "study.img"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_contents_count_not_the_suffix(name: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    cine = read_cine(save(tmp_path, pack(GOOD), name))
    assert np.array_equal(cine.images, encode_places())
    assert cine.images.dtype == np.int16
    assert cine.source.file_shape == SHAPE
    assert cine.source.nifti_header == GOOD[:352]


def test_case_08_plain_file_named_gz(tmp_path: Path) -> None:
    cine = read_cine(save(tmp_path, GOOD, "study.nii.gz"))
    assert any("not compressed" in warning for warning in cine.warnings)
    assert cine.source.name == "study"


def test_plain_file_has_no_warnings(tmp_path: Path) -> None:
    cine = read_cine(save(tmp_path, GOOD))
    assert cine.warnings == ()
    assert describe(cine) == "3 frames × 4 slices, 1.50 × 1.50 × 8.0 mm, RR 120 ms"
    assert cine.frame_ms == (0.0, 40.0, 80.0)
    assert cine.geometry.axes == ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    assert cine.geometry.origin_mm == (-10.0, -20.0, 30.0)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_case_17_18_types_and_endianness(dtype: str, endian: str, tmp_path: Path) -> None:
    voxels = encode_places((1, 2, 6, 5), dtype)
    cine = read_cine(save(tmp_path, build_nifti(voxels, endian=endian)))
    assert np.array_equal(cine.images, voxels)
    assert cine.images.dtype == (np.dtype("f4") if dtype == "f8" else np.dtype(dtype))


SCALES = {
    "case_19_slope_nan": ((float("nan"), 0.0), (1, 0), "scaling", np.int16),
    "case_20_slope_zero": ((0.0, 7.0), (1, 0), None, np.int16),
    "identity": ((1.0, 0.0), (1, 0), None, np.int16),
    "scaled": ((0.5, -3.0), (0.5, -3), None, np.float32),
}


@pytest.mark.parametrize(("stored", "used", "warning", "dtype"), SCALES.values(), ids=SCALES.keys())
def test_scaling(
    stored: tuple[float, float], used: tuple[float, float], warning: str | None, dtype: DTypeLike, tmp_path: Path
) -> None:
    cine = read_cine(save(tmp_path, patch(GOOD, SLOPE, "<2f", *stored)))
    assert np.array_equal(cine.images, encode_places() * used[0] + used[1])
    assert cine.images.dtype == dtype
    assert [warning in line for line in cine.warnings] == ([True] if warning else [])


MS, S, US, NONE = 2 | 16, 2 | 8, 2 | 24, 0
TIMES = {
    "case_21_zero": (MS, 0.0, None, True),
    "case_21_one_without_unit": (NONE, 1.0, None, True),
    "one_second": (S, 1.0, None, True),
    "nan": (MS, float("nan"), None, True),
    "negative": (MS, -3.0, None, True),
    "case_25_ms": (MS, 40.0, 40.0, False),
    "case_25_us": (US, 40000.0, 40.0, False),
    "case_25_s": (S, 0.04, 40.0, False),
    "without_unit_seconds": (NONE, 0.03, 30.0, True),
    "without_unit_ms": (NONE, 30.0, 30.0, True),
}


@pytest.mark.parametrize(("units", "stored", "interval", "warns"), TIMES.values(), ids=TIMES.keys())
def test_frame_times(units: int, stored: float, interval: float | None, warns: bool, tmp_path: Path) -> None:
    data = patch(build_nifti(encode_places(), {"xyzt_units": units}), PIXDIM + 16, "<f", stored)
    cine = read_cine(save(tmp_path, data))
    assert bool(cine.warnings) == warns
    if interval is None:
        assert cine.frame_ms is None
    else:
        assert cine.frame_ms == pytest.approx((0.0, interval, 2 * interval), rel=1e-6)


@pytest.mark.parametrize(("unit", "scale"), [(1, 1e-3), (2, 1.0), (3, 1e3), (0, 1.0)])
def test_case_25_length_units(unit: int, scale: float, tmp_path: Path) -> None:
    data = build_nifti(encode_places(), {"xyzt_units": unit | 16})
    pixdim = np.array([1.5, 1.5, 8]) * scale
    rows = np.array([[-1.5, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 8, 30]]) * scale
    data = patch(patch(data, PIXDIM + 4, "<3f", *pixdim), SROW, "<12f", *rows.ravel())
    cine = read_cine(save(tmp_path, data))
    assert cine.geometry.spacing_mm == pytest.approx((8, 1.5, 1.5), rel=1e-6)
    assert cine.geometry.origin_mm == pytest.approx((-10, -20, 30), rel=1e-6)
    assert cine.warnings == ()


PLACES = {
    "case_22_negative_spacing": ({}, (PIXDIM + 4, "<f", -1.5), "negative"),
    "case_24_1000_mm": ({}, (PIXDIM + 4, "<3f", 1000, 1000, 1000), "unusual"),
    "case_26_unit_affine": ({}, (SROW, "<12f", -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0), "pixdim was used"),
    "case_26_sform_not_qform": ({"qform_code": 1}, (SROW, "<f", -1.5), "the sform was used"),
    "case_27_no_orientation": ({"sform_code": 0}, (SROW, "<f", -1.5), "left and right"),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "change", "warning"), PLACES.values(), ids=PLACES.keys())
def test_doubtful_places_are_read_with_a_warning(
    fields: dict[str, object], change: tuple[Any, ...], warning: str, tmp_path: Path
) -> None:
    cine = read_cine(save(tmp_path, patch(build_nifti(encode_places(), fields), *change)))
    assert any(warning in line for line in cine.warnings)
    assert min(cine.geometry.spacing_mm) >= 1.5
    assert cine.geometry.axes == ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def test_case_28_off_orthonormal_by_rounding_loads(tmp_path: Path) -> None:
    """SimpleITK refuses such a file; public cardiac sets are full of them."""
    path = save(tmp_path, patch(GOOD, SROW + 4, "<f", 3e-3))
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))
    cine = read_cine(path)
    axes = np.array(cine.geometry.axes)
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert any("from square" in line for line in cine.warnings)
    assert np.array_equal(cine.images, encode_places())


@pytest.mark.parametrize("tail", [(), (1,), (1, 1)])
@pytest.mark.parametrize("frames", [1, 3])
def test_case_31_32_33_short_axes_are_kept(frames: int, tail: tuple[int, ...], tmp_path: Path) -> None:
    voxels = encode_places((frames, 1, 6, 5))
    dims = (4 + len(tail), 5, 6, 1, frames, *tail)
    data = patch(build_nifti(voxels), DIM, f"<{len(dims)}h", *dims)
    cine = read_cine(save(tmp_path, data))
    assert np.array_equal(cine.images, voxels)
    assert cine.source.file_shape == dims[:0:-1]


def test_case_34_time_stored_first_is_doubted(tmp_path: Path) -> None:
    cine = read_cine(save(tmp_path, build_nifti(np.zeros((2, 130, 128, 30), np.int16))))
    assert any("stored first" in line for line in cine.warnings)


CONTENTS = {
    "case_40_constant": (np.full(SHAPE, 5, np.int16), "nothing to see"),
    "case_42_few_nan": (np.where(encode_places() == 1234, np.nan, encode_places() + 1.0), "1 voxels were NaN"),
    "case_45_wrapped": (np.where(encode_places() % 2, -20000, 32001).astype(np.int16), "wrapped"),
    "case_46_black_frame": (encode_places() * (np.arange(3) != 1)[:, None, None, None].astype(np.int16), "frame 2"),
}


@pytest.mark.parametrize(("voxels", "warning"), CONTENTS.values(), ids=CONTENTS.keys())
def test_odd_contents_are_read_with_a_warning(voxels: NDArray[Any], warning: str, tmp_path: Path) -> None:
    cine = read_cine(save(tmp_path, build_nifti(voxels)))
    assert [warning in line for line in cine.warnings] == [True]
    assert np.isfinite(cine.images).all()


def test_case_42_nan_becomes_the_minimum(tmp_path: Path) -> None:
    voxels = np.where(encode_places() == 1234, np.nan, encode_places() + 3.0)
    assert read_cine(save(tmp_path, build_nifti(voxels))).images[1, 2, 3, 4] == 3.0


@pytest.mark.parametrize("sizes", [(1, 2, 16, 16), (1, 1, 2048, 2048), (2, 3, 17, 33)])
def test_case_36_37_38_sizes(sizes: tuple[int, ...], tmp_path: Path) -> None:
    voxels = np.arange(np.prod(sizes), dtype=np.int32).reshape(sizes)
    assert np.array_equal(read_cine(save(tmp_path, build_nifti(voxels))).images, voxels)


def test_case_44_all_negative(tmp_path: Path) -> None:
    voxels = encode_places() - np.int16(5000)
    cine = read_cine(save(tmp_path, build_nifti(voxels)))
    assert np.array_equal(cine.images, voxels)
    assert cine.warnings == ()


def test_voxels_off_alignment(tmp_path: Path) -> None:
    """Extensions may end anywhere: the voxels are right and aligned in memory all the same."""
    data = patch(GOOD[:352], VOX_OFFSET, "<f", 357) + b"12345" + GOOD[352:]
    cine = read_cine(save(tmp_path, data))
    assert np.array_equal(cine.images, encode_places())
    assert cine.images.flags.aligned


def test_nifti_2(tmp_path: Path) -> None:
    path = tmp_path / "study.nii"
    nib.save(nib.Nifti2Image(encode_places().T, np.diag([-1.5, -1.5, 8, 1])), path)
    cine = read_cine(path)
    assert np.array_equal(cine.images, encode_places())
    assert cine.geometry.spacing_mm == (8.0, 1.5, 1.5)


def test_two_gzip_members(tmp_path: Path) -> None:
    path = save(tmp_path, gzip.compress(GOOD[:500]) + gzip.compress(GOOD[500:]), "study.nii.gz")
    assert np.array_equal(read_cine(path).images, encode_places())


def test_case_89_name_outside_ascii(tmp_path: Path) -> None:
    cine = read_cine(save(tmp_path, GOOD, "Herz-Übung 心臓.nii"))
    assert cine.source.name == "Herz-Übung 心臓"


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"gone\.nii: found nothing there"):
        read_cine(tmp_path / "gone.nii")


@pytest.mark.realdata
def test_acdc_volume(data_dir: Path) -> None:
    path = data_dir / "acdc" / "patient001" / "patient001_frame01.nii.gz"
    cine = read_cine(path)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(cine.images[0], sitk.GetArrayFromImage(image))
    assert cine.geometry.spacing_mm[::-1] == pytest.approx(image.GetSpacing())
    assert cine.images.shape == (1, 10, 256, 216)
    assert any("pixdim was used" in line for line in cine.warnings)


@pytest.mark.realdata
def test_acdc_cine(data_dir: Path) -> None:
    cine = read_cine(data_dir / "acdc" / "patient090" / "patient090_4d.nii.gz")
    assert cine.images.shape == (12, 7, 224, 154)
    assert cine.frame_ms is None
    assert any("heart rate" in line for line in cine.warnings)


def test_affine_agrees_with_other_readers(tmp_path: Path) -> None:
    path = save(tmp_path, GOOD)
    assert np.allclose(affine_ras(read_cine(path).geometry), nib.load(path).affine)
