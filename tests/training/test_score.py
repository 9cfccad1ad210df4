from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from glrp_training import score
from glrp_training.dataset import Dataset, Item
from glrp_training.evaluate import Score
from glrp_training.score import Case, count_cases, join_cases, list_cases, make_cases, score_cases

from glrp_napari.cine import Cine, Geometry
from glrp_napari.messages import Notice, Progress
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.segment import FrameResult
from glrp_napari.writing.masks import write_images, write_mask


@pytest.fixture
def dataset(tmp_path: Path, coded_cine: Cine) -> Dataset:
    """One patient whose cine has truth in frames 0 (ED) and 2 (ES), and an image without a mask."""
    image, items = tmp_path / "cine.nii.gz", []
    write_images(image, coded_cine.images, coded_cine)
    for frame, phase in ((0, "ED"), (2, "ES")):
        mask = tmp_path / f"cine_{frame}_gt.nii.gz"
        write_mask(mask, draw_lv(1), Cine(coded_cine.images[:1], coded_cine.geometry, coded_cine.source))
        items.append(Item(image=image, mask=mask, patient="p", frame=frame, split="test", phase=phase))
    return Dataset(name="two frames", items=(*items, Item(image=image, patient="q", split="test")))


def draw_lv(frames: int) -> np.ndarray:
    mask = np.zeros((frames, 4, 10, 12), np.uint8)
    mask[:, 1:3, 2:8, 3:9] = 3
    return mask


def find_lv_in_first_frame(
    images: np.ndarray, geometry: Geometry, segmenter: object, frames: list[int], *, crf: bool, clean: bool
) -> Iterator[Notice | Progress | FrameResult]:
    """A segmentation that steps down on its way and finds nothing after frame 0."""
    assert crf
    assert not clean
    yield Notice(text="on the CPU")
    for frame in frames:
        mask = draw_lv(1)[0] if frame == 0 else np.zeros(images.shape[1:], np.uint8)
        yield FrameResult(frame, mask, np.zeros(images.shape[1:], np.float16), np.zeros((len(mask), 8), np.float32))
        yield Progress(stage="Segmenting", done=1, total=1)


def test_cases_carry_patient_and_phase(dataset: Dataset) -> None:
    cases = list(list_cases(dataset, "test"))
    assert [(case.name, case.patient, case.phase) for case in cases] == [
        ("cine_frame0", "p", "ED"),
        ("cine_frame2", "p", "ES"),
    ]
    assert count_cases(dataset, "test") == len(cases)


def test_phantoms_are_patients_of_two_frames() -> None:
    (case,) = make_cases(1)
    assert case.patient == case.name
    assert len(case.truth) == 2


def test_scoring_tells_how_far_it_is_and_keeps_the_masks(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "segment", find_lv_in_first_frame)
    events = list(score_cases(list_cases(dataset, "test"), None, 2, True, False, tmp_path))  # type: ignore[arg-type]
    progress = [event for event in events if isinstance(event, Progress)]
    assert [(event.done, event.total) for event in progress] == [(1, 2), (2, 2)]
    assert progress[0].seconds_left is not None
    assert progress[1].seconds_left == 0
    assert [event.text for event in events if isinstance(event, Notice)] == ["on the CPU"] * 2
    lv = [event for event in events if isinstance(event, Score) and event.structure == "LV"]
    assert [(s.patient, s.phase, s.dice) for s in lv] == [("p", "ED", 1.0), ("p", "ES", 0.0)]
    cine = read_cine(tmp_path / "cine.nii.gz")
    kept = [read_mask(tmp_path / f"cine_frame{t}_mask.nii.gz", cine) for t in (0, 2)]
    np.testing.assert_array_equal(kept[0], draw_lv(3) * np.array([1, 0, 0], np.uint8)[:, None, None, None])
    assert not kept[1].any()


def test_a_cine_without_any_label_is_named(coded_cine: Cine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "segment", find_lv_in_first_frame)
    case = Case("blank", coded_cine, np.zeros(coded_cine.images.shape, np.uint8), "p")
    with pytest.raises(ValueError, match="blank: found 3 frames without labels in the truth, expected one"):
        list(score_cases([case], None, 1, True, False))  # type: ignore[arg-type]


def test_the_labelled_frames_of_a_patient_become_one_cine(dataset: Dataset, coded_cine: Cine) -> None:
    (joined,) = join_cases(list_cases(dataset, "test"))
    assert (joined.name, joined.patient, joined.phase) == ("p", "p", None)
    np.testing.assert_array_equal(joined.cine.images, coded_cine.images[[0, 2]])
    np.testing.assert_array_equal(joined.truth, draw_lv(2))


def test_frames_on_several_grids_are_not_joined(coded_cine: Cine) -> None:
    wide = replace(coded_cine, images=np.repeat(coded_cine.images, 2, axis=3))
    cases = [Case(str(n), cine, np.ones(cine.images.shape, np.uint8), "p") for n, cine in enumerate((coded_cine, wide))]
    assert not list(join_cases(cases))
    assert [case.name for case in join_cases([*cases, replace(cases[0], patient="q")])] == ["q"]
