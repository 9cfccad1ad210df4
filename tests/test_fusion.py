from dataclasses import replace
from pathlib import Path

import pytest
import torch
from glrp_training.fuse import fuse_models

from glrp_napari.device import Placement
from glrp_napari.fusion import couple_slices, fuse_probabilities
from glrp_napari.models import (
    Architecture,
    Fusion,
    Model,
    ModelError,
    find_model,
    list_models,
    save_model_files,
)
from glrp_napari.segment import open_model
from glrp_napari.unet import UNet
from glrp_napari.weights import blank_card, encode_weights, load_network, load_networks

CPU = Placement(torch.device("cpu"), None, batch=4)
ONE = torch.tensor([0.8, 0.2, 0.0, 0.0]).reshape(1, 4, 1, 1)
TWO = torch.tensor([0.2, 0.6, 0.2, 0.0]).reshape(1, 4, 1, 1)


def make_model(folder: Path, name: str, width: int = 4, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    architecture = Architecture(width=width)
    return save_model_files(
        folder, blank_card(name=name, title=name, architecture=architecture), encode_weights(UNet(architecture))
    )


@pytest.mark.parametrize(
    ("fusion", "fused"),
    [
        (Fusion(q0=0), [0.5, 0.4, 0.1, 0.0]),
        (Fusion(q0=0.01), [0.51 / 1.04, 0.41 / 1.04, 0.11 / 1.04, 0.01 / 1.04]),
        (Fusion(q0=0, votes=True), [0.5, 0.5, 0.0, 0.0]),
    ],
)
def test_equation_8(fusion: Fusion, fused: list[float]) -> None:
    found = fuse_probabilities(torch.stack([ONE, TWO]), fusion)
    torch.testing.assert_close(found.flatten(), torch.tensor(fused))


def test_one_network_is_left_alone() -> None:
    assert torch.equal(fuse_probabilities(ONE[None], Fusion(q0=1)), ONE)


def test_a_fused_model_is_one_file_that_answers_as_its_members_together(tmp_path: Path) -> None:
    members = {name: make_model(tmp_path, name, seed=seed) for seed, name in enumerate(("glrp", "grp", "lrp"))}
    fused = fuse_models(members, tmp_path, "fused")
    assert find_model(str(fused.weights)).card.members == ("glrp", "grp", "lrp")
    slices = torch.randn(2, 64, 64)
    answers = []
    for member in members.values():
        with pytest.raises(StopIteration) as stop:
            next(open_model(member, CPU).predict(slices))
        answers.append(stop.value.value)
    with pytest.raises(StopIteration) as stop:
        next(open_model(fused, CPU).predict(slices))
    torch.testing.assert_close(stop.value.value, fuse_probabilities(torch.stack(answers), Fusion()))
    first = load_networks(fused)[0].state_dict()
    assert all(torch.equal(value, first[key]) for key, value in load_network(fused).state_dict().items())


def test_members_must_share_an_architecture(tmp_path: Path) -> None:
    members = {"a": make_model(tmp_path, "a"), "b": make_model(tmp_path, "b", width=8)}
    with pytest.raises(ModelError, match="b: found another architecture"):
        fuse_models(members, tmp_path, "fused")


def test_members_must_draw_muscle_alike(tmp_path: Path) -> None:
    model = make_model(tmp_path, "b")
    wall = replace(model, card=model.card.model_copy(update={"muscle": ("LV",)}))
    with pytest.raises(ModelError, match="b: found another muscle, expected a's"):
        fuse_models({"a": make_model(tmp_path, "a"), "b": wall}, tmp_path, "fused")


def test_an_encoder_segments_nothing_but_starts_a_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    architecture = Architecture(width=4)
    encoder = UNet(architecture).encoder
    card = blank_card(name="eyes", title="Eyes", role="encoder", architecture=architecture)
    model = save_model_files(tmp_path, card, encode_weights(encoder))
    assert "eyes" not in [known.card.name for known in list_models(tmp_path)]
    assert find_model("eyes", [tmp_path]).card.role == "encoder"
    with pytest.raises(ModelError, match="eyes: found an encoder, expected a model that segments"):
        load_networks(model)
    started = load_network(model)
    for key, value in encoder.state_dict().items():
        torch.testing.assert_close(started.encoder.state_dict()[key], value, atol=2e-3, rtol=2e-3)


def test_a_doubtful_slice_listens_to_its_neighbours_and_a_sure_one_does_not() -> None:
    doubtful, sure = [0.52, 0.48, 0, 0], [0.99, 0.01, 0, 0]
    around = torch.tensor([[0.01, 0.99, 0, 0]] * 3)
    for middle, label in ((doubtful, 1), (sure, 0)):
        stack = around.clone()
        stack[1] = torch.tensor(middle)
        coupled = couple_slices(stack[:, :, None, None])
        assert coupled.argmax(1).flatten().tolist() == [1, label, 1]
        torch.testing.assert_close(coupled.sum(1), torch.ones(3, 1, 1))


def test_a_single_slice_and_no_weight_change_nothing() -> None:
    stack = torch.softmax(torch.randn(3, 4, 5, 5), 1)
    torch.testing.assert_close(couple_slices(stack[:1]), stack[:1])
    torch.testing.assert_close(couple_slices(stack, 0.0), stack)
