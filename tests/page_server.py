"""A workstation in a thread, a browser at it, and records to look at; for tests of the pages."""

from __future__ import annotations

import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.results import event_to_dict
from micromimic.workstation.records import jobs, people, recordings

from .live_servers import hold_port
from .sample_analysis import sample_analysis
from .waiting import PATIENCE_S, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

    from micromimic.workstation.records.database import Store
    from micromimic.workstation.records.models import Recording

PATIENCE_MS = 1000 * PATIENCE_S
AUDIT = (Path(__file__).parent / "page_audit.js").read_text(encoding="utf-8")
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Station:
    """A running server, and the store behind it."""

    url: str
    store: Store
    data: Path
    stop: Callable[[], None]
    """End the server early, as if it had gone."""


@contextmanager
def running_station(
    data: Path,
    *,
    worker: Sequence[str] = (),
    port: int = 0,
    watch: Any = None,
    **limits: Any,
) -> Iterator[Station]:
    """Serve a data folder from a thread.

    Uploads are analysed by the command ``worker``, or stay queued; a port of 0 takes a free one;
    ``watch`` opens live sessions in place of the pipeline; ``limits`` are further settings.
    """
    import uvicorn

    from micromimic.workstation.app import create_app
    from micromimic.workstation.jobs.runner import JobRunner
    from micromimic.workstation.records.database import open_store
    from micromimic.workstation.settings import Settings

    # Held until the end, though the server may go before: another may come in its place.
    place = hold_port(port)
    listening = socket.create_server(place.getsockname(), backlog=64, reuse_port=True)
    settings = Settings(data=data, port=listening.getsockname()[1], **limits)
    with place, open_store(data) as store:
        runner = JobRunner(store, settings, command=lambda: worker) if worker else None
        app = create_app(settings, store, runner=runner)
        if watch is not None:
            app.state.workstation.open_live = watch
        config = uvicorn.Config(
            app,
            log_level="error",
            ws_max_size=2 << 20,
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), name="station")
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()

        try:
            wait_for(lambda: server.started or not thread.is_alive())
            assert server.started, "the server did not start"
            yield Station(f"http://127.0.0.1:{settings.port}", store, data, stop)
        finally:
            stop()


def until(page: Page, expression: str) -> None:
    """Wait until an expression holds in the page; the CSP forbids Playwright's own way."""
    end = time.monotonic() + PATIENCE_S
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"waited in vain for {expression}"
        page.wait_for_timeout(20)


@contextmanager
def held_up(station: Station, after: int) -> Iterator[tuple[Station, threading.Event]]:
    """The station through a line that carries so many bytes of a connection towards it, no more.

    Yields the station at the line's address, and what lets the rest through. It is a proxy's, since
    what a browser calls a slow network slows it only when the machine has time for that.
    """
    released = threading.Event()
    port = int(station.url.rsplit(":", 1)[1])
    threads: list[threading.Thread] = []
    ends: list[socket.socket] = []

    def carry(source: socket.socket, target: socket.socket, most: float) -> None:
        carried = 0
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                carried += len(piece)
                if carried > most:
                    released.wait()
                target.sendall(piece)
        for end in (source, target):  # the other direction hears of it too
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def join(browser: socket.socket) -> None:
        with browser, socket.create_connection(("127.0.0.1", port)) as server:
            ends.append(browser)
            back = threading.Thread(target=carry, args=(server, browser, math.inf))
            back.start()
            carry(browser, server, after)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=join, args=(listening.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            at = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield replace(station, url=at), released
        finally:
            released.set()
            for end in (listening, *ends):  # a browser keeps its connections for later
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


@contextmanager
def running_browser(path: str, *arguments: str) -> Iterator[Browser]:
    """A headless Chromium. One at a time in a thread, and closed before other tests use asyncio.

    Pages of one site share a process (see `desk_at`): a new one takes as long as a page to open.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--process-per-site", *arguments],
        )
        try:
            yield browser
        finally:
            browser.close()
            for key in [key for key in IDLE if key[0] is browser]:
                del IDLE[key]


IDLE: dict[tuple[Browser, str], BrowserContext] = {}
"""Profiles that no desk uses, by browser and options; each has one page open."""


@dataclass
class Desk:
    """A browser at a workstation: pages, and everything they complained about."""

    context: BrowserContext
    station: Station
    trouble: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def add_init_script(self, script: str) -> None:
        """Run it in each page that opens from now on, before the page's own."""
        self.scripts.append(script)

    def page(self, path: str = "/") -> Page:
        """A new page, ready."""
        page = self.context.new_page()
        for script in self.scripts:
            page.add_init_script(script)
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure))
        page.goto(self.station.url + path)
        page.wait_for_selector("html[data-ready]")
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _failed(self, url: str, why: str | None) -> None:
        if not url.startswith(self.station.url):
            self.trouble.append(f"asked the network: {url} ({why})")

    def expect(self, pattern: str) -> None:
        """Take out what had to be heard, such as a refused upload; it must have been."""
        kept = [line for line in self.trouble if not re.search(pattern, line)]
        assert len(kept) < len(self.trouble), f"not heard: {pattern}; heard: {self.trouble}"
        self.trouble[:] = kept


