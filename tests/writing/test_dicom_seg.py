"""DICOM SEG, written and read back, and read by readers that are not ours: plain pydicom, SimpleITK and highdicom."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

import glrp_napari.writing.dicom_seg as dicom_seg
from glrp_napari.cine import Cine, Mask
from glrp_napari.reading import ReadError, read_cine
from glrp_napari.reading.dicom_seg import read_dicom_seg
from glrp_napari.writing.dicom_seg import Algorithm, write_phases
from tests.reading import dicom_files as files

SHAPE = files.Cine(slices=4, size=(7, 5))
MODEL = Algorithm(name="cine", version="0123abcd")
FRAMES = [2, 0]


def save_study(folder: Path, shape: files.Cine = SHAPE, enhanced: bool = False, study: str = "1.2.3") -> Path:
    images = [files.build_enhanced(shape)] if enhanced else files.build_images(shape)
    for image in images:
        image.StudyInstanceUID, image.FrameOfReferenceUID = study, f"{study}.9"
    return files.save_all(folder, images)


def write_dicom_seg(folder: Path, mask: Mask, cine: Cine, frames: list[int], algorithm: Algorithm) -> tuple[Path, ...]:
    return tuple(write_phases(folder, mask, cine, frames, algorithm))


def draw_mask(cine: Cine) -> Mask:
    """No flip, transposition or exchange of slices or frames maps it onto itself; one slice of frame 2 is empty."""
    t, z, y, x = np.indices(cine.images.shape)
    mask = np.where(y * 5 + x > 3 + t + 2 * z, 0, 1 + (x + 2 * y + z) % 3).astype(np.uint8)
    mask[2, 1] = 0
    return mask


@pytest.fixture
def cine(tmp_path: Path) -> Cine:
    return read_cine(save_study(tmp_path / "study"))


@pytest.fixture
def segs(cine: Cine, tmp_path: Path) -> tuple[Path, ...]:
    return write_dicom_seg(tmp_path / "out", draw_mask(cine), cine, FRAMES, MODEL)


@pytest.mark.parametrize("enhanced", [False, True])
def test_round_trip(enhanced: bool, tmp_path: Path) -> None:
    cine = read_cine(save_study(tmp_path / "study", enhanced=enhanced))
    mask = draw_mask(cine)
    written = write_dicom_seg(tmp_path / "out", mask, cine, FRAMES, MODEL)
    assert [path.name for path in written] == ["study_frame002_seg.dcm", "study_frame000_seg.dcm"]
    assert np.array_equal(read_dicom_seg(written[0], cine)[2], mask[2])
    both = read_dicom_seg(tmp_path / "out", cine)
    assert np.array_equal(both[FRAMES], mask[FRAMES])
    assert not both[[1, 3]].any()


def test_a_second_export_takes_the_place_of_the_first(cine: Cine, segs: tuple[Path, ...], tmp_path: Path) -> None:
    foreign = [tmp_path / "out/study_frame001_seg.dcm.bak", tmp_path / "out/other_frame001_seg.dcm"]
    for path in foreign:
        path.write_bytes(b"not ours")
    mask = draw_mask(cine)
    (again,) = write_dicom_seg(tmp_path / "out", mask, cine, FRAMES[:1], MODEL)
    assert again == segs[0]
    assert sorted((tmp_path / "out").iterdir()) == sorted([again, *foreign])
    foreign[1].unlink()
    found = read_dicom_seg(tmp_path / "out", cine)
    assert np.array_equal(found[FRAMES[0]], mask[FRAMES[0]])
    assert not np.delete(found, FRAMES[0], axis=0).any()


def test_slices_in_series_of_their_own(tmp_path: Path) -> None:
    """As some scanners store them; here each image has a frame of reference of its own too."""
    study = save_study(tmp_path / "study")
    for path in study.rglob("IM*"):
        image = pydicom.dcmread(path)
        image.SeriesNumber = 10 + (image.InstanceNumber - 1) // SHAPE.frames
        image.SeriesInstanceUID = f"1.2.3.{image.SeriesNumber}"
        image.FrameOfReferenceUID = f"1.2.9.{image.InstanceNumber}"
        image.save_as(path)
    cine = read_cine(study)
    mask = draw_mask(cine)
    written = write_dicom_seg(tmp_path / "out", mask, cine, [3], MODEL)
    assert np.array_equal(read_dicom_seg(written[0], cine)[3], mask[3])
    series = pydicom.dcmread(written[0]).ReferencedSeriesSequence
    assert [(one.SeriesInstanceUID, len(one.ReferencedInstanceSequence)) for one in series] == [
        (f"1.2.3.{number}", 1) for number in range(10, 14)
    ]


@pytest.mark.parametrize("enhanced", [False, True])
def test_plain_pydicom_finds_every_voxel_on_its_image(enhanced: bool, tmp_path: Path) -> None:
    """Each frame's source is opened: its pixels hold (t, z, y, x), which say where the segment must lie."""
    study = save_study(tmp_path / "study", enhanced=enhanced)
    cine = read_cine(study)
    mask = draw_mask(cine)
    sources = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, study.rglob("IM*"))}
    for t, path in zip(FRAMES, write_dicom_seg(tmp_path, mask, cine, FRAMES, MODEL), strict=True):
        seg = pydicom.dcmread(path)
        found = np.zeros_like(mask)
        frames = np.reshape(seg.pixel_array, (-1, *mask.shape[2:]))
        for pixels, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
            reference = groups.DerivationImageSequence[0].SourceImageSequence[0]
            image = sources[reference.ReferencedSOPInstanceUID].pixel_array
            corner = int((image[reference.ReferencedFrameNumber - 1] if enhanced else image)[0, 0]) - 1
            number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            found[corner // 1000, corner // 100 % 10] += pixels * np.uint8(number)
        assert np.array_equal(found[t], mask[t])
        assert not np.delete(found, t, axis=0).any()


@pytest.mark.parametrize("enhanced", [False, True])
def test_plain_pydicom_finds_every_frame_where_its_image_lies(enhanced: bool, tmp_path: Path) -> None:
    """Position, orientation, pixel spacing and frame of reference; and what each segment's number stands for."""
    study = save_study(tmp_path / "study", enhanced=enhanced)
    cine = read_cine(study)
    sources = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, study.rglob("IM*"))}
    (path,) = write_dicom_seg(tmp_path, draw_mask(cine), cine, [2], MODEL)
    seg = pydicom.dcmread(path)
    assert {int(s.SegmentNumber): s.SegmentLabel for s in seg.SegmentSequence} == {1: "RV", 2: "MYO", 3: "LV"}
    shared = seg.SharedFunctionalGroupsSequence[0]
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    listed = {i.ReferencedSOPInstanceUID for s in seg.ReferencedSeriesSequence for i in s.ReferencedInstanceSequence}
    referred = set()
    for groups in seg.PerFrameFunctionalGroupsSequence:
        reference = groups.DerivationImageSequence[0].SourceImageSequence[0]
        image = sources[reference.ReferencedSOPInstanceUID]
        referred.add(reference.ReferencedSOPInstanceUID)
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert (position, spacing, cosines) == _locate(image, int(reference.get("ReferencedFrameNumber", 0)))
        assert (seg.FrameOfReferenceUID, seg.StudyInstanceUID) == (image.FrameOfReferenceUID, image.StudyInstanceUID)
        assert reference.ReferencedSOPClassUID == image.SOPClassUID
    assert referred <= listed
    assert len(listed) == (1 if enhanced else SHAPE.slices)  # an empty slice's image is listed too


