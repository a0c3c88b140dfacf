"""Write a video, whole or not at all: for analysis, or as a copy that a browser steps through."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.closing import Closing
from micromimic.core.errors import OutputError
from micromimic.core.files import begun
from micromimic.media.decoding.pixels import BT601
from micromimic.media.frames import Yuv
from micromimic.media.sound import RATE as SOUND_RATE, SoundTrack


class WholeVideo(Closing):
    """Base of what encodes into a temporary file; leaving ``with`` moves it into place, and after
    an error nothing is left. A subclass calls ``_begin`` and sets ``_stream``."""

    path: Path  # where the file will be
    temporary: Path  # where it is until then
    _container: Any
    _stream: Any
    _begun: ExitStack

    def _begin(self, path: Path, **options: Any) -> None:
        """Open the container in a file beside ``path``; a folder that refuses it says so now."""
        self.path = path
        with ExitStack() as stack:
            try:
                self.temporary = stack.enter_context(begun(path.parent, path.suffix or ".part"))
                self._container = av.open(f"file:{self.temporary}", "w", **options)
            except (OSError, ValueError) as error:
                raise self._failure(error) from None
            self._begun = stack.pop_all()

    def _mux(self, frame: av.VideoFrame | av.AudioFrame | None, stream: Any = None) -> None:
        """Encode one picture, or a frame of another ``stream``; None flushes."""
        self._store(lambda: (stream or self._stream).encode(frame))

    def _store(self, packets: Callable[[], Any]) -> None:
        try:
            self._container.mux(packets())
        except (OSError, av.error.FFmpegError) as error:
            self.discard()
            raise self._failure(error) from None

    def _flush(self) -> None:
        self._mux(None)

    def close(self) -> None:
        self._flush()
        try:
            self._container.close()
            self.temporary.replace(self.path)
            self._begun.close()
        except (OSError, av.error.FFmpegError) as error:
            self.discard()
            raise self._failure(error) from None

    def discard(self) -> None:
        """Leave nothing behind; may be called twice."""
        with contextlib.suppress(OSError, av.error.FFmpegError):
            self._container.close()
        self._begun.close()

    def _failure(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(
            f"expected to write {self.path}, got {reason}; choose a writable folder with room"
        )

    def __exit__(self, kind: object = None, *error: object) -> None:
        self.close() if kind is None else self.discard()


_NEUTRAL: Final = 128
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
TICKS: Final = 90_000  # ticks a second of a timed video
_LOSSLESS: Final = {"qp": "0", "preset": "ultrafast"}


class VideoWriter(WholeVideo):
    """H.264 in the container that the ending names (``.mp4``, ``.mkv``, ``.mov``).

    ``lossless`` keeps every bit of the luma that analysis reads: a grey frame comes back exactly;
    else x264 at ``crf``: 18 looks like the original but loses the sensor's noise, and with it the
    finest movement. RGB frames become full-range YUV (4:2:0, or 4:4:4 for odd sizes), so colour
    comes back within rounding. There is a keyframe at least each second, and no frame reordering,
    so that seeking is quick and exact. In a ``timed`` video each frame comes with its own time, and
    ``fps`` is a hint.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        width: int,
        height: int,
        lossless: bool = True,
        *,
        crf: int = 18,
        preset: str = "veryfast",
        timed: bool = False,
    ) -> None:
        self._size = width, height
        odd = width % 2 == 1 or height % 2 == 1
        self._format = "yuv444p" if odd else "yuv420p"
        self.frames = 0
        self._begin(Path(path))
        rate = Fraction(fps).limit_denominator(1001)
        options = _LOSSLESS if lossless else {"crf": str(crf), "preset": preset, "bf": "0"}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = self._format
        context = self._stream.codec_context
        context.gop_size = max(1, round(fps))
        context.color_range = _FULL_RANGE
        self._tick = Fraction(1, TICKS) if timed else 1 / rate
        context.time_base = self._tick
        self._timed = timed
        self._last = -1

    def write(self, frame: NDArray[np.uint8], time: float | None = None) -> None:
        """Append one frame: (H, W) grey or (H, W, 3) RGB, uint8. ``time``: seconds from the first
        frame, rising; for a ``timed`` video and only there."""
        if (time is not None) != self._timed:
            raise ValueError("expected a time for each frame of a timed video, and for no other")
        width, height = self._size
        if frame.dtype != np.uint8 or frame.shape not in ((height, width), (height, width, 3)):
            raise ValueError(
                f"frame must be ({height}, {width}) or ({height}, {width}, 3) uint8, got "
                f"{frame.shape} {frame.dtype}"
            )
        if frame.ndim == 2:
            picture = self._from_gray(frame)
        else:
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = rgb.reformat(format=self._format, dst_color_range=_FULL_RANGE)
        # Two times within one tick become two ticks.
        place = self.frames if time is None else max(self._last + 1, round(time * TICKS))
        picture.pts = self._last = place
        picture.time_base = self._tick
        picture.color_range = _FULL_RANGE
        self.frames += 1
        self._mux(picture)

    def _from_gray(self, gray: NDArray[np.uint8]) -> av.VideoFrame:
        picture = av.VideoFrame(*self._size, self._format)
        for number, plane in enumerate(picture.planes):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            if number == 0:
                rows[: gray.shape[0], : gray.shape[1]] = gray
            else:
                rows[:] = _NEUTRAL
        return picture


