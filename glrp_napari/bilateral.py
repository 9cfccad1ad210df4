"""Mean field of a fully connected CRF over a grey image (Krähenbühl 2011, 2013), in numpy and scipy alone.

The appearance kernel lives on a coarse grid over (y, x, grey level), as grey images need no more than three
dimensions: splat to the nodes, blur along each axis, slice back to pixels. That is quick where a kernel
is several pixels and grey levels wide, as the nodes grow with the inverse of its three widths. Knows pixels and grey
levels only: millimetres, slices and settings are `refine`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

Values = NDArray[np.float32]
Filter = Callable[[Values], Values]
"""Of values (C, Y, X), each class for itself."""
GREY_LEVELS = 256
LEAST_PROBABILITY = 1e-5
"""Probabilities are clipped there, as pydensecrf does, so that no class is impossible."""
GRID_STEP = 0.75
"""Distance of the grid's nodes as a share of the kernel's sigma."""
LEAST_WEIGHT = 1e-4
"""Where the smoothness kernel ends."""
NEGLIGIBLE = 1e-6
LEAST_DEGREE = 0.5
"""A pixel's kernel sums to one at least, its own value; less is an error of the grid."""
CORNERS = 4


@dataclass(frozen=True)
class Kernels:
    """Weights and standard deviations of both kernels: `alpha` and `gamma` (y, x) in pixels, `beta` in grey levels."""

    w1: float
    alpha: tuple[float, float]
    beta: float
    w2: float
    gamma: tuple[float, float]


def infer_marginals(probabilities: Values, grey: NDArray[np.uint8], kernels: Kernels, iterations: int) -> Values:
    """Mean-field marginals (C, Y, X) after synchronous updates with Potts compatibility (paper Algorithm 1).

    `probabilities` (C, Y, X) give the unary, `grey` (Y, X). A kernel is K(i, j) = exp(-|f_i - f_j|² / 2), i = j
    included, normalised symmetrically to D^-½ K D^-½ with D = K·1 (Krähenbühl 2013): pydensecrf's definition.
    """
    unary = np.log(np.clip(probabilities, LEAST_PROBABILITY, 1, dtype=np.float32))
    appearance, smoothness = _build_appearance(grey, kernels), _build_smoothness(grey.shape, kernels)
    everything = np.ones_like(unary[:1])
    total = (appearance(everything) + smoothness(everything))[0]
    marginals = _normalise(unary.copy())
    for _ in range(iterations):
        messages = appearance(marginals[1:])
        messages += smoothness(marginals[1:])
        # Marginals sum to one and filters are linear, so the first class is sent the rest without being filtered.
        np.add(unary[1:], messages, out=marginals[1:])
        marginals[0] = unary[0] + total - messages.sum(0)
        _normalise(marginals)
    return marginals


def _normalise(logits: Values) -> Values:
    """Softmax over the classes, in place."""
    logits -= logits.max(0)
    np.exp(logits, out=logits)
    logits /= logits.sum(0)
    return logits


@dataclass(frozen=True)
class _Axis:
    """Positions 0…n-1 on a coarser grid: `share` (n,) of the way from node `near` to its neighbour at `step` = ±1.

    `near` is always even, so that the tetrahedra of neighbouring cells mirror each other.
    """

    near: NDArray[np.int32]
    step: NDArray[np.int32]
    share: Values
    blur: Values


@lru_cache(maxsize=16)
def _lay_axis(n: int, sigma: float) -> _Axis:
    """The Gaussian kernel of n positions as T · blur · Tᵀ, where T interpolates linearly from nodes.

    Of all such matrices `blur` gives the closest to the kernel (least squares), so that the grid may be far coarser
    than one on which a Gaussian is sampled (ours).
    """
    nodes = max(2, min(n, int(np.ceil((n - 1) / (GRID_STEP * sigma))) + 1))
    where = np.arange(n) * ((nodes - 1) / max(n - 1, 1))
    left = np.minimum(where.astype(np.int32), nodes - 2)
    odd = left % 2
    near = left + odd
    tents = np.maximum(1 - np.abs(where[:, None] - np.arange(nodes)), 0)
    inverse = linalg.pinv(tents)
    blur = inverse @ _sample_gaussian(n, sigma) @ inverse.T
    blur[np.abs(blur) < NEGLIGIBLE] = 0  # else products become denormal numbers, which are slow
    return _Axis(near, 1 - 2 * odd, np.abs(where - near).astype(np.float32), blur.astype(np.float32))


