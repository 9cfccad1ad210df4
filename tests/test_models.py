import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from glrp_napari.comparison import Anchor, Comparison, PatientComparison, Scores
from glrp_napari.hashing import hash_bytes
from glrp_napari.models import (
    Architecture,
    Card,
    Model,
    ModelError,
    find_model,
    list_models,
    load_card,
    name_version,
    read_comparison,
    save_model_files,
)
from glrp_napari.unet import UNet, fuse_for_inference
from glrp_napari.weights import load_network


@pytest.fixture
def model(tiny_model: Model, tmp_path: Path) -> Model:
    """A copy that a test may damage."""
    weights = tmp_path / "tiny.safetensors"
    weights.write_bytes(tiny_model.weights.read_bytes())
    weights.with_suffix(".json").write_bytes(tiny_model.weights.with_suffix(".json").read_bytes())
    return Model(tiny_model.card, weights)


def rewrite(model: Model, tensors: dict[str, torch.Tensor]) -> Model:
    """Other weights under a card that vouches for them."""
    save_file(tensors, model.weights)
    return Model(
        model.card.model_copy(update={"weights_sha256": hash_bytes(model.weights.read_bytes())}), model.weights
    )


def test_paper_width_has_17_5_million_parameters() -> None:
    assert sum(p.numel() for p in UNet(Architecture(width=48)).parameters()) == pytest.approx(17.5e6, rel=0.01)


@pytest.mark.parametrize("side", [16, 64, 144])
def test_network_keeps_any_size_divisible_by_16(side: int) -> None:
    assert UNet(Architecture(width=4))(torch.zeros(2, 1, side, 48)).shape == (2, 4, side, 48)


def test_network_refuses_other_sizes() -> None:
    with pytest.raises(ValueError, match="divisible by 16"):
        UNet(Architecture(width=4))(torch.zeros(1, 1, 50, 64))


def test_fusing_batch_normalisation_changes_no_output() -> None:
    network = UNet(Architecture(width=4))
    images = torch.rand(4, 1, 32, 32)
    network.train()(images)  # running statistics that are not the identity
    network.eval()
    assert torch.allclose(fuse_for_inference(network)(images), network(images), atol=1e-4)


def test_a_model_file_rebuilds_the_network(model: Model) -> None:
    first, second = load_network(model), load_network(find_model(str(model.weights)))
    images = torch.rand(1, 1, 32, 32)
    assert torch.equal(first(images), second(images))


def test_models_are_listed_by_folder_and_broken_cards_do_not_hide_them(model: Model) -> None:
    (model.weights.parent / "broken.json").write_text("{")
    (model.weights.parent / "broken.safetensors").touch()
    assert "tiny" in [found.card.name for found in list_models(model.weights.parent)]
    assert find_model("tiny", [model.weights.parent]).weights == model.weights


def test_an_unknown_model_is_named_with_those_that_exist(model: Model) -> None:
    with pytest.raises(ModelError, match=r"nosuch: not found, expected one of .*tiny"):
        find_model("nosuch", [model.weights.parent])


def test_versions_are_numbered_and_fit_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "my-labels-1.json").touch()
    assert name_version("my labels", tmp_path) == "my-labels-2"
    assert name_version("../é", tmp_path) == "model-1"


def test_a_version_is_free_in_every_folder_and_whatever_its_case(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one/tiny-1.safetensors").touch()
    (tmp_path / "two/Tiny-2.json").touch()
    save_model_files(tmp_path / "two", Card(name="tiny-3", title="x", weights_sha256=""), b"w")
    for path in (tmp_path / "two").glob("tiny-3.*"):
        path.rename(path.with_stem("renamed"))
    assert name_version("tiny", tmp_path / "one", tmp_path / "two") == "tiny-4"


@pytest.mark.parametrize("name", ["x" * 64, "_hidden", "__", f"{'x' * 57}-y"])
def test_a_version_is_a_name_that_a_card_takes(name: str, tmp_path: Path) -> None:
    assert Card(name=name_version(name, tmp_path), title="x", weights_sha256="").name.endswith("-1")


def test_case_82_a_pickle_is_refused_and_not_executed(model: Model, tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (marker,))

    torch.save({"w": Payload()}, model.weights)
    forged = Model(
        model.card.model_copy(update={"weights_sha256": hash_bytes(model.weights.read_bytes())}), model.weights
    )
    with pytest.raises(ModelError, match="expected a safetensors file"):
        load_network(forged)
    assert not marker.exists()


def test_case_84_overlapping_tensors_are_refused(model: Model) -> None:
    header = {name: {"dtype": "F16", "shape": [8], "data_offsets": [0, 16]} for name in ("a", "b")}
    raw = json.dumps(header).encode()
    model.weights.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(16))
    forged = Model(
        model.card.model_copy(update={"weights_sha256": hash_bytes(model.weights.read_bytes())}), model.weights
    )
    with pytest.raises(ModelError, match="expected a safetensors file"):
        load_network(forged)


def test_case_86_another_architecture_is_refused(model: Model) -> None:
    tensors = load_file(model.weights)
    tensors["decoder.head.weight"] = torch.zeros(7, 4, 1, 1).half()
    with pytest.raises(ModelError, match=r"decoder.head.weight: found \(7, 4, 1, 1\), expected \(4, 4, 1, 1\)"):
        load_network(rewrite(model, tensors))


def test_case_87_nan_weights_are_refused(model: Model) -> None:
    tensors = load_file(model.weights)
    tensors["decoder.head.bias"][0] = torch.nan
    with pytest.raises(ModelError, match="not finite"):
        load_network(rewrite(model, tensors))


def test_case_88_another_hash_is_refused(model: Model) -> None:
    model.weights.write_bytes(model.weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match="as its card says"):
        load_network(model)


def test_card_names_fit_for_files_only() -> None:
    with pytest.raises(ValueError, match="name"):
        Card(name="../x", title="x", weights_sha256="")


FOUND = Comparison(
    held_out="patients",
    trained=1,
    patients=(
        PatientComparison(study="a" * 64, slices=3, base=Scores(dice={"LV": 0.8}), candidate=Scores(dice={"LV": 0.9})),
    ),
    anchor=Anchor(base_phantoms=0.9, candidate_phantoms=0.899, agreement=0.98, slices=12),
)
CHANGE = {"study": "a" * 64, "frame": 0, "slice": 0, "before": 0.0, "after": 1.0, "picture": "/etc/passwd"}


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"verdict": "It helped.", **FOUND.model_dump(mode="json", exclude={"changed"})}, FOUND),
        ({**FOUND.model_dump(mode="json"), "changed": [CHANGE]}, FOUND),
        ({}, None),
        ({"step": 2000, "phantoms dice": 0.887}, None),
        ({"verdict": "It helped.", "held_out": "patients", "patients": [{"study": "a"}]}, None),
        ({**FOUND.model_dump(mode="json", exclude={"changed"}), "of a later version": 1}, None),
    ],
)
def test_a_card_tells_what_was_found(figures: dict[str, object], expected: Comparison | None, tmp_path: Path) -> None:
    card = Card(name="mine-1", title="Mine", weights_sha256="", figures=figures)
    assert read_comparison(load_card(save_model_files(tmp_path, card, b"weights").weights)) == expected
