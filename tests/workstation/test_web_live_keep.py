"""Keeping the video of a live session: with consent, whole, within limits, or not at all."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from micromimic.core.errors import OutputError
from micromimic.media.video import open_source
from micromimic.media.writer import VideoWriter
from micromimic.workstation import uploads
from micromimic.workstation.live import recorder
from micromimic.workstation.records.markers import list_markers

from ..live_talk import (
    KEEP,
    START,
    Broken,
    Echo,
    Said,
    connected,
    frame,
    live_site,
    rest,
    talk,
    watch,
)
from ..web_site import API, Site, running_site

pytestmark = pytest.mark.needs("web")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with live_site(tmp_path / "data") as site:
        yield site


def test_a_kept_video_becomes_a_recording_with_its_job(site: Site) -> None:
    messages, code = talk(site, KEEP, 40)
    assert code == 1000
    kept = messages[-1]
    assert messages[-2]["type"] == "end" and kept["type"] == "kept"
    assert (kept["frames"], kept["left_out"]) == (40, 0)
    recording = site.get(f"/recordings/{kept['recording_id']}")
    assert (recording["origin"], recording["extension"]) == ("live", ".mp4")
    assert recording["consent"]["given"] and recording["consent"]["note"] == "form 4"
    assert recording["job"]["status"] == "queued" and recording["expires_at"] is not None
    folder = f"recordings/{recording['id']}"
    assert site.left() == [folder, f"{folder}/video.mp4"]
    with open_source(site.data / folder / "video.mp4") as frames:
        found = list(frames)
    assert [f.time for f in found] == pytest.approx([0.02 * n for n in range(40)], abs=1e-4)
    shades = [float(np.median(f.gray)) for f in found]
    assert shades == pytest.approx([float(n) for n in range(40)], abs=2)
    assert site.runner.told[-1] == "wake"


def test_times_of_a_kept_video_are_the_cameras(site: Site) -> None:
    stamps = [0.0, 0.033, 0.05, 0.2, 0.201, 1.5]
    with connected(site, KEEP) as socket:
        for number, stamp in enumerate(stamps):
            socket.send_bytes(struct.pack("<d", 5.0 + stamp) + frame(number)[8:])
        socket.send_text('{"type": "stop"}')
        messages, _ = rest(socket)
    path = site.store.folder(messages[-1]["recording_id"]) / "video.mp4"
    with open_source(path) as frames:
        assert [f.time for f in frames] == pytest.approx(stamps, abs=1e-4)


def test_markers_stay_with_a_kept_video(site: Site) -> None:
    def said(kind: str, label: str, time: float) -> str:
        return json.dumps({"type": kind, "label": label, "time": time})

    with connected(site, KEEP) as socket:
        for number in range(10):
            socket.send_bytes(struct.pack("<d", 7.0 + 0.1 * number) + frame(number)[8:])
            if number in (3, 5, 8):
                socket.send_text(said("marker", f"stimulus {number}", 7.0 + 0.1 * number))
        socket.send_text(said("unmark", "stimulus 5", 7.5))
        socket.send_text('{"type": "stop"}')
        kept = rest(socket)[0][-1]
    assert kept["markers"] == 2
    markers = list_markers(site.store, kept["recording_id"])
    assert [(m.label, m.onset_s, m.tier, m.origin) for m in markers] == [
        ("stimulus 3", pytest.approx(0.3, abs=1e-6), "live", "live"),
        ("stimulus 8", pytest.approx(0.8, abs=1e-6), "live", "live"),
    ]
    for wrong in ('{"type": "marker", "label": "a", "time": "late"}', said("marker", "", 1.0)):
        with connected(site, START) as socket:
            socket.send_text(wrong)
            messages, code = rest(socket)
        assert code == 1003 and "expected a frame, a marker or" in messages[-1]["message"]


def test_the_sessions_consent_counts(site: Site) -> None:
    person = site.subject()
    good = site.session(person["id"])["id"]
    bad = site.session(person["id"], given=False)["id"]
    keep = {**START, "keep": "video"}
    kept = talk(site, {**keep, "session_id": good})[0][-1]
    assert site.get(f"/recordings/{kept['recording_id']}")["subject_code"] == "P01"
    site.client.delete(f"{API}/recordings/{kept['recording_id']}")
    for start in (keep, {**keep, "session_id": bad, "consent": True}, {**KEEP, "consent": False}):
        with connected(site, start) as socket:
            messages, code = rest(socket)
        assert code == 1008 and "consent" in messages[0]["message"]
    with connected(site, {**keep, "session_id": "0" * 32}) as socket:
        assert rest(socket)[1] == 1008
    assert site.left() == []


def test_consent_taken_back_during_a_session(site: Site) -> None:
    session_id = site.session(site.subject()["id"])["id"]
    with connected(site, {**START, "keep": "video", "session_id": session_id}) as socket:
        socket.send_bytes(frame(0))
        site.client.patch(f"{API}/sessions/{session_id}", json={"consent": {"given": False}})
        socket.send_text('{"type": "stop"}')
        messages, _ = rest(socket)
    assert messages[-1]["type"] == "error" and "consent" in messages[-1]["message"]
    assert site.left() == [] and site.get("/recordings")["total"] == 0


def test_nothing_to_keep(site: Site) -> None:
    messages, code = talk(site, KEEP, 0)
    assert code == 1000
    assert messages[-1]["type"] == "error" and "got none" in messages[-1]["message"]
    assert site.left() == []


@pytest.mark.parametrize("how", ["vanishes", "rubbish", "broken pipeline"])
def test_what_was_to_be_kept_is_kept_however_it_ends(site: Site, how: str) -> None:
    class Later(Broken):
        def __iter__(self) -> Iterator[Said]:
            said = super().__iter__()
            while True:
                if self.stopped.is_set():
                    raise self.error
                yield next(said)

    if how == "broken pipeline":
        watch(site, Later)
    with connected(site, KEEP) as socket:
        for number in range(10):
            socket.send_bytes(frame(number))
        socket.receive_json()
        if how == "rubbish":
            socket.send_text("rubbish")
            rest(socket)
        elif how == "broken pipeline":
            rest(socket)
    (recording,) = site.get("/recordings")["recordings"]
    path = site.store.folder(recording["id"]) / "video.mp4"
    with open_source(path) as frames:
        assert 1 <= len(list(frames)) <= 10
    assert [p for p in site.left() if p.startswith("incoming")] == []


@pytest.mark.parametrize("what", ["duration", "size", "disk"])
def test_limits_end_the_video_and_not_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    limits = {"max_seconds": 1.0} if what == "duration" else {}
    if what == "size":
        limits = {"max_bytes": 1}
    monkeypatch.setattr(recorder, "CHECK_EVERY", 10)
    checks = iter([10**12] * 3 + [0] * 1000)
    real = recorder.VideoRecorder._has_room

    def room(self: recorder.VideoRecorder) -> bool:
        if what != "disk":
            return real(self)
        free = next(checks)
        with monkeypatch.context() as patch:
            usage = type("Usage", (), {"free": free})
            patch.setattr(recorder.shutil, "disk_usage", lambda _: usage)
            return real(self)

    monkeypatch.setattr(recorder.VideoRecorder, "_has_room", room)
    with running_site(tmp_path / "data", **limits) as site:
        watch(site, Echo)
        messages, code = talk(site, KEEP, 80)
        assert code == 1000
        assert next(m for m in messages if m["type"] == "end")["received"] == 80
        errors = [m["message"] for m in messages if m["type"] == "error"]
        if what == "size":  # not even the first frame
            assert "got none" in errors[-1] and site.left() == []
        else:
            assert "kept up to" in errors[0]
            wanted = 51 if what == "duration" else 30
            assert messages[-1]["frames"] == wanted


def test_a_limit_met_after_the_last_word_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    work, finish = recorder.VideoRecorder._work, recorder.VideoRecorder.finish

    def late(self: recorder.VideoRecorder) -> None:
        assert ended.wait(60)
        work(self)

    def last(self: recorder.VideoRecorder, *args: Any) -> Any:
        ended.set()
        return finish(self, *args)

    monkeypatch.setattr(recorder.VideoRecorder, "_work", late)
    monkeypatch.setattr(recorder.VideoRecorder, "finish", last)
    with running_site(tmp_path / "data", max_seconds=1.0) as site:
        watch(site, Echo)
        messages, code = talk(site, KEEP, 80)
    assert code == 1000
    assert [m["type"] for m in messages[-3:]] == ["end", "error", "kept"]
    assert "kept up to 1 s" in messages[-2]["message"] and messages[-1]["frames"] == 51


def test_a_video_that_cannot_be_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = VideoWriter.write

    def write(self: VideoWriter, *args: Any) -> None:
        if self.frames == 5:
            self.discard()
            raise OutputError("expected to write the video, got No space left on device")
        real(self, *args)

    monkeypatch.setattr(VideoWriter, "write", write)
    messages, code = talk(site, KEEP, 20)
    assert code == 1000  # the session itself went on
    assert next(m for m in messages if m["type"] == "end")["received"] == 20
    assert "No space left" in messages[-1]["message"]
    assert site.left() == [] and site.get("/recordings")["total"] == 0


def test_frames_that_come_too_fast_to_be_written_are_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "QUEUE_BYTES", 1)
    go = threading.Event()
    real = VideoWriter.write

    def write(self: VideoWriter, *args: Any) -> None:
        assert go.wait(30)
        real(self, *args)

    monkeypatch.setattr(VideoWriter, "write", write)
    with connected(site, KEEP) as socket:
        for number in range(20):
            socket.send_bytes(frame(number))
        curves = 0
        while curves < 20:
            curves += socket.receive_json()["type"] == "curve"  # all 20 were taken
        go.set()
        socket.send_text('{"type": "stop"}')
        kept = rest(socket)[0][-1]
    assert kept["left_out"] > 0 and kept["frames"] + kept["left_out"] == 20


def test_a_full_disk_at_the_last_step(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads, "sync_folder", full)
    messages, _ = talk(site, KEEP)
    assert messages[-1]["type"] == "error" and "disk" in messages[-1]["message"]
    assert site.left() == [] and site.get("/recordings")["total"] == 0
