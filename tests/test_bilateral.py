import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.bilateral import Kernels, infer_marginals
from glrp_napari.refine import _infer_by_pydensecrf, has_crf

CLOSE = 0.003
"""Mean difference from exact marginals that is allowed on any of the images below."""


def make_scene(shape: tuple[int, int], seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Probabilities (4, Y, X) of smooth blobs with soft borders, and a noisy grey image of other blobs."""
    noise = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(noise.normal(size=shape), 4)
    grey = (blobs - blobs.min()) / np.ptp(blobs) * 255 + noise.normal(size=shape) * 8
    logits = np.stack([ndimage.gaussian_filter(noise.normal(size=shape), 6) for _ in range(4)]) * 60
    likelihood = np.exp(logits - logits.max(0))
    return (likelihood / likelihood.sum(0)).astype(np.float32), np.clip(grey, 0, 255).astype(np.uint8)


def infer_exactly(
    probabilities: NDArray[np.float32], grey: NDArray[np.uint8], kernels: Kernels, iterations: int
) -> NDArray[np.float64]:
    """Mean field with the kernels as full matrices between all pixels (Krähenbühl 2013), in float64."""
    y, x = np.indices(grey.shape).reshape(2, -1)
    near = square_distances(y, kernels.gamma[0]) + square_distances(x, kernels.gamma[1])
    far = square_distances(y, kernels.alpha[0]) + square_distances(x, kernels.alpha[1])
    alike = far + square_distances(grey.ravel().astype(float), kernels.beta)
    kernel = kernels.w1 * normalise(np.exp(-alike / 2)) + kernels.w2 * normalise(np.exp(-near / 2))
    unary = np.log(np.clip(probabilities.reshape(len(probabilities), -1).astype(float), 1e-5, 1))
    marginals = soften(unary)
    for _ in range(iterations):
        marginals = soften(unary + marginals @ kernel)
    return marginals.reshape(probabilities.shape)


def square_distances(values: NDArray[np.generic], sigma: float) -> NDArray[np.float64]:
    return ((values[:, None] - values) / sigma) ** 2


def normalise(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    degree = kernel.sum(1)
    return kernel / np.sqrt(np.outer(degree, degree))


def soften(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    likelihood = np.exp(logits - logits.max(0))
    return likelihood / likelihood.sum(0)


@pytest.mark.parametrize(
    ("shape", "kernels", "iterations"),
    [
        ((24, 24), Kernels(4, (6.4, 6.4), 15, 2, (1, 1)), 5),
        ((48, 43), Kernels(4, (6.4, 6.4), 15, 2, (1, 1)), 10),
        ((40, 44), Kernels(4, (5, 3), 10, 2, (1.5, 0.7)), 5),
        ((44, 40), Kernels(1, (3, 3), 25, 4, (2, 2)), 10),
        ((30, 17), Kernels(2, (10, 10), 40, 0, (1, 1)), 5),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_marginals_are_those_of_exact_mean_field(
    shape: tuple[int, int], kernels: Kernels, iterations: int, seed: int
) -> None:
    probabilities, grey = make_scene(shape, seed)
    exact = infer_exactly(probabilities, grey, kernels, iterations)
    ours = np.abs(infer_marginals(probabilities, grey, kernels, iterations) - exact).mean()
    assert np.abs(probabilities - exact).mean() > 10 * ours, "the CRF changed next to nothing"
    assert ours < CLOSE
    if has_crf():
        assert ours <= np.abs(_infer_by_pydensecrf(probabilities, grey, kernels, iterations) - exact).mean()


@pytest.mark.parametrize(
    ("shape", "kernels"),
    [
        ((1, 9), Kernels(4, (6, 6), 15, 2, (1, 1))),
        ((9, 1), Kernels(4, (0.3, 0.3), 1, 2, (0.2, 0.2))),
        ((12, 12), Kernels(0, (6, 6), 15, 0, (1, 1))),
    ],
)
def test_tiny_images_and_narrow_or_absent_kernels(shape: tuple[int, int], kernels: Kernels) -> None:
    probabilities, grey = make_scene(shape, 0)
    exact = infer_exactly(probabilities, grey, kernels, 5)
    np.testing.assert_allclose(infer_marginals(probabilities, grey, kernels, 5), exact, atol=0.01)
