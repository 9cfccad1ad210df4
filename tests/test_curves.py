"""Volume–time curves against analytic ones, and what smoothing does to them."""

import numpy as np
import pytest

from glrp_napari.curves import MIN_FRAMES, fit_curve
from glrp_napari.phantom import Anatomy, contract

RR_MS = 800.0


def sample_times(count: int) -> list[float]:
    return [RR_MS * t / count for t in range(count)]


def swing(times: list[float], harmonic: int = 1) -> list[float]:
    """100 ml ± 40 ml; its rate reaches 40 · 2π/0.8 s · harmonic = 314 ml/s · harmonic."""
    return [100 + 40 * float(np.cos(2 * np.pi * harmonic * t / RR_MS)) for t in times]


@pytest.mark.parametrize("missing", [(), (3, 4, 11)])
@pytest.mark.parametrize("rr_ms", [None, RR_MS])
def test_a_cosine_is_met_exactly(missing: tuple[int, ...], rr_ms: float | None) -> None:
    times = sample_times(20)
    volumes = [None if t in missing else v for t, v in enumerate(swing(times))]
    curve = fit_curve(volumes, times, rr_ms)
    rate = 40 * 2 * np.pi / 0.8
    assert (curve.peak_ejection_ml_s, curve.peak_filling_ml_s) == pytest.approx((rate, rate), rel=1e-4)
    assert (curve.peak_ejection_ms, curve.peak_filling_ms) == pytest.approx((200, 600), abs=2)
    assert curve.smooth_ml == pytest.approx(swing(list(curve.smooth_ms)))
    assert curve.measured_ml == tuple(volumes)
    assert (curve.rr_ms, curve.harmonics) == (RR_MS, 4)


def test_times_may_start_late_and_be_uneven() -> None:
    times = sorted(np.random.default_rng(0).uniform(30, 820, 22).tolist())
    curve = fit_curve(swing(times), times, RR_MS)
    assert curve.peak_ejection_ml_s == pytest.approx(314.2, rel=1e-3)
    assert curve.smooth_ms[0] == times[0]


def test_of_a_part_of_the_cycle_only_that_part_is_drawn_and_searched() -> None:
    """Of 20 frames the last five are not imaged: the steepest filling lies at 600 ms, where the frames just end."""
    times = sample_times(20)[:15]
    curve = fit_curve(swing(times), times, RR_MS)
    assert curve.smooth_ml == pytest.approx(swing(list(curve.smooth_ms)), abs=0.5)
    assert curve.smooth_ms[-1] < times[-1] + 40
    assert (curve.peak_ejection_ml_s, curve.rr_ms) == (pytest.approx(314.2, rel=1e-3), RR_MS)


@pytest.mark.parametrize(("harmonic", "kept"), [(1, 1.0), (4, 1.0), (5, 0.0), (9, 0.0)])
def test_harmonics_above_the_fourth_are_dropped(harmonic: int, kept: float) -> None:
    times = sample_times(25)
    curve = fit_curve(swing(times, harmonic), times, RR_MS)
    assert np.ptp(curve.smooth_ml) == pytest.approx(80 * kept, abs=0.1)


@pytest.mark.parametrize("heart_rate", [50.0, 68.0, 90.0])
def test_rates_of_a_heart_survive_smoothing_better_than_noise(heart_rate: float) -> None:
    """The truth has corners and a kick; unsmoothed differences of noisy volumes are much too high."""
    anatomy = Anatomy(heart_rate_bpm=heart_rate)
    seconds = 60 / heart_rate

    def volume(part: float) -> float:
        return anatomy.lv_edv_ml * (1 - anatomy.lv_ef * contract(anatomy, part % 1))

    fine = np.gradient([volume(part) for part in np.linspace(0, 1, 4001)], seconds / 4000)
    truth = np.array([-fine.min(), fine.max()])
    times = [1000 * seconds * t / 30 for t in range(30)]
    clean = np.array([volume(t / 30) for t in range(30)])
    curve = fit_curve(clean.tolist(), times, 1000 * seconds)
    assert [curve.peak_ejection_ml_s, curve.peak_filling_ml_s] == pytest.approx(truth, rel=0.08)
    noise = np.random.default_rng(1).normal(0, 2, (40, 30))
    curves = [fit_curve((clean + n).tolist(), times, 1000 * seconds) for n in noise]
    smooth = np.array([[c.peak_ejection_ml_s, c.peak_filling_ml_s] for c in curves]) / truth - 1
    raw = np.diff(clean + noise, append=(clean + noise)[:, :1]) * 30 / seconds
    rough = np.stack([-raw.min(1), raw.max(1)], 1) / truth - 1
    assert np.sqrt((smooth**2).mean()) < 0.1
    assert np.sqrt((smooth**2).mean()) < 0.6 * np.sqrt((rough**2).mean())


@pytest.mark.parametrize(
    ("volumes", "times", "rr_ms", "message"),
    [
        ([1.0] * 9, sample_times(8), None, "9 volumes for 8 frame times"),
        ([1.0] * 3, sample_times(3), None, f"3 measured frames: a volume–time curve needs {MIN_FRAMES}"),
        ([1.0] * 9 + [None] * 11, [5.0] * 20, None, "frame times rise"),
        ([1.0] * 20, sample_times(20), 700.0, "lasts 700.0 ms"),
        ([], [], None, "0 measured frames"),
    ],
)
def test_what_is_no_curve_is_refused(
    volumes: list[float | None], times: list[float], rr_ms: float | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_curve(volumes, times, rr_ms)
