"""The look at labels before training: each rule on shapes made for it, and on what experts drew."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.cine import Cine, Geometry, Source, hash_study
from glrp_napari.library import Label, Protocol, accept_slice, list_labels, save_protocol
from glrp_napari.library.label_files import find_file
from glrp_napari.lint import LabelFinding, LabelledSlice, conclude, examine_slice, find_unaccepted, lint_library
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask

PIXEL = (1.25, 1.25)
STUDIES = ("a" * 64, "b" * 64)


def make_label(level: int = 0, study: str = STUDIES[0], counter: int = 1, protocol: Protocol | None = None) -> Label:
    return Label(
        study=study,
        frame=2,
        slice=level,
        slices=9,
        state="corrected",
        counter=counter,
        frame_mean=0,
        frame_std=1,
        protocol=protocol,
    )


def draw_heart(side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of a section: bright cavities with two dark papillary muscles, a dark wall, grey around."""
    y, x = np.indices((side, side)) - side / 2
    radius = np.hypot(y, x)
    mask = np.zeros((side, side), np.uint8)
    mask[np.hypot(y, (x + 26) / 0.8) < 15] = 1
    mask[radius < 22] = 2
    mask[radius < 15] = 3
    image = np.array([120.0, 300.0, 80.0, 320.0])[mask]
    image[np.hypot(y - 7, x - 5) < 3.5] = image[np.hypot(y + 7, x - 5) < 3.5] = 80
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    return (image + noise).astype(np.float32), mask


