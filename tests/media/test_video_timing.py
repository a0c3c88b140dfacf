"""When frames are shown: what containers store, what players do, and at what rate."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.core.types import MediaTimes
from micromimic.media.clock import Clock
from micromimic.media.video import open_source
from micromimic.motion.spotting.time_grid import frame_rate
from micromimic.report.write import write_analysis
from micromimic.synthesis.clips import plan_clip, render, write_clip
from micromimic.synthesis.schedule import ClipConfig

from ..report.test_report_elan import check_eaf
from ..sample_analysis import sample_analysis
from .test_video import pictures


def film(
    path: Path,
    grays: list[np.ndarray],
    rate: int | Fraction = 100,
    codec: str = "libx264",
    pts: list[int] | None = None,
    options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
) -> Path:
    """Pictures at an even rate, which the container states too."""
    rate = Fraction(rate)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = grays[0].shape
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = 1 / rate
        for at, gray in zip(pts or range(len(grays)), grays, strict=True):
            frame = av.VideoFrame.from_ndarray(gray, format="gray").reformat(format=pixel_format)
            frame.pts, frame.time_base = at, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def remux(
    source: Path, target: Path, slower: int = 1, delay: Fraction = Fraction(0), audio: bool = False
) -> Path:
    """The same packets at other times, beside a sound that begins at 0."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        base = stream.time_base
        assert base is not None
        copied = new.add_stream_from_template(stream)
        sound = new.add_stream("pcm_s16le", rate=8000, layout="mono") if audio else None
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
            silence.sample_rate, silence.pts = 8000, 0
            new.mux([*sound.encode(silence), *sound.encode(None)])
        for packet in old.demux(stream):
            if packet.pts is not None and packet.dts is not None:
                packet.pts = packet.pts * slower + round(delay / base)
                packet.dts = packet.dts * slower + round(delay / base)
                packet.duration = (packet.duration or 0) * slower
                packet.stream = copied
                new.mux(packet)
    return target


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_decode_times_become_times_of_display(tmp_path: Path, codec: str) -> None:
    grays = pictures(90)
    options = {"bf": "3"} if codec == "libx264" else {"bf": "2"}
    path = film(tmp_path / "b.avi", grays, codec=codec, options={**options, "g": "40"})
    with open_source(path) as source:
        read = list(source)
        again = list(source.frames_at([2, 3, 41, 88]))
        assert source.damage == ()
        assert source.media_times is None
    assert [f.time for f in read] == pytest.approx([i / 100 for i in range(90)], abs=1e-9)
    for frame, gray in zip(read, grays, strict=True):  # each its own picture's
        off = [np.abs(frame.gray.astype(int) - g).mean() for g in grays]
        assert np.abs(frame.gray.astype(int) - gray).mean() == min(off)
    for frame in again:
        assert frame.time == read[frame.index].time
        assert np.array_equal(frame.gray, read[frame.index].gray)


def test_a_stream_without_times_is_even(tmp_path: Path) -> None:
    clock = Clock(Fraction(1, 1000), step=0.04)
    assert [clock.seconds(None) for _ in range(4)] == pytest.approx([0, 0.04, 0.08, 0.12])
    path = film(tmp_path / "raw.h264", pictures(20), rate=25, options={"bf": "3"})
    with open_source(path) as source:
        times = [f.time for f in source]
    assert np.diff(times) == pytest.approx(np.full(19, 0.04))


RATES = (240, 120, 60, Fraction(60000, 1001), Fraction(30000, 1001))


@pytest.mark.parametrize("rate", RATES)
def test_a_millisecond_clock_keeps_the_rate(tmp_path: Path, rate: int | Fraction) -> None:
    path = film(tmp_path / "ms.mkv", pictures(90), rate=rate)
    with open_source(path) as source:
        times = np.array([f.time for f in source])
        stated = source.nominal_fps
    assert frame_rate(times, stated) == pytest.approx(float(rate), abs=0.01)
    long = np.round(np.arange(6000) / float(rate), 3)
    dropped = np.delete(long, [200, 201, 4000])
    assert frame_rate(long) == pytest.approx(float(rate), abs=0.01)
    assert frame_rate(dropped) == pytest.approx(float(rate), abs=0.03)
    assert frame_rate(dropped, float(rate)) == float(rate)
    assert frame_rate(long, 25.0) == pytest.approx(float(rate), abs=0.01)  # it says otherwise


