"""How a library's labels are drawn: the conventions on which readers differ, agreed once for all of its labels.

They change volumes and mass by more than two readers differ (papillaries alone, LV mass by about a tenth), so that
labels of two protocols must not be mixed unseen. Choices after J. Schulz-Menger et al., "Standardized image
interpretation and post-processing in cardiovascular magnetic resonance", JCMR 22:19, 2020.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from glrp_napari.library.record_text import LibraryError, parse_object
from glrp_napari.reasons import name_fault
from glrp_napari.writing.atomic import write_atomically

FILE = "protocol.json"
EXPECTED = "expected the library's conventions; until they are saved anew (menu Library) labels carry none"
QUESTIONS: Mapping[str, str] = {
    "papillaries": "Papillary muscles",
    "basal_slice": "A basal slice counts to the LV",
    "rv_trabeculae": "RV trabeculae",
    "phases": "ED and ES are",
}
ANSWERS: Mapping[str, Mapping[str, str]] = {
    "papillaries": {"cavity": "in the cavity", "wall": "in the wall"},
    "basal_slice": {
        "half": "if at least half of its edge is myocardium",
        "three-quarters": "if at least three quarters are",
        "any": "if there is any myocardium",
    },
    "rv_trabeculae": {"cavity": "in the cavity", "left-out": "left out"},
    "phases": {
        "volume": "the largest and the smallest LV",
        "first-frame": "the first frame and the smallest LV",
        "valves": "where the valves close and open",
    },
}


class Protocol(BaseModel):
    """The conventions in force.

    `papillaries`: papillary muscles count to the LV's cavity or to its wall. `basal_slice`: how much of the cavity's
    edge must be myocardium for a slice to count to the LV. `rv_trabeculae`: in the RV's cavity or left out of it.
    `phases`: how ED and ES are found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    papillaries: Literal["cavity", "wall"] = "cavity"
    basal_slice: Literal["half", "three-quarters", "any"] = "half"
    rv_trabeculae: Literal["cavity", "left-out"] = "cavity"
    phases: Literal["volume", "first-frame", "valves"] = "volume"


def describe_protocol(protocol: Protocol) -> str:
    """The conventions in words: `papillary muscles in the wall, a basal slice counts to the LV if …`."""
    chosen = protocol.model_dump()
    words = (f"{question} {ANSWERS[field][chosen[field]]}" for field, question in QUESTIONS.items())
    return ", ".join(word if word[1].isupper() else word[:1].lower() + word[1:] for word in words)  # RV, ED stay


def load_protocol(folder: Path) -> Protocol | None:
    """The library's protocol, None where none was agreed. Raises LibraryError for a file that is none."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Protocol.model_validate(parse_object(path))
    except ValidationError as error:
        raise LibraryError(f"{path.name}: {name_fault(error)}, {EXPECTED}") from None
    except LibraryError as error:
        raise LibraryError(f"{error}; {EXPECTED}") from None


def find_protocol(folder: Path) -> Protocol | None:
    """As `load_protocol`, but None for a damaged file too: it stops no work, and who can tell the user says so."""
    try:
        return load_protocol(folder)
    except LibraryError:
        return None


def take_protocol(source: Path, folder: Path) -> None:
    """Copy the protocol of the library `source` to the library `folder`, where there is one and none in `folder`.

    Raises as `load_protocol`.
    """
    if not (folder / FILE).exists() and (protocol := load_protocol(source)) is not None:
        save_protocol(folder, protocol)


def save_protocol(folder: Path, protocol: Protocol) -> None:
    """Keep a protocol with the library; labels accepted from now on carry it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE, protocol.model_dump_json(indent=2).encode() + b"\n")
