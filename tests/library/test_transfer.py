"""Labels in and out: whole or not at all, never over what is here, and nothing from outside is trusted."""

import json
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pytest

from glrp_napari.cine import Cine
from glrp_napari.comparison import PhaseSlices
from glrp_napari.library import (
    FORMAT,
    Accepted,
    Label,
    LibraryError,
    Protocol,
    accept_slice,
    accept_slices,
    list_labels,
    load_before,
    load_protocol,
    load_slice,
    save_protocol,
    transfer,
)
from glrp_napari.library.foreign import Pair, find_pairs, import_pairs
from glrp_napari.library.label_files import find_file
from glrp_napari.library.manifest import MANIFEST, load_manifest
from glrp_napari.library.phases import PHASES, keep_phases, load_phases
from glrp_napari.library.protocol import FILE
from glrp_napari.library.transfer import Import, export_labels, import_archive, import_labels, pack_labels
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.masks import write_images, write_mask


def finish(steps: Generator[tuple[int, int], None, Import]) -> Import:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def paint(cine: Cine, value: int = 3) -> np.ndarray:
    mask = np.zeros(cine.images.shape[2:], np.uint8)
    mask[2:8, 2:9] = value
    return mask


@pytest.fixture
def library(coded_cine: Cine, tmp_path: Path) -> Path:
    """Three labels, one of them corrected, under a protocol."""
    folder = tmp_path / "library"
    save_protocol(folder, Protocol(papillaries="wall"))
    slices = [Accepted(0, z, "accepted", paint(coded_cine)) for z in (1, 2)]
    slices.append(Accepted(2, 3, "corrected", paint(coded_cine), paint(coded_cine, 2)))
    accept_slices(folder, coded_cine, slices, model="cine", who="A. B.")
    return folder


def without_counter(label: Label) -> dict[str, Any]:
    return label.model_dump(exclude={"counter"})


@pytest.mark.parametrize("way", ["folder", "zip"])
def test_a_library_goes_out_and_comes_in_as_it_was(library: Path, tmp_path: Path, way: str) -> None:
    out, new = tmp_path / ("out.zip" if way == "zip" else "out"), tmp_path / "new"
    finish(pack_labels(library, out) if way == "zip" else export_labels(library, out))
    done = finish(import_archive(out, new) if way == "zip" else import_labels(out, new))
    assert (len(done.taken), done.known, done.refused) == (3, 0, ())
    assert load_protocol(new) == Protocol(papillaries="wall")
    for old, label in zip(list_labels(library), list_labels(new), strict=True):
        assert without_counter(old) == without_counter(label)
        for one, other in zip(load_slice(library, old)[:2], load_slice(new, label)[:2], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(load_before(library, old), load_before(new, label))


def test_an_import_never_replaces_what_was_accepted_here(library: Path, coded_cine: Cine, tmp_path: Path) -> None:
    here = tmp_path / "here"
    mine = accept_slice(here, coded_cine, paint(coded_cine, 1), 0, 1, "corrected")
    save_protocol(here, Protocol())
    done = finish(import_labels(library, here))
    assert (len(done.taken), done.known) == (2, 1)
    assert list_labels(here)[0] == mine
    assert [label.counter for label in list_labels(here)] == [1, 2, 3]
    assert load_protocol(here) == Protocol()
    assert finish(import_labels(library, here)).known == 3


def test_damaged_labels_are_refused_one_by_one(library: Path, tmp_path: Path) -> None:
    first, second, _third = list_labels(library)
    (library / f"{first.stem}.json").write_text("{")
    find_file(library, second, "mask").write_bytes(b"")
    done = finish(import_labels(library, tmp_path / "new"))
    assert len(done.taken) == 1
    assert [reason.split(":")[0] for reason in done.refused] == [
        f"{first.stem}.json",
        find_file(library, second, "mask").name,
    ]


def test_case_76_a_newer_label_is_not_taken(library: Path, tmp_path: Path) -> None:
    path = library / f"{list_labels(library)[0].stem}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": FORMAT + 1}))
    done = finish(import_labels(library, tmp_path / "new"))
    assert len(done.taken) == 2
    assert f"found format {FORMAT + 1}" in done.refused[0]


