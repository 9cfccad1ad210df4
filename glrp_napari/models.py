"""Model files: one safetensors file of weights and one JSON card beside it, and finding them on disk.

The card rebuilds and explains the network. This module never loads weights, so that listing models stays cheap:
see `weights` for that.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import glrp_napari
from glrp_napari.comparison import Comparison
from glrp_napari.hashing import hash_bytes
from glrp_napari.reasons import name_fault
from glrp_napari.writing.atomic import write_atomically

Role = Literal["segmentation", "encoder"]
Cavity = Literal["LV", "RV"]
_ROLES: tuple[Role, ...] = ("encoder", "segmentation")  # of one name, the model that segments wins
_MAX_STEM = 58  # with a number behind it, a name still fits a card

VERDICT = "verdict"
"""The name among a card's figures of the sentence that says whether a fine-tuning helped."""

DEFAULT_MODEL = "glrp"
"""The model that is used unless another is chosen."""


class ModelError(ValueError):
    """A model file or its card is unusable; says which file, what was found and what was expected."""


class Settings(BaseModel):
    """Base of frozen settings that are part of a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(Settings):
    """A 2-D U-Net (paper Fig. 1): `width` filters in the first of five blocks, doubled in each; `classes` outputs."""

    width: int = Field(default=24, ge=4, le=96)
    classes: Literal[4] = 4


class Preprocessing(Settings):
    """From the native grid to the network's (method §2): in-plane spacing in mm, side of the square, N4 or not."""

    spacing_mm: float = Field(default=1.25, gt=0)
    size: int = Field(default=192, multiple_of=16, ge=64)
    n4: bool = False


class Fusion(Settings):
    """How the answers of several networks become one (paper eq. 8): Q = q0 + M, renormalised.

    M is the mean of their softmax, or of their `votes` (one for the likeliest class of each). `q0` keeps a class
    possible that no network saw.
    """

    q0: float = Field(default=0.01, ge=0)
    votes: bool = False


class Card(Settings):
    """What a model is, where it comes from and how good it was found to be. Stored beside the weights as JSON.

    `role` "encoder" is a pre-trained encoder, which segments nothing until it is fine-tuned. `members` names the
    networks of a fused model, all of one architecture; the first is the one that is fine-tuned further. `muscle` names
    the cavities whose muscle the answers leave to the wall (LV) or leave out (RV), see `muscle`.
    """

    format_version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    title: str
    summary: str = ""
    role: Role = "segmentation"
    members: tuple[str, ...] = ()
    fusion: Fusion = Fusion()
    muscle: tuple[Cavity, ...] = ()
    architecture: Architecture = Architecture()
    preprocessing: Preprocessing = Preprocessing()
    weights_sha256: str
    parent: str | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    labels: tuple[str, ...] = ()
    figures: dict[str, Any] = Field(default_factory=dict)
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True)
class Model:
    """A card and the weights file it describes."""

    card: Card
    weights: Path


def find_resources() -> Path:
    """The folder of shipped files: inside the installed package, or at the top of a source tree."""
    package = Path(glrp_napari.__file__).parent
    for folder in (package / "resources", package.parent / "resources"):
        if folder.is_dir():
            return folder
    raise ModelError(f"no resources folder beside {package}: the installation is incomplete")


def list_models(*folders: Path, role: Role = "segmentation") -> tuple[Model, ...]:
    """All models of a role in the shipped resources and then in `folders`, in order of name within a folder.

    Files that are no model are passed over; a card that cannot be read is passed over too, so that one broken file
    does not hide the others (`load_card` says what is wrong with it).
    """
    found = (model for folder in (find_resources(), *folders) for model in _list_folder(folder))
    return tuple(model for model in found if model.card.role == role)


def find_model(name: str, folders: Iterable[Path] = ()) -> Model:
    """The model or encoder called `name`, or in the weights file `name`. Raises ModelError naming those that exist."""
    if Path(name).suffix == ".safetensors":
        return Model(load_card(Path(name)), Path(name))
    known = {model.card.name: model for role in _ROLES for model in list_models(*folders, role=role)}
    if name not in known:
        raise ModelError(
            f"model {name}: not found, expected one of {', '.join(known) or 'none (no model is installed)'}"
        )
    return known[name]


def find_parent(card: Card, known: Iterable[Model]) -> Model | None:
    """The model that a card's own was fine-tuned from, None where it is not among `known`.

    It is known by its weights' hash where the card keeps that; of several with the same weights it is the one that is
    called as the card says, else the first.
    """
    base = card.training.get("base_sha256")
    found = [m for m in known if (m.card.weights_sha256 == base if base else m.card.name == card.parent)]
    return max(found, key=lambda other: other.card.name == card.parent, default=None)


def find_base(model: Model, known: Iterable[Model]) -> Model:
    """The model that a fine-tuned one came from before any label of the user's; one that has none is its own base.

    Follows the cards' parents among `known` models as far as they are there. A parent is known by its weights' hash,
    whatever it is called here; by its name only where the card keeps no hash.
    """
    left = list(known)
    while model.card.labels:
        left = [other for other in left if other != model]  # cards may name each other
        parent = find_parent(model.card, left)
        if parent is None:
            break
        model = parent
    return model


def load_card(weights: Path) -> Card:
    """The card beside a weights file. Raises ModelError when it is missing or malformed."""
    path = weights.with_suffix(".json")
    try:
        return Card.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path}: not found, expected the model's card beside its weights") from None
    except ValidationError as error:
        raise ModelError(f"{path}: {name_fault(error)}, expected a model card of format 1") from None


def read_comparison(card: Card) -> Comparison | None:
    """What was found when a fine-tuned model was measured; None where its card does not say so, or not as we do now.

    Slices that changed are not among it: their pictures are not kept, and a card may come from elsewhere, whose paths
    are none of ours.
    """
    kept = {name: value for name, value in card.figures.items() if name not in (VERDICT, "changed")}
    try:
        return Comparison.model_validate(kept)
    except ValidationError:
        return None


def save_model_files(folder: Path, card: Card, weights: bytes) -> Model:
    """Write weights, then the card that makes them a model; both atomically. Sets the card's hash."""
    model = Model(card.model_copy(update={"weights_sha256": hash_bytes(weights)}), folder / f"{card.name}.safetensors")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(model.weights, weights)
    write_atomically(model.weights.with_suffix(".json"), model.card.model_dump_json(indent=2).encode() + b"\n")
    return model


def name_version(name: str, *folders: Path) -> str:
    """`name` made fit for a file, with the first number behind it that is free in all `folders`: `my-labels-3`."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_MAX_STEM].strip("-._") or "model"
    taken = _list_names(folders)
    return next(version for n in range(1, 10_000) if (version := f"{stem}-{n}").casefold() not in taken)


def find_free_name(name: str, folder: Path) -> str:
    """`name`, or a version of it where a model in `folder` or among the shipped ones is called so."""
    folders = (find_resources(), folder)
    return name_version(name, *folders) if name.casefold() in _list_names(folders) else name


def _list_names(folders: Iterable[Path]) -> set[str]:
    """Names of models and of their files, in one case: `Glrp` and `glrp` are one file on many disks."""
    names = set()
    for folder in folders:
        names |= {path.stem for path in folder.glob("*") if path.suffix in (".json", ".safetensors")}
        names |= {model.card.name for model in _list_folder(folder)}
    return {name.casefold() for name in names}


def _list_folder(folder: Path) -> Iterable[Model]:
    for card_path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
        weights = card_path.with_suffix(".safetensors")
        if weights.exists():
            try:
                yield Model(load_card(weights), weights)
            except ModelError:
                continue
