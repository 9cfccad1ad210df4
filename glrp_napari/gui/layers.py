"""From a cine to napari's layers and back: scale, axis names, contrast, and the mask's names and colours."""

from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from glrp_napari.cine import Cine, Geometry, Mask, Source, Structure
from glrp_napari.contrast import find_contrast
from glrp_napari.drawing.palette import COLOURS, NAMES
from glrp_napari.orientation import find_display

CINE_KEY = "glrp_cine"
"""Under this key of a layer's metadata lies the `Cine` it shows."""

MASK_KEY = "glrp_mask"
"""Marks our mask layer; the value is the `Cine` whose grid it lies on."""

AXIS_LABELS = ("t", "z", "y", "x")
UNITS = ("ms", "mm", "mm", "mm")


def scale_of(cine: Cine) -> tuple[float, float, float, float]:
    """The layer's scale: ms a frame (1 where the file does not say), then mm."""
    return (cine.interval_ms or 1.0, *cine.geometry.spacing_mm)


def image_options(cine: Cine) -> dict[str, Any]:
    """The keywords of the image layer that shows a cine; reader, sample and dock share them."""
    return {
        "name": cine.source.name,
        "scale": scale_of(cine),
        "axis_labels": AXIS_LABELS,
        "units": UNITS,
        "contrast_limits": find_contrast(cine.images),
        "colormap": "gray",
        "metadata": {CINE_KEY: cine},
    }


def find_grid(image: Image) -> dict[str, Any]:
    """Scale, shift and units that lay a layer (T, Z, Y, X) voxel on voxel over `image`, which may be (Z, Y, X)."""
    missing = 4 - image.ndim
    return {
        "scale": (*(1.0,) * missing, *image.scale),
        "translate": (*(0.0,) * missing, *image.translate),
        "units": (*UNITS[:missing], *image.units),
        "axis_labels": AXIS_LABELS,
    }


def make_mask_layer(mask: Mask, cine: Cine, image: Image) -> Labels:
    """The layer of structures over a cine that `image` shows; `mask` is (T, Z, Y, X)."""
    layer = Labels(
        mask,
        name=f"Structures of {cine.source.name}",
        opacity=0.45,
        metadata={MASK_KEY: cine},
        colormap=DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", **COLOURS}),
        features={"structure": ["background", *NAMES.values()]},
        **find_grid(image),
    )
    layer.brush_size = 6
    layer.selected_label = int(Structure.LV)
    return layer


def make_uncertainty_layer(cine: Cine, image: Image) -> Image:
    """An empty layer (T, Z, Y, X) for the model's uncertainty, 0…1, over a cine that `image` shows."""
    return Image(
        np.zeros(cine.images.shape, dtype=np.float16),
        name="Uncertainty",
        contrast_limits=(0.0, 0.6),
        colormap="magma",
        blending="additive",
        opacity=0.7,
        **find_grid(image),
    )


def read_layer(layer: Image) -> Cine:
    """The cine of an image layer: ours where the layer carries one, else its data with its scale.

    Raises ValueError for an RGB or multiscale layer, for one that is neither 3-D nor 4-D, and for one that is turned.
    """
    if not is_upright(layer):
        raise ValueError(f"layer {layer.name}: found a rotation, shear or affine, expected only a scale and a shift")
    if isinstance(cine := layer.metadata.get(CINE_KEY), Cine):
        return cine
    if layer.rgb or layer.multiscale or layer.ndim not in (3, 4):
        kind = "colour" if layer.rgb else "multiscale" if layer.multiscale else f"{layer.ndim}-D"
        raise ValueError(f"layer {layer.name}: found a {kind} image, expected a grey 3-D or 4-D one")
    data = np.asarray(layer.data)
    z, y, x = (float(abs(value)) for value in layer.scale[-3:])
    return Cine(
        images=data if data.ndim == 4 else data[None],
        geometry=Geometry(spacing_mm=(z, y, x)),
        source=Source(name=layer.name, file_shape=data.shape),
        frame_ms=find_frame_times(layer),
        warnings=("Taken from a layer: orientation unknown.",),
    )


def is_upright(layer: Layer) -> bool:
    """Whether a layer is only scaled and shifted, not rotated, sheared or put through an affine."""
    turns = ((layer.rotate, np.eye(layer.ndim)), (layer.shear, 0), (layer.affine.affine_matrix, np.eye(layer.ndim + 1)))
    return all(np.allclose(found, none) for found, none in turns)


def find_frame_times(layer: Image) -> tuple[float, ...] | None:
    """The frames' times in ms from the scale of a 4-D layer's first axis; None where it says none (1 or less)."""
    if layer.ndim < 4 or len(layer.data) < 2:
        return None
    frame_ms = float(abs(layer.scale[0])) * (1000.0 if str(layer.units[0]) == "second" else 1.0)
    return tuple(frame_ms * t for t in range(len(layer.data))) if frame_ms > 1 else None


def show_layers(viewer: Any, image: Image, mask: Labels, cine: Cine) -> None:
    """Put a study's layers into the viewer, if they are not there yet, the mask selected and the heart upright."""
    for layer in (image, mask):
        if layer not in viewer.layers:
            viewer.add_layer(layer)
    image.name = cine.source.name  # napari numbers a name that the study before still had
    viewer.dims.axis_labels = mask.axis_labels
    viewer.layers.selection.active = mask
    orient_viewer(viewer, cine)


def orient_viewer(viewer: Any, cine: Cine) -> None:
    """Turn the view, not the data: anterior up, RV on the left."""
    display = find_display(cine.geometry)
    viewer.dims.ndisplay = 2
    viewer.dims.order = display.order
    viewer.scene.camera.orientation2d = display.orientation
    viewer.reset_view()
