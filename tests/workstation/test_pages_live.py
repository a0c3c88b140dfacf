"""The Live page with Chromium's fake camera: what is sent, what is shown, what goes wrong."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from micromimic.analysis.demo import DEMO_CLIP
from micromimic.analysis.live.messages import (
    CurvePoint,
    Ended,
    FaceShape,
    LiveEvent,
    LiveMessage,
    Settled,
    Started,
    Status,
)
from micromimic.core.results import ModelInfo
from micromimic.media.live.source import LiveSource
from micromimic.synthesis.clips import render
from micromimic.synthesis.schedule import plan_clip
from micromimic.workstation.records import recordings
from micromimic.workstation.records.markers import list_markers

from ..live_talk import Played
from ..page_server import (
    NARROW,
    PATIENCE_MS,
    Station,
    add_series,
    desk_at,
    running_browser,
    running_station,
    until,
    wait_for,
    write_y4m,
)
from ..sample_analysis import cell_boxes, sample_analysis

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.needs("browser", "playwright", "web")

FPS = 30
SECONDS = 12.0
CLIP = replace(DEMO_CLIP, fps=float(FPS), seconds=SECONDS, colour=False, events_per_minute=20.0)
PLAN = plan_clip(CLIP, 18)
TO_IMAGE = np.array([[12.0, 0.0, 150.0], [0.0, 12.0, 70.0]])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake camera plays, over and over: four planted movements in twelve seconds."""
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    write_y4m(path, render(PLAN), FPS)
    return path


@pytest.fixture(scope="module")
def chromium(browser: str, film: Path) -> Iterator[Browser]:
    camera = ("device-for-media-stream", "ui-for-media-stream")
    arguments = [f"--use-fake-{what}" for what in camera]
    with running_browser(browser, *arguments, f"--use-file-for-fake-video-capture={film}") as one:
        yield one


class Scripted(Played):
    """A live session that says known things about the frames that it is given."""

    def __init__(self, source: LiveSource) -> None:
        super().__init__(source)
        self.frames: list[NDArray[np.uint8]] = []
        self.times: list[float] = []
        self.events = sample_analysis().events

    def __iter__(self) -> Iterator[LiveMessage]:
        yield Started("browser", ModelInfo("scripted", "1", "nothing"), "Every frame is taken.")
        yield FaceShape(0, np.zeros((68, 2)), cell_boxes())
        while not self.stopped.is_set():
            try:
                arrival = self.source.next(0.2)
            except EOFError:
                break
            if arrival is not None:
                yield from self._answer(arrival.frame.gray, arrival.frame.time)
        count = len(self.frames)
        yield Ended("stopped", count, count, 0, 2, 1)

    def _answer(self, gray: NDArray[np.uint8], time: float) -> Iterator[LiveMessage]:
        number = len(self.frames)
        self.frames.append(gray.copy())
        self.times.append(time)
        score = None if number < 10 else 6.0
        cells = np.linspace(0, 0.3, 10)
        yield CurvePoint(number, time, True, 0, score, cells, TO_IMAGE, 0.012)
        if number == 20:
            yield LiveEvent(1, self.events[0], 0.31, False, 0)
        if number == 25:
            yield LiveEvent(2, self.events[3], 1.9, True, 0)
        if number == 30:
            yield Settled(1, kept=False, reason="head")
            yield Settled(2, kept=True)
        if number % 10 == 9:
            latency = {"median": 12.4, "p95": 31.0}
            yield Status(
                time, "watching", 29.97, 30.1, number + 4, number + 1, 3, 1, 0.1333, latency, 2
            )


class Script:
    """Opens scripted sessions, and keeps them to be asked."""

    def __init__(self) -> None:
        self.sessions: list[Scripted] = []

    def __call__(self, source: LiveSource) -> Scripted:
        self.sessions.append(Scripted(source))
        return self.sessions[-1]

    def frames(self, count: int) -> tuple[list[NDArray[np.uint8]], list[float]]:
        """The first frames of the only session, and their times."""
        wait_for(lambda: self.sessions and len(self.sessions[0].times) >= count)
        (session,) = self.sessions
        return session.frames[:count], session.times[:count]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def station(tmp_path: Path, script: Script) -> Iterator[Station]:
    with running_station(tmp_path / "data", watch=script) as station:
        yield station


