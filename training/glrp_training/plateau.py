"""When a training on a few labels has learned them: its smoothed loss no longer falls. Pure."""

from collections.abc import MutableMapping

SMOOTHING = 0.9
LEAST_FALL = 0.01
PATIENCE = 40


class Plateau:
    """Watches a loss. What it knows lies in `notes`, numbers that a checkpoint keeps, so that it too goes on."""

    def __init__(self, notes: MutableMapping[str, float]) -> None:
        self._notes = notes

    def has_come(self, step: int, loss: float) -> bool:
        """Whether the loss after `step`, smoothed over some ten steps, fell by no hundredth for `PATIENCE` steps."""
        notes = self._notes
        smooth = notes["smooth"] = SMOOTHING * notes.get("smooth", loss) + (1 - SMOOTHING) * loss
        if smooth < (1 - LEAST_FALL) * notes.get("lowest", float("inf")):
            notes["lowest"], notes["at"] = smooth, float(step)
        return step - notes["at"] >= PATIENCE
