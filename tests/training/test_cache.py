from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from glrp_training import cache
from glrp_training.cache import Task, default_cache, gather_labelled, gather_unlabelled, name_entry
from glrp_training.dataset import Dataset, Item
from glrp_training.entries import load_entry, save_entry
from glrp_training.slices import MARGIN, Slices, UnlabelledSlices

from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.messages import Progress
from glrp_napari.models import Preprocessing
from glrp_napari.phantom import make_phantom
from glrp_napari.reading import ReadError
from glrp_napari.writing.masks import write_images, write_mask

SMALL = Preprocessing(size=64, spacing_mm=2.0)
SIDE = 64 + MARGIN
T = TypeVar("T")


def finish(job: Generator[Progress, None, T]) -> tuple[T, list[Progress]]:
    """What a generator returns, and what it told on the way."""
    told = []
    while True:
        try:
            told.append(next(job))
        except StopIteration as stop:
            return stop.value, told


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two patients with two labelled frames of 5 slices each; slice z of the mask has z · z pixels of LV."""
    random = np.random.default_rng(0)
    items = []
    for patient in ("a", "b"):
        for frame in (1, 2):
            cine = Cine(
                random.normal(100, 20, (1, 5, 24, 20)).astype(np.float32), Geometry(spacing_mm=(8, 2, 2)), Source("x")
            )
            mask = np.zeros(cine.images.shape, np.uint8)
            for z in range(1, 4):
                mask[0, z, 8 : 8 + z, 8 : 8 + z] = 3
            path = tmp_path / f"{patient}_frame{frame}.nii"
            write_images(path, cine.images, cine)
            write_mask(path.with_name(f"{patient}_frame{frame}_gt.nii"), mask, cine)
            items.append(Item(image=path, mask=path.with_name(f"{patient}_frame{frame}_gt.nii"), patient=patient))
    return Dataset(name="two", items=tuple(items))


def labelled(dataset: Dataset, folder: Path | None) -> Slices:
    return finish(gather_labelled(dataset, dataset.items, SMALL, folder))[0]


def unlabelled(dataset: Dataset, folder: Path | None) -> UnlabelledSlices:
    return finish(gather_unlabelled(dataset.items, SMALL, folder))[0]


def same(first: Slices | UnlabelledSlices, second: Slices | UnlabelledSlices) -> bool:
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return all(one is other if one is None else torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("gather", [labelled, unlabelled])
def test_what_comes_from_the_cache_is_what_was_prepared(
    gather: Callable[[Dataset, Path | None], Slices], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tmp_path.iterdir())
    fresh = gather(dataset, None)
    assert sorted(tmp_path.iterdir()) == before
    assert fresh.images.shape == (20, SIDE, SIDE)
    assert fresh.images.dtype == torch.float16
    assert same(gather(dataset, tmp_path / "cache"), fresh)
    assert len(list((tmp_path / "cache").iterdir())) == 4
    monkeypatch.setattr(cache, "prepare_task", lambda task: pytest.fail("prepared again"))
    assert same(gather(dataset, tmp_path / "cache"), fresh)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-7],
        lambda data: data[:5],
        lambda data: b"\xff" * len(data),
        lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    ],
    ids=["empty", "cut off", "cut off in its header", "garbage", "one bit"],
)
def test_a_damaged_entry_is_made_anew(damage: Callable[[bytes], bytes], dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    fresh = labelled(dataset, folder)
    entry = sorted(folder.iterdir())[0]
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    assert same(labelled(dataset, folder), fresh)
    assert entry.read_bytes() == whole
    assert len(list(folder.iterdir())) == 4


def test_an_entry_stands_for_contents_and_settings_and_not_for_names(dataset: Dataset, tmp_path: Path) -> None:
    item = dataset.items[0]
    assert item.mask is not None
    task = Task(item, SMALL, {})
    renamed = item.image.rename(tmp_path / "other name.nii")
    moved = item.model_copy(update={"image": renamed, "patient": "c", "split": "val"})
    name = name_entry(Task(moved, SMALL, {}))
    others = {
        "another item": Task(dataset.items[1], SMALL, {}),
        "without mask": Task(moved, SMALL, None),
        "size": Task(moved, SMALL.model_copy(update={"size": 80}), {}),
        "spacing": Task(moved, SMALL.model_copy(update={"spacing_mm": 1.5}), {}),
        "n4": Task(moved, SMALL.model_copy(update={"n4": True}), {}),
        "labels": Task(moved, SMALL, {3: 2}),
        "frame": Task(moved.model_copy(update={"frame": 0}), SMALL, {}),
    }
    names = {name_entry(other) for other in others.values()} | {name}
    assert len(names) == len(others) + 1
    renamed.rename(item.image)
    assert name_entry(task) == name
    for path in (item.image, item.mask):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        names.add(name_entry(task))
    assert len(names) == len(others) + 3


def test_voxels_beside_their_header_count_too(tmp_path: Path) -> None:
    fields = "NDims = 3\nDimSize = 4 4 2\nElementType = MET_UCHAR\nElementSpacing = 1 1 1\nOffset = 0 0 0\n"
    (tmp_path / "study.mhd").write_text(f"{fields}ElementDataFile = study.raw\n")
    (tmp_path / "study.raw").write_bytes(bytes(range(32)))
    task = Task(Item(image=tmp_path / "study.mhd", patient="a"), SMALL, None)
    name = name_entry(task)
    assert name_entry(task) == name
    (tmp_path / "study.raw").write_bytes(bytes(range(1, 33)))
    assert name_entry(task) != name


def test_progress_counts_every_item_with_the_time_left(dataset: Dataset, tmp_path: Path) -> None:
    for _ in range(2):
        _, told = finish(gather_labelled(dataset, dataset.items[:2], SMALL, tmp_path / "cache"))
    assert [(p.done, p.total) for p in told] == [(1, 2), (2, 2)]
    _, told = finish(gather_labelled(dataset, dataset.items, SMALL, tmp_path / "cache"))
    assert [(p.done, p.total) for p in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [p.seconds_left is None for p in told] == [True, True, False, False]
    assert told[-1].seconds_left == 0


def test_with_n4_processes_give_what_one_gives(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SMALL.model_copy(update={"n4": True})
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    shared, told = finish(gather_unlabelled(dataset.items[:2], settings, None))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    alone, _ = finish(gather_unlabelled(dataset.items[:2], settings, None))
    assert len(told) == 2
    torch.testing.assert_close(shared.images, alone.images, atol=1e-2, rtol=0)
    assert not same(alone, finish(gather_unlabelled(dataset.items[:2], SMALL, None))[0])


def test_an_unreadable_study_is_named_also_from_another_process(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = dataset.items[0].model_copy(update={"image": tmp_path / "broken.nii"})
    (tmp_path / "broken.nii").write_bytes(dataset.items[0].image.read_bytes()[:-9])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for settings in (SMALL, SMALL.model_copy(update={"n4": True})):
        with pytest.raises(ReadError, match=r"broken\.nii"):
            finish(gather_unlabelled([broken, dataset.items[1]], settings, None))


@pytest.mark.parametrize(
    ("places", "pixels"), [((0,), [4]), ((0, 1), [4, 9]), ((-1, 0), [1, 4])], ids=["middle", "next", "before"]
)
def test_chosen_slices_lie_around_the_middle_of_the_labelled(
    places: tuple[int, ...], pixels: list[int], dataset: Dataset
) -> None:
    """The items that were not chosen contribute nothing."""
    keep = {dataset.items[1]: places}
    slices, told = finish(gather_labelled(dataset, dataset.items, SMALL, None, keep))
    assert (slices.masks == 3).sum((1, 2)).tolist() == pixels
    assert len(told) == 1


def test_a_choice_beyond_the_labels_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="found 3 labelled slices"):
        finish(gather_labelled(dataset, dataset.items, SMALL, None, {dataset.items[0]: (0, 1, -1, 2)}))


def test_no_studies_are_refused(dataset: Dataset) -> None:
    for gather in (partial(gather_labelled, dataset), gather_unlabelled):
        with pytest.raises(ValueError, match=r"found no .*, expected at least one"):
            finish(gather([], SMALL, None))


@pytest.mark.parametrize("turned", [False, True], ids=["base first", "apex first"])
@pytest.mark.parametrize("cut", [False, True], ids=["a cine", "frames apart"])
def test_every_frame_has_positions_from_base_to_apex(turned: bool, cut: bool, tmp_path: Path) -> None:
    """Of the header nothing is known here; one frame alone of frames apart would not tell."""
    phantom = make_phantom(0, frames=(0, 9)).cine
    images = phantom.images[:, ::-1] if turned else phantom.images
    cine = Cine(images, Geometry(spacing_mm=phantom.geometry.spacing_mm), Source("x"))
    frames = [Cine(images[i : i + 1], cine.geometry, Source("x")) for i in range(2)] if cut else [cine]
    items = []
    for i, part in enumerate(frames):
        write_images(tmp_path / f"p_{i}.nii", part.images, part)
        items.append(Item(image=tmp_path / f"p_{i}.nii", patient="p"))
    dataset = Dataset(name="phantom", items=tuple(items))
    slices = unlabelled(dataset, tmp_path / "cache")
    depth = images.shape[1]
    expected = torch.arange(1, depth + 1) / depth
    expected = (expected.flip(0) if turned else expected).repeat(2)
    assert slices.positions.dtype == torch.float32
    torch.testing.assert_close(slices.positions, expected)
    assert len(slices) == len(slices.images) == 2 * depth
    forced = dataset.model_copy(
        update={"items": tuple(item.model_copy(update={"apex_first": not turned}) for item in items)}
    )
    torch.testing.assert_close(unlabelled(forced, tmp_path / "cache").positions, expected.flip(0))


def test_one_frame_of_a_cine_can_be_had_alone(coded_cine: Cine, tmp_path: Path) -> None:
    write_images(tmp_path / "c.nii", coded_cine.images, coded_cine)
    items = (Item(image=tmp_path / "c.nii", patient="c", frame=1), Item(image=tmp_path / "c.nii", patient="c"))
    dataset = Dataset(name="c", items=items)
    slices = unlabelled(dataset, tmp_path / "cache")
    assert len(slices) == 4 + 12
    assert torch.equal(slices.images[:4], slices.images[8:12])


def test_the_usual_cache_is_in_the_users_folder() -> None:
    assert default_cache().is_absolute()
    assert "glrp-napari" in default_cache().parts


def test_an_entry_comes_back_whatever_its_arrays_order_in_memory_was(tmp_path: Path) -> None:
    arrays = {"turned": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1), "one": np.array(3.0)}
    save_entry(tmp_path / "entry.safetensors", arrays)
    found = load_entry(tmp_path / "entry.safetensors")
    assert found is not None
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
