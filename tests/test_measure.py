"""Volumes, phases and function against shapes of known volume and another library's."""

import json
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.measure import find_phases, measure_function, measure_volumes

GEOMETRY = Geometry(spacing_mm=(4.0, 1.0, 1.25))
ONE_ML = Geometry(spacing_mm=(10.0, 10.0, 10.0))


def draw_ellipsoid(radii_mm: tuple[float, float, float]) -> Mask:
    shape = (30, 100, 90)
    grid = np.indices(shape).T * GEOMETRY.spacing_mm - (np.array(shape) - 1) / 2 * GEOMETRY.spacing_mm
    return ((grid / radii_mm) ** 2).sum(-1).T < 1


def draw_cylinder(radius_mm: float, slices: int) -> Mask:
    z, y, x = np.indices((30, 100, 90))
    return (np.hypot((y - 49.5) * 1.0, (x - 44.5) * 1.25) < radius_mm) & (z < slices)


def count_cells(lv: list[int], myo: int = 0, rv: list[int] | None = None) -> Mask:
    """A mask (T, 1, 1, 60) that holds so many voxels of 1 ml of each structure."""
    mask = np.zeros((len(lv), 1, 1, 60), np.uint8)
    for t, count in enumerate(lv):
        mask[t, 0, 0, :count] = Structure.LV
        mask[t, 0, 0, 30 : 30 + myo] = Structure.MYO
        mask[t, 0, 0, 40 : 40 + (rv[t] if rv else 0)] = Structure.RV
    return mask


@pytest.mark.parametrize(
    ("shape", "expected_ml"),
    [
        (draw_ellipsoid((45.0, 30.0, 20.0)), 4 / 3 * np.pi * 45 * 30 * 20 / 1000),
        (draw_ellipsoid((20.0, 45.0, 50.0)), 4 / 3 * np.pi * 20 * 45 * 50 / 1000),
        (draw_cylinder(32.0, 11), np.pi * 32**2 * 44 / 1000),
    ],
)
@pytest.mark.parametrize("structure", list(Structure))
def test_volume_of_known_shape(shape: Mask, expected_ml: float, structure: Structure) -> None:
    mask = np.zeros((2, *shape.shape), np.uint8)
    mask[1][shape] = structure
    volumes = measure_volumes(mask, GEOMETRY)
    assert volumes[structure][1] == pytest.approx(expected_ml, rel=0.01)
    assert sum(v.sum() for v in volumes.values()) == volumes[structure][1]


@pytest.mark.parametrize(
    ("lv", "frames", "expected"),
    [
        ([20, 14, 8, 12, 18], None, (0, 2)),
        ([8, 12, 18, 20, 14], None, (3, 0)),
        ([20, 0, 8, 0, 18], None, (0, 2)),
        ([20, 14, 8, 12, 18], [1, 3, 4], (4, 3)),
        ([20, 14, 8, 12, 18], {4, 1}, (4, 1)),
        ([20, 20, 8, 8], None, (0, 2)),
        ([0, 0, 0], None, (None, None)),
        ([0, 9, 0], None, (None, None)),
        ([20, 14], [], (None, None)),
    ],
)
def test_phases(lv: list[int], frames: list[int] | None, expected: tuple[int | None, int | None]) -> None:
    assert find_phases(count_cells(lv), ONE_ML, frames) == expected


def test_function_of_counted_cells() -> None:
    function = measure_function(count_cells([20, 14, 8], myo=5, rv=[16, 10, 6]), ONE_ML, rr_ms=800.0)
    assert (function.ed, function.es) == (0, 2)
    lv = {"edv_ml": 20, "esv_ml": 8, "sv_ml": 12, "ef_percent": 60, "output_l_min": 0.9}
    assert function.lv.model_dump() == pytest.approx(lv)
    assert (function.rv.edv_ml, function.rv.esv_ml, function.rv.ef_percent) == (16, 6, 62.5)
    assert function.lv_mass_g == pytest.approx(5 * 1.05)
    assert function.heart_rate_bpm == 75
    assert function.volumes_ml == {"RV": (16, 10, 6), "MYO": (5, 5, 5), "LV": (20, 14, 8)}
    assert str(function) == (
        "LV EDV 20 ml, ESV 8 ml, EF 60 %, mass 5 g · RV EDV 16 ml, ESV 6 ml, EF 62 % · ED frame 1, ES frame 3"
    )


def test_frames_not_segmented_are_none() -> None:
    function = measure_function(count_cells([20, 14, 8], myo=5), ONE_ML, frames=[0, 1])
    assert (function.ed, function.es) == (0, 1)
    assert function.volumes_ml["LV"] == (20, 14, None)
    assert function.rv.edv_ml is None
    assert function.lv.output_l_min is None


@pytest.mark.parametrize("lv", [[0, 0], [7, 0], [7]])
def test_case_71_undefined_is_none_in_json(lv: list[int]) -> None:
    function = measure_function(count_cells(lv), ONE_ML, rr_ms=800.0)
    values = json.loads(function.model_dump_json(), parse_constant=pytest.fail)
    assert values["ed"] is values["es"] is values["lv_mass_g"] is values["lv"]["ef_percent"] is None
    assert "not defined" in str(function)


def test_mask_of_one_frame_is_refused_without_its_axis() -> None:
    with pytest.raises(ValueError, match=r"found shape \(1, 1, 60\)"):
        measure_volumes(count_cells([3])[0], ONE_ML)


@pytest.mark.realdata
@pytest.mark.parametrize("patient", ["patient001", "patient040", "patient081"])
def test_volumes_equal_another_library(data_dir: Path, patient: str) -> None:
    import SimpleITK as sitk

    for path in sorted((data_dir / "acdc" / patient).glob("*_gt.nii.gz")):
        image = sitk.ReadImage(str(path), sitk.sitkUInt8)
        shapes = sitk.LabelShapeStatisticsImageFilter()
        shapes.Execute(image)
        x, y, z = image.GetSpacing()
        volumes = measure_volumes(sitk.GetArrayFromImage(image)[None], Geometry(spacing_mm=(z, y, x)))
        for structure, volume in volumes.items():
            assert volume[0] == pytest.approx(shapes.GetPhysicalSize(int(structure)) / 1000, abs=0.1)
