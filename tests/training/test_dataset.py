import json
from pathlib import Path

import pytest
from glrp_training.dataset import (
    Dataset,
    DatasetError,
    Item,
    Phase,
    describe_acdc,
    describe_folder,
    load_dataset,
    pick_middle_slices,
)

from glrp_napari.cine import Cine
from glrp_napari.writing.masks import write_images


def make_items(text: str) -> list[Item]:
    """`a:ED b:ES` as items of the patients a and b; `c` has no phase."""
    phases: dict[str, Phase | None] = {"ED": "ED", "ES": "ES", "": None}
    parts = [part.partition(":") for part in text.split()]
    return [Item(image=Path(f"{i}.nii"), patient=name, phase=phases[phase]) for i, (name, _, phase) in enumerate(parts)]


@pytest.mark.parametrize(
    ("split", "patients", "expected"),
    [("train", None, "aab"), ("train", 1, "aa"), ("train", 9, "aab"), ("val", None, "c"), ("all", 2, "aab")],
)
def test_items_are_selected_by_split_and_patients(split: str, patients: int | None, expected: str) -> None:
    items = tuple(
        Item(image=Path(f"{i}.nii"), patient=p, split="val" if p == "c" else "train") for i, p in enumerate("aabc")
    )
    assert "".join(i.patient for i in Dataset(name="x", items=items).select(split, patients)) == expected


@pytest.mark.parametrize(
    ("items", "count", "expected"),
    [
        ("a:ED a:ES b:ED b:ES", 1, {0: (0,)}),
        ("a:ED a:ES b:ED b:ES", 3, {0: (0,), 2: (0,), 1: (0,)}),
        ("a:ES a:ED b:ES b:ED", 3, {1: (0,), 3: (0,), 0: (0,)}),
        ("a:ED a:ES b:ED b:ES", 5, {0: (0, 1), 2: (0,), 1: (0,), 3: (0,)}),
        ("a b a", 2, {0: (0,), 1: (0,)}),
        ("a", 4, {0: (0, 1, -1, 2)}),
        ("a:ED", 0, {}),
    ],
)
def test_a_person_labels_the_middle_of_different_patients_first(
    items: str, count: int, expected: dict[int, tuple[int, ...]]
) -> None:
    given = make_items(items)
    picked = pick_middle_slices(given, count)
    assert {given.index(item): places for item, places in picked.items()} == expected
    assert list(picked) == [given[i] for i in expected]


def test_from_nothing_nothing_is_picked() -> None:
    with pytest.raises(ValueError, match="found no items"):
        pick_middle_slices([], 3)


def test_acdc_is_described_with_its_split_and_phases(tmp_path: Path) -> None:
    for patient, info in (("patient001", "ED: 1\nES: 12\n"), ("patient002", "ES: 1\nED: 9\n"), ("patient003", None)):
        (tmp_path / patient).mkdir()
        if info:
            (tmp_path / patient / "Info.cfg").write_text(info)
        for frame in (1, 12 if patient == "patient001" else 9):
            (tmp_path / patient / f"{patient}_frame{frame:02d}_gt.nii.gz").touch()
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"labelled_order": ["patient002"], "val": ["patient001"], "test": ["patient003"]}))
    found = describe_acdc(tmp_path, split)
    assert [(i.patient, i.split, i.phase) for i in found.items] == [
        ("patient002", "train", "ES"), ("patient002", "train", "ED"), ("patient001", "val", "ED"),
        ("patient001", "val", "ES"), ("patient003", "test", None), ("patient003", "test", None),
    ]  # fmt: skip
    assert found.items[0].image.name == "patient002_frame01.nii.gz"


def test_a_folder_is_described_and_comes_back_from_its_file(coded_cine: Cine, tmp_path: Path) -> None:
    (tmp_path / "clinic").mkdir()
    write_images(tmp_path / "clinic" / "p1.nii", coded_cine.images, coded_cine)
    (tmp_path / "clinic" / "p2.nii").write_bytes(b"no image")
    found, complaints = describe_folder(tmp_path / "clinic")
    assert [(i.patient, i.split, i.mask, i.image.is_absolute()) for i in found.items] == [("p1", "train", None, True)]
    assert (found.name, [line.split(":")[0] for line in complaints]) == ("clinic", ["p2.nii"])
    (tmp_path / "set.json").write_text(found.model_dump_json())
    assert load_dataset(tmp_path / "set.json") == found


def test_a_folder_without_studies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p2.nii").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"found p2\.nii: found .*expected short-axis studies"):
        describe_folder(tmp_path)


@pytest.mark.parametrize("text", ["", '{"name": "x"}', '{"name": "x", "items": [{"image": "a", "patient": 1}]}'])
def test_a_malformed_description_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(text)
    with pytest.raises(DatasetError, match=r"set\.json"):
        load_dataset(tmp_path / "set.json")
