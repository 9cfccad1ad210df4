"""Other scanners and other labelling rules, made from scans at hand: what fine-tuning must be able to follow. Pure.

A domain turns a frame (Z, Y, X) of any intensity unit and its mask into those of another place.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Mask
from glrp_napari.library import Protocol
from glrp_napari.muscle import move_muscle

Frame = NDArray[np.float32]
Domain = Callable[[Frame, Mask], tuple[Frame, Mask]]


def keep_as_is(frame: Frame, mask: Mask) -> tuple[Frame, Mask]:
    """The scans the base was trained on."""
    return frame, mask


def move_papillaries(frame: Frame, mask: Mask) -> tuple[Frame, Mask]:
    """Another rule: papillary muscles and trabeculae of the LV count as myocardium."""
    return frame, np.stack([move_muscle(image, labels, ("LV",)) for image, labels in zip(frame, mask, strict=True)])


def lower_contrast(frame: Frame, mask: Mask) -> tuple[Frame, Mask]:
    """A quarter of the blood's contrast to the rest, and noise; the mean stays."""
    spread = frame.std() or 1.0
    noise = np.random.default_rng(0).normal(0, 0.15 * spread, frame.shape)
    flat = np.tanh((frame - frame.mean()) / (1.2 * spread)) * spread * 0.6 + frame.mean()
    return (flat + noise).astype(np.float32), mask


def invert_contrast(frame: Frame, mask: Mask) -> tuple[Frame, Mask]:
    """Dark blood: bright becomes dark."""
    return (frame.max() - frame).astype(np.float32), mask


def add_bias_field(frame: Frame, mask: Mask) -> tuple[Frame, Mask]:
    """A surface coil on one side: brightness falls to a fifth across the image."""
    y, x = np.linspace(0, 1, frame.shape[1])[:, None], np.linspace(0, 1, frame.shape[2])
    return (frame * np.exp(np.log(0.2) * (0.5 * y + 0.5 * x) * 1.6)).astype(np.float32), mask


PROTOCOLS: Mapping[str, Protocol] = {"papillaries": Protocol(papillaries="wall")}
"""The conventions that a library of that domain's labels keeps, where they are not the usual ones."""

DOMAINS: Mapping[str, Domain] = {
    "same": keep_as_is,
    "papillaries": move_papillaries,
    "low-contrast": lower_contrast,
    "inverted": invert_contrast,
    "bias": add_bias_field,
}
