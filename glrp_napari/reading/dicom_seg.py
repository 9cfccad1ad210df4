"""DICOM SEG as masks: segments put on the grid of the cine whose images they refer to.

Read with pydicom alone, so that it also checks what highdicom wrote. It must not know how a cine is read; nothing of
the patient reaches a message. Standard: DICOM PS3.3 A.51, C.8.20.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.reading.dicom_headers import Image, parse_dicom, quiet_pydicom, report_damage
from glrp_napari.reading.dicom_sources import Phases, find_sources, source_key
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.formats import is_dicom

STRUCTURE_CODES: dict[Structure, tuple[Code, ...]] = {
    Structure.RV: (codes.SCT.RightVentricle,),
    Structure.MYO: (codes.SCT.LeftVentricleMyocardium, Code("74281007", "SCT", "Myocardium")),
    Structure.LV: (codes.SCT.LeftVentricle,),
}
"""What a segment of each structure is called in SNOMED CT (PS3.16 CID 7152, 12305); the first is what is written."""
_SEG_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
_SAME_PIXELS = 0.1
"""A segment's frame lies within a tenth of a pixel of its image."""
_TAGS: list[Any] = [
    "SOPClassUID", "FrameOfReferenceUID", "SegmentationType", "SegmentSequence", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelData",
]  # fmt: skip


def read_dicom_seg(path: Path | str, cine: Cine) -> Mask:
    """Read a DICOM SEG, or all that lie in a folder, as a mask uint8 (T, Z, Y, X) on the cine's grid.

    Every frame of a segment goes where the image lies that it names as its source; frames that none refers to are 0.
    Segments are known by their code, else by the label RV, MYO or LV. Raises `ReadError` for a SEG of another frame of
    reference, other images or another pixel grid, for overlapping or unknown segments and for types but BINARY.
    """
    path = Path(path)
    phases = find_sources(cine, frames=[0])
    mask = np.zeros(cine.images.shape, np.uint8)
    for file in _list_segs(path):
        found = decode_seg(file, phases)
        if (found.astype(bool) & mask.astype(bool)).any():
            raise ReadError(file, "voxels that another file of its folder labels too", "each labelled once")
        mask |= found
    return mask


