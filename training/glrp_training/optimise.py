"""What pre-training and fine-tuning share about a step: the rate's schedule, and the stop at what is no number."""

import math

import torch


class NotFiniteError(ValueError):
    """The loss or its gradient is no longer a number; the weights of the last step before it are kept."""


def schedule(step: int, steps: int, warmup: int) -> float:
    """The share of the full rate at `step`: linear warm-up, then a cosine to zero over all `steps`."""
    warm = min(1.0, (step + 1) / max(warmup, 1))
    return warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def check_finite(value: float, what: str) -> float:
    """`value` itself. Raises NotFiniteError."""
    if not math.isfinite(value):
        raise NotFiniteError(f"the {what} became {value}: expected a finite number (try a lower rate)")
    return value
