"""Several trained networks in one model file, whose answers are fused (paper Fig. 2C)."""

from collections.abc import Mapping
from pathlib import Path

from glrp_napari.models import Fusion, Model, ModelError, save_model_files
from glrp_napari.weights import encode_weights, load_network


def fuse_models(members: Mapping[str, Model], folder: Path, name: str) -> Model:
    """Write the model `name` of the given members; the first is the one that would be fine-tuned further.

    Raises ModelError when they differ in architecture, preprocessing, or the muscle they leave out.
    """
    cards = [model.card for model in members.values()]
    for card in cards:
        for field in ("architecture", "preprocessing", "muscle"):
            if getattr(card, field) != getattr(cards[0], field):
                raise ModelError(f"{card.name}: found another {field}, expected {cards[0].name}'s")
    card = cards[0].model_copy(
        update={
            "name": name,
            "title": name,
            "summary": f"{', '.join(card.title for card in cards)}, fused",
            "members": tuple(members),
            "fusion": Fusion(),
            "parent": None,
            "training": {name: model.card.training for name, model in members.items()},
            "figures": {},
        }
    )
    networks = [load_network(model) for model in members.values()]
    return save_model_files(folder, card, encode_weights(*networks, members=tuple(members)))
