"""The window with the real worker and the shipped model on the phantom: nothing doubled."""

from pathlib import Path

import numpy as np
import pytest
from glrp_napari.cine import Structure
from glrp_napari.gui.jobs import WORKER
from glrp_napari.phantom import make_phantom
from glrp_napari.slice_states import SliceState
from tests.gui.conftest import close_window, make_window


def test_the_phantom_is_segmented_in_the_window(tmp_path: Path, qapp: object) -> None:
    window = make_window(tmp_path, command=WORKER)
    if not window.dock.workplace.now.models:
        pytest.skip("no model is shipped in this tree")
    phantom = make_phantom(3, frames=(0, 8))
    study = window.open(phantom.cine)
    window.click(window.dock.segment.button)
    window.wait(lambda: not window.dock.workplace.now.job, 150)
    window.settle()
    assert not window.dock._notice.isVisibleTo(window.dock), window.dock._notice.text.text()
    assert (study.states == SliceState.PREDICTED).all()
    window.wait(lambda: "LV EDV" in window.dock.segment.result.text())
    found, true = study.mask.data == Structure.LV, phantom.mask == Structure.LV
    assert 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true)) > 0.7
    close_window(window)
