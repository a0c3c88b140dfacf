"""Speech: how it is drawn, how it moves a clip, and that the spotter takes it for what it is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from micromimic.core.canonical import apply_affine
from micromimic.face.units import UNIT_NAMES, unit_fields
from micromimic.motion.spotting.cells import spot
from micromimic.motion.spotting.config import SpeechConfig, SpottingConfig
from micromimic.motion.spotting.speech import (
    mouth_steps,
    quiet_rows,
    speech_mask,
    step_noise,
)
from micromimic.synthesis.clips import ClipConfig, plan_clip, planted_poses, render
from micromimic.synthesis.schedule import CLIP_KINDS, clip_of_kind
from micromimic.synthesis.speech import SPEECH_UNITS, SpeechSpan, Viseme, draw_speech
from micromimic.synthesis.truth import truth_of

from ..fields import sample_field
from .test_live_spotting import sightings, verdicts, watch
from .test_spotting import BROWS, MOUTH, plant, raised_cosine, still

CENTRES = np.array([
    (8.0, 20.3), (18.8, 20.3), (13.4, 25.6), (8.0, 14.9), (18.8, 14.9),
    (1.5, 6.6), (25.3, 6.6), (8.0, 2.4), (13.4, 2.4), (18.8, 2.4),
])  # fmt: skip
"""The middles of the ten cells, canonical units; a cell is 5.4 units wide."""
PIXELS = 450.0 / 28.0
DEAF = SpottingConfig(speech=SpeechConfig(turning=1e9))
"""The spotter without its ear for speech."""


def cell_motion(seed):
    """(n_units, 10, 2) what one pixel of each action unit does to the cells, canonical units."""
    grid = np.stack(np.meshgrid(*[np.linspace(-2.2, 2.2, 5)] * 2), -1).reshape(-1, 2)
    fields = unit_fields(np.random.default_rng(seed))
    sampled = sample_field(fields, (CENTRES[:, None] + grid).reshape(-1, 2))
    return sampled.reshape(len(fields), 2, 10, -1).mean(-1).transpose(0, 2, 1) / PIXELS


def talking(seed=0, seconds=40.0, rate=100.0, share=0.7):
    """A still face's measurements with speech on top, and what was said."""
    spans = draw_speech(seconds, share, (3.0, 8.0), 0.0, np.random.default_rng(seed))
    signals = still(seconds, rate, noise=0.004, seed=seed)
    weights = np.zeros((len(signals.times), len(UNIT_NAMES)))
    for span in spans:
        for i in np.flatnonzero((signals.times > span.start) & (signals.times < span.end)):
            weights[i] = span.weights(float(signals.times[i]))
    moved = np.tensordot(weights, cell_motion(seed), 1).astype(np.float32)
    return replace(signals, displacement=signals.displacement + moved), spans


def longest_pause(spans):
    gaps = [(b.start - a.end, a.end) for a, b in pairwise(spans)]
    length, start = max(gaps)
    return start, start + length


# ---------------------------------------------------------------------------- the spotter


@pytest.mark.parametrize("rate", [30.0, 100.0])
def test_a_talking_face_gives_hardly_any_event(rate):
    heard, unheard = 0, 0
    for seed in range(3):
        signals, _ = talking(seed, rate=rate)
        heard += len(spot(signals).events)
        unheard += len(spot(signals, DEAF).events)
    assert unheard >= 30, "this speech is no trial"
    assert heard <= 0.15 * unheard


def test_speech_is_gated_where_it_is_and_nowhere_else():
    signals, spans = talking(4)
    spotting = spot(signals).spotting
    spoken = np.any([(signals.times >= s.start) & (signals.times <= s.end) for s in spans], axis=0)
    gated = np.zeros(len(spoken), bool)
    for span in spotting.gated_spans:
        if span.cause == "speech":
            gated |= (signals.times >= span.start) & (signals.times <= span.end)
    assert gated[spoken].mean() > 0.9
    near = np.convolve(spoken, np.ones(161), "same") > 0
    assert not gated[~near].any(), "more than 0.8 s from any speech"
    assert spotting.gated_s["speech"] == pytest.approx(gated.mean() * 40.0, abs=0.1)
    total = spotting.observed_s + sum(spotting.gated_s.values())
    assert total == pytest.approx(40.0, abs=0.05)


