import logging
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1, RLELossless

from glrp_napari.reading import ReadError, list_series, read_cine

from .dicom_files import (
    CANARY,
    LONG_AXIS,
    Cine,
    build_enhanced,
    build_image,
    build_images,
    encode_frame,
    expected_voxels,
    normal_of,
    rename,
    save_all,
    save_image,
)

SHORT = Cine()
LONG = rename(SHORT, 9, slices=1, orientation=LONG_AXIS, label="2ch")
Change = Callable[[list[Dataset]], Any]


@pytest.fixture(autouse=True)
def _no_name_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test reads, nothing of the patient is logged."""
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text
    assert "Canary" not in caplog.text


def test_cine_folder(tmp_path: Path) -> None:
    cine = read_cine(save_all(tmp_path / "Study" / "DICOM", build_images(SHORT)))
    assert np.array_equal(cine.images, expected_voxels(SHORT))
    assert cine.images.dtype == np.int16
    assert cine.geometry.spacing_mm == pytest.approx((8.0, 1.25, 1.5))
    assert cine.geometry.origin_mm == SHORT.start
    assert np.allclose(cine.geometry.axes, [normal_of(SHORT), (0, 0, -1), (0.8, 0.6, 0)])
    assert cine.frame_ms == (1.0, 41.0, 81.0, 121.0)
    assert cine.source.name == "Study"
    assert cine.source.file_shape == (4, 3, 6, 5)
    assert cine.warnings == ()


@pytest.mark.parametrize("given", ["TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber"])
def test_case_58_order_by_the_first_tag_there_is(given: str, tmp_path: Path) -> None:
    tags = ("TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime", "InstanceNumber")
    images = build_images(SHORT)
    for image in images:
        for tag in tags[: tags.index(given)]:
            delattr(image, tag)
        for tag in tags[tags.index(given) + 1 :]:  # what comes after must not count
            clock = f"11{59 - image.InstanceNumber:02d}00"
            setattr(image, tag, clock if tag == "AcquisitionTime" else -image.InstanceNumber)
    cine = read_cine(save_all(tmp_path, images))
    assert np.array_equal(cine.images, expected_voxels(SHORT))
    assert (cine.frame_ms is None) == (given != "TriggerTime")
    assert any("trigger times" in line for line in cine.warnings) == (given != "TriggerTime")


def test_case_48_uneven_frame_times(tmp_path: Path) -> None:
    images = build_images(SHORT)
    for image in images:
        image.TriggerTime = str(float(image.TriggerTime) ** 2)
    assert read_cine(save_all(tmp_path, images)).frame_ms == (1.0, 41.0**2, 81.0**2, 121.0**2)


def _set(tag: str, value: object, index: int = 5) -> Change:
    return lambda images: setattr(images[index], tag, value)


def _turn(images: list[Dataset]) -> None:
    images[5].ImageOrientationPatient = list(LONG_AXIS)


REFUSED: dict[str, tuple[Change, str]] = {
    "case_50_truncated_pixels": (lambda i: setattr(i[5], "PixelData", i[5].PixelData[:-8]), "52 bytes of pixels"),
    "case_53_position_1e999": (_set("ImagePositionPatient", ["1e999", "0", "0"]), "ImagePositionPatient"),
    "case_53_trigger_time_nan": (_set("TriggerTime", "NaN"), "TriggerTime nan"),
    "case_53_spacing_zero": (_set("PixelSpacing", ["0", "1"]), "PixelSpacing"),
    "case_53_slope_nan": (_set("RescaleSlope", "NaN"), "RescaleSlope nan"),
    "case_54_two_images_at_one_time": (lambda i: setattr(i[5], "TriggerTime", i[6].TriggerTime), "trigger time"),
    "case_55_missing_frame": (lambda i: i.pop(5), "3 frames at position (-24.8, 36.4, 40.0) mm"),
    "case_55_missing_slice": (lambda i: i.__delitem__(slice(4, 8)), "position"),
    "case_57_mixed_matrix": (_set("Columns", 6), "matrix size (6, 6)"),
    "case_57_mixed_spacing": (_set("PixelSpacing", [1.0, 1.0]), "pixel spacing (1.0, 1.0)"),
    "case_61_long_axis_inside": (_turn, "plane turned by"),
    "case_65_two_patients": (_set("PatientID", "P2"), "more than one patient"),
    "no_order": (lambda i: [i[n].update({"InstanceNumber": 1}) for n in range(12)] and [
        delattr(image, tag) for image in i for tag in ("TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime")
    ], "no tag that orders"),
    "colour": (_set("PhotometricInterpretation", "RGB"), "RGB"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "found"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(change: Change, found: str, tmp_path: Path) -> None:
    images: list[Any] = list(build_images(Cine(slices=4)))
    change(images)
    with pytest.raises(ReadError) as caught:
        read_cine(save_all(tmp_path, images))
    line = str(caught.value)
    assert found in line
    assert "expected" in line
    assert "\n" not in line
    assert "Canary" not in line
    assert "P2" not in line


@pytest.mark.parametrize("exact", [True, False])
def test_case_54_copies_are_dropped(exact: bool, tmp_path: Path) -> None:
    images = build_images(SHORT)
    copy = build_image(SHORT, 1, 1)
    if exact:
        copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = images[5].SOPInstanceUID
    cine = read_cine(save_all(tmp_path, [*images, copy]))
    assert np.array_equal(cine.images, expected_voxels(SHORT))
    assert any("there twice" in line for line in cine.warnings)


def test_case_55_missing_slice_names_the_one_before(tmp_path: Path) -> None:
    images = [image for image in build_images(Cine(slices=5)) if not 8 < image.InstanceNumber <= 12]
    with pytest.raises(ReadError, match=r"16\.0 mm to the slice after position \(-24\.8, 36\.4, 40\.0\)"):
        read_cine(save_all(tmp_path, images))


def test_case_56_equal_series_ask_for_a_choice(tmp_path: Path) -> None:
    other = rename(SHORT, 8, start=(-25.0, 30.0, 45.0))
    save_all(tmp_path, build_images(SHORT))
    save_all(tmp_path, build_images(other), seed=1)
    with pytest.raises(ReadError, match="several short-axis series") as caught:
        read_cine(tmp_path)
    assert "7: cine, 3 slices × 4 frames" in str(caught.value)
    assert "8: cine, 3 slices × 4 frames" in str(caught.value)
    for series in (SHORT, other):
        assert read_cine(tmp_path, str(series.number)).geometry.origin_mm == series.start
        assert read_cine(tmp_path, series.uid).geometry.origin_mm == series.start
    with pytest.raises(ReadError, match="no series 11"):
        read_cine(tmp_path, "11")


def test_case_56_smaller_stack_beside_is_named(tmp_path: Path) -> None:
    save_all(tmp_path, build_images(SHORT))
    save_all(tmp_path, build_images(rename(SHORT, 8, slices=2)), seed=1)
    cine = read_cine(tmp_path)
    assert cine.images.shape == (4, 3, 6, 5)
    assert any("8: cine, 2 slices × 4 frames" in line for line in cine.warnings)


def test_case_61_export_with_other_series(tmp_path: Path) -> None:
    """Long-axis cines, a scout and papers beside the stack are normal: the stack is ranked first."""
    save_all(tmp_path, build_images(SHORT))
    save_all(tmp_path, build_images(LONG), seed=1)
    save_all(tmp_path, build_images(rename(LONG, 2, frames=1, slices=12, label="scout")), seed=2)
    (tmp_path / "DICOMDIR").write_bytes(b"../../etc/passwd")
    (tmp_path / "notes.txt").write_text("not an image " * 50)
    cine = read_cine(tmp_path)
    assert np.array_equal(cine.images, expected_voxels(SHORT))
    assert cine.warnings == ()
    assert [series.key for series in list_series(tmp_path)] == ["7", "9", "2"]
    assert (list_series(tmp_path)[0].slices, list_series(tmp_path)[0].frames) == (3, 4)
    assert read_cine(tmp_path, "9").images.shape == (4, 1, 6, 5)


def test_short_axis_is_ranked_before_a_longer_axial_stack(tmp_path: Path) -> None:
    tilted = Cine(orientation=(0.6, 0.6, 0.52915, 0.6, -0.78, 0.2041))
    row = np.array(tilted.orientation[:3]) / np.linalg.norm(tilted.orientation[:3])
    column = np.array(tilted.orientation[3:]) - row * (row @ tilted.orientation[3:])
    tilted = Cine(orientation=(*row, *(column / np.linalg.norm(column))))
    save_all(tmp_path, build_images(tilted))
    save_all(tmp_path, build_images(rename(SHORT, 3, slices=9, orientation=LONG_AXIS)), seed=1)
    assert [series.key for series in list_series(tmp_path)] == ["7", "3"]


def test_slices_in_series_of_their_own_are_joined(tmp_path: Path) -> None:
    images = build_images(SHORT)
    for image in images:
        z = (image.InstanceNumber - 1) // 4
        image.SeriesNumber, image.SeriesInstanceUID = 10 + z, f"1.2.3.{10 + z}"
    save_all(tmp_path, images)
    save_all(tmp_path, build_images(LONG), seed=1)
    assert np.array_equal(read_cine(tmp_path).images, expected_voxels(SHORT))
    assert [series.key for series in list_series(tmp_path)] == ["10-12", "9"]


def test_case_65_two_patients_in_a_folder(tmp_path: Path) -> None:
    save_all(tmp_path, build_images(SHORT))
    save_all(tmp_path, build_images(rename(LONG, 9, patient="P2")), seed=1)
    with pytest.raises(ReadError, match="more than one patient"):
        read_cine(tmp_path)
    assert read_cine(tmp_path, "7").images.shape == (4, 3, 6, 5)


def test_case_49_no_preamble(tmp_path: Path) -> None:
    for index, image in enumerate(build_images(SHORT)):
        path = save_image(tmp_path / f"{index}", image)
        path.write_bytes(path.read_bytes()[132:])
    cine = read_cine(tmp_path)
    assert np.array_equal(cine.images, expected_voxels(SHORT))
    assert any("12 DICOM files without the preamble" in line for line in cine.warnings)


@pytest.mark.parametrize("length", [0xFFFFFFF0, 0xFFFFFFFF, 2**31])
@pytest.mark.parametrize("folder", [True, False])
def test_case_51_wrong_pixel_length(length: int, folder: bool, tmp_path: Path) -> None:
    path = save_image(tmp_path / "image.dcm", build_image(SHORT, 0, 0))
    data = path.read_bytes()
    place = data.index(b"\xe0\x7f\x10\x00OW") + 8
    path.write_bytes(data[:place] + struct.pack("<I", length) + data[place + 4 :])
    began = time.monotonic()
    with pytest.raises(ReadError, match=r"image\.dcm"):
        read_cine(tmp_path if folder else path)
    assert time.monotonic() - began < 5


def test_case_52_nested_sequence_bomb(tmp_path: Path) -> None:
    path = save_image(tmp_path / "bomb.dcm", build_image(SHORT, 0, 0))
    data = path.read_bytes()
    nested = (struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 100_000
    place = data.index(b"\x08\x00\x18\x00UI", 300)
    path.write_bytes(data[:place] + nested + data[place:])
    with pytest.raises(ReadError, match=r"bomb\.dcm"):
        read_cine(tmp_path)


def test_case_52_endless_items(tmp_path: Path) -> None:
    path = save_image(tmp_path / "bomb.dcm", build_image(SHORT, 0, 0))
    path.write_bytes(path.read_bytes() + b"\xfe\xff\x00\xe0\0\0\0\0" * 300_000)
    with pytest.raises(ReadError, match="sequence items"):
        read_cine(tmp_path)


def test_case_59_codec_missing_names_the_package(tmp_path: Path) -> None:
    image = build_image(SHORT, 0, 0)
    image.PixelData = encapsulate([bytes(100)])
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(ReadError, match=r"JPEG Lossless.*(pylibjpeg|gdcm)"):
        read_cine(save_image(tmp_path / "image.dcm", image))


@pytest.mark.parametrize("damage", [False, True])
def test_run_length_encoded(damage: bool, tmp_path: Path) -> None:
    images = build_images(SHORT)
    for image in images:
        image.compress(RLELossless)
    if damage:
        images[5].PixelData = encapsulate([bytes(70)])
        with pytest.raises(ReadError, match="damaged RLE"):
            read_cine(save_all(tmp_path, images))
    else:
        assert np.array_equal(read_cine(save_all(tmp_path, images)).images, expected_voxels(SHORT))


def test_case_60_each_image_is_rescaled(tmp_path: Path) -> None:
    images = build_images(SHORT)
    for image in images:
        t, z = (image.InstanceNumber - 1) % 4, (image.InstanceNumber - 1) // 4
        image.RescaleSlope, image.RescaleIntercept = 0.5 + t, 100 * z
        image.PixelData = ((encode_frame(t, z, SHORT.size) - 100 * z) * 2).astype("<i2").tobytes()
    factors = (2 * (0.5 + np.arange(4)))[:, None, None, None]
    offsets = (100 * np.arange(3))[None, :, None, None]
    expected = (expected_voxels(SHORT) - offsets) * factors + offsets
    assert np.allclose(read_cine(save_all(tmp_path, images)).images, expected)


@pytest.mark.parametrize("folder", [True, False])
def test_case_62_enhanced_multi_frame(folder: bool, tmp_path: Path) -> None:
    path = save_image(tmp_path / "enhanced", build_enhanced(SHORT))
    cine = read_cine(tmp_path if folder else path)
    assert np.array_equal(cine.images, expected_voxels(SHORT))
    assert cine.frame_ms == (0.0, 40.0, 80.0, 120.0)
    assert cine.geometry.spacing_mm == pytest.approx((8.0, 1.25, 1.5))


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_case_63_no_link_out_of_the_folder(tmp_path: Path) -> None:
    outside = save_all(tmp_path / "outside", build_images(rename(SHORT, 8)))
    study = save_all(tmp_path / "study", build_images(SHORT))
    (study / "folder").symlink_to(outside)
    for file in (outside / "ST0001" / "SE0001").iterdir():
        (study / file.name).symlink_to(file)
    assert [series.key for series in list_series(study)] == ["7"]


def test_case_64_executable_preamble_is_not_kept(tmp_path: Path) -> None:
    images = build_images(SHORT)
    for image in images:
        image.preamble = b"MZ" + b"\x90" * 126
    cine = read_cine(save_all(tmp_path, images))
    assert np.array_equal(cine.images, expected_voxels(SHORT))
    assert cine.source.nifti_header == b""


def test_nothing_of_the_patient_is_kept(tmp_path: Path) -> None:
    """The canary stands in name, identifier and, by a careless hand, in the series' description."""
    path = save_all(tmp_path, build_images(rename(SHORT, 7, label="SAX Canary 2", patient="Canary77")))
    cine = read_cine(path)
    told = repr((cine.source, cine.warnings, cine.geometry, list_series(path)))
    assert "Canary" not in told
    assert "19700101" not in told


def test_one_image_of_a_series(tmp_path: Path) -> None:
    cine = read_cine(save_image(tmp_path / "image.dcm", build_image(SHORT, 2, 1)))
    assert cine.images.shape == (1, 1, 6, 5)
    assert cine.geometry.spacing_mm[0] == 8.0
    assert any("open its folder" in line for line in cine.warnings)


def test_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ReadError, match="no DICOM image"):
        read_cine(tmp_path)
    with pytest.raises(ReadError, match="no DICOM image"):
        list_series(tmp_path)


@pytest.mark.realdata
@pytest.mark.parametrize(("study", "slices"), [("SCD0000101", 12), ("SCD0000201", 13)])
def test_sunnybrook(study: str, slices: int, data_dir: Path) -> None:
    folder = data_dir / "sunnybrook" / study / "dicom"
    cine = read_cine(folder)
    assert cine.images.shape == (20, slices, 256, 256)
    assert cine.source.name == study
    assert cine.warnings == ()
    assert cine.rr_ms is not None
    assert 650 < cine.rr_ms < 800
    assert cine.geometry.spacing_mm == pytest.approx((10.0, 1.367188, 1.367188), abs=1e-3)
    assert len(list_series(folder)) == 1
