"""The page Study in a real browser: settings, scheme, tables, imports, the project file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from micromimic.workstation.records import markers, people, recordings, reviews, study
from micromimic.workstation.records.models import Consent

from .. import boris_files as boris
from ..page_server import NARROW, Station, add_recording, desk_at, running_station, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("browser", "playwright", "web")
YES = Consent(given=True, noted_by="kim")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with running_station(tmp_path / "data") as station:
        yield station


def chosen(page: Page, field: str, name: str, content: str | bytes) -> None:
    """Put a file into a field."""
    data = content if isinstance(content, bytes) else content.encode()
    kind = "application/octet-stream"
    page.set_input_files(field, {"name": name, "mimeType": kind, "buffer": data})


def name_coder(page: Page, name: str) -> None:
    page.click("#coder")
    page.fill("#coder-name", name)
    page.click("dialog button[type=submit]")
    page.wait_for_selector("dialog", state="detached")


def test_settings_and_the_coding_scheme(station: Station, chromium: Browser) -> None:
    """Mode and title by the keyboard; a scheme begun, changed, refused, opened and taken away."""
    with desk_at(station, chromium) as desk:
        page = desk.page("/study")
        until(page, "document.getElementById('overlap').value === '0.5'")
        page.focus("#study-title")
        page.keyboard.type("Feelings")
        page.focus("#mode-open")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        until(page, "document.getElementById('settings-done').textContent === 'Saved.'")
        found = study.get_study(station.store)
        assert (found.title, found.mode) == ("Feelings", "blind")

        page.focus("#scheme-start")
        page.keyboard.press("ArrowDown")  # three stands first; nothing opens before it is chosen
        assert page.input_value("#scheme-start") == "seven" and page.is_hidden("#scheme-name")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.fill("#scheme-name", "ours")
        page.fill("#scheme-classes", "anger: brows down\nhappiness\ncalm")
        page.select_option("#scheme-units", "some")
        page.fill("#scheme-some", "4, 6, 12")
        page.fill("#scheme-templates", "Duchenne: happiness; R6B, 12; posed")
        page.fill("#scheme-tags", "posed")
        page.click("#scheme button[type=submit]")
        page.wait_for_selector("#scheme", state="hidden")
        scheme = study.get_study(station.store).scheme
        assert scheme is not None
        assert [c["name"] for c in scheme["classes"]] == ["anger", "happiness", "calm"]
        assert scheme["templates"] == [
            {"name": "Duchenne", "label": "happiness", "tags": ["posed"],
             "units": [{"au": 6, "side": "right", "intensity": "B"},
                       {"au": 12, "side": "", "intensity": ""}]}]  # fmt: skip
        words = page.inner_text("#scheme-now")
        assert "ours: anger, happiness, calm; action units 4, 6, 12 with side and inten" in words
        assert "; how sure (guess, probable, certain); tags (posed); 1 template." in words

        page.select_option("#scheme-start", "*")
        page.click("#scheme-begin")
        page.fill("#scheme-templates", "Duchenne: joy")
        page.click("#scheme button[type=submit]")
        page.wait_for_selector("#scheme-problem:visible")
        assert "expected a label among anger, happiness, calm" in page.inner_text("#scheme-problem")
        desk.expect("422")
        assert study.get_study(station.store).scheme == scheme
        chosen(page, "#scheme-file", "bad.json", "{")
        until(page, "document.getElementById('scheme-problem').textContent.includes('bad.json')")

        # A class that a coder has used cannot be taken away.
        recording = add_recording(station.store, "a.mp4")
        reviews.decide(station.store, recording.id, coder="kim", expected=0, action="add",
                       label="calm", onset_frame=10, apex_frame=12, offset_frame=20)  # fmt: skip
        chosen(page, "#scheme-file", "less.json", json.dumps({**scheme, "templates": [],
               "classes": [{"name": "anger"}]}))  # fmt: skip
        until(page, "document.getElementById('scheme-problem').textContent.includes('calm')")
        assert "got one without the class calm" in page.inner_text("#scheme-problem")
        desk.expect("409")
        assert study.get_study(station.store).scheme == scheme


def test_tables_and_files_of_other_tools(station: Station, chromium: Browser) -> None:
    """A table is checked, then carried out; markers and a coding come from BORIS."""
    first = add_recording(station.store, "a.mp4")
    with desk_at(station, chromium, viewport=NARROW) as desk:
        page = desk.page("/study")
        name_coder(page, "kim")
        table = "video,subject,session,condition,date\na.mp4,P01,first,stress,2026-11-20\n"
        chosen(page, "#table-file", "t.csv", table)
        page.wait_for_selector("#assign-problem:visible")
        assert "expected subjects that are known, got P01" in page.inner_text("#assign-problem")
        desk.expect("422")
        page.check("#new-subjects")
        page.check("#assign-consent")
        page.click("#assign button[type=submit]")
        page.wait_for_selector("#assign-rows td:text('new subject')")
        assert recordings.get_recording(station.store, first.id).session_id is None
        page.click("#assign-apply")
        page.wait_for_selector("#assign-rows td:text('this session is there')")
        (session,) = people.list_sessions(station.store)
        assert (session.subject_code, session.condition, session.held_on) == (
            "P01", "stress", date(2026, 11, 20))  # fmt: skip
        assert session.consent.noted_by == "kim"
        assert recordings.get_recording(station.store, first.id).session_id == session.id

        rate = recordings_rate(station)
        text = boris.project({"o": boris.observation(boris.EVENTS, ("a.mp4",), fps=rate)})
        chosen(page, "#import-file", "trials.boris", text)
        page.click("#import button[type=submit]")
        page.wait_for_selector("#import-done li")
        assert "a.mp4: 3 markers" in page.inner_text("#import-done")
        assert len(markers.list_markers(station.store, first.id)) == 3
        page.check("#import input[value=coding]")
        page.fill("#import-coder", "lee")
        page.fill("#import-tiers", "mouth")
        page.click("#import button[type=submit]")
        page.wait_for_selector("#import-problem:visible")
        assert "got 'smile'" in page.inner_text("#import-problem")
        desk.expect("422")
        page.fill("#import-labels", "smile=positive")
        page.click("#import button[type=submit]")
        page.wait_for_selector("#import-done li:has-text('without an apex')")
        assert reviews.get_review(station.store, first.id, "lee").done
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def recordings_rate(station: Station) -> float:
    (found,) = recordings.list_recordings(station.store)
    answer = reviews.get_analysis(station.store, found.id)
    assert answer is not None
    return float(answer.review["fps"])


def test_a_project_goes_out_and_what_differs_is_answered(
    station: Station, chromium: Browser
) -> None:
    recording = add_recording(station.store, "a.mp4").id

    def decide(action: str, number: int) -> None:
        reviews.decide(station.store, recording, coder="kim", expected=number, action=action,
                       event=f"m{number}")  # fmt: skip

    decide("accept", 0)
    with desk_at(station, chromium) as desk:
        page = desk.page("/study")
        name_coder(page, "kim")
        with page.expect_download() as going:
            page.click("#project-out")
        assert going.value.suggested_filename == "study.micromimic.zip"
        taken = Path(going.value.path()).read_bytes()
        chosen(page, "#project-file", "same.zip", taken)
        page.wait_for_selector("#project-found p:has-text('brings nothing new')")

        # On another machine kim went on otherwise: here is another trail with the same beginning.
        with (
            running_station(station.data.parent / "other") as other,
            desk_at(other, chromium) as there,
        ):
            elsewhere = there.page("/study")
            name_coder(elsewhere, "kim")
            chosen(elsewhere, "#project-file", "study.zip", taken)
            elsewhere.wait_for_selector("#project-found p:has-text('brings 1 recording')")
            elsewhere.click("#project button[type=submit]")
            elsewhere.wait_for_selector(".message:has-text('joined')")
            reviews.decide(other.store, recording, coder="kim", expected=1, action="reject",
                               event="m1")  # fmt: skip
            with elsewhere.expect_download() as going:
                elsewhere.click("#project-out")
            newer = Path(going.value.path()).read_bytes()
        decide("accept", 1)
        chosen(page, "#project-file", "newer.zip", newer)
        page.wait_for_selector(".conflict")
        assert "kim has decided otherwise on a.mp4" in page.inner_text(".conflict legend")
        page.click("#project button[type=submit]")
        page.wait_for_selector("#project-problem:visible")
        assert recordings.get_recording(station.store, recording).coders == ("kim",)
        page.check(".conflict input[value=both]")
        page.click("#project button[type=submit]")
        page.wait_for_selector(".message:has-text('joined')")
        assert recordings.get_recording(station.store, recording).coders == ("kim", "kim (2)")
