"""What napari itself calls: reader, writer, sample data and the dock, as `napari.yaml` names them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.viewer import Viewer, current_viewer

from glrp_napari.cine import Cine
from glrp_napari.gui.dock import CardiacDock
from glrp_napari.gui.layers import MASK_KEY, image_options
from glrp_napari.gui.sniffing import is_ours
from glrp_napari.phantom import make_phantom
from glrp_napari.reading import read_cine
from glrp_napari.writing.masks import write_mask

LayerData = tuple[Any, dict[str, Any], str]
SAMPLE_SEED = 1


def make_dock(napari_viewer: Viewer) -> CardiacDock:
    """The dock widget."""
    return CardiacDock(napari_viewer)


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """napari's question whether we read `path`: one file or folder whose contents look like ours."""
    return read_layers if isinstance(path, str) and is_ours(Path(path)) else None


def read_layers(path: str) -> list[Any]:
    """A cine as napari's layer data (T, Z, Y, X). Raises ReadError.

    Where the dock is open, it opens the study itself, off the GUI's thread, and napari gets its sentinel for
    "nothing to add".
    """
    if (dock := find_dock()) is not None:
        dock.opening.open_path(Path(path))
        return [(None,)]
    cine = read_cine(Path(path))
    return [(cine.images, image_options(cine), "image")]


def find_dock() -> CardiacDock | None:
    """The dock of the window in front, if it is open."""
    viewer = current_viewer()
    widgets = viewer.window.dock_widgets.values() if viewer is not None else ()
    return next((widget for widget in widgets if isinstance(widget, CardiacDock)), None)


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a mask layer on the grid of its cine. Raises ValueError for a layer that lies on no cine."""
    cine = attributes.get("metadata", {}).get(MASK_KEY)
    if not isinstance(cine, Cine):
        found = attributes.get("name", "layer")
        raise ValueError(f"{found}: found a labels layer of no study, expected the structures of an open cine")
    write_mask(Path(path), np.asarray(data), cine)
    return [path]


def make_sample() -> list[LayerData]:
    """The phantom's cine as napari's layer data."""
    cine = make_phantom(SAMPLE_SEED).cine
    return [(cine.images, image_options(cine), "image")]
