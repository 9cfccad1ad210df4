"""The pixels of DICOM images, held against what the header declares.

It must not know how images make a cine. Standard: DICOM PS3.3 C.7.6.3, PS3.5 8.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from glrp_napari.reading.dicom_headers import Image, parse_dicom, quiet_pydicom, report_damage
from glrp_napari.reading.errors import ReadError

_MOST_FILE_BYTES = 4 * 2**30
_MOST_PIXELS = 2**31
_TAGS = [
    "PixelData", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration",
]  # fmt: skip


def read_pixels(images: Sequence[Image]) -> NDArray[np.generic]:
    """The grey values of `images`, (N, Y, X): as stored where no image is rescaled, else rescaled each, float32.

    Every file is read once. Raises `ReadError` naming the file that does not hold what its header declares.
    """
    by_file: dict[Path, list[int]] = {}
    for place, image in enumerate(images):
        by_file.setdefault(image.file, []).append(place)
    stored: list[NDArray[np.generic]] = [np.empty(0)] * len(images)
    for file, places in by_file.items():
        with quiet_pydicom(), report_damage(file):
            frames = _read_frames(file)
        for place in places:
            stored[place] = frames[images[place].index]
    if all((image.slope, image.intercept) == (1.0, 0.0) for image in images):
        return np.stack(stored)
    scaled = [
        (frame.astype(np.float64) * image.slope + image.intercept).astype(np.float32)
        for frame, image in zip(stored, images, strict=True)
    ]
    return np.stack(scaled)


def _read_frames(file: Path) -> NDArray[np.generic]:
    """All frames of a file, (N, Y, X), as stored."""
    size = file.stat().st_size
    if size > _MOST_FILE_BYTES:
        raise ReadError(file, f"a file of {size} bytes", f"at most {_MOST_FILE_BYTES}")
    dataset = parse_dicom(file, file.read_bytes(), _TAGS)
    shape, dtype = _declared_pixels(file, dataset)
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    if syntax and syntax.is_transfer_syntax and syntax.is_compressed:
        return _decode(file, dataset, syntax, shape)
    expected = int(np.prod(shape)) * dtype.itemsize
    declared = getattr(dataset.get_item("PixelData"), "length", None)  # before the value is converted
    data = dataset.PixelData
    if not expected <= len(data) <= expected + 1:
        raise ReadError(file, f"{len(data)} bytes of pixels", f"{expected} as its header declares")
    if declared not in (len(data), len(data) + len(data) % 2):
        raise ReadError(file, f"pixels said to be {declared} bytes long", f"{expected}")
    return np.frombuffer(data, dtype, int(np.prod(shape))).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _declared_pixels(file: Path, dataset: Dataset) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    if "PixelData" not in dataset:
        raise ReadError(file, "no pixels", "an image")
    kind = str(dataset.get("PhotometricInterpretation", "MONOCHROME2")).strip()
    samples = int(dataset.get("SamplesPerPixel", 1))
    bits = int(dataset.get("BitsAllocated", 0))
    if samples != 1 or kind not in ("MONOCHROME1", "MONOCHROME2") or bits not in (8, 16, 32):
        raise ReadError(file, f"{samples} × {bits} bits a pixel, {kind}", "one grey value of 8, 16 or 32 bits")
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    if not 0 < np.prod(shape, dtype=object) <= _MOST_PIXELS or min(shape) < 1:
        raise ReadError(file, f"{shape} pixels", f"1 to {_MOST_PIXELS}")
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    order = "<" if dataset.original_encoding[1] is not False else ">"
    return shape, np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}")


def _decode(file: Path, dataset: Dataset, syntax: UID, shape: tuple[int, int, int]) -> NDArray[np.generic]:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise ReadError(file, f"pixels compressed as {syntax.name}", "a compression that pydicom knows") from error
    if not decoder.is_available:
        packages = "; ".join(decoder.missing_dependencies)
        raise ReadError(file, f"pixels compressed as {syntax.name}", f"one of these packages installed: {packages}")
    try:
        pixels: NDArray[np.generic] = np.asarray(dataset.pixel_array)
    except Exception as error:  # codecs raise whatever they like on damaged data
        raise ReadError(file, f"damaged {syntax.name} pixels ({type(error).__name__})", f"{shape} pixels") from error
    if pixels.size != np.prod(shape):
        raise ReadError(file, f"{pixels.shape} pixels", f"{shape} as its header declares")
    return pixels.reshape(shape)
