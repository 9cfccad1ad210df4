"""Small slices to learn from."""

import pytest
import torch
from glrp_training.slices import Slices


@pytest.fixture
def squares() -> Slices:
    """Eight slices with a bright square that is LV inside a grey one that is myocardium."""
    images, masks = torch.zeros(8, 48, 48), torch.zeros(8, 48, 48, dtype=torch.uint8)
    for i in range(8):
        images[i, 10 + i : 30 + i, 12:34], masks[i, 10 + i : 30 + i, 12:34] = 1, 2
        images[i, 15 + i : 25 + i, 18:28], masks[i, 15 + i : 25 + i, 18:28] = 2, 3
    return Slices(images.half(), masks)
