"""Subjects, sessions, trends, forgetting, export and agreement, in a real browser."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from micromimic.workstation.records import people, privacy, recordings, reviews
from micromimic.workstation.records.models import Consent

from ..page_server import (
    Station,
    add_recording,
    add_series,
    desk_at,
    running_station,
    until,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from micromimic.workstation.records.database import Store
    from micromimic.workstation.records.models import Recording

pytestmark = pytest.mark.needs("browser", "playwright", "web")
YES = Consent(given=True, noted_by="kim")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with running_station(tmp_path / "data") as station:
        yield station


def save(page: Page) -> None:
    page.click("dialog button[type=submit]")
    page.wait_for_selector("dialog", state="detached")


def test_subjects_and_sessions(station: Station, chromium: Browser) -> None:
    """Added, refused twice, edited, marked, removed; what is typed is never read as HTML."""
    with desk_at(station, chromium) as desk:
        page = desk.page("/subjects")
        page.wait_for_selector("#no-subjects:visible")
        page.click("#add-subject")
        page.click("dialog button[type=submit]")
        assert "expected a code" in page.inner_text("dialog .problem")
        page.fill("#subject-code", "<i>P01</i>")
        page.fill("#subject-note", "wears\nglasses")
        save(page)
        page.wait_for_selector("#person-title")
        assert page.inner_text("#person-title") == "<i>P01</i>"
        page.click("#add-subject")
        page.fill("#subject-code", "<i>P01</i>")
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog .problem:visible")
        desk.expect("status of 409")
        page.keyboard.press("Escape")
        page.click("#person >> text=Edit")
        page.fill("#subject-code", "P01")
        save(page)
        page.wait_for_selector("#person-title:text-is('P01')")

        page.click("#add-session")
        page.fill("#session-title", "intake")
        page.fill("#session-day", "2026-09-01")
        page.check("dialog [name=given]")
        page.click("dialog button[type=submit]")
        assert "expected who noted" in page.inner_text("dialog .problem")
        page.fill("#session-by", "kim")
        page.fill("#session-ground", "form 12")
        save(page)
        page.wait_for_selector(".session")
        (session,) = people.list_sessions(station.store)
        assert (session.title, str(session.held_on)) == ("intake", "2026-09-01")
        noted = session.consent.noted_at
        assert session.consent.given and noted is not None

        page.click(".session >> text=Baseline")
        page.wait_for_selector(".session [aria-pressed=true]")
        page.click(".session >> text=Edit")
        page.fill("#session-title", "first interview")
        save(page)
        page.wait_for_selector(".session:has-text('first interview')")
        (session,) = people.list_sessions(station.store)
        assert session.baseline and session.consent.noted_at == noted
        page.click(".session >> text=Remove")
        save(page)
        page.wait_for_selector(".session", state="detached")
    assert people.list_sessions(station.store) == ()


def finish(store: Store, recording: Recording, coder: str, action: str = "accept") -> None:
    """A whole review: the same decision on every candidate, then done."""
    for number in range(recording.events):
        reviews.decide(
            store, recording.id, coder=coder, expected=number, action=action, event=f"m{number}"
        )
    reviews.decide(store, recording.id, coder=coder, expected=recording.events, action="done")


def shown(page: Page, indicator: str) -> list[list[str]]:
    """The table of an indicator: its rows' cells."""
    cells: list[list[str]] = page.evaluate(
        """(name) => {
          const words = (cell) => cell.innerText.replace(/\\s+/g, " ").trim();
          const rows = document.querySelectorAll(`[data-indicator=${name}] tbody tr`);
          return [...rows].map((row) => [...row.children].map(words));
        }""",
        indicator,
    )
    return cells


def hovered(page: Page, picture: str, count: int) -> tuple[list[str], list[bool]]:
    """What the picture says of each session under the mouse; whether it has the accent's colour."""
    page.locator(picture).scroll_into_view_if_needed()
    box = page.locator(picture).bounding_box()
    assert box is not None
    told = []
    for k in range(count):
        x = box["x"] + 46 + (k + 0.5) / count * (box["width"] - 62)
        page.mouse.move(x, box["y"] + 60)
        told.append(page.inner_text(f"{picture} .readout"))
    accented = page.evaluate(
        """([picture, count]) => {
          const canvas = document.querySelector(`${picture} canvas`);
          const probe = document.createElement("i");
          probe.style.color = "var(--accent)";
          document.body.append(probe);
          const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
          probe.remove();
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const found = Array(count).fill(false);
          for (let i = 0; i < data.length; i += 4) {
            const [red, green, blue, alpha] = data.subarray(i, i + 4);
            const part = Math.floor((((i / 4) % canvas.width) / canvas.width) * count);
            if (red === r && green === g && blue === b && alpha > 250) found[part] = true;
          }
          return found;
        }""",
        [picture, count],
    )
    return told, accented


