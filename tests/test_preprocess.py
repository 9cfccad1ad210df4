import numpy as np
import pytest
import torch

from glrp_napari.models import Preprocessing
from glrp_napari.preprocess import (
    Grid,
    estimate_bias_field,
    from_grid,
    labels_to_grid,
    make_grid,
    normalise_frame,
    to_grid,
)


def place(shape: tuple[int, int], mm: tuple[float, float], centre: tuple[float, float], radius: float) -> torch.Tensor:
    """A disc given in mm from the image's middle, as an image (1, Y, X)."""
    y = (torch.arange(shape[0]) - (shape[0] - 1) / 2) * mm[0] - centre[0]
    x = (torch.arange(shape[1]) - (shape[1] - 1) / 2) * mm[1] - centre[1]
    return ((y[:, None] ** 2 + x[None] ** 2) < radius**2).float()[None]


GRIDS = [
    Grid((216, 256), (1.56, 1.56), 192, 1.25),
    Grid((256, 216), (0.7, 0.7), 192, 1.25),
    Grid((131, 97), (1.95, 1.4), 128, 1.25, (10.0, -15.0)),
    Grid((16, 16), (8.0, 8.0), 64, 2.0),
    Grid((2048, 2048), (0.17, 0.17), 192, 1.25, (-20.0, 30.0)),
]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_disc_keeps_its_place_and_area_in_mm(grid: Grid) -> None:
    disc = place(grid.shape, grid.native_mm, (5.0, -8.0), 24.0)
    seen = to_grid(disc, grid)[0]
    want = place((grid.size, grid.size), (grid.spacing_mm,) * 2, (5 - grid.centre_mm[0], -8 - grid.centre_mm[1]), 24.0)
    area = seen.sum() * grid.spacing_mm**2
    assert float(area) == pytest.approx(float(disc.sum()) * grid.native_mm[0] * grid.native_mm[1], rel=0.01)
    if max(grid.native_mm) < 3:
        overlap = 2 * ((seen > 0.5) & (want[0] > 0.5)).sum() / ((seen > 0.5).sum() + want.sum())
        assert float(overlap) > 0.98


@pytest.mark.parametrize("grid", GRIDS[:3], ids=str)
def test_labels_come_back_to_the_native_grid(grid: Grid) -> None:
    labels = (place(grid.shape, grid.native_mm, grid.centre_mm, 30.0) * 2).to(torch.uint8)
    labels[place(grid.shape, grid.native_mm, grid.centre_mm, 18.0) > 0] = 3
    there = torch.nn.functional.one_hot(labels_to_grid(labels, grid, 4).long(), 4).movedim(-1, -3).float()
    back = from_grid(there, grid)
    assert torch.allclose(back.sum(-3), torch.ones(()), atol=1e-5)
    for structure in (2, 3):
        a, b = back.argmax(-3) == structure, labels == structure
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.95


def test_outside_the_square_all_is_background() -> None:
    grid = Grid((300, 300), (1.25, 1.25), 64, 1.25)
    all_lv = torch.zeros(1, 4, 64, 64)
    all_lv[:, 3] = 1
    labels = from_grid(all_lv, grid).argmax(1)[0]
    assert labels[150, 150] == 3
    assert labels[0, 0] == labels[299, 150] == 0
    assert int((labels == 3).sum()) == 64 * 64


def test_identity_grid_changes_nothing() -> None:
    image = torch.rand(2, 64, 64)
    assert torch.allclose(to_grid(image, Grid((64, 64), (1.25, 1.25), 64, 1.25)), image, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_equation_9_z_scores_the_whole_frame(dtype: type) -> None:
    frame = (np.random.default_rng(0).random((5, 20, 30)) * 900 + 100).astype(dtype)
    normal = normalise_frame(frame)
    assert normal.mean() == pytest.approx(0, abs=1e-4)
    assert normal.std() == pytest.approx(1, abs=1e-4)


def test_case_40_a_constant_frame_becomes_zero() -> None:
    assert not normalise_frame(np.full((2, 8, 8), 7, np.int16)).any()


def test_n4_flattens_a_bias_field() -> None:
    rng = np.random.default_rng(0)
    tissue = np.where(rng.random((4, 16, 16)) > 0.5, 100.0, 200.0).repeat(8, 1).repeat(8, 2)
    bias = np.exp(np.linspace(-0.4, 0.4, 128))[None, None]
    field = estimate_bias_field(tissue * bias, (8.0, 1.5, 1.5))
    left = np.log(bias / field)
    assert (left - left.mean()).std() < 0.4 * np.log(bias).std()


def test_settings_lay_the_grid() -> None:
    grid = make_grid((100, 120), (1.5, 1.6), Preprocessing(size=128, spacing_mm=1.25))
    assert (grid.size, grid.spacing_mm, grid.centre_mm) == (128, 1.25, (0.0, 0.0))
