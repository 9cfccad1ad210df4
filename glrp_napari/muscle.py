"""Muscle within the cavities, papillary muscles and trabeculae, which some readers draw as wall or leave out. Pure.

A network learns such a rule only from many slices; where the labels show it, the model's answers are redrawn by it.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.cine import Mask, Structure
from glrp_napari.models import Cavity

GOES_TO: Mapping[Cavity, int] = {"LV": Structure.MYO, "RV": 0}
"""What the muscle of a cavity is drawn as by those who do not count it to the cavity."""


def find_muscle(image: NDArray[np.float32], mask: Mask, cavity: Cavity) -> NDArray[np.bool_]:
    """Where in a slice (Y, X) the cavity is as dark as the wall.

    The threshold lies halfway between the medians of wall and cavity; single pixels do not count. Without a wall there
    is none.
    """
    inside, wall = mask == Structure[cavity], mask == Structure.MYO
    if not inside.any() or not wall.any():
        return np.zeros_like(inside)
    threshold = (np.median(image[inside]) + np.median(image[wall])) / 2
    return np.asarray(ndimage.binary_opening(inside & (image < threshold)))


def move_muscle(image: NDArray[np.float32], mask: Mask, cavities: Iterable[Cavity]) -> Mask:
    """A slice's mask (Y, X) with the muscle of these cavities drawn as what it goes to."""
    result = mask.copy()
    for cavity in cavities:
        result[find_muscle(image, mask, cavity)] = GOES_TO[cavity]
    return result


def move_muscle_probability(
    probabilities: NDArray[np.float32], images: NDArray[np.float32], cavities: Iterable[Cavity]
) -> NDArray[np.float32]:
    """Class probabilities (N, C, Y, X) of slices (N, Y, X) in which the muscle of these cavities has changed places
    with what it goes to.
    """
    result, masks = probabilities.copy(), probabilities.argmax(1).astype(np.uint8)
    for cavity in cavities:
        pair = [int(Structure[cavity]), GOES_TO[cavity]]
        for answer, image, mask in zip(result, images, masks, strict=True):
            where = find_muscle(image, mask, cavity)
            answer[pair] = np.where(where, answer[pair[::-1]], answer[pair])
    return result
