"""Uploads: kept whole with record and job, or refused with a reason and nothing left."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from micromimic.core.errors import UnavailableError
from micromimic.workstation import uploads
from micromimic.workstation.records import recordings
from micromimic.workstation.records.database import Store

from ..web_site import API, VIDEO, Site, running_site

pytestmark = pytest.mark.needs("web")
MIB = 1 << 20


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data", max_bytes=4 * MIB) as site:
        yield site


def nothing_left(site: Site) -> bool:
    return site.left() == [] and site.get("/recordings")["total"] == 0


def refused(answer: Any, status: int, code: str) -> str:
    """The message of an answer that refuses."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert "\n" not in error["message"]
    return str(error["message"])


def test_a_video_is_kept_with_its_job(site: Site) -> None:
    content = VIDEO + os.urandom(3 * MIB)
    answer = site.upload(content, name="interview 1.MP4", fps="199.5", note="form 3")
    assert answer.status_code == 201
    recording = answer.json()
    assert site.left() == [
        f"recordings/{recording['id']}",
        f"recordings/{recording['id']}/video.mp4",
    ]
    stored = site.data / site.left()[1]
    assert stored.read_bytes() == content
    assert stored.stat().st_mode & 0o077 == 0
    assert recording["sha256"] == hashlib.sha256(content).hexdigest()
    assert recording["size_bytes"] == len(content)
    assert (recording["name"], recording["extension"]) == ("interview 1.MP4", ".mp4")
    assert (recording["fps"], recording["origin"]) == (199.5, "upload")
    assert recording["consent"]["noted_by"] == "kim" and recording["consent"]["note"] == "form 3"
    assert recording["job"]["status"] == "queued"
    assert site.runner.told[-1] == "wake"


def test_retention_is_the_servers_unless_said(site: Site) -> None:
    def days(**query: str) -> int | None:
        recording = recordings.get_recording(site.store, site.upload(**query).json()["id"])
        if recording.expires_at is None:
            return None
        return round((recording.expires_at - recording.uploaded_at).total_seconds() / 86400)

    assert (days(), days(retention_days="7"), days(retention_days="0")) == (30, 7, None)


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.mkv", ".mkv"), ("a", ".mp4"), ("a.exe", ".mp4"), ("", ".mp4"), ("a.MOV", ".mov")],
)
def test_the_ending_is_one_of_ours(site: Site, name: str, ending: str) -> None:
    assert site.upload(name=name).json()["extension"] == ending


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.mp4", "passwd.mp4"),
        ("C:\\films\\a.mp4", "a.mp4"),
        ("a\x00\x1b[31m\u202eb\r\n.mp4", "a[31mb .mp4"),
        ("\u200b", "video"),
        ("<img src=x onerror=alert(1)>.mp4", "<img src=x onerror=alert(1)>.mp4"),
        ("x" * 500 + ".mp4", "x" * 116 + ".mp4"),
    ],
)
def test_names_of_clients_are_only_shown(site: Site, name: str, shown: str) -> None:
    recording = site.upload(name=name).json()
    assert recording["name"] == shown
    assert site.left()[1] == f"recordings/{recording['id']}/video.mp4"


def test_consent_comes_first(site: Site) -> None:
    person = site.subject()
    without = site.session(person["id"], given=False)["id"]
    for query in (
        {"consent": "false"},
        {"session_id": without},
        {"session_id": without, "consent": "true"},
    ):
        message = refused(site.upload(**query), 422, "refused")
        assert "consent" in message
    refused(site.upload(session_id="0" * 32), 404, "not_found")
    assert nothing_left(site)


