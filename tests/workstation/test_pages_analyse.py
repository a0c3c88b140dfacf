"""The Analyse page in a real browser: uploads, progress, reloads, bad files, the list."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from micromimic.analysis.demo import DEMO_CLIP
from micromimic.synthesis.clips import write_clip
from micromimic.workstation.records import jobs, people, recordings, reviews
from micromimic.workstation.records.models import Consent
from micromimic.workstation.records.study import change_study

from ..page_server import (
    AUDIT,
    NARROW,
    Station,
    add_recording,
    add_series,
    desk_at,
    held_up,
    running_station,
    until,
    wait_for,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("browser", "playwright", "web")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with running_station(tmp_path / "data") as station:
        yield station


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds with a planted movement, at 60 frames a second."""
    path = tmp_path_factory.mktemp("clips") / "one movement.mp4"
    config = replace(
        DEMO_CLIP, seconds=4.0, fps=60.0, width=320, height=240, face_px=225.0, peak_px=1.5,
        colour=False, events_per_minute=15.0,
    )  # fmt: skip
    write_clip(path, config, 18, crf=18, preset="superfast")
    return path


def choose(page: Page, *files: Path | dict[str, object]) -> None:
    page.set_input_files("#files", list(files))


def agree(page: Page) -> None:
    page.check("#agreed")
    page.fill("#noted-by", "kim")


def row(page: Page, name: str) -> str:
    """Selector of the list's row of a file."""
    return f'#recordings .row:has(b:text-is("{name}"))'


GATED = (
    "import runpy, sys; open(sys.argv.pop()).close(); "
    "runpy.run_module('micromimic.workstation.jobs.worker', run_name='__main__')"
)
"""A worker that begins when somebody opens its gate."""


