"""The workstation's API, route by route, on a real store with real files."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from micromimic.reports.limits import CANNOT_TELL

from .web_site import API, Site, running_site

pytestmark = pytest.mark.needs("web")
NOBODY = "0" * 32


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data") as site:
        yield site


def test_info_says_what_it_allows_and_what_it_is_not_for(site: Site) -> None:
    info = site.get("/info")
    assert info["limits"] == {
        "max_bytes": 4 * 1024**3,
        "max_seconds": 3600.0,
        "retention_days": 30,
    }
    assert [tuple(pair) for pair in info["statements"]] == list(CANNOT_TELL)
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
    assert site.store.expire() == [recording_id]
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


def test_a_review_before_and_after_the_answer(site: Site) -> None:
    waiting = site.upload().json()["id"]
    empty = site.get(f"/recordings/{waiting}/review", coder="kim")
    assert empty["recording"]["id"] == waiting
    assert empty["analysis"] is None and empty["review"] is None and empty["shown"] is None
    site.post(f"/recordings/{waiting}/cancel", status=202)
    found = site.get(f"/recordings/{site.analysed()}/review", coder="kim")
    assert found["analysis"]["schema"] == "micromimic.events/1"
    assert found["shown"]["schema"] == "micromimic.review/1"
    assert found["review"]["number"] == 0 and len(found["review"]["events"]) == 6


def test_decisions_undo_redo_and_the_trail(site: Site) -> None:
    path = f"/recordings/{site.analysed()}"
    machine = site.get(f"{path}/review", coder="kim")["analysis"]

    def say(action: str, expected: int, **more: object) -> dict[str, object]:
        body = {"coder": "kim", "expected": expected, "action": action, **more}
        return dict(site.post(f"{path}/decisions", body))

    assert say("accept", 0, event="m0")["number"] == 1
    relabelled = say("relabel", 1, event="m1", label="surprise")
    assert relabelled["events"][1]["label"] == "surprise"
    moved = say("move", 2, event="m2", apex_frame=4224)
    assert moved["events"][2]["apex_frame"] == 4224 and moved["events"][2]["changed"]
    added = say(
        "add", 3, label="negative", onset_frame=100, apex_frame=120, offset_frame=150, note="n"
    )
    assert added["events"][0]["key"] == "c4"
    undone = site.post(f"{path}/undo", {"coder": "kim", "expected": 4})
    assert len(undone["events"]) == 6 and undone["redoable"] == 4
    redone = site.post(f"{path}/redo", {"coder": "kim", "expected": 5})
    assert len(redone["events"]) == 7
    trail = site.get(f"{path}/history")["decisions"]
    assert [d["action"] for d in trail] == ["accept", "relabel", "move", "add", "undo", "redo"]
    assert site.get(f"{path}/history", coder="lee")["decisions"] == []
    assert site.get(f"{path}/review", coder="kim")["analysis"] == machine
    assert site.get(path)["coders"] == ["kim"]


def test_two_tabs_saving_the_same_event(site: Site) -> None:
    path = f"{API}/recordings/{site.analysed()}/decisions"
    body = {"coder": "kim", "expected": 0, "action": "accept", "event": "m0"}
    answers = []

    def save() -> None:
        answers.append(site.client.post(path, json=body))

    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status_code for a in answers) == [201] + 7 * [409]
    message = next(a for a in answers if a.status_code == 409).json()["error"]["message"]
    assert "kim" in message and "20" in message  # who, and when
    assert len(site.get(path.removeprefix(API).replace("decisions", "history"))["decisions"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"action": "accept", "event": "m99"},
        {"action": "relabel", "event": "m0"},
        {"action": "relabel", "event": "m0", "label": "joy"},
        {"action": "move", "event": "m0", "onset_frame": 99_999_999},
        {"action": "move", "event": "m0", "onset_frame": -1},
        {"action": "undo"},
        {"action": "accept", "event": "m0", "coder": ""},
        {"action": "accept", "event": "m0", "coder": "machine"},
        {"action": "accept", "event": "m0", "expected": "x"},
        {"action": "accept", "event": "m0", "more": 1},
        {"action": "comment", "event": "m0", "note": "a\x00b"},
    ],
)
def test_decisions_that_make_no_sense_are_refused(site: Site, body: dict[str, object]) -> None:
    path = f"/recordings/{site.analysed()}"
    answer = site.post(f"{path}/decisions", {"coder": "kim", "expected": 0, **body}, status=422)
    assert answer["error"]["code"] in ("invalid", "refused")
    assert site.get(f"{path}/history")["decisions"] == []


def test_agreement_of_two_coders_and_with_the_machine(site: Site) -> None:
    path = f"/recordings/{site.analysed()}"
    for coder, actions in (("kim", 6 * ["accept"]), ("lee", 5 * ["accept"] + ["reject"])):
        for k, action in enumerate(actions):
            body = {"coder": coder, "expected": k, "action": action, "event": f"m{k}"}
            site.post(f"{path}/decisions", body)
    both = site.get(f"{path}/agreement", coder="kim", other="lee")
    assert both["n"] == 6 and both["observed"] == pytest.approx(5 / 6)
    assert both["events_first"] == 6 and both["events_second"] == 5
    assert both["f1"] == pytest.approx(10 / 11)
    machine = site.get(f"{path}/agreement", coder="machine", other="lee")
    assert machine["n"] == 6 and machine["f1"] == pytest.approx(10 / 11)
    itself = site.get(f"{path}/agreement", coder="kim", other="kim")
    assert itself["f1"] == 1.0 and itself["observed"] == 1.0
    waiting = site.upload().json()["id"]
    query = {"coder": "kim", "other": "lee"}
    early = site.client.get(f"{API}/recordings/{waiting}/agreement", params=query)
    assert early.status_code == 409


@pytest.mark.parametrize("kind", ["json", "csv", "eaf"])
def test_export_of_one_recording(site: Site, kind: str) -> None:
    recording_id = site.analysed(name='in"ter\nview.mp4')
    for coder, who in ((None, ""), ("kim lee", ".kim_lee")):
        answer = site.client.get(
            f"{API}/recordings/{recording_id}/export/{kind}",
            params={} if coder is None else {"coder": coder},
        )
        assert answer.status_code == 200
        wanted = f'attachment; filename="in_ter_view{who}.events.{kind}"'
        assert answer.headers["content-disposition"] == wanted
    if kind == "json":
        assert json.loads(answer.content)["review"]["coder"] == "kim lee"


def test_the_manifest_as_a_zip(site: Site) -> None:
    person = site.subject("P01")
    recording_id = site.analysed(session_id=site.session(person["id"])["id"])
    nothing = site.client.get(f"{API}/export/manifest.zip", params={"coder": "kim"})
    assert nothing.status_code == 422 and nothing.json()["error"]["code"] == "refused"
    body = {"coder": "kim", "expected": 0, "action": "accept", "event": "m0"}
    site.post(f"/recordings/{recording_id}/decisions", body)
    answer = site.client.get(
        f"{API}/export/manifest.zip", params={"coder": "kim", "subject_id": person["id"]}
    )
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert "manifest.csv" in archive.namelist()
        assert b"P01" in archive.read("manifest.csv")


def test_trends_of_a_person(site: Site) -> None:
    person = site.subject("P01")
    first = site.session(person["id"], baseline=True)
    second = site.session(person["id"], title="week 4", held_on="2026-04-01")
    for sitting in (first, second):
        site.analysed(session_id=sitting["id"])
    found = site.get(f"/subjects/{person['id']}/trends")
    assert found["schema"] == "micromimic.trends/1"
    rate = found["indicators"][0]
    assert [s["session_id"] for s in rate["sessions"]] == [first["id"], second["id"]]
    assert rate["change"][0]["value"] == pytest.approx(1.0)


@pytest.mark.parametrize("page", ["/", "/live", "/review", "/subjects", "/export", "/about"])
def test_pages(site: Site, page: str) -> None:
    answer = site.client.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "/static/base.css" in answer.text


def test_plotly_comes_from_its_own_wheel(site: Site) -> None:
    answer = site.client.get("/static/plotly.min.js")
    assert answer.status_code == 200 and b"plotly.js v" in answer.content[:100]


@pytest.mark.parametrize("path", ["/subjects/", "/recordings/", "/sessions/", "/jobs/"])
def test_unknown_ids(site: Site, path: str) -> None:
    assert site.client.get(f"{API}{path}{NOBODY}").status_code == 404
    for odd in ("..", "x", NOBODY.replace("0", "G"), NOBODY + "0"):
        assert site.client.get(f"{API}{path}{odd}").status_code in (404, 422)