def test_consent_taken_back_while_sending(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = site.session(site.subject()["id"])["id"]
    real = uploads.keep

    def keep(*args: Any, **more: Any) -> Any:
        site.client.patch(f"{API}/sessions/{session_id}", json={"consent": {"given": False}})
        return real(*args, **more)

    monkeypatch.setattr(uploads, "keep", keep)
    refused(site.upload(session_id=session_id), 422, "refused")
    assert nothing_left(site)


def test_a_file_of_0_bytes(site: Site) -> None:
    assert "0 bytes" in refused(site.upload(b""), 422, "refused")
    assert "0 bytes" in refused(site.upload(iter([b"", b""])), 422, "refused")
    assert nothing_left(site)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04" + bytes(1000), "a zip archive"),
        (b"%PDF-1.7\n" + bytes(1000), "a PDF document"),
        (b"<!DOCTYPE html><html><body>" + b"x" * 1000, "an HTML page"),
        (b"\xef\xbb\xbf  <HTML><script>alert(1)</script>", "an HTML page"),
        (b"<?xml version='1.0'?><svg/>", "an XML file"),
        (b"MZ\x90\x00" + bytes(1000), "a Windows program"),
        (b"\x7fELF" + bytes(1000), "a program"),
        (b"#!/bin/sh\nrm -rf /\n", "a script"),
        (b"\x1f\x8b\x08" + bytes(100), "a gzip archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG picture"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(100), "a WAV sound"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(100), "a HEIC picture"),
        (b"a,b\n1,2\n" * 300, "text"),
        (b"------WebKitFormBoundary\r\nContent-Disposition: form-data", "a form"),
    ],
)
def test_obvious_non_videos_named_mp4(site: Site, content: bytes, what: str) -> None:
    assert what in refused(site.upload(content), 415, "unsupported")
    assert nothing_left(site)


def test_an_unknown_kind_needs_a_videos_name(site: Site) -> None:
    noise = bytes([0, 1, 2, 3, 255]) * 200
    assert "unknown kind" in refused(site.upload(noise, name="a.dat"), 415, "unsupported")
    assert nothing_left(site)
    # Broken, but called a video: decoding will tell.
    assert site.upload(noise, name="a.mp4").status_code == 201


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "application/json", "text/html", "image/png"]
)
def test_the_body_is_the_file_itself(site: Site, kind: str) -> None:
    answer = site.client.post(
        f"{API}/recordings?name=a.mp4&consent=true", content=VIDEO, headers={"Content-Type": kind}
    )
    assert kind.partition(";")[0] in refused(answer, 415, "unsupported")
    assert nothing_left(site)


@pytest.mark.parametrize(
    "query",
    [
        {"fps": "0"},
        {"fps": "nan"},
        {"fps": "1e400"},
        {"retention_days": "-1"},
        {"retention_days": "99999999999"},
        {"session_id": "../x"},
        {"consent": "perhaps"},
        {"noted_by": "a\nb"},
        {"noted_by": "x" * 300},
        {"name": "x" * 5000},
    ],
)
def test_queries_that_are_not_as_described(site: Site, query: dict[str, str]) -> None:
    refused(site.upload(**query), 422, "invalid")
    assert nothing_left(site)


class Client:
    """Speaks ASGI to the application, so that every step of a body can be arranged."""

    def __init__(self, site: Site, headers: dict[str, str] | None = None) -> None:
        self.site = site
        self.headers = headers or {}
        self.taken = 0
        self.sent: list[dict[str, Any]] = []

    def post(self, body: AsyncIterator[bytes], *, gone: bool = False) -> int | None:
        """Send a body piece by piece; ``gone``: the connection ends after it.

        The status of the answer, or None where there was none.
        """
        asyncio.run(self._post(body, gone))
        starts = [m for m in self.sent if m["type"] == "http.response.start"]
        return int(starts[0]["status"]) if starts else None

    async def _post(self, body: AsyncIterator[bytes], gone: bool) -> None:
        over = False

        async def receive() -> dict[str, Any]:
            nonlocal over
            if over:
                return {"type": "http.disconnect"}
            try:
                piece = await anext(body)
            except StopAsyncIteration:
                over = True
                if gone:
                    return {"type": "http.disconnect"}
                return {"type": "http.request", "body": b"", "more_body": False}
            self.taken += len(piece)
            return {"type": "http.request", "body": piece, "more_body": True}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        headers = {"host": "127.0.0.1:8420", **self.headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"{API}/recordings",
            "raw_path": f"{API}/recordings".encode(),
            "root_path": "",
            "query_string": b"name=a.mp4&consent=true",
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8420),
        }
        await self.site.app(scope, receive, send)  # type: ignore[arg-type]


async def pieces(total: int, size: int = 65536, first: bytes = VIDEO) -> AsyncIterator[bytes]:
    """A video of a size, or without end."""
    yield first
    sent = len(first)
    while sent < total:
        yield bytes(min(size, total - sent))
        sent += size


