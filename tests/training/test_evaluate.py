import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from glrp_training.dataset import describe_acdc
from glrp_training.evaluate import (
    Score,
    assign_phases,
    measure_agreement,
    print_scores,
    save_scores,
    score_cine,
    score_frame,
    summarise,
)
from glrp_training.pairs import describe_missing, find_pairs, score_pairs

from glrp_napari import cli
from glrp_napari.cine import Cine, Geometry, Source
from glrp_napari.reading import read_cine
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.masks import write_mask

SPACING = (8.0, 1.5, 1.2)


def box(where: tuple[slice, ...], shape: tuple[int, ...] = (6, 30, 30), label: int = 3) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[where] = label
    return mask


LV = box((slice(1, 4), slice(5, 15), slice(5, 15)))


@pytest.mark.parametrize(
    ("prediction", "dice", "hd"),
    [
        (LV, 1.0, 0.0),
        (np.roll(LV, 4, 2), 0.6, 4.8),
        (np.roll(LV, 2, 1), 0.8, 3.0),
        (np.roll(LV, 1, 0), 2 / 3, 8.0),
        (np.zeros_like(LV), 0.0, None),
    ],
)
def test_moved_boxes_have_known_scores(prediction: np.ndarray, dice: float, hd: float | None) -> None:
    lv = score_frame("case", prediction, LV, SPACING)[0]
    assert lv.structure == "LV"
    assert lv.dice == pytest.approx(dice)
    assert lv.hd_mm == (hd if hd is None else pytest.approx(hd))
    assert lv.truth_ml == pytest.approx(3 * 100 * 8 * 1.5 * 1.2 / 1000)


EMPTY = np.zeros_like(LV)


def rate(patient: str, phase: str | None, structure: str = "LV", dice: float | None = 1.0, hd: float | None = 2.0,
         predicted: float = 100.0, truth: float = 100.0) -> Score:  # fmt: skip
    case = f"{patient} {phase}"
    return Score(case, patient, phase, structure, dice, hd, hd, hd, predicted, truth)  # type: ignore[arg-type]


def beat(patient: str, ed_ml: float, es_ml: float, error_ml: float = 0.0) -> list[Score]:
    """A patient whose LV is found `error_ml` too large in both phases."""
    return [rate(patient, phase, predicted=ml + error_ml, truth=ml) for phase, ml in (("ED", ed_ml), ("ES", es_ml))]


def write_case(folder: Path, name: str, mask: np.ndarray) -> Path:
    frames = mask[None] if mask.ndim == 3 else mask
    path = folder / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(path, frames, Cine(frames.astype(np.int16), Geometry(spacing_mm=SPACING), Source(name)))
    return path


def test_both_empty_is_skipped_and_one_empty_counts() -> None:
    scores = score_frame("a", LV, LV, SPACING) + score_frame("b", EMPTY, LV, SPACING)
    table = summarise(scores)
    assert (table["LV"]["dice"], table["LV"]["cases"], table["LV"]["undefined"], table["LV"]["hd_mm"]) == (0.5, 2, 1, 0)
    assert (table["RV"]["dice"], table["RV"]["cases"], table["RV"]["undefined"]) == (None, 0, 0)
    assert (table["mean"]["dice"], table["mean"]["undefined"]) == (0.5, 1)


def test_means_are_over_frames_and_spreads_over_patients() -> None:
    """Patients' own means are 0.8 and 0.6: their sample SD is 0.2 / √2, though no frame is near its patient's mean."""
    scores = [
        rate("a", "ED", dice=1.0),
        rate("a", "ES", dice=0.6),
        rate("b", "ED", dice=0.9),
        rate("b", "ES", dice=0.3),
    ]
    row = summarise(scores)["LV"]
    assert (row["dice"], row["dice_sd"]) == (pytest.approx(0.7), pytest.approx(0.2 / 2**0.5))
    assert (row["patients"], row["cases"], row["hd_mm_sd"]) == (2, 4, 0.0)
    assert summarise(scores[:2])["LV"]["dice_sd"] is None


def test_the_mean_of_structures_has_a_spread_too() -> None:
    """Patient a: LV 1.0, RV 0.8; patient b: LV 0.7, RV 0.5. Means of structures 0.85, 0.65; of patients 0.9, 0.6."""
    scores = [
        rate("a", "ED", "LV", 1.0),
        rate("a", "ED", "RV", 0.8),
        rate("b", "ED", "LV", 0.7),
        rate("b", "ED", "RV", 0.5),
    ]
    row = summarise(scores)["mean"]
    assert (row["dice"], row["dice_sd"]) == (pytest.approx(0.75), pytest.approx(0.3 / 2**0.5))
    assert (row["patients"], row["cases"]) == (2, 2)