def test_upload_to_result(tmp_path: Path, chromium: Browser, clip: Path) -> None:
    """Consent is asked for; the job outlives a reload; what the page shows is what is stored."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    worker = (sys.executable, "-c", GATED, str(gate))
    with (
        running_station(tmp_path / "data", worker=worker) as station,
        desk_at(station, chromium) as desk,
    ):
        page = desk.page("/")
        page.locator("#empty").wait_for()  # shown when the list has come
        assert page.is_disabled("#start")
        choose(page, clip)
        page.click("#start")
        assert "expected consent" in page.inner_text("#add-problem")
        page.check("#agreed")
        page.click("#start")
        assert "expected who noted" in page.inner_text("#add-problem")
        agree(page)
        page.fill("#consent-note", "signed form 12")
        page.click("#start")
        page.wait_for_selector(row(page, clip.name))
        (recording,) = recordings.list_recordings(station.store)
        page.reload()
        page.wait_for_selector(f'{row(page, clip.name)}[data-status="running"] progress')
        gate.open("w").close()
        page.wait_for_selector(f'{row(page, clip.name)}[data-status="done"]')
        recording = recordings.get_recording(station.store, recording.id)
        assert recording.sha256 and recording.size_bytes == clip.stat().st_size
        assert (recording.consent.noted_by, recording.consent.note) == ("kim", "signed form 12")
        shown = page.inner_text(row(page, clip.name))
        assert re.search(rf"\b{recording.events} candidate", shown)
        assert recording.events and "video kept until" in shown
        review = page.get_attribute(f"{row(page, clip.name)} a:text-is('Review')", "href")
        assert review == f"/review?recording={recording.id}"
        with page.expect_popup() as popup:
            page.click(f"{row(page, clip.name)} a:text-is('Report')")
        popup.value.wait_for_selector("h1")
        assert clip.name in popup.value.inner_text("h1")


def test_files_that_are_no_video(station: Station, chromium: Browser, tmp_path: Path) -> None:
    """Each gets its line beside its name; the good ones go on."""
    zipped = tmp_path / "archive.mp4"
    zipped.write_bytes(b"PK\x03\x04" + bytes(5000))
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        choose(page, empty)
        assert "0 bytes" in page.inner_text('#staged li:has-text("empty.mp4") .problem')
        assert page.is_disabled("#start")
        choose(page, zipped)
        agree(page)
        page.click("#start")
        line = page.wait_for_selector('#uploads .row:has-text("archive.mp4") .problem:visible')
        assert re.search(r"expected a video.*got", line.inner_text())
        desk.expect("status of 415")
        page.click("#uploads >> text=Dismiss")
        assert page.query_selector("#uploads .row") is None
        page.click("#staged >> text=Remove")
        assert page.query_selector("#staged li") is None
        choose(page, {"name": "who.xlsx", "mimeType": "", "buffer": b"PK\x03\x04"})
        page.wait_for_selector("#add-problem:has-text('copy its cells and paste them')")
        assert page.query_selector("#staged li") is None
    assert recordings.count_recordings(station.store) == 0


def test_too_large_is_not_even_sent(tmp_path: Path, chromium: Browser) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(20_000))
    with (
        running_station(tmp_path / "data", max_bytes=10_000) as station,
        desk_at(station, chromium) as desk,
    ):
        page = desk.page("/")
        page.wait_for_selector("#limits:has-text('10.0 kB')")
        choose(page, large)
        line = page.inner_text("#staged .problem")
        assert line == "expected at most 10.0 kB, got 20.0 kB; cut it into parts"
        assert page.is_disabled("#start")


def test_progress_of_an_upload_and_its_end(
    station: Station, chromium: Browser, clip: Path, tmp_path: Path
) -> None:
    """While a part of it has gone out, a share is shown; cancelling leaves nothing behind."""
    large = tmp_path / "large.mp4"  # more than the system holds back for a line that is full
    large.write_bytes(clip.read_bytes())
    with large.open("r+b") as file:
        file.truncate(40 << 20)
    incoming = station.data / "incoming"
    with held_up(station, 1 << 20) as (line, released), desk_at(line, chromium) as desk:
        page = desk.page("/")
        page.wait_for_selector("#empty:visible")
        choose(page, large)
        agree(page)
        page.click("#start")
        bars = "[...document.querySelectorAll('#uploads progress')]"
        until(page, f"{bars}.some((bar) => bar.value > 0 && bar.value < 1)")
        assert re.search(r"sending, .* of .*B", page.inner_text("#uploads .state"))
        wait_for(lambda: list(incoming.glob("*")))
        page.click("#uploads >> text=Cancel")
        assert page.query_selector("#uploads .row") is None
        page.close()
        released.set()
        wait_for(lambda: not list(incoming.glob("*")))
    assert recordings.count_recordings(station.store) == 0
    assert list((station.data / "recordings").glob("*")) == []


def test_the_list(station: Station, chromium: Browser) -> None:
    """Every state has its words and its buttons; deleting asks first; the filter filters."""
    add_series(station.store, "P01", (4,))
    reviewed = recordings.list_recordings(station.store)[0]
    reviews.decide(station.store, reviewed.id, coder="kim", expected=0, action="accept", event="m0")
    add_recording(station.store, "failed.mp4", status="failed")
    add_recording(station.store, "refused.mp4", status="refused")
    add_recording(station.store, "running.mp4", status="running")
    add_recording(station.store, "queued.mp4", status="queued")
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        page.wait_for_selector(row(page, "queued.mp4"))
        assert "kim 1 of 4" in page.inner_text(row(page, reviewed.name))
        assert "4 candidates" in page.inner_text(row(page, reviewed.name))
        assert "make room on the server" in page.inner_text(row(page, "failed.mp4"))
        refused = page.inner_text(row(page, "refused.mp4"))
        assert "record at least a second" in refused and "Try again" not in refused
        assert "following the face, 25 %" in page.inner_text(row(page, "running.mp4"))
        assert "next in the queue" in page.inner_text(row(page, "queued.mp4"))
        assert page.evaluate("document.querySelectorAll('progress:indeterminate').length") == 0

        page.click(f"{row(page, 'queued.mp4')} >> text=Cancel")
        page.wait_for_selector(f"{row(page, 'queued.mp4')}[data-status=cancelled]")
        page.click(f"{row(page, 'failed.mp4')} >> text=Try again")
        page.wait_for_selector(f"{row(page, 'failed.mp4')}[data-status=queued]")

        # Several people are seen: another one becomes a recording of its own.
        folder = station.store.folder(reviewed.id)
        (folder / "events" / "people").mkdir(parents=True)
        for number in (1, 2):
            face = np.full((160, 130, 3), 80 * number, np.uint8)
            cv2.imwrite(str(folder / "events" / "people" / f"{number}.jpg"), face)
        assert "another person is in the picture" in page.inner_text(row(page, reviewed.name))
        page.focus(f"{row(page, reviewed.name)} [data-act=person]")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog img")
        page.click("dialog button[type=submit]")
        assert "expected a person, got none" in page.inner_text("dialog .problem")
        page.check("dialog input[value='2']")
        page.click("dialog button[type=submit]")
        page.wait_for_selector(row(page, reviewed.name.replace(".mp4", " person 2.mp4")))
        assert recordings.list_recordings(station.store)[0].person == 2

        page.click(f"{row(page, reviewed.name)} >> text=Delete")
        assert "decisions of kim" in page.inner_text("dialog")
        page.click("dialog >> text=Cancel")
        page.select_option("#filter", label="P01")
        page.wait_for_selector(row(page, "failed.mp4"), state="detached")
        assert len(page.query_selector_all("#recordings .row")) == 1
        page.click(f"{row(page, reviewed.name)} >> text=Delete")
        page.click("dialog button[type=submit]")
        page.wait_for_selector(row(page, reviewed.name), state="detached")
    names = sorted(r.name for r in recordings.list_recordings(station.store))
    assert names == [
        "P01 intake person 2.mp4",
        "failed.mp4",
        "queued.mp4",
        "refused.mp4",
        "running.mp4",
    ]


def test_a_job_that_ends_is_announced(station: Station, chromium: Browser) -> None:
    """The row changes by itself, keeps the keyboard's place, and says so to a screen reader."""
    recording = add_recording(station.store, "soon.mp4", status="running")
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        page.focus(f"{row(page, 'soon.mp4')} >> text=Delete")
        jobs.fail_job(station.store, recording.job.id, "expected a face, got none; film a face")
        page.wait_for_selector(f"{row(page, 'soon.mp4')}[data-status=failed]")
        assert "soon.mp4: failed: expected a face" in page.inner_text("#say")
        assert page.evaluate("document.activeElement.dataset.act") == "delete"


