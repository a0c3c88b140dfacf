"""Longer expressions in the records: listed, filtered, exported in their own tiers, not counted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("fastapi")

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.core.strict_json import tidy
from micromimic.workstation.export.manifest import gather
from micromimic.workstation.export.recording import export_events
from micromimic.workstation.jobs.artifacts import frames_bin, review_document
from micromimic.workstation.records import jobs, people, privacy, recordings, reviews
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.jobs import check_same
from micromimic.workstation.records.models import Decision
from micromimic.workstation.records.review import FrameTimes, reviewed
from micromimic.workstation.routes.review import get_agreement
from micromimic.workstation.subject_trends import subject_trends

from ..page_server import desk_at, running_browser, running_station, until, wait_for
from ..report.test_report_elan import check_eaf
from ..sample_analysis import sample_analysis
from ..store_samples import YES

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from micromimic.workstation.records.database import Store
    from micromimic.workstation.records.review import Review

pytestmark = pytest.mark.needs("web")

RECORDING = "6" * 32
EXPIRES = datetime(2024, 5, 1, tzinfo=UTC)


def add_mixed(store: Store, session_id: str | None = None) -> None:
    """Six events of which the third and the sixth are longer expressions."""
    analysis = sample_analysis()
    events = tuple(
        replace(event, kind="macro") if k in (2, 5) else event
        for k, event in enumerate(analysis.events)
    )
    mixed = replace(analysis, events=events)
    folder = store.folder(RECORDING)
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(b"film")
    (folder / "frames.bin").write_bytes(frames_bin(mixed))
    recordings.add_recording(
        store,
        id=RECORDING,
        name="interview.mp4",
        extension=".mp4",
        size_bytes=4,
        sha256=hashlib.sha256(b"film").hexdigest(),
        session_id=session_id,
        consent=None if session_id else YES,
        expires_at=EXPIRES,
    )
    job = jobs.claim_job(store, "tests")
    assert job is not None
    jobs.finish_job(store, job.id, payload=tidy(mixed.to_dict()), review=review_document(mixed))


def say(store: Store, action: str, event: str = "", coder: str = "kim", **payload: Any) -> Review:
    number = reviews.get_review(store, RECORDING, coder).number
    return reviews.decide(
        store, RECORDING, coder=coder, expected=number, action=action, event=event, **payload
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "data") as opened:
        yield opened


def test_a_review_is_done_without_them_and_nothing_counts_them(store: Store) -> None:
    person = people.add_subject(store, "P1").id
    session = people.add_session(
        store, person, title="first", held_on=datetime(2024, 5, 1, tzinfo=UTC).date(), consent=YES
    )
    add_mixed(store, session.id)
    assert recordings.get_recording(store, RECORDING).events == 4
    review = reviews.get_review(store, RECORDING, "kim")
    kinds = {event.key: event.kind for event in review.events}
    assert [key for key, kind in kinds.items() if kind == "macro"] == ["m2", "m5"]
    for key in ("m0", "m1", "m3"):
        review = say(store, "accept", key)
    with pytest.raises(RefusedError, match="1 undecided"):
        say(store, "done")
    assert say(store, "accept", "m4").complete
    say(store, "accept", "m2")  # one may be decided, and counts no more than before
    assert say(store, "done").done
    shown = {row["name"]: row for row in subject_trends(store, person, coder="kim")["indicators"]}
    assert shown["candidates_per_minute"]["sessions"][0]["n"] == 4
    assert shown["reviewed_per_minute"]["sessions"][0]["n"] == 4
    found = gather(store, coder="kim")
    assert [clip.clip[-2:] for clip in found.clips] == ["m0", "m1", "m3", "m4"]
    assert any("event m2: a longer expression" in line for line in found.left_out)


def test_agreement_is_on_micro_expressions(store: Store) -> None:
    add_mixed(store)
    for coder in ("kim", "lee"):
        for key in ("m0", "m1", "m3", "m4"):
            say(store, "accept", key, coder)
    say(store, "reject", "m2", "kim")
    say(store, "accept", "m2", "lee")
    for coder in ("kim", "lee"):
        say(store, "done", coder=coder)
    here: Any = SimpleNamespace(store=store)
    found = get_agreement(RECORDING, "kim", "lee", here)
    assert (found.n, found.observed, found.f1) == (4, 1.0, 1.0)
    assert get_agreement(RECORDING, "kim", "machine", here).events_second == 4


def test_a_coders_longer_expressions_have_tiers_of_their_own(store: Store, tmp_path: Path) -> None:
    add_mixed(store)
    for key in ("m0", "m2"):
        say(store, "accept", key)
    say(store, "add", label="positive", onset_frame=9000, apex_frame=9100, offset_frame=9300)
    path = tmp_path / "x.eaf"
    path.write_bytes(export_events(store, RECORDING, coder="kim", format="eaf"))
    _, tiers = check_eaf(path)
    assert (len(tiers["micro-expression"]), len(tiers["macro-expression"])) == (4, 2)
    assert (len(tiers["micro-expression kim"]), len(tiers["macro-expression kim"])) == (1, 2)
    table = export_events(store, RECORDING, coder="kim", format="csv").decode().splitlines()
    assert sum(",macro," in line for line in table) == 3


def test_a_coders_times_say_what_an_event_is() -> None:
    times = FrameTimes(2000, 100.0)
    frames = {"onset_frame": 100, "apex_frame": 120, "offset_frame": 140}
    entry = {name.replace("frame", "s"): n / 100 for name, n in frames.items()}
    machine = [{**frames, **entry, "label": "negative"}]  # as 0.1 wrote it

    def after(*said: tuple[str, str, dict[str, Any]]) -> list[str]:
        made = [
            Decision(
                recording_id="r",
                coder="kim",
                number=k,
                action=action,
                event=event,
                payload=payload,
                target=None,
                decided_at=EXPIRES,
            )
            for k, (action, event, payload) in enumerate(said, start=1)
        ]
        return [event.kind for event in reviewed(machine, made, times)]

    assert after() == ["micro"]
    assert after(("move", "m0", {"offset_frame": 190})) == ["macro"]
    assert after(("move", "m0", {"offset_frame": 190}), ("move", "m0", {"offset_frame": 140})) == [
        "micro"
    ]
    new = {"onset_frame": 300, "apex_frame": 330, "offset_frame": 500, "label": "positive"}
    assert after(("add", "c1", new)) == ["micro", "macro"]


def test_an_answer_of_0_1_made_again_is_the_same_answer(store: Store) -> None:
    add_mixed(store)
    stored = reviews.get_analysis(store, RECORDING)
    assert stored is not None
    micro = [entry for entry in stored.payload["events"] if entry["kind"] == "micro"]
    old = [{k: v for k, v in entry.items() if k != "kind"} for entry in micro]
    check_same(replace(stored, payload={"events": old}), {"events": micro})
    with pytest.raises(ConflictError):
        check_same(replace(stored, payload={"events": old}), stored.payload)


@pytest.mark.needs("browser", "playwright", "web")
def test_the_review_lists_them_and_a_filter_chooses(browser: str, tmp_path: Path) -> None:
    with (
        running_station(tmp_path / "data") as station,
        running_browser(browser) as chromium,
        desk_at(station, chromium) as desk,
    ):
        add_mixed(station.store)
        privacy.expire(
            station.store, EXPIRES + timedelta(days=1)
        )  # numbers only: no player is needed
        desk.add_init_script("localStorage.setItem('micromimic.coder', 'kim')")
        page = desk.page(f"/review?recording={RECORDING}")
        page.wait_for_selector("html[data-open]")

        def listed() -> list[str]:
            names: list[str] = page.locator("#events .count").all_inner_texts()
            return names

        assert page.inner_text("#events-count") == "4 events, 2 longer expressions"
        assert page.inner_text("#progress") == "0 of 4 events decided"
        assert listed() == ["1", "2", "3", "4", "5", "6"]
        assert page.locator("#events .event", has_text="longer").count() == 2
        page.select_option("#show", "micro")
        assert listed() == ["1", "2", "4", "5"]
        for key in "naaaa":
            page.keyboard.press(key)
        until(page, "document.getElementById('progress').textContent.startsWith('all 4')")
        page.select_option("#show", "macro")
        assert listed() == ["3", "6"]
        page.click("#events [data-key=m5]")
        assert "longer expression" in page.inner_text("#inspector")
        page.wait_for_selector("#saved[data-state=idle]")
        page.keyboard.press("d")
        until(page, "document.getElementById('blind').hidden")
        mark_is_chosen(page, station.store)


def mark_is_chosen(page: Page, store: Store) -> None:
    """A press on the mark of a held-back movement looks at it; a class makes it an event."""
    held = sample_analysis().held_back[0]
    page.keyboard.press("0")
    plot = page.locator("#timeline .plot")
    place = plot.bounding_box()
    assert place is not None
    start, stop = (float(plot.get_attribute(f"data-{name}") or "nan") for name in ("from", "to"))
    share = (held.interval.apex - start) / (stop - start)
    x = place["x"] + 62 + share * (place["width"] - 74)
    title = page.locator("#inspector-title")
    for y in range(10, int(place["height"]) - 90, 12):  # on the curve, wherever its peak is
        page.mouse.click(x, place["y"] + y)
        if title.inner_text().startswith("Held back"):
            break
    number = reviews.get_review(store, RECORDING, "kim").number
    page.keyboard.press("2")
    wait_for(lambda: reviews.get_review(store, RECORDING, "kim").number > number)
    added = [e for e in reviews.get_review(store, RECORDING, "kim").events if e.machine is None]
    frames = [(e.onset_frame, e.apex_frame, e.offset_frame, e.label) for e in added]
    assert frames == [(held.onset_frame, held.apex_frame, held.offset_frame, "positive")]
