"""What every page shares: navigation, theme, names, no network; readable at any width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import micromimic.workstation
from micromimic.core.notices import cannot_tell
from micromimic.report.words import UNIT_WORDS
from micromimic.workstation.records import people, recordings, reviews

from ..page_server import (
    AUDIT,
    NARROW,
    WIDE,
    Station,
    add_recording,
    add_series,
    desk_at,
    running_station,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.needs("browser", "playwright", "web")

UNITS = Path(micromimic.workstation.__file__).parent / "static" / "lib" / "units.js"
PAGES = {
    "analyse": "/",
    "live": "/live",
    "subjects": "/subjects",
    "study": "/study",
    "export": "/export",
    "about": "/about",
}
SHOWN = {
    "/": "#recordings .row",
    "/live": "#numbers dd",
    "/subjects": "#subjects li",
    "/subjects?subject={person}": ".picture[data-from]",
    "/study": "#scheme-now b",
    "/export": "#train button:enabled",
    "/about": "#statements h3",
}
"""Each address, and what is there once it has loaded what it shows."""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with running_station(tmp_path_factory.mktemp("data")) as station:
        sessions = add_series(station.store, "P01", (4, 5, 14))
        recording = recordings.list_recordings(station.store, session_id=sessions[2])[0]
        for number, action in enumerate(("accept", "reject")):
            reviews.decide(
                station.store,
                recording.id,
                coder="kim",
                expected=number,
                action=action,
                event=f"m{number}",
            )
        people.add_subject(station.store, "P02")
        add_recording(
            station.store, "a name that is long enough to need two lines.mp4", status="failed"
        )
        add_recording(station.store, "hallway.mov", status="running")
        yield station


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1440", "390"])
def test_readable(station: Station, chromium: Browser, size: dict[str, int], theme: str) -> None:
    """Contrast of WCAG AA, nothing wider than the screen, everything named, on every page."""
    person = people.find_subject(station.store, "P01").id
    with desk_at(station, chromium, viewport=size, color_scheme=theme) as desk:
        page = desk.page("/about")
        for path, shown in SHOWN.items():
            page.goto(station.url + path.format(person=person))
            page.wait_for_selector("html[data-ready]")
            page.wait_for_selector(shown)
            assert page.evaluate(AUDIT) == [], path
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(244, 245, 247)" if theme == "light" else "rgb(16, 20, 24)")


def test_navigation_and_footer(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        place = page.locator("nav >> text=Export").bounding_box()
        for name in PAGES:
            page.click(f"nav >> text={name.title()}")
            page.wait_for_selector(f"html[data-ready={name}]")
            assert page.locator("nav >> text=Export").bounding_box()["y"] == place["y"]
            assert page.inner_text("nav [aria-current=page]") == name.title()
            assert "Not a lie detector" in page.inner_text("footer")
            assert page.get_attribute("footer a", "href") == "/about"


def test_review_opens_what_is_left(station: Station, chromium: Browser) -> None:
    """From anywhere: what the coder has begun, then the oldest; nothing where all is finished."""
    begun, *_ = recordings.list_recordings(
        station.store, session_id=people.list_sessions(station.store)[2].id
    )
    with desk_at(station, chromium) as desk:
        desk.add_init_script("localStorage.setItem('micromimic.coder', 'kim')")
        page = desk.page("/about")
        review = '<link rel="icon" href="/static/icon.svg">'
        page.route("**/review?recording=*", lambda route: route.fulfill(body=review))
        page.click("nav >> text=Review")
        page.wait_for_url(f"**/review?recording={begun.id}")
        page.unroute_all()
        page.route(
            "**/api/v1/recordings?*",
            lambda route: route.fulfill(json={"recordings": [], "total": 0}),
        )
        page.goto(station.url + "/review")
        page.wait_for_selector("#problem:visible")
        assert "Nothing waits for you" in page.inner_text("#problem")


def test_words_have_their_meaning_in_place(station: Station, chromium: Browser) -> None:
    """By mouse, by keyboard and by touch; and it goes again."""
    person = people.find_subject(station.store, "P01").id
    with desk_at(station, chromium, viewport=NARROW, has_touch=True) as desk:
        page = desk.page(f"/subjects?subject={person}")
        word, meaning = (
            page.locator(f".term:has-text('baseline') > {part}") for part in ("button", ".meaning")
        )
        word.wait_for()
        assert not meaning.is_visible()
        word.focus()
        page.keyboard.press("Enter")
        meaning.wait_for()
        assert "A session at rest" in meaning.inner_text()
        page.keyboard.press("Escape")
        meaning.wait_for(state="hidden")
        word.tap()
        meaning.wait_for()
        box = meaning.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= NARROW["width"]
        page.touchscreen.tap(5, 5)
        meaning.wait_for(state="hidden")
        word.hover()
        meaning.wait_for()
        page.mouse.move(0, 0)
        meaning.wait_for(state="hidden")


def test_names_of_action_units_are_the_reports() -> None:
    text = UNITS.read_text(encoding="utf-8")
    (table,) = re.findall(r"export const UNITS = \{(.*?)\};", text, re.DOTALL)
    assert dict(re.findall(r'(\d+): "([^"]+)"', table)) == dict(UNIT_WORDS)


def test_theme_is_kept(station: Station, chromium: Browser) -> None:
    dark = "rgb(16, 20, 24)"
    with desk_at(station, chromium, color_scheme="light") as desk:
        page = desk.page("/about")
        assert page.inner_text("#theme") == "Dark"
        page.click("#theme")
        assert page.inner_text("#theme") == "Light"
        page.goto(station.url + "/export")
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        page.emulate_media(color_scheme="dark")
        page.click("#theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_name_of_the_coder(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        assert page.inner_text("#coder") == "Coder: no name yet"
        page.click("#coder")
        page.click("dialog button[type=submit]")
        assert "expected a name" in page.inner_text("dialog .problem")
        page.fill("#coder-name", '  <b onclick="x">kim</b> ')
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog", state="detached")
        assert page.inner_text("#coder") == 'Coder: <b onclick="x">kim</b>'
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.inner_text("#coder") == 'Coder: <b onclick="x">kim</b>'
        page.click("#coder")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")


def test_about_says_what_the_server_says(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium) as desk:
        page = desk.page("/about")
        page.wait_for_selector("#statements h3")
        shown = [
            (box.query_selector("h3").inner_text(), box.query_selector("p").inner_text())
            for box in page.query_selector_all("#statements > div")
        ]
        assert shown == list(cannot_tell(3))
        words = page.inner_text("main")
        assert re.search(r"removed 30 days after", words)
        assert "300-W" in words
        assert page.request.get(station.url + page.get_attribute("#version a", "href")).ok


def test_unknown_subject_is_a_line(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium) as desk:
        page = desk.page("/subjects?subject=" + "0" * 32)
        page.wait_for_selector("#person .problem")
        assert "subject" in page.inner_text("#person .problem")
        desk.expect("status of 404")