def test_session_carries_its_consent(station: Station, chromium: Browser, clip: Path) -> None:
    (session,) = add_series(station.store, "P01", (4,))
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        choose(page, clip)
        name = page.inner_text(f"#session option[value='{session}']")
        assert name.startswith("P01 - intake - 1 Sep")
        page.select_option("#session", session)
        assert f"→ {name}" in page.inner_text("#staged")
        assert "Consent noted by kim" in page.inner_text("#consent")
        assert not page.is_visible("#agreed")
        page.click("summary:has-text('Frame rate')")
        page.fill("#fps", "sixty")
        page.click("#start")
        assert "expected frames a second" in page.inner_text("#add-problem")
        page.fill("#fps", "59,94")
        page.fill("#days", "7")
        page.click("#start")
        page.wait_for_selector(row(page, clip.name))
        choose(page, clip)  # the next video may be another person's
        assert page.input_value("#session") == ""
    recording = recordings.list_recordings(station.store, session_id=session)[0]
    assert recording.fps == 59.94
    assert (recording.expires_at - recording.uploaded_at).days in (6, 7)


@pytest.fixture
def study(tmp_path: Path, clip: Path) -> Path:
    """A folder of two people's videos of one name, what is no video, and a table of both."""
    root = tmp_path / "study"
    for code in ("P01", "P02"):
        (root / code).mkdir(parents=True)
        (root / code / "film.mp4").write_bytes(clip.read_bytes())
    (root / "P02" / "notes.md").write_text("no video")
    (root / ".who.csv").write_text("hidden")
    (root / "who.csv").write_text(
        "video;subject;session;condition;date\n"
        "P01/film.mp4;P01;;control;20.11.2026\n"
        'P02/film.mp4;P02;"first; alone";stress;2026-11-22\n'
    )
    return root


