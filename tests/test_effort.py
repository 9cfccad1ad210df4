"""The ledger of effort: what a crash leaves of it, what counts as work, and the curve from model to model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from glrp_napari.effort import LEDGER, ActiveTime, Effort, append_effort, read_efforts, sum_by_model

STUDY = "ab" * 32


def work(model: str = "base", study: str = STUDY, **figures: float) -> Effort:
    return Effort(study=study, model=model, **({"slices": 1, "changed": 90, "strokes": 4, "active_s": 60.0} | figures))


def test_records_come_back_in_order_and_hold_no_name_and_no_date(tmp_path: Path) -> None:
    written = [work(changed=changed) for changed in (90, 70, 0)]
    for effort in written:
        append_effort(tmp_path / "new", effort)
    assert read_efforts(tmp_path / "new") == tuple(written)
    fields = json.loads((tmp_path / "new" / LEDGER).read_text().splitlines()[0])
    assert set(fields) == {"format_version", "study", "model", "slices", "changed", "strokes", "active_s"}


def test_no_ledger_yet_is_an_empty_one(tmp_path: Path) -> None:
    assert read_efforts(tmp_path) == ()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_line_torn_by_a_crash_costs_itself_only(tmp_path: Path, kept: float) -> None:
    append_effort(tmp_path, work(changed=1))
    append_effort(tmp_path, work(changed=2))
    whole = (tmp_path / LEDGER).read_bytes()
    first = whole.index(b"\n") + 1
    (tmp_path / LEDGER).write_bytes(whole[: first + int((len(whole) - first) * kept)])
    append_effort(tmp_path, work(changed=3))
    assert [effort.changed for effort in read_efforts(tmp_path)] == [1, 3]


def test_two_programs_may_write_at_once(tmp_path: Path) -> None:
    script = f"""
import sys; from pathlib import Path; from glrp_napari.effort import *
for i in range(60): append_effort(Path({str(tmp_path)!r}), Effort(study={STUDY!r}, model=sys.argv[1], slices=1,
    changed=i, strokes=0, active_s=0))"""
    both = [subprocess.Popen([sys.executable, "-c", script, name]) for name in ("one", "other")]
    assert [process.wait() for process in both] == [0, 0]
    for name in ("one", "other"):
        assert [e.changed for e in read_efforts(tmp_path) if e.model == name] == list(range(60))


@pytest.mark.parametrize("wrong", [{"study": "a name"}, {"changed": -1}, {"active_s": float("nan")}])
def test_a_record_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        work(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("times", "seconds"),
    [([], 0), ([5], 0), ([0, 10, 40], 40), ([0, 10, 41, 45], 14), ([0, 3600], 0), ([10, 5, 8], 3)],
    ids=["nothing", "one sign", "30 s are work", "31 s are a pause", "an hour", "a clock set back"],
)
def test_pauses_are_no_work(times: list[float], seconds: float) -> None:
    active = ActiveTime()
    for now in times:
        active.touch(now)
    assert active.take() == seconds
    assert active.take() == 0


def test_the_curve_goes_from_model_to_model_in_the_order_of_use() -> None:
    other = "cd" * 32
    efforts = [work(), work(study=other, changed=30), work("mine-1", slices=3, changed=60, active_s=90)]
    efforts += [work(slices=0, changed=0, strokes=2), work("mine-2", slices=0)]
    base, mine = sum_by_model(efforts)
    assert (base.model, base.studies, base.slices, base.strokes) == ("base", 2, 2, 10)
    assert (base.changed_per_slice, base.minutes_per_slice) == (60, 1.5)
    assert (mine.model, mine.changed_per_slice, mine.minutes_per_slice) == ("mine-1", 20, 0.5)