def test_a_variable_rate_is_that_of_its_median_step() -> None:
    steps = np.tile([0.01, 0.01, 0.02, 0.015, 0.01], 60)
    times = np.concatenate([[0.0], np.cumsum(steps)])
    assert frame_rate(times, 75.0) == pytest.approx(100.0)


@pytest.mark.parametrize("ending", ["mkv", "mov"])
def test_a_sound_that_begins_before_the_video_moves_it(tmp_path: Path, ending: str) -> None:
    plain = film(tmp_path / "plain.mov", pictures(60), options={"bf": "3"})
    late = remux(plain, tmp_path / f"late.{ending}", delay=Fraction(1, 2), audio=True)
    alone = remux(plain, tmp_path / f"alone.{ending}", delay=Fraction(1, 2))
    with open_source(late) as source:
        times = [f.time for f in source]
        media = source.media_times
        assert source.damage == ()
    assert times == pytest.approx([i / 100 for i in range(60)], abs=1e-3)
    assert media == pytest.approx([0.5 + i / 100 for i in range(60)], abs=2e-3)
    with open_source(alone) as source:
        assert len(list(source)) == 60
        assert source.media_times is None  # players begin with the first picture


def test_a_rate_against_the_file_leaves_its_own_times(tmp_path: Path) -> None:
    with open_source(film(tmp_path / "slow.mp4", pictures(30), rate=25), fps=100) as source:
        times = [f.time for f in source]
        media = source.media_times
    assert times == pytest.approx([i / 100 for i in range(30)])
    assert media == pytest.approx([i / 25 for i in range(30)])


def test_results_lead_to_the_place_where_a_player_shows_it(tmp_path: Path) -> None:
    """Filmed at 100 frames a second, stored to play at 25, a second after a sound."""
    config = ClipConfig(
        seconds=3.0,
        fps=100.0,
        width=320,
        height=240,
        face_px=225.0,
        peak_px=1.5,
        events_per_minute=20,
        macros_per_minute=0,
        blinks_per_minute=0,
        head_moves_per_minute=0,
    )
    write_clip(tmp_path / "base.mp4", config, 3)
    path = remux(tmp_path / "base.mp4", tmp_path / "slow.mov", 4, Fraction(1), audio=True)
    analysis = analyze(path, fps=100, config=AnalyzeConfig(evidence=False))
    assert analysis.source.fps == 100.0
    write_analysis(analysis, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "events.json").read_text())
    event = content["events"][0]
    for name in ("onset", "apex", "offset"):
        assert event[f"{name}_s"] == pytest.approx(event[f"{name}_frame"] / 100)
        assert event[f"media_{name}_s"] == pytest.approx(1 + 4 * event[f"{name}_s"], abs=1e-3)
    _, tiers = check_eaf(tmp_path / "out" / "events.eaf")
    first, last, _ = tiers["micro-expression"][0]
    assert first == pytest.approx(1000 + 4000 * event["onset_s"], abs=1)
    assert last == pytest.approx(1000 + 4000 * event["offset_s"], abs=1)


