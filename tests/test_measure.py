"""Volumes, phases and function against shapes of known volume and another library's."""

import json
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.cine import Geometry, Mask, Structure
from glrp_napari.extent import Extent
from glrp_napari.measure import Phases, find_phases, measure_function, measure_volumes
from glrp_napari.norms import measure_bsa

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
    function = measure_function(count_cells([20, 14, 8], myo=5, rv=[16, 10, 6]), ONE_ML, rr_ms=800.0, bsa_m2=1.6)
    assert (function.ed, function.es) == (0, 2)
    lv = {"edv_ml": 20, "esv_ml": 8, "sv_ml": 12, "ef_percent": 60, "output_l_min": 0.9}
    indexed = {"edvi_ml_m2": 12.5, "esvi_ml_m2": 5, "svi_ml_m2": 7.5, "index_l_min_m2": 0.56}
    assert function.lv.model_dump() == pytest.approx(lv | indexed)
    assert (function.bsa_m2, function.lv_mass_g_m2) == (1.6, 3.28)
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


@pytest.mark.parametrize(
    ("chosen", "expected", "ef_percent"),
    [
        (Phases(None, None), (0, 2), 60.0),
        (Phases(1, None), (1, 2), 42.86),
        (Phases(None, 3), (0, 3), 40.0),
        (Phases(4, 3), (4, 3), 33.33),
    ],
)
def test_the_readers_phases_stand(chosen: Phases, expected: tuple[int, int], ef_percent: float) -> None:
    mask = count_cells([20, 14, 8, 12, 18])
    assert find_phases(mask, ONE_ML, chosen=chosen) == expected
    assert measure_function(mask, ONE_ML, chosen=chosen).lv.ef_percent == ef_percent


def test_a_phase_that_is_not_segmented_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ES is chosen as frame 2: expected one of \[0, 1\]"):
        measure_function(count_cells([20, 14, 8]), ONE_ML, frames=[0, 1], chosen=Phases(None, 2))


def test_only_slices_inside_the_extent_count_and_phases_stay() -> None:
    """Slice z of frame 0 holds z + 1 ml of each structure, of frame 1 half as much."""
    mask = np.zeros((2, 4, 3, 10), np.uint8)
    for structure in Structure:
        for z in range(4):
            mask[0, z, structure - 1, : 2 * z + 2] = structure
            mask[1, z, structure - 1, : z + 1] = structure
    geometry = Geometry(spacing_mm=(5.0, 10.0, 10.0))
    whole = measure_function(mask, geometry)
    assert (whole.lv.edv_ml, whole.rv.edv_ml, whole.lv_mass_g) == (10, 10, 10.5)
    extents = {0: Extent(lv=(1, 2), rv=(0, 0)), 1: Extent(lv=(2, 3), rv=None)}
    function = measure_function(mask, geometry, extents=extents)
    assert (function.lv.edv_ml, function.lv.esv_ml, function.lv_mass_g) == (5, 3.5, 5.25)
    assert (function.rv.edv_ml, function.rv.esv_ml, function.rv.ef_percent) == (1, None, None)
    tiny = measure_function(mask, geometry, extents={0: Extent(lv=(0, 0), rv=(0, 3))})
    assert (tiny.ed, tiny.es, tiny.volumes_ml["LV"]) == (0, 1, (1, 5))
    with pytest.raises(ValueError, match="for frame 2: expected 0 to 1"):
        measure_volumes(mask, geometry, {2: Extent()})


@pytest.mark.parametrize("lv", [[0, 0], [7, 0], [7]])
def test_case_71_undefined_is_none_in_json(lv: list[int]) -> None:
    function = measure_function(count_cells(lv), ONE_ML, rr_ms=800.0)
    values = json.loads(function.model_dump_json(), parse_constant=pytest.fail)
    assert values["ed"] is values["es"] is values["lv_mass_g"] is values["lv"]["ef_percent"] is None
    assert "not defined" in str(function)


def test_mask_of_one_frame_is_refused_without_its_axis() -> None:
    with pytest.raises(ValueError, match=r"found shape \(1, 1, 60\)"):
        measure_volumes(count_cells([3])[0], ONE_ML)


def read_patient(folder: Path) -> tuple[dict[str, str], Mask, Geometry]:
    """Info.cfg, and the truth at ED and ES read by nibabel (spacing from pixdim: the affine has none)."""
    import nibabel

    lines = (folder / "Info.cfg").read_text().splitlines()
    info = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    paths = [folder / f"{folder.name}_frame{int(info[phase]):02d}_gt.nii.gz" for phase in ("ED", "ES")]
    images = [nibabel.load(path) for path in paths]
    mask = np.stack([np.asarray(image.dataobj).T.astype(np.uint8) for image in images])
    x, y, z = images[0].header.get_zooms()[:3]
    return info, mask, Geometry(spacing_mm=(float(z), float(y), float(x)))


@pytest.mark.realdata
@pytest.mark.parametrize("patient", ["patient001", "patient040", "patient050", "patient070", "patient081"])
def test_volumes_equal_another_library(data_dir: Path, patient: str) -> None:
    import SimpleITK as sitk

    info, mask, geometry = read_patient(data_dir / "acdc" / patient)
    volumes = measure_volumes(mask, geometry)
    for t, phase in enumerate(("ED", "ES")):
        path = data_dir / "acdc" / patient / f"{patient}_frame{int(info[phase]):02d}_gt.nii.gz"
        shapes = sitk.LabelShapeStatisticsImageFilter()
        shapes.Execute(sitk.ReadImage(str(path), sitk.sitkUInt8))
        for structure, volume in volumes.items():
            assert volume[t] == pytest.approx(shapes.GetPhysicalSize(int(structure)) / 1000, abs=0.1)


@pytest.mark.realdata
def test_diseases_show_in_the_measurements(data_dir: Path) -> None:
    """Means of five patients a group: dilated hearts eject little, hypertrophic ones are heavy."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for number in (n for first in (1, 21, 41, 61, 81) for n in range(first, first + 5)):
        info, mask, geometry = read_patient(data_dir / "acdc" / f"patient{number:03d}")
        bsa = measure_bsa(float(info["Height"]), float(info["Weight"]))
        function = measure_function(mask, geometry, bsa_m2=bsa)
        assert (function.ed, function.es) == (0, 1)
        values = (function.lv.ef_percent, function.lv_mass_g_m2, function.rv.edvi_ml_m2)
        found.setdefault(info["Group"], []).append(values)  # type: ignore[arg-type]
    ejection, mass, right = ({g: np.mean([v[i] for v in values]) for g, values in found.items()} for i in range(3))
    assert ejection["DCM"] < 30 < ejection["MINF"] + 5 < 50 < min(ejection["NOR"], ejection["HCM"])
    assert mass["HCM"] > 1.4 * mass["NOR"]
    assert max(right, key=lambda group: right[group]) == "RV"
