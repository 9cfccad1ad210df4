"""NRRD and MetaImage, written by SimpleITK as others do, whole and broken."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from glrp_napari.reading import ReadError, read_cine

from .nifti_files import SHAPE, encode_places

OBLIQUE = Rotation.from_euler("xyz", (25, -40, 70), degrees=True).as_matrix()
FLIPPED = OBLIQUE * [1, -1, 1]


def write_itk(path: Path, frames: int = 3, matrix: np.ndarray = OBLIQUE, packed: bool = False) -> sitk.Image:
    voxels = encode_places((frames, *SHAPE[1:]))
    image = sitk.GetImageFromArray(voxels if frames > 1 else voxels[0], isVector=False)
    direction = np.eye(image.GetDimension())
    direction[:3, :3] = matrix
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing((1.5, 1.25, 8, 40)[: image.GetDimension()])
    image.SetOrigin((10, -20, 30, 0)[: image.GetDimension()])
    sitk.WriteImage(image, str(path), packed)
    return image


@pytest.mark.parametrize("suffix", ["nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("matrix", [np.eye(3), OBLIQUE, FLIPPED], ids=["straight", "oblique", "flipped"])
def test_agrees_with_simpleitk(suffix: str, packed: bool, frames: int, matrix: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / f"study.{suffix}"
    write_itk(path, frames, matrix, packed)
    cine = read_cine(path)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(cine.images, encode_places((frames, *SHAPE[1:])))
    assert cine.images.dtype == np.int16
    assert cine.geometry.spacing_mm[::-1] == pytest.approx(image.GetSpacing()[:3])
    assert cine.geometry.origin_mm == pytest.approx(image.GetOrigin()[:3])
    rank = image.GetDimension()
    assert np.allclose(np.reshape(image.GetDirection(), (rank, rank))[:3, :3].T[::-1], cine.geometry.axes, atol=1e-6)
    assert (cine.frame_ms is None) == (frames == 1)
    assert cine.source.name == "study"
    assert cine.source.file_shape == ((frames, *SHAPE[1:]) if frames > 1 else SHAPE[1:])


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_contents_count_not_the_suffix(suffix: str, tmp_path: Path) -> None:
    write_itk(tmp_path / f"study.{suffix}")
    path = (tmp_path / f"study.{suffix}").rename(tmp_path / "study.nii")
    assert np.array_equal(read_cine(path).images, encode_places())


def test_nrrd_in_space_and_time(tmp_path: Path) -> None:
    """Space of three axes and a time axis apart, as 3D Slicer writes; SimpleITK cannot read it."""
    header = (
        "NRRD0005\ntype: short\ndimension: 4\nspace: right-anterior-superior\nsizes: 5 6 4 3\n"
        "space directions: (-1.5,0,0) (0,-1.25,0) (0,0,8) none\nkinds: domain domain domain list\n"
        "endian: big\nencoding: gzip\nspace origin: (-10,20,30)\n\n"
    )
    path = tmp_path / "study.nrrd"
    path.write_bytes(header.encode() + gzip.compress(encode_places(dtype=">i2").tobytes()))
    cine = read_cine(path)
    assert np.array_equal(cine.images, encode_places())
    assert cine.geometry.spacing_mm == (8.0, 1.25, 1.5)
    assert cine.geometry.origin_mm == (10.0, -20.0, 30.0)
    assert cine.geometry.axes == ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    assert any("heart rate" in line for line in cine.warnings)


NRRD: dict[str, tuple[str, str, str]] = {
    "case_04_declares_more": (r"sizes: 5 6 4 3", "sizes: 5 6 4 4", "declares"),
    "case_10_negative": (r"sizes: 5 6 4 3", "sizes: 5 6 -4 3", "none below 1"),
    "case_12_huge": (r"sizes: 5 6 4 3", "sizes: 32767 32767 32767 3", "declares"),
    "case_14_type": (r"type: short", "type: block", "the type block"),
    "case_16_vector": (r"kinds: \w+ ", "kinds: RGB-color ", "rgb-color"),
    "case_21_spacing_zero": (r"space directions: \S+", "space directions: (0,0,0,0)", "voxel size"),
    "case_23_spacing_nan": (r"space directions: \S+", "space directions: (nan,0,0,0)", "voxel size"),
    "case_28_sheared": (r"space directions: \S+", "space directions: (1.5,1.5,0,0)", "from square"),
    "encoding": (r"encoding: raw", "encoding: hex", "encoding hex"),
    "no_sizes": (r"sizes: .*\n", "", "no field 'sizes'"),
    "rank": (r"dimension: 4", "dimension: 3", "4 sizes"),
    "path_escape": (r"encoding: raw", "encoding: raw\ndata file: ../other.raw", "another folder"),
    "path_absolute": (r"encoding: raw", "encoding: raw\ndata file: /etc/passwd", "another folder"),
    "path_absolute_windows": (r"encoding: raw", r"encoding: raw\ndata file: C:\\\\other.raw", "another folder"),
    "data_file_missing": (r"encoding: raw", "encoding: raw\ndata file: gone.raw", "no file gone.raw"),
    "many_files": (r"encoding: raw", "encoding: raw\ndata file: LIST", "several files"),
    "no_end": (r"\n\n", "\n", "does not end"),
}


@pytest.mark.parametrize(("old", "new", "found"), NRRD.values(), ids=NRRD.keys())
def test_nrrd_refused(old: str, new: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "study.nrrd"
    write_itk(path, matrix=np.eye(3))
    text = path.read_bytes().decode("latin-1")
    assert re.search(old, text)
    path.write_bytes(re.sub(old, new, text, count=1).encode("latin-1"))
    with pytest.raises(ReadError, match=re.escape(found)):
        read_cine(path)


META: dict[str, tuple[str, str, str]] = {
    "case_04_declares_more": (r"DimSize = 5 6 4 3", "DimSize = 5 6 4 4", "declares"),
    "case_10_negative": (r"DimSize = 5 6 4 3", "DimSize = 5 6 4 -3", "none below 1"),
    "case_14_type": (r"MET_SHORT", "MET_OTHER", "MET_OTHER"),
    "case_16_vector": (r"ElementType", "ElementNumberOfChannels = 3\nElementType", "several values"),
    "case_21_spacing_zero": (r"ElementSpacing = 1.5", "ElementSpacing = 0", "voxel size"),
    "case_23_spacing_nan": (r"ElementSpacing = 1.5", "ElementSpacing = nan", "voxel size"),
    "case_29_singular": (r"TransformMatrix = 1 0 0 0", "TransformMatrix = 0 0 0 0", "singular"),
    "path_escape": (r"ElementDataFile = LOCAL", "ElementDataFile = ../other.raw", "another folder"),
    "path_absolute": (r"ElementDataFile = LOCAL", "ElementDataFile = /etc/passwd", "another folder"),
    "no_data_file": (r"ElementDataFile = LOCAL", "", "ElementDataFile"),
    "no_spacing": (r"ElementSpacing = .*\n", "", "ElementSpacing ''"),
    "number": (r"Offset = 10", "Offset = ten", "numbers"),
}


@pytest.mark.parametrize(("old", "new", "found"), META.values(), ids=META.keys())
def test_metaimage_refused(old: str, new: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "study.mha"
    write_itk(path, matrix=np.eye(3))
    text = path.read_bytes().decode("latin-1")
    assert re.search(old, text)
    path.write_bytes(re.sub(old, new, text, count=1).encode("latin-1"))
    with pytest.raises(ReadError, match=re.escape(found)):
        read_cine(path)


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
@pytest.mark.parametrize("packed", [False, True])
def test_case_04_05_cut_off(suffix: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / f"study.{suffix}"
    write_itk(path, packed=packed)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReadError, match=r"declare|damaged"):
        read_cine(path)


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_case_07_packed_bomb(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"study.{suffix}"
    write_itk(path, packed=True)
    start = path.read_bytes()
    path.write_bytes(
        start[: start.index(b"\n\n" if suffix == "nrrd" else b"LOCAL\n")]
        + (b"\n\n" if suffix == "nrrd" else b"LOCAL\n")
        + gzip.compress(bytes(30 * 2**20))
    )
    with pytest.raises(ReadError, match="more voxels"):
        read_cine(path)


@pytest.mark.parametrize("suffix", ["nhdr", "mhd"])
def test_detached_voxels_gone(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"study.{suffix}"
    write_itk(path)
    (tmp_path / "study.raw").unlink()
    with pytest.raises(ReadError, match=r"no file study\.raw"):
        read_cine(path)
