"""Files damaged at random: an error or a study, never another exception, never a hang."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from glrp_napari.reading import ReadError, read_cine

from .dicom_files import Cine, build_enhanced, build_image, save_image
from .nifti_files import build_nifti, encode_places


def _itk(path: Path) -> bytes:
    sitk.WriteImage(sitk.GetImageFromArray(encode_places(), isVector=False), str(path), True)
    return path.read_bytes()


MAKERS: dict[str, Callable[[Path], bytes]] = {
    "nifti": lambda folder: build_nifti(encode_places()),
    "nifti_gz": lambda folder: gzip.compress(build_nifti(encode_places())),
    "nrrd": lambda folder: _itk(folder / "good.nrrd"),
    "metaimage": lambda folder: _itk(folder / "good.mha"),
    "dicom": lambda folder: save_image(folder / "good.dcm", build_image(Cine(), 0, 0)).read_bytes(),
    "enhanced": lambda folder: save_image(folder / "good.dcm", build_enhanced(Cine())).read_bytes(),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.filterwarnings("ignore")
def test_load_08_damaged_files(make: Callable[[Path], bytes], tmp_path: Path) -> None:
    good, path = make(tmp_path), tmp_path / "study"
    rng = np.random.default_rng(8)
    refused = 0
    for _ in range(100):
        data = bytearray(good)
        for place in rng.integers(0, min(len(data), 1500), rng.integers(1, 5)):
            data[place] = rng.choice([0, 1, 0x20, 0x2D, 0x39, 0x7F, 0x80, 0xFF, rng.integers(256)])
        path.write_bytes(data[: rng.integers(1, len(data))] if rng.random() < 0.2 else data)
        try:
            read_cine(path)
        except ReadError:
            refused += 1
    assert refused > 5