def test_trends(station: Station, chromium: Browser) -> None:
    """Picture and table tell the server's numbers."""
    add_series(station.store, "P01", (4, 5, 40))
    subject = people.find_subject(station.store, "P01")
    with desk_at(station, chromium) as desk:
        page = desk.page(f"/subjects?subject={subject.id}")
        picture = "[data-indicator=candidates_per_minute] .picture"
        page.wait_for_selector(f"{picture}[data-from]")  # it is drawn
        asked = page.request.get(f"{station.url}/api/v1/subjects/{subject.id}/trends").json()
        assert page.inner_text("#trends .hint >> nth=0") == asked["note"]
        (rate,) = [i for i in asked["indicators"] if i["name"] == "candidates_per_minute"]
        rows = shown(page, "candidates_per_minute")
        assert len(rows) == 3 and [row[3] for row in rows] == ["4", "5", "40"]
        few, *enough = zip(rows, rate["sessions"], strict=True)
        for row, session in enough:
            value = float(row[1].split()[0])
            assert value == pytest.approx(session["value"], rel=0.01)
        # Four events give no single number, and no change from it does.
        low, high = few[0][1].split(" to ")[0], few[0][1].split(" to ")[1].split()[0]
        assert float(low) == pytest.approx(few[1]["low"], rel=0.01)
        assert float(high) == pytest.approx(few[1]["high"], rel=0.01)
        assert "too few for one number" in few[0][1]
        assert rows[0][2] == "baseline" and "×" not in rows[1][2] + rows[2][2]
        last = rate["change"][-1]
        assert last["clear"] and "clear of no change" in rows[2][2]
        assert float(rows[2][2].split()[0]) == pytest.approx(last["low"], rel=0.01)
        told, accented = hovered(page, picture, 3)
        titles = ("intake", "week 2", "week 4")
        for words, row, title in zip(told, rows, titles, strict=True):
            assert row[0].startswith(title) and words.startswith(f"P01 - {title} - ")
        assert f": {rows[2][1].split()[0]} " in told[2]
        assert accented == [False, False, True]  # the colour of a change that is clear
        assert "Not a lie detector" in page.text_content(".cannot")


def test_sessions_lead_to_their_recordings(station: Station, chromium: Browser) -> None:
    """Conditions name sessions; recordings are linked; whose reviews are shown can be chosen."""
    sessions = add_series(station.store, "P01", (4, 6))
    subject = people.find_subject(station.store, "P01")
    people.change_session(station.store, sessions[1], condition="stress")
    people.add_session(
        station.store, subject.id, title="none yet", held_on=date(2026, 10, 30), consent=YES
    )
    one, two = (
        recordings.list_recordings(station.store, session_id=session)[0] for session in sessions
    )
    finish(station.store, one, "kim")
    finish(station.store, two, "kim")
    finish(station.store, two, "lee", "reject")
    with desk_at(station, chromium) as desk:
        desk.add_init_script("localStorage.setItem('micromimic.coder', 'lee')")
        page = desk.page(f"/subjects?subject={subject.id}")
        line = page.locator(f"[data-session='{sessions[1]}']")
        line.wait_for()
        assert "P01 - stress - 15 Sep" in line.inner_text()
        assert "6 candidates · kim done, lee done" in line.inner_text()
        link = line.locator("a").get_attribute("href")
        assert link == f"/review?recording={two.id}"
        until(page, "document.querySelector('[data-indicator=reviewed_per_minute] tbody')")
        assert len(shown(page, "candidates_per_minute")) == 2
        assert "1 session without recordings is left out" in page.inner_text("#trends")
        assert [row[3] for row in shown(page, "reviewed_per_minute")] == ["0", "6"]
        page.select_option("#reviewer", "lee")
        until(page, "document.querySelector('#trends').textContent.includes('What lee')")
        assert [row[3] for row in shown(page, "reviewed_per_minute")] == ["0", "0"]


def test_forget(station: Station, chromium: Browser) -> None:
    """What goes is listed, the code must be typed, and then nothing of it is left."""
    add_series(station.store, "P01", (4, 5))
    add_recording(station.store, "of nobody.mp4")
    recording = next(
        r for r in recordings.list_recordings(station.store) if r.subject_code == "P01"
    )
    reviews.decide(
        station.store, recording.id, coder="kim", expected=0, action="accept", event="m0"
    )
    with desk_at(station, chromium) as desk:
        page = desk.page("/subjects")
        page.click("#subjects >> text=P01")
        page.click("#forget")
        page.wait_for_selector("dialog")
        listed = page.inner_text("dialog")
        for words in ("2 sessions", "2 recordings", "decisions of kim", "cannot be undone"):
            assert words in listed
        page.fill("#confirm-typed", "P02")
        page.click("dialog button[type=submit]")
        assert "expected P01, got P02" in page.inner_text("dialog .problem")
        page.fill("#confirm-typed", "P01")
        save(page)
        page.wait_for_selector("#no-subjects:visible")
        assert "P01 is forgotten" in page.inner_text(".messages")
        assert "subject" not in page.url.partition("?")[2]
    assert people.list_subjects(station.store) == ()
    assert [r.name for r in recordings.list_recordings(station.store)] == ["of nobody.mp4"]


