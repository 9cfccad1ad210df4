"""Whose drafts are whose: of two openings of a study neither loses work by the other, whichever ends how."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from filelock import FileLock

from glrp_napari import drafts as drafts_module
from glrp_napari.autosave import Draft, Slots
from glrp_napari.cine import Cine, Geometry, Source, hash_study
from glrp_napari.drafts import CLOSING, StudyDrafts
from glrp_napari.slice_states import SliceState

Open = Callable[[], StudyDrafts]
CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_drafts import draft, make_cine, open_study
opened = open_study(Path(sys.argv[1]), make_cine())
opened.save(make_cine(), draft(1))
print("saved", flush=True)
time.sleep(600)
"""


def make_cine() -> Cine:
    images = np.arange(3 * 4 * 6 * 5, dtype=np.int16).reshape(3, 4, 6, 5)
    return Cine(images, Geometry(spacing_mm=(8, 1.5, 1.25)), Source(name="s"))


def draft(row: int, closed: bool = False) -> Draft:
    """A draft that says by its one painted row whose it is."""
    mask, states = np.zeros((3, 4, 6, 5), np.uint8), np.zeros((3, 4), np.uint8)
    mask[1, 2, row], states[1, 2] = 3, SliceState.EDITED
    return Draft(mask, states, f"2024-05-0{row + 1}T10:00:00+00:00", view=(0, row), closed=closed)


def open_study(folder: Path, cine: Cine) -> StudyDrafts:
    opened = StudyDrafts(folder, hash_study(cine))
    opened.load_closed(cine)
    return opened


def find_row(found: Draft | None) -> int | None:
    return None if found is None else int(np.flatnonzero(found.mask[1, 2, :, 0])[0])


def answer_offers(folder: Path, cine: Cine) -> list[int | None]:
    """What is offered to one who opens the study, each discarded for the next to come."""
    opened, rows = open_study(folder, cine), []
    while (offered := opened.load_offered(cine)) is not None:
        rows.append(find_row(offered))
        opened.discard(offered)
    return rows


def crash(folder: Path, name: str) -> Path:
    """The folder as it would be if every window ended now."""
    return shutil.copytree(folder, folder.parent / name)


@pytest.fixture
def cine() -> Cine:
    return make_cine()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "drafts"


def test_only_looking_makes_nothing(folder: Path, cine: Cine) -> None:
    opened = open_study(folder, cine)
    assert opened.load_offered(cine) is None
    opened.release()
    assert not folder.exists()


def test_fault_20_two_windows_neither_overwrite_nor_offer_each_other_s_drafts(folder: Path, cine: Cine) -> None:
    one, two = open_study(folder, cine), open_study(folder, cine)
    one.save(cine, draft(1))
    for row in (2, 3, 4):  # more than there are slots
        two.save(cine, draft(row))
    assert answer_offers(folder, cine) == []
    assert answer_offers(crash(folder, "both crashed"), cine) == [4, 1]
    two.release()
    assert answer_offers(folder, cine) == [4]
    assert answer_offers(crash(folder, "the other crashed too"), cine) == [1]