@pytest.mark.parametrize("cells", [MOUTH, BROWS])
def test_a_movement_in_a_pause_is_found_and_one_in_a_phrase_is_held_back(cells):
    signals, spans = talking(7, share=0.5)
    start, end = longest_pause(spans)
    assert end - start > 2.2
    middle = (start + end) / 2
    event = middle - 0.12, middle, middle + 0.15
    before = {e.apex for e in spot(signals).events}
    found = {e.apex for e in spot(plant(signals, cells, *event, peak=0.06)).events}
    assert list(found - before) == pytest.approx([middle * 100.0], abs=3)
    assert before <= found
    gates = [gate for gate in spot(signals).spotting.gated_spans if gate.cause == "speech"]
    longest = max(gates, key=lambda gate: gate.end - gate.start)
    middle = (longest.start + longest.end) / 2
    spoken = spot(plant(signals, cells, middle - 0.12, middle, middle + 0.15, peak=0.15))
    assert not any(abs(e.apex - middle * 100.0) < 30 for e in spoken.events)
    assert any(r.reason == "speech" for r in spoken.spotting.rejected)


def test_the_noise_of_a_talking_face_is_learnt_in_its_pauses():
    """Else the mouth's noise would be its speech, and nothing small would be found in pauses."""
    signals, _ = talking(3, share=0.8)
    quiet = still(40.0, 100.0, noise=0.004, seed=3)
    talked = spot(signals).curve.score
    resting = np.nanmedian(spot(quiet).curve.score)
    silent = ~np.isnan(talked) & (talked < np.nanquantile(talked, 0.1))
    assert 0.3 * resting < np.median(talked[silent]) < 1.5 * resting
    everywhere = replace(SpottingConfig(), speech=SpeechConfig(least_quiet=1e9))
    assert np.nanmax(spot(signals, everywhere).curve.score) < 0.5 * np.nanmax(talked)


@pytest.mark.parametrize("peak", [0.04, 0.3, 2.0])
@pytest.mark.parametrize("duration", [0.1, 0.3, 0.6])
def test_one_movement_is_no_speech_whatever_its_size(peak, duration):
    signals = plant(still(12.0, 100.0), MOUTH, 6.0, 6.0 + duration / 2, 6.0 + duration, peak=peak)
    assert spot(signals).spotting.gated_s["speech"] == 0.0


def test_two_movements_and_a_longer_one_are_no_speech():
    signals = still(14.0, 100.0)
    for start in (4.0, 5.4, 6.8):
        signals = plant(signals, MOUTH, start, start + 0.15, start + 0.35)
    shape = np.clip((signals.times - 9) / 0.3, 0, 1) * np.clip((11 - signals.times) / 0.3, 0, 1)
    moved = signals.displacement.copy()
    moved[:, MOUTH, 1] += (0.5 * shape)[:, None].astype(np.float32)
    result = spot(replace(signals, displacement=moved))
    assert len(result.events) == 3
    assert result.spotting.gated_s["speech"] == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.002, 0.01, 0.05])
def test_noise_alone_is_no_speech(noise):
    for rate in (25.0, 200.0):
        result = spot(still(20.0, rate, noise=noise, seed=5))
        assert result.spotting.gated_s["speech"] == 0.0


def test_the_mask_is_what_a_slow_loop_finds():
    signals, _ = talking(9, seconds=8.0)
    config = SpeechConfig(margin=0.0)
    mouth, steps = mouth_steps(signals.displacement.astype(np.float64), 100.0)
    noise = step_noise([steps], config)
    mask = speech_mask(mouth, steps, noise, 100.0, config)
    half, lag = 60, 2  # 1.2 s, 0.025 s at 100 samples a second
    for i in range(half, len(mouth) - half, 7):
        window = mouth[max(0, i - half - lag) : i + half + lag + 1]
        reach = window.max(0) - window.min(0)
        path = np.zeros(6)
        for k in range(i - half, i + half + 1):
            step = (mouth[k] - mouth[k - lag]) / lag if k >= lag else np.zeros(6)
            length = np.linalg.norm(step) * 2.5
            if length > noise:
                path += np.abs(step) * np.sqrt(1 - (noise / length) ** 2)
        large = (reach > config.part * np.sqrt((reach**2).sum())) & (reach > config.least_range)
        assert mask[i] == any(path[large] > config.turning * reach[large])
    assert 0.1 < mask.mean() < 0.9


