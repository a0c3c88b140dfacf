"""The review page with a scheme of the study, coded blind, and with movements held back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.core.types import UnitEvidence
from micromimic.report.words import unit_text
from micromimic.workstation.jobs.evidence import write_evidence
from micromimic.workstation.records import jobs, privacy, recordings, reviews
from micromimic.workstation.records.models import Consent
from micromimic.workstation.records.study import change_study

from ..page_server import NARROW, Desk, Station, desk_at, running_station, until
from ..review_desk import RECORDING, analysed, at_frame, open_review, press, saved
from ..waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from micromimic.workstation.records.database import Store

pytestmark = pytest.mark.needs("browser", "playwright", "web")

AUDIT = (Path(__file__).resolve().parents[1] / "page_audit.js").read_text(encoding="utf-8")
HELD, GONE = "6" * 32, "7" * 32
SCHEME = {
    "schema": "micromimic.scheme/1",
    "name": "mine",
    "classes": [{"name": name} for name in ("positive", "surprise", "other")],
    "units": True,
    "sides": True,
    "intensities": True,
    "certainty": ["guess", "probable", "certain"],
    "tags": ["posed", "speech"],
    "templates": [{"name": "smile", "label": "positive", "units": [6, 12], "tags": ["posed"]}],
}
"""It lacks the class of the machine's third event."""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with running_station(analysed(tmp_path_factory, "coding")) as station:
        change_study(station.store, scheme=SCHEME)
        add_held_back(station.store, HELD)
        yield station


@pytest.fixture
def blind(station: Station) -> Iterator[None]:
    change_study(station.store, mode="blind")
    yield
    change_study(station.store, mode="open")


def add_held_back(store: Store, key: str) -> None:
    """The recording once more, its first event held back in place of all."""
    found = reviews.get_analysis(store, RECORDING)
    assert found is not None
    folder = store.folder(key)
    shutil.copytree(store.folder(RECORDING), folder)
    pictures = folder / "events" / "held-back" / "0"
    shutil.copytree(folder / "events" / "0", pictures, dirs_exist_ok=True)
    first = found.payload["events"][0]
    times = [f"{point}_{unit}" for point in ("onset", "apex", "offset") for unit in ("frame", "s")]
    entry = {name: first[name] for name in times}
    entry |= {"reason": "head", "strength": 11.2, "size_units": 0.4, "size_px": 2.8}
    recordings.add_recording(
        store,
        id=key,
        name="held.mp4",
        extension=".mp4",
        size_bytes=1,
        sha256="ab" * 32,
        consent=Consent(given=True, noted_by="kim"),
        expires_at=None,
    )
    job = jobs.claim_job(store, "tests")
    assert job is not None
    jobs.finish_job(
        store,
        job.id,
        payload={**found.payload, "events": [], "held_back": [entry]},
        review={**found.review, "events": [], "held_back": [{**entry, "picture": True}]},
    )


def said(page: Page) -> str:
    return page.locator("#say").inner_text()


def at(page: Page, frame: int, key: str) -> None:
    """A key at a frame."""
    page.fill("#frame", str(frame))
    press(page, "Enter")
    at_frame(page, frame)
    press(page, key)


