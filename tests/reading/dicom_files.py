"""A small DICOM factory for tests: a cine of tilted slices whose pixels hold their own (t, z, y, x)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
CANARY = "Canary^Patient"
TILTED = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
LONG_AXIS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Cine:
    """What to write: `slices` × `frames` images of `size` pixels (rows, columns)."""

    frames: int = 4
    slices: int = 3
    size: tuple[int, int] = (6, 5)
    orientation: tuple[float, ...] = TILTED
    start: tuple[float, float, float] = (-20.0, 30.0, 40.0)
    step_mm: float = 8.0
    number: int | None = 7
    uid: str = "1.2.3.7"
    label: str = "cine"
    patient: str = "P1"
    modality: str = "MR"


def normal_of(cine: Cine) -> NDArray[np.float64]:
    return np.cross(cine.orientation[:3], cine.orientation[3:])


def build_images(cine: Cine) -> list[FileDataset]:
    """One data set a slice and frame, slice by slice; TriggerTime differs a little from slice to slice."""
    return [build_image(cine, t, z) for z in range(cine.slices) for t in range(cine.frames)]


def build_image(cine: Cine, t: int, z: int) -> FileDataset:
    dataset = _start(MR_IMAGE, cine)
    dataset.InstanceNumber = 1 + z * cine.frames + t
    dataset.TriggerTime = f"{t * 40 + z:.1f}"
    dataset.TemporalPositionIdentifier = t + 1
    dataset.AcquisitionTime = f"1200{z:02d}.{t:06d}"
    dataset.ImagePositionPatient = _position(cine, z)
    dataset.ImageOrientationPatient = list(cine.orientation)
    dataset.PixelSpacing = [1.25, 1.5]
    dataset.SliceThickness, dataset.SpacingBetweenSlices = 6, cine.step_mm
    _set_pixels(dataset, encode_frame(t, z, cine.size))
    return dataset


def build_enhanced(cine: Cine) -> FileDataset:
    """The whole cine as one enhanced multi-frame object, frames stored in a scrambled order."""
    dataset = _start(ENHANCED_MR, cine)
    dataset.InstanceNumber = 1
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[1.25, 1.5], SliceThickness=6, SpacingBetweenSlices=8)]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=list(cine.orientation))]
    order = [(t, z) for t in range(cine.frames) for z in range(cine.slices)][::-1]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[_item(ImagePositionPatient=_position(cine, z))],
            CardiacSynchronizationSequence=[_item(NominalCardiacTriggerDelayTime=40.0 * t)],
            FrameContentSequence=[_item(TemporalPositionIndex=t + 1)],
        )
        for t, z in order
    ]
    _set_pixels(dataset, np.stack([encode_frame(t, z, cine.size) for t, z in order]))
    dataset.NumberOfFrames = len(order)
    return dataset


def save_all(folder: Path, images: Iterable[FileDataset], seed: int = 0) -> Path:
    """Files without suffix, in an order of names that says nothing, in a nested folder."""
    images = list(images)
    names = np.random.default_rng(seed).permutation(len(images))
    nested = folder / "ST0001" / "SE0001"
    nested.mkdir(parents=True, exist_ok=True)
    for name, image in zip(names, images, strict=True):
        save_image(nested / f"IM{seed}_{name:04d}", image)
    return folder


def save_image(path: Path, image: Dataset, preamble: bool = True) -> Path:
    image.save_as(path, enforce_file_format=preamble)
    return path


def expected_voxels(cine: Cine) -> NDArray[np.int16]:
    """The voxels (T, Z, Y, X) that reading must give."""
    return np.array(
        [[encode_frame(t, z, cine.size) for z in range(cine.slices)] for t in range(cine.frames)], dtype=np.int16
    )


def encode_frame(t: int, z: int, size: tuple[int, int]) -> NDArray[np.int16]:
    y, x = np.indices(size)
    return (1000 * t + 100 * z + 10 * y + x + 1).astype(np.int16)


def rename(cine: Cine, number: int, **changes: object) -> Cine:
    """The same cine as another series."""
    return replace(cine, number=number, uid=f"1.2.3.{number}", **changes)  # type: ignore[arg-type]


def _position(cine: Cine, z: int) -> list[str]:
    return [f"{value:.4f}" for value in np.array(cine.start) + z * cine.step_mm * normal_of(cine)]


def _start(sop_class: str, cine: Cine) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = CANARY, cine.patient, "19700101"
    dataset.SeriesInstanceUID, dataset.SeriesNumber = cine.uid, cine.number
    dataset.SeriesDescription, dataset.Modality = cine.label, cine.modality
    return dataset


def _set_pixels(dataset: Dataset, pixels: NDArray[np.int16]) -> None:
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels.astype("<i2").tobytes()


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
