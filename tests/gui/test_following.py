"""Edits carried on, outlines mended and pushed, and the plausibility light, in the real window on a beating phantom."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from threading import Event, current_thread, main_thread

import numpy as np
import pytest
from glrp_napari.anatomy_checks import Rule
from glrp_napari.cine import Mask, Structure
from glrp_napari.gui import following as following_module
from glrp_napari.gui.following import propose_frames, propose_slices
from glrp_napari.phantom import Phantom, make_phantom
from glrp_napari.propagate import find_edit, spread_edits
from glrp_napari.slice_states import SliceState
from qtpy.QtCore import Qt
from tests.gui.conftest import Window
from tests.test_propagate import count_wrong, thin_wall

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
Asked = tuple[np.ndarray, Mask, int, Mask, Mask, tuple[float, float]]
names = itertools.count()


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(3, frames=range(0, 24, 3), slices=[4, 5, 6])


@pytest.fixture
def study(shared_window: Window, phantom: Phantom) -> Window:
    """The phantom's cine with a mask whose wall is too thin everywhere, as a model's answer."""
    number = next(names)
    images = phantom.cine.images.copy()
    images[0, 0, 0, 0] += number  # another study each time, so that no draft is offered
    source = replace(phantom.cine.source, name=f"beating {number}")
    shared_window.open(replace(phantom.cine, images=images, source=source))
    pixel_mm = phantom.cine.geometry.spacing_mm[1:]
    history = shared_window.study.history
    history.begin_run()
    for t, frame in enumerate(phantom.mask):
        shared_window.study.apply_frame(t, np.stack([thin_wall(plane, pixel_mm) for plane in frame]), False)
    history.end_run()
    shared_window.go(0, 1)
    return shared_window


def correct(study: Window, phantom: Phantom, level: int = 1) -> Mask:
    """Draw the truth in frame 0; returns the mask after that."""
    study.study.write_slices({(0, level): phantom.mask[0, level]})
    study.settle()
    return study.study.mask.data.copy()


def follow(study: Window) -> None:
    study.press(Qt.Key.Key_F, SHIFT)
    study.settle()


def test_an_edit_follows_the_heart_and_is_one_step(study: Window, phantom: Phantom) -> None:
    before = correct(study, phantom)
    part, mask = study.dock.correct.proposals, study.study.mask
    follow(study)
    assert len(study.dock.correcting.following.proposals) == 7
    assert part.text.text() == "Proposed for 7 frames · here: nothing proposed"
    np.testing.assert_array_equal(mask.data, before)
    assert study.viewer.layers[-1].name == "Proposed"
    assert study.viewer.layers.selection.active is mask
    study.go(3, 1)
    assert part.text.text() == "Proposed for 7 frames · here: outlined"
    study.click(part.leave)
    assert part.text.text() == "Proposed for 7 frames · here: left as it is"
    assert not study.viewer.layers["Proposed"].data[3].any()
    assert [b.property("primary") for b in (part.take, study.dock.correct.accept_slice)] == [True, False]
    study.click(part.take)
    assert "Proposed" not in study.viewer.layers
    np.testing.assert_array_equal(mask.data[3], before[3])
    np.testing.assert_array_equal(mask.data[:, ::2], before[:, ::2])
    others = [1, 2, 4, 5, 6, 7]
    wrong = count_wrong(before[others, 1], phantom.mask[others, 1])
    assert count_wrong(mask.data[others, 1], phantom.mask[others, 1]) < 0.5 * wrong
    assert (study.study.states[others, 1] == SliceState.EDITED).all()
    study.press(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, before)
    assert (study.study.states[others, 1] == SliceState.PREDICTED).all()


def test_slices_of_a_person_are_never_overwritten(study: Window, phantom: Phantom) -> None:
    correct(study, phantom)
    study.study.states[2, 1] = SliceState.ACCEPTED
    follow(study)
    assert (2, 1) not in study.dock.correcting.following.proposals
    study.go(5, 1)
    study.study.mask.paint((5, 1, 10, 10), 3)
    before = study.study.mask.data.copy()
    study.press(Qt.Key.Key_T, SHIFT)
    np.testing.assert_array_equal(study.study.mask.data[[2, 5]], before[[2, 5]])
    assert (study.study.mask.data[3] != before[3]).any()


def test_an_edit_is_carried_to_the_slices_beside_it(
    study: Window, phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def propose(labels: Mask, edited: dict[int, Mask], pixel_mm: tuple[float, float]) -> list[tuple[int, Mask]]:
        threads.append(current_thread())
        return list(propose_slices(labels, edited, pixel_mm))

    monkeypatch.setattr(following_module, "propose_slices", propose)
    before = correct(study, phantom)
    edits = {
        1: find_edit(study.study.history.find_predicted((0, 1)), before[0, 1], phantom.cine.geometry.spacing_mm[1:])
    }
    study.press(Qt.Key.Key_J, SHIFT)
    following = study.dock.correcting.following
    study.settle()
    assert threads
    assert main_thread() not in threads, "worked out off the GUI's thread"
    for z, whole in spread_edits(
        edits, before[0], phantom.cine.geometry.spacing_mm[1:]
    ):  # cutting the heart out changes nothing
        np.testing.assert_array_equal(following.proposals[0, z].after, whole)
    part = study.dock.correct.proposals
    assert part.text.text() == "Proposed for 2 slices · here: nothing proposed"
    study.click(part.take)
    mask = study.study.mask.data
    for level in (0, 2):
        truth = phantom.mask[0, level]
        assert count_wrong(mask[0, level], truth) < 0.8 * count_wrong(before[0, level], truth)
    np.testing.assert_array_equal(mask[1:], before[1:])


def test_without_an_edit_the_window_says_what_is_needed(study: Window) -> None:
    for key in (Qt.Key.Key_F, Qt.Key.Key_J):
        study.dock.tell("")
        study.press(key, SHIFT)
        assert "a slice that you edited" in study.dock._notice.text.text()


def test_dropping_cancelling_and_closing_leave_nothing(
    study: Window, phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = Event()

    def propose_later(*args: *Asked) -> Iterator[tuple[int, Mask]]:
        go_on.wait(60)
        yield from propose_frames(*args)

    monkeypatch.setattr(following_module, "propose_frames", propose_later)
    go_on.set()
    before = correct(study, phantom)
    following = study.dock.correcting.following
    follow(study)
    study.click(study.dock.correct.proposals.drop)
    assert not following.proposals
    go_on.clear()
    study.press(Qt.Key.Key_F, SHIFT)
    assert study.dock.correct.proposals.progress.isVisible()
    study.click(study.dock.correct.proposals.progress.button)
    go_on.set()
    study.settle()
    assert not following.proposals
    assert not study.dock.correct.proposals.progress.isVisible()
    follow(study)
    assert following.proposals
    np.testing.assert_array_equal(study.study.mask.data, before)
    study.dock.workplace.close_study()
    assert not following.proposals
    assert "Proposed" not in study.viewer.layers


def test_a_ring_is_closed_and_an_outline_smoothed_as_one_step_each(study: Window, phantom: Phantom) -> None:
    mask = study.study.mask
    before = mask.data.copy()
    study.press(Qt.Key.Key_G)
    study.press(Qt.Key.Key_O, SHIFT)
    smooth = mask.data.copy()
    assert 0 < count_wrong(smooth, before) < 200
    assert study.study.states[0, 1] == SliceState.EDITED
    flaw(study)
    open_ring = mask.data.copy()
    study.press(Qt.Key.Key_R, SHIFT)
    assert (mask.data != open_ring).any()
    for expected in (open_ring, smooth, before):
        study.press(Qt.Key.Key_Z, CTRL)
        np.testing.assert_array_equal(mask.data, expected)


def flaw(study: Window) -> None:
    """Take the left half of the wall on screen away, as a person's edit."""
    plane = study.study.mask.data[study.place].copy()
    wall = plane == Structure.MYO
    wall[:, int(np.argwhere(wall)[:, 1].mean()) :] = False
    plane[wall] = 0
    study.study.write_slices({study.place: plane})
    study.dock.workplace.changed.emit()


