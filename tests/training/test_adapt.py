from pathlib import Path

import numpy as np
import pytest
from glrp_training.adapt import adapt
from glrp_training.slices import cut_middle, prepare_label

from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.device import choose_placement
from glrp_napari.library import LibraryError, accept_slice
from glrp_napari.messages import FinetuneDone
from glrp_napari.models import Model, Preprocessing, find_model


def test_case_74_what_an_ancestor_was_trained_on_validates_nothing(
    coded_cine: Cine, tiny_model: Model, tmp_path: Path
) -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[3:7, 3:8] = 3
    for z in range(2):
        accept_slice(tmp_path / "labels", coded_cine, mask, 0, z, "corrected")
    models = tmp_path / "models"
    done = list(adapt(tmp_path / "labels", tiny_model, models, "mine", choose_placement("cpu")))[-1]
    assert isinstance(done, FinetuneDone)
    assert len(find_model(str(done.model)).card.labels) == 2
    assert done.comparison.trained == 2


def test_an_empty_library_is_refused(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="found no accepted labels"):
        list(adapt(tmp_path, tiny_model, tmp_path, "mine", choose_placement("cpu")))


def test_a_label_far_from_the_middle_of_its_slice_is_in_the_square(tmp_path: Path) -> None:
    images = np.zeros((1, 1, 300, 300), np.int16)
    cine = Cine(images, Geometry(spacing_mm=(8, 1.4, 1.4)), Source("wide"))
    mask = np.zeros((300, 300), np.uint8)
    mask[20:60, 230:270] = 3
    label = accept_slice(tmp_path, cine, mask, 0, 0, "corrected")
    seen = cut_middle(prepare_label(tmp_path, label, Preprocessing()).masks, 192)
    assert int((seen == 3).sum()) == pytest.approx(1600 * (1.4 / 1.25) ** 2, rel=0.05)
