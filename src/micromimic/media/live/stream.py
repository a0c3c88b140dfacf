"""A stream from a network camera or a web address, through PyAV."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import av
import av.codec.context
import av.container
import av.error

from micromimic.core.errors import InputError, SourceLostError
from micromimic.media.clock import CATCH_UP, StreamClock
from micromimic.media.decoding.decoder import DECODING, is_default, playable
from micromimic.media.decoding.pixels import Geometry, geometry_of, gray_of, rgb_of
from micromimic.media.formats import MOST_PIXELS
from micromimic.media.frames import Frame
from micromimic.media.live.source import Arrival, ReaderSource, queue_length

OPEN_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 5.0

_PROTOCOLS: Final = {
    "http": "http,https,tcp,tls,crypto,httpproxy",
    "rtsp": "rtsp,rtp,srtp,udp,tcp,tls,http",
}
"""What a stream, or a playlist in it, may reach: never a local file."""

_UNTIMED_FORMATS: Final = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v", "mpegvideo"})
"""Formats without times of their own; FFmpeg would make up 25 frames a second."""

_END_SLACK_S: Final = 1.0


class StreamSource(ReaderSource):
    """Frames of an RTSP or HTTP stream, timed by the stream; see ``LiveSource``. Formats without
    times (MJPEG from many web cameras) are timed by arrival. A stream of stated length is a
    recording: it is played at its own speed and may end. Frames that FFmpeg marks as damaged are
    left out. ``open_timeout, read_timeout``: seconds until it is lost."""

    def __init__(
        self,
        url: str,
        *,
        open_timeout: float = OPEN_TIMEOUT_S,
        read_timeout: float = READ_TIMEOUT_S,
    ) -> None:
        self._url = url
        self._timeout = open_timeout, read_timeout
        self._times = StreamClock()
        self._numbers = itertools.count()
        self._geometry: Geometry | None = None
        # What is held back waits, still compressed, in the sender's buffers.
        super().__init__(without_credentials(url))
        if not self.finite:
            # What comes until somebody asks is read and let go: it would be old by then.
            self._start()

    def _open(self, device: contextlib.ExitStack) -> Iterator[Arrival]:
        try:
            container = av.open(
                self._url,
                options=_options(self._url),
                timeout=self._timeout,
                metadata_errors="replace",
            )
        except av.error.ExitError:
            raise InputError(
                f"expected an answer from {self.name}, got none in {self._timeout[0]:g} s; "
                "check the address and the network"
            ) from None
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"expected a video stream at {self.name}, got {_reason(error)}; check the address"
            ) from None
        device.callback(container.close)
        stream = _video(container, self.name)
        self.finite = (container.duration or 0) > 0
        if self.finite:  # what was read to see what it is must not be missing
            with contextlib.suppress(av.error.FFmpegError):
                container.seek(container.start_time or 0)
        self._length = queue_length(stream.width, stream.height)
        self._times.live = not self.finite
        self._pacer.speed = 1.0 if self.finite else CATCH_UP
        return self._read(container, stream)

    def _read(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[Arrival]:
        base = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate or 25
        timed = not _UNTIMED_FORMATS & set(container.format.name.split(","))
        self._times.connect(base, 1.0 / float(rate))
        played = 0.0  # how far a recording was read, by its own timestamps
        reason = "its end"
        try:
            for picture in _pictures(container, stream):
                if self._stop.is_set():
                    return
                if self._wanted or self.finite:
                    arrived = time.monotonic()
                    pts = picture.pts if timed else None
                    played = played if pts is None else float(pts * base)
                    seconds = self._times.seconds(pts, arrived)
                    frame = self._frame(picture, seconds, stream.sample_aspect_ratio)
                    yield Arrival(frame, arrived)
        except av.error.ExitError:
            reason = f"nothing for {self._timeout[1]:g} s"
        except (av.error.FFmpegError, OSError) as error:
            reason = _reason(error)
        ends = ((container.start_time or 0) + (container.duration or 0)) / av.time_base
        if self.finite and played >= ends - _END_SLACK_S:
            return
        remedy = "check the connection and begin again" if self.finite else "it is tried again"
        raise SourceLostError(f"expected more frames from {self.name}, got {reason}; {remedy}")

    def _frame(self, picture: av.VideoFrame, seconds: float, shape: Fraction | None) -> Frame:
        if self._geometry is None:
            self._geometry = geometry_of(picture, shape)
        elif (picture.width, picture.height) != self._geometry.stored:  # the sender changed it
            picture = picture.reformat(*self._geometry.stored)
        gray = gray_of(picture, self._geometry)
        return Frame(next(self._numbers), seconds, gray, partial(rgb_of, picture, self._geometry))


def _options(url: str) -> dict[str, str]:
    kind = "rtsp" if url[:4].lower() == "rtsp" else "http"
    options = {
        "protocol_whitelist": _PROTOCOLS[kind],
        **DECODING,
        "fflags": "nobuffer",
        "analyzeduration": "2000000",  # microseconds; the default of 5 s is a long wait
    }
    if kind == "rtsp":
        options["rtsp_transport"] = "tcp"  # a lost packet of UDP is a smeared face
    return options


def _video(container: av.container.InputContainer, name: str) -> av.VideoStream:
    videos = [s for s in playable(container) if s.width]
    if not videos:
        raise InputError(
            f"expected a video stream at {name}, got no video in it; pass the address of one"
        )
    stream = max(videos, key=lambda s: (is_default(s), s.width * s.height))
    if stream.width * stream.height > MOST_PIXELS:
        raise InputError(
            f"expected a stream of at most {MOST_PIXELS // 10**6} megapixels at {name}, got "
            f"pictures of {stream.width} x {stream.height}; let the camera send smaller ones"
        )
    stream.codec_context.options = dict(DECODING)
    # Threads over frames would hold back as many frames as there are threads.
    stream.thread_type = "SLICE"
    stream.codec_context.flags |= av.codec.context.Flags.low_delay
    return stream


def _pictures(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    for packet in container.demux(stream):
        # A damaged packet gives none: the next key frame mends it.
        with contextlib.suppress(av.error.FFmpegError):
            yield from (p for p in stream.codec_context.decode(packet) if not p.is_corrupt)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def without_credentials(url: str) -> str:
    """An address without name, password and query, to show to people.

    >>> without_credentials("rtsp://anna:secret@10.0.0.7:554/live?token=1")
    'rtsp://10.0.0.7:554/live'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a stream"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
