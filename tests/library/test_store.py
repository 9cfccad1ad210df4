import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.cine import Cine, hash_study
from glrp_napari.library import (
    FORMAT,
    Accepted,
    DamagedRecord,
    Label,
    LibraryError,
    Protocol,
    accept_slice,
    accept_slices,
    adopt_protocol,
    list_labels,
    load_before,
    load_protocol,
    load_slice,
    mark_outside,
    relink_images,
    remove_label,
    save_protocol,
    set_aside_damaged,
    store,
    survey_labels,
)
from glrp_napari.library.label_files import find_file
from glrp_napari.preprocess import normalise, normalise_frame
from glrp_napari.reading import ReadError


def paint(cine: Cine) -> np.ndarray:
    mask = np.zeros(cine.images.shape[2:], np.uint8)
    mask[2:8, 2:9], mask[4:6, 4:7], mask[0, 0] = 2, 3, 1
    return mask


def load_all(folder: Path) -> list[tuple[np.ndarray, np.ndarray | None]]:
    return [(load_slice(folder, label)[1], load_before(folder, label)) for label in list_labels(folder)]


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
    monkeypatch.setattr(store, "list_writable", lambda folder: reads.append(folder) or list_labels(folder))
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


def test_case_75_a_record_too_large_to_be_one_is_not_read(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 1, 2, "accepted")
    with (tmp_path / f"{label.stem}.json").open("a") as file:
        file.write(" " * 1_000_000)
    (damaged,) = survey_labels(tmp_path).damaged
    assert "found more than 1000000 bytes, expected a record" in str(damaged)


@pytest.mark.parametrize("text", ["", "{", '{"format_version": 1}', '{"format_version": 9}'])
def test_case_75_a_malformed_record_is_named(coded_cine: Cine, tmp_path: Path, text: str) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    (tmp_path / f"{label.stem}.json").write_text(text)
    with pytest.raises(DamagedRecord, match=f"{label.stem}.json"):
        list_labels(tmp_path)
    with pytest.raises(DamagedRecord, match=f"{label.stem}.json"):
        accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 1, "accepted")
    assert not survey_labels(tmp_path).labels


def test_a_record_that_is_gone_before_it_is_read_is_passed_over(
    coded_cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = (accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, z, "accepted") for z in (0, 1))
    read = store.load_record

    def read_late(path: Path) -> Label:
        (tmp_path / f"{gone.stem}.json").unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr(store, "load_record", read_late)
    assert survey_labels(tmp_path).labels == (kept,)


def test_case_81_a_missing_image_is_named(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    find_file(tmp_path, label, "image").unlink()
    with pytest.raises(ReadError, match=r"image-1\.nii\.gz: found no file, .* opening its study again restores it"):
        load_slice(tmp_path, label)
    assert survey_labels(tmp_path).missing == (label,)


def test_fault_2_a_crash_while_a_missing_image_is_written_again_leaves_it_missing(
    coded_cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study now comes in another format, so that the image's file is another one."""
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 1, 2, "corrected")
    find_file(tmp_path, label, "image").unlink()
    again = replace(coded_cine, images=coded_cine.images.astype(np.float64))

    def crash(*_arguments: object) -> None:
        raise KeyboardInterrupt

    for owner, step in ((store, "write_images"), (store, "save_record"), (Path, "replace")):
        missing = survey_labels(tmp_path).missing
        assert len(missing) == 1
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, crash)
            with pytest.raises(KeyboardInterrupt):
                relink_images(tmp_path, again, missing)
    relink_images(tmp_path, again, survey_labels(tmp_path).missing)
    np.testing.assert_array_equal(load_slice(tmp_path, list_labels(tmp_path)[0])[1], paint(coded_cine))


@pytest.mark.parametrize("turned", [False, True])
def test_case_81_a_missing_image_is_written_again_from_its_study(
    coded_cine: Cine, tmp_path: Path, turned: bool
) -> None:
    """Also where the study now comes from a file that lays it elsewhere: the voxels are the same."""
    (label,) = accept_slices(tmp_path, coded_cine, [Accepted(1, 2, "corrected", paint(coded_cine))])
    find_file(tmp_path, label, "image").unlink()
    geometry = coded_cine.geometry.model_copy(update={"origin_mm": (5.0, 6.0, 7.0)})
    cine = replace(coded_cine, geometry=geometry) if turned else coded_cine
    relink_images(tmp_path, cine, survey_labels(tmp_path).missing)
    assert survey_labels(tmp_path).missing == ()
    image, mask, _ = load_slice(tmp_path, list_labels(tmp_path)[0])
    np.testing.assert_array_equal(image, coded_cine.images[1, 2])
    np.testing.assert_array_equal(mask, paint(coded_cine))


