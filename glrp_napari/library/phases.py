"""ED and ES of the library's studies, with the slices of the LV that count in them, as they stood when labels of them
were accepted: a study need not be open for its volumes to be compared.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from glrp_napari.comparison import SettledPhases
from glrp_napari.library.record_text import LibraryError, parse_object
from glrp_napari.reasons import name_fault
from glrp_napari.writing.atomic import write_atomically

PHASES = "phases.json"
EXPECTED = "expected the studies' ED and ES; remove the file to keep them anew"


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    phases: SettledPhases = {}


def load_phases(folder: Path) -> SettledPhases:
    """ED and ES by the study's hash; empty where none were kept. Raises LibraryError for a damaged file."""
    path = folder / PHASES
    if not path.exists():
        return {}
    try:
        return _Known.model_validate(parse_object(path)).phases
    except ValidationError as error:
        raise LibraryError(f"{PHASES}: {name_fault(error)}, {EXPECTED}") from None
    except LibraryError as error:
        raise LibraryError(f"{error}; {EXPECTED}") from None


def take_phases(source: Path, folder: Path) -> None:
    """Add the phases kept in the library `source` to those in `folder`, whose own stay. Raises as `keep_phases`."""
    keep_phases(folder, load_phases(source) | load_phases(folder))


def keep_phases(folder: Path, phases: SettledPhases) -> None:
    """Add these studies' phases to those kept, in place of their earlier ones. Raises as `load_phases`, and OSError."""
    known = load_phases(folder)
    if (merged := known | phases) != known:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / PHASES, _Known(phases=merged).model_dump_json(indent=2).encode() + b"\n")
