import json
import re
from pathlib import Path

import numpy as np
import pytest
from glrp_training.direction import estimate_apex_first, measure_base_lead, number_positions, read_apex_first

from glrp_napari.cine import Geometry
from glrp_napari.phantom import make_phantom
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask

UNKNOWN = Geometry(spacing_mm=(8, 1.5, 1.5))
"""As a header has it that says nothing of the orientation."""


def lay_along(axis: tuple[float, float, float]) -> Geometry:
    """A geometry whose slices follow each other in the direction of `axis`."""
    _, _, turned = np.linalg.svd(np.array([axis]))
    z = np.array(axis) / np.linalg.norm(axis)
    return Geometry(spacing_mm=(8, 1.5, 1.5), axes=(tuple(z), tuple(turned[1]), tuple(turned[2])))


@pytest.mark.parametrize(
    ("slices", "apex_first", "expected"),
    [(4, False, [0.25, 0.5, 0.75, 1]), (4, True, [1, 0.75, 0.5, 0.25]), (1, True, [1]), (2, False, [0.5, 1])],
)
def test_positions_run_from_base_to_apex(slices: int, apex_first: bool, expected: list[float]) -> None:
    assert number_positions(slices, apex_first).tolist() == expected


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ((0.62, -0.60, -0.50), False),
        ((-0.62, 0.60, 0.50), True),
        ((0.8, -0.6, -0.1), False),
        ((-0.3, 0.6, 0.74), True),
        ((0, 0, 1), None),
        ((0, 0.1, -1), None),
        ((1, 0, 0), None),
        ((0.7, 0.7, 0.1), None),
    ],
    ids=["usual", "turned round", "lying heart", "standing heart", "no header", "axial", "sagittal", "not of a heart"],
)
def test_the_header_decides_only_where_it_can_be_trusted(
    axis: tuple[float, float, float], expected: bool | None
) -> None:
    assert read_apex_first(lay_along(axis)) is expected
    if expected is not None:
        upside_down = np.zeros((2, 3, 8, 8))
        assert estimate_apex_first(upside_down, lay_along(axis)) is expected


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("frames", [(0, 9), (0,)], ids=["ED and ES", "one frame"])
def test_images_tell_where_the_base_is(seed: int, frames: tuple[int, ...]) -> None:
    phantom = make_phantom(seed, frames=frames).cine
    spacing_mm = phantom.geometry.spacing_mm
    lead = measure_base_lead(phantom.images, spacing_mm)
    assert 0 < lead <= 2
    assert measure_base_lead(phantom.images[:, ::-1], spacing_mm) == pytest.approx(-lead, abs=1e-5)
    assert measure_base_lead(3.0 * phantom.images + 7, spacing_mm) == pytest.approx(lead, abs=1e-3)
    turned = Geometry(spacing_mm=spacing_mm)
    assert estimate_apex_first(phantom.images[:, ::-1], turned)
    assert not estimate_apex_first(phantom.images, turned)


def test_of_images_without_content_nothing_is_known() -> None:
    assert measure_base_lead(np.ones((2, 5, 32, 32)), (8, 1.5, 1.5)) == 0


@pytest.mark.realdata
def test_the_direction_of_acdc_is_found_in_95_of_100(data_dir: Path) -> None:
    """Tuned on the 70 patients of `labelled_order` (2 wrong); of the other 30 one is wrong."""
    split = json.loads((data_dir / "acdc_split.json").read_text())
    tuned = [is_right(data_dir / "acdc" / patient) for patient in split["labelled_order"]]
    others = [is_right(data_dir / "acdc" / patient) for patient in (*split["val"], *split["test"])]
    assert np.mean(tuned) >= 0.95
    assert np.mean(others) >= 0.95


@pytest.mark.realdata
@pytest.mark.parametrize("study", ["SCD0000101", "SCD0000201"])
def test_the_direction_of_sunnybrook_is_in_its_header(data_dir: Path, study: str) -> None:
    cine = read_cine(data_dir / "sunnybrook" / study / "dicom")
    assert estimate_apex_first(cine.images, cine.geometry)


def is_right(folder: Path) -> bool:
    """Whether the content of a patient's ED and ES frames tells what the masks do; it is as hard turned round."""
    numbers = re.findall(r"^E[DS]: *(\d+)", (folder / "Info.cfg").read_text(), re.MULTILINE)
    names = [f"{folder.name}_frame{int(number):02d}" for number in numbers]
    cines = [read_cine(folder / f"{name}.nii.gz") for name in names]
    assert all(read_apex_first(cine.geometry) is None for cine in cines)
    mask = np.concatenate([read_mask(folder / f"{n}_gt.nii.gz", cine) for n, cine in zip(names, cines, strict=True)])
    cavities = ((mask == 1) | (mask == 3)).sum((0, 2, 3))
    labelled = np.flatnonzero(mask.any((0, 2, 3)))
    middle = (labelled[0] + labelled[-1]) / 2
    apex_first = bool((cavities @ np.arange(len(cavities))) / cavities.sum() > middle)
    frames = np.concatenate([cine.images for cine in cines])
    return (measure_base_lead(frames, cines[0].geometry.spacing_mm) < 0) == apex_first
