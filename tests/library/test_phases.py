from pathlib import Path

import pytest

from glrp_napari.comparison import PhaseSlices
from glrp_napari.library import LibraryError
from glrp_napari.library.phases import PHASES, keep_phases, load_phases

STUDY, OTHER = "a" * 64, "b" * 64


def settle(ed: int, es: int) -> tuple[PhaseSlices, PhaseSlices]:
    return PhaseSlices(frame=ed, first=1, last=7), PhaseSlices(frame=es, first=2, last=6)


def test_phases_are_kept_by_study_and_the_last_word_counts(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    assert load_phases(folder) == {}
    keep_phases(folder, {})
    assert not folder.exists(), "nothing is known, nothing is written"
    keep_phases(folder, {STUDY: settle(0, 8)})
    keep_phases(folder, {OTHER: settle(18, 7)})
    keep_phases(folder, {STUDY: settle(0, 9)})
    assert load_phases(folder) == {STUDY: settle(0, 9), OTHER: settle(18, 7)}


def test_case_75_a_damaged_file_is_named(tmp_path: Path) -> None:
    for text, words in (("{", r"phases\.json.*remove the file"), ('{"phases": 3}', r"phases\.json.*remove the file")):
        (tmp_path / PHASES).write_text(text)
        with pytest.raises(LibraryError, match=words):
            load_phases(tmp_path)