def start(page: Page) -> None:
    page.click("#start")
    page.wait_for_selector("html[data-live=on]")


def drawn(page: Page, canvas: str) -> int:
    """How many pixels of a canvas are not empty."""
    found: int = page.evaluate(
        """(id) => {
          const canvas = document.getElementById(id);
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          let count = 0;
          for (let i = 3; i < data.length; i += 4) count += data[i] > 0;
          return count;
        }""",
        canvas,
    )
    return found


def test_what_is_said_is_shown(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium) as desk:
        page = desk.page("/live")
        assert drawn(page, "overlay") == 0
        start(page)
        page.wait_for_selector(".event.withdrawn")
        page.wait_for_selector(".event.confirmed")
        newest, first = (card.inner_text() for card in page.query_selector_all(".event"))
        assert (
            re.search(r"negative\s+the model is unsure", newest, re.IGNORECASE)
            and "(late)" in newest
        )
        assert re.search(r"positive\s+withdrawn", first, re.IGNORECASE)
        assert "the head moved" in first and "0.90" in first and "0:04.365" in first
        struck = "getComputedStyle(document.querySelector('.withdrawn .named')).textDecorationLine"
        assert page.evaluate(struck) == "line-through"
        assert page.inner_text("#events-count") == "1 candidate, 1 withdrawn"
        until(page, "document.querySelector('#numbers').innerText.includes('30.0 / s')")
        numbers = page.inner_text("#numbers")
        for words in ("camera gives 30.1 / s", "from 0.13 s", "12 ms", "95 % within 31 ms"):
            assert words in numbers
        # Three by the session, and what a busy machine left out before it was sent.
        assert int(re.search(r"Dropped\s+(\d+)\s", numbers)[1]) >= 3
        assert page.inner_text("#state") == "watching"
        assert page.text_content("#policy") == "Every frame is taken."
        assert drawn(page, "overlay") > 1000
        page.uncheck("#cells")
        until(page, "true")
        wait_for(lambda: drawn(page, "overlay") == 0)
        page.fill("#marker-names", "film, question 1")
        page.press("#marker-names", "2")  # a letter of a name, no marker
        page.focus("#stop")
        for key in ("1", "2", "3", "1"):
            page.keyboard.press(key)
        labels = page.locator("#markers b")
        assert labels.all_inner_texts() == ["film", "question 12", "film"]
        page.click("#markers button >> nth=0")
        assert labels.all_inner_texts() == ["question 12", "film"]
        page.click("#stop")
        page.wait_for_selector("html[data-live=off]")
        assert page.inner_text("#state") == "stopped"
        # What was seen stays to be read: numbers, candidates, markers, and all of the curve.
        assert page.inner_text("#numbers") != "" and "–" not in page.inner_text("#numbers")
        summary = page.inner_text("#summary")
        assert "in view for 100 % of it: 1 candidate, 1 withdrawn, 2 markers" in summary
        assert labels.all_inner_texts() == ["question 12", "film"]
        until(page, "document.querySelector('#curve').dataset.from === '0'")
        page.focus("#curve")
        page.keyboard.press("+")
        until(page, "Number(document.querySelector('#curve').dataset.from) > 0")
        assert page.is_hidden("#trouble")
        assert page.evaluate("document.getElementById('video').srcObject") is None
    assert list((station.data / "recordings").glob("*")) == []