def test_case_75_a_damaged_record_is_set_aside_and_the_rest_goes_on(coded_cine: Cine, tmp_path: Path) -> None:
    for text in ("{", "["):
        slices = [Accepted(0, z, "accepted", paint(coded_cine)) for z in range(2)]
        first = accept_slices(tmp_path, coded_cine, slices)[0]
        (tmp_path / f"{first.stem}.json").write_text(text)
        damaged = survey_labels(tmp_path).damaged
        assert [error.path.stem for error in damaged] == [first.stem]
        aside = set_aside_damaged(tmp_path, damaged)
        assert [label.slice for label in list_labels(tmp_path)] == [1]
    assert sorted(path.read_text() for path in aside.iterdir()) == ["[", "{"]


def test_load_7_a_large_library_opens_fast(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    text = (tmp_path / f"{label.stem}.json").read_text()
    for number in range(2_000):
        other = label.model_copy(update={"frame": number % 500, "slice": number // 500})
        changed = text.replace('"frame": 0', f'"frame": {other.frame}').replace('"slice": 0', f'"slice": {other.slice}')
        (tmp_path / f"{other.stem}.json").write_text(changed)
    survey = survey_labels(tmp_path)
    assert (len(survey.labels), len(survey.damaged)) == (2_000, 0)

    def read_plainly(folder: Path) -> None:
        for path in folder.glob("*.json"):
            json.loads(path.read_bytes())

    # As a ratio, so that a slow machine passes too, and the best of three tries of each: its other work slows them all.
    surveying, reading = (min(_time(task, tmp_path) for _ in range(3)) for task in (survey_labels, read_plainly))
    assert surveying < 6 * reading


def _time(task: Callable[[Path], object], folder: Path) -> float:
    started = time.process_time()
    task(folder)
    return time.process_time() - started


def test_the_record_says_who_by_which_protocol_on_which_grid(coded_cine: Cine, tmp_path: Path) -> None:
    protocol = Protocol(papillaries="wall")
    save_protocol(tmp_path, protocol)
    label = accept_slices(tmp_path, coded_cine, [Accepted(1, 2, "corrected", paint(coded_cine))], who="A. B.")[0]
    (found,) = list_labels(tmp_path)
    assert found == label
    assert (found.who, found.protocol, found.shape, found.format_version) == ("A. B.", protocol, (10, 12), FORMAT)
    assert found.geometry is not None
    assert found.geometry.origin_mm == (0, 0, 16.0)


@pytest.mark.parametrize("text", ["", "[]", '{"papillaries": "both"}'])
def test_damaged_conventions_cost_no_label(coded_cine: Cine, tmp_path: Path, text: str) -> None:
    (tmp_path / "protocol.json").write_text(text)
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 1, 2, "corrected")
    assert label.protocol is None
    with pytest.raises(LibraryError, match=r"^protocol.json: .*; until they are saved anew"):
        load_protocol(tmp_path)


def test_labels_from_before_the_conventions_take_them_and_others_keep_theirs(coded_cine: Cine, tmp_path: Path) -> None:
    first = accept_slices(tmp_path, coded_cine, [Accepted(0, z, "corrected", paint(coded_cine)) for z in (0, 1)])
    old = first[0].model_dump(mode="json", exclude={"patient", "outside"}) | {"format_version": 2}
    (tmp_path / f"{first[0].stem}.json").write_text(json.dumps(old))
    save_protocol(tmp_path, Protocol())
    accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 2, "accepted")
    wall = Protocol(papillaries="wall")
    save_protocol(tmp_path, wall)
    assert adopt_protocol(tmp_path, wall) == 2
    assert [label.protocol for label in list_labels(tmp_path)] == [wall, wall, Protocol()]
    assert {label.format_version for label in list_labels(tmp_path)} == {FORMAT}
    assert len(load_all(tmp_path)) == 3
    assert adopt_protocol(tmp_path, wall) == 0


def test_the_model_s_answer_is_kept_beside_the_correction(coded_cine: Cine, tmp_path: Path) -> None:
    mask, before = paint(coded_cine), paint(coded_cine)
    before[2:4] = 0
    slices = [Accepted(0, 0, "corrected", mask, before), Accepted(0, 1, "accepted", mask)]
    corrected, accepted = accept_slices(tmp_path, coded_cine, slices)
    np.testing.assert_array_equal(load_before(tmp_path, corrected), before)
    np.testing.assert_array_equal(load_slice(tmp_path, corrected)[1], mask)
    assert load_before(tmp_path, accepted) is None
    again = accept_slice(tmp_path, coded_cine, mask, 0, 0, "corrected")
    assert load_before(tmp_path, again) is None
    remove_label(tmp_path, again)
    remove_label(tmp_path, accepted)
    assert list(tmp_path.iterdir()) == []


def test_a_model_s_answer_as_it_was_never_replaces_a_corrected_label(coded_cine: Cine, tmp_path: Path) -> None:
    mask, other = paint(coded_cine), np.zeros_like(paint(coded_cine))
    kept, first = (accept_slice(tmp_path, coded_cine, mask, 0, z, ("corrected", "accepted")[z]) for z in (0, 1))
    (taken,) = accept_slices(tmp_path, coded_cine, [Accepted(0, z, "accepted", other) for z in (0, 1)])
    assert (taken.slice, taken.counter) == (1, first.counter + 1)
    assert list_labels(tmp_path) == (kept, taken)
    np.testing.assert_array_equal(load_slice(tmp_path, kept)[1], mask)
    with pytest.raises(LibraryError, match="found a corrected label of slice 0 of frame 0"):
        accept_slice(tmp_path, coded_cine, other, 0, 0, "accepted")


def test_a_model_s_answer_of_another_shape_is_refused(coded_cine: Cine, tmp_path: Path) -> None:
    slices = [Accepted(0, 0, "corrected", paint(coded_cine), np.zeros((3, 3), np.uint8))]
    with pytest.raises(LibraryError, match=r"found a mask of \(3, 3\)"):
        accept_slices(tmp_path, coded_cine, slices)


def test_a_record_of_format_1_still_reads(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 1, 2, "corrected", model="cine")
    for kind in ("image", "mask"):
        find_file(tmp_path, label, kind).rename(tmp_path / f"{label.stem}.{kind}.nii.gz")
    kept = ("study", "frame", "slice", "slices", "state", "counter", "frame_mean", "frame_std", "model")
    old = {"format_version": 1, **{name: getattr(label, name) for name in kept}}
    (tmp_path / f"{label.stem}.json").write_text(json.dumps(old))
    (found,) = list_labels(tmp_path)
    assert (found.format_version, found.who, found.protocol, load_before(tmp_path, found)) == (1, "", None, None)
    np.testing.assert_array_equal(load_slice(tmp_path, found)[1], paint(coded_cine))
    new = accept_slice(tmp_path, coded_cine, paint(coded_cine), 1, 2, "corrected")
    assert (new.counter, len(list(tmp_path.iterdir()))) == (2, 3)


def test_a_record_of_format_2_reads_as_of_a_patient_of_its_own_between_base_and_apex(
    coded_cine: Cine, tmp_path: Path
) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 1, 2, "corrected")
    old = label.model_dump(mode="json", exclude={"patient", "outside"}) | {"format_version": 2}
    (tmp_path / f"{label.stem}.json").write_text(json.dumps(old))
    (found,) = list_labels(tmp_path)
    assert (found.format_version, found.patient, found.outside) == (2, None, False)
    mark_outside(tmp_path, label.study, {1: [2]})
    (found,) = list_labels(tmp_path)
    assert (found.format_version, found.outside) == (FORMAT, True)
    np.testing.assert_array_equal(load_slice(tmp_path, found)[1], paint(coded_cine))


