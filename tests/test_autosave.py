"""Drafts: two slots in turn, never torn, the damaged newest passed over."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.autosave import Draft, Slots
from glrp_napari.cine import Cine, Geometry, Source, hash_study
from glrp_napari.slice_states import SliceState


@pytest.fixture
def cine() -> Cine:
    images = np.arange(3 * 4 * 6 * 5, dtype=np.int16).reshape(3, 4, 6, 5)
    return Cine(images, Geometry(spacing_mm=(8, 1.5, 1.25)), Source(name="s"))


def draft(value: int) -> Draft:
    mask = np.zeros((3, 4, 6, 5), np.uint8)
    mask[1, 2, 3, 4], mask[2, 0, 1, :] = value, value
    states = np.zeros((3, 4), np.uint8)
    states[1, 2], states[2, 0] = SliceState.EDITED, SliceState.CORRECTED
    return Draft(mask, states, f"2024-05-0{value}T10:00:00+00:00")


def save(folder: Path, cine: Cine, draft: Draft) -> None:
    Slots(folder, hash_study(cine)).write("ab", cine, draft)


def load(folder: Path, cine: Cine, study: str = "") -> Draft | None:
    slots = Slots(folder, study or hash_study(cine))
    return slots.load_newest(slots.read(), cine)


def test_what_was_saved_comes_back(tmp_path: Path, cine: Cine) -> None:
    assert load(tmp_path, cine) is None
    for value in (1, 2, 3, 1):
        save(tmp_path, cine, draft(value))
        found = load(tmp_path, cine)
        assert found is not None
        np.testing.assert_array_equal(found.mask, draft(value).mask)
        np.testing.assert_array_equal(found.states, draft(value).states)
        assert found.saved_at == draft(value).saved_at
    assert len(list(tmp_path.glob("*.nii.gz"))) == 2


@pytest.mark.parametrize("damage", ["cut mask", "other mask", "no mask", "cut record", "empty record"])
def test_fault_29_a_damaged_newest_draft_gives_the_one_before(tmp_path: Path, cine: Cine, damage: str) -> None:
    save(tmp_path, cine, draft(1))
    first = set(tmp_path.iterdir())
    save(tmp_path, cine, draft(2))
    newest = {path.suffix: path for path in set(tmp_path.iterdir()) - first}
    mask, record = newest[".gz"], newest[".json"]
    match damage:
        case "cut mask":
            mask.write_bytes(mask.read_bytes()[:-20])
        case "other mask":
            mask.write_bytes(next(path for path in first if path.suffix == ".gz").read_bytes())
        case "no mask":
            mask.unlink()
        case "cut record":
            record.write_bytes(record.read_bytes()[:40])
        case "empty record":
            record.write_bytes(b"")
    found = load(tmp_path, cine)
    assert found is not None
    assert found.mask.max() == 1


def test_fault_2_a_crash_between_mask_and_record_gives_the_one_before(
    tmp_path: Path, cine: Cine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (1, 2):
        save(tmp_path, cine, draft(value))

    def crash(*_args: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("glrp_napari.autosave.write_atomically", crash)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, cine, draft(3))
    found = load(tmp_path, cine)
    assert found is not None
    assert found.mask.max() == 2


def test_another_study_has_no_draft_and_removing_takes_it_away(tmp_path: Path, cine: Cine) -> None:
    save(tmp_path, cine, draft(1))
    assert load(tmp_path, cine, hash_study(cine)[:12] + "0" * 52) is None
    Slots(tmp_path, hash_study(cine)).remove("ab")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["none", "cut", "gone"])
def test_the_model_s_answers_come_back_with_the_draft_and_are_not_its_condition(
    tmp_path: Path, cine: Cine, damage: str
) -> None:
    answers = {(1, 2): np.full((6, 5), 2, np.uint8), (2, 0): np.zeros((6, 5), np.uint8)}
    save(tmp_path, cine, replace(draft(1), predicted=answers))
    (model,) = tmp_path.glob("*.model.nii.gz")
    match damage:
        case "cut":
            model.write_bytes(model.read_bytes()[:-20])
        case "gone":
            model.unlink()
    found = load(tmp_path, cine)
    assert found is not None
    np.testing.assert_array_equal(found.mask, draft(1).mask)
    np.testing.assert_equal(found.predicted, answers if damage == "none" else {})
    Slots(tmp_path, hash_study(cine)).remove("ab")
    assert not list(tmp_path.iterdir())