LONG_SIDE: Final = 960  # pixels along a proxy's longer side, at most
KEY_EVERY: Final = 12  # frames from key frame to key frame: a step backwards decodes at most these
_LIMITED_RANGE: Final = 1
_SOUND_EVERY_S: Final = 0.25  # so much of it at a time: a frame's worth would cost more calls
_SOUND_BITS: Final = {"mono": 64_000, "stereo": 96_000}  # a second: speech, as it was said


def proxy_size(width: int, height: int, long_side: int = LONG_SIDE) -> tuple[int, int]:
    """Width and height of a proxy: even, at most ``long_side``, never enlarged."""
    share = min(1.0, long_side / max(width, height))
    across, down = (max(2, int(side * share / 2 + 0.25) * 2) for side in (width, height))
    return across, down


def _resized(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if picture.shape[:2] == (height, width):
        return picture
    # By less than half, averaging takes four times as long and shows nothing more.
    half = picture.shape[1] >= 2 * width
    way = cv2.INTER_AREA if half else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


class PlayedVideo(WholeVideo):
    """Base of what a review plays: an MP4 that begins before it is all there. ``sound`` goes beside
    the pictures as AAC, from the time 0 to the end of the last frame; it stays the caller's to
    close."""

    def _begin_played(self, path: Path, rate: float) -> None:
        self._begin(path, format="mp4", options={"movflags": "+faststart"})
        self._time, self._step = -math.inf, 1 / rate  # of the last picture

    def _add_sound(self, sound: SoundTrack | None) -> None:
        """The second track, before anything is written."""
        self._sound = sound if sound is not None and sound.layout else None
        self._samples = 0
        if self._sound is not None:
            layout = self._sound.layout
            self._audio = self._container.add_stream("aac", rate=SOUND_RATE, layout=layout)
            self._audio.bit_rate = _SOUND_BITS[layout]

    def _shown(self, time: float) -> None:
        """A picture was written: the sound comes after it, some of it at a time."""
        self._time = time
        if self._sound is not None and time - self._samples / SOUND_RATE >= _SOUND_EVERY_S:
            self._mux_sound(self._sound, time)

    def _mux_sound(self, sound: SoundTrack, until: float) -> None:
        for samples in sound.until(until):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples), format="fltp", layout=sound.layout
            )
            frame.sample_rate = SOUND_RATE
            frame.pts, frame.time_base = self._samples, Fraction(1, SOUND_RATE)
            self._samples += samples.shape[1]
            self._mux(frame, self._audio)

    def close(self) -> None:
        if self._sound is not None and self._time >= 0:
            self._mux_sound(self._sound, self._time + self._step)
            self._mux(None, self._audio)
        super().close()


