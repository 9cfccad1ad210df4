"""Networks to and from weights files: fp16 safetensors beside their card. Nothing is ever unpickled."""

from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from glrp_napari.models import Card, Model, ModelError, hash_bytes
from glrp_napari.unet import UNet


def load_network(model: Model) -> UNet:
    """The network of a model, float32, in eval mode.

    Raises ModelError when the file is missing or damaged, is not the one its card describes, does not fit the
    architecture, or holds values that are not finite.
    """
    if not model.weights.is_file():
        raise ModelError(f"{model.weights}: not found, expected the weights of {model.card.name}")
    data = model.weights.read_bytes()
    found, expected = hash_bytes(data), model.card.weights_sha256
    if found != expected:
        raise ModelError(f"{model.weights}: found SHA-256 {found[:12]}…, expected {expected[:12]}… as its card says")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelError(f"{model.weights}: found {error}, expected a safetensors file") from None
    network = UNet(model.card.architecture)
    _check_tensors(model, network, tensors)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    return network.eval()


def encode_weights(network: UNet) -> bytes:
    """The network's weights as the bytes of a safetensors file, floating-point values as fp16."""
    return save({name: tensor.detach().cpu().half().contiguous() for name, tensor in _stored(network).items()})


def blank_card(**values: Any) -> Card:  # noqa: ANN401  the fields of a card
    """A card whose hash is still to be set by `models.save_model_files`."""
    return Card(weights_sha256="", **values)


def _stored(network: UNet) -> dict[str, torch.Tensor]:
    """What a file holds: parameters and the running statistics; the count of batches means nothing at inference."""
    return {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def _check_tensors(model: Model, network: UNet, tensors: dict[str, torch.Tensor]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in _stored(network).items()}
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
