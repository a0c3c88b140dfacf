"""The review page in Chromium, at a real server, over a recording that was analysed for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from micromimic.core.types import UnitEvidence
from micromimic.report.words import unit_text
from micromimic.workstation.records import reviews

from ..page_server import (
    NARROW,
    PATIENCE_MS,
    WIDE,
    Desk,
    Station,
    desk_at,
    running_station,
    until,
)
from ..review_desk import (
    RECORDING,
    analysed,
    at_frame,
    box,
    middle,
    open_review,
    press,
    saved,
    settled,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("browser", "playwright", "web")

AUDIT = (Path(__file__).resolve().parents[1] / "page_audit.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with running_station(analysed(tmp_path_factory, "review")) as station:
        yield station


@pytest.fixture(scope="module")
def machine(station: Station) -> list[dict[str, Any]]:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    events: list[dict[str, Any]] = found.payload["events"]
    assert len(events) == 3
    return events


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_everything_is_readable(
    station: Station, chromium: Browser, scheme: str, size: dict[str, int]
) -> None:
    with desk_at(station, chromium, viewport=size, color_scheme=scheme) as desk:
        page = open_review(desk, "ada")
        assert page.locator("#name").inner_text() == "interview.mp4"
        assert page.locator("#events li").count() == 3
        press(page, "n", "c", "f", "v")
        page.wait_for_selector("#faces canvas")
        assert page.evaluate(AUDIT) == []
        press(page, "?")
        page.wait_for_selector("dialog[open]")
        assert page.evaluate(AUDIT) == []


def picture(page: Page) -> NDArray[np.float64]:
    """Every seventh pixel (green) of the video's picture as it is on the screen."""
    grey = page.evaluate(
        """() => {
          const video = document.getElementById("video");
          const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
          const context = canvas.getContext("2d");
          context.drawImage(video, 0, 0);
          const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
          const grey = [];
          for (let k = 0; k < data.length; k += 28) grey.push(data[k + 1]);
          return grey;
        }"""
    )
    return np.asarray(grey, dtype=np.float64)


def decoded(path: Path, first: int, last: int) -> dict[int, NDArray[np.float64]]:
    """Frames of a video by number, counted as they come: every seventh pixel, green."""
    with av.open(str(path)) as container:
        return {
            number: frame.to_ndarray(format="rgb24")[..., 1].ravel()[::7].astype(np.float64)
            for number, frame in enumerate(container.decode(video=0))
            if first <= number <= last
        }


def test_the_frame_named_is_the_frame_shown(desk: Desk, station: Station) -> None:
    page = open_review(desk, "ada")
    frames = decoded(station.store.folder(RECORDING) / "proxy.mp4", 0, 330)

    def nearest(around: int) -> int:
        seen = picture(page)
        near = range(max(0, around - 4), around + 5)
        return max(near, key=lambda n: float(np.corrcoef(frames[n], seen)[0, 1]))

    for wanted in (0, 1, 2):  # the first picture, then single steps
        at_frame(page, wanted)
        assert nearest(wanted) == wanted
        press(page, "ArrowRight")
    page.fill("#frame", "300")
    press(page, "Enter")
    at_frame(page, 300)
    assert nearest(300) == 300
    press(page, *["ArrowRight"] * 7, *["ArrowLeft"] * 3, "Shift+ArrowRight")  # faster than it seeks
    at_frame(page, 314)
    assert nearest(314) == 314
    press(page, "Shift+ArrowLeft", "ArrowLeft")
    at_frame(page, 303)
    assert nearest(303) == 303


def test_playing_names_the_frames_it_shows(desk: Desk) -> None:
    page = open_review(desk, "ada")
    page.evaluate(
        """() => {
          window.seen = [];
          const video = document.getElementById("video");
          const listen = () => video.requestVideoFrameCallback((now, { mediaTime }) => {
            // The page's own callback ran first: it was asked for earlier.
            window.seen.push([mediaTime, Number(document.getElementById("stage").dataset.frame)]);
            listen();
          });
          listen();
        }"""
    )
    press(page, "s", "s", "Space")
    until(page, "window.seen.length > 12")
    press(page, "Space")
    page.wait_for_selector("#play:not([data-playing=true])")
    seen = page.evaluate("window.seen")
    assert all(abs(time * 100 - frame) < 0.5 for time, frame in seen)
    assert page.evaluate("document.getElementById('video').playbackRate") == 0.25


