from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from micromimic.analysis.indicators import balance_interval, indicators, poisson_interval
from micromimic.core.results import Spotting
from micromimic.core.types import Amplitude, DetectionLimits, MotionCurve, SourceInfo

from ..sample_analysis import (
    empty_analysis,
    sample_analysis,
    sample_curve,
    sample_events,
    sample_spotting,
    sample_track,
)

SOURCE = SourceInfo("a.mp4", 200.0, 12000, 60.0, 640, 480)


@pytest.mark.parametrize("count", [0, 1, 2, 6, 40])
def test_poisson_interval_inverts_the_distribution(count):
    low, high = poisson_interval(count)
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025, abs=1e-9)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(0.025, abs=1e-9)
    else:
        assert low == 0


def test_poisson_interval_covers_at_least_95_per_cent():
    rng = np.random.default_rng(3)
    counts = rng.poisson(4.0, 4000)
    inside = [lo <= 4.0 <= hi for lo, hi in map(poisson_interval, counts.tolist())]
    assert np.mean(inside) > 0.945


def test_poisson_interval_refuses_a_negative_count():
    with pytest.raises(ValueError, match="expected a count >= 0, got -1"):
        poisson_interval(-1)


def test_balance_interval_is_jeffreys_by_numerical_integration():
    p = np.linspace(0, 1, 400_001)[1:-1]
    density = p ** (5 - 0.5) * (1 - p) ** (2 - 0.5)
    cdf = np.cumsum(density) / density.sum()
    expected = [2 * p[np.searchsorted(cdf, q)] - 1 for q in (0.025, 0.975)]
    assert balance_interval(5, 2) == pytest.approx(expected, abs=1e-4)
    low, high = balance_interval(2, 5)
    assert (-high, -low) == pytest.approx(expected, abs=1e-4)
    assert balance_interval(0, 4)[0] == -1.0
    assert balance_interval(4, 0)[1] == 1.0


def test_rates_and_balance_of_the_sample():
    found = sample_analysis(evidence=False).indicators
    rate = found["candidates_per_minute"]
    low, high = poisson_interval(6)
    assert rate["value"] == pytest.approx(6 * 60 / 51.3)
    assert (rate["low"], rate["high"]) == pytest.approx((low * 60 / 51.3, high * 60 / 51.3))
    # 2 positive; 3 negative of which one uncertain; 1 surprise: (2 - 2) / 4
    assert found["valence_balance"]["value"] == 0
    assert found["valence_balance"]["unit"] == "\N{MINUS SIGN}1 all negative to 1 all positive"
    left_out = "1 surprise and 1 of which the model is unsure left out"
    assert left_out in found["valence_balance"]["caveat"]
    blinks = found["blinks_per_minute"]
    assert blinks["value"] == pytest.approx(8 * 60 / 57.6, rel=1e-3)
    assert found["rejected"]["value"] == {
        "blink": 8, "head": 2, "light": 1, "macro": 1, "short": 1,
    }  # fmt: skip
    assert found["gated_s"]["value"]["head"] == 1.5
    assert found["found_ratio"]["value"] == pytest.approx(0.96)


def test_every_entry_has_one_shape_and_strict_json():
    for analysis in (sample_analysis(evidence=False), empty_analysis()):
        found = json.loads(json.dumps(analysis.indicators, allow_nan=False))
        text = " ".join(found.pop("cannot_tell"))
        assert "Not a lie detector" in text
        assert "5(1)(f)" in text
        for name, entry in found.items():
            assert set(entry) == {"label", "value", "low", "high", "unit", "caveat", "events"}, name
            assert entry["caveat"]
            if entry["low"] is not None:
                assert entry["low"] <= entry["value"] <= entry["high"], name
        assert not any("stress" in name or "lie" in name for name in found)


def test_nothing_observed_gives_unknown_values_not_zeros():
    found = empty_analysis().indicators
    assert found["candidates_per_minute"]["value"] is None
    assert "No time was observed" in found["candidates_per_minute"]["caveat"]
    assert found["valence_balance"]["value"] is None


