"""The record of one label: what its JSON says, of this format, the one before and, as far as can be read, a later.

It must not know images or masks.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glrp_napari.cine import Finite, Geometry
from glrp_napari.library.protocol import Protocol
from glrp_napari.library.record_text import LibraryError, parse_object
from glrp_napari.reasons import name_fault

State = Literal["accepted", "corrected"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

FORMAT = 3
"""Records of a later format are read as far as they are understood, and their library is not written to."""
STUDY_DIGITS = 12
"""So much of a study's hash is in the names of its labels."""


class DamagedRecord(LibraryError):
    """A label's record cannot be read; `path` is the file."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class Label(BaseModel):
    """The record of one label: one slice of one frame of one study.

    `study` is the hash of the study (`hash_study`). `frame_mean` and `frame_std` are those of the whole 3-D frame,
    which the network's z-score needs and a single slice does not show. `counter` orders labels without trusting the
    clock. Since format 2: `who` accepted it, as typed by that person, and the `protocol` in force; the grid, `shape`
    (Y, X) and `geometry`; and the SHA-256 of its files, `before_sha256` being that of the model's own answer, None
    where there was none. Since format 3: `patient`, a hash that the files of one patient share (`hash_patient`), None
    where the study alone stands for the patient; and whether the slice lies `outside` base and apex as the reader set
    them, so that nothing learns from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = Field(default=FORMAT, ge=1)
    study: Hash
    frame: int = Field(ge=0)
    slice: int = Field(ge=0)
    slices: int = Field(ge=1)
    state: State
    counter: int = Field(ge=0)
    frame_mean: Finite
    frame_std: Finite = Field(ge=0)
    model: str | None = None
    who: str = ""
    protocol: Protocol | None = None
    patient: Hash | None = None
    outside: bool = False
    shape: tuple[int, int] | None = None
    geometry: Geometry | None = None
    image_sha256: Hash | None = None
    mask_sha256: Hash | None = None
    before_sha256: Hash | None = None

    @property
    def stem(self) -> str:
        """The name its files begin with: its place, and so its identity."""
        return f"{self.study[:STUDY_DIGITS]}-t{self.frame:03d}-z{self.slice:03d}"


def find_position(stem: str) -> tuple[str, str]:
    """The study, as far as it is known, and the slice position that a label's name tells, the same for all frames."""
    return stem[:STUDY_DIGITS], stem.rpartition("-")[2]


def load_record(path: Path) -> Label:
    """The record in a file. Raises DamagedRecord for one that is malformed or says another place than its name."""
    try:
        values = parse_object(path)
        label = Label.model_validate(_drop_unknown(values))
    except ValidationError as error:
        raise DamagedRecord(
            path, f"{path.name}: {name_fault(error)}, expected a label record of format {FORMAT}"
        ) from None
    except LibraryError as error:
        raise DamagedRecord(path, str(error)) from None
    if path.name != f"{label.stem}.json":
        raise DamagedRecord(path, f"{path.name}: found the record of {label.stem}, expected the one its name says")
    return label


def _drop_unknown(values: dict[str, Any]) -> dict[str, Any]:
    """A later format's record without what this program does not know."""
    version = values.get("format_version")
    later = isinstance(version, int) and version > FORMAT
    return {name: value for name, value in values.items() if name in Label.model_fields} if later else values
