"""A model handed on as one file, and what is not taken in."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from glrp_napari import models
from glrp_napari.hashing import hash_bytes
from glrp_napari.model_files import export_model, import_model
from glrp_napari.models import Card, Model, ModelError, find_base, find_model, list_models, save_model_files
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
    assert str(model) == "Imported as tiny."
    again = import_model(packed, tmp_path / "models")
    assert str(again) == "This model is here already, as tiny: nothing was imported."
    assert names(tmp_path / "models") == ["tiny"]


def test_another_model_of_the_name_gets_a_version(packed: Path, tiny_model: Model, tmp_path: Path) -> None:
    other = blank_card(name="tiny", title="Another", architecture=tiny_model.card.architecture)
    save_model_files(tmp_path / "models", other, b"other weights")
    model = import_model(packed, tmp_path / "models")
    assert str(model) == "Imported as tiny-1: another model called tiny is here already."
    assert (tmp_path / "models/tiny.safetensors").read_bytes() == b"other weights"
    assert import_model(packed, tmp_path / "models").was_here, "under its version it is known too"
    assert names(tmp_path / "models") == ["tiny", "tiny-1"]


def test_a_shipped_model_keeps_its_name_for_itself(
    packed: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, folder = tmp_path / "shipped", tmp_path / "models"
    monkeypatch.setattr(models, "find_resources", lambda: shipped)
    other = save_model_files(shipped, blank_card(name="tiny", title="Shipped"), b"shipped weights")
    save_model_files(folder, blank_card(name="TINY-1", title="On many disks the same file as tiny-1"), b"w")
    assert import_model(packed, folder).card.name == "tiny-2"
    assert find_model("tiny", [folder]) == other
    save_model_files(shipped, tiny_model.card, tiny_model.weights.read_bytes())
    assert import_model(packed, folder).weights == shipped / "tiny.safetensors", "the shipped one is the same"


def test_the_same_weights_with_another_card_replace_nothing(packed: Path, tiny_model: Model, tmp_path: Path) -> None:
    here = tiny_model.card.model_copy(update={"figures": {"verdict": "It helped"}})
    save_model_files(tmp_path / "models", here, tiny_model.weights.read_bytes())
    assert import_model(packed, tmp_path / "models").card == tiny_model.card.model_copy(update={"name": "tiny-1"})
    assert find_model("tiny", [tmp_path / "models"]).card == here


def test_beside_damaged_weights_the_whole_ones_are_taken_in(packed: Path, tmp_path: Path) -> None:
    import_model(packed, tmp_path / "models").weights.write_bytes(b"damaged")
    model = import_model(packed, tmp_path / "models")
    assert model.card.name == "tiny-1"
    load_network(model)


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json"))


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


def save(folder: Path, name: str, weights: bytes, **changes: object) -> Model:
    return save_model_files(folder, Card(name=name, title=name, weights_sha256="", **changes), weights)


def test_a_parent_is_known_by_its_weights_not_its_name(tmp_path: Path) -> None:
    base = save(tmp_path, "base-1", b"base", parent="encoder", training={"steps": 9})  # as imported beside a stranger
    stranger = save(tmp_path, "base", b"stranger")
    made = {"base_sha256": base.card.weights_sha256}
    first = save(tmp_path, "mine-1", b"mine 1", parent="base", labels=("a",), training=made)
    made = {"base_sha256": first.card.weights_sha256}
    second = save(tmp_path, "mine-2", b"mine 2", parent="mine-1", labels=("a", "b"), training=made)
    known = list_models(tmp_path)
    assert find_base(first, known) == find_base(second, known) == base
    left = [model for model in known if model != base]
    assert stranger in left
    assert find_base(second, left) == first, "a stranger with its name is not its base"


def test_of_the_same_weights_the_one_with_the_parent_s_name_is_the_base(tmp_path: Path) -> None:
    same = [save(tmp_path, name, b"same") for name in ("a", "base", "z")]
    made = {"base_sha256": same[0].card.weights_sha256}
    mine = save(tmp_path, "mine", b"mine", parent="base", labels=("a",), training=made)
    assert find_base(mine, list_models(tmp_path)) == same[1]


def test_cards_that_name_each_other_end_somewhere(tmp_path: Path) -> None:
    one, two = (save(tmp_path, name, b"w", parent=of, labels=("a",)) for name, of in (("a", "b"), ("b", "a")))
    assert find_base(one, (one, two)) == two
    itself = save(tmp_path, "c", b"c", labels=("a",), training={"base_sha256": hash_bytes(b"c")})
    assert find_base(itself, (itself,)) == itself
