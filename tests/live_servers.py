"""Numbered pictures, what takes them from a live source, and real servers that stream them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from micromimic.core.errors import SourceLostError
from micromimic.media.live.source import Arrival, LiveSource

WIDTH, HEIGHT, BITS = 160, 64, 10
HANG_S = 30.0


def numbered(number: int) -> NDArray[np.uint8]:
    """A grey picture that carries a number in ten stripes, to be read after any compression."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 160 + 48, WIDTH // BITS)
    return np.repeat(row[None], HEIGHT, axis=0)


def number_of(gray: NDArray[np.uint8]) -> int:
    """The number in a picture of ``numbered``."""
    stripes = gray.reshape(HEIGHT, BITS, WIDTH // BITS)[4:-4, :, 4:-4].mean(axis=(0, 2))
    return int(sum(1 << bit for bit, level in enumerate(stripes) if level > 128))


def write_numbered(
    file: Any,
    fps: float = 50.0,
    frames: int = 50,
    *,
    kind: str | None = None,
    pace: Callable[[int], bool] = lambda number: True,
    b_frames: int = 0,
    times: list[float] | None = None,
    faststart: bool = False,
) -> None:
    """Write numbered frames as H.264 until ``pace`` says no.

    Args:
        file: path or file object.
        kind: container format; by the name if left out.
        times: of each frame, seconds; even by ``fps`` if left out.
        faststart: an MP4 that can be read from its start on.
    """
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(file, "w", format=kind, options=options) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", "g": "10", "bf": str(b_frames), "crf": "18"}
        if not b_frames:
            stream.options |= {"tune": "zerolatency"}
        for number in range(frames):
            if not pace(number):
                break
            picture = av.VideoFrame.from_ndarray(numbered(number), format="gray")
            picture = picture.reformat(format="yuv420p")
            at = number / fps if times is None else times[number]
            picture.pts, picture.time_base = round(at * 90000), Fraction(1, 90000)
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def take(source: LiveSource, count: int) -> list[Arrival]:
    """The next so many arrivals."""
    got: list[Arrival] = []
    ends = time.monotonic() + HANG_S
    while len(got) < count:
        arrival = source.next(0.5)
        if arrival is not None:
            got.append(arrival)
        assert time.monotonic() < ends, f"only {len(got)} of {count} frames came"
    return got


def take_all(source: LiveSource) -> list[Arrival]:
    """All arrivals of a source that ends."""
    got: list[Arrival] = []
    with pytest.raises(EOFError):
        while True:
            got += take(source, 1)
    return got


def take_until_lost(source: LiveSource) -> list[Arrival]:
    """All arrivals until the source is lost."""
    got: list[Arrival] = []
    with pytest.raises(SourceLostError):
        while True:
            got += take(source, 1)
    return got


def numbers(arrivals: list[Arrival]) -> list[int]:
    return [number_of(a.frame.gray) for a in arrivals]


def check_order(arrivals: list[Arrival]) -> None:
    """What every source promises: numbers from 0 without a gap, times and arrivals that rise."""
    assert [a.frame.index for a in arrivals] == list(range(len(arrivals)))
    assert arrivals[0].frame.time == 0.0
    assert (np.diff([a.frame.time for a in arrivals]) > 0).all()
    assert (np.diff([a.arrived for a in arrivals]) >= 0).all()
    assert arrivals[-1].arrived <= time.monotonic()


class _Pipe:
    """A file object that sends what is written."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self._out.flush()
        return len(data)


def hold_port(port: int = 0) -> socket.socket:
    """A socket that keeps a port for us while nobody listens there; whoever connects is refused."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind(("127.0.0.1", port))
    return place


class StreamServer:
    """HTTP server of one stream; ``kill`` cuts every connection.

    Args:
        kind: ``mpegts`` or ``mjpeg`` in real time; ``file``: ``body`` at once,
            or as much as ``cut`` of it, or
            ``first`` bytes and the rest after ``go``; ``text``: no video;
            ``silent``: never an answer; ``missing``: 404.
        frames: the stream ends after so many; with ``hold`` it falls silent instead.
    """

    def __init__(
        self,
        kind: str,
        fps: float = 50.0,
        frames: int = 100_000,
        *,
        port: int = 0,
        hold: bool = False,
        body: bytes = b"",
        cut: int | None = None,
        first: int | None = None,
        path: str = "/stream",
    ) -> None:
        self.kind, self.fps, self.frames, self.hold = kind, fps, frames, hold
        self.body, self.cut, self.first = body, cut, first
        self.go = threading.Event()
        self.sent = 0
        self.connections = 0
        self._sockets: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.connections += 1
                outer._sockets.append(self.connection)
                with contextlib.suppress(OSError, av.error.FFmpegError):
                    outer._answer(self)
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            allow_reuse_port = True

        self._stopped = threading.Event()
        self._place = hold_port(port)  # another server may come here when this one is gone
        weakref.finalize(self, self._place.close)
        self.port = self._place.getsockname()[1]
        self._server = Server(("127.0.0.1", self.port), Handler)
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.kind == "missing":
            request.send_error(404)
            return
        request.send_response(200)
        if self.kind == "silent":
            request.end_headers()
            self._stopped.wait()
        elif self.kind == "text":
            request.end_headers()
            request.wfile.write(b"hello, this is no video\n" * 50)
        elif self.kind == "file":
            request.send_header("Content-Length", str(len(self.body)))
            request.end_headers()
            if self.first is not None:
                request.wfile.write(self.body[: self.first])
                self.go.wait()
            request.wfile.write(self.body[self.first or 0 : self.cut])
        elif self.kind == "mjpeg":
            request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            request.end_headers()
            for number in self._paced():
                jpeg = cv2.imencode(".jpg", numbered(number))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                request.wfile.write(head.encode() + jpeg + b"\r\n")
        else:
            request.send_header("Content-Type", "video/mp2t")
            request.end_headers()
            pace = self._pace()
            out: Any = _Pipe(request.wfile)
            write_numbered(out, self.fps, self.frames, kind="mpegts", pace=pace)
            if self.hold:
                self._stopped.wait()

    def _pace(self) -> Callable[[int], bool]:
        began = time.monotonic()

        def wait(number: int) -> bool:
            rest = began + number / self.fps - time.monotonic()
            self.sent = number
            return not self._stopped.wait(max(0.0, rest))

        return wait

    def _paced(self) -> Iterator[int]:
        pace = self._pace()
        for number in range(self.frames):
            if not pace(number):
                return
            yield number

    def kill(self) -> None:
        """Cut every connection and stop listening."""
        self._stopped.set()
        self.go.set()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> StreamServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