def drop(page: Page, path: Path) -> None:
    """Let go of a folder above the page, as a file manager does."""
    box = page.locator("#drop").bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"x": box["x"] + 5, "y": box["y"] + 5}
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def test_a_folder_with_its_table(station: Station, chromium: Browser, study: Path) -> None:
    """Subjects and sessions that the table names are made, and each video goes to its own."""
    with desk_at(station, chromium, viewport=NARROW) as desk:
        page = desk.page("/")
        page.locator("#empty").wait_for()
        assert not page.is_visible("#details")
        drop(page, study)
        page.wait_for_selector("#table-says:has-text('2 videos assigned')")
        listed = [item.inner_text() for item in page.query_selector_all("#staged li")]
        assert [text.splitlines()[0] for text in listed] == [
            "study/P01/film.mp4",
            "study/P02/film.mp4",
        ]
        assert "→ P01 - control - 20 Nov" in listed[0] and "(new)" in listed[0]
        assert "2 other files in the folders left out" in page.inner_text("#others")
        assert page.inner_text("#start") == "Add 2 subjects and 2 sessions, analyse 2 recordings"
        assert page.evaluate(AUDIT) == []
        page.click("#start")
        assert "expected consent" in page.inner_text("#add-problem")
        assert people.list_subjects(station.store) == ()
        agree(page)
        page.click("#start")
        until(page, "document.querySelectorAll('#recordings .row').length === 2")
        assert not page.is_visible("#details")
    found = {r.subject_code: r for r in recordings.list_recordings(station.store)}
    sessions = {s.subject_code: s for s in people.list_sessions(station.store)}
    assert sorted(found) == sorted(sessions) == ["P01", "P02"]
    assert found["P02"].session_id == sessions["P02"].id
    second = sessions["P02"]
    assert (second.title, second.condition) == ("first; alone", "stress")
    assert str(second.held_on) == "2026-11-22" and second.consent.noted_by == "kim"
    assert found["P02"].same_as == found["P01"].id


WRONG_TABLES = (
    ("vidoe,subject\nP01/film.mp4,P01", "with columns video, subject"),
    ("video,subject,session,date\nP01/film.mp4,P01,rest,2026-02-30", "got '2026-02-30'"),
    (
        "video,subject,session,date\nP09/film.mp4,P09,rest,2026-11-20",
        "P09/film.mp4 (line 2), got none",
    ),
    ("video,subject,session,date\nfilm.mp4,P01,rest,2026-11-20", "film.mp4 (line 2), got 2"),
    ("video,subject,session\nP01/film.mp4,P01,rest", "a date for the new session 'rest' of P01"),
    ("video,subject,session\nP01/film.mp4,P05,refused", "got refused of P05 without"),
)


