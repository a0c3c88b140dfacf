"""The review page when saving goes wrong, when others decide too, and when the video is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from micromimic.workstation.records import privacy, reviews

from ..page_server import (
    Desk,
    Station,
    add_recording,
    desk_at,
    running_station,
    until,
)
from ..review_desk import (
    COMPLAINT,
    RECORDING,
    analysed,
    at_frame,
    open_review,
    press,
    saved,
    settled,
    shown_frame,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Route

pytestmark = pytest.mark.needs("browser", "playwright", "web")

DECISIONS = "**/api/v1/recordings/*/decisions"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with running_station(analysed(tmp_path_factory, "saving")) as station:
        yield station


def test_two_windows_decide_on_one_event(desk: Desk, station: Station) -> None:
    first, second = open_review(desk, "ada"), open_review(desk, "ada")
    press(first, "n", "n", "r")
    saved(station.store, "ada", 1)
    second.uncheck("#advance")
    press(second, "n", "n", "+", "+")
    frame = reviews.get_review(station.store, RECORDING, "ada").events[1].apex_frame
    at_frame(second, frame)
    window = second.locator(".window").get_attribute("style")
    press(second, "1")
    line = second.locator("#saving")
    second.wait_for_selector("#saving:visible")
    assert "changed in another window" in line.inner_text()
    assert "ada, in another window: rejected event 2" in line.inner_text()
    assert "Not saved: you called event 2 negative" in line.inner_text()
    assert second.locator(".event[aria-current] .status").inner_text() == "✕ rejected"
    assert (shown_frame(second), second.locator(".window").get_attribute("style")) == (
        frame,
        window,
    )
    assert (
        reviews.get_review(station.store, RECORDING, "ada").number == 1
    )  # nothing is overwritten unasked
    line.get_by_role("button", name="Make my change again").click()
    event = saved(station.store, "ada", 2)[1]
    assert (event.status, event.label) == ("accepted", "negative")
    settled(second)
    assert line.is_hidden()
    press(first, "n", "a")  # the other window is the late one now
    first.wait_for_selector("#saving:visible")
    first.get_by_role("button", name="Leave it").click()
    settled(first)
    assert reviews.get_review(station.store, RECORDING, "ada").number == 2
    assert first.locator(".event").nth(1).locator(".status").inner_text() == "✓ accepted"
    desk.expect(COMPLAINT)


def test_the_server_is_gone_for_a_while(
    tmp_path_factory: pytest.TempPathFactory, chromium: Browser
) -> None:
    data = analysed(tmp_path_factory, "gone")
    with running_station(data) as before:
        port = int(before.url.rsplit(":", 1)[1])
        with desk_at(before, chromium) as desk:
            page = open_review(desk, "bea")
            press(page, "n")
            at_frame(page, 128)
            before.stop()
            press(page, "a", "3", "ArrowUp", "w")
            page.keyboard.type("while nobody listened")
            press(page, "Enter")
            page.wait_for_selector("#saving.warn:visible")
            words = page.locator("#saving").inner_text()
            assert "3 changes not saved yet" in words and "tried again by itself" in words
            assert page.locator("#saved").inner_text() == "not saved"
            rows = page.locator(".event .status").all_inner_texts()
            assert rows[:2] == ["✓ accepted", "✓ accepted"]  # what is meant is shown, and that
            assert "not saved yet" in page.locator(".badges").inner_text()  # it is not saved
            press(page, "z")  # the comment never left: taken back here
            until(page, "document.getElementById('saving').textContent.includes('2 changes')")
            press(page, "Shift+z")
            with running_station(data, port=port) as after:
                page.get_by_role("button", name="Try now").click()
                events = saved(after.store, "bea", 3)
                assert [event.status for event in events] == ["accepted", "accepted", "pending"]
                assert events[1].note == "while nobody listened"
                settled(page)
                assert page.locator("#saving").is_hidden()
                assert page.evaluate("Object.keys(localStorage).join()") == "micromimic.coder"
                page.close()
            desk.expect(COMPLAINT)


def test_an_answer_that_is_lost_is_not_decided_twice(desk: Desk, station: Station) -> None:
    page = open_review(desk, "cleo")
    lost = []

    def lose(route: Route) -> None:
        if not lost:  # the server decides, and nobody hears of it
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route(DECISIONS, lose)
    press(page, "e", "3", "k")
    press(page, *["ArrowRight"] * 3)
    at_frame(page, 3)
    press(page, "k")  # on the new event, whose name is not known yet
    settled(page)
    events = saved(station.store, "cleo", 2)
    assert lost == [201]
    assert [event.key for event in events] == ["c1", "m0", "m1", "m2"]
    assert events[0].apex_frame == 3
    assert page.locator(".event[aria-current] .count").inner_text() == "A1"
    desk.expect(COMPLAINT)


def test_unsaved_changes_outlive_the_page(desk: Desk, station: Station) -> None:
    page = open_review(desk, "dora")
    page.route(DECISIONS, lambda route: route.abort())
    press(page, "n", "a", "r")
    page.wait_for_selector("#saving.warn:visible")
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.locator("#name").click()  # Chromium asks before leaving only a page that was touched
    page.goto(station.url + "/about")
    assert asked == ["beforeunload"]
    assert reviews.get_review(station.store, RECORDING, "dora").number == 0
    page.unroute(DECISIONS)
    page.goto(f"{station.url}/review?recording={RECORDING}")
    page.wait_for_selector("html[data-open]")
    settled(page)
    events = saved(station.store, "dora", 2)
    assert [event.status for event in events] == ["accepted", "rejected", "pending"]
    desk.expect(COMPLAINT)


def test_a_refused_change_is_told(desk: Desk, station: Station) -> None:
    page = open_review(desk, "eve")
    refusal = '{"error": {"code": "refused", "message": "expected less, got more; stop"}}'
    page.route(DECISIONS, lambda route: route.fulfill(status=422, body=refusal))
    press(page, "n", "a")
    page.wait_for_selector("#say.bad")
    assert page.locator("#say").inner_text() == (
        "Not saved (accepted event 1): expected less, got more; stop"
    )
    settled(page)
    assert page.locator(".event .status").first.inner_text() == "? open"
    desk.expect(COMPLAINT)


def test_other_coders_stay_hidden_until_ones_own_review_is_complete(
    desk: Desk, station: Station
) -> None:
    decisions: list[dict[str, Any]] = [
        {"action": "reject", "event": "m0"},
        {"action": "relabel", "event": "m1", "label": "negative"},
        {"action": "accept", "event": "m2"},
        {
            "action": "add",
            "label": "negative",
            "onset_frame": 600,
            "apex_frame": 610,
            "offset_frame": 630,
        },
    ]
    for number, decision in enumerate(decisions):
        reviews.decide(station.store, RECORDING, coder="zoe", expected=number, **decision)
    asked: list[str] = []
    desk.context.on("request", lambda request: asked.append(request.url))
    page = open_review(desk, "finn")
    press(page, "n", "a", "a")
    saved(station.store, "finn", 2)
    settled(page)
    page.click("#tab-agreement")
    page.locator("#blind").wait_for()
    assert "zoe" not in page.locator("#desk").inner_text()
    assert page.locator("#history-all-label").is_hidden()
    histories = [url for url in asked if "/history" in url]
    assert histories and all("coder=finn" in url for url in histories)
    data = [url for url in asked if "/static/" not in url]
    assert not [url for url in data if "zoe" in url or "/agreement" in url]
    press(page, "a")
    saved(station.store, "finn", 3)
    settled(page)
    assert page.locator("#compare").is_hidden()
    press(page, "d")
    page.wait_for_selector("#compare:visible")
    page.select_option("#compare-with", "coder zoe")
    until(page, "document.querySelector('#agreement').textContent.includes('columns zoe')")
    page.click("#tab-history")
    page.check("#history-all")
    until(page, "document.querySelector('#history').textContent.includes('zoe added event A4')")
    press(page, "z")  # open again: hidden again
    page.wait_for_selector("#compare", state="hidden")
    until(page, "!document.querySelector('#history').textContent.includes('zoe')")


def test_without_its_video_a_recording_can_still_be_reviewed(
    tmp_path_factory: pytest.TempPathFactory, chromium: Browser
) -> None:
    data = analysed(tmp_path_factory, "expired")
    with running_station(data) as station, desk_at(station, chromium) as desk:
        assert privacy.expire(station.store, datetime.now(UTC) + timedelta(days=60)) == [RECORDING]
        page = open_review(desk, "gus")
        assert "removed when its retention ended" in page.locator("#no-video").inner_text()
        press(page, "n", "c")
        at_frame(page, 128)
        blank = """() => {
          const canvas = document.getElementById("overlay");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return !data.some(Boolean);
        }"""
        assert page.evaluate(blank) is False  # the face, drawn from its landmarks
        press(page, "ArrowRight", "ArrowRight", "k")
        assert saved(station.store, "gus", 1)[0].apex_frame == 130
        press(page, "s", "l", "Space")
        until(page, "Number(document.getElementById('frame').value) > 131")
        press(page, "Space")
        assert shown_frame(page) <= 150 + 10
        assert "removed with the video" in page.locator("#faces-none").inner_text()


def test_what_there_is_to_say_when_there_is_nothing_to_review(desk: Desk, station: Station) -> None:
    failed = add_recording(station.store, "hall.mov", status="failed")
    for query, words in (
        ("?recording=film", "expected a recording, got film"),
        (f"?recording={'0' * 32}", "expected"),
        (f"?recording={failed.id}", "failed. expected results, got a part"),
    ):
        page = desk.context.new_page()
        page.add_init_script("localStorage.setItem('micromimic.coder', 'ida')")
        page.goto(station.url + "/review" + query)
        page.wait_for_selector("#problem:visible")
        assert words in page.locator("#problem").inner_text()
        assert page.locator("#problem a").get_attribute("href") == "/"


def test_a_name_comes_first(desk: Desk, station: Station) -> None:
    asked: list[str] = []
    desk.context.on("request", lambda request: asked.append(request.url))
    page = desk.page(f"/review?recording={RECORDING}")
    page.wait_for_selector("dialog[open]")
    assert not [url for url in asked if "/api/" in url]
    page.fill("#coder-name", "ingo & söhne")
    press(page, "Enter")
    page.wait_for_selector("html[data-open]")
    press(page, "n", "a")
    saved(station.store, "ingo & söhne", 1)
    settled(page)
