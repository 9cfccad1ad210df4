"""Labels redrawn by a protocol's conventions: what a fine-tuning rehearses and is tested on follows the rules that its
own labels follow. Pure.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from glrp_napari.cine import Mask, Structure
from glrp_napari.library import Label, Protocol
from glrp_training.slices import Slices


def find_protocol(labels: Sequence[Label]) -> Protocol | None:
    """The conventions the labels were drawn by, where they are known and one for all."""
    found = {label.protocol for label in labels}
    return found.pop() if len(found) == 1 else None


def redraw(slices: Slices, protocol: Protocol | None) -> Slices:
    """Slices drawn with muscle in both cavities, as ACDC's and the phantoms' are, by the protocol's conventions."""
    if protocol is None or (protocol.papillaries, protocol.rv_trabeculae) == ("cavity", "cavity"):
        return slices
    masks = slices.masks.numpy().copy()
    for image, mask in zip(slices.images.float().numpy(), masks, strict=True):
        if protocol.papillaries == "wall":
            move_muscle(image, mask, Structure.LV, Structure.MYO)
        if protocol.rv_trabeculae == "left-out":
            move_muscle(image, mask, Structure.RV, 0)
    return Slices(slices.images, torch.from_numpy(masks), slices.weights)


def move_muscle(image: NDArray[np.float32], mask: Mask, cavity: Structure, to: int) -> None:
    """Give what is as dark as the wall within a cavity another label, in place, in a slice (Y, X).

    The threshold lies halfway between the medians of wall and cavity; single pixels stay. Without a wall nothing moves.
    """
    inside, wall = mask == cavity, mask == Structure.MYO
    if inside.any() and wall.any():
        threshold = (np.median(image[inside]) + np.median(image[wall])) / 2
        mask[ndimage.binary_opening(inside & (image < threshold))] = to