@pytest.fixture
def decided(station: Station) -> Any:
    """A recording with two coders: kim rejects the second candidate, lee the third."""
    add_series(station.store, "P01", (4,))
    (recording,) = recordings.list_recordings(station.store)
    for coder, rejected in (("kim", 1), ("lee", 2)):
        for number in range(4):
            action = "reject" if number == rejected else "accept"
            reviews.decide(
                station.store,
                recording.id,
                coder=coder,
                expected=number,
                action=action,
                event=f"m{number}",
            )
        reviews.decide(station.store, recording.id, coder=coder, expected=4, action="done")
    return recording


def test_export_of_events(station: Station, chromium: Browser, decided: Any) -> None:
    with desk_at(station, chromium, accept_downloads=True) as desk:
        page = desk.page("/export")
        page.wait_for_selector("#formats button:enabled")
        page.select_option("#one-coder", "kim")
        for kind in ("json", "csv", "eaf"):
            with page.expect_download() as download:
                page.click(f"[data-format={kind}]")
            text = Path(download.value.path()).read_text(encoding="utf-8")
            assert download.value.suggested_filename.endswith(f".{kind}")
            asked = f"{station.url}/api/v1/recordings/{decided.id}/export/{kind}?coder=kim"
            if kind == "json":
                assert json.loads(text)["schema"] == "micromimic.events/1"
                assert json.loads(text) == page.request.get(asked).json()
            else:
                assert ("kim" in text) if kind == "eaf" else text.startswith("onset_s")


def test_the_study_is_compared_and_taken_away(
    station: Station, chromium: Browser, decided: Any
) -> None:
    """Agreement, rates by condition and the study's zip, by keyboard; as the server has them."""
    people.change_session(station.store, decided.session_id, condition="stress")
    with desk_at(station, chromium, accept_downloads=True) as desk:
        desk.add_init_script("localStorage.setItem('micromimic.coder', 'kim')")
        page = desk.page("/export")
        until(page, "!document.querySelector('#agree button').disabled")
        page.select_option("#first", "kim")
        page.select_option("#second", "kim")
        page.press("#overlap", "Enter")
        page.wait_for_selector("#agree-problem:visible")
        assert "expected two different coders" in page.inner_text("#agree-problem")
        page.select_option("#second", "lee")
        page.fill("#overlap", "0.3")
        page.press("#overlap", "Enter")
        page.wait_for_selector(".figures")
        query = "coder=kim&other=lee&overlap=0.3&reader=kim"
        asked = page.request.get(f"{station.url}/api/v1/agreement?{query}").json()
        pooled = asked["rows"][0]
        assert (asked["recordings"], pooled["candidates"], pooled["anchored"]) == (1, 4, 4)
        figures = page.inner_text(".figures").replace("\u2212", "-")
        assert f"{pooled['kappa']['value']:.2f}" in figures and "n = 4" in figures
        assert page.locator(".figures b.few").count() == 4  # too few events for large type
        cells = [int(cell.inner_text()) for cell in page.query_selector_all(".confusion td")]
        assert cells == [count for row in asked["confusion"] for count in row]
        shown_rows = page.locator(".rows tr[data-group]")
        assert shown_rows.count() == len(asked["rows"])
        assert page.locator("#agreement figure circle").count() > 4
        assert page.inner_text("#agreement").count(asked["notes"][0]) == 1
        with page.expect_download() as download:
            page.press("#agree-csv", "Enter")
        table = Path(download.value.path()).read_text(encoding="utf-8")
        assert table == page.request.get(f"{station.url}/api/v1/agreement.csv?{query}").text()

        page.select_option("#rates-coder", "lee")
        page.press("#rates button", "Enter")
        page.wait_for_selector(".conditions")
        row = page.inner_text(".conditions tbody tr").split("\t")
        assert row[0] == "stress" and "from 3 events" in row[1] and row[4:7] == ["1", "1", "3"]
        page.select_option("#measure", "blinks")
        assert page.locator("#rates-coder").is_disabled()

        assert page.inner_text("#study-note") == "As kim may see it."
        with page.expect_download() as download:
            page.press("#study button", "Enter")
        with zipfile.ZipFile(download.value.path()) as archive:
            assert {"events.csv", "recordings.csv", "codebook.csv"} <= set(archive.namelist())
            assert archive.read("events.csv").decode().count("\n") == 1 + 4 * 3


def test_training_data(station: Station, chromium: Browser, decided: Any) -> None:
    with desk_at(station, chromium, accept_downloads=True) as desk:
        page = desk.page("/export")
        page.wait_for_selector("#train button:enabled")
        assert "1 recording with decisions of kim" in page.inner_text("#train-note")
        with page.expect_download() as download:
            page.click("#train button")
        with zipfile.ZipFile(download.value.path()) as archive:
            manifest = archive.read("manifest.csv").decode()
            assert f"videos/{decided.id}.mp4" in archive.namelist()
        assert len(manifest.strip().splitlines()) == 4  # a head and three accepted events
        privacy.remove_recording(station.store, decided.id)
        page.click("#train button")
        page.wait_for_selector("#train-problem:visible")
        assert "expected" in page.inner_text("#train-problem")
        desk.expect("status of 422")