@pytest.mark.parametrize("way", ["planes", "canvas"])
def test_frames_are_the_camera_s(
    station: Station, script: Script, chromium: Browser, film: Path, way: str
) -> None:
    """The planes of frames, and the canvas where a browser has none: grey, in order, timed."""
    with desk_at(station, chromium) as desk:
        if way == "canvas":
            desk.add_init_script("delete window.MediaStreamTrackProcessor")
        page = desk.page("/live")
        began = time.monotonic()
        start(page)
        frames, times = script.frames(45)
        took = time.monotonic() - began
        page.click("#stop")
        page.wait_for_selector("html[data-live=off]")
    assert frames[0].shape == (480, 640)
    step = np.diff(times)
    # In seconds: a busy machine leaves frames out, but none comes before it is there.
    assert (step > 0).all() and np.median(step) > 0.7 / FPS and step.sum() < took
    played = np.fromfile(film, np.uint8)[len(b"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420jpeg\n") :]
    played = played.reshape(-1, 6 + 640 * 480 * 3 // 2)[:, 6 : 6 + 640 * 480].reshape(-1, 480, 640)
    small = played[:, ::8, ::8].astype(float)
    for frame in frames[10:40:10]:
        nearest = played[np.argmin(np.abs(small - frame[::8, ::8]).mean((1, 2)))]
        # As a canvas gives it, limited range has become full range: the same up to a line.
        if way == "planes":
            assert np.array_equal(frame, nearest)
        else:
            assert np.corrcoef(frame.ravel(), nearest.ravel())[0, 1] > 0.99


def test_nothing_is_kept_without_consent(tmp_path: Path, chromium: Browser, script: Script) -> None:
    """Keeping a video needs a session with consent or consent said here; then it is a recording."""
    with (
        running_station(tmp_path / "data", watch=script) as station,
        desk_at(station, chromium) as desk,
    ):
        (session,) = add_series(station.store, "P01", (4,))
        before = recordings.count_recordings(station.store)
        page = desk.page("/live")
        page.check("input[value=video]")
        page.click("#start")
        assert "expected consent" in page.inner_text("#keep-problem")
        page.select_option("#session", session)
        start(page)
        script.frames(20)
        page.keyboard.press("1")
        page.click("#stop")
        page.wait_for_selector("#kept:visible")
        assert "kept with 1 marker" in page.inner_text("#kept")
        kept = recordings.list_recordings(station.store, session_id=session)[0]
        assert recordings.count_recordings(station.store) == before + 1
        assert (kept.origin, kept.subject_code, kept.media) == ("live", "P01", "kept")
        (marker,) = list_markers(station.store, kept.id)
        assert (marker.label, marker.tier) == ("stimulus", "live") and marker.onset_s > 0
        assert page.get_attribute("#kept a", "href") == f"/review?recording={kept.id}"
        assert page.is_hidden("#trouble")


REFUSE = """(name) => {
  const devices = navigator.mediaDevices;
  window.real ??= devices.getUserMedia.bind(devices);
  devices.getUserMedia = async () => { throw new DOMException("no", name); };
}"""
ALLOW = "() => { navigator.mediaDevices.getUserMedia = window.real; }"


TROUBLE = {
    "NotAllowedError": "not allowed for this page",
    "NotFoundError": "No camera was found",
    "NotReadableError": "in use or broken",
    "OddError": "could not be opened",
}


def test_no_camera(station: Station, chromium: Browser) -> None:
    """A line that says what to do, and trying again works."""
    with desk_at(station, chromium) as desk:
        page = desk.page("/live")
        button = "#start"
        for name, words in TROUBLE.items():
            page.evaluate(REFUSE, name)
            page.click(button)
            page.wait_for_selector(f"#trouble-words:has-text('{words}')")
            page.wait_for_selector("html[data-live=off]")
            button = "#retry"
        page.evaluate(ALLOW)
        page.click("#retry")
        page.wait_for_selector(".event")
        assert page.is_hidden("#trouble")


def test_a_browser_without_camera_says_so(
    station: Station, chromium: Browser, browser: str
) -> None:
    """The real refusal of a browser that has no device."""
    bare = chromium.browser_type.launch(executable_path=browser, args=["--no-sandbox"])
    with closing(bare), desk_at(station, bare) as desk:
        page = desk.page("/live")
        page.click("#start")
        page.wait_for_selector("#trouble:visible")
        assert re.search("camera", page.inner_text("#trouble-words"), re.IGNORECASE)


def test_a_camera_that_is_unplugged(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium) as desk:
        page = desk.page("/live")
        start(page)
        page.wait_for_selector(".event")
        page.evaluate(
            """() => {
              const [track] = document.getElementById("video").srcObject.getVideoTracks();
              track.stop();
              track.dispatchEvent(new Event("ended"));
            }"""
        )
        page.wait_for_selector("#trouble:visible")
        assert "disconnected" in page.inner_text("#trouble-words")
        page.click("#retry")
        page.wait_for_selector(".event")


def test_a_server_that_goes(tmp_path: Path, chromium: Browser, script: Script) -> None:
    """In the middle, and before: a line each; the camera's light goes out; later it works again."""
    data = tmp_path / "data"
    with running_station(data, watch=script) as station, desk_at(station, chromium) as desk:
        page = desk.page("/live")
        start(page)
        page.wait_for_selector(".event")
        station.stop()
        page.wait_for_selector("#trouble:visible")
        assert re.search("connection|server", page.inner_text("#trouble-words"))
        assert page.evaluate("document.getElementById('video').srcObject") is None
        page.click("#retry")
        page.wait_for_selector("html[data-live=off]")
        page.wait_for_selector("#trouble-words:has-text('does not answer')")
        desk.expect("WebSocket|ERR_CONNECTION_REFUSED")
        with running_station(data, port=int(station.url.rsplit(":", 1)[1]), watch=script):
            page.click("#retry")
            page.wait_for_selector(".event")
            page.click("#stop")
            page.wait_for_selector("html[data-live=off]")


def test_too_many_sessions(station: Station, chromium: Browser) -> None:
    from websockets.sync.client import connect

    address = station.url.replace("http", "ws") + "/api/v1/live"
    with connect(address) as first, connect(address) as second, desk_at(station, chromium) as desk:
        for other in (first, second):
            other.send(json.dumps({"type": "start", "width": 64, "height": 48}))
            assert json.loads(other.recv())["type"] == "start"
        page = desk.page("/live")
        page.click("#start")
        page.wait_for_selector("#trouble:visible")
        assert "at most 2 live sessions" in page.inner_text("#trouble-words")
        first.send(json.dumps({"type": "stop"}))
        while json.loads(first.recv())["type"] != "end":
            pass
        wait_for(lambda: retried(page))
        page.click("#stop")
        page.wait_for_selector("html[data-live=off]")


def retried(page: Page) -> bool:
    """Try again; whether the session runs now."""
    page.click("#retry")
    page.wait_for_selector(".event, #trouble:visible")
    return page.is_hidden("#trouble")


FEED = """
const FPS = %d, AHEAD = 3;
let answered = -1; // seconds of the newest frame that the server has measured
window.WebSocket = class extends WebSocket {
  constructor(address) {
    super(address);
    this.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "curve") answered = message.time_s;
    });
  }
};
async function feed(track, writer) {
  for (let n = 0; track.readyState === "live"; n += 1) {
    const planes = await (await fetch(`/film/${n}`)).arrayBuffer();
    const size = { codedWidth: 640, codedHeight: 480 };
    const about = { format: "I420", ...size, timestamp: Math.round(n * 1e6 / FPS) };
    do { // a frame that came before anybody listened comes again; the page takes each once
      await writer.write(new VideoFrame(planes, about));
      await new Promise((go) => setTimeout(go, 2));
    } while (answered < (n - AHEAD) / FPS && track.readyState === "live");
  }
}
navigator.mediaDevices.getUserMedia = async () => {
  const track = new MediaStreamTrackGenerator({ kind: "video" });
  feed(track, track.writable.getWriter()).catch((error) => {
    if (track.readyState === "live") throw error;
  });
  return new MediaStream([track]);
};
"""
"""A camera that gives the next frame when the server has measured one: as fast as it is read."""


def test_planted_movements_appear(tmp_path: Path, chromium: Browser, film: Path) -> None:
    """The whole way: camera, browser, socket, pipeline, page."""
    frames = np.fromfile(film, np.uint8)[len(b"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420jpeg\n") :]
    frames = frames.reshape(-1, len(b"FRAME\n") + 640 * 480 * 3 // 2)[:, len(b"FRAME\n") :]

    def give(route: Route) -> None:
        number = int(route.request.url.rsplit("/", 1)[1])
        route.fulfill(body=frames[number % len(frames)].tobytes())

    with (
        running_station(tmp_path / "data") as station,
        desk_at(station, chromium, viewport=NARROW) as desk,
    ):
        desk.add_init_script(FEED % FPS)
        desk.context.route("**/film/*", give)
        page = desk.page("/live")
        start(page)
        page.wait_for_selector(".event >> nth=1", timeout=PATIENCE_MS)
        wait_for(lambda: drawn(page, "overlay") > 500)
        labels = {card.get_attribute("data-label") for card in page.query_selector_all(".event")}
        assert labels <= {"negative", "positive", "surprise"}
        assert re.search(r"Resolves\s+(from 0\.\d\d s|too slow)", page.inner_text("#numbers"))
        page.click("#stop")
        page.wait_for_selector("html[data-live=off]")
        assert page.is_hidden("#trouble")
