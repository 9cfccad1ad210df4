import json
from pathlib import Path

import numpy as np
import pytest
import torch
from glrp_training.psm import (
    Psm,
    PsmError,
    PsmSettings,
    estimate_psm,
    expand_psm,
    load_or_estimate_psm,
    receptive_field,
)
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from glrp_napari.models import Preprocessing
from glrp_napari.preprocess import make_grid, normalise_frame, to_grid
from glrp_napari.reading import read_cine
from glrp_napari.unet import Encoder


def draw_slices(count: int, size: int, seed: int = 0) -> Tensor:
    """Slices of smooth noise, so that neighbouring windows are a little alike."""
    coarse = torch.randn(count, 1, size // 8, size // 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")[:, 0]


@pytest.mark.parametrize(
    ("size", "starts", "length"),
    [(288, (-62, 34, 130), 220), (192, (-62, 2, 66), 188), (48, (-62, -46, -30), 140)],
)
def test_receptive_fields_of_the_patches(size: int, starts: tuple[int, ...], length: int) -> None:
    fields = [receptive_field(Encoder(width=4), size, row) for row in range(3)]
    assert fields == [slice(start, start + length) for start in starts]


def test_receptive_field_is_what_the_network_really_sees() -> None:
    """A spot just inside the middle patch's field changes the patch, one just outside doesn't."""
    encoder = Encoder(width=1).eval()
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.1)
    field = receptive_field(encoder, 288, 1)
    images = torch.zeros(4, 1, 288, 288)
    for image, row in enumerate((field.start - 1, field.start, field.stop - 1, field.stop)):
        images[image, 0, row, 144] = 1e6
    with torch.inference_mode():
        seen = nn.functional.adaptive_avg_pool2d(encoder(images)[-1], 3)[:, 0, 1, 1] > 0
    assert seen.tolist() == [False, True, True, False]


@pytest.mark.parametrize("size", [100, 32])
def test_a_size_without_nine_patches_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"found a size of {size}"):
        receptive_field(Encoder(width=4), size, 0)


def test_estimate_is_the_similarity_of_the_padded_windows() -> None:
    """One slice with a margin, its windows cut by hand: of each pair of classes the first pair of patches counts."""
    slices = draw_slices(1, 256)
    seen = slices[0, 32:-32, 32:-32].numpy()
    low, high = seen.min(), seen.max()
    padded = (np.pad(seen, 62) - low) / (high - low)
    corner, edge, other_corner = padded[:188, :188], padded[:188, 64:252], padded[:188, 128:]
    centre, other_edge = padded[64:252, 64:252], padded[64:252, :188]

    def compare(one: np.ndarray, other: np.ndarray) -> float:
        return structural_similarity(
            one, other, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )

    psm = estimate_psm(slices, 192)
    expected = {
        (0, 0): compare(corner, other_corner),
        (0, 1): compare(corner, edge),
        (0, 2): compare(corner, centre),
        (1, 1): compare(edge, other_edge),
        (1, 2): compare(edge, centre),
        (2, 2): 1.0,
    }
    for (a, b), value in expected.items():
        assert psm.raw[a][b] == psm.raw[b][a] == pytest.approx(value)
        assert psm.table[a][b] == psm.table[b][a] == (1.0 if a == b else pytest.approx(max(0.05, value)))
    assert (psm.slices, psm.size) == (1, 192)
    assert psm.spread == pytest.approx(1 - min(min(row) for row in psm.table))


@pytest.mark.parametrize(
    ("size", "fields"),
    [(80, [(-62, 94), (-46, 126), (-14, 142)]), (128, [(-62, 110), (-30, 158), (18, 190)])],
)
def test_patches_of_two_sizes_are_compared_where_both_are(size: int, fields: list[tuple[int, int]]) -> None:
    """Five cells fall into patches of 2, 3 and 2, eight into 3, 4 and 3."""
    assert [receptive_field(Encoder(4), size, row) for row in range(3)] == [slice(*field) for field in fields]
    assert estimate_psm(draw_slices(3, size), size).slices == 3