def test_labels_beyond_base_and_apex_are_marked_and_may_come_back(coded_cine: Cine, tmp_path: Path) -> None:
    slices = [Accepted(t, z, "accepted", paint(coded_cine), outside=z == 3) for t in (0, 1) for z in range(4)]
    accept_slices(tmp_path, coded_cine, slices)
    other = accept_slice(
        tmp_path, replace(coded_cine, images=coded_cine.images + 1), paint(coded_cine), 0, 0, "accepted"
    )

    def list_marked() -> list[tuple[int, int]]:
        return [(label.frame, label.slice) for label in list_labels(tmp_path) if label.outside]

    assert list_marked() == [(0, 3), (1, 3)]
    assert mark_outside(tmp_path, hash_study(coded_cine), {0: [0, 1]}) == 3
    assert list_marked() == [(0, 0), (0, 1), (1, 3)]
    assert mark_outside(tmp_path, hash_study(coded_cine), {0: [0, 1], 2: [0]}) == 0
    assert mark_outside(tmp_path, hash_study(coded_cine), {0: [], 1: []}) == 3
    assert list_marked() == []
    assert other in list_labels(tmp_path)


def test_case_76_a_newer_record_is_read_and_its_library_not_written(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    path = tmp_path / f"{label.stem}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": FORMAT + 1, "mood": "good"}))
    (found,) = list_labels(tmp_path)
    np.testing.assert_array_equal(load_slice(tmp_path, found)[1], paint(coded_cine))
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(LibraryError, match=f"found format {FORMAT + 1}, expected at most {FORMAT}"):
        accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 1, "accepted")
    with pytest.raises(LibraryError, match=f"found format {FORMAT + 1}"):
        remove_label(tmp_path, found)
    with pytest.raises(LibraryError, match=f"found format {FORMAT + 1}"):
        adopt_protocol(tmp_path, Protocol())
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert survey_labels(tmp_path).is_newer