class ProxyWriter(PlayedVideo):
    """H.264 (MP4, 4:2:0) without reordered frames, seekable from any twelfth frame.

    Frame n of the proxy shows frame n of the source at the same time, to 1/90,000 s, whatever the
    source's rate (``rate`` is a hint for the encoder). Pictures as video stores them are not
    converted: the proxy has the first one's matrix and range.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        *,
        long_side: int = LONG_SIDE,
        rate: float = 25.0,
        crf: int = 24,
        sound: SoundTrack | None = None,
    ) -> None:
        self.size = proxy_size(width, height, long_side)
        self.frames = 0
        self._source = height, width
        self._last = -1
        self._begin_played(path, rate)
        options = {"crf": str(crf), "preset": "ultrafast", "bf": "0", "sc_threshold": "0"}
        stream = self._container.add_stream(
            "libx264", rate=max(1, min(1000, round(rate))), options=options
        )
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.gop_size = KEY_EVERY
        context.thread_count = 1
        context.time_base = Fraction(1, TICKS)
        self._coding = BT601, _LIMITED_RANGE
        self._stream = stream
        self._add_sound(sound)

    def write(self, picture: NDArray[np.uint8] | Yuv, time: float) -> None:
        """Append one frame. ``picture``: (H, W, 3) uint8 RGB, or as video stores it."""
        luma = picture.luma if isinstance(picture, Yuv) else picture[..., 0]
        if luma.dtype != np.uint8 or luma.shape != self._source:
            raise ValueError(
                f"frame must be {self._source} pixels of uint8, got {luma.shape} {luma.dtype}"
            )
        if not time > self._time:
            raise ValueError(f"times must rise, got {time} after {self._time}")
        frame = self._coded(picture if isinstance(picture, Yuv) else self._yuv(picture))
        # Two frames less than a tick apart stay two frames.
        self._last = frame.pts = max(self._last + 1, round(time * TICKS))
        frame.time_base = Fraction(1, TICKS)
        self.frames += 1
        self._mux(frame)
        self._shown(time)

    def _yuv(self, rgb: NDArray[np.uint8]) -> Yuv:
        width, height = self.size
        planes = cv2.cvtColor(_resized(rgb, width, height), cv2.COLOR_RGB2YUV_I420)
        blue, red = planes[height:].reshape(2, height // 2, width // 2)
        return Yuv(np.asarray(planes[:height], np.uint8), blue, red, BT601, full_range=False)

    def _coded(self, picture: Yuv) -> av.VideoFrame:
        """In the proxy's size, matrix and range: the first picture's."""
        coding = picture.matrix, 1 + picture.full_range  # as FFmpeg numbers ranges
        context = self._stream.codec_context
        if not self.frames:
            context.colorspace, context.color_range = self._coding = coding
        frame = av.VideoFrame(*self.size, "yuv420p")
        for plane, values in zip(frame.planes, picture[:3], strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            rows[:, : plane.width] = _resized(values, plane.width, plane.height)
        if coding != self._coding:
            frame = frame.reformat(
                src_colorspace=coding[0],
                dst_colorspace=self._coding[0],
                src_color_range=coding[1],
                dst_color_range=self._coding[1],
            )
        frame.colorspace, frame.color_range = self._coding
        return frame


class ProxyCopy(PlayedVideo):
    """Packets of a video as they are, in order of decoding. ``template``: their stream;
    ``first``: the first picture's time, ticks, which becomes 0; ``rate`` is a hint."""

    def __init__(
        self, path: Path, template: Any, first: int, rate: float, sound: SoundTrack | None
    ) -> None:
        self._first = first
        self._begin_played(path, rate)
        self._stream = self._container.add_stream_from_template(template)
        self._add_sound(sound)

    def write(self, packet: av.Packet[av.VideoStream]) -> None:
        assert packet.pts is not None and packet.dts is not None
        packet.pts, packet.dts = packet.pts - self._first, packet.dts - self._first
        time = float(packet.pts * packet.time_base)
        packet.stream = self._stream
        self._store(lambda: packet)
        self._shown(max(time, self._time))

    def _flush(self) -> None:
        """There is no encoder."""
