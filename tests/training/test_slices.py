import numpy as np
import pytest
import torch
from glrp_training import slices
from glrp_training.slices import MARGIN, cut_middle, join_slices, prepare_cine, prepare_frame, prepare_phantoms

from glrp_napari.models import Preprocessing

SMALL = Preprocessing(size=64, spacing_mm=2.0)
SPACING = (8.0, 1.5, 1.25)


def test_frames_of_a_cine_are_prepared_as_labelled_ones_are() -> None:
    frames = np.random.default_rng(0).normal(100, 20, (3, 4, 40, 30)).astype(np.float32)
    images = prepare_cine(frames, SPACING, SMALL)
    assert (images.shape, images.dtype) == ((3, 4, 64 + MARGIN, 64 + MARGIN), torch.float16)
    for frame, prepared in zip(frames, images, strict=True):
        labelled = prepare_frame(frame, np.zeros(frame.shape, np.uint8), SPACING, SMALL)
        assert torch.equal(labelled.images, prepared)


def test_equation_9_each_frame_is_z_scored_for_itself() -> None:
    frames = np.random.default_rng(0).normal(0, 1, (2, 4, 70, 70)).astype(np.float32)
    first, second = prepare_cine(frames * [[[[3]]], [[[9]]]] + 50, (8, 2, 2), SMALL)
    for image in (first, second):
        inside = image[:, 29:99, 29:99].float()
        assert float(inside.mean()) == pytest.approx(0, abs=1e-2)
        assert float(inside.std()) == pytest.approx(1, abs=1e-2)
    assert float(first[:, :29].abs().max()) == 0


def test_a_cine_has_one_bias_field_that_of_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    field = np.linspace(0.5, 2, 40, dtype=np.float32)[:, None]

    def estimate(frame: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
        seen.append((frame, spacing_mm))
        return np.broadcast_to(field, frame.shape)

    monkeypatch.setattr(slices, "estimate_bias_field", estimate)
    frames = np.random.default_rng(0).normal(100, 20, (3, 4, 40, 30)).astype(np.float32)
    corrected = prepare_cine(frames * field, SPACING, SMALL.model_copy(update={"n4": True}))
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0][0], (frames * field).mean(0), rtol=1e-5)
    assert seen[0][1] == SPACING
    torch.testing.assert_close(corrected, prepare_cine(frames, SPACING, SMALL), atol=5e-3, rtol=0)


def test_phantom_slices_join_with_their_masks() -> None:
    joined = join_slices(prepare_phantoms([1], SMALL))
    assert len(joined) == len(joined.images) == len(joined.masks) > 10
    assert set(torch.unique(cut_middle(joined.masks, 64)).tolist()) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="found no labelled slices"):
        join_slices([])
