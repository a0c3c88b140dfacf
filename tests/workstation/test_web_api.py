"""The workstation's API, route by route, on a real store with real files."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from sqlalchemy import event

from micromimic.core.notices import cannot_tell
from micromimic.workstation.records import privacy

from ..web_site import API, Site, running_site

pytestmark = pytest.mark.needs("web")
NOBODY = "0" * 32


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data") as site:
        yield site


def test_info_says_what_it_allows_and_what_it_is_not_for(site: Site) -> None:
    info = site.get("/info")
    assert info["limits"] == {
        "max_bytes": 4 * 10**9,
        "max_seconds": 3600.0,
        "retention_days": 30,
    }
    assert [tuple(pair) for pair in info["statements"]] == list(cannot_tell(3))
    assert info["database"] == "sqlite" and info["live"]["max_sessions"] == 2
    assert info["model"]["name"] == "flow-capsnet"
    assert site.get("/health")["status"] == "ok"


def test_subjects_and_sessions(site: Site) -> None:
    person = site.subject("P01")
    path = f"/subjects/{person['id']}"
    changed = site.client.patch(API + path, json={"note": "left-handed"}).json()
    assert (changed["code"], changed["note"]) == ("P01", "left-handed")
    sitting = site.session(person["id"], baseline=True)
    assert sitting["consent"]["noted_at"] is not None
    where = f"/sessions/{sitting['id']}"
    moved = site.client.patch(API + where, json={"held_on": "2026-03-05"}).json()
    assert (moved["held_on"], moved["title"], moved["baseline"]) == ("2026-03-05", "intake", True)
    assert site.get("/subjects")["subjects"][0]["sessions"] == 1
    assert [s["id"] for s in site.get("/sessions", subject_id=person["id"])["sessions"]] == [
        sitting["id"]
    ]
    assert site.client.delete(API + where).status_code == 204
    assert site.client.get(API + where).status_code == 404
    assert site.get("/sessions")["sessions"] == []


def test_a_code_is_given_once(site: Site) -> None:
    site.subject("P01")
    answer = site.client.post(f"{API}/subjects", json={"code": "P01"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "conflict"


def test_forgetting_a_person_removes_rows_and_files(site: Site) -> None:
    person = site.subject("P01")
    recording_id = site.analysed(session_id=site.session(person["id"])["id"])
    assert any(recording_id in path for path in site.left())
    answer = site.client.delete(f"{API}/subjects/{person['id']}")
    assert answer.status_code == 200 and answer.json()["forgotten"]["recordings"] == 1
    assert not any(recording_id in path for path in site.left())
    assert site.client.get(f"{API}/recordings/{recording_id}").status_code == 404
    assert site.client.get(f"{API}/subjects/{person['id']}").status_code == 404


def test_recordings_page_by_page_and_by_person(site: Site) -> None:
    person = site.subject("P01")
    session_id = site.session(person["id"])["id"]
    own = site.upload(session_id=session_id).json()
    others = [site.upload(name=f"{n}.mp4").json()["id"] for n in range(3)]
    page = site.get("/recordings", limit=2, offset=1)
    assert page["total"] == 4 and len(page["recordings"]) == 2
    everything = [r["id"] for r in site.get("/recordings")["recordings"]]
    assert everything == [*reversed(others), own["id"]]
    assert [r["id"] for r in page["recordings"]] == everything[1:3]
    found = site.get("/recordings", subject_id=person["id"])
    assert [r["id"] for r in found["recordings"]] == [own["id"]] and found["total"] == 1
    assert own["subject_code"] == "P01" and own["consent"]["note"] == "form 12"
    for what in ("session_id", "subject_id"):
        assert site.client.get(f"{API}/recordings", params={what: NOBODY}).status_code == 404


def test_a_recording_changes_and_goes(site: Site) -> None:
    person = site.subject()
    recording = site.upload().json()
    path = f"{API}/recordings/{recording['id']}"
    session_id = site.session(person["id"])["id"]
    changed = site.client.patch(path, json={"name": "b.mp4", "session_id": session_id}).json()
    assert (changed["name"], changed["subject_code"]) == ("b.mp4", "P01")
    assert changed["expires_at"] == recording["expires_at"]
    assert site.client.patch(path, json={"expires_at": None}).json()["expires_at"] is None
    dated = site.client.patch(path, json={"expires_at": "2027-01-01T00:00:00+01:00"}).json()
    assert dated["expires_at"] == "2026-12-31T23:00:00Z"
    assert site.client.patch(path, json={"expires_at": "2027-01-01T00:00:00"}).status_code == 422
    assert site.client.delete(path).status_code == 204
    assert site.client.get(path).status_code == 404
    assert site.left() == []


def test_jobs_are_cancelled_and_queued_again(site: Site) -> None:
    recording = site.upload().json()
    path = f"/recordings/{recording['id']}"
    job = recording["job"]
    assert job["status"] == "queued"
    assert [j["id"] for j in site.get("/jobs", status="queued")["jobs"]] == [job["id"]]
    assert site.post(f"{path}/cancel", status=202)["status"] == "cancelled"
    assert site.post(f"{path}/cancel", status=409)["error"]["code"] == "conflict"
    again = site.post(f"{path}/analyze", status=202)
    assert again["status"] == "queued" and again["id"] != job["id"]
    assert site.get(f"/jobs/{job['id']}")["status"] == "cancelled"
    assert [j["id"] for j in site.get("/jobs")["jobs"]] == [again["id"], job["id"]]
    described = site.get("/openapi.json")["paths"][f"{API}/jobs"]["get"]["description"]
    assert "newest first" in described
    assert site.post(f"{path}/analyze", status=409)["error"]["code"] == "conflict"
    assert site.runner.told.count("wake") == 3  # the upload, the cancel, the new job


def test_the_runner_starts_and_stops_with_the_server(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        assert site.runner.told == ["start"]
    assert site.runner.told == ["start", "stop"]


def test_the_video_is_sent_in_ranges(site: Site) -> None:
    recording_id = site.analysed()
    path = f"{API}/recordings/{recording_id}/video"
    whole = site.client.get(path)
    stored = (site.store.folder(recording_id) / "proxy.mp4").read_bytes()
    assert whole.status_code == 200 and whole.content == stored
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/mp4"
    part = site.client.get(path, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == stored[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(stored)}"
    last = site.client.get(path, headers={"Range": "bytes=-7"})
    assert last.content == stored[-7:]
    assert site.client.get(path, headers={"Range": f"bytes={10**9}-"}).status_code == 416


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("events.json", "application/json"),
        ("events.csv", "text/csv"),
        ("events.eaf", "application/xml"),
        ("curve.csv", "text/csv"),
        ("review.json", "application/json"),
        ("frames.bin", "application/octet-stream"),
    ],
)
def test_files_come_as_they_are(site: Site, name: str, kind: str) -> None:
    recording_id = site.analysed()
    answer = site.client.get(f"{API}/recordings/{recording_id}/files/{name}")
    assert answer.headers["content-type"].startswith(kind)
    assert answer.content == (site.store.folder(recording_id) / name).read_bytes()


def test_a_report_runs_its_own_scripts_and_reaches_nothing_here(site: Site) -> None:
    recording_id = site.analysed()
    answer = site.client.get(f"{API}/recordings/{recording_id}/files/report.html")
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy and "allow-same-origin" not in policy
    assert "default-src 'none'" in policy


def test_pictures_and_clips(site: Site) -> None:
    recording_id = site.analysed()
    where = f"{API}/recordings/{recording_id}/events"
    picture = site.client.get(f"{where}/0/apex.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content.startswith(b"\xff\xd8")
    assert site.client.get(f"{where}/1/face.mp4").headers["content-type"] == "video/mp4"
    assert site.client.get(f"{where}/99/apex.jpg").status_code == 404
    assert site.client.get(f"{where}/0/other.jpg").status_code == 422
    assert site.client.get(f"{where}/-1/apex.jpg").status_code == 422


def test_clips_are_made_when_they_are_asked_for(site: Site) -> None:
    recording_id = site.analysed()
    folder = site.store.folder(recording_id)
    (folder / "events" / "0" / "face.mp4").unlink()
    where = f"{API}/recordings/{recording_id}/events"
    answer = site.client.get(f"{where}/0/face.mp4")  # of a video that is none
    assert answer.status_code == 422, answer.text
    line = answer.json()["error"]["message"]
    assert "expected a video" in line and str(folder) not in line
    assert not list(site.store.incoming.iterdir())
    assert site.client.get(f"{where}/99/face.mp4").status_code == 404
    assert site.client.get(f"{where}/1/face.mp4").status_code == 200  # there already


def test_before_the_answer_there_are_no_files_and_after_retention_they_are_gone(
    site: Site,
) -> None:
    waiting = site.upload().json()["id"]
    early = site.client.get(f"{API}/recordings/{waiting}/video")
    assert early.status_code == 404 and "wait until" in early.json()["error"]["message"]
    site.post(f"/recordings/{waiting}/cancel", status=202)
    recording_id = site.analysed()
    past = {"expires_at": "2020-01-01T00:00:00Z"}
    site.client.patch(f"{API}/recordings/{recording_id}", json=past)
    assert privacy.expire(site.store) == [recording_id]
    late = site.client.get(f"{API}/recordings/{recording_id}/video")
    assert late.status_code == 410 and late.json()["error"]["code"] == "gone"
    assert site.client.get(f"{API}/recordings/{recording_id}/files/events.json").status_code == 200


@pytest.mark.parametrize(
    "name", ["../../micromimic.db", "..%2f..%2fmicromimic.db", "%2e%2e/video.mp4", "video.mp4"]
)
def test_no_path_is_taken_from_a_request(site: Site, name: str) -> None:
    recording_id = site.analysed()
    for place in (f"recordings/{recording_id}/files", f"recordings/{recording_id}/events/0"):
        answer = site.client.get(f"{API}/{place}/{name}")
        assert answer.status_code in (404, 422)
    assert site.client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("page", ["/", "/live", "/review", "/subjects", "/export", "/about"])
def test_pages(site: Site, page: str) -> None:
    answer = site.client.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "/static/base.css" in answer.text
    icon = site.client.get("/favicon.ico")  # browsers ask for it beside what is no page
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")


def test_pages_have_one_head_and_titles_of_their_own(site: Site) -> None:
    pages = [site.client.get(page).text for page in ("/", "/live", "/review", "/about")]
    titles = [re.search(r"<title>(.*) - micromimic</title>", page)[1] for page in pages]
    assert titles == ["Analyse", "Live", "Review", "About"]
    assert [page.split("<title>")[0] for page in pages] == 4 * [pages[0].split("<title>")[0]]
    assert not any("{%" in page or "{{" in page for page in pages)


@pytest.mark.parametrize("path", ["/subjects/", "/recordings/", "/sessions/", "/jobs/"])
def test_unknown_ids(site: Site, path: str) -> None:
    assert site.client.get(f"{API}{path}{NOBODY}").status_code == 404
    for odd in ("..", "x", NOBODY.replace("0", "G"), NOBODY + "0"):
        assert site.client.get(f"{API}{path}{odd}").status_code in (404, 422)


def trouble(site: Site) -> str:
    """What a request that needs the database is told."""
    for answer in (
        site.client.post(f"{API}/subjects", json={"code": "X"}),
        site.upload(),
    ):
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) >= 1
        assert "\n" not in answer.json()["error"]["message"]
    assert site.left() == []
    return str(answer.json()["error"]["message"])


def test_a_locked_database(tmp_path: Path) -> None:
    with running_site(tmp_path, busy_s=0.1) as site:
        with closing(sqlite3.connect(site.data / "micromimic.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            assert "locked" in trouble(site)
            assert site.get("/subjects")["subjects"] == []  # reading goes on
            other.rollback()
        assert site.upload().status_code == 201


def test_a_database_that_is_gone(site: Site) -> None:
    site.subject("P01")
    away = site.data / "elsewhere"
    (site.data / "micromimic.db").rename(away)
    assert "micromimic.db" in trouble(site)
    assert site.client.get(f"{API}/health").status_code == 503
    away.rename(site.data / "micromimic.db")
    assert [s["code"] for s in site.get("/subjects")["subjects"]] == ["P01"]


def test_a_database_without_room(site: Site) -> None:
    engine = site.store.writer

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1").close()  # no more than there are

    event.listen(engine, "connect", limit)
    engine.dispose()
    note = "n" * 2000
    codes = [
        site.client.post(f"{API}/subjects", json={"code": f"P{k}", "note": note}).status_code
        for k in range(60)
    ]
    assert 503 in codes and set(codes) <= {201, 503}
    event.remove(engine, "connect", limit)
    engine.dispose()
    assert len(site.get("/subjects")["subjects"]) == codes.count(201)
    site.subject("after")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"null",
        b"[]",
        b'"P01"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"code": "P", "note": ' + b"[" * 100_000,
        b'{"code": NaN}',
        b'{"code": 1e999}',
        b'{"code": ' + b"9" * 5000 + b"}",
        b'{"code": "\\ud800"}',
        b'{"code": "a\\u0000b"}',
        b'{"code": ""}',
        b'{"code": "P01", "id": "x"}',
        b'{"code": "P01", "note": null}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_rubbish_for_json(site: Site, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = site.client.post(f"{API}/subjects", content=body, headers=headers)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid" and "\n" not in error["message"]
    assert len(error["message"]) < 500
    assert site.get("/subjects")["subjects"] == []
