from pathlib import Path

import numpy as np
import pytest

from glrp_napari import library
from glrp_napari.cine import Cine, hash_study
from glrp_napari.library import (
    Accepted,
    LibraryError,
    accept_slice,
    accept_slices,
    list_labels,
    load_slice,
    remove_label,
)
from glrp_napari.preprocess import normalise, normalise_frame
from glrp_napari.reading import ReadError


def paint(cine: Cine) -> np.ndarray:
    mask = np.zeros(cine.images.shape[2:], np.uint8)
    mask[2:8, 2:9], mask[4:6, 4:7], mask[0, 0] = 2, 3, 1
    return mask


def test_an_accepted_slice_comes_back_as_it_was(coded_cine: Cine, tmp_path: Path) -> None:
    mask = paint(coded_cine)
    label = accept_slice(tmp_path, coded_cine, mask, 1, 2, "corrected", model="cine")
    assert list_labels(tmp_path) == (label,)
    image, stored, geometry = load_slice(tmp_path, label)
    np.testing.assert_array_equal(image, coded_cine.images[1, 2])
    np.testing.assert_array_equal(stored, mask)
    assert geometry.spacing_mm == pytest.approx(coded_cine.geometry.spacing_mm)
    assert geometry.origin_mm == pytest.approx((0, 0, 16.0))
    assert (label.study, label.slices, label.model) == (hash_study(coded_cine), 4, "cine")


def test_a_slice_alone_is_normalised_as_in_its_frame(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 2, 3, "accepted")
    image, _, _ = load_slice(tmp_path, label)
    whole = normalise_frame(coded_cine.images[2])[3]
    np.testing.assert_allclose(normalise(image, label.frame_mean, label.frame_std), whole, atol=1e-4)


def test_accepting_again_replaces_and_counts_on(coded_cine: Cine, tmp_path: Path) -> None:
    accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 1, "accepted")
    again = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "corrected")
    assert [(label.slice, label.state) for label in list_labels(tmp_path)] == [(1, "accepted"), (0, "corrected")]
    assert again.counter == 3


def test_many_slices_are_stored_in_their_order_and_read_the_library_once(
    coded_cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    reads = []
    monkeypatch.setattr(library, "list_labels", lambda folder: reads.append(folder) or list_labels(folder))
    slices = [Accepted(1, z, "corrected" if z == 2 else "accepted", paint(coded_cine) * (z == 2)) for z in (2, 1, 3)]
    labels = accept_slices(tmp_path, coded_cine, slices, model="cine")
    assert reads == [tmp_path]
    assert [(label.slice, label.counter, label.state) for label in labels] == [
        (2, 2, "corrected"),
        (1, 3, "accepted"),
        (3, 4, "accepted"),
    ]
    assert list_labels(tmp_path)[1:] == labels
    np.testing.assert_array_equal(load_slice(tmp_path, labels[0])[1], paint(coded_cine))
    assert not load_slice(tmp_path, labels[1])[1].any()


def test_one_mask_of_another_shape_stores_none_of_them(coded_cine: Cine, tmp_path: Path) -> None:
    slices = [Accepted(0, 0, "accepted", paint(coded_cine)), Accepted(0, 1, "accepted", np.zeros((3, 3), np.uint8))]
    with pytest.raises(LibraryError, match="found a mask of"):
        accept_slices(tmp_path, coded_cine, slices)
    assert list(tmp_path.iterdir()) == []


def test_a_removed_label_leaves_nothing(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    remove_label(tmp_path, label)
    assert list(tmp_path.iterdir()) == []


def test_fault_2_without_its_record_a_label_does_not_exist(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    (tmp_path / f"{label.stem}.json").unlink()
    assert list_labels(tmp_path) == ()


def test_a_mask_of_another_shape_is_refused_and_nothing_written(coded_cine: Cine, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"found a mask of \(3, 3\) for a slice of \(10, 12\)"):
        accept_slice(tmp_path, coded_cine, np.zeros((3, 3), np.uint8), 0, 0, "accepted")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", '{"format_version": 1}', '{"format_version": 9}'])
def test_case_75_a_malformed_record_is_named(coded_cine: Cine, tmp_path: Path, text: str) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    (tmp_path / f"{label.stem}.json").write_text(text)
    with pytest.raises(LibraryError, match=f"{label.stem}.json"):
        list_labels(tmp_path)


def test_case_81_a_missing_image_is_named(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    (tmp_path / f"{label.stem}.image.nii.gz").unlink()
    with pytest.raises((ReadError, FileNotFoundError), match=r"image\.nii\.gz"):
        load_slice(tmp_path, label)