def _locate(image: Dataset, frame: int) -> tuple[Any, Any, Any]:
    """Position, pixel spacing and orientation of an image, or of a frame (from 1) of an enhanced one."""
    if frame == 0:
        return image.ImagePositionPatient, image.PixelSpacing, image.ImageOrientationPatient
    shared = image.SharedFunctionalGroupsSequence[0]
    place = image.PerFrameFunctionalGroupsSequence[frame - 1].PlanePositionSequence[0]
    return (
        place.ImagePositionPatient,
        shared.PixelMeasuresSequence[0].PixelSpacing,
        shared.PlaneOrientationSequence[0].ImageOrientationPatient,
    )


@pytest.mark.parametrize("enhanced", [False, True])
def test_simpleitk_reads_the_same_voxels(enhanced: bool, tmp_path: Path) -> None:
    """ITK unpacks whole bytes of bits only, so the images have a multiple of 8 pixels, as real ones do."""
    cine = read_cine(save_study(tmp_path / "study", files.Cine(slices=4, size=(8, 5)), enhanced))
    mask = draw_mask(cine)
    (path,) = write_dicom_seg(tmp_path, mask, cine, [2], MODEL)
    seg = pydicom.dcmread(path, stop_before_pixels=True)
    image = SimpleITK.ReadImage(path)
    found = np.zeros_like(mask[2])
    for plane, groups in zip(SimpleITK.GetArrayFromImage(image), seg.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        z = (position - cine.geometry.origin_mm) @ cine.geometry.axes[0] / cine.geometry.spacing_mm[0]
        found[round(z)] += (plane > 0) * np.uint8(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    assert np.array_equal(found, mask[2])
    first = seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    assert image.GetOrigin() == pytest.approx([float(value) for value in first])
    directions = np.reshape(image.GetDirection(), (3, 3)).T[:2]
    assert np.allclose(directions, [cine.geometry.axes[2], cine.geometry.axes[1]])


def test_highdicom_reads_it_by_source_instance(cine: Cine, segs: tuple[Path, ...], tmp_path: Path) -> None:
    seg = hd.seg.segread(segs[0])
    images = [pydicom.dcmread(path) for path in (tmp_path / "study").rglob("IM*")]
    phase = sorted((i for i in images if i.TemporalPositionIdentifier == 3), key=lambda i: i.InstanceNumber)
    uids = [image.SOPInstanceUID for image in phase]
    pixels = seg.get_pixels_by_source_instance(uids, combine_segments=True, assert_missing_frames_are_empty=True)
    assert np.array_equal(pixels, draw_mask(cine)[2])
    assert (seg.Manufacturer, seg.PatientID, seg.StudyInstanceUID) == ("glrp-napari", "P1", "1.2.3")
    assert [s.segmented_property_type for s in map(seg.get_segment_description, (1, 2, 3))] == [
        codes.SCT.RightVentricle, codes.SCT.LeftVentricleMyocardium, codes.SCT.LeftVentricle
    ]  # fmt: skip
    described = seg.get_segment_description(3)
    assert (described.segment_label, described.algorithm_type.value) == ("LV", "AUTOMATIC")
    assert (described.algorithm_identification.name, described.algorithm_identification.version) == ("cine", "0123abcd")


@pytest.mark.parametrize("name", [files.CANARY, "Canary"])
def test_nothing_of_the_patient_in_names_or_logs(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor in warnings: highdicom's shows a name of one component."""
    caplog.set_level(logging.DEBUG)
    study = save_study(tmp_path / "study")
    for path in study.rglob("IM*"):
        image = pydicom.dcmread(path)
        image.PatientName, image.StudyDate = name, "00000000"
        image.save_as(path)
    cine = read_cine(study)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        written = write_dicom_seg(tmp_path / "out", draw_mask(cine), cine, [0], MODEL)
    seg = pydicom.dcmread(written[0])
    assert (seg.PatientName, seg.StudyDate) == (name, "")  # the standard asks for the name, so it is there
    told = " ".join([written[0].name, caplog.text, *capfd.readouterr(), *(str(one.message) for one in shown)])
    assert "Canary" not in told
    assert "19700101" not in told


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda m: m[:2], r"shape \(2, 4, 7, 5\), expected the cine's"),
        (lambda m: m * 2, "found labels to 6 in frame 0"),
        (lambda m: m * 0, "nothing labelled in frame 0"),
    ],
)
def test_unfit_mask_is_refused(change: Callable[[Mask], Mask], found: str, cine: Cine, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=found):
        write_dicom_seg(tmp_path / "out", change(draw_mask(cine)), cine, [0], MODEL)
    assert not (tmp_path / "out").exists()


