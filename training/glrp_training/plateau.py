"""When a training on a few labels has learned them: its loss no longer falls from one stretch to the next. Pure."""

from collections.abc import MutableMapping

STRETCH = 40
"""Steps over which the loss is averaged. A single step's says little: of six slices, each turned and shifted anew, one
that is easy by chance looks like the best there will ever be."""
LEAST_FALL = 0.01


class Plateau:
    """Watches a loss. What it knows lies in `notes`, numbers that a checkpoint keeps, so that it too goes on."""

    def __init__(self, notes: MutableMapping[str, float]) -> None:
        self._notes = notes

    @property
    def has_come(self) -> bool:
        """Whether the mean loss of the last whole stretch was not a hundredth below that of the stretch before."""
        return bool(self._notes.get("come", False))

    def look(self, step: int, loss: float) -> None:
        """Take in the loss of a step (from 1 on), each of them once."""
        notes = self._notes
        notes["sum"] = notes.get("sum", 0.0) + loss
        if step % STRETCH == 0:
            mean, before = notes.pop("sum") / STRETCH, notes.get("before", float("inf"))
            notes["before"] = mean
            notes["come"] = float(mean > (1 - LEAST_FALL) * before)
