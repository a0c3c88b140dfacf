from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from skimage import data

from micromimic.analysis.quality import blockiness, flicker, input_warnings


def check(times=None, **changes):
    """Codes and messages for a good recording with some things changed."""
    t = np.arange(6000) / 200 if times is None else np.asarray(times, float)
    n = len(t)
    given = {
        "times": t,
        "width": 640,
        "height": 480,
        "interocular_px": np.full(n, 120.0),
        "brightness": 120 + np.random.default_rng(0).normal(0, 0.05, n),
        "head_speed": np.full(n, 0.02),
        "blockiness": 0.02,
        "grey_levels": 120.0,
        "damage": (),
        "notices": (),
        "found_ratio": 1.0,
        "others_seen": 0,
        "gated_s": {"blink": 1.0},
        "observed_s": 29.0,
    }
    given.update(changes)
    found = input_warnings(**given)
    for warning in found:
        assert "\n" not in warning.message
        assert "expected " not in warning.message and "_" not in warning.message
        assert warning.message.endswith(".") and warning.message.count(". ") in (1, 2)
    return {w.code: w.message for w in found}


def test_a_good_recording_has_no_warning():
    assert check() == {}
    assert check(np.arange(3000) / 100) == {}


def test_frame_rate_says_what_it_resolves():
    assert "movements shorter than 0.13 s" in check(np.arange(900) / 30)["frame_rate"]
    slow = check(np.arange(300) / 10)["frame_rate"]
    assert "0.40 s" in slow
    assert "one of 1/25 s falls between two frames and cannot be seen" in slow
    assert "cannot be seen" not in check(np.arange(900) / 30)["frame_rate"]
    assert "none can be resolved" in check(np.arange(150) / 5)["frame_rate"]
    doubled = check(np.arange(3000) / 100, picture_share=0.3)["frame_rate"]
    assert "Only 30.0 new pictures a second" in doubled
    assert "movements shorter than 0.13 s" in doubled


def test_millisecond_timestamps_are_not_variable():
    for fps in (120, 200, 240, 300):
        assert check(np.round(np.arange(30 * fps) / fps, 3)) == {}, fps


def test_variable_rate_and_dropped_frames_are_told_apart():
    rng = np.random.default_rng(1)
    times = np.arange(6000) / 200
    kept = np.ones(6000, bool)
    kept[[500, 501, 502, 2000, 4000]] = False
    dropped = check(times[kept])
    assert set(dropped) == {"dropped_frames"}
    assert "3 gaps with about 5 frames missing, the longest 20 ms" in dropped["dropped_frames"]
    uneven = check(np.cumsum(rng.uniform(0.004, 0.009, 4000)))
    assert "variable_frame_rate" in uneven
    assert "dropped_frames" not in uneven
    half = np.cumsum(np.where(rng.random(4000) < 0.4, 0.01, 0.005))
    assert set(check(half)) == {"variable_frame_rate"}


def test_small_face_states_the_distance():
    small = check(interocular_px=np.full(6000, 38.4))["small_face"]
    assert "the eyes 38 px apart" in small
    assert "1.3 % of the eye distance" in small
    nothing = check(interocular_px=np.full(6000, np.nan))
    assert "small_face" not in nothing


def sine(fps, hertz, share=0.02, seconds=30):
    t = np.arange(int(seconds * fps)) / fps
    noise = np.random.default_rng(2).normal(0, 0.1, len(t))
    return t, 100 * (1 + share * np.sin(2 * np.pi * hertz * t)) + noise


@pytest.mark.parametrize(
    ("fps", "light_hz", "folded", "mains"),
    [(120.0, 100.0, 20.0, "50 Hz"), (200.0, 120.0, 80.0, "60 Hz"), (90.0, 100.0, 10.0, "50 Hz")],
)
def test_mains_flicker_is_found_folded(fps, light_hz, folded, mains):
    t, grey = sine(fps, light_hz)
    hertz, share = flicker(t, grey)
    assert hertz == pytest.approx(folded, abs=0.3)
    assert share == pytest.approx(0.02, rel=0.1)
    message = check(
        t, brightness=grey, interocular_px=np.full(len(t), 99.0), head_speed=np.zeros(len(t))
    )["flicker"]
    assert f"lamps on {mains} mains" in message
    assert "by 2.0 %" in message or "by 1.9 %" in message


def test_flicker_ignores_slow_light_steps_pulse_and_noise():
    t, noise = sine(200, 0, share=0.0)
    assert flicker(t, noise) is None
    assert flicker(t, noise + 5 * np.sin(2 * np.pi * 0.2 * t)) is None
    assert flicker(t, noise + 0.5 * np.sin(2 * np.pi * 1.1 * t)) is None
    assert flicker(t, noise + 10 * (t > 12)) is None
    assert flicker(t[:5], noise[:5]) is None
    assert flicker(t, np.full_like(t, np.nan)) is None


