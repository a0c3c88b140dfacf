"""What a review shows of a video: the proxy frame by frame, pictures, clips, numbers."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from micromimic.analysis.analyze import analyze
from micromimic.analysis.track_file import TrackTable
from micromimic.core.canonical import apply_affine, canvas_size
from micromimic.core.errors import InputError, OutputError
from micromimic.core.labels import CELLS, REGIONS
from micromimic.face.cells import cell_boxes
from micromimic.media.copied import copyable, write_copy
from micromimic.media.decoding.pixels import Geometry, yuv_of
from micromimic.media.video import VideoSource, VideoWriter, open_source
from micromimic.media.writer import KEY_EVERY, ProxyCopy, ProxyWriter, proxy_size
from micromimic.motion.magnify import Magnifier, MagnifyConfig, magnified
from micromimic.motion.spotting.dense.measure import UNITS_SEEN
from micromimic.report.write import FILES
from micromimic.synthesis.actors.face import astronaut_face
from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.workstation.jobs.artifacts import (
    COLUMNS,
    duration,
    frames_bin,
    review_document,
    write_recording,
)
from micromimic.workstation.jobs.clips import MARGIN_S, clip_range, write_held_back
from micromimic.workstation.jobs.confinement import LimitError
from micromimic.workstation.jobs.evidence import write_evidence

from ..sample_analysis import sample_analysis
from ..sounds import with_click

# --- the proxy ---------------------------------------------------------------------------------


def numbered(count: int, width: int, height: int) -> list[np.ndarray]:
    """Pictures that say their number in eight large squares, whatever compression does."""
    shown = []
    for number in range(count):
        picture = np.full((height, width, 3), 60, np.uint8)
        for bit in range(8):
            left = 4 + bit * (width - 8) // 8
            tone = 230 if number >> bit & 1 else 20
            picture[4 : height - 4, left : left + (width - 8) // 8 - 2] = tone
        shown.append(picture)
    return shown


def number_in(picture: np.ndarray) -> int:
    height, width = picture.shape[:2]
    centres = [int(4 + (bit + 0.45) * (width - 8) / 8) for bit in range(8)]
    return sum((picture[height // 2, x, 1] > 125) << bit for bit, x in enumerate(centres))


def encode(path: Path, shown: list[np.ndarray], ticks: list[int], base: Fraction) -> Path:
    """A video straight through PyAV, with B-frames, as phones and cameras write it."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"bf": "2", "crf": "12"})
        stream.height, stream.width = shown[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = base
        for picture, at in zip(shown, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = at, base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def jitter(count: int) -> list[int]:
    """Milliseconds of a telephone's variable rate: steps of 11 to 90."""
    return np.cumsum(np.random.default_rng(4).integers(11, 91, count)).tolist()


RATES: dict[str, tuple[Callable[[int], list[int]], Fraction]] = {
    "25": (lambda n: list(range(n)), Fraction(1, 25)),
    "29.97": (lambda n: list(range(n)), Fraction(1001, 30000)),
    "100": (lambda n: list(range(n)), Fraction(1, 100)),
    "200": (lambda n: list(range(n)), Fraction(1, 200)),
    "variable": (jitter, Fraction(1, 1000)),
}


def proxy_of(video: Path, path: Path) -> Path:
    with open_source(video) as source, ProxyWriter(path, source.width, source.height) as writer:
        for frame in source:
            writer.write(frame.yuv() or frame.rgb(), frame.time)
    return path


def bare_stream(video: Path, raw: Path) -> Path:
    """The packets of a video without a container."""
    with av.open(str(video)) as source, av.open(str(raw), "w", format="h264") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    return raw


@pytest.mark.parametrize("rate", list(RATES))
def test_each_frame_of_the_proxy_is_that_of_the_source(tmp_path: Path, rate: str) -> None:
    make, base = RATES[rate]
    shown, ticks = numbered(70, 160, 96), make(70)
    video = encode(tmp_path / "a.mp4", shown, ticks, base)
    proxy = proxy_of(video, tmp_path / "proxy.mp4")
    want = [float((tick - ticks[0]) * base) for tick in ticks]
    with av.open(str(proxy)) as container:
        pictures = list(container.decode(video=0))
    assert [number_in(p.to_ndarray(format="rgb24")) for p in pictures] == list(range(70))
    assert np.allclose([p.time for p in pictures], want, rtol=0, atol=0.6 / 90_000)


def test_the_proxy_can_be_stepped_through(tmp_path: Path) -> None:
    shown = numbered(50, 160, 96)
    video = encode(tmp_path / "a.mp4", shown, list(range(50)), Fraction(1, 100))
    proxy = proxy_of(video, tmp_path / "proxy.mp4")
    with av.open(str(proxy)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert not stream.codec_context.has_b_frames
    assert [i for i, p in enumerate(packets) if p.is_keyframe] == list(range(0, 50, KEY_EVERY))
    assert [p.pts for p in packets] == [p.dts for p in packets]  # nothing is reordered
    data = proxy.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is all there
    # As a browser steps: any time within a frame shows that frame.
    with av.open(str(proxy)) as container:
        stream = container.streams.video[0]
        for wanted in (31, 12, 49, 0, 23):
            target = int((wanted + 0.5) / 100 / stream.time_base)
            container.seek(target, stream=stream, backward=True)
            shown_then = [p for p in container.decode(video=0) if p.pts <= target][-1]
            assert number_in(shown_then.to_ndarray(format="rgb24")) == wanted


@pytest.mark.parametrize("size", [(1920, 1080), (161, 97), (1080, 1920), (96, 64)])
def test_proxy_is_even_and_small(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[height // 2 :, width // 3 :] = 200, 40, 90
    with ProxyWriter(tmp_path / "p.mp4", width, height) as writer:
        for number in range(3):
            writer.write(picture, number / 30)
    with open_source(tmp_path / "p.mp4") as source:
        first = next(iter(source)).rgb()
    across, down = proxy_size(width, height)
    assert first.shape == (down, across, 3)
    assert across % 2 == 0 and down % 2 == 0 and max(across, down) <= 960
    assert abs(across / down - width / height) < 0.02 * width / height
    smaller = cv2.resize(picture, (across, down), interpolation=cv2.INTER_AREA)
    inner = (slice(3 * down // 4, down - 4), slice(across // 2, across - 4))
    assert np.abs(first[inner].astype(int) - smaller[inner]).mean() < 4  # colours, too


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (6, True), (2, False), (0, False)])
def test_stored_pictures_keep_their_colours(tmp_path: Path, matrix: int, full: bool) -> None:
    """Without a conversion, and one that is given as RGB among them is made like the others."""
    shown = np.full((96, 160, 3), (200, 40, 90), np.uint8)
    shown[:, 80:] = 30, 160, 220
    video = tmp_path / "a.mp4"
    with av.open(str(video), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 1 + full
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=1 if matrix == 1 else 5, dst_color_range=1 + full
            )
            frame.colorspace, frame.color_range = matrix, 1 + full
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open_source(video) as source, ProxyWriter(tmp_path / "p.mp4", 160, 96) as writer:
        for frame in source:
            stored = frame.yuv()
            assert stored is not None and stored.full_range is full
            assert stored.matrix == (6 if matrix in (0, 2) else matrix)
            writer.write(frame.rgb() if frame.index == 2 else stored, frame.time)
    with open_source(tmp_path / "p.mp4") as source:
        for frame in source:
            away = np.abs(frame.rgb().astype(int) - shown)
            assert max(away[8:-8, 8:72].max(), away[8:-8, 88:-8].max()) <= 9, frame.index


def test_stored_pictures_are_turned_as_they_are_shown() -> None:
    shown = np.zeros((96, 160, 3), np.uint8)
    shown[:40, :60] = 250, 40, 40
    picture = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(format="yuv420p")
    geometry = Geometry((160, 96), (160, 96), transposed=True, mirrored=True)
    turned = yuv_of(picture, geometry)
    assert turned is not None
    red = np.swapaxes(shown[..., 0], 0, 1)[:, ::-1] > 100
    assert np.array_equal(turned.luma > 50, red)
    assert np.array_equal(turned.red > 180, red[::2, ::2])
    assert np.array_equal(turned.blue < 120, red[::2, ::2])


@pytest.mark.parametrize(
    ("kind", "known"),
    [("yuvj422p", True), ("yuv444p", True), ("rgb24", False), ("yuv420p10le", False)],
)
def test_planes_of_8_bits_are_taken_as_they_are_stored(kind: str, known: bool) -> None:
    picture = av.VideoFrame.from_ndarray(np.full((98, 160, 3), 90, np.uint8), format="rgb24")
    stored = yuv_of(picture.reformat(format=kind), Geometry((160, 98), (160, 98)))
    assert (stored is not None) is known
    if stored is not None:
        wide = 160 if kind == "yuv444p" else 80
        assert stored.blue.shape == stored.red.shape == (98, wide)
        assert stored.full_range is (kind == "yuvj422p")


@pytest.mark.parametrize("kind", ["yuvj422p", "yuvj444p"])
def test_finer_colour_is_halved(tmp_path: Path, kind: str) -> None:
    """As cameras write it that store each picture as a JPEG."""
    shown = np.full((96, 160, 3), (200, 40, 90), np.uint8)
    shown[:, 80:] = 30, 160, 220
    with av.open(str(tmp_path / "a.avi"), "w") as out:
        stream = out.add_stream("mjpeg", rate=25, options={"qmin": "1", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, kind
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            out.mux(stream.encode(frame.reformat(format=kind, dst_color_range=2)))
        out.mux(stream.encode(None))
    with open_source(proxy_of(tmp_path / "a.avi", tmp_path / "p.mp4")) as source:
        for frame in source:
            away = np.abs(frame.rgb().astype(int) - shown)
            assert max(away[8:-8, 8:72].max(), away[8:-8, 88:-8].max()) <= 9, frame.index


# --- a copy in the proxy's place ---------------------------------------------------------------


@pytest.mark.parametrize("rate", ["29.97", "200", "variable"])
def test_a_copy_has_the_packets_of_the_source(tmp_path: Path, rate: str) -> None:
    make, base = RATES[rate]
    ticks = [7 + tick for tick in make(70)]  # a file need not begin at 0
    video = encode(tmp_path / "a.mp4", numbered(70, 160, 96), ticks, base)
    with open_source(video) as source:
        times = copyable(source)
        assert times is not None
        want = [frame.time for frame in source]
        assert write_copy(source, times, tmp_path / "p.mp4", None)
    with av.open(str(video)) as first, av.open(str(tmp_path / "p.mp4")) as second:
        stored = [[bytes(p) for p in c.demux(video=0) if p.size] for c in (first, second)]
        assert stored[0] == stored[1]
    with av.open(str(tmp_path / "p.mp4")) as container:
        pictures = list(container.decode(video=0))
    assert [number_in(p.to_ndarray(format="rgb24")) for p in pictures] == list(range(70))
    assert np.allclose([p.time for p in pictures], want, rtol=0, atol=0.6 / 90_000)
    data = (tmp_path / "p.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_only_what_browsers_play_and_step_through_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = encode(tmp_path / "a.mp4", numbered(60, 160, 96), list(range(60)), Fraction(1, 30))

    def copied(path: Path, fps: float | None = None) -> bool:
        with open_source(path, fps) as source:
            return copyable(source) is not None

    assert copied(video)
    assert not copied(video, fps=200.0)  # other times than the file's own
    with VideoWriter(tmp_path / "odd.mp4", 25.0, 161, 97, lossless=False) as writer:
        for _ in range(3):
            writer.write(np.zeros((97, 161, 3), np.uint8))
    assert not copied(tmp_path / "odd.mp4")  # 4:4:4
    assert not copied(bare_stream(video, tmp_path / "a.h264"))
    with av.open(str(video)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    steps = int(np.diff([*keys, 60]).max())  # frames that a step decodes at most
    with monkeypatch.context() as patch:
        patch.setattr("micromimic.media.copied.MOST_PIXELS_A_STEP", 160 * 96 * steps)
        assert copied(video)
        patch.setattr("micromimic.media.copied.MOST_PIXELS_A_STEP", 160 * 96 * steps - 1)
        assert not copied(video)
    monkeypatch.setattr("micromimic.media.copied.MOST_BYTES_A_STEP", 300)
    assert not copied(video)


def with_units(source: Path, path: Path, *units: bytes) -> Path:
    """An MP4 of the same packets, each with these units before its own."""
    with av.open(str(source)) as first, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(first.streams.video[0])
        for packet in first.demux(video=0):
            if packet.size:
                content = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
                longer = av.Packet(content + bytes(packet))
                longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
                longer.is_keyframe, longer.stream = packet.is_keyframe, stream
                out.mux(longer)
    return path


def test_a_copy_leaves_out_what_cameras_write_between_pictures(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", numbered(20, 160, 96), list(range(20)), Fraction(1, 30))
    place = b"GPS 47.1 N, 8.2 E"
    message = bytes([5, 16 + len(place)]) + bytes(range(16)) + place
    recovery = bytes([6, 1, 0x84])
    told = [bytes([6]) + message + b"\x80", bytes([6]) + recovery + message + b"\x80"]
    told += [bytes([6, 4, len(place)]) + place + b"\x80", bytes([30]) + place]
    told += [bytes([6, 5, 255, 45]) + bytes(16) + place.ljust(284) + b"\x80"]
    harmless = bytes([6]) + recovery + b"\x80"
    for number, unit in enumerate(told):
        camera = with_units(video, tmp_path / f"{number}.mp4", harmless, unit)
        assert place in camera.read_bytes()
        with open_source(camera) as source:
            times = copyable(source)
            shown = [number_in(frame.rgb()) for frame in source]
            assert times is not None and write_copy(source, times, tmp_path / "p.mp4", None)
        assert place not in (tmp_path / "p.mp4").read_bytes()
        with open_source(tmp_path / "p.mp4") as source:
            assert [number_in(frame.rgb()) for frame in source] == shown == list(range(20))
        clean = with_units(video, tmp_path / "clean.mp4", harmless)
        with av.open(str(clean)) as first, av.open(str(tmp_path / "p.mp4")) as second:
            stored = [[(bytes(p), p.pts, p.dts, p.is_keyframe) for p in c.demux(video=0) if p.size]
                      for c in (first, second)]  # fmt: skip
        assert stored[0] == stored[1]


def test_times_of_decoding_that_repeat_are_not_copied(tmp_path: Path) -> None:
    """They can be read, as the times of display rise, but not written."""
    video = encode(tmp_path / "a.mp4", numbered(40, 160, 96), jitter(40), Fraction(1, 1000))
    content = bytearray(video.read_bytes())
    steps = content.index(b"stts") + 12  # pairs of how many, and ticks
    assert content[steps - 4 : steps] == (40).to_bytes(4, "big")
    content[steps + 8 * 4 + 4 : steps + 8 * 5] = bytes(4)
    video.write_bytes(content)
    with open_source(video) as source:
        assert copyable(source) is None
        assert len(list(source)) == 40
        assert source.index is not None and not source.damage


def test_a_copy_that_has_no_room_is_none(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    noise = list(np.random.default_rng(0).integers(0, 256, (30, 96, 160, 3), np.uint8))
    video = encode(tmp_path / "a.mp4", noise, list(range(30)), Fraction(1, 30))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_source(video) as source:
        times = copyable(source)
        assert times is not None and len(list(source)) == 30
        resource.setrlimit(resource.RLIMIT_FSIZE, (video.stat().st_size // 2, before[1]))
        try:
            assert not write_copy(source, times, tmp_path / "p.mp4", None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_another_kind_of_picture_in_the_middle_is_not_copied(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", numbered(20, 160, 96), list(range(20)), Fraction(1, 30))
    with av.open(str(video)) as container:
        description = container.streams.video[0].codec_context.extradata
    assert description is not None
    own = description[8 : 8 + int.from_bytes(description[6:8], "big")]
    for unit, copied in ((own, True), (own[:1] + b"\x6e" + own[2:], False)):  # High, High 10
        with open_source(with_units(video, tmp_path / "b.mp4", unit)) as source:
            assert (copyable(source) is not None) is copied


def test_proxy_keeps_frames_closer_than_a_tick(tmp_path: Path) -> None:
    shown = numbered(6, 160, 96)
    with ProxyWriter(tmp_path / "p.mp4", 160, 96) as writer:
        for number, picture in enumerate(shown):
            writer.write(picture, number * 1e-6)
    with open_source(tmp_path / "p.mp4") as source:
        assert [number_in(frame.rgb()) for frame in source] == list(range(6))


def test_proxy_is_whole_or_not_there(tmp_path: Path) -> None:
    picture = np.zeros((96, 160, 3), np.uint8)
    with pytest.raises(ValueError, match="frame must be"):  # noqa: SIM117 - the order matters
        with ProxyWriter(tmp_path / "p.mp4", 160, 96) as writer:
            writer.write(picture, 0.0)
            writer.write(picture[:40], 0.1)
    with pytest.raises(ValueError, match="times must rise"):  # noqa: SIM117 - as above
        with ProxyWriter(tmp_path / "p.mp4", 160, 96) as writer:
            writer.write(picture, 1.0)
            writer.write(picture, 0.5)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="expected to write"):
        ProxyWriter(tmp_path / "none" / "p.mp4", 160, 96)


# --- magnification -----------------------------------------------------------------------------

RESOLUTION, MARGIN = 8.0, 5.0
SIZE = canvas_size(RESOLUTION, MARGIN)
CORNER = (6.4, 20.3)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """The runtime's face on an event's canvas, float."""
    face = astronaut_face(450.0, 640, 480, colour=True)
    still = cv2.resize(face.blink(0.0), (640, 480), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    units = np.stack([x + 0.5, y + 0.5], axis=-1) / RESOLUTION - MARGIN
    places = apply_affine(face.to_image, units).astype(np.float32)
    return cv2.remap(still, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def moved(
    portrait: np.ndarray, up_px: float, *, light: float = 1.0, noise: float = 2.0, seed: int = 0
) -> np.ndarray:
    """The right mouth corner raised by so many pixels, as a bump 2.5 units wide."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    units = (x + 0.5) / RESOLUTION - MARGIN, (y + 0.5) / RESOLUTION - MARGIN
    away = (units[0] - CORNER[0]) ** 2 + (units[1] - CORNER[1]) ** 2
    field = (-up_px * np.exp(-away / (2 * 2.5**2))).astype(np.float32)
    rest = y.copy()
    for _ in range(30):  # where in the resting face each pixel comes from
        rest = y - cv2.remap(field, x, rest, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture = cv2.remap(portrait, x, rest, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    grain = np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.clip(np.rint(picture * light + grain), 0, 255).astype(np.uint8)


def seen_at(onset: np.ndarray, later: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    """Movement of one point by another method: pyramidal Lucas-Kanade, pixels."""
    first, second = (
        cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), 1.0) for p in (onset, later)
    )
    at = np.array([[[(v + MARGIN) * RESOLUTION - 0.5 for v in place]]], np.float32)
    found, _, _ = cv2.calcOpticalFlowPyrLK(first, second, at, None, winSize=(25, 25), maxLevel=3)
    return (found - at).ravel()


@pytest.mark.parametrize("planted", [0.5, 1.0])
@pytest.mark.parametrize("light", [1.0, 1.03])
def test_a_planted_movement_is_magnified(
    portrait: np.ndarray, planted: float, light: float
) -> None:
    onset, apex = moved(portrait, 0, seed=1), moved(portrait, planted, light=light, seed=2)
    magnifier = Magnifier(onset, apex, RESOLUTION, MARGIN)
    assert 6.0 < magnifier.factor <= 8.0
    shown = magnifier.warp(apex, magnifier.flow(apex))
    right, down = seen_at(onset, shown, CORNER)
    # Against the truth: the same face, moved by that many times as much.
    want = seen_at(onset, moved(portrait, planted * magnifier.factor, seed=3), CORNER)[1]
    assert 0.8 * want > down > 1.15 * want  # both point up, that is below zero
    assert abs(right) < 0.25 * abs(down)
    # The forehead stays where it is, for noise and light are not movement.
    assert np.abs(seen_at(onset, shown, (13.4, 1.0))).max() < 1.0


def test_a_still_face_stays_still(portrait: np.ndarray) -> None:
    onset = moved(portrait, 0, seed=1)
    magnifier = Magnifier(onset, moved(portrait, 1.0, seed=2), RESOLUTION, MARGIN)
    frames = [(moved(portrait, 0, seed=10 + k), k / 200) for k in range(9)]
    shown = list(magnified(magnifier, frames))
    assert len(shown) == len(frames)
    for picture, (original, _) in zip(shown, frames, strict=True):
        for place in (CORNER, (13.4, 8.0), (20.4, 20.3), (6.0, 2.0)):
            assert np.abs(seen_at(original, picture, place)).max() < 0.6


def test_magnified_movement_rises_and_falls_with_the_planted_one(portrait: np.ndarray) -> None:
    share = np.sin(np.linspace(0, np.pi, 13)) ** 2
    frames = [(moved(portrait, 0.8 * s, seed=20 + k), k / 200) for k, s in enumerate(share)]
    onset, apex = frames[0][0], frames[6][0]
    magnifier = Magnifier(onset, apex, RESOLUTION, MARGIN)
    heights = [-seen_at(onset, p, CORNER)[1] for p in magnified(magnifier, frames)]
    assert np.corrcoef(heights, share)[0, 1] > 0.97
    assert abs(int(np.argmax(heights)) - 6) <= 1


def test_nothing_tears(portrait: np.ndarray) -> None:
    # Seven pixels is a wide grin: eight times that would turn the face inside out.
    onset, apex = moved(portrait, 0, seed=1), moved(portrait, 7.0, seed=2)
    magnifier = Magnifier(onset, apex, RESOLUTION, MARGIN)
    assert 1.0 <= magnifier.factor < 4.0
    # A frame that moves more than the apex did, as in a blink: still no fold.
    wild = moved(portrait, 12.0, seed=3)
    uv = magnifier.flow(wild)
    more = magnifier._more(uv) * magnifier._resolution
    jacobian = np.stack([np.gradient(more, axis=1), np.gradient(more, axis=0)], axis=-1)
    area = (1 + jacobian[..., 0, 0]) * (1 + jacobian[..., 1, 1]) - (
        jacobian[..., 0, 1] * jacobian[..., 1, 0]
    )
    assert area.min() > 0.05
    assert np.hypot(more[..., 0], more[..., 1]).max() / magnifier._resolution < 2 * 2.5


def test_magnifier_says_what_it_expects(portrait: np.ndarray) -> None:
    face = moved(portrait, 0)
    with pytest.raises(ValueError, match="faces must be square"):
        Magnifier(face[:-2], face[:-2], RESOLUTION, MARGIN)
    small = Magnifier(face, face, RESOLUTION, MARGIN, MagnifyConfig(factor=3.0))
    assert small.factor == 3.0


# --- a whole recording -------------------------------------------------------------------------

CLIP = ClipConfig(
    seconds=4.0, fps=60.0, width=322, height=241, colour=True, face_px=215.0, peak_px=2.0,
    events_per_minute=15.0, macros_per_minute=0.0, blinks_per_minute=15.0, blinks_apart=True,
    head_moves_per_minute=0.0,
)  # fmt: skip


CLICK_S = 1.5


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    write_clip(folder / "video.mp4", CLIP, 3, crf=12, preset="superfast")
    with_click(folder / "video.mp4", CLIP.seconds, CLICK_S)
    out = folder / "out"
    out.mkdir()
    stages: list[str] = []
    write_recording(
        folder / "video.mp4",
        out,
        name="../../Talk with Kim.mp4",
        max_seconds=60,
        progress=lambda done, total, stage: stages.append(stage),
    )
    assert list(dict.fromkeys(stages)) == ["tracking", "evidence", "writing"]
    return out


def review_of(folder: Path) -> dict:
    return json.loads((folder / "review.json").read_text())


def test_recording_is_complete(recording: Path) -> None:
    review = review_of(recording)
    names = {p.relative_to(recording).as_posix() for p in recording.rglob("*") if p.is_file()}
    pictures = {
        f"events/{event['index']}/{name}"
        for event in review["events"]
        for name in ("onset.jpg", "apex.jpg")
    }
    held = {
        f"events/held-back/{k}/{name}"
        for k, item in enumerate(review["held_back"])
        for name in ("onset.jpg", "apex.jpg")
        if item["picture"]
    }
    assert len(review["events"]) == 1
    others = {"proxy.mp4", "frames.bin", "review.json", "track.npz", "waveform.json"}
    others |= {"events/index/frames.npz"}
    assert names == {*FILES, *others, *pictures, *held}
    assert review["schema"] == "micromimic.review/1"
    assert (review["frames"], review["width"], review["height"]) == (240, 322, 241)
    assert review["proxy"] == {"width": 322, "height": 240, "sound": True}
    assert review["fps"] == pytest.approx(60, rel=1e-9)
    assert review["frame_times"] is None
    assert review["cell_names"] == list(CELLS)
    assert len(review["blinks"]) == 1


def test_recording_says_the_name_and_no_place(recording: Path) -> None:
    events = json.loads((recording / "events.json").read_text())
    assert events["source"]["path"] == "Talk with Kim.mp4"
    for name in FILES:
        assert str(recording.parent) not in (recording / name).read_text(encoding="utf-8")
    assert 'RELATIVE_MEDIA_URL="./Talk with Kim.mp4"' in (recording / "events.eaf").read_text()


def test_numbers_are_those_of_the_analysis(recording: Path) -> None:
    analysis = analyze(recording.parent / "video.mp4")
    review = review_of(recording)
    stored = json.loads((recording / "events.json").read_text())
    assert [e["apex_frame"] for e in stored["events"]] == [e.apex_frame for e in analysis.events]
    assert review["held_back"] == [{**e, "picture": True} for e in stored["held_back"]]
    rows = review["frames_bin"]["rows"]
    assert review["frames_bin"]["columns"] == list(COLUMNS)
    data = (recording / "frames.bin").read_bytes()
    assert len(data) == 4 * rows * len(COLUMNS)
    # By hand, as a page reads it: column c, row n.
    values = struct.unpack(f"<{rows * len(COLUMNS)}f", data)

    def column(name: str) -> np.ndarray:
        first = COLUMNS.index(name) * rows
        return np.array(values[first : first + rows])

    assert np.allclose(column("time"), analysis.track.times, atol=1e-5)
    assert np.allclose(column("score"), analysis.curve.score, rtol=1e-5, equal_nan=True)
    limits = analysis.limits.at(analysis.track.times)
    for name in REGIONS:
        expected = np.where(analysis.track.found, limits[name], np.nan)
        assert np.allclose(column(f"limit_{name}"), expected, rtol=1e-5, equal_nan=True)
    assert np.array_equal(column("segment"), analysis.track.segments)
    transform = np.stack([column(f"t{k}") for k in range(6)], axis=1)
    assert np.allclose(
        transform, analysis.track.transforms.reshape(-1, 6), rtol=1e-5, equal_nan=True
    )
    for k, name in enumerate(CELLS):
        assert np.allclose(column(name), analysis.curve.cells[:, k], rtol=1e-4, equal_nan=True)
    # A segment's landmarks, put through a frame's transform, lie where tracking has them.
    row = int(np.flatnonzero(analysis.track.found)[-1])
    segment = review["segments"][str(int(analysis.track.segments[row]))]
    points = apply_affine(transform[row].reshape(2, 3), np.array(segment["landmarks"]))
    assert np.allclose(points, analysis.track.landmarks[row], atol=0.05)
    assert np.allclose(segment["cells"], cell_boxes(np.array(segment["landmarks"])), atol=0.01)


def test_sound_is_beside_the_pictures(recording: Path) -> None:
    with av.open(str(recording / "proxy.mp4")) as proxy:
        assert [s.codec_context.name for s in proxy.streams] == ["h264", "aac"]
    waveform = json.loads((recording / "waveform.json").read_text())
    assert len(waveform["peaks"]) == pytest.approx(CLIP.seconds * waveform["rate"], abs=2)
    assert np.argmax(waveform["peaks"]) == pytest.approx(CLICK_S * waveform["rate"], abs=2)
    assert 200 < max(waveform["peaks"]) <= 255
    assert "sound" not in {w["code"] for w in json.loads(
        (recording / "events.json").read_text())["warnings"]}  # fmt: skip


def test_what_was_tracked_is_kept_by_frame(recording: Path, tmp_path: Path) -> None:
    analysis = analyze(recording.parent / "video.mp4")
    table = TrackTable.read(recording)
    track = analysis.track
    assert np.array_equal(table.times, track.times)
    assert np.array_equal(table.segments, track.segments)
    some = table.landmarks(30, 90)
    assert np.allclose(some, track.landmarks[30:90], atol=0.01, equal_nan=True)
    blink = analysis.spotting.blinks[0]
    shut = (track.times > blink.start) & (track.times < blink.end)
    assert np.nanmax(table.lids[shut]) > 3 * np.nanmedian(table.lids)
    # The units that the clip's one event moves are those that stand out about its apex.
    units = table.units_by_frame()
    assert units.shape == (240, len(UNITS_SEEN))
    apex = analysis.events[0].apex_frame
    about = np.nanmax(units[apex - 6 : apex + 7], axis=0)
    named = {found.unit for found in analysis.events[0].action_units}
    assert UNITS_SEEN[int(np.argmax(about))] in named
    assert (recording / "track.npz").stat().st_size < 60 * 240
    with pytest.raises(InputError, match="expected track.npz of an analysis"):
        TrackTable.read(recording / "events")
    (tmp_path / "track.npz").write_bytes((recording / "track.npz").read_bytes()[:999])
    with pytest.raises(InputError, match="expected track.npz of an analysis"):
        TrackTable.read(tmp_path)


def largest(before: np.ndarray, after: np.ndarray) -> float:
    """The largest movement within the face, by another flow than the magnifier's: pixels."""
    first, second = (
        cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), 1.0) for p in (before, after)
    )
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    uv = cv2.GaussianBlur(solver.calc(first, second, None), (0, 0), 4.0)
    edge = len(uv) // 6
    size = np.hypot(uv[..., 0], uv[..., 1])[edge:-edge, edge:-edge]
    return float(size.max() - np.median(size))


def test_clips_step_together_and_show_the_event(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = review_of(recording)
    told = json.loads((recording / "events.json").read_text())["events"]
    monkeypatch.delattr(VideoSource, "_scan_frames")  # frames are sought, not counted
    for event, seen in zip(told, review["events"], strict=True):
        clip, out = seen["clip"], tmp_path / str(seen["index"])
        frames_of = (event["onset_frame"], event["apex_frame"], event["offset_frame"])
        write_evidence(recording.parent / "video.mp4", recording, out, frames_of)
        place = out / "0"
        assert json.loads((place / "evidence.json").read_text())["clip"] == clip
        before = event["onset_frame"] - clip["first_frame"]
        after = clip["first_frame"] + clip["frames"] - 1 - event["offset_frame"]
        assert before == after == round(MARGIN_S * 60)
        assert 1.0 <= clip["factor"] <= 8.0
        frames = {}
        for name in ("face", "magnified"):
            with open_source(place / f"{name}.mp4") as source:
                frames[name] = [(frame.time, frame.rgb()) for frame in source]
        times = [[time for time, _ in frames[name]] for name in frames]
        assert times[0] == times[1] and len(times[0]) == clip["frames"]
        assert np.allclose(times[0], np.arange(clip["frames"]) / 60, atol=1e-4)
        onset, apex = (
            cv2.cvtColor(cv2.imread(str(place / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
            for name in ("onset", "apex")
        )
        assert [onset.shape[1], onset.shape[0]] == seen["size"]
        # The clip's onset and apex are the pictures' (up to compression), and not each other's.
        at = event["apex_frame"] - clip["first_frame"]
        for picture, index in ((onset, before), (apex, at)):
            shown = cv2.resize(frames["face"][index][1], picture.shape[1::-1])
            assert cv2.absdiff(shown, picture).mean() < 4
        plain, large = (largest(frames[n][before][1], frames[n][at][1]) for n in frames)
        assert large > 2 * plain


def test_frames_are_counted_where_no_index_was_kept(recording: Path, tmp_path: Path) -> None:
    """As in folders of before, which also have the clips."""
    found = {}
    for name, kept in (("sought", True), ("counted", False)):
        results = tmp_path / name
        shutil.copytree(recording, results)
        if not kept:
            shutil.rmtree(results / "events" / "index")
        [event] = json.loads((results / "events.json").read_text())["events"]
        frames = (event["onset_frame"], event["apex_frame"], event["offset_frame"])
        write_evidence(recording.parent / "video.mp4", results, results / "made", frames)
        made = results / "made" / "0"
        found[name] = {path.name: path.read_bytes() for path in made.iterdir()}
    assert found["sought"] == found["counted"]


@pytest.mark.parametrize(
    ("name", "keep"),
    [("events/index/frames.npz", 40), ("review.json", 40), ("frames.bin", 999), ("frames.bin", -1)],
)
def test_a_damaged_file_of_an_analysis_is_one_line(
    recording: Path, tmp_path: Path, name: str, keep: int
) -> None:
    results = tmp_path / "results"
    shutil.copytree(recording, results)
    [event] = json.loads((results / "events.json").read_text())["events"]
    frames = (event["onset_frame"], event["apex_frame"], event["offset_frame"])
    damaged = results / name
    damaged.write_bytes(damaged.read_bytes()[:keep]) if keep >= 0 else damaged.unlink()
    with pytest.raises(InputError, match=rf"expected .*{name}.*, got a damaged .*; remove "):
        write_evidence(recording.parent / "video.mp4", results, results / "made", frames)


@pytest.mark.parametrize("kept", ["all", "no index", "a part"])
def test_a_recording_is_shown_by_a_copy_or_else_encoded_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    video, out = tmp_path / "video.mp4", tmp_path / "out"
    config = replace(CLIP, seconds=2.0, width=320, height=240, events_per_minute=0.0)
    write_clip(video, config, 3, crf=20, preset="ultrafast")
    with_click(video, config.seconds, 0.5)
    out.mkdir()
    if kept == "no index":  # the first pass sees other pictures than the packets promised
        monkeypatch.setattr(VideoSource, "index", None)
    elif kept == "a part":  # the copy has no room, and some of the sound was handed out
        write = ProxyCopy.write

        def fill(self: ProxyCopy, packet: av.Packet) -> None:
            if packet.pts == packet.dts and packet.pts * packet.time_base > 1:
                raise OutputError("no room")
            write(self, packet)

        monkeypatch.setattr(ProxyCopy, "write", fill)
    write_recording(video, out)
    with av.open(str(video)) as first, av.open(str(out / "proxy.mp4")) as second:
        assert [s.codec_context.name for s in second.streams] == ["h264", "aac"]
        stored = [[bytes(p) for p in c.demux(video=0) if p.size] for c in (first, second)]
        assert len(stored[0]) == len(stored[1]) == 120
        assert (stored[0] == stored[1]) is (kept == "all")
    assert review_of(out)["proxy"] == {"width": 320, "height": 240, "sound": True}
    peaks = json.loads((out / "waveform.json").read_text())["peaks"]
    assert np.argmax(peaks) == pytest.approx(50, abs=2)


def test_variable_rate_is_told_frame_by_frame() -> None:
    analysis = sample_analysis()
    even = review_document(analysis)
    assert even["frame_times"] is None
    n = len(analysis.curve.times)
    assert np.allclose(
        even["start_s"] + np.arange(n) / even["fps"], analysis.curve.times, atol=1e-6
    )
    times = analysis.curve.times.copy()
    times[n // 2 :] += 0.05
    uneven = review_document(replace(analysis, track=replace(analysis.track, times=times)))
    assert np.allclose(uneven["frame_times"], times, atol=1e-6)
    # Milliseconds of a container are no variable rate, but an even one that is rounded.
    rounded = np.round(np.arange(n) / 29.97, 3)
    mean = review_document(replace(analysis, track=replace(analysis.track, times=rounded)))
    assert mean["frame_times"] is None
    assert mean["fps"] == pytest.approx(29.97, rel=1e-6)


def test_lost_stretches_are_gaps_and_null() -> None:
    analysis = sample_analysis()
    document = review_document(analysis)
    json.dumps(document, allow_nan=False)
    table = np.frombuffer(frames_bin(analysis), "<f4").reshape(len(COLUMNS), -1)
    lost = ~analysis.track.found
    assert lost.any()
    assert np.isnan(table[COLUMNS.index("t0")][lost]).all()
    assert (table[COLUMNS.index("segment")][lost] == -1).all()
    assert len(document["segments"]) == len(np.unique(analysis.track.segments)) - 1


def test_clips_stay_within_their_stretch_of_tracking() -> None:
    analysis = sample_analysis()
    event = analysis.events[0]
    segments = analysis.track.segments.copy()
    segments[: event.onset_frame - 3] = 7
    cut = replace(analysis.track, segments=segments)
    assert clip_range(event, cut).start == event.onset_frame - 3
    assert clip_range(event, analysis.track).start == event.onset_frame - round(MARGIN_S * 200)


def test_movements_held_back_are_told_with_their_pictures(tmp_path: Path) -> None:
    analysis = sample_analysis()
    told = review_document(analysis)["held_back"]
    wanted = analysis.to_dict()["held_back"]
    assert told == [
        {**e, "picture": seen} for e, seen in zip(wanted, (True, True, False), strict=True)
    ]
    assert [item["reason"] for item in told] == ["head", "macro", "light"]
    write_held_back(analysis, tmp_path)
    names = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.jpg"))
    assert names == ["0/apex.jpg", "0/onset.jpg", "1/apex.jpg", "1/onset.jpg"]
    shown = cv2.cvtColor(cv2.imread(str(tmp_path / "1" / "apex.jpg")), cv2.COLOR_BGR2RGB)
    assert cv2.absdiff(shown, analysis.held_back[1].apex_face).mean() < 3


def test_without_evidence_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="analyse with evidence"):
        review_document(sample_analysis(evidence=False))


def test_too_long_is_refused_by_what_is_stated_and_by_what_is_there(tmp_path: Path) -> None:
    shown = numbered(60, 160, 96)
    video = encode(tmp_path / "a.mp4", shown, list(range(60)), Fraction(1, 10))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(LimitError, match=r"at most 4 s, got 6 s; cut it into parts"):
        write_recording(video, out, max_seconds=4)
    # It states no duration: 25 frames a second are assumed.
    raw = bare_stream(video, tmp_path / "a.h264")
    with pytest.raises(LimitError, match=r"at most 1 s, got more; cut it into parts"):
        write_recording(raw, out, max_seconds=1)
    assert list(out.iterdir()) == []
    assert (duration(119), duration(120)) == ("119 s", "2 min")


def test_huge_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micromimic.media.formats.MOST_PIXELS", 10_000)
    video = encode(tmp_path / "a.mp4", numbered(5, 160, 96), list(range(5)), Fraction(1, 10))
    with pytest.raises(InputError, match="got 160 x 96 in .*; scale them down"):
        write_recording(video, tmp_path)


def test_much_work_in_a_small_file_is_refused_before_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micromimic.workstation.jobs.artifacts.FREE_PIXELS", 160 * 96 * 7)
    monkeypatch.setattr("micromimic.workstation.jobs.artifacts.MOST_PIXELS_A_BYTE", 1)
    shown = []
    monkeypatch.setattr(ProxyWriter, "write", lambda self, rgb, time: shown.append(time))
    grays = [np.zeros((96, 160, 3), np.uint8)] * 40
    stating = encode(tmp_path / "a.mp4", grays, list(range(40)), Fraction(1, 10))
    with pytest.raises(LimitError, match=r"at most 7 frames of 160 x 96 in a file of \d+ bytes"):
        write_recording(stating, tmp_path)
    assert shown == []
    silent = tmp_path / "a.h264"
    with av.open(str(stating)) as source, av.open(str(silent), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    with pytest.raises(LimitError, match=r"at most 7 frames of 160 x 96"):
        write_recording(silent, tmp_path)
    assert len(shown) == 7


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="not for root")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", numbered(5, 160, 96), list(range(5)), Fraction(1, 10))
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="expected to write"):
        write_recording(video, out)