@contextmanager
def desk_at(station: Station, browser: Browser, **options: Any) -> Iterator[Desk]:
    """An empty profile at the station; fails if a page complained of anything unexpected.

    A profile that another desk had is emptied and used again. Its first page stays open, so that
    the process in which pages are drawn stays, too.
    """
    options = {"viewport": WIDE, **options}
    key = browser, repr(sorted(options.items()))
    context = IDLE.pop(key, None) or browser.new_context(**options)
    try:
        first = context.pages[0] if context.pages else context.new_page()
        first.goto(f"{station.url}/static/base.css")
        first.evaluate("localStorage.clear()")
        context.clear_cookies()
        desk = Desk(context, station)
        yield desk
        assert desk.trouble == [], desk.trouble
        for page in context.pages[1:]:
            page.close()
        context.unroute_all()
    except BaseException:
        context.close()
        raise
    if IDLE.setdefault(key, context) is not context:
        context.close()


def add_recording(
    store: Store,
    name: str,
    *,
    session_id: str | None = None,
    events: int | None = 6,
    status: str = "done",
    days: int = 30,
    sha256: str = "",
) -> Recording:
    """A recording with a made-up answer of the machine, and a few bytes for a video."""
    from micromimic.workstation.records.models import Consent
    from micromimic.workstation.records.values import new_id

    new = new_id()
    folder = store.folder(new)
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(b"no video, but bytes" * 50)
    recording = recordings.add_recording(
        store,
        id=new,
        name=name,
        extension=".mp4",
        size_bytes=950,
        sha256=sha256 or 2 * new,
        session_id=session_id,
        consent=None if session_id else Consent(given=True, noted_by="kim"),
        expires_at=datetime.now(UTC) + timedelta(days=days),
    )
    if status == "queued":
        return recording
    job = jobs.claim_job(store, "tests")
    assert job is not None and job.recording_id == new
    if status == "running":
        jobs.beat(store, job.id, stage="tracking", done=250, total=1000)
    elif status == "failed":
        jobs.fail_job(store, job.id, "expected results, got a part; make room on the server")
    elif status == "refused":
        line = "expected a video, got 3 frames; record at least a second"
        jobs.fail_job(store, job.id, line, refused=True)
    else:
        jobs.finish_job(store, job.id, payload=_payload(events or 0), review=_review())
    return recordings.get_recording(store, new)


def _payload(count: int) -> dict[str, Any]:
    analysis = sample_analysis()
    events = [event_to_dict(event) for event in analysis.events]
    return {**analysis.to_dict(), "events": [events[i % len(events)] for i in range(count)]}


def _review() -> dict[str, Any]:
    analysis = sample_analysis()
    source, spotting = analysis.source, analysis.spotting
    return {
        "schema": "micromimic.review/1",
        "fps": source.fps,
        "frames": source.frames,
        "frame_times": None,
        "duration_s": source.duration_s,
        "start_s": 0.0,
        "threshold": spotting.threshold,
        "blinks": [asdict(blink) for blink in spotting.blinks],
        "rejected": [asdict(item) for item in spotting.rejected],
        "gated": [asdict(span) for span in spotting.gated_spans],
        "people": [
            {"person": 1, "share": 0.9, "first_s": 0},
            {"person": 2, "share": 0.4, "first_s": 1},
        ],
    }


def add_series(store: Store, code: str, counts: tuple[int, ...]) -> list[str]:
    """A subject with a session every two weeks, the first the baseline; ids of the sessions."""
    from micromimic.workstation.records.models import Consent

    subject = people.add_subject(store, code, note="wears glasses")
    ids = []
    for number, count in enumerate(counts):
        session = people.add_session(
            store,
            subject.id,
            title="intake" if number == 0 else f"week {2 * number}",
            held_on=date(2026, 9, 1) + timedelta(days=14 * number),
            consent=Consent(given=True, noted_by="kim", note="signed form 12"),
            baseline=number == 0,
        )
        add_recording(store, f"{code} {session.title}.mp4", session_id=session.id, events=count)
        ids.append(session.id)
    return ids


def write_y4m(path: Path, frames: Iterator[NDArray[np.uint8]], fps: int) -> int:
    """Grey (H, W) frames as the raw video that Chromium's fake camera plays; how many."""
    count = 0
    with path.open("wb") as file:
        for frame in frames:
            height, width = frame.shape
            if count == 0:
                file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
                neutral = b"\x80" * (2 * (width // 2) * (height // 2))
            file.write(b"FRAME\n" + frame.tobytes() + neutral)
            count += 1
    return count
