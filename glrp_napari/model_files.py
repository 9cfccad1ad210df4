"""A model as one file to hand on: a .zip, not compressed, of its weights and its card.

Nothing in it is trusted: names, sizes, hash and the tensors' names and shapes are checked before anything is written,
and nothing is ever unpickled. Knows no network: the full check is `weights`', when the model is opened.
"""

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from glrp_napari.hashing import hash_bytes
from glrp_napari.models import Card, Model, ModelError, find_free_name, list_models, save_model_files
from glrp_napari.reasons import name_fault
from glrp_napari.writing.atomic import write_atomically

MAX_BYTES = 1_000_000_000
MAX_CARD_BYTES = 10_000_000
MAX_HEADER_BYTES = 10_000_000
MAX_TENSORS = 10_000
_CARD, _WEIGHTS = ".json", ".safetensors"


@dataclass(frozen=True)
class Imported(Model):
    """A model as it is here now, what it is called in the file it came in, and whether it was here already."""

    offered: str
    was_here: bool = False

    def __str__(self) -> str:
        """What became of the import, as a sentence."""
        name = self.card.name
        if self.was_here:
            return f"This model is here already, as {name}: nothing was imported."
        if name != self.offered:
            return f"Imported as {name}: another model called {self.offered} is here already."
        return f"Imported as {name}."


def export_model(model: Model, path: Path) -> None:
    """Write a model to a .zip. Raises ModelError where the weights are not those its card describes, OSError."""
    weights = model.weights.read_bytes()
    _check_hash(model.weights, weights, model.card)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for suffix, data in ((_CARD, model.card.model_dump_json(indent=2).encode()), (_WEIGHTS, weights)):
            archive.writestr(zipfile.ZipInfo(f"{model.card.name}{suffix}"), data)
    write_atomically(path, packed.getvalue())


def import_model(path: Path, folder: Path) -> Imported:
    """Take a model from a .zip into a folder; where another one has its name, under a free version of it.

    Another one is one with other weights or another card, in the folder or among the shipped; the very same model is
    not taken in again. Raises ModelError for anything but a card and the weights it describes.
    """
    card, weights = _unpack(path)
    _check_hash(path, weights, card)
    _check_header(path, weights, card)
    if (here := _find_same(card, folder)) is not None:
        return Imported(here.card, here.weights, card.name, was_here=True)
    model = save_model_files(folder, card.model_copy(update={"name": find_free_name(card.name, folder)}), weights)
    return Imported(model.card, model.weights, card.name)


def _find_same(card: Card, folder: Path) -> Model | None:
    """The model with this card and its weights that is here, under the card's name or a version an import gave it."""
    version = re.compile(re.escape(card.name) + r"(-\d+)?")
    for model in list_models(folder, role=card.role):
        named_so = version.fullmatch(model.card.name) is not None
        if named_so and model.card == card.model_copy(update={"name": model.card.name}) and _is_whole(model):
            return model
    return None


def _is_whole(model: Model) -> bool:
    return hash_bytes(model.weights.read_bytes()) == model.card.weights_sha256


def _unpack(path: Path) -> tuple[Card, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {Path(info.filename).suffix: info for info in archive.infolist()}
            names = [info.filename for info in archive.infolist()]
            plain = all("/" not in name and "\\" not in name and ".." not in name for name in names)
            if len(names) != 2 or set(members) != {_CARD, _WEIGHTS} or not plain:
                raise ModelError(f"{path}: found {names[:4]}, expected one card (.json) and its weights (.safetensors)")
            _check_size(path, members[_CARD].file_size, MAX_CARD_BYTES)
            _check_size(path, members[_WEIGHTS].file_size, MAX_BYTES)
            card = Card.model_validate_json(archive.read(members[_CARD]))
            return card, archive.read(members[_WEIGHTS])
    except zipfile.BadZipFile as error:
        raise ModelError(f"{path}: found {error}, expected a model exported as .zip") from None
    except ValidationError as error:
        raise ModelError(f"{path}: {name_fault(error)}, expected a model card of format 1") from None


def _check_size(path: Path, size: int, most: int) -> None:
    if size > most:
        raise ModelError(f"{path}: found {size} bytes, expected at most {most}")


def _check_hash(path: Path, weights: bytes, card: Card) -> None:
    found = hash_bytes(weights)
    if found != card.weights_sha256:
        raise ModelError(f"{path}: found SHA-256 {found[:12]}…, expected {card.weights_sha256[:12]}… as its card says")


def _check_header(path: Path, weights: bytes, card: Card) -> None:
    """The tensors' names and shapes at both ends of the network: its first filters and its classes."""
    length = int.from_bytes(weights[:8], "little")
    if length > min(MAX_HEADER_BYTES, len(weights) - 8):
        raise ModelError(f"{path}: found a header of {length} bytes, expected a safetensors file")
    try:
        header: dict[str, Any] = json.loads(weights[8 : 8 + length])
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{path}: found no header, expected a safetensors file") from None
    if len(shapes) > MAX_TENSORS:
        raise ModelError(f"{path}: found {len(shapes)} tensors, expected those of a network (at most {MAX_TENSORS})")
    for name, shape in _list_ends(card).items():
        if shapes.get(name) != shape:
            raise ModelError(f"{path}: {name}: found {shapes.get(name)}, expected {shape} as its card says")


def _list_ends(card: Card) -> dict[str, tuple[int, ...]]:
    width, classes = card.architecture.width, card.architecture.classes
    if card.role == "encoder":
        return {"blocks.0.0.weight": (width, 1, 3, 3)}
    ends = {"encoder.blocks.0.0.weight": (width, 1, 3, 3), "decoder.head.weight": (classes, width, 1, 1)}
    members = card.members or ("",)
    return {f"{member}.{name}" if member else name: shape for member in members for name, shape in ends.items()}