def move_papillaries(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where((mask == 3) & (image < 200), np.uint8(2), mask)


def check(*slices: LabelledSlice) -> tuple[LabelFinding, ...]:
    return conclude([examine_slice(one) for one in slices])


def make_slice(mask: np.ndarray, image: np.ndarray, label: Label | None = None) -> LabelledSlice:
    return LabelledSlice(label or make_label(), image, mask, PIXEL)


def finish(steps: Generator[tuple[int, int], None, tuple[LabelFinding, ...]]) -> tuple[LabelFinding, ...]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_a_heart_as_it_should_be_has_no_findings() -> None:
    image, mask = draw_heart()
    assert check(*(make_slice(mask, image, make_label(z)) for z in range(5))) == ()


@pytest.mark.parametrize(
    ("rule", "where", "value"),
    [
        ("open ring", np.s_[40:56, 63:], 0),
        ("island", np.s_[5:12, 80:90], 3),
        ("hole", np.s_[45:50, 20:26], 0),
        ("LV outside", np.s_[40:56, 48:80], 3),
    ],
)
def test_odd_shapes_are_named_with_their_slice(rule: str, where: tuple[slice, slice], value: int) -> None:
    image, mask = draw_heart()
    mask[where] = value
    found = check(make_slice(mask, image, make_label(7)))
    assert rule in {finding.rule for finding in found}
    assert {(finding.label.frame, finding.label.slice) for finding in found} == {(2, 7)}


def test_a_structure_missing_between_labelled_slices_is_found_within_one_frame_only() -> None:
    image, mask = draw_heart()
    without_rv = np.where(mask == 1, np.uint8(0), mask)
    stack = [make_slice(m, image, make_label(z)) for z, m in ((1, mask), (4, without_rv), (6, mask))]
    (gap,) = check(*stack)
    assert (gap.rule, gap.label.slice) == ("gap between slices", 4)
    apart = [make_slice(m, image, make_label(z, STUDIES[z == 4])) for z, m in ((1, mask), (4, without_rv), (6, mask))]
    assert check(*apart) == ()


@pytest.mark.parametrize("pixels", [(0, 0), (1, 1), (7, 0), (0, -7), (-5, 5)])
@pytest.mark.parametrize("slices", [1, 3])
def test_a_mask_beside_its_heart_is_found(pixels: tuple[int, int], slices: int) -> None:
    image, mask = draw_heart()
    moved = np.roll(mask, pixels, (0, 1))
    found = check(*(make_slice(moved, image, make_label(z)) for z in range(slices)))
    far = np.hypot(*pixels) * 1.25
    assert [finding.rule for finding in found] == (["shifted"] if far > 4 else [])
    if found:
        assert f"about {far:.0f} mm" in found[0].text


def test_an_image_without_contrast_says_nothing_about_the_place() -> None:
    image, mask = draw_heart()
    noise = np.random.default_rng(1).normal(100, 10, image.shape).astype(np.float32)
    assert check(make_slice(np.roll(mask, 8, 0), noise)) == ()


def test_papillaries_drawn_in_two_ways_are_found_where_they_are_rarer() -> None:
    image, mask = draw_heart()
    as_wall = move_papillaries(image, mask)
    assert examine_slice(make_slice(mask, image)).papillaries == "cavity"
    assert examine_slice(make_slice(as_wall, image)).papillaries == "wall"
    one_way = [make_slice(as_wall, image, make_label(z)) for z in range(4)]
    assert "papillary muscles" not in {finding.rule for finding in check(*one_way)}
    mixed = one_way + [make_slice(mask, image, make_label(z, STUDIES[1])) for z in range(2)]
    found = [finding for finding in check(*mixed) if finding.rule == "papillary muscles"]
    assert {finding.label.study for finding in found} == {STUDIES[1]}
    assert len(found) == 2
    assert "as cavity here, as wall in 4 other labels" in found[0].text


def test_papillaries_drawn_against_the_agreed_way_are_found_however_many_they_are() -> None:
    image, mask = draw_heart()
    as_wall = move_papillaries(image, mask)
    stack = [make_slice(as_wall if z == 1 else mask, image, make_label(z)) for z in range(4)]
    evidence = [examine_slice(one) for one in stack]
    for agreed, levels in (("cavity", [1]), ("wall", [0, 2, 3])):
        found = [one for one in conclude(evidence, Protocol(papillaries=agreed)) if one.rule == "papillary muscles"]
        assert [finding.label.slice for finding in found] == levels
        assert f"by this library's conventions they count to the {agreed}" in found[0].text
    assert "papillary muscles" not in {one.rule for one in conclude(evidence)}, "one alone, and nothing agreed"
    without = np.where(mask == 3, np.float32(300), image)
    wall = Protocol(papillaries="wall")
    assert conclude([examine_slice(make_slice(mask, without, make_label(protocol=wall)))], wall) == ()


def test_the_library_s_own_conventions_are_what_its_labels_are_checked_by(tmp_path: Path) -> None:
    image, mask = draw_heart()
    save_protocol(tmp_path, Protocol(papillaries="wall"))
    cine = Cine(image[None, None], Geometry(spacing_mm=(8, *PIXEL)), Source("heart"))
    label = accept_slice(tmp_path, cine, mask, 0, 0, "corrected")
    (found,) = finish(lint_library(tmp_path, [label]))
    assert (found.label, found.rule) == (label, "papillary muscles")
    save_protocol(tmp_path, Protocol(papillaries="cavity"))
    assert finish(lint_library(tmp_path, [label])) == ()


def test_labels_under_other_conventions_than_the_latest_are_found() -> None:
    image, mask = draw_heart()
    old, new = Protocol(papillaries="wall"), Protocol()
    labels = [make_label(z, counter=z, protocol=p) for z, p in ((1, old), (2, new), (3, None), (4, new))]
    found = [one for one in check(*(make_slice(mask, image, label) for label in labels)) if one.label.slice != 3]
    assert [(one.rule, one.label.slice) for one in found] == [("conventions", 1)]


def test_labels_without_conventions_are_named_beside_labels_or_a_library_that_has_them() -> None:
    image, mask = draw_heart()
    without = [make_label(z, STUDIES[z == 6]) for z in (5, 1, 3, 6)]
    evidence = [examine_slice(make_slice(mask, image, label)) for label in without]
    agreed = examine_slice(make_slice(mask, image, make_label(7, protocol=Protocol())))
    assert conclude(evidence) == (), "nothing was agreed"
    for found in (conclude([*evidence, agreed]), conclude(evidence, Protocol())):
        assert [(one.rule, one.label.study, one.label.slice) for one in found] == [
            ("conventions", STUDIES[0], 1),
            ("conventions", STUDIES[1], 6),
        ]
        assert "accepted without conventions: slices 2, 4 and 6 of frame 3; " in found[0].text
        assert "accepted without conventions: slice 7 of frame 3; " in found[1].text
        assert "Save the conventions once more (menu Library) and answer Yes" in found[0].text
    assert conclude([agreed], Protocol()) == ()


def test_case_72_edited_slices_that_are_not_accepted_are_one_finding_at_the_first() -> None:
    assert find_unaccepted(STUDIES[0], []) == ()
    (found,) = find_unaccepted(STUDIES[0], [(3, 4), (0, 2), (0, 5)])
    assert (found.label.study, found.label.frame, found.label.slice) == (STUDIES[0], 0, 2)
    assert found.text == "3 edited slices are not accepted (K) and will not be learned from"
    assert find_unaccepted(STUDIES[0], [(0, 2)])[0].text.startswith("1 edited slice is not accepted")


def test_case_71_a_study_with_nothing_labelled_is_found() -> None:
    image, mask = draw_heart()
    empty = np.zeros_like(mask)
    stack = [make_slice(empty, image, make_label(z)) for z in range(3)]
    assert [finding.rule for finding in check(*stack)] == ["empty"]
    assert check(*stack, make_slice(mask, image, make_label(3))) == (), "slices beyond base and apex are empty"


def test_a_structure_that_no_label_of_a_study_shows_is_one_finding_of_it() -> None:
    image, mask = draw_heart()
    without = np.where(mask == 1, np.uint8(0), mask)
    stack = [make_slice(without, image, make_label(z)) for z in range(3)]
    others = [make_slice(np.where(mask == 3, mask, np.uint8(0)), image, make_label(z, STUDIES[1])) for z in (5, 6)]
    found = [one for one in check(*stack, *others) if one.rule == "never drawn"]
    none = "the model would learn that there is none"
    assert [(one.label.study, one.text) for one in found] == [
        (STUDIES[0], f"in none of the 3 labels of this study is a right ventricle drawn; {none}"),
        (STUDIES[1], f"in none of the 2 labels of this study is a right ventricle drawn; {none}"),
        (STUDIES[1], f"in none of the 2 labels of this study is a myocardium drawn; {none}"),
    ]
    assert check(stack[0]) == (), "a slice alone may lie beyond it"
    assert check(*stack, make_slice(mask, image, make_label(3))) == (), "at the apex there may be none"


def test_damaged_conventions_are_a_finding(tmp_path: Path) -> None:
    image, mask = draw_heart()
    cine = Cine(image[None, None], Geometry(spacing_mm=(8, *PIXEL)), Source("heart"))
    label = accept_slice(tmp_path, cine, mask, 0, 0, "corrected")
    (tmp_path / "protocol.json").write_bytes(b"")
    (found,) = finish(lint_library(tmp_path, [label]))
    assert (found.label, found.rule) == (label, "conventions")
    assert found.text.startswith("protocol.json: found no JSON")


def test_case_81_a_label_that_cannot_be_read_is_a_finding(coded_cine: Cine, tmp_path: Path) -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[2:8, 2:9], mask[4:6, 4:7] = 2, 3
    for z in (0, 1):
        accept_slice(tmp_path, coded_cine, mask, 0, z, "accepted")
    labels = list_labels(tmp_path)
    find_file(tmp_path, labels[0], "image").unlink()
    steps, seen = lint_library(tmp_path, labels), []
    try:
        while True:
            seen.append(next(steps))
    except StopIteration as end:
        (found,) = end.value
    assert seen == [(1, 2), (2, 2)]
    assert (found.rule, found.label) == ("unreadable", labels[0])
    assert "image-1.nii.gz" in found.text
    assert "opening its study again restores it" in found.text


@pytest.mark.realdata
def test_experts_drawings_are_left_alone_and_their_shifts_found(data_dir: Path) -> None:
    """All of ACDC (200 volumes, 1,902 slices): see training/experiments/lint_rates.py."""
    found, breaches, hits, slices = [], [], 0, 0
    paths = sorted((data_dir / "acdc").glob("*/*_gt.nii.gz"))[::20]
    for path in paths:
        cine = read_cine(path.with_name(path.name.replace("_gt", "")))
        mask, study, (_, y, x) = read_mask(path, cine)[0], hash_study(cine), cine.geometry.spacing_mm
        images = cine.images[0].astype(np.float32)
        stack = [LabelledSlice(make_label(z, study), images[z], mask[z], (y, x)) for z in range(len(mask))]
        moved = [LabelledSlice(s.label, s.image, np.roll(s.mask, round(8 / x), 1), s.pixel_mm) for s in stack]
        evidence = [examine_slice(one) for one in stack]
        found += conclude(evidence)
        breaches += [one for one in conclude(evidence, Protocol()) if one.rule == "papillary muscles"]
        hits += any(finding.rule == "shifted" for finding in check(*moved))
        slices += len(stack)
    assert len(found) <= 1 + slices // 100
    assert not breaches, "ACDC has papillary muscles in the cavity"
    assert hits >= len(paths) - 1
