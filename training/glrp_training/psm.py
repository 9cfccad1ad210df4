"""How alike the patches of a slice are: the paper's patch similarity matrix, PSM (§3.3.2, method §4).

Nine patches of the encoder's last map, each seen through its receptive field on the image; those windows are compared
by SSIM. Must not know the loss, nor how slices are read.
"""

import hashlib
import math
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from glrp_napari.models import Settings
from glrp_napari.reasons import name_fault
from glrp_napari.unet import STRIDE, Encoder
from glrp_napari.writing.atomic import write_atomically
from glrp_training.projection import PATCH_ROWS, PATCHES
from glrp_training.slices import cut_middle

CLASSES = ("corner", "edge", "centre")
_CLASS_OF_PATCH = (0, 1, 0, 1, 2, 1, 0, 1, 0)  # row by row; equivalent patches share a class (paper)
_RECIPE = 1  # raise when the computation changes, so that no older cached table is taken for it

Image = NDArray[np.float32]
Pair = tuple[int, int]
Window = tuple[slice, slice]
Row = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]
Table = Annotated[tuple[Row, ...], Field(min_length=3, max_length=3)]


class PsmError(ValueError):
    """No PSM can be had; says what was found and what was expected, and of which file."""


class PsmSettings(Settings):
    """From at most `limit` slices, SSIM with a Gaussian of `sigma_px`, values below `floor` raised to it."""

    limit: int = Field(default=500, ge=1)
    sigma_px: float = Field(default=1.5, gt=0)
    floor: float = Field(default=0.05, gt=0, le=1)


class Psm(Settings):
    """Similarity of patches by class: corner, edge, centre.

    `table` is what the loss takes: symmetric, 1 on the diagonal (patches of a class are equivalent), elsewhere the
    mean SSIM but no less than the floor. `raw` is the mean SSIM before that, its diagonal between *different* patches
    of a class (the centre has no other: 1), and `deviation` its standard deviation over slices. `slices` is how many
    slices were used and `size` the side of the network's square in px.
    """

    table: Table
    raw: Table
    deviation: Table
    slices: int
    size: int

    @property
    def spread(self) -> float:
        """Largest minus smallest value of `table`: 0 would make the local term blind to where a patch lies."""
        return max(map(max, self.table)) - min(map(min, self.table))


def receptive_field(encoder: Encoder, size: int, patch_row: int) -> slice:
    """The pixels, along one axis, that a row (0, 1, 2) of the 3 × 3 patches of the encoder's last map sees.

    Walked through the network's own layers for an input of side `size`; where it reaches into the padding, the start
    is negative or the stop beyond `size`. 220 px at the paper's 288, 188 at 192. Raises ValueError for a
    size that the network doesn't take.
    """
    if size % STRIDE or size < STRIDE * PATCH_ROWS:
        raise ValueError(f"found a size of {size}: expected a multiple of {STRIDE}, at least {STRIDE * PATCH_ROWS}")
    # Cells as adaptive average pooling shares them out.
    cells = size // STRIDE
    first, last = patch_row * cells // PATCH_ROWS, math.ceil((patch_row + 1) * cells / PATCH_ROWS) - 1
    for layer in reversed(list(_list_layers(encoder))):
        kernel, step, padding = (_take_one(value) for value in (layer.kernel_size, layer.stride, layer.padding))
        first = first * step - padding
        last = last * step - padding + kernel - 1
    return slice(first, last + 1)


def estimate_psm(slices: Tensor, size: int, settings: PsmSettings = PsmSettings()) -> Psm:
    """PSM of z-scored slices (N, S, S), of which the network sees the middle `size` × `size`.

    At most `limit` slices, evenly spread over all. Of each slice one pair of patches for each pair of classes is
    compared, in turn, so that over slices all 36 pairs of patches have their share (ours: a seventh of the time).
    Raises PsmError where no slice shows anything.
    """
    windows, pairs = _make_windows(size), _list_pairs()
    values: dict[Pair, list[float]] = {classes: [] for classes in pairs}
    shown = (image for image in _choose_slices(slices, size, settings.limit) if np.ptp(image) > 0)
    for turn, image in enumerate(shown):
        seen = _see_patches(image, windows)
        for classes, members in pairs.items():
            one, other = members[turn % len(members)]
            values[classes].append(_compare(seen[one], seen[other], settings.sigma_px))
    used = len(values[0, 1])
    if not used:
        raise PsmError(f"found {len(slices)} slices without any contrast: expected at least one with an image")
    raw = _fill_table({classes: float(np.mean(found)) for classes, found in values.items()}, centre=1.0)
    deviation = _fill_table({classes: float(np.std(found)) for classes, found in values.items()}, centre=0.0)
    table = tuple(
        tuple(1.0 if r == c else min(1.0, max(settings.floor, raw[r][c])) for c in range(len(CLASSES)))
        for r in range(len(CLASSES))
    )
    return Psm(table=table, raw=raw, deviation=deviation, slices=used, size=size)


def expand_psm(psm: Psm) -> Tensor:
    """The table by class to one by patch (9, 9), patches row by row."""
    classes = torch.tensor(_CLASS_OF_PATCH)
    return torch.tensor(psm.table)[classes[:, None], classes]