@pytest.mark.parametrize(("lead", "slower", "wanted"), [(0.5, 1, 4710), (0, 4, 16840)])
def test_every_link_to_the_media_plays_on_its_timeline(
    tmp_path: Path, lead: float, slower: int, wanted: int
) -> None:
    plain = sample_analysis()
    times = np.asarray(plain.track.times)
    moved = replace(plain, media=MediaTimes(times, lead + slower * times))
    for name, analysis in (("plain", plain), ("moved", moved)):
        write_analysis(analysis, tmp_path / name)
    before, after = (check_eaf(tmp_path / name / "events.eaf")[1] for name in ("plain", "moved"))
    assert after["micro-expression"][0][0] == wanted  # onset at 4.210 s
    middles = {name: [(a + b) / 2 for a, b, _ in rows] for name, rows in before.items()}
    for name, rows in after.items():
        found = [(a + b) / 2 for a, b, _ in rows]
        assert found == pytest.approx(
            [1000 * lead + slower * middle for middle in middles[name]], abs=slower + 1
        ), name
    assert "In a player" in (tmp_path / "moved" / "report.html").read_text()
    assert "In a player" not in (tmp_path / "plain" / "report.html").read_text()
    assert "media_onset_s" not in (tmp_path / "plain" / "events.json").read_text()


@pytest.mark.parametrize(("name", "codec"), [("f.swf", "flv"), ("f.mxf", "mpeg2video")])
def test_a_file_that_cannot_seek_is_read_from_its_start(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = film(tmp_path / name, pictures(60), rate=25, codec=codec, options={"g": "12"})
    with open_source(path) as source:
        read = list(source)
        found = list(source.frames_at([2, 40, 59]))
    assert [f.index for f in found] == [2, 40, 59]
    for frame in found:
        assert frame.time == read[frame.index].time
        assert np.array_equal(frame.gray, read[frame.index].gray)


def test_skipped_frames_are_no_end(tmp_path: Path) -> None:
    kept = [i for i in range(60) if not 20 <= i < 24 and i != 40]
    grays = pictures(len(kept))
    made = {"codec": "mjpeg", "pixel_format": "yuvj420p"}
    path = film(tmp_path / "skip.avi", grays, pts=kept, **made)
    with open_source(path) as source:
        assert [f.time for f in source] == pytest.approx([i / 100 for i in kept])
        assert source.expected_frames == 60
        assert source.damage == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_source(path) as source:
        assert 10 < sum(1 for _ in source) < 40
        assert any("ends early" in line and "of 60" in line for line in source.damage)


@cache
def noisy(count: int, seed: int = 5) -> list[np.ndarray]:
    """A still picture under a camera's noise."""
    rng = np.random.default_rng(seed)
    still = pictures(1, 160, 120)[0].astype(float)
    return [np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8)
            for _ in range(count)]  # fmt: skip


def share_and_notice(path: Path) -> tuple[float, str | None]:
    """How many frames show a new picture, and what is told of it."""
    with open_source(path, 100 if path.is_dir() else None) as source:
        assert sum(1 for _ in source) > 2
        found = [n.message for n in source.notices if n.code == "repeated_frames"]
        assert len(found) == (source.picture_share < 1)
        return source.picture_share, found[0] if found else None


@cache
def moving(count: int) -> list[np.ndarray]:
    """Something that moves, under a camera's noise."""
    return [
        (0.8 * g + 0.2 * n).astype(np.uint8)
        for g, n in zip(pictures(count, 160, 120), noisy(count), strict=True)
    ]


def shown(new: list[np.ndarray], pattern: tuple[int, ...]) -> list[np.ndarray]:
    """Each picture as often in a row as the pattern says."""
    return [g for k, g in enumerate(new) for _ in range(pattern[k % len(pattern)])]


@pytest.mark.parametrize(
    "options",
    [{"qp": "0"}, {"crf": "18", "bf": "0"}, {}, {"crf": "18"}, {"crf": "28"},
     {"crf": "28", "preset": "superfast"}],
)  # fmt: skip
@pytest.mark.parametrize(
    ("pattern", "rate"), [((2,), 50), ((3, 2), 40), ((1, 1, 1, 2), 80), ((4,), 25)]
)
def test_repeated_frames_are_noticed(
    tmp_path: Path, options: dict[str, str], pattern: tuple[int, ...], rate: float
) -> None:
    path = film(tmp_path / "r.mp4", shown(moving(60), pattern), options=options)
    share, message = share_and_notice(path)
    assert message is not None
    assert 100 * share == pytest.approx(rate, rel=0.05)
    about, not_this = (message.split(word)[1].split()[0] for word in ("about ", " not "))
    assert (float(about), float(not_this.rstrip(","))) == pytest.approx((rate, 100), rel=0.05)


