"""Nobody is shown what others decided on a recording before the own review is marked done."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs web: fastapi is not installed")
pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import text

from micromimic.core.errors import RefusedError
from micromimic.workstation.records import people, recordings, reviews
from micromimic.workstation.records.database import Store, connect, migrate, open_store

from ..store_samples import DATABASES, analysed, database_url
from ..web_site import API, Site, running_site
from .records.test_migrations import FIRST_RECORDS, C, machine_events

pytestmark = pytest.mark.needs("web")

SECRET = "seen by lee alone"
ADDED = {"action": "add", "label": "surprise", "onset_frame": 111, "apex_frame": 122,
         "offset_frame": 133, "note": SECRET}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data") as site:
        yield site


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str | None:
    return database_url(request)


def decide(store: Store, recording_id: str, coder: str, action: str, **more: Any) -> None:
    number = reviews.get_review(store, recording_id, coder).number
    reviews.decide(store, recording_id, coder=coder, expected=number, action=action, **more)


def decide_all(store: Store, recording_id: str, coder: str) -> None:
    for event in reviews.get_review(store, recording_id, coder).events:
        if event.status == "pending":
            decide(store, recording_id, coder, "accept", event=event.key)


@pytest.fixture
def coded(site: Site) -> tuple[str, str]:
    """Ids of a recording that lee has coded and marked done, and of its subject."""
    person = site.subject("P01")["id"]
    recording_id = site.analysed(session_id=site.session(person)["id"])
    decide_all(site.store, recording_id, "lee")
    decide(site.store, recording_id, "lee", **ADDED)
    decide(site.store, recording_id, "lee", "done")
    return recording_id, person


def answers(
    site: Site, coded: tuple[str, str], reader: str, *, machines_too: bool = False
) -> dict[str, tuple[int, bytes]]:
    """What every GET of the API answers this reader, who asks about each coder there is.

    With ``machines_too`` also the table of all frames, in which is nothing of any coder.
    """
    recording_id, person = coded
    filled = {"recording_id": recording_id, "subject_id": person, "kind": "", "index": "0"}
    filled |= {"stretch": "111-122-133", "person": "0", "marker_id": person}
    filled["session_id"] = people.list_sessions(site.store, person)[0].id
    job = recordings.get_recording(site.store, recording_id).job
    assert job is not None
    filled["job_id"] = job.id
    queries: list[dict[str, str]] = [
        {"coder": reader, "other": "lee"},
        {"coder": reader, "other": "lee", "reader": reader},
        {"coder": "lee", "other": "machine", "reader": reader},
        {"other": "lee", "reader": reader},
        {"coder": "machine", "other": "lee", "reader": reader},
    ]
    found = {}
    for path, methods in site.app.openapi()["paths"].items():
        if "get" not in methods or ("/frames." in path and not machines_too):
            continue
        kinds = ("json", "csv", "eaf", "boris") if "{kind}" in path else ("events.csv",)
        for kind in kinds:
            place = path.format(**{**filled, "kind": kind, "name": kind, "picture": "apex.jpg"})
            known = {p["name"] for p in methods["get"].get("parameters", ()) if p["in"] == "query"}
            asked = [{k: v for k, v in query.items() if k in known} for query in queries]
            for query in (q for k, q in enumerate(asked) if q not in asked[:k]):
                got = site.client.get(place, params=query)
                found[f"{place}?{query}"] = (got.status_code, got.content)
    return found


def unpacked(content: bytes) -> bytes:
    """An answer, and what lies in it where it is an archive."""
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


def secret(content: bytes) -> bool:
    """Whether lee's decisions can be read from an answer: the note, the times, the tier.

    How many they are is no secret: a list shows how far each coder is.
    """
    content = re.sub(rb'"progress":\[[^]]*\]', b"", unpacked(content))
    nothing = rb'"recordings":0,|"conditions":\[\]|\A[^\n]*\n\Z'  # a name asked for, and no row
    if re.search(nothing, content):
        return SECRET.encode() in content
    return any(
        mark in content
        for mark in (SECRET.encode(), b'"coder":"lee"', b'"coder": "lee"', b"micro-expression lee",
                     b'"events_second":', b"records,P01")
    )  # fmt: skip


def test_a_fresh_coder_is_shown_nothing_and_one_who_is_done_sees(
    site: Site, coded: tuple[str, str]
) -> None:
    decide(site.store, coded[0], "kim", "accept", event="m0")
    fresh = answers(site, coded, "kim")
    assert len(fresh) > 40
    own = {query for query, (_, content) in fresh.items() if secret(content)}
    # What kim accepted is kim's to export; a project's coder is who asks for it.
    leaks = {query for query in own if not re.search(r"manifest.zip|/project", query)
             or ("manifest.zip" in query and "'coder': 'lee'" in query)}  # fmt: skip
    assert leaks == set()
    blocked = {query.partition("?")[0].rpartition("/")[2] for query, (status, _) in fresh.items()
               if status == 409}  # fmt: skip
    assert {"review", "history", "agreement", "json", "csv", "eaf", "decisions.html"} <= blocked
    decide_all(site.store, coded[0], "kim")
    assert {q for q, (_, c) in answers(site, coded, "kim").items() if secret(c)} == own
    decide(site.store, coded[0], "kim", "done")
    done = answers(site, coded, "kim")
    seen = {query.partition("?")[0].rpartition("/")[2] for query, (_, content) in done.items()
            if secret(content)}  # fmt: skip
    assert {
        "review",
        "history",
        "agreement",
        "json",
        "csv",
        "eaf",
        "manifest.zip",
        "decisions.html",
    } <= seen
    number = reviews.get_review(site.store, coded[0], "kim").number
    assert not reviews.decide(
        site.store, coded[0], coder="kim", expected=number, action="undo"
    ).done
    assert {q for q, (_, c) in answers(site, coded, "kim").items() if secret(c)} == own


def test_trends_leave_out_what_is_not_open(site: Site, coded: tuple[str, str]) -> None:
    def reviewed(**query: str) -> list[Any]:
        found = site.get(f"/subjects/{coded[1]}/trends", **query)
        return [s["value"] for i in found["indicators"] for s in i["sessions"]]

    before = reviewed(coder="lee", reader="kim")
    after = reviewed(coder="lee")
    assert before != after
    decide_all(site.store, coded[0], "kim")
    assert reviewed(coder="lee", reader="kim") == before
    decide(site.store, coded[0], "kim", "done")
    assert reviewed(coder="lee", reader="kim") == after


def test_a_recording_without_candidates_is_no_finished_review(site: Site) -> None:
    recording_id = analysed(site.store, events=0)
    decide(site.store, recording_id, "lee", **ADDED)
    assert not reviews.is_open_to(site.store, recording_id, "kim")
    path = f"{API}/recordings/{recording_id}"
    query = {"coder": "kim", "other": "lee"}
    assert site.client.get(f"{path}/agreement", params=query).status_code == 409
    decide(site.store, recording_id, "kim", "done")
    assert site.client.get(f"{path}/agreement", params=query).status_code == 200


def test_without_a_name_all_who_began_must_be_done(site: Site, coded: tuple[str, str]) -> None:
    recording_id = coded[0]
    path = f"{API}/recordings/{recording_id}/history"
    assert site.client.get(path).status_code == 200  # one coder: nobody else to keep blind
    decide(site.store, recording_id, "kim", "accept", event="m0")
    assert site.client.get(path).status_code == 409
    decide_all(site.store, recording_id, "kim")
    decide(site.store, recording_id, "kim", "done")
    assert site.client.get(path).status_code == 200


def test_done_needs_every_event_decided_and_any_later_decision_withdraws_it(site: Site) -> None:
    recording_id = analysed(site.store, events=2)
    with pytest.raises(RefusedError, match="got 2 undecided"):
        decide(site.store, recording_id, "kim", "done")
    decide_all(site.store, recording_id, "kim")
    decide(site.store, recording_id, "kim", "done")
    with pytest.raises(RefusedError, match="marked done already"):
        decide(site.store, recording_id, "kim", "done")
    decide(site.store, recording_id, "kim", "reject", event="m0")
    assert not reviews.get_review(site.store, recording_id, "kim").done
    assert reviews.decide(site.store, recording_id, coder="kim", expected=4, action="undo").done
    actions = [decision.action for decision in reviews.history(site.store, recording_id)]
    assert actions == ["accept", "accept", "done", "reject", "undo"]


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_reviews_that_were_complete_stay_open_after_the_update(
    url: str | None, tmp_path: Path
) -> None:
    database = connect(tmp_path, url, busy_s=5)
    migrate(database, "0001")
    row = (
        "INSERT INTO decisions VALUES ('{}', '{}', {}, '{}', '{}', '{{}}', {}, "
        "'2024-01-04 00:00:00')"
    )
    more = [
        row.format(C, "lee", 1, "accept", "m0", "NULL"),
        row.format(C, "lee", 2, "accept", "m1", "NULL"),
        row.format(C, "zoe", 1, "accept", "m0", "NULL"),
        row.format(C, "zoe", 2, "accept", "m1", "NULL"),
        row.format(C, "zoe", 3, "undo", "", "2"),
    ]
    with database.write() as transaction:
        for statement in [*FIRST_RECORDS, *more]:
            values = {"payload": json.dumps({"events": machine_events()})}
            transaction.execute(text(statement), values if ":payload" in statement else {})
    database.close()
    with open_store(tmp_path, url) as store:
        done = {name: reviews.get_review(store, C, name).done for name in reviews.coders(store, C)}
        assert done == {"kim": False, "lee": True, "zoe": False}
        assert (
            reviews.history(store, C, "lee")[-1].decided_at
            == reviews.history(store, C, "lee")[-2].decided_at
        )
        assert reviews.is_open_to(store, C, "lee") and not reviews.is_open_to(store, C, None)


# ------------------------------------------------------------------- blind to the machine


MOMENTS = ("onset_s", "apex_s", "offset_s")


def machines(content: bytes, payload: Any, windows: Collection[str] = ()) -> list[str]:
    """What an answer tells of what the machine found: classes, units, boundaries, held back.

    ``windows``: moments of the masked events, which may be those of an event by chance.
    """
    text_ = unpacked(content).decode("utf-8", "replace")
    numbers = set(re.findall(r"[0-9]+\.[0-9]+", text_)) - set(windows)
    found = [
        f"{entry[name]}"
        for entry in payload["events"]
        for name in MOMENTS
        if str(entry[name]) in numbers
    ]
    marks = ('false_alarm_rate_per_hour":', '"rejected":[{', '"action_units":[{')
    return [*found, *(mark for mark in marks if mark in text_)]


def test_in_a_blind_study_no_route_tells_what_the_machine_found(site: Site) -> None:
    person = site.subject("P01")
    recording_id = site.analysed(session_id=site.session(person["id"])["id"])
    payload = site.get(f"/recordings/{recording_id}/review", coder="kim")["analysis"]
    before = answers(site, (recording_id, person["id"]), "kim", machines_too=True)
    open_to_all = {query for query, (_, content) in before.items() if machines(content, payload)}
    assert len(open_to_all) > 20  # the test sees them
    assert site.client.patch(f"{API}/study", json={"mode": "blind"}).status_code == 200
    hidden = answers(site, (recording_id, person["id"]), "kim", machines_too=True)
    masked = site.get(f"/recordings/{recording_id}/review", coder="kim")["review"]["events"]
    windows = {str(event[name]) for event in masked for name in MOMENTS}
    assert all(event["masked"] for event in masked)
    leaks = {query: found for query, (_, content) in hidden.items()
             if (found := machines(content, payload, windows))}  # fmt: skip
    assert leaks == {}
    path = f"{API}/recordings/{recording_id}"
    files = ("files/events.json", "files/events.csv", "files/report.html", "files/review.json",
             "events/0/apex.jpg", "held-back/0/apex.jpg")  # fmt: skip
    for query in ({}, {"coder": "kim"}):
        for place in files:
            assert site.client.get(f"{path}/{place}", params=query).status_code == 409
    assert site.client.get(f"{path}/files/track.npz", params={"coder": "kim"}).status_code == 409
    for place in ("files/curve.csv", "files/frames.bin", "video"):
        assert site.client.get(f"{path}/{place}").status_code == 200
    own = {"label": "negative", "onset_frame": 100, "apex_frame": 110, "offset_frame": 120}
    decide(site.store, recording_id, "kim", "accept", event="m0", **own)
    query = {"coder": "kim"}
    assert site.client.get(f"{path}/events/0/apex.jpg", params=query).status_code == 200
    assert site.client.get(f"{path}/events/1/apex.jpg", params=query).status_code == 409
    assert site.client.get(f"{path}/events/0/apex.jpg").status_code == 409
    for index in range(1, 6):
        decide(site.store, recording_id, "kim", "reject", event=f"m{index}")
    assert site.client.get(f"{path}/files/report.html", params=query).status_code == 409
    decide(site.store, recording_id, "kim", "done")
    for place in files[:5]:
        assert site.client.get(f"{path}/{place}", params=query).status_code == 200
    found = site.get(f"/recordings/{recording_id}/review", coder="kim")
    assert found["analysis"] == payload
    assert [event["mode"] for event in found["review"]["events"]] == ["blind"] * 6
    assert site.client.get(f"{path}/files/report.html", params={"coder": "lee"}).status_code == 409