def test_the_mouths_noise_hears_its_pauses():
    rng = np.random.default_rng(0)
    rest, speech = rng.uniform(0.001, 0.002, 100), rng.uniform(0.05, 0.1, 900)
    config = SpeechConfig()
    assert 0.002 < step_noise([rest, speech], config) < 0.01
    assert step_noise([], config) == step_noise([np.zeros(50)], config) == config.least_noise


def test_without_enough_silence_all_is_noise():
    silent = np.zeros(1000, bool)
    silent[:150] = True
    assert quiet_rows([~silent], 100.0, SpeechConfig()).all()
    np.testing.assert_array_equal(
        quiet_rows([~silent[:400], ~silent[400:]], 100.0, SpeechConfig(least_quiet=1.0)), silent
    )
    assert len(quiet_rows([], 100.0, SpeechConfig())) == 0


def test_live_says_of_speech_what_the_recording_says():
    signals, spans = talking(7, seconds=24.0, rate=60.0, share=0.5)
    middle = np.mean(longest_pause(spans))
    signals = plant(signals, MOUTH, middle - 0.12, middle, middle + 0.15, peak=0.06)
    told = watch(signals)
    settled = verdicts(told)
    kept = [s.interval.apex for s in sightings(told) if settled[s.number].kept]
    offline = [float(signals.times[e.apex]) for e in spot(signals).events]
    assert kept == pytest.approx(offline, abs=0.05)
    assert any(apex == pytest.approx(middle, abs=0.05) for apex in kept)


# ---------------------------------------------------------------------------- what is drawn


def test_phrases_have_syllables_pauses_and_a_resting_mouth():
    spans = draw_speech(300.0, 0.7, (3.0, 8.0), 3.0, np.random.default_rng(1))
    assert len(spans) > 50
    assert spans[0].start >= 0.8 and spans[-1].end <= 299.2
    pauses = [b.start - a.end for a, b in pairwise(spans)]
    assert min(pauses) >= 0.25
    assert sum(s.end - s.start for s in spans) / 300.0 == pytest.approx(0.7, abs=0.1)
    rates = [
        sum(v.sound in "aeiou" for v in s.visemes[1:-1]) / (s.visemes[-2].time - s.visemes[1].time)
        for s in spans
        if len(s.visemes) > 16
    ]
    assert 2.5 < min(rates) < 3.6 and 5.0 < max(rates) < 7.0
    assert any(len(s.visemes) <= 6 for s in spans), "single words too"
    jaws = [max(s.weights(v.time)[UNIT_NAMES.index("26")] for v in s.visemes) for s in spans]
    assert max(jaws) <= 8.0 and 2.0 < np.median(jaws) < 6.0
    nods = [nod for span in spans for nod in span.nods]
    assert 20 < len(nods) < 200 and max(nod.down_px for nod in nods) <= 3.0
    assert spans[3].nod_px(spans[3].start - 1.0) == 0.0


def test_the_mouth_passes_smoothly_through_the_sounds_and_only_they_move():
    span = draw_speech(30.0, 0.7, (3.0, 8.0), 0.0, np.random.default_rng(2))[1]
    times = np.arange(span.start, span.end, 0.005)
    weights = np.stack([span.weights(float(t)) for t in times])
    assert weights.dtype == np.float32
    assert np.abs(np.diff(weights, axis=0)).max() < 0.6, "pixels in 5 ms"
    moving = {UNIT_NAMES[i].rstrip("LR") for i in np.flatnonzero(weights.any(0))}
    assert moving <= set(SPEECH_UNITS) and {"25", "26"} <= moving
    assert not span.weights(span.start).any() and not span.weights(span.end + 1.0).any()
    for viseme in span.visemes[1:-1]:
        said = span.weights(viseme.time)
        assert {name: float(said[UNIT_NAMES.index(name)]) for name, _ in viseme.shape} == (
            pytest.approx(dict(viseme.shape), rel=1e-5)
        )


def test_visemes_must_follow_each_other():
    with pytest.raises(ValueError, match="two or more visemes at rising times"):
        SpeechSpan((Viseme(1.0, "", ()), Viseme(1.0, "", ())))


