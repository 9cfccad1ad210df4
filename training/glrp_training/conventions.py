"""Labels redrawn by a protocol's conventions: what a fine-tuning rehearses and is tested on follows the rules that its
own labels follow. Pure.
"""

from collections.abc import Sequence

import numpy as np
import torch

from glrp_napari.library import Label, Protocol
from glrp_napari.models import Cavity
from glrp_napari.muscle import move_muscle
from glrp_training.slices import Slices


def find_protocol(labels: Sequence[Label]) -> Protocol | None:
    """The conventions the labels were drawn by, where they are known and one for all."""
    found = {label.protocol for label in labels}
    return found.pop() if len(found) == 1 else None


def list_muscle(protocol: Protocol | None) -> tuple[Cavity, ...]:
    """The cavities whose muscle does not count to them by the protocol."""
    if protocol is None:
        return ()
    rules: dict[Cavity, bool] = {"LV": protocol.papillaries == "wall", "RV": protocol.rv_trabeculae == "left-out"}
    return tuple(cavity for cavity, moves in rules.items() if moves)


def redraw(slices: Slices, protocol: Protocol | None) -> Slices:
    """Slices drawn with muscle in both cavities, as ACDC's and the phantoms' are, by the protocol's conventions."""
    if not (cavities := list_muscle(protocol)):
        return slices
    pairs = zip(slices.images.float().numpy(), slices.masks.numpy(), strict=True)
    masks = np.stack([move_muscle(image, mask, cavities) for image, mask in pairs])
    return Slices(slices.images, torch.from_numpy(masks), slices.weights)