def test_a_file_that_reads_back_otherwise_is_removed(
    cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(path: Path, data: bytes) -> None:
        path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])

    monkeypatch.setattr(dicom_seg, "write_atomically", damage)
    with pytest.raises(OSError, match="other voxels than written"):
        write_dicom_seg(tmp_path / "out", draw_mask(cine), cine, [0], MODEL)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda c: replace(c, images=c.images + 1), "no series with this study's images"),
        (lambda c: replace(c, source=replace(c.source, format="NIfTI")), "a study from NIfTI, expected one read from"),
    ],
)
def test_images_that_are_not_the_cines_are_refused(
    change: Callable[[Cine], Cine], found: str, cine: Cine, tmp_path: Path
) -> None:
    with pytest.raises(ReadError, match=found):
        write_dicom_seg(tmp_path / "out", draw_mask(cine), change(cine), [0], MODEL)


def test_images_without_a_frame_of_reference_are_refused(tmp_path: Path) -> None:
    cine = read_cine(files.save_all(tmp_path, files.build_images(SHAPE)))
    with pytest.raises(ReadError, match="no StudyInstanceUID"):
        write_dicom_seg(tmp_path / "out", draw_mask(cine), cine, [0], MODEL)


def _rename_segment(seg: Dataset) -> None:
    seg.SegmentSequence[0].SegmentLabel = "scar"
    seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"


