from collections.abc import Iterator

import numpy as np
import pytest
import torch
from glrp_training.overlap import measure_dice

from glrp_napari import segment as segment_module
from glrp_napari.cine import Cine, Geometry
from glrp_napari.device import Placement, choose_placement, step_down
from glrp_napari.messages import Notice, Progress
from glrp_napari.models import Model, Preprocessing
from glrp_napari.phantom import make_phantom
from glrp_napari.segment import FrameResult, Segmenter, open_model, segment
from glrp_napari.weights import load_networks

CPU = Placement(torch.device("cpu"), None, batch=4)


@pytest.fixture(scope="module")
def segmenter(tiny_model: Model) -> Segmenter:
    return open_model(tiny_model, CPU)


def results(events: Iterator[object]) -> list[FrameResult]:
    return [event for event in events if isinstance(event, FrameResult)]


def test_frames_come_one_by_one_with_the_one_on_screen_first(coded_cine: Cine, segmenter: Segmenter) -> None:
    events = list(segment(coded_cine.images, coded_cine.geometry, segmenter, first=1))
    assert [r.frame for r in results(iter(events))] == [1, 0, 2]
    assert [(e.done, e.total) for e in events if isinstance(e, Progress)] == [(1, 3), (2, 3), (3, 3)]
    for result in results(iter(events)):
        assert result.mask.shape == result.uncertainty.shape == (4, 10, 12)
        assert (result.mask.dtype, result.uncertainty.dtype) == (np.uint8, np.float16)
        assert 0 <= result.uncertainty.min() <= result.uncertainty.max() <= 1


def test_only_the_frames_asked_for_are_segmented_once_each(coded_cine: Cine, segmenter: Segmenter) -> None:
    found = results(segment(coded_cine.images, coded_cine.geometry, segmenter, frames=(2, 0, 2)))
    assert [r.frame for r in found] == [0, 2]


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_frame_that_is_not_there_is_named(coded_cine: Cine, segmenter: Segmenter, frame: int) -> None:
    with pytest.raises(ValueError, match=f"frame {frame}: not in the study, expected 0 to 2"):
        list(segment(coded_cine.images, coded_cine.geometry, segmenter, frames=(frame,)))


def test_a_frame_is_segmented_the_same_alone_and_in_a_cine(coded_cine: Cine, segmenter: Segmenter) -> None:
    whole = {r.frame: r for r in results(segment(coded_cine.images, coded_cine.geometry, segmenter))}
    (alone,) = results(segment(coded_cine.images[2:], coded_cine.geometry, segmenter))
    np.testing.assert_array_equal(alone.mask, whole[2].mask)


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 3, 37, 61), (1, 2, 300, 200)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float64])
def test_cases_31_32_37_38_any_shape_and_type_works(shape: tuple[int, ...], dtype: type, segmenter: Segmenter) -> None:
    images = np.random.default_rng(0).integers(0, 900, shape).astype(dtype)
    found = results(segment(images, Geometry(spacing_mm=(8, 1.5, 1.5)), segmenter))
    assert [r.mask.shape for r in found] == [shape[1:]] * shape[0]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_memory_running_out_halves_the_batch_aloud(
    error: Exception, coded_cine: Cine, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = open_model(tiny_model, CPU)
    run = Segmenter._run

    def run_small(self: Segmenter, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.placement.batch > 1:
            raise error
        return run(self, slices)

    monkeypatch.setattr(Segmenter, "_run", run_small)
    events = list(segment(coded_cine.images, coded_cine.geometry, segmenter))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert len(results(iter(events))) == 3
    assert ["2 slices at once" in notices[0], "1 slices at once" in notices[1]] == [True, True]


def test_fault_15_stepping_down_ends_on_the_cpu_and_then_fails() -> None:
    place = Placement(torch.device("cuda"), None, batch=2)
    place, _ = step_down(place)
    assert (place.device.type, place.batch) == ("cuda", 1)
    place, sentence = step_down(place)
    assert place.device.type == "cpu"
    assert "CPU" in sentence
    with pytest.raises(MemoryError):
        step_down(Placement(torch.device("cpu"), None, batch=1))


def test_an_unknown_device_is_named_with_those_there() -> None:
    with pytest.raises(ValueError, match=r"device tpu: not available, expected auto or one of .*cpu"):
        choose_placement("tpu")


class BrightNetwork(torch.nn.Module):
    """Calls bright pixels LV: enough to see where the grid is laid."""

    def look(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bright = (images[:, 0] > 1.5).float() * 20 - 10
        return torch.stack([torch.zeros_like(bright), bright - 20, bright - 20, bright], 1), images.mean((2, 3))


def test_a_heart_far_from_the_middle_of_a_large_view_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_module, "fuse_for_inference", lambda network: network)
    segmenter = Segmenter((BrightNetwork(),), Preprocessing(size=64, spacing_mm=1.5), CPU)  # type: ignore[arg-type]
    images = np.zeros((2, 5, 300, 260), np.int16)
    images[:, :, 30:70, 180:220] = 100
    found = results(segment(images, Geometry(spacing_mm=(8, 1.4, 1.4)), segmenter))
    assert measure_dice(found[0].mask == 3, images[0] > 0) > 0.95


def test_ed_and_es_are_found_on_the_middle_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_module, "fuse_for_inference", lambda network: network)
    segmenter = Segmenter((BrightNetwork(),), Preprocessing(size=192), CPU)  # type: ignore[arg-type]
    images = np.zeros((5, 4, 160, 160), np.int16)
    for t, side in enumerate((20, 24, 30, 16, 18)):
        images[t, :, 40 : 40 + side, 60 : 60 + side] = 100
    found = results(segment(images, Geometry(spacing_mm=(8, 1.4, 1.4)), segmenter, frames="ed-es"))
    assert sorted(r.frame for r in found) == [2, 3]


def test_n4_is_applied_when_the_card_says_so(tiny_model: Model) -> None:
    phantom = make_phantom(1, frames=(0,))
    preprocessing = tiny_model.card.preprocessing.model_copy(update={"n4": True})
    segmenter = Segmenter(load_networks(tiny_model), preprocessing, CPU)
    (found,) = results(segment(phantom.cine.images, phantom.cine.geometry, segmenter))
    assert found.mask.shape == phantom.mask.shape[1:]