@pytest.fixture(scope="module")
def filmed() -> list[np.ndarray]:
    """Nothing but some blinks and what the head does: most of the picture rests."""
    config = ClipConfig(
        seconds=4.0, fps=50.0, width=320, height=240, face_px=225.0, blinks_per_minute=40.0
    )
    return list(render(plan_clip(config, 2)))


@pytest.mark.parametrize("options", [{}, {"crf": "28"}])
def test_a_face_shown_twice_as_fast_as_it_was_filmed(
    tmp_path: Path, filmed: list[np.ndarray], options: dict[str, str]
) -> None:
    path = film(tmp_path / "twice.mp4", shown(filmed, (2,)), options=options)
    assert share_and_notice(path)[0] == pytest.approx(0.5, rel=0.05)
    assert share_and_notice(film(tmp_path / "once.mp4", filmed, 50, options=options))[1] is None


def test_a_webcam_that_repeats_now_and_then(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    grays = [g for g in moving(150) for _ in range(1 + int(rng.random() < 0.25))]
    share, message = share_and_notice(film(tmp_path / "w.mp4", grays))
    assert message is not None
    assert share == pytest.approx(150 / len(grays), rel=0.05)


def test_repeated_pictures_of_a_folder_are_noticed(tmp_path: Path) -> None:
    for number, gray in enumerate(shown(moving(40), (2,))):
        assert cv2.imwrite(str(tmp_path / f"{number:03}.png"), gray)
    assert share_and_notice(tmp_path)[0] == 0.5


@cache
def never_repeated() -> dict[str, list[np.ndarray]]:
    """What rests, moves and flickers."""
    moves, rests = moving(120), noisy(120)
    lamp = [1 + 0.04 * np.sin(2 * np.pi * 40.1 * k / 60) for k in range(120)]
    return {
        "rests": rests,
        "still": rests[:1] * 120 + pictures(50, 160, 120),
        "moves": moves,
        "stops": [moves[min(k % 60, 39)] for k in range(180)],
        "lamp": [np.clip(g * c, 0, 255).astype(np.uint8) for g, c in zip(moves, lamp, strict=True)],
        "lamp_rests": [
            np.clip(g * c, 0, 255).astype(np.uint8) for g, c in zip(rests, lamp, strict=True)
        ],
    }


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"qp": "0"}),
        ("libx264", {"crf": "23", "bf": "0"}),
        ("libx264", {}),
        ("libx264", {"crf": "30"}),
        ("libx264", {"crf": "30", "preset": "superfast"}),
        ("libx264", {"crf": "34", "g": "6"}),
        ("mpeg4", {"bf": "2", "g": "12", "b": "2M"}),
        ("mpeg2video", {"bf": "2", "g": "12", "b": "2M"}),
    ],
)
def test_new_pictures_are_no_repetition(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    """Nor is a face that rests, or what an encoder of predicted frames makes of it."""
    for name, grays in never_repeated().items():
        path = film(tmp_path / f"{name}.mp4", grays, 50, codec=codec, options=options)
        assert share_and_notice(path)[1] is None, name


REAL_SHARES = {
    "cap12.mp4": 0.8,
    "talk_vr_5.mp4": 0.85,
    "talk_lp_d0.mp4": 1.0,
    "talk_vr_2.mp4": 1.0,
    "grid_bbaf2n.mpg": 1.0,
    "WolfgangLanger_Pexels.mp4": 1.0,
}


def test_real_recordings_repeat_what_they_do(shared_videos: Path) -> None:
    shares = {name: share_and_notice(shared_videos / name)[0] for name in REAL_SHARES}
    assert shares == pytest.approx(REAL_SHARES, rel=0.05)