@pytest.mark.parametrize(
    ("volumes", "phases"),
    [
        ([("a", 1, None, 150), ("a", 2, None, 60)], ["ED", "ES"]),
        ([("a", 1, None, 60), ("a", 2, None, 150), ("a", 3, None, 90)], ["ES", "ED", None]),
        ([("a", 1, "ES", 150), ("a", 2, None, 60)], ["ES", None]),
        ([("a", 1, None, 150), ("b", 1, None, 60)], [None, None]),
        ([("a", 1, None, 150), ("a", 2, None, 150)], [None, None]),
        ([("a", 1, None, 150), ("a", 2, None, 0)], [None, None]),
    ],
    ids=["two frames", "three frames", "one known", "two patients", "equal", "no LV"],
)
def test_phases_are_those_of_the_largest_and_smallest_lv(
    volumes: list[tuple[str, int, str | None, float]], phases: list[str | None]
) -> None:
    scores = [Score(str(t), p, phase, "LV", 1, 1, 1, 1, 0, ml) for p, t, phase, ml in volumes]  # type: ignore[arg-type]
    assert [score.phase for score in assign_phases(scores)] == phases


def test_agreement_is_over_patients_with_both_phases_once() -> None:
    scores = [
        *beat("a", 150, 60, 10), *beat("b", 100, 50, 0), rate("c", "ED", truth=999), *beat("d", 1, 1), *beat("d", 1, 1),
    ]  # fmt: skip
    found = {row.measure: row for row in measure_agreement(scores)}
    assert set(found) == {"LV EDV", "LV ESV", "LV EF"}
    assert (found["LV EDV"].n, found["LV EDV"].bias, found["LV EDV"].sd) == (2, 5, pytest.approx(50**0.5))
    assert found["LV EF"].bias == pytest.approx((56.25 - 60) / 2)


def test_what_both_lack_is_no_agreement() -> None:
    absent = [rate(p, phase, "RV", None, None, 0, 0) for p in "ab" for phase in ("ED", "ES")]
    assert {row.measure for row in measure_agreement([*beat("a", 150, 60), *beat("b", 100, 50), *absent])} == {
        "LV EDV", "LV ESV", "LV EF",
    }  # fmt: skip


def test_scores_and_agreement_are_saved_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = [*beat("a", 150, 60, 10), *beat("b", 100, 50, 0), rate("c", None, dice=0.0, hd=None)]
    save_scores(scores, tmp_path)
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert [(row["patient"], row["phase"]) for row in rows[1:]] == [("a", "ES"), ("b", "ED"), ("b", "ES"), ("c", "")]
    assert json.loads((tmp_path / "scores.json").read_text())["LV"]["undefined"] == 1
    agreement = json.loads((tmp_path / "agreement.json").read_text())
    assert agreement[0] | {"measure": "LV EDV", "n": 2, "bias": 5.0} == agreement[0]
    assert (tmp_path / "agreement.csv").read_text().splitlines()[0] == "measure,unit,n,bias,sd,lower,upper"

    print_scores(scores)
    printed = capsys.readouterr().out
    assert "over 3 patients" in printed
    assert next(line for line in printed.splitlines() if "LV " in line).split()[-1] == "1"
    assert "LV EF %" in printed
    print_scores(score_frame("case", LV, LV, SPACING))
    assert "limits" not in capsys.readouterr().out


def test_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"case: found a prediction of \(5, 30, 30\), expected"):
        score_frame("case", LV[1:], LV, SPACING)


def test_only_frames_with_truth_are_scored() -> None:
    truth = np.stack([LV, np.zeros_like(LV), LV])
    scores = score_cine("x", truth, truth, SPACING)
    assert {score.case for score in scores} == {"x frame 0", "x frame 2"}
    assert {score.patient for score in scores} == {"x"}


def test_a_single_frame_is_scored_even_if_its_truth_is_empty() -> None:
    lv = score_cine("x", LV[None], EMPTY[None], SPACING)[0]
    assert (lv.case, lv.dice, lv.hd_mm) == ("x", 0.0, None)


def test_folders_are_paired_by_case(tmp_path: Path) -> None:
    """Two frames of a patient in a folder of its own, and one in no folder; each side has labels of its own."""
    small = LV.copy()
    small[3] = 0
    for name, mask in (("p1/p1_frame01", LV), ("p1/p1_frame09", small), ("q_ED", LV)):
        write_case(tmp_path / "truth", f"{name}_gt", np.where(mask == 3, 1, 0).astype(np.uint8))
        write_case(tmp_path / "masks", f"{Path(name).name}_mask", np.where(mask == 3, 2, 0).astype(np.uint8))
    scores = score_pairs(find_pairs(tmp_path / "masks", tmp_path / "truth"), {1: 3}, {2: 3})
    lv = [score for score in scores if score.structure == "LV"]
    assert [(s.case, s.patient, s.phase, s.dice) for s in lv] == [
        ("p1_frame01", "p1", "ED", 1.0),
        ("p1_frame09", "p1", "ES", 1.0),
        ("q_ED", "q", None, 1.0),
    ]


