"""Muscle in a cavity: found by its brightness, redrawn in masks, in probabilities and in a model's answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from glrp_napari.cine import Structure
from glrp_napari.device import Placement
from glrp_napari.models import Cavity, Model
from glrp_napari.muscle import find_muscle, move_muscle, move_muscle_probability
from glrp_napari.phantom import make_phantom
from glrp_napari.preprocess import normalise_frame
from glrp_napari.progress import collect
from glrp_napari.segment import open_model

CPU = Placement(torch.device("cpu"), None, batch=8)


def draw_slice() -> tuple[np.ndarray, np.ndarray]:
    """A bright LV with a dark muscle of 3 × 3 and a dark single pixel in it, in a dark wall, and such an RV beside."""
    image, mask = np.full((40, 40), -1, np.float32), np.zeros((40, 40), np.uint8)
    mask[5:25, 5:25], image[5:25, 5:25] = Structure.MYO, 0
    for cavity, top in ((Structure.LV, 8), (Structure.RV, 26)):
        mask[top : top + 12, 8:22], image[top : top + 12, 8:22] = cavity, 2
        image[top + 3 : top + 6, 12:15] = image[top + 8, 18] = 0.1
    return image, mask


@pytest.mark.parametrize(("cavity", "top", "label"), [("LV", 8, Structure.MYO), ("RV", 26, 0)])
def test_what_is_as_dark_as_the_wall_is_muscle_but_for_single_pixels(cavity: Cavity, top: int, label: int) -> None:
    image, mask = draw_slice()
    expected = np.zeros(mask.shape, bool)
    expected[top + 3 : top + 6, 13] = expected[top + 4, 12:15] = True  # an opening rounds the corners
    np.testing.assert_array_equal(find_muscle(image, mask, cavity), expected)
    np.testing.assert_array_equal(move_muscle(image, mask, (cavity,)), np.where(expected, label, mask))


def test_without_a_wall_or_a_cavity_there_is_none() -> None:
    image, mask = draw_slice()
    assert not find_muscle(image, np.where(mask == Structure.MYO, 0, mask), "LV").any()
    assert not find_muscle(image, np.where(mask == Structure.LV, 0, mask), "LV").any()


def test_probabilities_change_places_and_only_there() -> None:
    image, mask = draw_slice()
    sure = (np.eye(4, dtype=np.float32)[mask].transpose(2, 0, 1) * 0.6 + 0.1)[None]
    moved = move_muscle_probability(sure, image[None], ("LV", "RV"))
    np.testing.assert_allclose(moved.sum(1), sure.sum(1))
    np.testing.assert_array_equal(moved.argmax(1)[0], move_muscle(image, mask, ("LV", "RV")))
    same = move_muscle(image, mask, ("LV", "RV")) == mask
    np.testing.assert_array_equal(moved[0][:, same], sure[0][:, same])


def test_a_model_whose_card_says_so_answers_without_muscle(tiny_model: Model) -> None:
    phantom = make_phantom(3, frames=(0,))
    slices = torch.from_numpy(normalise_frame(phantom.cine.images[0].astype(np.float32)))[:, :64, :64]
    plain = collect(open_model(tiny_model, CPU).predict(slices))
    card = tiny_model.card.model_copy(update={"muscle": ("LV", "RV")})
    answer = collect(open_model(replace(tiny_model, card=card), CPU).predict(slices))
    expected = move_muscle_probability(plain.numpy(), slices.numpy(), ("LV", "RV"))
    np.testing.assert_array_equal(answer.numpy(), expected)
