"""A fine-tuning's copy of its labels: whole ones, and a word on those that are not."""

from pathlib import Path

import numpy as np
import pytest
from glrp_training.label_copy import copy_labels, tell_missing

from glrp_napari.cine import Cine
from glrp_napari.library import Accepted, Label, LibraryError, accept_slices, list_labels, load_before, load_slice
from glrp_napari.library.label_files import KINDS, find_file
from glrp_napari.reading import ReadError


@pytest.fixture
def labels(coded_cine: Cine, tmp_path: Path) -> tuple[Label, ...]:
    """Three labels in `tmp_path / "labels"`."""
    mask = np.zeros(coded_cine.images.shape[2:], np.uint8)
    mask[2:8, 2:9] = 3
    return accept_slices(
        tmp_path / "labels", coded_cine, [Accepted(0, z, "corrected", mask, mask * 0) for z in range(3)]
    )


def test_all_labels_are_copied_in_place_of_an_earlier_copy(labels: tuple[Label, ...], tmp_path: Path) -> None:
    library, copied = tmp_path / "labels", tmp_path / "copy"
    copied.mkdir()
    (copied / "old").write_text("")
    assert copy_labels(library, copied) == labels == list_labels(copied)
    for label in labels:
        load_slice(copied, label)
        load_before(copied, label)
    assert len(list(copied.iterdir())) == 3 * (1 + len(KINDS))
    assert list(tell_missing(library, labels)) == []


def test_case_81_labels_without_their_image_stay_out_and_are_told(labels: tuple[Label, ...], tmp_path: Path) -> None:
    library, copied = tmp_path / "labels", tmp_path / "copy"
    find_file(library, labels[1], "image").unlink()
    whole = copy_labels(library, copied)
    assert whole == (labels[0], labels[2]) == list_labels(copied)
    (notice,) = tell_missing(library, whole)
    assert notice.text == (
        "1 of 3 labels left out: the image is missing from the library; opening the study again restores it."
    )


def test_case_81_a_library_without_any_image_is_an_error(labels: tuple[Label, ...], tmp_path: Path) -> None:
    library = tmp_path / "labels"
    for label in labels:
        find_file(library, label, "image").unlink()
    with pytest.raises(LibraryError, match=r"found no label whose image is there \(3 without\), expected at least one"):
        copy_labels(library, tmp_path / "copy")


@pytest.mark.parametrize("kind", ["mask", "before"])
def test_what_no_study_brings_back_is_an_error_that_names_it(
    labels: tuple[Label, ...], tmp_path: Path, kind: str
) -> None:
    path = find_file(tmp_path / "labels", labels[0], kind)
    path.unlink()
    with pytest.raises(ReadError, match=path.name):
        copy_labels(tmp_path / "labels", tmp_path / "copy")


def test_a_library_without_labels_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="found no accepted labels"):
        copy_labels(tmp_path / "labels", tmp_path / "copy")
