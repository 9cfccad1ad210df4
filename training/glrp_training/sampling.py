"""Which slices a step sees, and its random numbers: functions of the seed and the step alone.

So a run that is resumed, or one that is spread over several processes, sees what the undisturbed one sees.
"""

import math

import torch
from torch import Tensor


def count_steps(slices: int, batch: int, epochs: int, min_steps: int = 0) -> int:
    """Steps of `epochs` passes over so many slices, and at least `min_steps` (method §5, ours).

    With two labelled patients 200 epochs are some 800 steps: `min_steps` tells a weak method from a starved one.
    """
    return max(min_steps, epochs * math.ceil(slices / batch))


def draw_epochs(population: int, count: int, seed: int, step: int) -> Tensor:
    """The `count` indices of one step: epochs without replacement, each shuffled by its own seed."""
    first = step * count
    return torch.stack(
        [_shuffle(population, seed, i // population)[i % population] for i in range(first, first + count)]
    )


def make_generator(seed: int, step: int) -> torch.Generator:
    """Random numbers (on the CPU) of one step of one run."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def _shuffle(population: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(population, generator=torch.Generator().manual_seed(seed * 7919 + epoch))
