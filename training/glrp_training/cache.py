"""Slices of a data set ready for training: from the cache on disk where it has them, else prepared and kept there.

An entry is named by the hash of what it was made of, so that a changed image or setting has an entry of its own and
nothing ever needs to be declared stale. It must not know networks.
"""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from platformdirs import user_cache_path

from glrp_napari.cine import Geometry
from glrp_napari.messages import Progress
from glrp_napari.models import Preprocessing
from glrp_napari.reading import read_cine
from glrp_training.dataset import Dataset, Item
from glrp_training.direction import estimate_apex_first, number_positions
from glrp_training.entries import Arrays, hash_content, load_entry, save_entry
from glrp_training.slices import (
    MARGIN,
    Slices,
    UnlabelledSlices,
    join_slices,
    load_item,
    prepare_cine,
    prepare_frame,
)

FORMAT = 1
"""Of an entry and of the code that fills it: count it up when prepared slices change."""
_MOST_WORKERS = 61
"""Windows waits for no more processes at once."""


@dataclass(frozen=True)
class Task:
    """One item to prepare, with its mask or without. It travels to other processes."""

    item: Item
    settings: Preprocessing
    label_map: dict[int, int] | None


def default_cache() -> Path:
    """The folder of prepared slices in the user's cache; it can be deleted at any time."""
    return user_cache_path("glrp-napari", appauthor=False) / "slices"


def gather_labelled(
    dataset: Dataset,
    items: Sequence[Item],
    preprocessing: Preprocessing,
    cache: Path | None,
    keep: Mapping[Item, Sequence[int]] | None = None,
) -> Generator[Progress, None, Slices]:
    """All slices of `items` with their masks; with `keep` only those that `pick_middle_slices` chose.

    Entries are read from and written to the folder `cache`, if there is one. Raises ValueError for no items and for a
    choice beyond an item's labelled slices, `ReadError` for files that cannot be read.
    """
    chosen = [item for item in items if keep is None or item in keep]
    found = yield from _gather([Task(item, preprocessing, dataset.label_map) for item in chosen], cache)
    parts = [Slices(torch.from_numpy(one["images"]), torch.from_numpy(one["masks"])) for one in found]
    if keep is not None:
        parts = [_keep_slices(part, item, keep[item]) for part, item in zip(parts, chosen, strict=True)]
    return join_slices(parts)


def gather_unlabelled(
    items: Sequence[Item], preprocessing: Preprocessing, cache: Path | None
) -> Generator[Progress, None, UnlabelledSlices]:
    """All slices of all frames of `items`, their masks unread, and their positions from base to apex.

    The direction of a stack is the item's `apex_first`, else one estimate from all frames of the same patient. Entries
    and errors as in `gather_labelled`.
    """
    found = yield from _gather([Task(item, preprocessing, None) for item in items], cache)
    if not found:
        raise ValueError("found no studies, expected at least one")
    positions = [
        np.tile(number_positions(one["images"].shape[1], apex_first), len(one["images"]))
        for one, apex_first in zip(found, _find_directions(items, found), strict=True)
    ]
    images = torch.cat([torch.from_numpy(one["images"]).flatten(0, 1) for one in found])
    return UnlabelledSlices(images, torch.from_numpy(np.concatenate(positions)))


