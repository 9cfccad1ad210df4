"""What was found when a fine-tuned model was measured against the model in use, and against the one it came from.

Plain frozen values that travel in a message and stay in the model's card. Knows no network; what follows from them is
`gate`'s to say.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from glrp_napari.cine import Structure

HeldOut = Literal["patients", "slices", "nothing"]


class Found(BaseModel):
    """Base of the values: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scores(Found):
    """One model on a patient's held-out slices, by structure: Dice, HD95 in mm, and areas.

    Dice is there for what the labels hold, so for the same structures whatever the model. `area_cm2` is the mean area a
    slice, `area_error_cm2` the mean of its absolute error against the labels. HD95 has no value where the structure was
    never found on both sides.
    """

    dice: dict[str, float] = Field(default_factory=dict)
    hd95_mm: dict[str, float] = Field(default_factory=dict)
    area_cm2: dict[str, float] = Field(default_factory=dict)
    area_error_cm2: dict[str, float] = Field(default_factory=dict)

    @field_validator("*")
    @classmethod
    def _name_structures(cls, values: dict[str, float]) -> dict[str, float]:
        """A card may come from elsewhere."""
        if unknown := sorted({*values} - {*Structure.__members__}):
            raise ValueError(f"found {', '.join(unknown)}, expected structures of {', '.join(Structure.__members__)}")
        return values

    @property
    def mean_dice(self) -> float:
        """The mean over structures; 0 where nothing was scored."""
        return mean(self.dice.values()) or 0.0


class PhaseSlices(Found):
    """The frame of a phase, and the first and last slice of the LV that count in it; all count from 0."""

    frame: int
    first: int
    last: int


SettledPhases = dict[str, tuple[PhaseSlices, PhaseSlices]]
"""ED and ES by the study's hash, where they are settled."""


class Heart(Found):
    """Left-ventricular volumes in ml, ejection fraction in % and mass in g."""

    edv_ml: float
    esv_ml: float
    ef_percent: float
    mass_g: float


class PatientComparison(Found):
    """The model in use (`base`) and the candidate on the held-out corrected slices of one patient (the hash of a study
    of his).

    The hearts are there where end-diastole and end-systole are fully labelled: by the labels, and by each model.
    """

    study: str
    slices: int
    base: Scores
    candidate: Scores
    labelled_heart: Heart | None = None
    base_heart: Heart | None = None
    candidate_heart: Heart | None = None

    @property
    def gain(self) -> float:
        """How much the mean Dice rose."""
        return self.candidate.mean_dice - self.base.mean_dice


class Anchor(Found):
    """Whether the candidate forgot what the base knew, the model that its training started from.

    Mean Dice on phantoms that no training saw, and the Dice between both models' answers on unlabelled slices where
    the base is sure; None where there was no study open (`study_open`), or none of its slices the base was sure of.
    """

    base_phantoms: float
    candidate_phantoms: float
    agreement: float | None = None
    slices: int = 0
    study_open: bool = False

    @property
    def drop(self) -> float:
        """How much the Dice on phantoms fell."""
        return self.base_phantoms - self.candidate_phantoms


class SliceChange(Found):
    """One held-out slice before and after; `picture` is an .npz file with `image`, `label`, `before` and `after`."""

    study: str
    frame: int
    slice: int
    before: float
    after: float
    picture: Path | None = None


class Comparison(Found):
    """The model in use and the candidate on corrected slices that neither learned from, and base and candidate on the
    anchor.

    `held_out` says what kept those apart: other patients, other slices of the one patient, or nothing (then there
    are no patients here); `all_seen` that only because the model in use has learned from all there is. `in_use` is that
    model's name and `started_from` the base's; where they differ, `base` of a patient is the model in use. `trained`
    labels were learned from. `complete` is false when the checks were cut short.
    """

    held_out: HeldOut
    all_seen: bool = False
    in_use: str = ""
    started_from: str = ""
    trained: int = 0
    patients: tuple[PatientComparison, ...] = ()
    anchor: Anchor | None = None
    changed: tuple[SliceChange, ...] = ()
    complete: bool = True

    @property
    def is_second_round(self) -> bool:
        """Whether the model in use is another than the one that training started from."""
        return self.in_use != self.started_from

    @property
    def slices(self) -> int:
        """How many slices were compared."""
        return sum(patient.slices for patient in self.patients)

    @property
    def base(self) -> float:
        """The mean Dice of the model in use, every patient counting the same."""
        return mean(patient.base.mean_dice for patient in self.patients) or 0.0

    @property
    def candidate(self) -> float:
        """The candidate's mean Dice, every patient counting the same."""
        return mean(patient.candidate.mean_dice for patient in self.patients) or 0.0


class Spread(NamedTuple):
    """How far two expert readers are apart on one measure: the range found between pairs of them."""

    name: str
    field: str
    unit: str
    low: float
    high: float


READERS = (
    Spread("EDV", "edv_ml", "ml", 15.2, 28.4),
    Spread("ESV", "esv_ml", "ml", 14.0, 21.5),
    Spread("EF", "ef_percent", "%", 4.6, 7.5),
    Spread("mass", "mass_g", "g", 20.2, 34.5),
)
"""Seven core laboratories on fifteen cines: inter-reader agreement (Suinesiaputra et al., J Cardiovasc Magn Reson
17:63, 2015, doi 10.1186/s12968-015-0170-9, abstract)."""


def mean(values: Iterable[float]) -> float | None:
    """The mean; None of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else None


def mean_by_structure(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each key over the rows that have it."""
    known = list(rows)
    keys = dict.fromkeys(key for row in known for key in row)
    return {key: sum(row[key] for row in known if key in row) / sum(key in row for row in known) for key in keys}