@pytest.mark.usefixtures("blind")
def test_blind_the_coder_decides_before_the_machine_answers(desk: Desk, station: Station) -> None:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    machine = found.payload["events"][0]
    frames = {name: machine[f"{name}_frame"] for name in ("onset", "apex", "offset")}
    page = open_review(desk, "ada")
    press(page, "n")
    assert "Hidden until you have decided" in page.locator("#machine").inner_text()
    assert page.locator("#faces").is_hidden() and page.locator(".knob:visible").count() == 0
    shares = page.locator("#inspector, #events, #timeline, #machine").all_inner_texts()
    assert not any(word in text for text in shares for word in ("unsure", "sure .", "machine:"))
    press(page, "a")
    assert "onset (i), apex (k), offset (o), class (1 to 3)" in said(page)
    own = {name: frame + 2 for name, frame in frames.items()}
    at(page, own["apex"], "k")
    at(page, own["apex"] + 1, "i")
    assert "expected the onset at or before the apex" in said(page)
    at(page, own["onset"], "i")
    at(page, own["offset"], "o")
    press(page, "3", "u")
    page.keyboard.type("6 + l12c")
    press(page, "Enter", "y", "y", "g", "2", "Enter")
    page.reload()  # what was set stays in this tab
    page.wait_for_selector("html[data-open]")
    assert reviews.get_review(station.store, RECORDING, "ada").number == 0
    assert page.input_value("#units") == "6 + L12C"
    press(page, "a")
    event = saved(station.store, "ada", 1)[0]
    assert (event.label, event.status, event.mode) == ("other", "accepted", "blind")
    assert [event.onset_frame, event.apex_frame, event.offset_frame] == list(own.values())
    assert event.units == [
        {"au": 6, "side": "", "intensity": ""},
        {"au": 12, "side": "left", "intensity": "C"},
    ]
    assert (event.certainty, event.tags) == ("probable", ["speech"])
    until(page, "document.getElementById('class-machine').textContent.includes('positive')")
    answer = f"The machine called it positive, frames {frames['onset']}"
    until(page, f"document.getElementById('say').textContent.includes({answer!r})")
    page.wait_for_selector("#faces canvas:visible")
    press(page, "z")
    saved(station.store, "ada", 2)
    until(
        page, "document.getElementById('say').textContent.includes('took back: accepted event 1')"
    )
    until(page, "document.getElementById('machine').textContent.includes('Hidden')")
    assert page.locator("#class-machine").text_content() == "–"
    assert page.locator("#apex-own").inner_text().startswith(str(own["apex"]))  # one's own stay
    press(page, "n", "r")
    assert saved(station.store, "ada", 3)[1].status == "rejected"


def test_the_scheme_is_coded_by_keys_and_by_mouse(desk: Desk, station: Station) -> None:
    page = open_review(desk, "bea")
    choices = page.locator("#choices button").all_text_contents()
    assert [text[1:-1] for text in choices] == ["positive", "surprise", "other"]
    press(page, "n", "ArrowDown", "ArrowDown", "a")
    assert "“negative” is the machine's, and none of yours" in said(page)
    press(page, "3")
    assert saved(station.store, "bea", 1)[2].label == "other"
    page.locator(".event").nth(2).click()
    page.click(".all-units summary")
    page.get_by_role("button", name="AU 12, lip corner puller", exact=True).click()
    page.get_by_label("Side of AU 12").select_option("left")
    page.get_by_label("Intensity of AU 12").select_option("B")
    page.locator("[data-sure=certain]").click()
    page.locator("[data-tag=posed]").click()
    event = saved(station.store, "bea", 6)[2]
    assert event.units == [{"au": 12, "side": "left", "intensity": "B"}]
    assert (event.certainty, event.tags, event.label) == ("certain", ["posed"], "other")
    press(page, "u")
    page.keyboard.type("LL12")
    press(page, "Enter")
    assert "expected action units as 12, L12 (left)" in said(page) and "got LL12" in said(page)
    assert page.input_value("#units") == "L12B"
    page.locator(".event").nth(1).click()
    press(page, "x", "1")
    event = saved(station.store, "bea", 7)[1]
    assert (event.label, event.status, event.tags) == ("positive", "accepted", ["posed"])
    assert [unit["au"] for unit in event.units] == [6, 12]
    line = page.locator("#history li").first
    until(page, "document.querySelectorAll('#history li').length === 8")
    assert "AU 6, cheek raiser; AU 12, lip corner puller, posed" in str(line.text_content())


