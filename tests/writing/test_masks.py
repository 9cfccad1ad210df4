"""What is written lies exactly where the study lies, checked against nibabel and SimpleITK."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.nifti1 import Nifti1Header
from scipy.spatial.transform import Rotation

from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.masks import write_images, write_mask
from glrp_napari.writing.nifti import affine_ras

SHAPE = (3, 4, 6, 5)
GEOMETRY_FIELDS = (
    "dim", "pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units", "toffset", "dim_info",
)  # fmt: skip


def encode_places(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    t, z, y, x = np.indices(shape)
    return (1000 * t + 100 * z + 10 * y + x).astype(np.int16)


MASK = (encode_places() % 4).astype(np.uint8)


def write_study(path: Path, matrix: np.ndarray, dims: int = 4, endian: str = "<", scale: float = 1.0) -> bytes:
    """A NIfTI study with an extension and a name in its free text; returns its header."""
    header = Nifti1Header(endianness=endian)
    voxels = encode_places() if dims > 3 else encode_places((1, *SHAPE[1:]))
    header.set_data_shape((5, 6, 4, 3, *[1] * (dims - 4)) if dims > 3 else (5, 6, 4))
    header.set_data_dtype(np.int16)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix * np.array([1.5, 1.25, 8]), (10, -20, 30)
    header.set_qform(affine, 1)
    header["sform_code"] = 2
    header["srow_x"], header["srow_y"], header["srow_z"] = affine[:3] + np.array([[scale * 1e-5] * 3 + [0]] * 3)
    header["pixdim"][1:5] = 1.5, 1.25, 8, 40
    header["xyzt_units"], header["descrip"], header["db_name"] = 2 | 16, b"Canary^Patient", b"Canary"
    header["magic"], header["vox_offset"], header["scl_slope"], header["scl_inter"] = b"n+1", 384, 2, 1
    extension = b"\1\0\0\0" + np.array([32, 6], f"{endian}i4").tobytes() + b"Canary".ljust(24, b"\0")
    raw = bytes(header.binaryblock)
    path.write_bytes(raw + extension[:36].ljust(36, b"\0") + voxels.astype(f"{endian}i2").tobytes())
    return raw


def geometry_bytes(raw: bytes, endian: str) -> list[bytes]:
    header = Nifti1Header(raw[:348], endianness=endian, check=False)
    return [np.asarray(header[field]).tobytes() for field in GEOMETRY_FIELDS]


turns = st.builds(
    lambda angles, flips: Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * flips,
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.sampled_from((1.0, -1.0))] * 3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(matrix=turns, dims=st.sampled_from((3, 4, 5)), endian=st.sampled_from("<>"))
def test_case_30_33_round_trip_keeps_the_geometry_bit_for_bit(
    matrix: np.ndarray, dims: int, endian: str, tmp_path: Path
) -> None:
    study, path = tmp_path / "study.nii", tmp_path / "mask.nii"
    raw = write_study(study, matrix, dims, endian)
    cine = read_cine(study)
    mask = MASK if dims > 3 else MASK[:1]
    write_mask(path, mask, cine)
    written = path.read_bytes()
    assert geometry_bytes(written, endian) == geometry_bytes(raw, endian)
    assert b"Canary" not in written
    loaded = nib.load(path)
    assert np.array_equal(loaded.affine, nib.load(study).affine)
    assert loaded.shape == nib.load(study).shape
    assert loaded.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(loaded.dataobj).T.reshape(mask.shape), mask)
    assert np.allclose(affine_ras(cine.geometry), loaded.affine, atol=1e-3)
    assert np.array_equal(read_mask(path, cine), mask)


@pytest.mark.parametrize("dims", [3, 4])
def test_simpleitk_sees_study_and_mask_alike(dims: int, tmp_path: Path) -> None:
    matrix = Rotation.from_euler("xyz", (25, -40, 70), degrees=True).as_matrix() * [1, -1, 1]
    write_study(tmp_path / "study.nii", matrix, dims, scale=0.0)
    cine = read_cine(tmp_path / "study.nii")
    write_mask(tmp_path / "mask.nii.gz", MASK if dims > 3 else MASK[:1], cine)
    study, mask = (sitk.ReadImage(str(tmp_path / name)) for name in ("study.nii", "mask.nii.gz"))
    assert mask.GetSize() == study.GetSize()
    assert mask.GetDirection() == study.GetDirection()
    assert mask.GetOrigin() == study.GetOrigin()
    assert mask.GetSpacing() == study.GetSpacing()
    assert np.array_equal(sitk.GetArrayFromImage(mask), MASK if dims > 3 else MASK[0])


def test_case_28_header_off_orthonormal_is_written_back(tmp_path: Path) -> None:
    raw = write_study(tmp_path / "study.nii", np.eye(3), scale=100.0)
    cine = read_cine(tmp_path / "study.nii")
    write_mask(tmp_path / "mask.nii", MASK, cine)
    assert any("from square" in line for line in cine.warnings)
    assert geometry_bytes((tmp_path / "mask.nii").read_bytes(), "<") == geometry_bytes(raw, "<")


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
@pytest.mark.parametrize("frames", [1, 3])
def test_masks_of_other_formats_lie_where_the_study_lies(suffix: str, frames: int, tmp_path: Path) -> None:
    voxels = encode_places((frames, *SHAPE[1:]))
    image = sitk.GetImageFromArray(voxels if frames > 1 else voxels[0], isVector=False)
    direction = np.eye(image.GetDimension())
    direction[:3, :3] = Rotation.from_euler("xyz", (25, -40, 70), degrees=True).as_matrix() * [1, -1, 1]
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing((1.5, 1.25, 8, 40)[: image.GetDimension()])
    image.SetOrigin((10, -20, 30, 0)[: image.GetDimension()])
    sitk.WriteImage(image, str(tmp_path / f"study.{suffix}"))
    cine = read_cine(tmp_path / f"study.{suffix}")
    write_mask(tmp_path / "mask.nii.gz", MASK[:frames], cine)
    mask = sitk.ReadImage(str(tmp_path / "mask.nii.gz"))
    assert mask.GetSize() == image.GetSize()
    assert np.allclose(mask.GetDirection(), image.GetDirection(), atol=1e-6)
    assert np.allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-4)
    assert np.allclose(mask.GetSpacing()[:3], image.GetSpacing()[:3])
    assert np.allclose(affine_ras(cine.geometry), nib.load(tmp_path / "mask.nii.gz").affine, atol=1e-5)
    assert read_cine(tmp_path / "mask.nii.gz").frame_ms == pytest.approx(cine.frame_ms)
    assert np.array_equal(read_mask(tmp_path / "mask.nii.gz", cine), MASK[:frames])


def _memory_cine(frames: int = 3, frame_ms: tuple[float, ...] | None = (5.0, 45.0, 85.0)) -> Cine:
    return Cine(encode_places()[:frames], Geometry(spacing_mm=(8, 1.25, 1.5)), Source("phantom"), frame_ms)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_images_come_back_as_written(dtype: type, tmp_path: Path) -> None:
    cine = _memory_cine()
    images = encode_places().astype(dtype)
    write_images(tmp_path / "study.nii.gz", images, cine)
    back = read_cine(tmp_path / "study.nii.gz")
    assert np.array_equal(back.images, images)
    assert back.images.dtype == dtype
    assert back.geometry == cine.geometry
    assert back.frame_ms == pytest.approx(cine.frame_ms)
    assert back.warnings == ()


def test_unknown_frame_times_stay_unknown(tmp_path: Path) -> None:
    write_images(tmp_path / "study.nii", encode_places(), _memory_cine(frame_ms=None))
    assert read_cine(tmp_path / "study.nii").frame_ms is None


def test_same_mask_same_bytes(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_mask(tmp_path / name, MASK, _memory_cine())
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize(
    ("mask", "found"),
    [(MASK[:2], "shape"), (MASK[..., :4], "shape"), (MASK + 1, "1-4"), (MASK.astype(float), "float64"),
     (MASK.astype(np.int8) - 1, "-1-2")],
)  # fmt: skip
def test_wrong_masks_are_refused_and_nothing_is_written(mask: np.ndarray, found: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=found):
        write_mask(tmp_path / "mask.nii", mask, _memory_cine())
    assert list(tmp_path.iterdir()) == []


def test_part_of_a_study_does_not_take_the_whole_header(tmp_path: Path) -> None:
    write_study(tmp_path / "study.nii", np.eye(3))
    whole = read_cine(tmp_path / "study.nii")
    part = Cine(whole.images[1:2, 2:3], whole.geometry, whole.source)
    write_images(tmp_path / "part.nii", part.images, part)
    assert np.array_equal(read_cine(tmp_path / "part.nii").images, part.images)


@pytest.mark.realdata
def test_acdc_mask_has_the_study_geometry(data_dir: Path, tmp_path: Path) -> None:
    study = data_dir / "acdc" / "patient090" / "patient090_4d.nii.gz"
    cine = read_cine(study)
    write_mask(tmp_path / "mask.nii.gz", np.ones(cine.images.shape, np.uint8), cine)
    raw = nib.load(study).header.binaryblock
    assert geometry_bytes(nib.load(tmp_path / "mask.nii.gz").header.binaryblock, "<") == geometry_bytes(raw, "<")