def test_an_export_goes_into_an_empty_folder_only(library: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    with pytest.raises(LibraryError, match="expected an empty or a new one"):
        finish(export_labels(library, tmp_path))


@pytest.mark.parametrize("way", ["folder", "zip"])
def test_case_81_what_is_whole_is_exported_and_the_rest_is_named(library: Path, tmp_path: Path, way: str) -> None:
    first, *_ = list_labels(library)
    find_file(library, first, "image").unlink()
    out, new = tmp_path / ("out.zip" if way == "zip" else "out"), tmp_path / "new"
    done = finish(pack_labels(library, out) if way == "zip" else export_labels(library, out))
    assert len(done.taken) == 2
    (reason,) = done.refused
    assert reason.startswith(find_file(library, first, "image").name)
    assert "opening its study again restores it" in reason
    taken = finish(import_archive(out, new) if way == "zip" else import_labels(out, new)).taken
    assert [without_counter(label) for label in taken] == [without_counter(label) for label in done.taken]
    assert {path.name.partition(".")[0] for path in new.iterdir()} == {*(one.stem for one in taken), "protocol"}


@pytest.fixture(params=["new", "empty"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder to export to."""
    if request.param == "empty":
        (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_an_export_without_a_whole_label_leaves_nothing_in_the_way_of_the_next(library: Path, target: Path) -> None:
    images = [find_file(library, label, "image") for label in list_labels(library)]
    for path in images:
        path.rename(path.with_suffix(".away"))
    before = sorted(target.parent.rglob("*"))
    with pytest.raises(LibraryError, match=r"library: found no whole label \(.*image-1.*\), expected one to export"):
        finish(export_labels(library, target))
    assert sorted(target.parent.rglob("*")) == before
    for path in images:
        path.with_suffix(".away").rename(path)
    assert len(finish(export_labels(library, target)).taken) == 3


def test_a_cancelled_export_leaves_nothing_in_the_way_of_the_next(library: Path, target: Path) -> None:
    before, steps = sorted(target.parent.rglob("*")), export_labels(library, target)
    next(steps)
    steps.close()
    assert sorted(target.parent.rglob("*")) == before
    assert len(finish(export_labels(library, target)).taken) == 3


@pytest.mark.parametrize(("owner", "step"), [(transfer, "save_record"), (Path, "rename")])
def test_fault_4_a_disk_full_in_an_export_leaves_nothing_in_the_way_of_the_next(
    library: Path, target: Path, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    before, call, calls = sorted(target.parent.rglob("*")), getattr(owner, step), []

    def fail(*args: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return call(*args)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, fail)
        with pytest.raises(OSError, match="No space left"):
            finish(export_labels(library, target))
    assert sorted(target.parent.rglob("*")) == before
    assert len(finish(export_labels(library, target)).taken) == 3


def test_what_a_killed_export_left_does_not_block_the_next(library: Path, tmp_path: Path) -> None:
    left = tmp_path / "out" / ".glrp-abc"
    left.mkdir(parents=True)
    (left / "protocol.json").write_text("{}")
    finish(export_labels(library, tmp_path / "out"))
    assert len(list_labels(tmp_path / "out")) == 3


ORDER = '{"format_version": 1, "patients": ["' + "a" * 64 + '"]}'


@pytest.mark.parametrize("way", ["folder", "zip"])
def test_the_order_of_patients_goes_along_and_never_replaces_another(library: Path, tmp_path: Path, way: str) -> None:
    (library / MANIFEST).write_text(ORDER)
    out, new, other = tmp_path / ("out.zip" if way == "zip" else "out"), tmp_path / "new", tmp_path / "other"
    other.mkdir()
    (other / MANIFEST).write_text("its own")
    finish(pack_labels(library, out) if way == "zip" else export_labels(library, out))
    for folder in (new, other):
        assert not finish(import_archive(out, folder) if way == "zip" else import_labels(out, folder)).refused
    assert (new / MANIFEST).read_text() == ORDER
    assert (other / MANIFEST).read_text() == "its own"


def test_a_cancelled_import_has_the_order_of_patients(library: Path, tmp_path: Path) -> None:
    (library / MANIFEST).write_text(ORDER)
    steps = import_labels(library, tmp_path / "new")
    next(steps)
    steps.close()
    assert len(list_labels(tmp_path / "new")) == 1
    assert (tmp_path / "new" / MANIFEST).read_text() == ORDER


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"patients": {}}', '{"patients": [1]}', '{"format_version": 2}', '{"patients": [], "x": 0}', "link"],
)
def test_a_damaged_order_of_patients_is_refused_and_the_labels_are_taken(
    library: Path, tmp_path: Path, text: str
) -> None:
    if text == "link":
        (tmp_path / "outside").write_text(ORDER)
        (library / MANIFEST).symlink_to(tmp_path / "outside")
    else:
        (library / MANIFEST).write_text(text)
    done = finish(import_labels(library, tmp_path / "new"))
    assert len(done.taken) == 3
    assert done.refused[0].startswith(f"{MANIFEST}: ")
    assert load_manifest(tmp_path / "new").patients == (), "what came can be read again"
    assert not (tmp_path / "new" / MANIFEST).exists()


def test_the_phases_of_studies_go_along_and_those_known_stay(library: Path, tmp_path: Path) -> None:
    def settle(ed: int) -> tuple[PhaseSlices, PhaseSlices]:
        return PhaseSlices(frame=ed, first=0, last=3), PhaseSlices(frame=ed + 1, first=1, last=3)

    keep_phases(library, {"a" * 64: settle(0), "b" * 64: settle(4)})
    keep_phases(tmp_path / "other", {"b" * 64: settle(8)})
    assert not finish(import_labels(library, tmp_path / "other")).refused
    assert load_phases(tmp_path / "other") == {"a" * 64: settle(0), "b" * 64: settle(8)}
    (library / PHASES).write_text("[]")
    done = finish(import_labels(library, tmp_path / "new"))
    assert len(done.taken) == 3
    assert done.refused[0].startswith(f"{PHASES}: found")


@pytest.mark.parametrize("text", ["", "[]", '{"papillaries": "both"}'])
def test_damaged_conventions_stay_behind_and_the_labels_go(library: Path, tmp_path: Path, text: str) -> None:
    (library / FILE).write_text(text)
    for done in (
        finish(import_labels(library, tmp_path / "new")),
        finish(export_labels(library, tmp_path / "out")),
        finish(pack_labels(library, tmp_path / "out.zip")),
    ):
        assert len(done.taken) == 3
        assert [one.startswith(f"{FILE}: ") for one in done.refused] == [True]
    assert not (tmp_path / "new" / FILE).exists()


def test_a_folder_without_labels_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="expected a label library"):
        finish(import_labels(tmp_path, tmp_path / "new"))


LINK = ZipInfo("abc-t000-z000.json")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/evil.json", "a/../../evil.json", "..\\evil.json", "C:/evil.json", LINK]
)
def test_case_79_an_archive_that_leads_elsewhere_is_refused_whole(
    library: Path, tmp_path: Path, name: str | ZipInfo
) -> None:
    archive, new = tmp_path / "labels.zip", tmp_path / "new"
    finish(pack_labels(library, archive))
    with ZipFile(archive, "a") as file:
        file.writestr(name, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(LibraryError, match=r"labels\.zip: found the (path|link)"):
        finish(import_archive(archive, new))
    assert sorted(tmp_path.rglob("*")) == before


def test_case_80_a_name_twice_in_an_archive_is_refused(library: Path, tmp_path: Path) -> None:
    archive = tmp_path / "labels.zip"
    finish(pack_labels(library, archive))
    with ZipFile(archive, "a") as file:
        file.writestr("elsewhere/protocol.json", "{}")
    with pytest.raises(LibraryError, match=r"'protocol.json' twice"):
        finish(import_archive(archive, tmp_path / "new"))


def test_a_bomb_in_an_archive_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_LARGEST_FILE", 1_000_000)
    archive = tmp_path / "labels.zip"
    with ZipFile(archive, "w", ZIP_DEFLATED) as file:
        file.writestr("a.nii.gz", bytes(1_000_001))
    with pytest.raises(LibraryError, match="1000001 bytes"):
        finish(import_archive(archive, tmp_path / "new"))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive"])
def test_a_file_that_is_no_archive_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "labels.zip").write_bytes(data)
    with pytest.raises(LibraryError, match=r"labels\.zip"):
        finish(import_archive(tmp_path / "labels.zip", tmp_path / "new"))


def write_pair(folder: Path, cine: Cine, mask: np.ndarray, name: str = "heart", ending: str = "_gt") -> Path:
    folder.mkdir(exist_ok=True)
    write_images(folder / f"{name}.nii.gz", cine.images, cine)
    write_mask(folder / f"{name}{ending}.nii.gz", mask, cine)
    return folder / f"{name}{ending}.nii.gz"


def test_masks_beside_their_images_are_found(coded_cine: Cine, tmp_path: Path) -> None:
    mask = np.zeros(coded_cine.images.shape, np.uint8)
    for name, ending in (("a", "_gt"), ("b", "-mask"), ("c", ".label")):
        write_pair(tmp_path / "in", coded_cine, mask, name, ending)
    write_mask(tmp_path / "in" / "alone_gt.nii.gz", mask, coded_cine)
    found = [(pair.image.name, pair.mask.name) for pair in find_pairs(tmp_path)]
    assert found == [
        ("a.nii.gz", "a_gt.nii.gz"),
        ("b.nii.gz", "b-mask.nii.gz"),
        ("c.nii.gz", "c.label.nii.gz"),
    ]


def test_foreign_labels_are_mapped_and_taken_where_something_is_labelled(coded_cine: Cine, tmp_path: Path) -> None:
    mask = np.zeros(coded_cine.images.shape, np.uint8)
    mask[1, 2], mask[2, 0] = paint(coded_cine, 1), paint(coded_cine, 2)
    path = write_pair(tmp_path / "in", coded_cine, mask)
    (pair,) = find_pairs(tmp_path / "in")
    assert pair.mask == path
    swapped = Pair(pair.image, pair.mask, {1: 3, 2: 2, 3: 1})
    done = finish(import_pairs([swapped], tmp_path / "new"))
    assert [(label.frame, label.slice, label.state) for label in done.taken] == [
        (1, 2, "corrected"),
        (2, 0, "corrected"),
    ]
    np.testing.assert_array_equal(load_slice(tmp_path / "new", done.taken[0])[1], paint(coded_cine, 3))
    assert finish(import_pairs([swapped], tmp_path / "new")).known == 2


def test_foreign_labels_carry_neither_this_library_s_conventions_nor_a_reader(coded_cine: Cine, tmp_path: Path) -> None:
    mask = np.zeros(coded_cine.images.shape, np.uint8)
    mask[1, 2] = paint(coded_cine, 3)
    write_pair(tmp_path / "in", coded_cine, mask)
    save_protocol(tmp_path / "new", Protocol())
    (label,) = finish(import_pairs(find_pairs(tmp_path / "in"), tmp_path / "new")).taken
    assert (label.protocol, label.who) == (None, "")


@pytest.mark.parametrize("wrong", ["case 68: labels", "case 66: grid", "case 71: empty"])
def test_a_pair_that_does_not_fit_is_refused_and_the_others_are_taken(
    coded_cine: Cine, tmp_path: Path, wrong: str
) -> None:
    mask = np.zeros(coded_cine.images.shape, np.uint8)
    mask[1, 2] = paint(coded_cine)
    write_pair(tmp_path / "in", coded_cine, mask, "good")
    other = coded_cine
    if wrong == "case 66: grid":
        other = Cine(coded_cine.images[:, :3], coded_cine.geometry, coded_cine.source)
    bad = write_pair(tmp_path / "in", other, mask[:, : other.images.shape[1]] * (wrong != "case 71: empty"), "bad")
    write_images(tmp_path / "in" / "bad.nii.gz", coded_cine.images + 1, coded_cine)
    pairs = find_pairs(tmp_path / "in")
    if wrong == "case 68: labels":
        pairs = tuple(Pair(pair.image, pair.mask, {7: 1} if pair.mask == bad else None) for pair in pairs)
    done = finish(import_pairs(pairs, tmp_path / "new"))
    assert len(done.taken) == 1
    assert done.refused[0].startswith("bad_gt.nii.gz: found")


@pytest.mark.realdata
def test_a_patient_of_acdc_is_imported(data_dir: Path, tmp_path: Path) -> None:
    pairs = find_pairs(data_dir / "acdc" / "patient001")
    assert len(pairs) == 2
    done = finish(import_pairs(pairs, tmp_path))
    truth = [read_mask(pair.mask, read_cine(pair.image)) for pair in pairs]
    assert len(done.taken) == sum(int(plane.any()) for mask in truth for plane in mask[0])
    assert not done.refused