def load_or_estimate_psm(slices: Tensor, size: int, cache: Path, settings: PsmSettings = PsmSettings()) -> Psm:
    """PSM as `estimate_psm` gives it, kept as JSON in the folder `cache` under a name made of data and settings.

    Raises PsmError for a file of that name that is no PSM.
    """
    path = cache / f"psm-{_hash(slices, size, settings)[:24]}.json"
    if path.exists():
        return _load(path)
    psm = estimate_psm(slices, size, settings)
    cache.mkdir(parents=True, exist_ok=True)
    write_atomically(path, psm.model_dump_json(indent=2).encode() + b"\n")
    return psm


def _load(path: Path) -> Psm:
    try:
        return Psm.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise PsmError(
            f"{path}: {name_fault(error)}, expected a patch similarity table (delete the file to remake it)"
        ) from None


def _hash(slices: Tensor, size: int, settings: PsmSettings) -> str:
    """Of what the estimate depends on: the pixels it uses, and how."""
    digest = hashlib.sha256(f"{_RECIPE} {size} {settings.model_dump_json()} {len(slices)}".encode())
    for image in _choose_slices(slices, size, settings.limit):
        digest.update(image.tobytes())
    return digest.hexdigest()


def _choose_slices(slices: Tensor, size: int, limit: int) -> Iterator[Image]:
    """At most `limit` slices (size, size), evenly spread."""
    if slices.ndim != 3 or min(slices.shape[1:]) < size:
        raise PsmError(f"found slices of {tuple(slices.shape)}: expected (N, S, S) with S of at least {size}")
    count = min(limit, len(slices))
    for index in range(count):
        chosen = slices[index * len(slices) // count][None]
        yield np.ascontiguousarray(cut_middle(chosen, size)[0].float().cpu().numpy())


def _make_windows(size: int) -> tuple[Window, ...]:
    """The nine patches' receptive fields (rows, columns), row by row of patches."""
    with torch.device("meta"):  # the layers' shapes are wanted and no weights
        encoder = Encoder(width=1)
    fields = [receptive_field(encoder, size, row) for row in range(PATCH_ROWS)]
    return tuple(product(fields, fields))


def _list_pairs() -> dict[Pair, list[Pair]]:
    """For each pair of classes (lower first) all pairs of different patches of these classes."""
    pairs: dict[Pair, list[Pair]] = {}
    for a, b in combinations(range(PATCHES), 2):
        low, high = sorted((_CLASS_OF_PATCH[a], _CLASS_OF_PATCH[b]))
        pairs.setdefault((low, high), []).append((a, b))
    return pairs


def _see_patches(image: Image, windows: tuple[Window, ...]) -> list[Image]:
    """What each of the nine patches sees of a z-scored slice, with intensities in 0…1.

    Outside the slice a window holds zero, as the network's padding does; then all is scaled by the slice's own range,
    since SSIM's luminance term has no meaning for negative intensities (ours).
    """
    low, high = min(float(image.min()), 0.0), max(float(image.max()), 0.0)
    reach = max(max(-field.start, field.stop - len(image), 0) for window in windows for field in window)
    padded = (np.pad(image, reach) - low) / (high - low)
    return [padded[tuple(slice(f.start + reach, f.stop + reach) for f in window)] for window in windows]


def _compare(one: Image, other: Image, sigma_px: float) -> float:
    """SSIM (Wang 2004) of two windows; of two sizes, as some sizes' pooling gives them, the common middle (ours)."""
    height, width = (min(a, b) for a, b in zip(one.shape, other.shape, strict=True))
    similarity = structural_similarity(
        _crop(one, height, width),
        _crop(other, height, width),
        data_range=1.0,
        gaussian_weights=True,
        sigma=sigma_px,
        use_sample_covariance=False,
    )
    return float(similarity)


def _crop(window: Image, height: int, width: int) -> Image:
    top, left = ((have - want) // 2 for have, want in zip(window.shape, (height, width), strict=True))
    return window[top : top + height, left : left + width]


def _fill_table(values: dict[Pair, float], centre: float) -> tuple[tuple[float, ...], ...]:
    """A symmetric 3 × 3 table of values by pair of classes, and the centre's for itself."""
    whole = {(2, 2): centre, **values}
    return tuple(tuple(whole[min(r, c), max(r, c)] for c in range(len(CLASSES))) for r in range(len(CLASSES)))


def _list_layers(encoder: Encoder) -> Iterator[nn.Conv2d | nn.MaxPool2d]:
    """The layers that see more than one pixel, in the order of `Encoder.forward`."""
    for level, block in enumerate(encoder.blocks):
        if level:
            yield encoder.pool
        yield from (layer for layer in block.modules() if isinstance(layer, nn.Conv2d | nn.MaxPool2d))


def _take_one(value: int | str | tuple[int, ...]) -> int:
    """The value along one axis of a layer's setting; both axes have the same."""
    found = value[0] if isinstance(value, tuple) else value
    if isinstance(found, str):
        raise ValueError(f"found padding {found!r}: expected a number of pixels")
    return found
