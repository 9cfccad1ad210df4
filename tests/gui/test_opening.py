"""Every way of opening ends in the same state; what cannot be opened is said in words and changes nothing."""

from pathlib import Path

import numpy as np
import pytest
from glrp_napari.cine import Cine
from glrp_napari.contrast import find_contrast
from glrp_napari.gui import contributions
from glrp_napari.gui.contributions import make_sample, read_layers, write_labels
from glrp_napari.gui.layers import image_options, make_uncertainty_layer, read_layer
from glrp_napari.reading import ReadError
from glrp_napari.reading.masks import read_mask
from glrp_napari.slice_states import SliceState
from glrp_napari.writing.masks import write_images, write_mask
from napari.layers import Image
from napari.layers._layer_actions import _duplicate_layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from tests.gui.conftest import Window, make_cine
from tests.reading import dicom_files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    cine = make_cine()
    write_images(tmp_path / "patient.nii.gz", cine.images, cine)
    return tmp_path / "patient.nii.gz"


def check_open(window: Window, cine: Cine) -> None:
    layers = [(type(layer).__name__, layer.name) for layer in window.viewer.layers]
    assert layers == [("Image", cine.source.name), ("Labels", f"Structures of {cine.source.name}")]
    image, mask = window.viewer.layers
    for layer in (image, mask):
        np.testing.assert_allclose(layer.scale, (50, 8, 1.5, 1.25), rtol=1e-5)
        assert layer.axis_labels == ("t", "z", "y", "x")
        assert [str(unit) for unit in layer.units] == ["millisecond", *["millimeter"] * 3]
    assert window.viewer.dims.axis_labels == ("t", "z", "y", "x")
    assert window.place == (0, 2)
    assert window.viewer.layers.selection.active is mask
    assert image.contrast_limits == pytest.approx(find_contrast(make_cine().images))
    assert window.dock.workplace.study.image is image


def test_open_button_s_way_and_drop_end_in_the_same_state(shared_window: Window, file: Path) -> None:
    window, cine = shared_window, make_cine(name="patient")
    window.dock.opening.open_path(file)
    window.settle()
    check_open(window, cine)
    window.dock.workplace.close_study()
    assert read_layers(str(file)) == [(None,)]  # what napari calls for a drop and for File > Open
    window.settle()
    check_open(window, cine)
    window.viewer.add_image(cine.images, **image_options(cine))  # as from a reader that ran before the dock was there
    window.settle()
    check_open(window, cine)
    window.dock.workplace.close_study()
    assert len(window.viewer.layers) == 0


@pytest.mark.parametrize("side", [(5, 32, 32), (4, 5, 32, 32)])
def test_any_image_layer_becomes_a_study_with_its_scale(shared_window: Window, side: tuple[int, ...]) -> None:
    window = shared_window
    data = make_cine().images if len(side) == 4 else make_cine().images[1]
    layer = window.viewer.add_image(data, name="foreign", scale=(1, 9, 2, 3)[-len(side) :])
    window.viewer.layers.selection.active = layer
    window.dock.opening.open_selected_layer()
    window.settle()
    assert window.study.cine.geometry.spacing_mm == (9, 2, 3)
    assert window.study.mask.data.shape == ((1, *side) if len(side) == 3 else side)
    window.study.mask.paint((0, window.place[1], 9, 9), 3)
    assert window.study.states[0, window.place[1]] == SliceState.EDITED
    window.dock.workplace.close_study()


def test_a_mask_lies_on_its_layer_s_grid(shared_window: Window) -> None:
    window, grid = shared_window, {"scale": (50, 8, 1.5, 1.25), "translate": (0, 0, 100, 40)}
    layer = window.viewer.add_image(make_cine(name="shifted").images, name="shifted", **grid)
    study = window.open_layer(layer)
    for made in (study.mask, study.image):
        np.testing.assert_array_equal(made.scale, grid["scale"])
        np.testing.assert_array_equal(made.translate, grid["translate"])
        assert made.units == layer.units
    assert study.cine.frame_ms == (0, 50, 100, 150)
    assert window.place == (0, 2)
    window.go(2, 1)
    window.press(Qt.Key.Key_G)
    window.drag((20, 8), (20, 14))
    assert (study.mask.data[2, 1, 20, 8:15] == 3).all()
    assert np.argwhere(study.states).tolist() == [[2, 1]]
    study.go(3, 4)
    assert window.place == (3, 4)
    np.testing.assert_array_equal(make_uncertainty_layer(study.cine, study.image).translate, grid["translate"])
    window.dock.workplace.close_study()