def _keep_slices(slices: Slices, item: Item, places: Sequence[int]) -> Slices:
    """The slices at these places, counted from the middle of those that bear labels."""
    labelled = torch.nonzero(slices.masks.flatten(1).any(1)).flatten()
    wanted = [len(labelled) // 2 + place for place in places]
    if not wanted or min(wanted) < 0 or max(wanted) >= len(labelled):
        raise ValueError(f"{item.mask}: found {len(labelled)} labelled slices, expected more for a choice of {places}")
    return Slices(slices.images[labelled[wanted]], slices.masks[labelled[wanted]])


def _find_directions(items: Sequence[Item], found: Sequence[Arrays]) -> list[bool]:
    """For each item whether its stack begins at the apex; a patient's stacks of one geometry lie alike."""
    keys = [
        (item.patient, one["images"].shape[1], one["axes"].tobytes(), one["spacing_mm"].tobytes())
        for item, one in zip(items, found, strict=True)
    ]
    groups: dict[tuple[str, int, bytes, bytes], list[Arrays]] = {}
    for key, item, one in zip(keys, items, found, strict=True):
        if item.apex_first is None:
            groups.setdefault(key, []).append(one)
    estimates = {key: _estimate_direction(group) for key, group in groups.items()}
    return [
        estimates[key] if item.apex_first is None else item.apex_first for key, item in zip(keys, items, strict=True)
    ]


def _estimate_direction(stacks: Sequence[Arrays]) -> bool:
    z, y, x = stacks[0]["spacing_mm"].tolist()
    geometry = Geometry(spacing_mm=(z, y, x), axes=stacks[0]["axes"].tolist())
    return estimate_apex_first(np.concatenate([one["images"] for one in stacks]), geometry)


def _gather(tasks: Sequence[Task], cache: Path | None) -> Generator[Progress, None, list[Arrays]]:
    """What each task prepares, in order, the cache's entries first."""
    paths = [cache / f"{name_entry(task)}.safetensors" if cache else None for task in tasks]
    found: dict[int, Arrays] = {}
    for index, path in enumerate(paths):
        if path and (entry := load_entry(path)):
            found[index] = entry
            yield Progress(stage="Reading slices", done=len(found), total=len(tasks))
    missing = [index for index in range(len(tasks)) if index not in found]
    started = time.monotonic()
    with closing(_prepare_all([tasks[index] for index in missing])) as prepared:
        for done, (index, arrays) in enumerate(zip(missing, prepared, strict=True), 1):
            found[index] = arrays
            if path := paths[index]:
                save_entry(path, arrays)
            left = (time.monotonic() - started) / done * (len(missing) - done)
            yield Progress(stage="Reading studies", done=len(found), total=len(tasks), seconds_left=left)
    return [found[index] for index in range(len(tasks))]


def _prepare_all(tasks: Sequence[Task]) -> Generator[Arrays, None, None]:
    """In order; with N4, which takes a second a study, in as many processes as there are processors."""
    workers = min(os.cpu_count() or 1, len(tasks), _MOST_WORKERS)
    if workers < 2 or not tasks[0].settings.n4:
        yield from map(prepare_task, tasks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_use_one_thread) as pool:
        try:
            yield from pool.map(prepare_task, tasks)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def prepare_task(task: Task) -> Arrays:
    """What an entry holds.

    Labelled: `images` (Z, S, S) float16 and `masks` (Z, S, S) uint8. Unlabelled: `images` (T, Z, S, S) float16,
    `spacing_mm` (z, y, x) of these and `axes` as in Geometry.
    """
    if task.label_map is not None:
        slices = prepare_frame(*load_item(task.item, task.label_map), task.settings)
        return {"images": slices.images.numpy(), "masks": slices.masks.numpy()}
    cine = read_cine(task.item.image)
    frames = cine.images if task.item.frame is None else cine.images[task.item.frame, None]
    images = prepare_cine(frames, cine.geometry.spacing_mm, task.settings)
    pixel_mm = task.settings.spacing_mm
    return {
        "images": images.numpy(),
        "spacing_mm": np.array([cine.geometry.spacing_mm[0], pixel_mm, pixel_mm]),
        "axes": np.array(cine.geometry.axes),
    }


def name_entry(task: Task) -> str:
    """SHA-256 (hex) of all that an entry depends on: the files' contents, the settings and the format."""
    labelled = task.label_map is not None
    ingredients = {
        "format": FORMAT,
        "margin": MARGIN,
        "preprocessing": task.settings.model_dump(),
        "frame": task.item.frame,
        "image": hash_content(task.item.image),
        "mask": hash_content(task.item.mask) if labelled and task.item.mask else None,
        "label_map": sorted(task.label_map.items()) if task.label_map is not None else None,
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()
