"""The user's labels on disk: a folder a person can read. What the rest of the program needs of it is named here."""

from glrp_napari.library.protocol import Protocol, load_protocol, save_protocol
from glrp_napari.library.record import FORMAT, DamagedRecord, Label, State
from glrp_napari.library.record_text import LibraryError
from glrp_napari.library.store import (
    Accepted,
    Survey,
    accept_slice,
    accept_slices,
    list_labels,
    load_before,
    load_slice,
    remove_label,
    survey_labels,
)

__all__ = [
    "FORMAT",
    "Accepted",
    "DamagedRecord",
    "Label",
    "LibraryError",
    "Protocol",
    "State",
    "Survey",
    "accept_slice",
    "accept_slices",
    "list_labels",
    "load_before",
    "load_protocol",
    "load_slice",
    "remove_label",
    "save_protocol",
    "survey_labels",
]