def test_5_gb_by_content_length_is_refused_before_it_is_read(site: Site) -> None:
    client = Client(site, {"content-length": str(5 * 10**9)})
    assert client.post(pieces(5 * 10**9)) == 413
    assert client.taken == 0
    assert nothing_left(site)


@pytest.mark.parametrize("claims", [{}, {"content-length": "1000"}, {"content-length": "-1"}])
def test_5_gb_by_a_stream_that_does_not_say_so(
    site: Site, claims: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "DRAIN_BYTES", MIB)
    client = Client(site, claims)
    assert client.post(pieces(5 * 10**9)) == 413
    assert client.taken < 4 * MIB + MIB + 2 * 65536  # the limit, and what is read on to answer
    assert nothing_left(site)


def test_a_client_that_vanishes_leaves_nothing(site: Site) -> None:
    half = threading.Event()

    async def body() -> AsyncIterator[bytes]:
        async for piece in pieces(3 * MIB):
            yield piece
        assert any(path.endswith(".part") for path in site.left())  # it was on the disk
        half.set()

    client = Client(site, {"content-length": str(4 * MIB)})
    client.post(body(), gone=True)
    assert half.is_set()
    assert nothing_left(site)


def test_a_file_shorter_than_announced_is_no_file(site: Site) -> None:
    client = Client(site, {"content-length": str(2 * MIB)})
    assert client.post(pieces(MIB)) == 408
    assert nothing_left(site)


def test_a_client_that_sends_nothing_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SILENCE_S", 0.05)
    monkeypatch.setattr(uploads, "DRAIN_S", 0.05)

    async def body() -> AsyncIterator[bytes]:
        yield VIDEO
        await asyncio.sleep(3600)

    assert Client(site).post(body()) == 408
    assert nothing_left(site)


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fails_at_second_write(monkeypatch: pytest.MonkeyPatch) -> None:
    real = uploads.Incoming.write
    calls = []

    def write(self: uploads.Incoming, piece: bytes) -> None:
        calls.append(len(piece))
        if len(calls) == 2:
            real(self, piece[: len(piece) // 2])
            full()
        real(self, piece)

    monkeypatch.setattr(uploads.Incoming, "write", write)


@pytest.mark.parametrize(
    "break_it",
    [
        fails_at_second_write,
        lambda patch: patch.setattr(uploads.os, "fsync", full),
        lambda patch: patch.setattr(uploads, "sync_folder", full),
        lambda patch: patch.setattr(Path, "replace", full),
        lambda patch: patch.setattr(
            uploads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3 * MIB})()
        ),
    ],
    ids=["write", "fsync", "folder", "rename", "reserve"],
)
def test_a_full_disk(
    site: Site, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with monkeypatch.context() as patch:
        break_it(patch)
        answer = site.upload(VIDEO + bytes(3 * MIB))
    message = refused(answer, 507, "no_space")
    assert "disk" in message
    assert nothing_left(site)
    assert site.upload().status_code == 201  # and the server is up


@pytest.mark.parametrize("what", ["database", "crash"])
def test_a_database_that_fails_at_the_last_step(
    site: Site, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def add(self: Store, **_: object) -> Any:
        if what == "crash":
            raise ValueError("a fault of ours")
        raise UnavailableError("expected the database, got a lock; try again")

    with monkeypatch.context() as patch:
        patch.setattr(recordings, "add_recording", add)
        answer = site.upload(VIDEO + bytes(MIB))
    if what == "crash":
        assert refused(answer, 500, "internal") == "unexpected error in the server; see its log"
    else:
        refused(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert nothing_left(site)


def test_record_and_job_in_one_transaction_before_the_answer(site: Site) -> None:
    recording = site.upload().json()
    with running_site(site.data) as again:  # another server on the same folder
        assert again.get(f"/recordings/{recording['id']}")["job"]["status"] == "queued"


def test_many_at_once(site: Site) -> None:
    answers: list[Any] = []

    def send(number: int) -> None:
        answers.append(site.upload(VIDEO + bytes([number]) * MIB, name=f"{number}.mp4"))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["sha256"] for a in answers}) == 20
    assert site.get("/recordings")["total"] == 20
    assert [p for p in site.left() if p.startswith("incoming")] == []