def test_tables_that_are_wrong(station: Station, chromium: Browser, study: Path) -> None:
    """Each gets its line, nothing starts, and nothing is changed; files go without, too."""
    person = people.add_subject(station.store, "P05")
    for title, day, given in (("agreed", 2, True), ("refused", 3, False)):
        people.add_session(
            station.store,
            person.id,
            title=title,
            held_on=date(2025, 11, day),
            consent=Consent(given=given, noted_by="kim"),
        )
    (study / "who.csv").unlink()
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        page.locator("#empty").wait_for()
        page.set_input_files("#folder", study)
        until(page, "document.querySelectorAll('#staged li').length === 2")
        agree(page)
        page.click("#choose-table")
        page.evaluate(
            """() => {
              const table = document.getElementById("table");
              table.value = "video,subject\\na,b";
              table.dispatchEvent(new Event("input"));
              document.getElementById("start").click(); // before it is checked
            }"""
        )
        assert "not yet; wait a moment" in page.inner_text("#add-problem")
        for table, line in WRONG_TABLES:
            page.fill("#table", table)
            page.locator("#table-problem", has_text=line).wait_for()
            page.click("#start")
            assert line in page.inner_text("#add-problem")
        desk.expect("status of 422")
        page.fill("#table", "")
        assert not page.is_visible("#table-problem")

        page.click("#from-folders")
        made = page.input_value("#table").splitlines()
        assert made[0] == "video,subject,session,condition,date"
        assert made[1].startswith("study/P01/film.mp4,P01,film,,20")
        page.wait_for_selector("#start:has-text('Add 2 subjects and 2 sessions')")
        page.fill("#table", "video,subject,session\nP01/film.mp4,P05,agreed")
        page.wait_for_selector("#table-says:text-is('1 video assigned.')")
        assert page.inner_text("#start") == "Analyse 2 recordings"
        label = page.inner_text("#session-label")
        assert label == "Subject and session of 1 video that the table does not name"
        page.click("#clear")
        assert not page.is_visible("#details")
    assert recordings.count_recordings(station.store) == 0
    assert [s.code for s in people.list_subjects(station.store)] == ["P05"]


def test_sessions_in_place_and_rows_that_are_corrected(
    station: Station, chromium: Browser, clip: Path
) -> None:
    """A session is made where it is needed; a recording's name, session and end can be mended."""
    with desk_at(station, chromium) as desk:
        page = desk.page("/")
        choose(page, clip)
        page.click("#new-session")
        page.click("dialog button[type=submit]")
        assert "expected a subject, got nothing" in page.inner_text("dialog .problem")
        page.fill("#session-subject", "P07")
        assert page.inner_text("#session-subject-hint") == "P07 is new: the subject is added too."
        page.click("dialog button[type=submit]")
        assert "expected a condition or a title" in page.inner_text("dialog .problem")
        page.fill("#session-condition", "control")
        page.fill("#session-day", "2025-11-20")
        page.check("dialog [name=given]")
        page.fill("#session-by", "kim")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog", state="detached")
        until(page, "document.activeElement.id === 'session'")
        assert "→ P07 - control - 20 Nov 2025" in page.inner_text("#staged")
        page.click("#start")
        page.wait_for_selector(row(page, clip.name))
        assert "P07 - control - 20 Nov 2025" in page.inner_text(row(page, clip.name))

        page.click(f"{row(page, clip.name)} >> text=Edit")
        assert page.query_selector("#edit-session option[value='']") is None
        page.fill("#edit-name", "stress.mp4")
        page.fill("#edit-day", "2020-01-01")
        page.select_option("#edit-session", "new")
        page.click("dialog button[type=submit]")
        assert "expected a day from" in page.inner_text("dialog .problem")
        page.fill("#edit-day", "")
        page.click("dialog button[type=submit]")
        page.fill("#session-subject", "P08")
        page.fill("#session-condition", "stress")
        page.fill("#session-day", "2025-11-21")
        page.check("dialog [name=given]")
        page.fill("#session-by", "kim")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog", state="detached")
        text = page.inner_text(row(page, "stress.mp4"))
        assert "P08 - stress - 21 Nov 2025" in text and "video kept until deleted" in text
        assert page.evaluate("document.activeElement.dataset.act") == "edit"

        page.click("#choose-table")  # a table moves what is here already
        page.fill("#table", "video,subject,session,date\nstress.mp4,P07,rest,2025-11-23")
        page.wait_for_selector("#start:has-text('Add 1 session, move 1 recording')")
        agree(page)
        page.click("#start")
        page.wait_for_selector(f"{row(page, 'stress.mp4')}:has-text('P07 - rest - 23 Nov 2025')")
    (recording,) = recordings.list_recordings(station.store)
    assert (recording.name, recording.subject_code) == ("stress.mp4", "P07")
    assert recording.expires_at is None