@pytest.mark.parametrize("field", ["study", "image"])
@pytest.mark.parametrize("value", ["../../outside", "/etc/passwd", "..\\outside"])
def test_case_77_a_path_in_a_record_is_refused(coded_cine: Cine, tmp_path: Path, field: str, value: str) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    path = tmp_path / f"{label.stem}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(DamagedRecord, match=field):
        list_labels(tmp_path)


@pytest.mark.parametrize("kind", ["image", "mask", "before", "record"])
def test_case_78_a_link_out_of_the_library_is_refused(coded_cine: Cine, tmp_path: Path, kind: str) -> None:
    folder, outside = tmp_path / "labels", tmp_path / "outside"
    mask = paint(coded_cine)
    (label,) = accept_slices(folder, coded_cine, [Accepted(0, 0, "corrected", mask, mask)])
    path = folder / f"{label.stem}.json" if kind == "record" else find_file(folder, label, kind)
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(LibraryError, match="a link out of the library"):
        load_all(folder)


def test_case_80_a_key_said_twice_is_refused(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    path = tmp_path / f"{label.stem}.json"
    path.write_text(path.read_text().replace('"frame": 0,', '"frame": 0, "frame": 1,'))
    with pytest.raises(DamagedRecord, match="the key 'frame' twice"):
        list_labels(tmp_path)


def test_case_80_one_place_has_one_record(coded_cine: Cine, tmp_path: Path) -> None:
    label = accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, 0, "accepted")
    copy = (tmp_path / f"{label.stem}.json").rename(tmp_path / f"{label.stem[:-3]}001.json")
    with pytest.raises(DamagedRecord, match=f"{copy.name}: found the record of {label.stem}"):
        list_labels(tmp_path)


@pytest.mark.parametrize("kind", ["image", "mask", "before"])
def test_fault_23_a_file_replaced_meanwhile_is_noticed(coded_cine: Cine, tmp_path: Path, kind: str) -> None:
    first, other = paint(coded_cine), paint(coded_cine) * 0
    one, two = accept_slices(
        tmp_path, coded_cine, [Accepted(0, 0, "corrected", first, first), Accepted(0, 1, "corrected", other, other)]
    )
    find_file(tmp_path, two, kind).replace(find_file(tmp_path, one, kind))
    with pytest.raises(LibraryError, match=f"{kind}-{one.counter}.nii.gz: found SHA-256"):
        load_all(tmp_path)


def test_fault_19_labels_are_ordered_by_counter_not_by_clock(
    coded_cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, z in enumerate((2, 0, 1)):
        monkeypatch.setattr("time.time", lambda day=day: 1.7e9 - 86_400 * day)
        accept_slice(tmp_path, coded_cine, paint(coded_cine), 0, z, "accepted")
    assert [label.slice for label in list_labels(tmp_path)] == [2, 0, 1]


class PowerCut(BaseException):
    """Ends the program at once."""


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [PowerCut(), OSError(28, "No space left on device")], ids=["killed", "disk full"])
def test_fault_2_3_4_6_a_save_that_ends_at_any_step_leaves_the_old_label_or_the_new(
    coded_cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    """Also fault 6: what was not yet fsynced is never what a record speaks of."""
    old, new = paint(coded_cine), np.flipud(paint(coded_cine))
    call, seen = getattr(os, step), set()
    for fatal in range(30):
        folder, calls = tmp_path / str(fatal), 0
        accept_slices(folder, coded_cine, [Accepted(0, 0, "corrected", old, old)])

        def fail(*args: object, fatal: int = fatal) -> object:
            nonlocal calls
            calls += 1
            if calls == fatal:
                raise failure
            return call(*args)

        with monkeypatch.context() as patch, contextlib.suppress(PowerCut, OSError):
            patch.setattr(os, step, fail)
            accept_slices(folder, coded_cine, [Accepted(0, 0, "corrected", new, new)])
        (label,) = list_labels(folder)
        mask = load_slice(folder, label)[1]
        np.testing.assert_array_equal(load_before(folder, label), mask)
        assert np.array_equal(mask, old) or np.array_equal(mask, new)
        seen.add(label.counter)
        if 0 < calls < fatal:
            break
    assert seen == {1, 2}
    assert fatal < 29, "every step was tried"