def test_relabel_undo_redo_and_reload(desk: Desk, station: Station, machine: Any) -> None:
    page = open_review(desk, "bea")
    first = machine[0]
    assert first["label"] == "positive"
    press(page, "n")
    at_frame(page, first["apex_frame"])
    press(page, "3")
    event = saved(station.store, "bea", 1)[0]
    assert (event.label, event.status, event.changed) == ("surprise", "accepted", True)
    at_frame(page, machine[1]["apex_frame"])  # what is decided is done with: the next open one
    assert page.locator(".event").first.locator(".status").inner_text() == "✓ accepted"
    assert "machine: positive" in page.locator(".event").first.inner_text()
    for part in (".what", ".other"):  # both are read whole
        cut = "(part) => part.scrollWidth - part.clientWidth"
        assert page.locator(".event").first.locator(part).evaluate(cut) <= 0, part
    for number, (undo, redo) in enumerate(
        [("z", "Shift+z"), ("Control+z", "Control+Shift+z"), ("Meta+z", "Control+y")]
    ):
        press(page, undo)
        event = saved(station.store, "bea", 2 + 2 * number)[0]
        assert (event.label, event.status) == ("positive", "pending")
        at_frame(page, first["apex_frame"])  # the event that it concerns
        press(page, redo)
        assert saved(station.store, "bea", 3 + 2 * number)[0].label == "surprise"
    settled(page)
    page.reload()
    page.wait_for_selector("html[data-open]")
    at_frame(page, first["apex_frame"])  # the place is kept
    row = page.locator("#inspector tbody tr").first
    assert "positive" in row.locator("td").nth(0).inner_text()
    assert "surprise" in row.locator("td").nth(1).inner_text()
    lines = page.locator("#history li")
    until(page, "document.querySelectorAll('#history li').length === 8")
    page.click("#tab-history")
    assert "brought back decision 1" in lines.first.inner_text()


def test_dragging_the_apex_with_the_mouse(desk: Desk, station: Station, machine: Any) -> None:
    page = open_review(desk, "cleo")
    press(page, "n", "n")
    second = machine[1]
    at_frame(page, second["apex_frame"])
    page.wait_for_selector(".knob.apex:visible")
    x, y = middle(page, ".knob.apex .flag")
    onset, offset = middle(page, ".knob.onset")[0], middle(page, ".knob.offset")[0]
    assert onset < x < offset
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 6, y)
    page.mouse.move(x - 12, y, steps=3)
    held = page.locator(".bubble").inner_text()
    during = int(page.locator(".knob.apex").get_attribute("aria-valuenow") or -1)
    assert second["onset_frame"] <= during < second["apex_frame"]
    assert held.startswith(f"apex · frame {during} · 0:0{during / 100:.3f}")
    assert f"machine {second['apex_frame']}" in held
    at_frame(page, during)  # the video shows what is under the finger
    assert reviews.get_review(station.store, RECORDING, "cleo").number == 0
    page.mouse.up()
    event = saved(station.store, "cleo", 1)[1]
    assert (event.apex_frame, event.onset_frame) == (during, second["onset_frame"])
    assert event.status == "accepted" and event.machine is not None
    assert event.machine["apex_frame"] == second["apex_frame"]
    settled(page)
    page.mouse.move(x - 12, y)  # it cannot leave onset and offset, and Escape gives it up
    page.mouse.down()
    page.mouse.move(x - 2000, y, steps=2)
    assert (
        int(page.locator(".knob.apex").get_attribute("aria-valuenow") or -1)
        == second["onset_frame"]
    )
    press(page, "Escape")
    page.mouse.up()
    assert page.locator(".bubble").is_hidden()
    assert reviews.get_review(station.store, RECORDING, "cleo").number == 1


