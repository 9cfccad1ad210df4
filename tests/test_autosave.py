"""Drafts: two slots in turn, never torn, the damaged newest passed over."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.autosave import Draft, SliceState, discard_draft, discard_up_to, load_draft, save_draft, set_aside
from glrp_napari.cine import Cine, Geometry, Source, hash_study


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


def test_what_was_saved_comes_back(tmp_path: Path, cine: Cine) -> None:
    study = hash_study(cine)
    assert load_draft(tmp_path, study, cine) is None
    for value in (1, 2, 3, 1):
        save_draft(tmp_path, study, cine, draft(value))
        found = load_draft(tmp_path, study, cine)
        assert found is not None
        np.testing.assert_array_equal(found.mask, draft(value).mask)
        np.testing.assert_array_equal(found.states, draft(value).states)
        assert found.saved_at == draft(value).saved_at
    assert len(list(tmp_path.glob("*.nii.gz"))) == 2


@pytest.mark.parametrize("damage", ["cut mask", "other mask", "no mask", "cut record", "empty record"])
def test_fault_29_a_damaged_newest_draft_gives_the_one_before(tmp_path: Path, cine: Cine, damage: str) -> None:
    study = hash_study(cine)
    save_draft(tmp_path, study, cine, draft(1))
    first = set(tmp_path.iterdir())
    save_draft(tmp_path, study, cine, draft(2))
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
    found = load_draft(tmp_path, study, cine)
    assert found is not None
    assert found.mask.max() == 1


def test_fault_2_a_crash_between_mask_and_record_gives_the_one_before(
    tmp_path: Path, cine: Cine, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = hash_study(cine)
    for value in (1, 2):
        save_draft(tmp_path, study, cine, draft(value))

    def crash(*_args: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("glrp_napari.autosave.write_atomically", crash)
    with pytest.raises(OSError, match="No space left"):
        save_draft(tmp_path, study, cine, draft(3))
    found = load_draft(tmp_path, study, cine)
    assert found is not None
    assert found.mask.max() == 2


def test_another_study_has_no_draft_and_discarding_takes_it_away(tmp_path: Path, cine: Cine) -> None:
    study = hash_study(cine)
    save_draft(tmp_path, study, cine, draft(1))
    assert load_draft(tmp_path, study[:12] + "0" * 52, cine) is None
    discard_draft(tmp_path, study)
    assert load_draft(tmp_path, study, cine) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["none", "set aside", "cut", "gone"])
def test_the_model_s_answers_come_back_with_the_draft_and_are_not_its_condition(
    tmp_path: Path, cine: Cine, damage: str
) -> None:
    study = hash_study(cine)
    answers = {(1, 2): np.full((6, 5), 2, np.uint8), (2, 0): np.zeros((6, 5), np.uint8)}
    save_draft(tmp_path, study, cine, replace(draft(1), predicted=answers))
    (model,) = tmp_path.glob("*.model.nii.gz")
    found = load_draft(tmp_path, study, cine)
    assert found is not None
    match damage:
        case "set aside":
            set_aside(tmp_path, study, found)
            assert not model.exists()
        case "cut":
            model.write_bytes(model.read_bytes()[:-20])
        case "gone":
            model.unlink()
    found = load_draft(tmp_path, study, cine)
    assert found is not None
    np.testing.assert_array_equal(found.mask, draft(1).mask)
    if damage in ("cut", "gone"):
        assert found.predicted == {}
    else:
        np.testing.assert_equal(found.predicted, answers)
    discard_up_to(tmp_path, study, found)
    assert not list(tmp_path.iterdir())