@pytest.mark.parametrize(
    ("settings", "lowest", "slices"),
    [(PsmSettings(floor=0.9), 0.9, 20), (PsmSettings(floor=0.01), 0.01, 20), (PsmSettings(limit=7), 0.05, 7)],
)
def test_settings(settings: PsmSettings, lowest: float, slices: int) -> None:
    psm = estimate_psm(draw_slices(20, 64), 64, settings)
    lowest_found = min(min(row) for row in psm.table)
    assert lowest_found == lowest if settings.floor == 0.9 else lowest <= lowest_found < 0.9
    assert psm.slices == slices


def test_blank_slices_say_nothing() -> None:
    slices = draw_slices(4, 64)
    blank = torch.cat([torch.full((3, 64, 64), 0.7), slices])
    assert estimate_psm(blank, 64).model_dump() == estimate_psm(slices, 64).model_dump()
    with pytest.raises(PsmError, match="found 3 slices without any contrast"):
        estimate_psm(blank[:3], 64)
    with pytest.raises(PsmError, match=r"expected \(N, S, S\) with S of at least 128"):
        estimate_psm(slices, 128)


def test_expansion_gives_each_patch_its_class() -> None:
    rows = ((1.0, 0.5, 0.25), (0.5, 1.0, 0.125), (0.25, 0.125, 1.0))
    table = expand_psm(Psm(table=rows, raw=rows, deviation=rows, slices=1, size=192))
    assert torch.equal(table, table.T)
    assert table[0].tolist() == [1, 0.5, 1, 0.5, 0.25, 0.5, 1, 0.5, 1]
    assert table[3].tolist() == [0.5, 1, 0.5, 1, 0.125, 1, 0.5, 1, 0.5]
    assert table[4].tolist() == [0.25, 0.125, 0.25, 0.125, 1, 0.125, 0.25, 0.125, 0.25]


def test_estimate_is_kept_and_taken_up_again(tmp_path: Path) -> None:
    slices = draw_slices(5, 64)
    first = load_or_estimate_psm(slices, 64, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    assert load_or_estimate_psm(slices, 64, tmp_path / "cache") == first
    path.write_text(json.dumps({**json.loads(path.read_text()), "slices": 4321}))
    assert load_or_estimate_psm(slices, 64, tmp_path / "cache").slices == 4321  # so it was not computed again


@pytest.mark.parametrize("change", ["data", "size", "settings", "number"])
def test_what_changes_the_estimate_changes_the_file(change: str, tmp_path: Path) -> None:
    slices = draw_slices(5, 64)
    load_or_estimate_psm(slices, 64, tmp_path)
    if change == "data":
        slices[2, 32, 32] += 1
    load_or_estimate_psm(
        slices[:4] if change == "number" else slices,
        48 if change == "size" else 64,
        tmp_path,
        PsmSettings(floor=0.1) if change == "settings" else PsmSettings(),
    )
    assert len(list(tmp_path.glob("psm-*.json"))) == 2


@pytest.mark.parametrize("text", ["", "{}", '{"table": [[1, 2], [3, 4]]}'])
def test_a_broken_file_is_named(text: str, tmp_path: Path) -> None:
    slices = draw_slices(2, 64)
    load_or_estimate_psm(slices, 64, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.raises(PsmError, match=rf"{path.name}: .*expected a patch similarity table"):
        load_or_estimate_psm(slices, 64, tmp_path)


@pytest.mark.realdata
def test_real_slices_give_a_table_that_tells_the_classes_apart(data_dir: Path) -> None:
    stacks = []
    for patient in ("patient001", "patient002", "patient003", "patient004"):
        cine = read_cine(data_dir / "acdc" / patient / f"{patient}_frame01.nii.gz")
        grid = make_grid(cine.images.shape[2:], cine.geometry.spacing_mm[1:], Preprocessing())
        stacks.append(to_grid(torch.from_numpy(normalise_frame(cine.images[0])), grid))
    psm = estimate_psm(torch.cat(stacks), 192)
    table = expand_psm(psm)
    assert psm.slices == len(torch.cat(stacks)) >= 35
    assert torch.equal(table, table.T)
    assert table.min() >= 0.05
    assert table.max() == 1
    corner_edge, corner_centre, edge_centre = psm.raw[0][1], psm.raw[0][2], psm.raw[1][2]
    assert 0.05 < edge_centre < corner_edge < 0.9
    assert 0.05 < corner_centre < corner_edge
    assert psm.spread > 0.3