def test_held_back_movements_become_events_with_their_own_ends(
    station: Station, chromium: Browser
) -> None:
    with desk_at(station, chromium, viewport=NARROW, color_scheme="dark") as desk:
        desk.add_init_script("localStorage.setItem('micromimic.coder', 'cleo')")
        page = desk.page(f"/review?recording={HELD}")
        page.wait_for_selector("html[data-open]")
        words = page.locator("#inspector-none").inner_text()
        assert "could be judged" in words and "No candidate micro-expressions" in words
        press(page, "h")
        found = reviews.get_analysis(station.store, HELD)
        assert found is not None
        held = found.review["held_back"][0]
        at_frame(page, held["apex_frame"])
        assert "the head moved" in page.locator("#badges").inner_text()
        page.wait_for_selector("#faces canvas:visible")
        until(page, "document.querySelector('.held-one img').naturalWidth > 0")
        assert page.evaluate(AUDIT) == []
        press(page, "h")
        assert "last held-back movement" in said(page)
        press(page, "2")
        page.wait_for_selector(".event[aria-current] >> text=A1")
        at(page, held["apex_frame"] + 1, "e")  # the same stretch, the apex the coder's own
        press(page, "1")
        page.wait_for_selector(".event[aria-current] >> text=A2")
        page.wait_for_selector("#saved[data-state=idle]")
        promoted, added = reviews.get_review(station.store, HELD, "cleo").events
        ends = held["onset_frame"], held["offset_frame"]
        for event, apex in ((promoted, held["apex_frame"]), (added, held["apex_frame"] + 1)):
            assert (event.onset_frame, event.offset_frame, event.apex_frame) == (*ends, apex)
        assert (promoted.label, added.label) == ("surprise", "positive")


@pytest.mark.usefixtures("blind")
def test_what_was_held_back_waits_for_the_end_of_blind_coding(desk: Desk) -> None:
    desk.add_init_script("localStorage.setItem('micromimic.coder', 'dora')")
    page = desk.page(f"/review?recording={HELD}")
    page.wait_for_selector("html[data-open]")
    press(page, "h")
    assert "shown when you are done" in said(page) and page.locator("#held").is_hidden()
    press(page, "d")
    page.wait_for_selector("#held:not([hidden])", state="attached")
    press(page, "h")
    page.wait_for_selector("#faces canvas:visible")


def test_an_added_event_takes_the_stretch_of_the_curve(desk: Desk, station: Station) -> None:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    second = found.payload["events"][1]
    page = open_review(desk, "gus")
    at(page, second["apex_frame"] - 2, "e")
    press(page, "2")
    event = next(e for e in saved(station.store, "gus", 1) if e.added)
    assert event.apex_frame == second["apex_frame"] - 2
    ends = [
        (event.onset_frame, second["onset_frame"]),
        (event.offset_frame, second["offset_frame"]),
    ]
    assert all(abs(own - known) <= 6 for own, known in ends), ends


def test_evidence_of_what_was_not_reported_is_made_on_demand(desk: Desk, station: Station) -> None:
    known = reviews.get_analysis(station.store, RECORDING)
    assert known is not None
    first = known.payload["events"][0]
    desk.add_init_script("localStorage.setItem('micromimic.coder', 'eve')")
    page = desk.page(f"/review?recording={HELD}")
    page.wait_for_selector("html[data-open]")
    press(page, "h", "m")
    page.wait_for_selector("#pair[data-frame]")
    press(page, "m")
    name = f"{first['onset_frame']}-{first['apex_frame']}-{first['offset_frame']}"
    folder = station.store.folder(HELD) / "events" / name
    content = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    made = content["machine"]  # what the analysis made of the same frames
    assert made["probabilities"] == pytest.approx(first["probabilities"], abs=0.01)
    assert made["regions"] == pytest.approx(first["regions"], abs=0.01)
    press(page, "1")  # an event with the same ends: what was made serves it
    page.wait_for_selector("#saved[data-state=idle]")
    until(page, "document.getElementById('machine').textContent.includes('of your stretch')")
    words = page.locator("#machine").inner_text()
    units = [UnitEvidence(e["unit"], e["side"], 1.0, 1.0) for e in first["action_units"]]
    assert units and all(unit_text(unit) in words for unit in units)
    page.wait_for_selector("#faces canvas:visible")
    before = (folder / "evidence.json").stat().st_mtime_ns
    page.reload()
    page.wait_for_selector("html[data-open]")
    page.get_by_role("button", name="Make them").click()
    page.wait_for_selector("#faces canvas:visible")
    assert (folder / "evidence.json").stat().st_mtime_ns == before  # it was there
    assert not list(station.store.incoming.iterdir())
    ask = f"{station.url}/api/v1/recordings/{HELD}/evidence"
    frames = dict(zip(("onset_frame", "apex_frame", "offset_frame"), (50, 40, 60), strict=True))
    answer = page.request.post(ask, data={"coder": "eve", **frames})
    assert answer.status == 422 and "onset < apex" in answer.json()["error"]["message"]
    change_study(station.store, mode="blind")
    try:
        frames["onset_frame"] = 30
        answer = page.request.post(ask, data={"coder": "eve", **frames})
    finally:
        change_study(station.store, mode="open")
    assert answer.status == 409 and "decide first" in answer.json()["error"]["message"]


