"""Sizes that a small file can state: refused before anything is decoded, or bounded in memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from micromimic.analysis.quality import flicker, grey_levels
from micromimic.core.errors import InputError
from micromimic.face.signals import FaceRow, FaceSignals
from micromimic.media.decoding.decoder import Decoder
from micromimic.media.formats import MOST_PIXELS
from micromimic.media.live.push import PushSource
from micromimic.media.video import open_source
from micromimic.motion.spotting.cells import spot
from micromimic.motion.spotting.live import LiveSpotter
from micromimic.motion.spotting.time_grid import grid_rate, stretches
from micromimic.preparation.sources import read_picture
from micromimic.workstation.jobs.supervise import TimeLimits

from ..analysis.test_quality import check

MIB = 2**20


def huge_gif(path: Path, side: int = 16_000, frames: int = 4) -> Path:
    """An animation whose frames draw a single pixel each of a huge canvas."""
    size = struct.pack("<HH", side, side)
    frame = bytes.fromhex("21f904000a000000 2c00000000010001000002024401 00")
    head = b"GIF89a" + size + bytes.fromhex("f00000 000000 ffffff")
    path.write_bytes(head + frames * frame + b";")
    return path


def huge_png(path: Path, side: int = 20_000) -> Path:
    """A picture of one grey, all of it there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


def grown_mib(code: str) -> int:
    """What opening takes in a process of its own, at most; the code must end in an InputError."""
    program = (
        "import resource, sys\n"
        "from micromimic.core.errors import InputError\n"
        "from micromimic.media.video import open_source\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        f"try:\n    {code}\n"
        "except InputError: print((peak() - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_8k_is_not_too_large() -> None:
    assert MOST_PIXELS > 7680 * 4320


def test_a_huge_animation_is_refused_undecoded(tmp_path: Path) -> None:
    path = huge_gif(tmp_path / "h.gif")
    with pytest.raises(InputError, match=r"at most 40 megapixels, got .* in .*h.gif; scale"):
        open_source(path)
    with Decoder(path) as decoder:
        assert list(decoder.pictures()) == []
        assert decoder.undecodable == 4
    assert grown_mib(f"open_source({str(path)!r})") < 64


def test_a_video_that_states_too_large_a_size_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height = 160, 96
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame(160, 96, "yuv420p")))
        out.mux(stream.encode(None))
    monkeypatch.setattr("micromimic.media.formats.MOST_PIXELS", 160 * 96)
    open_source(path).close()
    monkeypatch.setattr("micromimic.media.formats.MOST_PIXELS", 160 * 96 - 1)
    with pytest.raises(InputError, match=r"got 160 x 96 in .*a.mp4; scale them down"):
        open_source(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "bmp", "jp2", "pgm"])
def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for name in ("1", "2"):
        Image.new("L", (256, 256)).save(folder / f"{name}.{ending}")
    open_source(folder, fps=25).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("micromimic.media.formats.MOST_PIXELS", 256 * 255)
        patch.setattr("cv2.imdecode", lambda *_: pytest.fail("decoded"))
        for read in (
            lambda: open_source(folder, fps=25),
            lambda: read_picture(folder / f"2.{ending}"),
        ):
            with pytest.raises(InputError, match=r"got 256 x 256 in .*; scale them down"):
                read()


def test_a_folder_of_huge_pictures_takes_no_memory(tmp_path: Path) -> None:
    huge_png(tmp_path / "1.png")
    (tmp_path / "2.png").hardlink_to(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"got 20000 x 20000 in .*1.png"):
        open_source(tmp_path, fps=25)
    assert grown_mib(f"open_source({str(tmp_path)!r}, fps=25)") < 64