def test_a_truth_without_prediction_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for case in "abc":
        write_case(tmp_path / "truth", f"{case}_gt", LV)
    write_case(tmp_path / "masks", "a_mask", LV)
    arguments = ["glrp", "evaluate", str(tmp_path / "masks"), str(tmp_path / "truth"), "--label-map", "3=LV"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "found no prediction for 2 cases: b, c, expected all (or --allow-missing)" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*arguments, "--allow-missing"])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    printed = capsys.readouterr().out
    assert "left out: no prediction for 2 cases: b, c" in printed
    assert "1.000" in printed


def test_many_missing_cases_are_not_all_listed() -> None:
    text = describe_missing(tuple(f"case{n}" for n in range(13)))
    assert text == f"no prediction for 13 cases: {', '.join(f'case{n}' for n in range(10))} and 3 more"


def test_two_truths_of_one_name_are_refused(tmp_path: Path) -> None:
    for patient in ("a", "b"):
        write_case(tmp_path / "truth", f"{patient}/cine_gt", LV)
    write_case(tmp_path / "masks", "cine_mask", LV)
    with pytest.raises(ValueError, match=r"a/cine_gt.* and .*b/cine_gt.*, expected one truth named cine_gt"):
        find_pairs(tmp_path / "masks", tmp_path / "truth")


def load_independent_scorer(data_dir: Path) -> ModuleType:
    script = data_dir.parent / "score.py"
    if not script.exists():
        pytest.skip(f"no independent scorer at {script}")
    spec = importlib.util.spec_from_file_location("score", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.realdata
def test_scores_and_means_equal_an_independent_implementation(data_dir: Path, tmp_path: Path) -> None:
    """ED of three patients against the mask of ES and back, one without its RV, by score.py beside the data."""
    other = load_independent_scorer(data_dir)
    masks, rows = tmp_path / "masks", tmp_path / "rows.json"
    masks.mkdir()
    for patient, ed, es in (("patient001", 1, 12), ("patient040", 1, 13), ("patient090", 4, 11)):
        for frame, wrong in ((ed, es), (es, ed)):
            source = data_dir / "acdc" / patient / f"{patient}_frame{wrong:02d}_gt.nii.gz"
            labels, _ = other.load(source)
            labels[(labels == 1) & (patient == "patient040") & (frame == ed)] = 0
            other.save_like(source, labels, masks / f"{patient}_frame{frame:02d}_mask.nii.gz")
    command = [sys.executable, str(data_dir.parent / "score.py"), str(masks), str(data_dir), "--json", str(rows)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    pairs = find_pairs(masks, data_dir / "acdc")
    ours = score_pairs(pairs)
    theirs = {(row["case"], row["structure"]): row for row in json.loads(rows.read_text())}
    assert len(ours) == len(theirs) == 18
    assert len(pairs.missing) == 194
    for score in ours:
        row = theirs[score.case, score.structure]
        for value, known in zip(
            (score.dice, score.hd_mm, score.hd95_mm, score.predicted_ml, score.truth_ml),
            (row["dice"], row["hd"], row["hd95"], row["ml"], row["truth_ml"]),
            strict=True,
        ):
            assert value == (known if known is None else pytest.approx(known, abs=1e-6, rel=1e-6))

    table = summarise(ours)
    assert table["RV"]["undefined"] == 1
    for name, line in zip(("LV", "MYO", "RV", "mean"), printed, strict=True):
        row = table[name]
        shown = f"HD {row['hd_mm']:.2f} mm HD95 {row['hd95_mm']:.2f} mm"
        assert f"Dice {row['dice']:.4f}" in line
        assert shown in line
    for name in ("LV", "MYO", "RV"):
        known = [row for (_, structure), row in theirs.items() if structure == name]
        for key, measure in (("dice", "dice"), ("hd", "hd_mm"), ("hd95", "hd95_mm")):
            mean = np.mean([row[key] for row in known if row[key] is not None])
            assert table[name][measure] == pytest.approx(mean, abs=1e-6)


@pytest.mark.realdata
def test_found_phases_are_those_of_the_data_set(data_dir: Path) -> None:
    """What the truth's volumes say of ten patients is what their Info.cfg says."""
    known = {
        item.image.name.removesuffix(".nii.gz"): (item.patient, item.phase)
        for item in describe_acdc(data_dir / "acdc", data_dir / "acdc_split.json").select("val")
    }
    scores = []
    for case, (patient, _) in known.items():
        path = data_dir / "acdc" / patient / f"{case}_gt.nii.gz"
        cine = read_cine(path)
        truth = read_mask(path, cine)
        scores += score_cine(case, truth, truth, cine.geometry.spacing_mm, patient)
    found = {score.case: (score.patient, score.phase) for score in assign_phases(scores)}
    assert len(found) == 20
    assert found == known
    assert {(row.n, row.bias, row.upper) for row in measure_agreement(assign_phases(scores))} == {(10, 0.0, 0.0)}