class Fingers:
    """Touches of a page, as the browser's own input."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)

    def move(self, *path: tuple[tuple[float, float], ...]) -> None:
        """Down at the first place of the path, along it, and up; a place for each finger."""
        for number, places in enumerate(path):
            points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(places)]
            self._send("touchMove" if number else "touchStart", points)
        self._send("touchEnd", [])

    def _send(self, kind: str, points: list[dict[str, float]]) -> None:
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_fingers_drag_a_point_and_zoom(station: Station, chromium: Browser, machine: Any) -> None:
    with desk_at(station, chromium, viewport=NARROW, has_touch=True) as desk:
        page = open_review(desk, "dora")
        page.locator(".event").first.tap()
        page.locator("#timeline").scroll_into_view_if_needed()
        press(page)  # where a finger lands goes by what was drawn last
        x, y = middle(page, ".knob.offset .flag")
        fingers = Fingers(page)
        fingers.move(((x, y),), ((x + 9, y),), ((x + 22, y),))
        event = saved(station.store, "dora", 1)[0]
        assert event.offset_frame > machine[0]["offset_frame"]
        assert event.onset_frame == machine[0]["onset_frame"]
        settled(page)
        page.click("#zoom-all")
        page.wait_for_selector(".window", state="hidden")
        press(page)
        plot = box(page, ".plot")
        y, left = plot["y"] + 60, plot["x"] + plot["width"] / 2
        fingers.move(*(((left - gap, y), (left + gap, y)) for gap in (20, 60, 80)))
        page.wait_for_selector(".window", state="visible")
        assert 0.2 < box(page, ".window")["width"] / box(page, ".overview")["width"] < 0.3


def test_adding_noting_and_removing(desk: Desk, station: Station) -> None:
    page = open_review(desk, "eve")
    page.fill("#frame", "600")
    press(page, "Enter")
    at_frame(page, 600)
    press(page, "e", "1")
    event = saved(station.store, "eve", 1)[-1]
    assert (event.key, event.label, event.apex_frame) == ("c1", "negative", 600)
    assert (event.onset_frame, event.offset_frame) == (590, 615)
    page.wait_for_selector(".event[aria-current] >> text=A1")
    press(page, *["ArrowLeft"] * 15)
    at_frame(page, 585)
    press(page, "i")
    assert saved(station.store, "eve", 2)[-1].onset_frame == 585
    press(page, "w")
    page.keyboard.type("lip corner, very weak a r z")
    press(page, "Enter")
    assert saved(station.store, "eve", 3)[-1].note == "lip corner, very weak a r z"
    settled(page)
    press(page, "o")  # the offset before the apex: refused here, nothing is sent
    assert "expected the apex at or before the offset" in page.locator("#say").inner_text()
    press(page, "Delete")
    assert len(saved(station.store, "eve", 4)) == 3
    until(page, "document.querySelectorAll('#events li').length === 3")
    settled(page)  # what was saved is told before
    press(page, "p", "Delete")
    assert "reject it instead" in page.locator("#say").inner_text()
    press(page, "z")
    assert saved(station.store, "eve", 5)[-1].note == "lip corner, very weak a r z"


def test_a_whole_review_by_keyboard(desk: Desk, station: Station) -> None:
    page = open_review(desk, "finn")
    assert page.locator("#compare").is_hidden()
    press(page, "n", "a", "r", "2")
    events = saved(station.store, "finn", 3)
    assert [event.status for event in events] == ["accepted", "rejected", "accepted"]
    assert events[2].label == "positive"
    page.click("#done")
    page.wait_for_selector("#compare:visible")
    page.wait_for_selector("#agreement .figures")
    assert page.locator("#progress").inner_text() == "all 3 events decided"
    response = page.request.get(
        f"{station.url}/api/v1/recordings/{RECORDING}/agreement?coder=finn&other=machine"
    )
    kappa = response.json()["kappa"]
    shown = page.locator("#agreement dd b").first.inner_text()
    assert shown == f"{kappa:.2f}".replace("-", "−")
    page.set_viewport_size({"width": 1280, "height": 800})  # where its column is narrowest
    cut = page.locator("#agreement .scroll").evaluate("(n) => n.scrollWidth - n.clientWidth")
    assert cut == 0
    page.set_viewport_size(WIDE)
    press(page, "n")
    assert "last event" in page.locator("#say").inner_text()
    page.wait_for_selector("#next:visible")
    press(page, "Shift+N")
    until(page, "document.getElementById('say').textContent.startsWith('nothing else waits')")
    knob = page.locator(".knob.onset")  # points by Tab and arrow keys
    before = int(knob.get_attribute("aria-valuenow") or -1)
    knob.focus()
    press(page, "ArrowLeft", "ArrowLeft", "Enter")
    assert saved(station.store, "finn", 5)[2].onset_frame == before - 2


def test_of_a_rejected_event_the_coder_says_nothing_more(desk: Desk) -> None:
    page = open_review(desk, "rex")
    own = [page.locator(f"#{name}-own") for name in ("class", "onset", "apex", "offset")]
    press(page, "n", "r")
    page.click(".event[data-key=m0]")  # it went on to the next
    assert [part.inner_text() for part in own] == ["rejected", "–", "–", "–"]
    press(page, "a")
    assert "–" not in [part.inner_text() for part in own]
    settled(page)


def test_exports(desk: Desk, station: Station) -> None:
    page = open_review(desk, "gus")
    press(page, "n", "r")
    saved(station.store, "gus", 1)
    settled(page)
    page.click("summary:has-text('Export')")
    with page.expect_download(timeout=PATIENCE_MS) as waiting:
        page.click("#export-links p:first-of-type a:has-text('JSON')")
    content = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert content["schema"] == "micromimic.events/1"
    assert "rejected" in json.dumps(content)
    links = page.locator("#export-links a")
    addresses = [str(links.nth(k).get_attribute("href")) for k in range(links.count())]
    for address in addresses:
        answer = page.request.get(station.url + address)
        assert answer.ok, address
    own = [address for address in addresses if "/export/" in address and "coder=gus" in address]
    assert len(own) == 3


def in_words(entry: dict[str, str]) -> str:
    return unit_text(UnitEvidence(entry["unit"], entry["side"], 1.0, 1.0))


def test_the_card_of_an_event_names_its_units(desk: Desk, machine: list[dict[str, Any]]) -> None:
    assert any(event["action_units"] for event in machine)
    page = open_review(desk, "ivy")
    for event in machine:
        press(page, "n")
        words = "; ".join(in_words(entry) for entry in event["action_units"])
        wanted = f"Looks like {words or 'no action unit stands out'}"
        page.get_by_text(wanted, exact=True).wait_for()
        assert page.locator("#machine .units").inner_text() == wanted