def _sample_gaussian(n: int, sigma: float) -> NDArray[np.float64]:
    """(n, n): the kernel between any two of n positions."""
    distance = (np.arange(n)[:, None] - np.arange(n)) / sigma
    kernel: NDArray[np.float64] = np.exp(-(distance**2) / 2)
    return kernel


def _build_appearance(grey: NDArray[np.uint8], kernels: Kernels) -> Filter:
    """The appearance kernel, normalised and weighted."""
    sizes = (*grey.shape, GREY_LEVELS)
    axes = [_lay_axis(n, sigma) for n, sigma in zip(sizes, (*kernels.alpha, kernels.beta), strict=True)]
    slicing = _build_slicing(grey, axes)
    everything = np.ones((1, *grey.shape), np.float32)
    degree = _filter_planes(everything, slicing, axes).ravel()
    slicing.data *= np.repeat(np.sqrt(kernels.w1 / np.maximum(degree, LEAST_DEGREE)), CORNERS)
    return lambda values: _filter_planes(values, slicing, axes)


def _filter_planes(values: Values, slicing: sparse.csr_array, axes: list[_Axis]) -> Values:
    """Of each class: splat to the nodes, blur there along each axis, slice the result back to pixels."""
    blur_y, blur_x, blur_grey = (axis.blur for axis in axes)
    splatting = slicing.T
    filtered = np.empty_like(values)
    for source, target in zip(values, filtered, strict=True):
        nodes = (splatting @ source.ravel()).reshape(len(blur_y), -1)
        blurred = blur_x @ ((blur_y @ nodes).reshape(len(blur_y), len(blur_x), -1) @ blur_grey)
        target[:] = (slicing @ blurred.ravel()).reshape(source.shape)
    return filtered


def _build_slicing(grey: NDArray[np.uint8], axes: list[_Axis]) -> sparse.csr_array:
    """(Y·X, nodes): linear interpolation of each pixel's value in the tetrahedron of four nodes around it.

    From the cell's even corner to the opposite one: first along the axis on which the pixel lies farthest.
    """
    y, x, level = axes
    strides = len(x.blur) * len(level.blur), len(level.blur), 1
    near = (y.near * strides[0])[:, None] + x.near * strides[1] + level.near[grey]
    steps = (y.step * strides[0])[:, None], x.step * strides[1], level.step[grey]
    shares = y.share[:, None], x.share, level.share[grey]
    most, least = (choose(choose(shares[0], shares[1]), shares[2]) for choose in (np.maximum, np.minimum))
    middle = sum(shares) - most - least
    first = np.where(most == shares[2], steps[2], np.where(most == shares[1], steps[1], steps[0]))
    last = np.where(least == shares[0], steps[0], np.where(least == shares[1], steps[1], steps[2]))
    far = near + sum(steps)
    nodes = np.stack([near, near + first, far - last, far], -1)
    weights = np.stack([1 - most, most - middle, middle - least, least], -1)
    ends = np.arange(0, nodes.size + 1, CORNERS, dtype=np.int32)
    return sparse.csr_array((weights.ravel(), nodes.ravel(), ends), (grey.size, len(y.blur) * strides[0]))


def _build_smoothness(shape: tuple[int, ...], kernels: Kernels) -> Filter:
    """The smoothness kernel, normalised and weighted."""
    along_y, along_x = (_build_band(n, sigma) for n, sigma in zip(shape, kernels.gamma, strict=True))
    weighted = along_y * np.float32(kernels.w2)

    def smooth(values: Values) -> Values:
        classes, height, width = values.shape
        rows = np.ascontiguousarray(values.transpose(2, 0, 1)).reshape(width, -1)
        columns = np.ascontiguousarray((along_x @ rows).reshape(width, classes, height).transpose(2, 1, 0))
        smoothed: Values = (weighted @ columns.reshape(height, -1)).reshape(height, classes, width).transpose(1, 0, 2)
        return smoothed

    return smooth


@lru_cache(maxsize=16)
def _build_band(n: int, sigma: float) -> sparse.csr_array:
    """Sparse (n, n) kernel, cut where it falls below `LEAST_WEIGHT` and normalised symmetrically."""
    kernel = _sample_gaussian(n, sigma)
    kernel[kernel < LEAST_WEIGHT] = 0
    scale = 1 / np.sqrt(kernel.sum(1))
    return sparse.csr_array((scale[:, None] * kernel * scale).astype(np.float32))
