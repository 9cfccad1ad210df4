"""What a slice of a mask is, and the groups of states that decide what may happen to it."""

from enum import IntEnum


class SliceState(IntEnum):
    """What a slice of the mask is: never touched, the model's, changed by a person, or stored as a label."""

    UNTOUCHED = 0
    PREDICTED = 1
    EDITED = 2
    ACCEPTED = 3
    CORRECTED = 4


PENDING = (SliceState.PREDICTED, SliceState.EDITED)
"""What accepting would take."""
STORED = (SliceState.ACCEPTED, SliceState.CORRECTED)
"""What is a label."""
BY_PERSON = (SliceState.EDITED, *STORED)
"""What no run of a model overwrites unless asked."""