def test_the_uncertainty_is_drawn_and_leaves_with_its_study(shared_window: Window) -> None:
    """napari frees a removed layer's GL objects at once; in a context not the canvas's, the next draw crashed."""
    window, grid = shared_window, {"scale": (50, 8, 1.5, 1.25), "translate": (0, 0, 100, 40)}
    for name in ("uncertain", "after"):
        cine = make_cine(name=name)
        study = window.open_layer(window.viewer.add_image(cine.images, name=name, **grid))
        window.go(2, 1)
        window.press(Qt.Key.Key_G)
        window.drag((20, 8), (20, 14))
        study.go(3, 4)
        study.show_uncertainty(3, np.full((5, 32, 32), 0.5, np.float16))
        shown = window.viewer.layers["Uncertainty"]
        assert (shown.data[3] == 0.5).all()
        assert not shown.data[:3].any()
        np.testing.assert_array_equal(shown.translate, grid["translate"])
        assert window.viewer.layers.index(shown) == window.viewer.layers.index(study.mask) - 1
        window.viewer.window.screenshot(flash=False)  # draws
        window.dock.workplace.close_study()
        assert not window.viewer.layers
        window.viewer.window.screenshot(flash=False)


@pytest.mark.parametrize(
    ("time_scale", "unit", "frame_ms"), [(50, "pixel", 50), (0.04, "s", 40), (40, "ms", 40), (1, "pixel", None)]
)
def test_frame_times_come_from_the_scale(time_scale: float, unit: str, frame_ms: float | None) -> None:
    layer = Image(make_cine().images, scale=(time_scale, 8, 1, 1), units=(unit, "mm", "mm", "mm"))
    found = read_layer(layer).frame_ms
    assert found == (None if frame_ms is None else pytest.approx(tuple(frame_ms * t for t in range(4))))


@pytest.mark.parametrize(
    ("name", "value"), [("rotate", (0, 20, 0)), ("shear", (0.2, 0, 0)), ("affine", np.diag([2.0, 1, 1, 1]))]
)
def test_a_turned_layer_is_refused(name: str, value: object) -> None:
    layer = Image(make_cine().images[0], name="turned", **{name: value})
    with pytest.raises(ValueError, match="layer turned: found a rotation, shear or affine"):
        read_layer(layer)


def test_duplicating_the_image_layer_leaves_the_study_open(shared_window: Window) -> None:
    study = shared_window.open(make_cine(name="doubled"))
    shared_window.study.set_heart_rate(70)
    layers = shared_window.viewer.layers
    layers.selection = {study.image}
    _duplicate_layer(layers)
    shared_window.settle()
    assert shared_window.study is study
    assert [layer.name for layer in layers] == ["doubled", "doubled copy", "Structures of doubled"]
    layers.remove("doubled copy")
    assert shared_window.study is study
    shared_window.dock.workplace.close_study()


def test_case_56_equal_series_are_offered_and_a_late_list_is_dropped(shared_window: Window, tmp_path: Path) -> None:
    window, dock = shared_window, shared_window.dock
    short = dicom_files.Cine(label="sax")
    other = dicom_files.rename(short, 8, start=(-25.0, 30.0, 45.0))
    dicom_files.save_all(tmp_path, dicom_files.build_images(short))
    dicom_files.save_all(tmp_path, dicom_files.build_images(other), seed=1)
    dock.opening.open_path(tmp_path)
    window.settle()
    assert "several short-axis series" in dock._notice.text.text()
    chooser = dock.study.series
    assert chooser.isVisibleTo(dock)
    assert (chooser.count(), chooser.currentIndex()) == (2, -1)
    chooser.activated.emit(1)
    window.settle()
    assert window.study.cine.images.shape == (4, 3, 6, 5)
    assert chooser.isVisibleTo(dock)
    late = dock.series._folder, dock.series._series
    window.open(make_cine(name="later"))
    assert not chooser.isVisibleTo(dock)
    dock.series._on_listed(*late)
    assert not chooser.isVisibleTo(dock)
    dock.workplace.close_study()


def test_what_cannot_be_opened_leaves_the_open_study(shared_window: Window, tmp_path: Path) -> None:
    window = shared_window
    study = window.open(make_cine(name="kept"))
    (tmp_path / "broken.nii").write_bytes(b"hello")
    window.dock.opening.open_path(tmp_path / "broken.nii")
    window.settle()
    assert "broken.nii: found" in window.dock._notice.text.text()
    assert window.dock._notice.isVisibleTo(window.dock)
    assert window.study is study
    rgb = window.viewer.add_image(np.zeros((8, 8, 3), np.uint8), rgb=True)
    window.dock.opening.open_layer(rgb)
    window.settle()
    assert "colour image" in window.dock._notice.text.text()
    window.viewer.layers.remove(rgb)


def test_fault_26_removing_the_mask_layer_closes_the_study_and_keeps_the_work(shared_window: Window) -> None:
    window, cine = shared_window, make_cine(name="removed")
    cine.images[0, 0, 0, 1] += 7
    window.open(cine)
    window.study.mask.paint((0, 2, 9, 9), 3)
    window.viewer.layers.remove(window.study.mask)
    window.settle()
    assert window.dock.workplace.study is None
    assert "Open it again to go on" in window.dock._notice.text.text()
    window.open(cine)
    assert window.study.mask.data[0, 2, 9, 9] == 3
    assert window.study.states[0, 2] == SliceState.EDITED
    assert not window.dock.study.draft.isVisibleTo(window.dock)
    window.dock.workplace.close_study()
    window.settle()