def test_nothing_is_left_of_a_recording_that_goes_while_evidence_is_made(station: Station) -> None:
    store = station.store
    add_held_back(store, GONE)
    frames = {"onset_frame": 300, "apex_frame": 308, "offset_frame": 320}
    ask = Request(
        f"{station.url}/api/v1/recordings/{GONE}/evidence",
        json.dumps({"coder": "ida", **frames}).encode(),
        {"Content-Type": "application/json"},
    )

    def answer() -> int:
        try:
            with urlopen(ask) as response:
                return int(response.status)
        except HTTPError as error:
            return error.code

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(answer)
        wait_for(lambda: any(store.incoming.glob("*")))  # a worker has begun
        privacy.remove_recording(store, GONE)
        assert asked.result() == 404
    assert not store.folder(GONE).exists() and not list(store.incoming.glob("*"))


def test_no_evidence_where_the_face_was_lost(station: Station, tmp_path: Path) -> None:
    folder = station.store.folder(RECORDING)
    review = json.loads((folder / "review.json").read_text(encoding="utf-8"))
    columns = review["frames_bin"]["columns"]
    numbers = np.fromfile(folder / "frames.bin", "<f4").reshape(len(columns), -1)
    numbers[columns.index("segment"), 300:310] = -1
    results = tmp_path / "results"
    results.mkdir()
    shutil.copy(folder / "review.json", results)
    (results / "frames.bin").write_bytes(numbers.tobytes())
    out = tmp_path / "out"
    with pytest.raises(InputError, match="followed from onset to offset"):
        write_evidence(folder / "video.mp4", results, out, (290, 305, 320))
    assert not out.exists()


def test_units_are_read_as_coders_write_them(desk: Desk) -> None:
    page = open_review(desk, "finn")
    read = page.evaluate(
        """async () => {
          const { notation, parseUnits } = await import("/static/lib/units.js");
          const all = { units: [4, 6, 12], sides: true, intensities: true };
          const plain = { units: [4, 6, 12], sides: false, intensities: false };
          return [
            parseUnits("12lc, au 4  R12+", all), parseUnits("B6a", all),
            notation(parseUnits("R12 L12C 4", all).units), parseUnits("5", all),
            parseUnits("12F", all), parseUnits("L12", plain), parseUnits("", all),
            notation(parseUnits("R6B 12B", all).units),
          ];
        }"""
    )
    unit = dict(zip(("au", "side", "intensity"), (12, "left", "C"), strict=True))
    right, brow = {**unit, "side": "right", "intensity": ""}, {"au": 4, "side": "", "intensity": ""}
    assert read[0] == {"units": [brow, unit, right]}
    assert read[1] == {"units": [{"au": 6, "side": "both", "intensity": "A"}]}
    assert read[2] == "4 + L12C + R12"
    assert "one of the scheme’s action units (4, 6, 12), got 5" in read[3]["problem"]
    assert "got 12F" in read[4]["problem"] and "got L12" in read[5]["problem"]
    assert read[6] == {"units": []}
    assert read[7] == "R6B + 12B"  # intensities
