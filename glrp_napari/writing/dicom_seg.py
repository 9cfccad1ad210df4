"""Masks as DICOM SEG beside the images that they were made from, so that a PACS or another viewer can show them.

The only importer of highdicom. It must not know how the voxels came to be. Standard: DICOM PS3.3 A.51.
"""

import copy
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from pydicom.valuerep import DA, TM

import glrp_napari
from glrp_napari.cine import Cine, Mask, Structure
from glrp_napari.models import Settings
from glrp_napari.reading.dicom_headers import Image, parse_dicom, quiet_pydicom, report_damage
from glrp_napari.reading.dicom_seg import STRUCTURE_CODES, decode_seg
from glrp_napari.reading.dicom_sources import find_sources
from glrp_napari.reading.errors import ReadError
from glrp_napari.writing.atomic import write_atomically

_SOFTWARE = "glrp-napari"
_SERIES_STEP = 1000
_NEEDED = ("StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID", "SOPClassUID")
_MAY_BE_EMPTY = ("PatientID", "PatientName", "PatientSex", "AccessionNumber", "StudyID", "ReferringPhysicianName")
_CLOCKS: dict[str, type[DA] | type[TM]] = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}


class Algorithm(Settings):
    """Who drew the segments: the model's name and version, and whether a person took part (PS3.3 C.8.20.4)."""

    name: str
    version: str
    kind: Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"] = "AUTOMATIC"


def write_phases(folder: Path, mask: Mask, cine: Cine, frames: Sequence[int], algorithm: Algorithm) -> Iterator[Path]:
    """Write `frames` of a mask (T, Z, Y, X) as one BINARY DICOM SEG each: `<study>_frame007_seg.dcm`.

    All are one new series in the study of the cine's images; each frame of a segment refers to the image that it lies
    on, pixel for pixel. The frame of reference is that of a phase's first image. As the standard requires, a SEG
    repeats the patient and study modules of its images: it is as identifying as these (a date that is none, as
    00000000, is left empty). File names carry only the study's name and the frame, and no message says who it is.

    Every file is written whole or not at all, read back through `glrp_napari.reading.dicom_seg` and compared; one that
    differs is removed and `OSError` raised. The files take the place of an earlier export of the study to the folder:
    when all are written, its other frames are removed, for two exports side by side read as one. Raises `ReadError`
    where the cine's images are not there or lack what a SEG needs, `ValueError` for another shape, labels that are no
    `Structure`, or a frame without any.
    """
    chosen = list(dict.fromkeys(frames))
    _check_mask(mask, cine, chosen)
    phases = find_sources(cine, chosen)
    series = generate_uid()
    for t in chosen:
        data = _encode_seg(phases[t], mask[t], t, series, algorithm)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{cine.source.name}_frame{t:03d}_seg.dcm"
        write_atomically(path, data)
        only = np.zeros_like(mask)
        only[t] = mask[t]
        if not np.array_equal(decode_seg(path, phases), only):
            path.unlink()
            raise OSError(f"{path.name}: read back, found other voxels than written, expected the same; removed it")
        yield path
    _remove_others(folder, cine.source.name, chosen)


def _remove_others(folder: Path, study: str, frames: Sequence[int]) -> None:
    pattern = re.compile(rf"{re.escape(study)}_frame(\d+)_seg\.dcm")
    for file in folder.iterdir():
        if (named := pattern.fullmatch(file.name)) and int(named[1]) not in frames:
            file.unlink()


def _check_mask(mask: Mask, cine: Cine, frames: Sequence[int]) -> None:
    if mask.shape != cine.images.shape:
        raise ValueError(f"found a mask of shape {mask.shape}, expected the cine's {cine.images.shape}")
    for t in frames:
        if not 0 <= t < len(mask):
            raise ValueError(f"found no frame {t}, expected 0 to {len(mask) - 1}")
        if not set(np.unique(mask[t]).tolist()) <= {0, *Structure}:
            raise ValueError(f"found labels to {mask[t].max()} in frame {t}, expected 0-{max(Structure)}")
        if not mask[t].any():
            raise ValueError(f"found nothing labelled in frame {t}, expected at least one structure")


