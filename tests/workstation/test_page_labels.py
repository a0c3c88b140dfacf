"""The workstation with a model of five classes: analysed by a worker, reviewed in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from micromimic.workstation.records import reviews

from ..page_server import NARROW, WIDE, Desk, Station, desk_at, running_station
from ..review_desk import CLIP, RECORDING, analyse, open_review, press, saved

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.needs("browser", "playwright", "web", "train")

AUDIT = (Path(__file__).resolve().parents[1] / "page_audit.js").read_text(encoding="utf-8")
SMALL = replace(
    CLIP,
    seconds=4.0,
    fps=60.0,
    width=320,
    height=240,
    face_px=220.0,
    events_per_minute=24.0,
    blinks_per_minute=0.0,
)
"""Two micro-expressions, found both."""
FIVE = ("others", "disgust", "happiness", "repression", "surprise")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    from ..model_files import describe, weights_of, write_model

    data = tmp_path_factory.mktemp("five")
    about = {**describe("flow"), "name": "mine", "labels": list(FIVE)}
    weights = weights_of("flow", classes=len(FIVE))
    model = write_model(data / "five.onnx", "flow", weights=weights, details=about)
    analyse(data, SMALL, model=model)
    with running_station(data, model=model) as station:
        yield station


@pytest.fixture(scope="module")
def machine(station: Station) -> list[dict[str, Any]]:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None and found.labels == FIVE
    events: list[dict[str, Any]] = found.payload["events"]
    assert events and all(tuple(event["probabilities"]) == FIVE for event in events)
    return events


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", WIDE), ("dark", NARROW)], ids=["light", "dark"]
)
def test_everything_is_readable(
    station: Station, chromium: Browser, scheme: str, size: dict[str, int]
) -> None:
    with desk_at(station, chromium, viewport=size, color_scheme=scheme) as desk:
        page = open_review(desk, "ada")
        press(page, "n")
        assert page.evaluate(AUDIT) == []
        press(page, "?")
        page.wait_for_selector("dialog[open]")
        assert page.evaluate(AUDIT) == []


def test_marks_keys_and_shares_are_those_of_the_model(
    desk: Desk, station: Station, machine: list[dict[str, Any]]
) -> None:
    page = open_review(desk, "ada")
    legend = page.locator("#legend li").all_text_contents()
    assert [line[1:].strip() for line in legend[:5]] == list(FIVE)
    signs = [line[0] for line in legend[:5]]
    assert len(set(signs)) == 5 and signs[:3] == ["▼", "▲", "◆"]
    press(page, "n")
    buttons = page.locator("#inspector button.class")
    told = [text[1:] for text in buttons.all_text_contents()]
    assert told == [f"{name}{k}" for k, name in enumerate(FIVE, start=1)]
    shares = page.locator("#machine .shares").first.locator("li")
    assert [line.split("\n")[0] for line in shares.all_inner_texts()] == list(FIVE)
    shades = page.evaluate(
        "[...document.querySelectorAll('#legend .mark')].map((e) => getComputedStyle(e).color)"
    )
    fills = page.evaluate(
        "[...document.querySelectorAll('#machine .shares:first-child .fill')]"
        ".map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert shades == fills and len(set(shades)) == 5
    press(page, "?")
    keys = page.locator("dialog .keys div", has_text=", ".join(FIVE))
    assert keys.locator("kbd").all_inner_texts() == ["1", "2", "3", "4", "5"]
    assert reviews.history(station.store, RECORDING) == ()


def test_keys_by_place_name_and_add_events(
    desk: Desk, station: Station, machine: list[dict[str, Any]]
) -> None:
    page = open_review(desk, "bea")
    other = next(k for k, name in enumerate(FIVE) if name != machine[0]["label"])
    press(page, "n", "6", str(other + 1))  # there is no sixth class
    event = saved(station.store, "bea", 1)[0]
    assert (event.label, event.status) == (FIVE[other], "accepted")
    assert f"machine: {machine[0]['label']}" in page.locator(".event").first.inner_text()
    press(page, "e")
    choices = page.locator("dialog button.class")
    assert choices.count() == 5
    press(page, "4")
    events = saved(station.store, "bea", 2)
    assert next(event for event in events if event.machine is None).label == "repression"
    page.locator("#inspector button.class", has_text="surprise").click()
    events = saved(station.store, "bea", 3)
    assert next(event for event in events if event.machine is None).label == "surprise"


def test_the_page_about_says_which_classes(desk: Desk) -> None:
    page = desk.page("/about")
    page.locator("#limits div", has_text=f"Classes{', '.join(FIVE)}").wait_for()
    assert "which of five groups" in page.locator("#statements").inner_text()
