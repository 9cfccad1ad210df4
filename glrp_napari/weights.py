"""Networks to and from weights files: fp16 safetensors beside their card. Nothing is ever unpickled."""

from collections.abc import Iterator
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from glrp_napari.hashing import hash_bytes
from glrp_napari.models import Card, Model, ModelError
from glrp_napari.unet import UNet


def load_networks(model: Model) -> tuple[UNet, ...]:
    """The networks of a model that segments, float32, in eval mode; several where it is a fused one.

    Raises ModelError when the file is missing or damaged, is not the one its card describes, does not fit the
    architecture, holds values that are not finite, or is an encoder alone.
    """
    if model.card.role != "segmentation":
        raise ModelError(f"{model.card.name}: found an encoder, expected a model that segments: fine-tune it first")
    members = model.card.members or ("",)
    networks = {name: UNet(model.card.architecture) for name in members}
    tensors = _read_tensors(model)
    _check_tensors(model, {key: t for name, network in networks.items() for key, t in _stored(network, name)}, tensors)
    for name, network in networks.items():
        _fill(network, tensors, _prefix(name))
    return tuple(network.eval() for network in networks.values())


def load_network(model: Model) -> UNet:
    """A network to go on training: a model's (of a fused one the first), or an encoder's with a new random decoder.

    Raises ModelError as `load_networks` does.
    """
    if model.card.role == "segmentation":
        return load_networks(model)[0]
    network, tensors = UNet(model.card.architecture), _read_tensors(model)
    _check_tensors(model, dict(_stored(network.encoder)), tensors)
    _fill(network.encoder, tensors, "")
    return network.eval()


def encode_weights(*networks: nn.Module, members: tuple[str, ...] = ("",)) -> bytes:
    """Weights as the bytes of a safetensors file, floating-point values as fp16.

    One network, or an encoder; or several U-Nets with the names of the `members` of a fused model.
    """
    named = zip(members, networks, strict=True)
    stored = {key: tensor for name, network in named for key, tensor in _stored(network, name)}
    return save({key: tensor.detach().cpu().half().contiguous() for key, tensor in stored.items()})


def blank_card(**values: Any) -> Card:  # noqa: ANN401  the fields of a card
    """A card whose hash is still to be set by `models.save_model_files`."""
    return Card(weights_sha256="", **values)


def _read_tensors(model: Model) -> dict[str, Tensor]:
    if not model.weights.is_file():
        raise ModelError(f"{model.weights}: not found, expected the weights of {model.card.name}")
    data = model.weights.read_bytes()
    found, expected = hash_bytes(data), model.card.weights_sha256
    if found != expected:
        raise ModelError(f"{model.weights}: found SHA-256 {found[:12]}…, expected {expected[:12]}… as its card says")
    try:
        return load(data)
    except SafetensorError as error:
        raise ModelError(f"{model.weights}: found {error}, expected a safetensors file") from None


def _prefix(member: str) -> str:
    return f"{member}." if member else ""


def _stored(network: nn.Module, member: str = "") -> Iterator[tuple[str, Tensor]]:
    """What a file holds: parameters and the running statistics; the count of batches means nothing at inference."""
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            yield _prefix(member) + name, tensor


def _fill(network: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    own = {key.removeprefix(prefix): tensor.float() for key, tensor in tensors.items() if key.startswith(prefix)}
    network.load_state_dict(own, strict=False)


def _check_tensors(model: Model, stored: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in stored.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != expected:
        names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        first = names[0]
        raise ModelError(
            f"{model.weights}: {first}: found {found.get(first)}, expected {expected.get(first)} "
            f"for width {model.card.architecture.width}"
        )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{model.weights}: {name}: found values that are not finite, expected finite weights")
