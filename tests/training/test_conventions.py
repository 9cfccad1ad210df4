"""Rehearsed and tested labels follow the labels' own conventions."""

import numpy as np
import pytest
import torch
from glrp_training.conventions import redraw
from glrp_training.slices import Slices, prepare_phantoms

from glrp_napari.cine import Structure
from glrp_napari.library import Protocol
from glrp_napari.models import Preprocessing


def draw_slice() -> Slices:
    """A bright cavity with a dark muscle of 3 × 3 and a dark single pixel in it, a dark wall, and the same as RV."""
    image, mask = torch.full((1, 40, 40), -1.0), torch.zeros((1, 40, 40), dtype=torch.uint8)
    mask[0, 5:25, 5:25], image[0, 5:25, 5:25] = Structure.MYO, 0.0
    for cavity, rows in ((Structure.LV, slice(8, 22)), (Structure.RV, slice(26, 38))):
        mask[0, rows, 8:22], image[0, rows, 8:22] = cavity, 2.0
        image[0, rows.start + 3 : rows.start + 6, 12:15] = 0.1
        image[0, rows.start + 8, 18] = 0.1
    return Slices(image.half(), mask)


@pytest.mark.parametrize(
    ("protocol", "cavity", "label"),
    [
        (Protocol(papillaries="wall"), Structure.LV, Structure.MYO),
        (Protocol(rv_trabeculae="left-out"), Structure.RV, 0),
    ],
)
def test_muscle_in_a_cavity_is_drawn_as_the_protocol_says(protocol: Protocol, cavity: Structure, label: int) -> None:
    slices = draw_slice()
    moved = redraw(slices, protocol).masks != slices.masks
    assert int(moved.sum()) == 5  # the muscle without its corners, not the pixel
    assert (slices.masks[moved] == cavity).all()
    assert (redraw(slices, protocol).masks[moved] == label).all()


@pytest.mark.parametrize("protocol", [None, Protocol(), Protocol(basal_slice="any")])
def test_what_is_drawn_as_usual_stays(protocol: Protocol | None) -> None:
    slices = draw_slice()
    assert redraw(slices, protocol) is slices


def test_phantoms_have_muscle_to_move() -> None:
    frame = next(iter(prepare_phantoms([10_000], Preprocessing(size=96, spacing_mm=2.5))))
    wall = redraw(frame, Protocol(papillaries="wall"))
    before, after = ((one.masks == Structure.LV).sum().item() for one in (frame, wall))
    assert 0.7 * before < after < 0.98 * before
    np.testing.assert_array_equal(wall.masks == Structure.RV, frame.masks == Structure.RV)
