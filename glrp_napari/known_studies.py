"""What the studies of a session are called and where they lie, so that the label of a closed one can be named.

A label knows its study by hash alone, so that a library can be handed on. The names stay in the session folder, beside
the library, and are copied nowhere. They are a comfort: without them one reads the hash.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from glrp_napari.writing.atomic import write_atomically


class KnownStudy(BaseModel):
    """A study's name and its file or folder; None for one that came from no file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: Path | None = None


KnownStudies = Mapping[str, KnownStudy]
"""By the study's hash."""
NONE_KNOWN: KnownStudies = MappingProxyType({})
_STUDIES = TypeAdapter(dict[str, KnownStudy])


def load_known(index: Path) -> KnownStudies:
    """The studies in an index; none where there is no index or a damaged one, which the next study begins anew."""
    try:
        return _STUDIES.validate_json(index.read_bytes())
    except (FileNotFoundError, ValidationError):
        return NONE_KNOWN


def remember_study(index: Path, study: str, known: KnownStudy) -> KnownStudies:
    """Add a study (by hash) to an index, or note where it lies now; returns all that are in it. Raises OSError."""
    before = load_known(index)
    if before.get(study) == known:
        return before
    studies = {**before, study: known}
    index.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(index, _STUDIES.dump_json(studies, indent=2) + b"\n")
    return studies
