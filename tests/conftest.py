"""Fixtures for all tests."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.models import Architecture, Model, Preprocessing, save_model_files
from glrp_napari.unet import UNet
from glrp_napari.weights import blank_card, encode_weights

torch.set_num_threads(1)  # the networks of tests are tiny: threads would only wait for each other


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans; the test skips where there is none."""
    folder = Path(os.environ.get("GLRP_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder} (set GLRP_DATA)")
    return folder


@pytest.fixture
def coded_cine() -> Cine:
    """A cine (3, 4, 10, 12) whose every voxel is t·1000 + z·100 + y·10 + x % 10, so that any swap of axes shows."""
    t, z, y, x = np.indices((3, 4, 10, 12))
    images = (t * 1000 + z * 100 + y * 10 + x % 10).astype(np.int16)
    return Cine(images, Geometry(spacing_mm=(8.0, 1.5, 1.25)), Source("coded"), frame_ms=(0.0, 30.0, 60.0))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """An untrained network of four filters on a 64 px square, saved as a model file."""
    torch.manual_seed(0)
    architecture = Architecture(width=4)
    card = blank_card(
        name="tiny", title="Tiny", architecture=architecture, preprocessing=Preprocessing(size=64, spacing_mm=2.0)
    )
    folder = tmp_path_factory.mktemp("models")
    return save_model_files(folder, card, encode_weights(UNet(architecture)))
