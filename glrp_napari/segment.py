"""Cine + network → masks, frame by frame, as a generator of events. Cancelling is ceasing to iterate."""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from glrp_napari.cine import Geometry, Mask
from glrp_napari.device import Placement, is_out_of_memory, step_down
from glrp_napari.fusion import couple_slices, fuse_probabilities
from glrp_napari.measure import find_phases
from glrp_napari.messages import Notice, Progress
from glrp_napari.models import Cavity, Fusion, Model, Preprocessing
from glrp_napari.muscle import move_muscle_probability
from glrp_napari.preprocess import Grid, estimate_bias_field, from_grid, make_grid, normalise_frame, to_grid
from glrp_napari.refine import CrfSettings, clean_mask, refine_probabilities
from glrp_napari.unet import STRIDE, UNet, fuse_for_inference
from glrp_napari.weights import load_networks

MIN_HEART_MM2 = 500.0
"""Less foreground than this in a middle slice is no heart."""
PHASE_FRAMES = 8
"""Frames that go through the network together while ED and ES are looked for."""
MAX_SEARCH_SIZE = 512
"""Side in pixels of the largest field of view searched for the heart."""

Frames = Literal["all", "ed-es"] | Sequence[int]


@dataclass(frozen=True, eq=False)
class FrameResult:
    """One segmented frame: `mask` uint8 (Z, Y, X) and `uncertainty` float16 (Z, Y, X), entropy over its maximum.

    `embedding` float32 (Z, C) is how the network sees each slice: the first network's last encoder map, averaged.
    """

    frame: int
    mask: Mask
    uncertainty: NDArray[np.float16]
    embedding: NDArray[np.float32]


