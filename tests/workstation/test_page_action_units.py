"""The review page and the live page name the action units of an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from micromimic.workstation.records import reviews

pytest.importorskip("fastapi", reason="fastapi is in the web extra")
pytest.importorskip("playwright", reason="playwright is needed for page tests")

from ..page_server import Station, desk_at, running_station
from ..review_desk import RECORDING, analysed, open_review, press

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.needs("browser", "playwright", "web")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with running_station(analysed(tmp_path_factory, "units")) as station:
        yield station


def in_words(entry: dict[str, str]) -> str:
    side = "" if entry["side"] == "both" else f" {entry['side']}"
    return f"AU{entry['unit']}{side}"


def test_the_card_of_an_event_names_its_units(station: Station, chromium: Browser) -> None:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    events = found.payload["events"]
    assert any(event["action_units"] for event in events)
    with desk_at(station, chromium) as desk:
        page = open_review(desk, "ada")
        for event in events:
            press(page, "n")
            words = ", ".join(in_words(entry) for entry in event["action_units"])
            wanted = f"Looks like {words or 'no action unit stands out'}"
            page.get_by_text(wanted, exact=True).wait_for()
            assert page.locator("#machine .units").inner_text() == wanted
