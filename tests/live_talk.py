"""Conversations with the live WebSocket, and what stands in for the pipeline behind it."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from micromimic.core.mailbox import Mailbox
from micromimic.media.live.source import LiveSource

from .web_site import SOCKET, Site, running_site

WIDTH, HEIGHT = 64, 48
START = {"type": "start", "width": WIDTH, "height": HEIGHT, "fps": 50}
KEEP = {**START, "keep": "video", "consent": True, "noted_by": "kim", "note": "form 4"}
MARK = bytes(range(200, 232))
HANG_S = 60.0
"""Only ends a hang."""
AT_ONCE = 32
"""Frames that a session's queue holds, and more, however late its thread comes to take them."""


@contextlib.contextmanager
def live_site(data: Path) -> Iterator[Site]:
    """A site with `Echo` for a pipeline, which leaves no thread behind."""
    before = set(threading.enumerate())
    with running_site(data) as site:
        watch(site, Echo)
        yield site
        ours = [t.name for t in threading.enumerate() if t.name.startswith("micromimic")]
        assert ours == []
    # The server's own pool of threads is told to end, and not waited for.
    left = [t for t in set(threading.enumerate()) - before if not t.daemon]
    for thread in left:
        thread.join(HANG_S)
    assert not [t.name for t in left if t.is_alive()]


def watch(site: Site, opened: Callable[[LiveSource], Any]) -> None:
    """Stand something else in for the pipeline."""
    site.app.state.workstation.open_live = opened


@dataclass(frozen=True)
class Said:
    """A message of any content."""

    content: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.content


class Played:
    """A live session whose messages are what `__iter__` yields, in a thread of its own."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.stopped = threading.Event()
        self.mailbox = Mailbox[Any](400, passes=lambda said: said.to_dict()["type"] == "curve")
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="micromimic-live-played")

    @property
    def curve_dropped(self) -> int:
        return self.mailbox.dropped.total()

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            for said in self:
                self.mailbox.put(said)
        except Exception as error:  # noqa: BLE001 - asked for later
            self._error = error
        finally:
            self.mailbox.end()

    def close(self) -> None:
        self.stopped.set()
        self.source.close()
        self._thread.join()

    def take_error(self) -> BaseException | None:
        error, self._error = self._error, None
        return error


class Echo(Played):
    """Tells of each frame that it takes, and when there are no more."""

    def __iter__(self) -> Iterator[Said]:
        yield Said({"type": "start"})
        taken = 0
        with contextlib.suppress(EOFError):
            while not self.stopped.is_set():
                arrival = self.source.next(0.02)
                if arrival is not None:
                    taken += 1
                    time, first = arrival.frame.time, int(arrival.frame.gray[0, 0])
                    yield Said({"type": "curve", "time_s": time, "score": first})
        yield Said({"type": "end", "received": taken})


def frame(number: int, size: int = WIDTH * HEIGHT) -> bytes:
    """Frame by its number: at 20 ms each, of one shade, with a mark to be searched for."""
    plane = bytes([number % 200]) * (size - len(MARK)) + MARK
    return struct.pack("<d", 1000.0 + 0.02 * number) + plane


@contextlib.contextmanager
def connected(site: Site, start: Any = None) -> Iterator[WebSocketTestSession]:
    with site.client.websocket_connect(SOCKET) as socket:
        if start is not None:
            socket.send_text(start if isinstance(start, str) else json.dumps(start))
        yield socket


def rest(socket: WebSocketTestSession) -> tuple[list[dict[str, Any]], int]:
    """What is still said, and the code that it closes with."""
    messages = []
    with pytest.raises(WebSocketDisconnect) as closed:
        while True:
            messages.append(socket.receive_json())
    return messages, closed.value.code


def talk(site: Site, start: Any, frames: int = 5) -> tuple[list[dict[str, Any]], int]:
    """A whole conversation."""
    messages: list[dict[str, Any]] = []
    with connected(site, start) as socket:
        for number in range(frames):
            while number >= AT_ONCE + sum(said["type"] == "curve" for said in messages):
                messages.append(socket.receive_json())
            socket.send_bytes(frame(number))
        socket.send_text('{"type": "stop"}')
        remaining, code = rest(socket)
    return messages + remaining, code


class Broken(Echo):
    """Fails after the first frame."""

    error: Exception = ValueError("a fault of ours, with a /secret/path")

    def __iter__(self) -> Iterator[Said]:
        for said in super().__iter__():
            if said.content["type"] == "curve":
                raise self.error
            yield said
