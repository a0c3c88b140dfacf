"""Streams from a real server on loopback, which is killed and comes back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from micromimic.core.errors import InputError, SourceLostError
from micromimic.media.clock import Pacer, StreamClock
from micromimic.media.live.open import open_live
from micromimic.media.live.source import Arrival
from micromimic.media.live.stream import StreamSource

from ..live_servers import (
    HANG_S,
    StreamServer,
    check_order,
    number_of,
    numbers,
    take,
    take_all,
    take_until_lost,
    write_numbered,
)
from ..waiting import wait_for

MS = Fraction(1, 1000)


pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.mark.parametrize("kind", ["mpegts", "mjpeg"])
def test_a_stream_breaks_and_comes_back(kind: str) -> None:
    with StreamServer(kind, fps=50) as server:
        source = StreamSource(server.url, read_timeout=5)
        assert source.name == server.url and not source.finite
        got = take(source, 25)
    first = numbers(got)
    assert first == list(range(first[0], first[0] + 25))
    if kind == "mpegts":  # its own times, exact
        assert [a.frame.time for a in got] == pytest.approx([n / 50 for n in range(25)], abs=2e-5)
    else:  # it has none; FFmpeg would make up 25 frames a second
        played = [a.arrived - got[0].arrived for a in got]
        assert [a.frame.time for a in got] == pytest.approx(played, abs=1e-6)
    got += take_until_lost(source)
    assert source.reopen() is False  # nobody listens
    with pytest.raises(SourceLostError):
        source.next(0.0)
    with StreamServer(kind, fps=50, port=server.port):
        wait_for(source.reopen)
        again = take(source, 25)
        source.close()
    check_order(got + again)
    second = numbers(again)
    assert second == list(range(second[0], second[0] + 25))
    assert second[0] < first[-1] + 25  # the server began anew
    gap = again[0].frame.time - got[-1].frame.time
    assert gap == pytest.approx(again[0].arrived - got[-1].arrived, abs=1.0)


def burst(path: Path, **options: Any) -> list[Arrival]:
    """What comes of a stream whose second half is sent at once."""
    write_numbered(path, 50, 160, **options)
    body = path.read_bytes()
    server = StreamServer("file", body=body, first=len(body) // 2)
    with server, StreamSource(server.url) as source:
        got = [arrival for arrival in [source.next(0.0)] if arrival]
        server.go.set()
        got += take_until_lost(source)  # a stream of no stated length does not end, it breaks
    check_order(got)
    assert np.diff(numbers(got)).tolist() == [1] * (len(got) - 1)
    assert numbers(got)[-1] == 159 and len(got) > 40
    return got


def test_a_stream_with_b_frames_keeps_its_order(tmp_path: Path) -> None:
    burst(tmp_path / "b.ts", b_frames=3)


def test_a_burst_is_handed_out_as_a_flow(tmp_path: Path) -> None:
    got = burst(tmp_path / "burst.ts")[-40:]
    took = got[-1].arrived - got[0].arrived
    assert took >= (got[-1].frame.time - got[0].frame.time) / 1.25 - 1e-6


def test_what_came_before_anybody_asked_is_let_go() -> None:
    with StreamServer("mpegts", fps=50) as server, StreamSource(server.url) as source:
        wait_for(lambda: server.sent >= 120)  # models are loaded, say
        first = take(source, 1)[0]
        assert number_of(first.frame.gray) > 80
        assert first.frame.index == 0 and first.frame.time == 0.0


def test_a_stream_that_nobody_asked_for_a_frame_closes() -> None:
    with StreamServer("mpegts", fps=50) as server:
        StreamSource(server.url).close()


def test_a_recording_on_a_server_plays_and_ends(uneven: Path) -> None:
    with (
        StreamServer("file", body=uneven.read_bytes()) as server,
        StreamSource(server.url) as source,
    ):
        assert source.finite
        got = take_all(source)
    check_order(got)
    assert numbers(got) == list(range(30))
    played = np.array([a.arrived for a in got]) - got[0].arrived
    assert (played >= np.array([a.frame.time for a in got]) - 1e-6).all()


def test_silence_is_a_loss() -> None:
    server = StreamServer("mpegts", fps=500, frames=200, hold=True)  # soon sent: then it is silent
    with server, StreamSource(server.url, read_timeout=0.5) as source:
        assert numbers(take_until_lost(source))[-1] > 150
        with pytest.raises(SourceLostError, match=r"nothing for 0\.5 s"):
            source.next(0.0)


@pytest.mark.parametrize(
    ("kind", "said"), [("missing", "404"), ("text", "check the address"), ("silent", "none in 0.5")]
)
def test_an_address_that_is_no_stream_is_told(kind: str, said: str) -> None:
    patience = 0.5 if kind == "silent" else HANG_S
    with StreamServer(kind) as server, pytest.raises(InputError, match=said) as error:
        StreamSource(server.url, open_timeout=patience)
    assert str(error.value).count("\n") == 0
    with pytest.raises(InputError, match="Connection refused"):
        open_live(server.url)


def test_a_playlist_reaches_no_file(tmp_path: Path) -> None:
    path = tmp_path / "private.ts"
    write_numbered(path, 50, 50)
    for address in (f"file://{path}", str(path), f"concat:{path}"):
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n"
        server = StreamServer("file", body=playlist.encode(), path="/list.m3u8")
        with server, pytest.raises((InputError, SourceLostError)):
            take(StreamSource(server.url, read_timeout=1), 1)


def test_passwords_are_never_shown() -> None:
    with StreamServer("missing") as server:
        url = server.url.replace("//", "//anna:secret@") + "?key=hidden"
        with pytest.raises(InputError) as error:
            open_live(url)
    assert "secret" not in str(error.value) and "hidden" not in str(error.value)


def test_stream_times_survive_a_jump() -> None:
    clock = StreamClock()
    clock.connect(MS, step=0.04)
    pts = [0, 40, 80, 9_000_000, 9_000_040, 10, 50, None, 130]
    got = [clock.seconds(at, 0.04 * n) for n, at in enumerate(pts)]
    assert got == pytest.approx([0.04 * n for n in range(len(pts))])


def test_a_new_connection_has_a_clock_of_its_own() -> None:
    clock = StreamClock()
    clock.connect(MS, step=0.04)
    assert clock.seconds(1000, 10.0) == 0.0
    clock.connect(MS, step=0.04)
    assert clock.seconds(4000, 11.5) == pytest.approx(1.5)  # a second and a half later, not three
    assert clock.seconds(4040, 11.6) == pytest.approx(1.54)


def test_a_recording_that_breaks_off_is_lost_for_good(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_numbered(path, 50, 200, faststart=True)
    body = path.read_bytes()
    server = StreamServer("file", body=body, cut=len(body) // 2)
    with server, StreamSource(server.url) as source:
        assert source.finite
        got = take_until_lost(source)
        assert 10 < len(got) < 190
        assert source.reopen() is False
    check_order(got)


def test_a_recordings_own_gap_is_believed() -> None:
    clock = StreamClock(live=False)
    clock.connect(MS, step=0.04)
    assert [clock.seconds(at, 0.0) for at in (0, 40, 60_000)] == pytest.approx([0, 0.04, 60])


def test_a_pacer_gives_late_frames_at_once() -> None:
    pace = Pacer(1.25)
    assert pace.due(0.0, 10.0) == 10.0
    assert pace.due(0.5, 10.1) == pytest.approx(10.4)
    assert pace.due(0.5, 10.1) == pytest.approx(10.4)
    assert pace.due(1.0, 12.0) == 12.0