def test_a_later_page_of_a_stack_is_looked_at_too(tmp_path: Path) -> None:
    pages = [Image.new("L", size) for size in ((64, 48), (64, 48), (256, 256))]
    pages[0].save(tmp_path / "s.tif", save_all=True, append_images=pages[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("micromimic.media.formats.MOST_PIXELS", 256 * 255)
        with (
            open_source(tmp_path / "s.tif", fps=25) as source,
            pytest.raises(InputError, match="got 256 x 256"),
        ):
            list(source)


def test_pushed_frames_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micromimic.media.formats.MOST_PIXELS", 64 * 47)
    with PushSource() as source:
        with pytest.raises(InputError, match="got 64 x 48 in what is pushed"):
            source.put(np.zeros((48, 64), np.uint8))
        assert source.put(np.zeros((32, 64), np.uint8))


def signals_at(times: np.ndarray) -> FaceSignals:
    n = len(times)
    rng = np.random.default_rng(0)
    transform = np.zeros((n, 2, 3))
    transform[:, 0, 0] = transform[:, 1, 1] = 10.0
    return FaceSignals(
        times=times,
        segments=np.zeros(n, int),
        displacement=rng.normal(0, 0.001, (n, 10, 2)).astype(np.float32),
        eye_change=np.full(n, 0.03, np.float32),
        brightness=np.full(n, 120, np.float32),
        similarity=np.ones(n, np.float32),
        transform=transform,
        landmarks={0: np.zeros((68, 2))},
    )


PAUSE = np.concatenate([np.arange(300) / 100, 1e6 + np.arange(300) / 100])
BURST = np.concatenate([np.arange(400) * 1e-9, 0.04 * np.arange(1, 300)])
"""Most frames a nanosecond apart, the others 40 ms."""


@pytest.mark.parametrize("times", [PAUSE, BURST], ids=["pause", "burst"])
def test_time_is_cut_at_a_gap_and_a_grid_is_bounded(times: np.ndarray) -> None:
    signals = signals_at(times)
    pieces = stretches(signals, grid_rate(times))
    assert sum(len(piece.times) for piece in pieces) <= 4 * len(times)
    tracemalloc.start()
    try:
        result = spot(signals)
        flicker(times, signals.brightness)
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()
    assert result.events == ()
    assert result.spotting.observed_s < 13


def test_a_pause_of_the_source_ends_a_stretch_by_time_alone() -> None:
    pieces = stretches(signals_at(PAUSE), 100.0)
    assert [len(piece.times) for piece in pieces] == [300, 300]
    short = np.concatenate([np.arange(300) / 100, 3.2 + np.arange(300) / 100])
    assert len(stretches(signals_at(short), 100.0)) == 2
    bridged = np.concatenate([np.arange(300) / 100, 3.05 + np.arange(300) / 100])
    assert len(stretches(signals_at(bridged), 100.0)) == 1
    slow = signals_at(np.arange(60) / 5)  # a step of 0.2 s is a slow camera's, not a pause
    assert [len(piece.times) for piece in stretches(slow, 5.0)] == [60]


@pytest.mark.parametrize("times", [PAUSE, np.concatenate([[0.0], 1e6 + PAUSE[:300]]), BURST])
def test_live_time_is_cut_and_bounded_too(times: np.ndarray) -> None:
    signals = signals_at(times)
    spotter = LiveSpotter()
    tracemalloc.start()
    try:
        for n, time in enumerate(times):
            row = FaceRow(
                float(time), 0, signals.displacement[n], 0.03, 120.0, 1.0, signals.transform[n]
            )
            spotter.add(n, float(time), row)
        spotter.finish()
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()


def test_flicker_is_found_on_either_side_of_a_pause() -> None:
    t = np.concatenate([np.arange(2000) / 200, 500 + np.arange(2000) / 200])
    found = flicker(t, 100 + np.sin(2 * np.pi * 20 * t))
    assert found is not None
    assert found == pytest.approx((20.0, 0.01), abs=0.3)


def test_a_jobs_time_goes_by_frames_and_pixels() -> None:
    seconds = TimeLimits(whole_s=43_800.0).for_work
    assert seconds(6_000, 640 * 480) < 1_000
    assert seconds(720_000, 640 * 480) > 40_000  # an hour at 200 frames/s
    assert seconds(720_000, 64 * 48) == seconds(720_000, 640 * 480)
    assert seconds(10**9, 36_000_000) == 43_800


def test_few_grey_levels_are_told() -> None:
    rng = np.random.default_rng(0)
    face = np.clip(rng.normal(120, 30, (100, 100)), 0, 255).astype(np.uint8)
    assert grey_levels(face) > 100
    assert grey_levels(face // 16) <= 16
    assert grey_levels(face // 16 * 16) <= 16
    assert check(grey_levels=100.0) == {}
    message = check(grey_levels=15.0)["few_grey_levels"]
    assert "only 15 of 256 grey levels, where 32 are needed" in message
    assert check(grey_levels=None) == {}
