"""ED and ES from the images alone, against where experts and the phantom have them."""

from pathlib import Path

import numpy as np
import pytest

from glrp_napari.measure import UNCHOSEN, find_phases
from glrp_napari.motion import estimate_phases
from glrp_napari.phantom import make_phantom
from glrp_napari.reading import read_cine


def is_near(found: int | None, expected: int, frames: int) -> bool:
    """Within two frames around the cycle."""
    assert found is not None
    return min((found - expected) % frames, (expected - found) % frames) <= 2


@pytest.mark.parametrize("seed", [2, 5])
def test_phases_of_a_phantom_wherever_the_cycle_begins(seed: int) -> None:
    phantom = make_phantom(seed, frames=range(0, 24, 2), slices=range(3, 6))
    truth = find_phases(phantom.mask, phantom.cine.geometry)
    for shift in (0, 5):
        found = estimate_phases(np.roll(phantom.cine.images, shift, axis=0))
        assert is_near(found.ed, truth.ed + shift, 12)
        assert is_near(found.es, truth.es + shift, 12)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("study", "ed", "es"),
    [("sunnybrook/SCD0000101/dicom", 18, 7), ("sunnybrook/SCD0000201/dicom", 19, 6),
     ("acdc/patient090/patient090_4d.nii.gz", 3, 10)],
)  # fmt: skip
def test_phases_are_near_the_experts(data_dir: Path, study: str, ed: int, es: int) -> None:
    images = read_cine(data_dir / study).images
    found = estimate_phases(images)
    assert is_near(found.ed, ed, len(images))
    assert is_near(found.es, es, len(images))


@pytest.mark.parametrize("shape", [(1, 5, 20, 20), (2, 5, 20, 20), (8, 5, 20, 20)])
def test_what_does_not_move_has_no_phases(shape: tuple[int, ...]) -> None:
    assert estimate_phases(np.full(shape, 7, np.int16)) == UNCHOSEN
