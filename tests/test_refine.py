import sys

import numpy as np
import pytest

from glrp_napari.cine import Mask
from glrp_napari.refine import CrfSettings, Engine, clean_mask, has_crf, refine_probabilities

with_pydensecrf = pytest.mark.skipif(not has_crf(), reason="the extra crf is not installed")


def heart() -> Mask:
    """Three slices with an RV box, a ring of myocardium and an LV in it."""
    mask = np.zeros((3, 40, 40), np.uint8)
    mask[:, 10:30, 2:8] = 1
    mask[:, 10:30, 8:30] = 2
    mask[:, 14:26, 13:25] = 3
    return mask


def change(where: tuple[object, ...], value: int) -> Mask:
    mask = heart()
    mask[where] = value
    return mask


@pytest.mark.parametrize(
    ("name", "mask", "cleaned"),
    [
        ("a clean heart stays", heart(), heart()),
        ("a far component goes", change((0, slice(35, 38), slice(35, 38)), 3), heart()),
        ("a speck inside another structure goes", change((1, 11, 28), 1), change((1, 11, 28), 0)),
        (
            "an effusion on the LV's other side is no RV",
            change((slice(1, 3), slice(10, 20), slice(30, 38)), 1),
            heart(),
        ),
        (
            "a second LV goes",
            change((slice(0, 2), slice(10, 13), slice(2, 6)), 3),
            change((slice(0, 2), slice(10, 13), slice(2, 6)), 0),
        ),
        ("a hole in the LV is filled", change((2, slice(18, 20), slice(18, 20)), 0), heart()),
        ("a broken ring stays whole", change((1, 20, slice(8, 13)), 0), change((1, 20, slice(8, 13)), 0)),
        ("an empty mask stays empty", np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8), np.uint8)),
    ],
)
def test_clean_up(name: str, mask: Mask, cleaned: Mask) -> None:
    before = mask.copy()
    np.testing.assert_array_equal(clean_mask(mask), cleaned, err_msg=name)
    np.testing.assert_array_equal(mask, before, err_msg="the input was changed")


@pytest.mark.parametrize("engine", ["auto", "grid", pytest.param("pydensecrf", marks=with_pydensecrf)])
def test_crf_moves_an_uncertain_border_to_the_edge_in_the_image(engine: Engine) -> None:
    x = np.arange(64)
    frame = np.broadcast_to(np.where(x < 32, 200.0, 50.0), (1, 64, 64)).astype(np.float32)
    lv = np.clip((36 - x) / 16 + 0.5, 0.05, 0.95)  # the network puts the border at 36
    probabilities = np.zeros((1, 4, 64, 64), np.float32)
    probabilities[0, 3], probabilities[0, 0] = lv, 1 - lv
    strong = CrfSettings(w1=4, alpha_mm=8, beta=15, w2=2, iterations=5, engine=engine)
    refined = refine_probabilities(probabilities, frame, (1.25, 1.25), strong)
    np.testing.assert_allclose(refined.sum(1), 1, atol=1e-4)
    assert np.abs((refined.argmax(1) == 3)[0].sum(1) - 32).max() <= 1
    assert (probabilities.argmax(1) == 3)[0].sum(1).min() >= 36


def test_crf_leaves_an_empty_frame_alone() -> None:
    probabilities = np.zeros((2, 4, 32, 32), np.float32)
    probabilities[:, 0] = 1
    assert refine_probabilities(probabilities, np.ones((2, 32, 32), np.float32), (1, 1)) is probabilities


def test_without_pydensecrf_only_asking_for_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    probabilities = np.full((1, 4, 16, 16), 0.2, np.float32)
    probabilities[:, 3] = 0.4
    frame = np.ones((1, 16, 16), np.float32)
    refine_probabilities(probabilities, frame, (1, 1))
    with pytest.raises(ModuleNotFoundError, match=r'glrp-napari\[crf\].*"grid" needs nothing'):
        refine_probabilities(probabilities, frame, (1, 1), CrfSettings(engine="pydensecrf"))


def test_crf_works_in_the_box_around_the_heart_only() -> None:
    probabilities = np.zeros((1, 4, 128, 128), np.float32)
    probabilities[:, 0], probabilities[:, 3] = 0.6, 0.4
    probabilities[:, :, 60:70, 50:60] = np.array([0.4, 0, 0, 0.6])[:, None, None]
    refined = refine_probabilities(probabilities, np.zeros((1, 128, 128), np.float32), (1.0, 2.0))
    changed = (refined != probabilities).any((0, 1))
    assert [(np.flatnonzero(changed.any(axis))[[0, -1]]).tolist() for axis in (1, 0)] == [[35, 94], [37, 72]]
