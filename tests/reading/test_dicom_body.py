"""Height and weight of a DICOM study: taken where an adult's, left with a word where absurd, and never told."""

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from glrp_napari.cine import Body
from glrp_napari.reading import read_cine

from .dicom_files import Cine, build_enhanced, build_images, save_all

HEIGHT, WEIGHT = (0x0010, 0x1020), (0x0010, 0x1030)
TALL = "the height in the file is no adult's (100 to 250 cm) and is not used"
HEAVY = "the weight in the file is no adult's (25 to 350 kg) and is not used"


def save_study(folder: Path, height: bytes | None, weight: bytes | None, enhanced: bool = False) -> Path:
    """A cine with these tags as they stand, right or wrong, in its images."""
    images: list[Any] = [build_enhanced(Cine())] if enhanced else build_images(Cine())
    for image in images:
        for place, value in ((HEIGHT, height), (WEIGHT, weight)):
            if value is not None:
                padded = value + b" " * (len(value) % 2)
                image._dict[Tag(place)] = RawDataElement(Tag(place), "DS", len(padded), padded, 0, False, True)
    return save_all(folder, images)


@pytest.mark.parametrize("enhanced", [False, True])
def test_metres_become_centimetres(enhanced: bool, tmp_path: Path) -> None:
    cine = read_cine(save_study(tmp_path, b"1.737", b"81.3", enhanced))
    assert (cine.body, cine.warnings) == (Body(173.7, 81.3), ())
    assert "173" not in repr(cine)


@pytest.mark.parametrize(
    ("height", "weight", "body", "told"),
    [
        (None, None, Body(), ()),
        (b"", b"", Body(), ()),
        (b"0", b"0.0", Body(), ()),
        (b"1", b"25", Body(100, 25), ()),
        (b"2.5", b"350", Body(250, 350), ()),
        (b"1.8", None, Body(180, None), ()),
        (b"173.7", b"81.3", Body(None, 81.3), (TALL,)),
        (b"-1.737", b"813", Body(), (TALL, HEAVY)),
        (b"1,737", b"1e400", Body(), (TALL, HEAVY)),
        (b"NaN", b"81.3\\81.3", Body(), (TALL, HEAVY)),
    ],
)
def test_what_is_no_adults_is_not_used_and_absurd_only_is_told(
    height: bytes | None,
    weight: bytes | None,
    body: Body,
    told: tuple[str, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    study = save_study(tmp_path, height, weight)
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        cine = read_cine(study)
    assert (cine.body, cine.warnings) == (body, told)
    said = " ".join([caplog.text, *capfd.readouterr(), *(str(one.message) for one in shown)])
    assert not any(value in said for value in ("737", "81.3", "813", "1e400"))