def test_no_event_in_observed_time_has_an_upper_limit():
    curve = sample_curve()
    spotting = Spotting(5.0, (), (), {}, 60.0)
    rate = indicators((), spotting, curve, SOURCE, sample_track(curve))["candidates_per_minute"]
    assert rate["value"] == 0
    assert rate["low"] == 0
    assert rate["high"] == pytest.approx(3.689, abs=1e-3)


def _movement(curve: MotionCurve, seed: int = 0):
    spotting = replace(sample_spotting(), blinks=())
    found = indicators((), spotting, curve, SOURCE, sample_track(curve), seed=seed)
    return found["movement_vs_baseline"]


def test_movement_against_baseline_follows_a_planted_change():
    rng = np.random.default_rng(0)
    times = np.arange(12000) / 200
    cells = rng.normal(0, 0.01, (12000, 10))
    still = _movement(MotionCurve(times, np.ones(12000), cells))
    assert still["low"] < 1 < still["high"]
    cells[times > 40] *= 1.8
    louder = _movement(MotionCurve(times, np.ones(12000), cells))
    assert louder["value"] == pytest.approx(1.8, rel=0.05)
    assert louder["low"] > 1.5
    assert _movement(MotionCurve(times, np.ones(12000), cells)) == louder


def test_movement_needs_enough_time_and_ignores_blinks():
    times = np.arange(2000) / 200
    short = MotionCurve(times, np.ones(2000), np.ones((2000, 10)))
    found = indicators((), sample_spotting(), short, SOURCE, sample_track(short))
    assert found["movement_vs_baseline"]["value"] is None
    curve = sample_curve()
    with_blinks = indicators((), sample_spotting(), curve, SOURCE, sample_track(curve))
    cells = np.array(curve.cells)
    for blink in sample_spotting().blinks:
        cells[(curve.times >= blink.start) & (curve.times <= blink.end)] += 50
    louder = MotionCurve(curve.times, curve.score, cells)
    after = indicators((), sample_spotting(), louder, SOURCE, sample_track(louder))
    assert after["movement_vs_baseline"] == with_blinks["movement_vs_baseline"]


def test_noise_is_in_image_pixels():
    rng = np.random.default_rng(1)
    times = np.arange(4000) / 200
    curve = MotionCurve(times, np.ones(4000), rng.normal(0, 0.02, (4000, 10)))
    found = indicators((), sample_spotting(), curve, SOURCE, sample_track(curve))
    assert found["noise_px"]["value"] == pytest.approx(0.2 * 0.6745, rel=0.03)  # 10 px a unit


def test_no_frames_at_all():
    curve = MotionCurve(np.zeros(0), np.zeros(0), np.zeros((0, 10)))
    found = indicators(
        sample_events(evidence=False), sample_spotting(0.0), curve, SOURCE, sample_track(curve)
    )
    json.dumps(found, allow_nan=False)
    assert found["found_ratio"]["value"] is None
    assert found["blinks_per_minute"]["value"] is None


def test_the_rate_of_a_stated_size_is_over_the_time_that_shows_it():
    """Ten minutes, of which two show movements of .3 units; two of three events are so large."""
    times = np.arange(0, 600, 0.04)
    brows, mouth = np.full(len(times), 0.5), np.full(len(times), np.inf)
    brows[(times >= 60) & (times < 120)] = 0.25
    mouth[(times >= 300) & (times < 360)] = 0.3
    limits = DetectionLimits(times, {"forehead": brows, "mouth": mouth})
    sizes = (0.35, 0.29, 0.3)
    events = [
        replace(event, amplitude=Amplitude(size, 0.05, 10 * size))
        for event, size in zip(sample_events(evidence=False)[:3], sizes, strict=True)
    ]
    curve = sample_curve()
    entry = indicators(
        events, sample_spotting(), curve, SOURCE, sample_track(curve), limits=limits
    )["stated_size_per_minute"]
    low, high = poisson_interval(2)
    assert entry["value"] == pytest.approx(1.0, rel=1e-3)
    assert (entry["low"], entry["high"]) == pytest.approx((low / 2, high / 2), rel=1e-3)
    assert "2 in 120.0 s" in entry["caveat"]
    unknown = indicators((), sample_spotting(), curve, SOURCE, sample_track(curve))
    assert "stated_size_per_minute" not in unknown
