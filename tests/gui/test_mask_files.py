"""Loading a mask: asked for the labels' meaning only where the file's are not plainly ours."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from glrp_napari.cine import Mask
from glrp_napari.gui.label_dialog import LabelDialog
from glrp_napari.gui.label_meaning import OURS, SWAPPED, find_labels
from glrp_napari.reading import ReadError
from glrp_napari.writing.masks import write_images
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialogButtonBox
from tests.gui.conftest import Window, make_cine

CINE = make_cine(name="foreign")


def make_heart(labels: Mapping[str, int]) -> Mask:
    """A ring of myocardium around the LV, the RV beside it, in one slice of one frame."""
    mask = np.zeros(CINE.images.shape, np.int16)
    heart = mask[1, 2]
    heart[8:20, 8:20] = labels.get("MYO", 0)
    heart[11:17, 11:17] = labels.get("LV", 0)
    heart[8:20, 20:26] = labels.get("RV", 0)
    return mask


def save(folder: Path, mask: np.ndarray) -> Path:
    path = folder / "mask.nii.gz"
    write_images(path, mask, CINE)
    return path


@pytest.mark.parametrize(
    ("labels", "found", "preset", "ours"),
    [
        ({"RV": 1, "MYO": 2, "LV": 3}, (1, 2, 3), OURS, True),
        ({"RV": 3, "MYO": 2, "LV": 1}, (1, 2, 3), SWAPPED, False),
        ({"MYO": 2, "LV": 3}, (2, 3), OURS, True),
        ({"MYO": 2, "LV": 1}, (1, 2), SWAPPED, False),
        ({"MYO": 2}, (2,), OURS, False),
        ({"LV": 3}, (3,), OURS, False),
        ({"RV": 600, "MYO": 200, "LV": 500}, (200, 500, 600), OURS, False),
        ({}, (), OURS, True),
    ],
)
def test_what_a_file_s_labels_look_like(
    tmp_path: Path, labels: dict[str, int], found: tuple[int, ...], preset: str, ours: bool
) -> None:
    looked = find_labels(save(tmp_path, make_heart(labels)))
    assert (looked.labels, looked.preset, looked.are_ours) == (found, preset, ours)


@pytest.mark.parametrize(("mask", "words"), [(CINE.images, "whole numbers"), (np.floor(CINE.images), "at most 20")])
def test_an_image_is_no_mask(tmp_path: Path, mask: np.ndarray, words: str) -> None:
    with pytest.raises(ReadError, match=words):
        find_labels(save(tmp_path, mask))


def ask(window: Window, path: Path) -> LabelDialog:
    window.dock.files.masks.load(path)
    window.wait(lambda: window.dock.files.masks.dialog is not None)
    dialog = window.dock.files.masks.dialog
    assert dialog is not None
    assert dialog.isVisible()
    return dialog


def test_plainly_ours_is_loaded_unasked(shared_window: Window, tmp_path: Path) -> None:
    window = shared_window
    window.open(CINE)
    mask = make_heart({"RV": 1, "MYO": 2, "LV": 3})
    window.dock.files.masks.load(save(tmp_path, mask))
    window.wait(lambda: window.study.mask.data.any())
    assert window.dock.files.masks.dialog is None
    np.testing.assert_array_equal(window.study.mask.data, mask)
    window.dock.workplace.close_study()


def test_mouse_and_keyboard_map_labels(shared_window: Window, tmp_path: Path) -> None:
    window = shared_window
    window.open(CINE)
    dialog = ask(window, save(tmp_path, make_heart({"RV": 600, "MYO": 200, "LV": 500})))
    assert dialog.meaning == {200: 0, 500: 0, 600: 0}
    assert not dialog.presets
    load = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert not load.isEnabled()  # it would only wipe the mask
    QTest.keyClicks(dialog.choices[200], "My")
    QTest.keyClick(dialog.choices[500], Qt.Key.Key_End)
    assert dialog.meaning == {200: 2, 500: 3, 600: 0}
    window.click(load)
    window.settle()
    np.testing.assert_array_equal(window.study.mask.data, make_heart({"MYO": 2, "LV": 3}))
    window.dock.workplace.close_study()


def test_the_likely_preset_needs_one_key_and_the_other_one_click(shared_window: Window, tmp_path: Path) -> None:
    window = shared_window
    window.open(CINE)
    path = save(tmp_path, make_heart({"RV": 3, "MYO": 2, "LV": 1}))
    dialog = ask(window, path)
    assert dialog.meaning == {1: 3, 2: 2, 3: 1}
    window.click(dialog.presets[OURS])
    assert dialog.meaning == {1: 1, 2: 2, 3: 3}
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    window.settle()
    assert not window.study.mask.data.any()
    QTest.keyClick(ask(window, path), Qt.Key.Key_Return)
    QApplication.processEvents()
    window.settle()
    np.testing.assert_array_equal(window.study.mask.data, make_heart({"RV": 1, "MYO": 2, "LV": 3}))
    window.dock.workplace.close_study()


def test_what_is_no_mask_is_said_in_words(shared_window: Window, tmp_path: Path) -> None:
    window = shared_window
    window.open(CINE)
    window.dock.files.masks.load(save(tmp_path, CINE.images))
    window.settle()
    assert "whole numbers" in window.dock._notice.text.text()
    window.dock.workplace.close_study()