class Segmenter:
    """Networks made ready to run: placed on a device, stepping down when memory runs out, their answers fused, and the
    muscle of some cavities taken out of them.
    """

    def __init__(
        self,
        networks: Sequence[UNet],
        preprocessing: Preprocessing,
        placement: Placement,
        fusion: Fusion = Fusion(),
        muscle: Sequence[Cavity] = (),
    ) -> None:
        self.preprocessing = preprocessing
        self.placement = placement
        self.fusion = fusion
        self.muscle = muscle
        self._networks = [fuse_for_inference(network).to(placement.device) for network in networks]

    def predict(self, slices: Tensor) -> Generator[Notice, None, Tensor]:
        """Class probabilities (N, C, S, S) on the CPU of z-scored slices (N, S, S); yields notices of stepping down."""
        return (yield from self.look(slices))[0]

    def look(self, slices: Tensor) -> Generator[Notice, None, tuple[Tensor, Tensor]]:
        """As `predict`, and with it the embeddings (N, width · 16) that the first network has of the slices."""
        while True:
            try:
                return self._run(slices)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self.placement, sentence = step_down(self.placement)
                for network in self._networks:
                    network.to(self.placement.device)
                yield Notice(text=sentence)

    @torch.inference_mode()
    def _run(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        place = self.placement
        parts, views = [], []
        for part in slices[:, None].split(place.batch):
            batch = part.to(place.device, memory_format=torch.channels_last)
            with torch.autocast(place.device.type, place.autocast, enabled=place.autocast is not None):
                first, view = self._networks[0].look(batch)
                logits = [first, *(network(batch) for network in self._networks[1:])]
                answers = torch.stack([each.float().softmax(1) for each in logits])
            parts.append(fuse_probabilities(answers, self.fusion).cpu())
            views.append(view.float().cpu())
        probabilities = torch.cat(parts)
        if self.muscle:
            moved = move_muscle_probability(probabilities.numpy(), slices.float().numpy(), self.muscle)
            probabilities = torch.from_numpy(moved)
        return probabilities, torch.cat(views)


def open_model(model: Model, placement: Placement) -> Segmenter:
    """A model ready to segment. Raises ModelError."""
    return Segmenter(load_networks(model), model.card.preprocessing, placement, model.card.fusion, model.card.muscle)


def segment(
    images: NDArray[Any],
    geometry: Geometry,
    segmenter: Segmenter,
    frames: Frames = "all",
    first: int = 0,
    crf: CrfSettings | None = None,
    clean: bool = True,
) -> Iterator[FrameResult | Notice | Progress]:
    """Segment frames of a cine (T, Z, Y, X); each comes as soon as it is done, `first` before the others.

    `frames` "ed-es" finds end diastole and end systole on the middle slices first; `crf` and `clean` say what follows
    the network (method §6); only a study of the method leaves the clean-up out. Raises ValueError for a frame that the
    study does not have.
    """
    bias = _estimate_bias(images, geometry) if segmenter.preprocessing.n4 else None
    grid = yield from lay_grid(images, geometry, segmenter)
    if frames == "ed-es":
        frames = yield from _find_ed_es(images, geometry, segmenter, grid)
    order = _order_frames(range(len(images)) if frames == "all" else [int(f) for f in frames], first, len(images))
    started = time.monotonic()
    for done, frame in enumerate(order, 1):
        native = images[frame].astype(np.float32) if bias is None else images[frame] / bias
        yield (yield from segment_frame(native, frame, grid, segmenter, crf, clean))
        left = (time.monotonic() - started) / done * (len(order) - done)
        yield Progress(stage="Segmenting", done=done, total=len(order), seconds_left=left)


def segment_frame(
    frame: NDArray[np.float32],
    index: int,
    grid: Grid,
    segmenter: Segmenter,
    crf: CrfSettings | None = None,
    clean: bool = True,
) -> Generator[Notice, None, FrameResult]:
    """One frame (Z, Y, X) to its result on the native grid; yields notices."""
    slices = to_grid(torch.from_numpy(normalise_frame(frame)), grid)
    predicted, view = yield from segmenter.look(slices)
    probabilities = from_grid(predicted, grid)
    uncertainty = _measure_entropy(probabilities)
    probabilities = couple_slices(probabilities)
    if crf is not None:
        refined = refine_probabilities(probabilities.numpy(), frame, grid.native_mm, crf)
        probabilities = torch.from_numpy(refined)
    mask = probabilities.argmax(1).to(torch.uint8).numpy()
    return FrameResult(index, clean_mask(mask) if clean else mask, uncertainty, view.numpy())


def _measure_entropy(probabilities: Tensor) -> NDArray[np.float16]:
    entropy = torch.special.entr(probabilities).sum(1) / np.log(probabilities.shape[1])
    result: NDArray[np.float16] = entropy.half().numpy()
    return result


def _estimate_bias(images: NDArray[Any], geometry: Geometry) -> NDArray[np.float32]:
    return estimate_bias_field(images.mean(0, dtype=np.float32), geometry.spacing_mm)


def lay_grid(images: NDArray[Any], geometry: Geometry, segmenter: Segmenter) -> Generator[Notice, None, Grid]:
    """The network's square, over the heart if the field of view is larger than the square."""
    settings = segmenter.preprocessing
    pixel_mm = geometry.spacing_mm[1:]
    grid = make_grid(images.shape[2:], pixel_mm, settings)
    view_mm = max(n * mm for n, mm in zip(grid.shape, pixel_mm, strict=True))
    if view_mm <= settings.size * settings.spacing_mm:
        return grid
    side = min(int(np.ceil(view_mm / settings.spacing_mm / STRIDE)) * STRIDE, MAX_SEARCH_SIZE)
    wide = make_grid(grid.shape, pixel_mm, settings.model_copy(update={"size": side}))
    slices = to_grid(torch.from_numpy(normalise_frame(images[0])[_middle(images.shape[1])]), wide)
    predicted = yield from segmenter.predict(slices)
    centre_mm = _locate_heart(predicted.argmax(1).numpy() > 0, settings.spacing_mm)
    return Grid(grid.shape, pixel_mm, settings.size, settings.spacing_mm, centre_mm)


def _locate_heart(foreground: NDArray[np.bool_], spacing_mm: float) -> tuple[float, float]:
    """Centre (y, x) in mm, relative to the middle, of the largest component of a stack of slices; (0, 0) if small."""
    components, _ = ndimage.label(foreground)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    if sizes.max() * spacing_mm**2 < MIN_HEART_MM2 * len(foreground):
        return 0.0, 0.0
    _, y, x = ndimage.center_of_mass(components == sizes.argmax())
    middle = [(n - 1) / 2 for n in foreground.shape[1:]]
    return (float(y) - middle[0]) * spacing_mm, (float(x) - middle[1]) * spacing_mm


def _find_ed_es(
    images: NDArray[Any], geometry: Geometry, segmenter: Segmenter, grid: Grid
) -> Generator[Notice | Progress, None, tuple[int, ...]]:
    """End diastole and end systole from the LV on three middle slices of every frame, on the network's grid."""
    parts = []
    for first in range(0, len(images), PHASE_FRAMES):
        frames = images[first : first + PHASE_FRAMES]
        slices = np.stack([normalise_frame(frame)[_middle(len(frame))] for frame in frames])
        predicted = yield from segmenter.predict(to_grid(torch.from_numpy(slices), grid).flatten(0, 1))
        parts.append(predicted.argmax(1).to(torch.uint8).unflatten(0, slices.shape[:2]).numpy())
        yield Progress(stage="Finding ED and ES", done=first + len(frames), total=len(images))
    phases = find_phases(np.concatenate(parts), geometry)
    return tuple(dict.fromkeys(f for f in (phases.ed, phases.es) if f is not None)) or (0,)


def _middle(slices: int) -> slice:
    """The three middle slices of a stack."""
    first = max(0, (slices - 3) // 2)
    return slice(first, first + 3)


def _order_frames(frames: Sequence[int], first: int, count: int) -> list[int]:
    for frame in frames:
        if not 0 <= frame < count:
            raise ValueError(f"frame {frame}: not in the study, expected 0 to {count - 1}")
    unique = list(dict.fromkeys(frames))
    return sorted(unique, key=lambda frame: frame != first)
