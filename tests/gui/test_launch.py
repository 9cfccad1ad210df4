"""Opening the window with a study and a model's mask, as `glrp demo` does."""

import sys
from pathlib import Path

import napari
import numpy as np
import pytest
from glrp_napari import models
from glrp_napari.gui import __main__, launch
from glrp_napari.gui.launch import wait_until
from glrp_napari.slice_states import SliceState
from glrp_napari.writing.masks import write_images, write_mask
from tests.gui.conftest import Window, close_window, make_cine


def test_the_mask_given_is_the_model_s_and_the_session_is_taken(
    tmp_path: Path, model_folder: Path, qapp: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "find_resources", lambda: model_folder)
    cine, windows = make_cine(), []
    mask = np.zeros(cine.images.shape, np.uint8)
    mask[1, 2, 3:6, 3:6] = 3
    write_images(tmp_path / "study.nii.gz", cine.images, cine)
    write_mask(tmp_path / "mask.nii.gz", mask, cine)
    words = [str(tmp_path / "study.nii.gz"), "--mask", str(tmp_path / "mask.nii.gz")]
    monkeypatch.setattr(sys, "argv", ["gui", *words, "--session", str(tmp_path / "mine")])
    monkeypatch.setattr(napari, "run", lambda: None)
    monkeypatch.setattr(
        __main__, "open_window", lambda *given: windows.append(launch.open_window(*given)) or windows[0]
    )
    __main__.main()
    window = Window(*windows[0])
    assert wait_until(lambda: window.study.mask.data.any())
    np.testing.assert_array_equal(window.study.mask.data, mask)
    assert (window.study.states == SliceState.PREDICTED).all()
    assert window.dock.workplace.now.session.folder == tmp_path / "mine"
    close_window(window)