def _move_frame(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[1] += 0.5


def _give_two_sources(seg: Dataset) -> None:
    derived = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    derived.SourceImageSequence.append(derived.SourceImageSequence[0])


def _let_overlap(seg: Dataset) -> None:
    groups = list(seg.PerFrameFunctionalGroupsSequence)
    seg.PerFrameFunctionalGroupsSequence = [*groups, groups[0]]
    frames = np.concatenate([seg.pixel_array, seg.pixel_array[:1]])
    seg.NumberOfFrames = len(frames)
    seg.PixelData = pydicom.pixels.pack_bits(frames)


def _keep_labels_only(seg: Dataset) -> None:
    for segment in seg.SegmentSequence:
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"


REFUSED: dict[str, tuple[Callable[[Dataset], Any], str]] = {
    "frame of reference": (lambda s: setattr(s, "FrameOfReferenceUID", "1.2.8"), "another frame of reference"),
    "fractional": (lambda s: setattr(s, "SegmentationType", "FRACTIONAL"), "stored as FRACTIONAL, expected BINARY"),
    "no seg": (lambda s: setattr(s, "SOPClassUID", files.MR_IMAGE), "a DICOM file of another kind"),
    "unknown segment": (_rename_segment, r"the segment scar \(SCT 1\), expected those of RV"),
    "moved": (_move_frame, "0.50 mm off its image"),
    "two sources": (_give_two_sources, "a frame made from 2 images"),
    "overlap": (_let_overlap, "overlapping segments"),
    "no segments": (lambda s: delattr(s, "SegmentSequence"), "broken DICOM"),
}


@pytest.mark.parametrize(("change", "found"), REFUSED.values(), ids=REFUSED.keys())
def test_seg_that_does_not_fit_is_refused(
    change: Callable[[Dataset], Any], found: str, cine: Cine, segs: tuple[Path, ...]
) -> None:
    seg = pydicom.dcmread(segs[0])
    change(seg)
    seg.save_as(segs[0])
    with pytest.raises(ReadError, match=found) as caught:
        read_dicom_seg(segs[0], cine)
    assert "Canary" not in str(caught.value)


def test_segments_are_known_by_label_where_the_code_is_foreign(cine: Cine, segs: tuple[Path, ...]) -> None:
    seg = pydicom.dcmread(segs[0])
    _keep_labels_only(seg)
    seg.save_as(segs[0])
    assert np.array_equal(read_dicom_seg(segs[0], cine)[2], draw_mask(cine)[2])


def test_seg_of_another_series_of_the_same_study_is_refused(segs: tuple[Path, ...], tmp_path: Path) -> None:
    """The same places and frame of reference, other instances."""
    other = read_cine(save_study(tmp_path / "other"))
    with pytest.raises(ReadError, match="an image that is not the study's"):
        read_dicom_seg(segs[0], other)


def test_labels_twice_in_a_folder_are_refused(cine: Cine, segs: tuple[Path, ...]) -> None:
    (segs[0].parent / "copy.dcm").write_bytes(segs[0].read_bytes())
    with pytest.raises(ReadError, match="another file of its folder labels too"):
        read_dicom_seg(segs[0].parent, cine)


@pytest.mark.realdata
def test_sunnybrook(data_dir: Path, tmp_path: Path) -> None:
    cine = read_cine(data_dir / "sunnybrook" / "SCD0000101" / "dicom")
    mask = np.zeros(cine.images.shape, np.uint8)
    mask[7, 2:9, 100:140, 90:150] = 3
    mask[7, 3, 50:60, 90:95] = 1
    written = write_dicom_seg(tmp_path, mask, cine, [7], MODEL)
    assert np.array_equal(read_dicom_seg(written[0], cine), mask)
