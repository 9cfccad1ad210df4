"""When a training on a few labels stops by itself."""

from collections.abc import Iterable

import numpy as np
from glrp_training.plateau import Plateau


def test_a_loss_that_falls_goes_on() -> None:
    assert _stops(np.linspace(0.5, 0.2, 160)) is None


def test_a_loss_that_stays_ends_it() -> None:
    assert _stops(np.full(160, 0.3)) == 80


def test_an_easy_first_step_ends_nothing() -> None:
    losses = np.linspace(0.5, 0.2, 160) + np.random.default_rng(0).normal(0, 0.05, 160)
    losses[0] = 0.05
    assert _stops(losses) is None


def test_a_loss_that_fell_and_stays_ends_it() -> None:
    assert _stops([*np.linspace(0.5, 0.2, 80), *np.full(80, 0.2)]) == 160


def test_what_it_knows_lies_in_its_notes() -> None:
    losses = [*np.linspace(0.5, 0.3, 80), *np.full(80, 0.3)]
    notes: dict[str, float] = {}
    for step, loss in enumerate(losses, 1):
        Plateau(notes).look(step, loss)
        if Plateau(notes).has_come:
            break
    assert step == _stops(losses)


def _stops(losses: Iterable[float]) -> int | None:
    plateau = Plateau({})
    for step, loss in enumerate(losses, 1):
        plateau.look(step, loss)
        if plateau.has_come:
            return step
    return None