def decode_seg(file: Path, phases: Phases) -> Mask:
    """One SEG file as a mask (T, Z, Y, X) on the grid of `phases[t][z]`. Raises `ReadError` as `read_dicom_seg`."""
    with quiet_pydicom(), report_damage(file):
        dataset = parse_dicom(file, file.read_bytes(), _TAGS)
        _check_kind(file, dataset)
        structures = _map_segments(file, dataset)
        pixels = _unpack_pixels(file, dataset, phases[0][0].size)
        places = {image.uid: (t, z) for t, phase in enumerate(phases) for z, image in enumerate(phase)}
        mask = np.zeros((len(phases), len(phases[0]), *phases[0][0].size), np.uint8)
        used: set[Path] = set()
        for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
            t, z = _find_place(file, groups, places)
            used.update(image.file for image in phases[t])
            _check_grid(file, dataset, groups, phases[t][z])
            if mask[t, z][frame].any():
                raise ReadError(file, "overlapping segments", "segments that exclude each other")
            mask[t, z][frame] = structures[int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
        _check_reference(file, dataset, used)
    return mask


def is_dicom_seg(path: Path) -> bool:
    """Whether a mask is DICOM SEG: a file of that kind, or a folder, which no other mask is."""
    return path.is_dir() or (path.is_file() and _is_seg(path))


def _list_segs(path: Path) -> Iterator[Path]:
    """The file itself, or the SEG files in the folder, not below it."""
    if not path.is_dir():
        yield path
        return
    found = [file for file in sorted(path.iterdir()) if file.is_file() and _is_seg(file)]
    if not found:
        raise ReadError(path, "no DICOM SEG", "at least one")
    yield from found


def _is_seg(file: Path) -> bool:
    with file.open("rb") as stream:
        start = stream.read(4096)
    return is_dicom(start) and _SEG_STORAGE.encode() in start


def _check_kind(file: Path, dataset: Dataset) -> None:
    if str(dataset.get("SOPClassUID", "")) != _SEG_STORAGE:
        raise ReadError(file, "a DICOM file of another kind", "a DICOM SEG")
    kind = str(dataset.get("SegmentationType", "no type"))
    if kind != "BINARY" or int(dataset.BitsAllocated) != 1:
        raise ReadError(file, f"segments stored as {kind}", "BINARY")


def _check_reference(file: Path, dataset: Dataset, images: set[Path]) -> None:
    """The frame of reference must be that of an image of its phase (an anonymiser may give each its own)."""
    headers = [parse_dicom(image, image.read_bytes(), ["FrameOfReferenceUID"]) for image in images]
    known = {str(header.get("FrameOfReferenceUID", "")) for header in headers}
    if str(dataset.get("FrameOfReferenceUID", "")) not in known:
        raise ReadError(file, "another frame of reference than its images'", "a segmentation of this study")


def _map_segments(file: Path, dataset: Dataset) -> dict[int, Structure]:
    return {int(segment.SegmentNumber): _map_segment(file, segment) for segment in dataset.SegmentSequence}


def _map_segment(file: Path, segment: Dataset) -> Structure:
    coded = segment.SegmentedPropertyTypeCodeSequence[0]
    code = Code(str(coded.CodeValue), str(coded.CodingSchemeDesignator), str(coded.CodeMeaning))
    label = str(segment.get("SegmentLabel", "")).strip()
    for structure, names in STRUCTURE_CODES.items():
        if code in names:
            return structure
    if label.upper() in Structure.__members__:
        return Structure[label.upper()]
    known = ", ".join(f"{structure.name} ({names[0].value})" for structure, names in STRUCTURE_CODES.items())
    raise ReadError(file, f"the segment {label} ({code.scheme_designator} {code.value})", f"those of {known}")


def _unpack_pixels(file: Path, dataset: Dataset, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The frames of all segments, (N, Y, X)."""
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    if shape[1:] != size:
        raise ReadError(file, f"{shape[1:]} pixels", f"{size} as the study's images")
    pixels: NDArray[np.bool_] = np.asarray(dataset.pixel_array).reshape(shape).astype(bool)
    return pixels


def _find_place(file: Path, groups: Dataset, places: dict[str, tuple[int, int]]) -> tuple[int, int]:
    derivations = groups.get("DerivationImageSequence") or []
    sources = [source for derived in derivations for source in derived.SourceImageSequence]
    if len(sources) != 1:
        raise ReadError(file, f"a frame made from {len(sources)} images", "from one image each")
    key = source_key(str(sources[0].ReferencedSOPInstanceUID), sources[0].get("ReferencedFrameNumber"))
    if key not in places:
        raise ReadError(file, "a frame made from an image that is not the study's", "a segmentation of this study")
    return places[key]


def _check_grid(file: Path, dataset: Dataset, groups: Dataset, image: Image) -> None:
    """The corners of a frame must lie where those of its image do."""
    holders = (groups, dataset.SharedFunctionalGroupsSequence[0])
    position = _get_group(holders, "PlanePositionSequence").ImagePositionPatient
    cosines = _get_group(holders, "PlaneOrientationSequence").ImageOrientationPatient
    spacing = _get_group(holders, "PixelMeasuresSequence").PixelSpacing
    found = _corners(position, np.reshape([float(c) for c in cosines], (2, 3)), spacing, image.size)
    expected = _corners(image.position, np.array(image.directions), image.spacing_mm, image.size)
    apart = float(np.linalg.norm(found - expected, axis=1).max())
    if apart > _SAME_PIXELS * min(image.spacing_mm):
        raise ReadError(file, f"a frame {apart:.2f} mm off its image", "one on its image's pixels")


def _get_group(holders: tuple[Dataset, ...], name: str) -> Dataset:
    """A functional group's item, of the frame or shared by all (PS3.3 C.7.6.16)."""
    group: Dataset = next(holder[name].value[0] for holder in holders if name in holder)
    return group


def _corners(position: Any, directions: NDArray[np.float64], spacing: Any, size: Any) -> NDArray[np.float64]:  # noqa: ANN401
    """Centres of the four corner pixels in mm, (4, 3)."""
    row, column = directions
    down, right = ((n - 1) * float(mm) for n, mm in zip(size, spacing, strict=True))
    start = np.array([float(value) for value in position])
    return np.stack([start + i * down * column + j * right * row for i in (0, 1) for j in (0, 1)])