def test_fault_20_closing_one_window_leaves_the_other_s_draft(folder: Path, cine: Cine) -> None:
    one, two = open_study(folder, cine), open_study(folder, cine)
    one.save(cine, draft(1))
    two.save(cine, draft(2))
    two.save(cine, draft(3, closed=True))
    two.release()
    assert find_row(open_study(folder, cine).load_closed(cine)) == 3
    assert answer_offers(crash(folder, "crashed"), cine) == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_fault_1_a_living_process_s_draft_is_its_own_and_a_killed_one_s_is_offered(folder: Path, cine: Cine) -> None:
    command = [sys.executable, "-c", CHILD, str(folder), str(Path(__file__).parent)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert child.stdout is not None
    assert child.stdout.readline() == "saved\n"
    mine = open_study(folder, cine)
    mine.save(cine, draft(2))
    mine.save(cine, draft(3, closed=True))
    assert mine.load_offered(cine) is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    offered = mine.load_offered(cine)
    assert offered is not None
    assert find_row(offered) == 1
    mine.discard(offered)
    mine.release()
    assert {path.name.partition("-")[2] for path in folder.glob("*-*")} == {"c.json", "c.nii.gz"}


@pytest.mark.parametrize("known", [False, True], ids=["first closing", "one known to both"])
def test_fault_20_the_second_to_close_is_offered_and_the_first_stays(folder: Path, cine: Cine, known: bool) -> None:
    if known:
        open_study(folder, cine).save(cine, draft(0, closed=True))
    one, two = open_study(folder, cine), open_study(folder, cine)
    for opened, row in ((one, 1), (two, 2)):
        opened.save(cine, draft(row, closed=True))
        opened.release()
    again = open_study(folder, cine)
    assert find_row(again.load_closed(cine)) == 1
    offered = again.load_offered(cine)
    assert offered is not None
    assert (find_row(offered), offered.closed) == (2, False)
    again.discard(offered)
    again.save(cine, draft(3, closed=True))
    assert find_row(open_study(folder, cine).load_closed(cine)) == 3, "who knows of a closing may go on from it"


def test_fault_20_two_windows_that_close_at_once_lose_nothing(folder: Path, cine: Cine) -> None:
    for turn in range(5):
        place, barrier = folder / str(turn), Barrier(2)
        opened = [open_study(place, cine) for _ in range(2)]

        def close(row: int, opened: list[StudyDrafts] = opened, barrier: Barrier = barrier) -> None:
            barrier.wait()
            opened[row - 1].save(cine, draft(row, closed=True))
            opened[row - 1].release()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(close, (1, 2)))
        closed = find_row(open_study(place, cine).load_closed(cine))
        assert {closed, *answer_offers(place, cine)} == {1, 2}


def test_one_who_cannot_get_their_turn_to_close_leaves_a_draft(
    folder: Path, cine: Cine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts_module, "CLOSING_S", 0.0)
    folder.mkdir()
    opened = open_study(folder, cine)
    with FileLock(folder / CLOSING, thread_local=False):
        opened.save(cine, draft(1, closed=True))
    opened.release()
    assert answer_offers(folder, cine) == [1]


def test_looking_at_a_closed_study_keeps_only_the_view(folder: Path, cine: Cine) -> None:
    open_study(folder, cine).save(cine, draft(1, closed=True))
    one, two = open_study(folder, cine), open_study(folder, cine)
    for opened, view in ((one, (2, 3)), (two, (1, 1))):
        opened.save(cine, replace(draft(1, closed=True), view=view))
    found = open_study(folder, cine).load_closed(cine)
    assert found is not None
    assert (find_row(found), found.view) == (1, (1, 1))
    assert len(list(folder.glob("*.nii.gz"))) == 1
    two.save(cine, draft(2, closed=True))
    one.save(cine, draft(1, closed=True))
    assert find_row(open_study(folder, cine).load_closed(cine)) == 2, "who changed nothing takes nothing back"
    assert answer_offers(folder, cine) == []


def test_a_closing_that_was_removed_meanwhile_is_written_again(folder: Path, cine: Cine) -> None:
    opened = open_study(folder, cine)
    opened.save(cine, draft(1, closed=True))
    shutil.rmtree(folder)
    opened.save(cine, draft(1, closed=True))
    assert find_row(open_study(folder, cine).load_closed(cine)) == 1


def test_fault_29_of_two_closings_a_damaged_newer_one_leaves_the_one_before(folder: Path, cine: Cine) -> None:
    opened = open_study(folder, cine)
    for row in (1, 2):
        opened.save(cine, draft(row, closed=True))
    (folder / f"{hash_study(cine)[:12]}-d.nii.gz").write_bytes(b"damaged")
    again = open_study(folder, cine)
    assert find_row(again.load_closed(cine)) == 1
    again.save(cine, draft(3, closed=True))
    assert answer_offers(folder, cine) == [], "a damaged closing is no other window's"
    assert find_row(open_study(folder, cine).load_closed(cine)) == 3


def test_an_opening_that_ended_may_go_on_under_another_name(folder: Path, cine: Cine) -> None:
    opened = open_study(folder, cine)
    opened.save(cine, draft(1))
    opened.release()
    opened.save(cine, draft(2))
    assert answer_offers(folder, cine) == [1]
    assert answer_offers(crash(folder, "crashed"), cine) == [2]


def test_drafts_of_earlier_versions_are_offered_one_by_one(folder: Path, cine: Cine) -> None:
    folder.mkdir()
    slots = Slots(folder, hash_study(cine))
    for slot, row in (("kept2", 0), ("kept7", 1), ("a", 2), ("b", 3)):
        slots.write((slot,), cine, draft(row))
    assert answer_offers(folder, cine) == [3, 1, 0]
    assert not list(folder.iterdir())