def _encode_seg(images: Sequence[Image], mask: Mask, t: int, series: str, algorithm: Algorithm) -> bytes:
    """The bytes of a SEG of one phase, mask (Z, Y, X)."""
    with _quiet_highdicom():
        seg = hd.seg.Segmentation(
            source_images=_load_sources(images),
            pixel_array=np.stack([mask == structure for structure in Structure], axis=-1).astype(np.uint8),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_describe_segment(structure, algorithm) for structure in Structure],
            series_instance_uid=series,
            series_number=(images[0].number or 0) + _SERIES_STEP,
            sop_instance_uid=generate_uid(),
            instance_number=t + 1,
            manufacturer=_SOFTWARE,
            manufacturer_model_name=_SOFTWARE,
            software_versions=glrp_napari.__version__,
            device_serial_number=glrp_napari.__version__,
            content_description=f"Frame {t} of a short-axis cine",
            series_description="Cardiac segmentation",
        )
        _restore_series(seg, images)
        if _is_multi_frame(images):
            _restore_frame_numbers(seg, images)
        stream = io.BytesIO()
        seg.save_as(stream)
    return stream.getvalue()


@contextmanager
def _quiet_highdicom() -> Iterator[None]:
    """Copy values that are wrong in the images as they are: highdicom's warnings would print the patient's name."""
    with quiet_pydicom(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="highdicom")
        yield


def _describe_segment(structure: Structure, algorithm: Algorithm) -> hd.seg.SegmentDescription:
    named = hd.AlgorithmIdentificationSequence(
        name=algorithm.name, version=algorithm.version, family=codes.DCM.ArtificialIntelligence
    )
    return hd.seg.SegmentDescription(
        segment_number=int(structure),
        segment_label=structure.name,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=STRUCTURE_CODES[structure][0],
        algorithm_type=algorithm.kind,
        algorithm_identification=None if algorithm.kind == "MANUAL" else named,
    )


def _load_sources(images: Sequence[Image]) -> list[Dataset]:
    """The headers of a phase's images; of a multi-frame file its header with only this phase's frames.

    highdicom wants them of one series and frame of reference. Scanners give every slice a series of its own, and
    anonymisers every image a frame of reference: all get the first image's.
    """
    if not _is_multi_frame(images):
        headers = [_load_header(image) for image in images]
        for header in headers:
            header.SeriesInstanceUID = headers[0].SeriesInstanceUID
            header.FrameOfReferenceUID = headers[0].FrameOfReferenceUID
        return headers
    if len({image.file for image in images}) > 1:
        raise ReadError(images[0].file, "a phase spread over several multi-frame files", "one, or a file a slice")
    header = copy.copy(_load_header(images[0]))
    groups = header.PerFrameFunctionalGroupsSequence
    header.PerFrameFunctionalGroupsSequence = [groups[image.index] for image in images]
    header.NumberOfFrames = len(images)
    return [header]


def _load_header(image: Image) -> Dataset:
    with report_damage(image.file):
        header = parse_dicom(image.file, image.file.read_bytes(), [])  # no tags named: all but the pixels
    for keyword in _NEEDED:
        if not header.get(keyword):
            raise ReadError(image.file, f"no {keyword}", "one, which a segmentation must repeat")
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    for keyword, kind in _CLOCKS.items():
        setattr(header, keyword, _keep_valid(header.get(keyword), kind))
    if "SliceThickness" not in header and image.slice_mm is not None:
        header.SliceThickness = image.slice_mm
    return header


def _keep_valid(value: object, kind: type[DA] | type[TM]) -> str:
    """A date or time as it is, or "" for what is none: 00000000 stands for unknown in many images."""
    try:
        kind(str(value or ""))
    except (ValueError, TypeError):
        return ""
    return str(value or "")


def _is_multi_frame(images: Sequence[Image]) -> bool:
    return len({image.file for image in images}) < len(images)


def _restore_series(seg: Dataset, images: Sequence[Image]) -> None:
    """Refer to the images under the series that each is of."""
    (listed,) = seg.ReferencedSeriesSequence
    true_series = {image.uid.rpartition("#")[0]: image.series for image in images}
    by_series: dict[str, list[Dataset]] = {}
    for instance in listed.ReferencedInstanceSequence:
        by_series.setdefault(true_series[instance.ReferencedSOPInstanceUID], []).append(instance)
    items = []
    for uid, instances in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID, item.ReferencedInstanceSequence = uid, instances
        items.append(item)
    seg.ReferencedSeriesSequence = items


def _restore_frame_numbers(seg: Dataset, images: Sequence[Image]) -> None:
    """Refer to the frames by their numbers in the file, not among those of the phase."""
    items = [
        groups.DerivationImageSequence[0].SourceImageSequence[0] for groups in seg.PerFrameFunctionalGroupsSequence
    ]
    for source in {id(item): item for item in items}.values():  # the segments of a slice share theirs
        source.ReferencedFrameNumber = images[int(source.ReferencedFrameNumber) - 1].index + 1