def test_flicker_survives_gaps():
    t, grey = sine(200, 37.0)
    grey[1500:2500] = np.nan
    hertz, share = flicker(t, grey)
    assert hertz == pytest.approx(37, abs=0.3)
    assert share == pytest.approx(0.02, rel=0.15)


def jpeg(gray, quality):
    return cv2.imdecode(cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


def test_blockiness_rises_with_jpeg_compression_and_knows_no_crop():
    gray = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    assert blockiness(gray) < 0.02
    assert blockiness(data.camera()) < 0.02
    values = [blockiness(jpeg(gray, q)) for q in (95, 90, 75, 50, 30, 10)]
    assert values == sorted(values)
    assert values[1] < 0.08
    assert values[2] > 0.12
    coarse = jpeg(gray, 20)
    assert blockiness(coarse[3:, 5:]) == pytest.approx(blockiness(coarse), rel=0.05)
    # a loop in plain Python over rows, as an independent reference
    steps = np.abs(np.diff(coarse[:64, :64].astype(int), axis=1))
    phases = [[] for _ in range(8)]
    for row in steps.tolist():
        for k in range(1, len(row) - 1):
            excess = row[k] - (row[k - 1] + row[k + 1]) / 2
            phases[(k - 1) % 8].append(max(-20, min(20, excess)))
    means = sorted(sum(p) / len(p) for p in phases)
    across = (means[-1] - (means[3] + means[4]) / 2) / (np.minimum(steps, 30).mean() + 0.5)
    both = blockiness(coarse[:64, :64])
    down = 2 * both - across
    assert down > 0.2 and across > 0.2


def test_blockiness_of_h264_rises_with_its_quantiser():
    av = pytest.importorskip("av")
    gray = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)[:256, 100:356]
    values = []
    for crf in (10, 30, 45):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=50)
            stream.width = stream.height = 256
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": str(crf), "threads": "1"}
            for _ in range(2):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(gray), format="gray")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        buffer.seek(0)
        with av.open(buffer) as container:
            values.append(blockiness(next(container.decode(video=0)).to_ndarray(format="gray")))
    assert values == sorted(values)
    assert values[0] < 0.06
    assert values[2] > 0.12


def test_blockiness_refuses_colour_and_tiny_pictures():
    with pytest.raises(ValueError, match=r"gray must be \(H, W\)"):
        blockiness(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="24 pixels"):
        blockiness(np.zeros((10, 64), np.uint8))


def test_the_other_warnings():
    assert "0.30" in check(blockiness=0.3)["compression"]
    head = check(gated_s={"head": 12.0, "blink": 1.0}, observed_s=17.0)
    assert "40 % of the time could not be judged" in head["head_motion"]
    assert "head_motion" in check(head_speed=np.full(6000, 1.5))
    talking = check(gated_s={"speech": 18.0, "blink": 1.0}, observed_s=11.0)
    assert "60 % of the time could not be judged" in talking["speech"]
    assert "speech" not in check(gated_s={"speech": 5.0}, observed_s=25.0)
    lost = check(found_ratio=0.9)
    assert "90.0 %" in lost["face_lost"] and "3.0 s" in lost["face_lost"]
    assert "2 other people are in the picture" in check(others_seen=2)["other_faces"]
    closed = check(gated_s={"head": 26.0}, observed_s=4.0)["short_recording"]
    assert (
        "4.0 of 30.0 s" in closed and "long enough" in closed and "longer recording" not in closed
    )
    brief = check(np.arange(1000) / 100, observed_s=9.0)["short_recording"]
    assert "Analyse a longer recording" in brief and brief.startswith("Only 9.0 s of face to judge")
    damaged = check(damage=("cut at 3.2 s",))
    assert "damaged (cut at 3.2 s)" in damaged["truncated"]
    repaired = check(damage=("3 timestamps were missing or did not rise, and were repaired",))
    assert "repaired_timestamps" in repaired and "truncated" not in repaired
    assert "resized_frames" in check(damage=("2 frames have another size than the first",))


def test_empty_and_one_frame():
    for n in (0, 1):
        nothing = np.full(n, np.nan)
        found = check(
            np.zeros(n), interocular_px=nothing, brightness=nothing, head_speed=nothing,
            found_ratio=0.0, gated_s={}, observed_s=0.0,
        )  # fmt: skip
        assert "face_lost" in found


def test_arrays_must_have_one_length():
    with pytest.raises(ValueError, match="arrays of one length"):
        check(brightness=np.zeros(3))