def test_the_open_study_opened_again_keeps_what_was_typed_before_anything_is_segmented(shared_window: Window) -> None:
    window = shared_window
    study = window.open(make_cine(name="typed"))
    window.dock.measuring.decide(height_cm=180.0)
    window.settle()
    again = window.open_layer(study.image)
    assert again is not study
    assert again.reading.height_cm == 180
    window.dock.workplace.close_study()
    window.settle()


def test_the_open_study_opened_again_does_not_bring_back_what_was_taken_back(shared_window: Window) -> None:
    window, cine = shared_window, make_cine(name="taken back")
    window.open(cine)
    window.study.mask.paint((0, 2, 9, 9), 3)
    window.dock.workplace.close_study()
    window.settle()
    study = window.open(cine)
    window.dock.correcting.do("undo")
    again = window.open_layer(study.image)
    assert again is not study
    assert not again.mask.data.any()
    window.dock.workplace.close_study()
    window.settle()


def test_masks_are_saved_and_loaded_with_their_order(shared_window: Window, tmp_path: Path) -> None:
    window, cine = shared_window, make_cine(name="masks")
    window.open(cine)
    mask = np.zeros(cine.images.shape, np.uint8)
    mask[1, 2, 3:6, 3:6], mask[2, 3, 8, 8] = 1, 2
    write_mask(tmp_path / "in.nii.gz", mask, cine)
    window.dock.files.masks.take(tmp_path / "in.nii.gz", {1: 3, 2: 2, 3: 1})
    window.settle()
    assert window.study.mask.data[1, 2, 4, 4] == 3
    assert window.study.states[1, 2] == SliceState.EDITED
    assert not window.study.states[0].any()
    saved: list[bool] = []
    window.dock.files.masks.save(tmp_path / "out.nii.gz", lambda: saved.append(True))
    window.settle()
    assert saved
    np.testing.assert_array_equal(read_mask(tmp_path / "out.nii.gz", cine), window.study.mask.data)
    other = make_cine(side=16)
    write_mask(tmp_path / "other.nii.gz", np.zeros(other.images.shape, np.uint8), other)
    window.dock.files.masks.take(tmp_path / "other.nii.gz", None)
    window.settle()
    assert "16" in window.dock._notice.text.text()
    assert "32" in window.dock._notice.text.text()
    window.study.history.undo()
    assert not window.study.mask.data.any()
    window.dock.workplace.close_study()


def test_napari_s_save_writes_on_the_cine_s_grid(shared_window: Window, file: Path, tmp_path: Path) -> None:
    window = shared_window
    window.dock.opening.open_path(file)
    window.settle()
    window.study.mask.paint((0, 2, 9, 9), 3)
    data, attributes, _kind = window.study.mask.as_layer_data_tuple()
    target = str(tmp_path / "out.nii.gz")
    assert write_labels(target, data, attributes) == [target]
    np.testing.assert_array_equal(read_mask(Path(target), window.study.cine), data)
    with pytest.raises(ValueError, match="labels layer of no study"):
        write_labels(target, data, {"name": "other", "metadata": {}})
    window.dock.workplace.close_study()


def test_the_sample_opens(shared_window: Window) -> None:
    [(data, options, kind)] = make_sample()
    shared_window.viewer._add_layer_from_data(data, options, kind)
    shared_window.wait(lambda: shared_window.dock.workplace.study is not None)
    shared_window.settle()
    assert "RR" in shared_window.dock.study.line.text()
    shared_window.dock.workplace.close_study()


def test_a_typed_heart_rate_sets_the_pace(shared_window: Window) -> None:
    cine = make_cine(name="paceless")
    shared_window.open(Cine(cine.images, cine.geometry, cine.source))
    assert shared_window.dock.study.rate.isVisibleTo(shared_window.dock)
    shared_window.dock.study.rate.setValue(75)
    QApplication.processEvents()
    assert shared_window.dock.study.line.text().endswith("RR 800 ms")
    shared_window.dock.workplace.close_study()


def test_without_the_dock_the_reader_gives_the_layer_or_raises_in_words(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contributions, "find_dock", lambda: None)
    [(data, options, kind)] = read_layers(str(file))
    np.testing.assert_array_equal(data, make_cine().images)
    assert (options["name"], options["axis_labels"], kind) == ("patient", ("t", "z", "y", "x"), "image")
    (tmp_path / "text.nii").write_text("no image")
    with pytest.raises(ReadError, match=r"text\.nii: found"):
        read_layers(str(tmp_path / "text.nii"))
