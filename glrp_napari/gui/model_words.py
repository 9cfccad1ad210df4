"""A model's card in words. Pure."""

from typing import Any

from glrp_napari.library import Protocol
from glrp_napari.library.protocol import describe_protocol
from glrp_napari.models import Card

SHOWN_LABELS = 12


def describe_card(card: Card) -> str:
    """Title, origin, labels, protocol, figures and licence, a line each; what a card does not have is left out."""
    lines = [card.title, card.summary, f"Made from: {card.parent}" if card.parent else ""]
    lines += [f"Learned from {len(card.labels)} labels: {_list_some(card.labels)}" if card.labels else ""]
    lines += [
        f"Protocol: {describe_protocol(Protocol.model_validate(card.training['protocol']))}"
        if card.training.get("protocol")
        else ""
    ]
    lines += [str(card.figures.get("verdict", ""))]
    lines += [f"Validation: {_describe_figures(card.figures)}"] if _describe_figures(card.figures) else []
    lines += [f"Weights: SHA-256 {card.weights_sha256[:16]}…", f"Licence: {card.licence}" if card.licence else ""]
    return "\n\n".join(line for line in lines if line)


def _list_some(labels: tuple[str, ...]) -> str:
    more = len(labels) - SHOWN_LABELS
    return ", ".join(labels[:SHOWN_LABELS]) + (f" and {more} more" if more > 0 else "")


def _describe_figures(figures: dict[str, Any]) -> str:
    """Numbers at the top of the figures, e.g. `phantoms dice 0.887`."""
    return ", ".join(f"{name} {value}" for name, value in figures.items() if isinstance(value, int | float))
