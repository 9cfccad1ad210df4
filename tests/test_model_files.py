"""A model handed on as one file, and what is not taken in."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from glrp_napari.model_files import export_model, import_model
from glrp_napari.models import Model, ModelError, find_base, list_models, save_model_files
from glrp_napari.weights import blank_card, load_network

Members = dict[str, bytes]


@pytest.fixture
def packed(tiny_model: Model, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.zip"
    export_model(tiny_model, path)
    return path


def test_a_model_goes_out_and_in_again(packed: Path, tiny_model: Model, tmp_path: Path) -> None:
    model = import_model(packed, tmp_path / "models")
    assert model.card == tiny_model.card
    assert model.weights.read_bytes() == tiny_model.weights.read_bytes()
    load_network(model)
    assert import_model(packed, tmp_path / "models").card.name == "tiny", "the same again is no second version"


def test_another_model_of_the_name_gets_a_version(packed: Path, tiny_model: Model, tmp_path: Path) -> None:
    other = blank_card(name="tiny", title="Another", architecture=tiny_model.card.architecture)
    save_model_files(tmp_path / "models", other, b"other weights")
    model = import_model(packed, tmp_path / "models")
    assert model.card.name == "tiny-1"
    assert (tmp_path / "models/tiny.safetensors").read_bytes() == b"other weights"


def change_weights(members: Members) -> None:
    members["tiny.safetensors"] = members["tiny.safetensors"][:-1] + b"\x01"


def lie_about_width(members: Members) -> None:
    card = json.loads(members["tiny.json"])
    card["architecture"]["width"] = 8
    members["tiny.json"] = json.dumps(card).encode()


def put_outside(members: Members) -> None:
    members["../tiny.safetensors"] = members.pop("tiny.safetensors")


def put_pickle(members: Members) -> None:
    members["tiny.pth"] = members.pop("tiny.safetensors")


def nest(members: Members) -> None:
    members["inner.zip"] = b"PK"


def spoil_card(members: Members) -> None:
    members["tiny.json"] = b"{}"


def leave_header_out(members: Members) -> None:
    from glrp_napari.hashing import hash_bytes

    members["tiny.safetensors"] = (2**40).to_bytes(8, "little")
    card = json.loads(members["tiny.json"])
    card["weights_sha256"] = hash_bytes(members["tiny.safetensors"])
    members["tiny.json"] = json.dumps(card).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_weights, "found SHA-256"),
        (lie_about_width, r"encoder.blocks.0.0.weight: found \(4, 1, 3, 3\), expected \(8, 1, 3, 3\)"),
        (put_outside, "expected one card"),
        (put_pickle, "expected one card"),
        (nest, "expected one card"),
        (spoil_card, "expected a model card"),
        (leave_header_out, "expected a safetensors file"),
    ],
)
def test_cases_79_82_83_86_88_what_is_no_model_is_refused(
    change: Callable[[Members], None], words: str, packed: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match=words):
        import_model(packed, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(ModelError, match="expected a model exported"):
        import_model(tmp_path / "x.zip", tmp_path)


def test_case_88_damaged_weights_are_not_handed_on(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="as its card says"):
        export_model(
            Model(tiny_model.card.model_copy(update={"weights_sha256": "0" * 64}), tiny_model.weights), tmp_path
        )


def test_fine_tuning_begins_at_the_model_without_labels(tmp_path: Path) -> None:
    parents = {"base": None, "mine-1": "base", "mine-2": "mine-1", "orphan": "gone"}
    for name, parent in parents.items():
        labels = () if name == "base" else ("a-label",)
        save_model_files(tmp_path, blank_card(name=name, title=name, parent=parent, labels=labels), b"w")
    known = {model.card.name: model for model in list_models(tmp_path)}
    found = {name: find_base(known[name], known.values()).card.name for name in parents}
    assert found == {"base": "base", "mine-1": "base", "mine-2": "base", "orphan": "orphan"}
