"""The heart cycle of a scan that covers only a part of it, and what its curve and output make of that."""

from pathlib import Path
from typing import Any

import pytest

from glrp_napari.cine import with_heart_rate
from glrp_napari.reading import read_cine

from .dicom_files import Cine, build_images, save_all

COVERED = "the frames cover 80% of the heart cycle of 500 ms; the rest was not imaged"
SHORTER = "the file says RR 300 ms; its trigger times say 400 ms, which is used"


@pytest.mark.parametrize(
    ("tags", "rr_ms", "said"),
    [
        ({}, 400, None),
        ({"NominalInterval": "500"}, 500, COVERED),
        ({"HeartRate": "120"}, 500, COVERED),
        ({"NominalInterval": "410", "HeartRate": "90"}, 400, None),
        ({"NominalInterval": "300"}, 400, SHORTER),
        ({"NominalInterval": "0"}, 400, None),
        ({"NominalInterval": "90000"}, 400, None),
        ({"HeartRate": "0"}, 400, None),
    ],
)
def test_a_cycle_is_the_file_s_where_its_frames_cover_less(
    tags: dict[str, Any], rr_ms: float, said: str | None, tmp_path: Path
) -> None:
    images = build_images(Cine(frames=10, slices=3))
    for image in images:
        for keyword, value in tags.items():
            setattr(image, keyword, value)
    cine = read_cine(save_all(tmp_path / "study", images))
    assert cine.rr_ms == pytest.approx(rr_ms)
    assert cine.interval_ms == pytest.approx(40)
    assert ([] if said is None else [said]) == [text for text in cine.warnings if "ms" in text]
    assert with_heart_rate(cine, 100).rr_ms == pytest.approx(600)
