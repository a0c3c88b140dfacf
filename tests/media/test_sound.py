"""Sound beside the pictures of a proxy: in step, whatever the file's timing, and never an error."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from micromimic.media.sound import PEAKS_PER_S, RATE, SoundTrack
from micromimic.media.video import VideoSource, open_source
from micromimic.media.writer import ProxyWriter

IN_STEP_S = 0.04
FPS = 25
FRAMES = 50
CLAP_S = 1.0


@dataclass(frozen=True)
class Clip:
    """A dark video in which a white picture comes with a click, one second after the first."""

    name: str = "a.mp4"
    video: str = "libx264"
    sound: str = "aac"
    rate: int = 44_100
    layout: str = "mono"
    begins: float = 0.0  # seconds of the container at the first picture; sound begins at 0
    silent: tuple[float, float] | None = None  # seconds in which there are no packets of sound
    uneven: bool = False
    odd: bool = False  # samples that are no numbers

    def times(self) -> np.ndarray:
        times = np.arange(FRAMES) / FPS
        if self.uneven:
            times[1:] += np.random.default_rng(2).uniform(0, 0.6 / FPS, FRAMES - 1)
            times[30:] += 0.3
        return times + self.begins

    def write(self, folder: Path) -> Path:
        path, times = folder / self.name, self.times()
        clap = int(np.searchsorted(times, self.begins + CLAP_S - 1e-9))
        samples = np.zeros(round((times[-1] + 1 / FPS) * self.rate), np.float32)
        click = round(times[clap] * self.rate)
        samples[click : click + self.rate // 100] = np.resize([0.9, -0.9], self.rate // 100)
        if self.odd:
            samples[: self.rate // 2 : 7] = np.nan
            samples[1 : self.rate // 2 : 7] = np.inf
        with av.open(str(path), "w") as out:
            video = out.add_stream(self.video, rate=FPS)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            video.codec_context.time_base = Fraction(1, 1000)
            sound: Any = out.add_stream(self.sound, rate=self.rate, layout=self.layout)
            events = [(time, 0, n) for n, time in enumerate(times)]
            events += [(at / self.rate, 1, at) for at in range(0, len(samples), 1024)]
            for time, kind, n in sorted(events):
                if kind == 0:
                    tone = 255 if n == clap else 20
                    picture = av.VideoFrame.from_ndarray(np.full((48, 64), tone, np.uint8), "gray")
                    picture.pts, picture.time_base = round(time * 1000), Fraction(1, 1000)
                    out.mux(video.encode(picture))
                elif self.silent is None or not self.silent[0] <= time < self.silent[1]:
                    block = np.tile(samples[n : n + 1024], (sound.codec_context.channels, 1))
                    heard = av.AudioFrame.from_ndarray(block, format="fltp", layout=self.layout)
                    heard.sample_rate, heard.pts = self.rate, n
                    heard.time_base = Fraction(1, self.rate)
                    out.mux(sound.encode(heard))
            out.mux(video.encode(None))
            out.mux(sound.encode(None))
        return path


def proxy_of(path: Path, fps: float | None = None) -> tuple[Path, SoundTrack]:
    out = path.with_name("proxy.mp4")
    with open_source(path, fps) as source:
        assert isinstance(source, VideoSource)
        with (
            source.open_sound() as sound,
            ProxyWriter(out, source.width, source.height, rate=FPS, sound=sound) as writer,
        ):
            for frame in source:
                writer.write(frame.rgb(), frame.time)
    return out, sound


def heard_in(path: Path) -> np.ndarray:
    """Loudness of each sample of a file, from its beginning on."""
    with av.open(str(path)) as container:
        blocks = [(frame.time, frame.to_ndarray()) for frame in container.decode(audio=0)]
    loud = np.zeros(round(blocks[-1][0] * RATE) + blocks[-1][1].shape[1], np.float32)
    for time, block in blocks:
        start = round(time * RATE)
        loud[start : start + block.shape[1]] = np.abs(block).max(0)[: len(loud) - start]
    return loud


def claps(path: Path) -> tuple[list[float], list[float]]:
    """When a white picture begins, and when a click does, seconds."""
    with av.open(str(path)) as container:
        white = [
            f.time for f in container.decode(video=0) if f.to_ndarray(format="gray")[9, 9] > 99
        ]
    loud = np.flatnonzero(heard_in(path) > 0.3)
    begins = loud[np.diff(loud, prepend=-RATE) > RATE // 4]
    return white, (begins / RATE).tolist()


@pytest.mark.parametrize(
    "clip",
    [
        Clip(),
        Clip("a.mkv", begins=0.6),
        Clip("a.mkv", sound="flac", rate=32_000, silent=(0.0, 0.5)),
        Clip("a.mkv", sound="mp3", silent=(0.3, 0.8)),
        Clip("a.mov", sound="pcm_s16le", rate=8_000, uneven=True),
        Clip("a.webm", video="libvpx", sound="libopus", rate=48_000, layout="stereo"),
        Clip("a.avi", video="mpeg4", sound="libmp3lame"),
        Clip("a.ts", sound="ac3", rate=48_000, layout="5.1", begins=0.3),
        Clip("a.mov", sound="pcm_f32le", odd=True),
    ],
    ids=lambda clip: f"{clip.name}-{clip.sound}",
)
def test_a_clap_is_heard_when_it_is_seen(tmp_path: Path, clip: Clip) -> None:
    proxy, sound = proxy_of(clip.write(tmp_path))
    assert sound.problem == ""
    with av.open(str(proxy)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == ("aac", RATE)
        assert stream.codec_context.layout.name == sound.layout
        assert sound.layout == ("mono" if clip.layout == "mono" else "stereo")
        packets = sorted((p for p in container.demux() if p.size), key=lambda p: p.pos)
        stored = [(p.stream.type, float(p.pts * p.time_base)) for p in packets]
    pictures = [time for kind, time in stored if kind == "video"]
    white, clicks = claps(proxy)
    loud = np.frombuffer(sound.peaks, np.uint8)
    if not clip.odd:
        assert len(white) == len(clicks) == 1
        assert abs(white[0] - clicks[0]) < IN_STEP_S
        assert abs(int(loud.argmax()) / PEAKS_PER_S - white[0]) < IN_STEP_S
    # As long as the pictures, and beside them in the file: a player need not jump to and fro.
    assert len(pictures) == FRAMES
    assert len(loud) == pytest.approx((pictures[-1] + 1 / FPS) * PEAKS_PER_S, abs=5)
    shown = 0.0
    for kind, time in stored:
        shown = time if kind == "video" else shown
        assert abs(time - shown) < 0.7


def test_a_clock_that_starts_again_starts_again_for_both(tmp_path: Path) -> None:
    first = Clip("a.ts").write(tmp_path).read_bytes()
    second = Clip("b.ts", rate=32_000).write(tmp_path).read_bytes()
    (tmp_path / "c.ts").write_bytes(first + second)
    proxy, sound = proxy_of(tmp_path / "c.ts")
    white, clicks = claps(proxy)
    assert sound.problem == ""
    assert len(white) == len(clicks) == 2
    # Where tracks of different length meet, neither says when the other's new clock began.
    assert np.abs(np.subtract(white, clicks)).max() < 2 * IN_STEP_S


def test_sound_against_the_files_timing_is_left_out(tmp_path: Path) -> None:
    path = Clip().write(tmp_path)
    assert proxy_of(path, fps=FPS)[1].layout == "mono"
    proxy, sound = proxy_of(path, fps=100)
    assert "shown without its sound: its frame rate was given" in sound.problem
    with av.open(str(proxy)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def spoiled(path: Path, first: int, last: int) -> Path:
    """The same file, with packets of its sound that hold something else."""
    out = path.with_name(f"spoiled{path.suffix}")
    with av.open(str(path)) as source, av.open(str(out), "w") as sink:
        streams = {s.index: sink.add_stream_from_template(s) for s in source.streams}
        count = 0
        for packet in source.demux():
            if not packet.size:
                continue
            copy = packet
            if packet.stream.type == "audio":
                if first <= count < last:
                    copy = av.Packet(b"\x55" * packet.size)
                    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                count += 1
            copy.stream = streams[packet.stream.index]
            sink.mux(copy)
    return out


def test_damaged_sound_is_silence_and_a_line(tmp_path: Path) -> None:
    path = Clip("a.mkv", sound="flac", rate=48_000).write(tmp_path)
    proxy, sound = proxy_of(spoiled(path, 2, 6))
    assert sound.problem == "the sound is silent in places: 4 parts of it are damaged"
    white, clicks = claps(proxy)
    assert abs(white[0] - clicks[0]) < IN_STEP_S
    proxy, sound = proxy_of(spoiled(path, 0, 10_000))
    assert "shown without its sound: it cannot be decoded" in sound.problem
    assert (sound.layout, len(sound.peaks)) == ("", 0)
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_NONE"))
    assert "without its sound: it is of an unknown kind" in proxy_of(path)[1].problem
    with av.open(str(proxy)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