def test_finding_and_sorting(station: Station, chromium: Browser, tmp_path: Path) -> None:
    """By words, by subject, by what a coder has left; copies are told; a file that is here, too."""
    add_series(station.store, "P02", (1, 3))
    add_series(station.store, "P01", (2,))
    few, many, other = "P02 intake.mp4", "P02 week 2.mp4", "P01 intake.mp4"
    ids = {r.name: r.id for r in recordings.list_recordings(station.store)}
    for number, action in enumerate(("accept", "done")):
        event = "m0" if action == "accept" else ""
        reviews.decide(
            station.store, ids[few], coder="kim", expected=number, action=action, event=event
        )
    first = recordings.get_recording(station.store, ids[few])
    add_recording(station.store, "copy.mp4", sha256=first.sha256)
    with desk_at(station, chromium) as desk:
        desk.add_init_script("localStorage.setItem('micromimic.coder', 'kim')")
        page = desk.page("/")
        page.wait_for_selector(row(page, few))

        def names() -> list[str]:
            return [name.inner_text() for name in page.query_selector_all("#recordings .what b")]

        assert names() == ["copy.mp4", other, many, few]
        assert "✓ kim done" in page.inner_text(row(page, few))
        assert "could be judged" in page.inner_text(row(page, few))
        assert f"the same file as {few} (P02 - intake - " in page.inner_text(row(page, "copy.mp4"))
        for field, value, found in (
            ("#sort", "session", [other, few, many, "copy.mp4"]),
            ("#sort", "candidates", ["copy.mp4", many, other, few]),
            ("#which", "mine", ["copy.mp4", many, other]),
            ("#which", "copies", ["copy.mp4", few]),
            ("#which", "failed", []),
            ("#which", "all", ["copy.mp4", many, other, few]),
            ("#filter", "P02", [many, few]),
        ):
            page.select_option(field, value)
            assert names() == found
        page.fill("#find", "week")
        assert names() == [many] and page.inner_text("#count") == "1 of 4 recordings"
        page.reload()  # as from a review, back to where one was
        page.wait_for_selector(row(page, many))
        assert names() == [many]
        page.fill("#find", "nothing of this kind")
        assert page.inner_text("#none") == "No recording fits."

        here = tmp_path / few
        here.write_bytes(bytes(950))
        choose(page, here)
        assert "a recording of this name and size is here: P02" in page.inner_text("#staged")
        page.click("#leave-out")
        assert page.query_selector("#staged li") is None


def test_the_report_of_a_blind_study_waits_for_the_coder(
    station: Station, chromium: Browser
) -> None:
    """The list offers it to who is done with the recording, under the own name."""
    change_study(station.store, mode="blind")
    done, open_ = (add_recording(station.store, name, events=0) for name in ("a.mp4", "b.mp4"))
    reviews.decide(station.store, done.id, coder="kim", expected=0, action="done", event="")
    with desk_at(station, chromium) as desk:
        desk.add_init_script("localStorage.setItem('micromimic.coder', 'kim')")
        page = desk.page("/")
        report = page.locator(f"{row(page, done.name)} a:text-is('Report')")
        report.wait_for()
        assert str(report.get_attribute("href")).endswith("/files/report.html?coder=kim")
        assert page.locator(f"{row(page, open_.name)} .doings a").all_inner_texts() == ["Review"]


def test_a_server_that_goes_and_comes_back(tmp_path: Path, chromium: Browser) -> None:
    data = tmp_path / "data"
    with running_station(data) as station:
        add_recording(station.store, "kept.mp4")
        port = int(station.url.rsplit(":", 1)[1])
        with desk_at(station, chromium) as desk:
            page = desk.page("/")
            page.wait_for_selector(row(page, "kept.mp4"))
            station.stop()
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            page.wait_for_selector("#list-problem:visible")
            assert "does not answer" in page.inner_text("#list-problem")
            assert page.is_visible(row(page, "kept.mp4"))
            with running_station(data, port=port):
                page.wait_for_selector("#list-problem", state="hidden")
                page.close()
            desk.expect("ERR_CONNECTION_REFUSED")