def test_speech_changes_nothing_else_in_a_clip():
    silent, spoken = (plan_clip(ClipConfig(speech_share=share), 5) for share in (0.0, 0.6))
    assert silent.speech == () and len(spoken.speech) > 5
    assert [(m.onset, m.recipe.action_units) for m in silent.movements] == [
        (m.onset, m.recipe.action_units) for m in spoken.movements
    ]
    assert silent.blinks == spoken.blinks and silent.head_moves == spoken.head_moves


def test_every_kind_but_mixed_is_without_micro_expressions():
    plans = {kind: plan_clip(clip_of_kind(kind, seconds=60.0), 3) for kind in CLIP_KINDS}
    assert {kind for kind, plan in plans.items() if plan.micro} == {"mixed"}
    assert plans["mixed"].config == ClipConfig(seconds=60.0)
    assert {kind for kind, plan in plans.items() if plan.speech} == {"speaking"}
    assert {kind for kind, plan in plans.items() if plan.movements} == {"mixed", "macro"}
    assert {kind for kind, plan in plans.items() if not plan.blinks} == {"neutral"}
    depths = [blink.depth for blink in plans["blinking"].blinks]
    assert len(depths) == 30 and 0 < sum(depth < 1.0 for depth in depths) < 15
    assert min(depths) >= 0.4
    assert len(plans["macro"].movements) == 15
    truth = truth_of(plans["speaking"], "a.mp4")
    first = plans["speaking"].speech[0]
    assert truth.speech[0] == (round(first.start * 200), round(first.end * 200))
    assert clip_of_kind("macro", macros_per_minute=3.0).macros_per_minute == 3.0
    with pytest.raises(ValueError, match="expected a kind among mixed, neutral"):
        clip_of_kind("shouting")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"speech_share": 1.2}, "shares of speech"),
        ({"half_blinks": -0.1}, "half blinks from 0 to 1"),
        ({"speech_px": (5.0, 3.0)}, "least and largest drop"),
        ({"speech_px": (3.0, 30.0)}, "at most 9 px"),
    ],
)
def test_impossible_speech_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        ClipConfig(**change)


def calm(**settings):
    """A speaking face that does nothing else, small and quick to render."""
    return clip_of_kind(
        "speaking", seconds=8.0, fps=20.0, width=320, height=240, face_px=225.0, noise_sd=0.0,
        drift_px=0.0, drift_deg=0.0, yaw_px=0.0, sway_px=(0.0, 0.0), light_drift=0.0, flicker=0.0,
        blinks_per_minute=0.0, head_moves_per_minute=0.0, **settings,
    )  # fmt: skip


def test_a_speaking_clip_moves_the_mouth_and_leaves_the_forehead():
    plan = plan_clip(calm(nod_px=0.0), 2)
    frames = np.stack(list(render(plan))).astype(np.int16)
    times = np.arange(len(frames)) / 20.0
    # from phrase to phrase; the mouth's smallest shapes hardly change a picture
    spoken = np.array([plan.speech_weights(t).max() > 0.5 for t in times])
    to_image = planted_poses(plan)[0]
    changed = np.abs(frames - frames[0])

    def at(unit_xy):
        x, y = apply_affine(to_image, np.array(unit_xy)).round().astype(int)
        return changed[:, y - 8 : y + 9, x - 8 : x + 9].max(axis=(1, 2))

    mouth, forehead = at((13.4, 21.5)), at((13.4, -2.0))
    assert spoken.any() and not spoken.all()
    assert (mouth[spoken] > 8).mean() > 0.9
    assert mouth[[not plan.speech_weights(t).any() for t in times]].max() == 0
    assert forehead.max() == 0


def test_the_head_nods_while_speaking():
    plan = plan_clip(calm(nod_px=3.0), 2)
    nod = plan.speech[0].nods[0] if plan.speech[0].nods else plan.speech[1].nods[0]
    assert 0.45 <= nod.down_px <= 1.5, "on a face half as wide, half as far"
    lower = planted_poses(plan)[:, 1, 2] - planted_poses(plan_clip(calm(nod_px=0.0), 2))[:, 1, 2]
    times = np.arange(len(lower)) / 20.0
    during = (times > nod.start) & (times < nod.end)
    shape = raised_cosine(times, nod.start, (nod.start + nod.end) / 2, nod.end)
    np.testing.assert_allclose(lower[during], (nod.down_px * shape)[during], atol=1e-9)
    assert lower.min() == 0.0