def test_the_mouse_pushes_the_border_as_one_step(study: Window) -> None:
    mask = study.study.mask
    before = mask.data.copy()
    study.canvas.setFocus()
    study.press(Qt.Key.Key_G)
    study.click(study.dock.correct.push)
    assert study.dock.correct.push.isChecked()
    cavity = np.argwhere(before[0, 1] == Structure.LV)
    y, x = int(cavity[:, 0].mean()), int(cavity[:, 1].max())
    centre = study.viewer.scene.camera.center
    study.drag((y, x - 2), (y, x), (y, x + 2), (y, x + 4))
    assert study.viewer.scene.camera.center == centre
    assert (mask.data[0, 1] == Structure.LV).sum() > len(cavity) + 5
    assert study.study.states[0, 1] == SliceState.EDITED
    study.press(Qt.Key.Key_Z, CTRL)
    np.testing.assert_array_equal(mask.data, before)
    study.click(study.dock.correct.tools["paint"])
    assert not study.dock.correct.push.isChecked()
    study.drag((10, 10), (10, 14))
    assert (mask.data[0, 1, 10, 10:14] == Structure.LV).all()


def test_the_light_names_the_worst_place_and_goes_there(study: Window) -> None:
    light = study.dock.correct.light
    study.go(4, 2)
    flaw(study)
    study.wait(lambda: light.colour == "red" and "Frame 5, slice 3" in light._full)
    study.go(0, 0)
    study.click(light)
    assert study.place == (4, 2)
    study.press(Qt.Key.Key_Z, CTRL)
    study.wait(lambda: "Frame 5, slice 3" not in light._full)


def test_the_light_follows_the_base_that_the_reader_sets(study: Window) -> None:
    measuring = study.dock.measuring

    def is_named() -> bool:
        return any(finding.rule == Rule.STROKE for finding in study.dock.watching.findings)

    study.wait(is_named, 15)
    measuring.set_slices("rv", "ed", None)
    study.wait(lambda: not is_named(), 15)
    study.press(Qt.Key.Key_Z, CTRL)
    study.wait(is_named, 15)
    assert is_named()
