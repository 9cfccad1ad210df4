"""The user's labels on disk: a folder a person can read. What most of the program needs of it is named here."""

from glrp_napari.library.label_files import load_before, load_slice
from glrp_napari.library.lock import Claim, LibraryHeld, claim_library
from glrp_napari.library.protocol import Protocol, find_protocol, load_protocol, save_protocol
from glrp_napari.library.record import FORMAT, DamagedRecord, Label, State
from glrp_napari.library.record_text import LibraryError
from glrp_napari.library.store import (
    Accepted,
    Survey,
    accept_slice,
    accept_slices,
    adopt_protocol,
    list_labels,
    load_masks,
    mark_outside,
    relink_images,
    remove_label,
    set_aside_damaged,
    survey_labels,
)

__all__ = [
    "FORMAT",
    "Accepted",
    "Claim",
    "DamagedRecord",
    "Label",
    "LibraryError",
    "LibraryHeld",
    "Protocol",
    "State",
    "Survey",
    "accept_slice",
    "accept_slices",
    "adopt_protocol",
    "claim_library",
    "find_protocol",
    "list_labels",
    "load_before",
    "load_masks",
    "load_protocol",
    "load_slice",
    "mark_outside",
    "relink_images",
    "remove_label",
    "save_protocol",
    "set_aside_damaged",
    "survey_labels",
]
