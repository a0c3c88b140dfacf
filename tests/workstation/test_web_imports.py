"""Imports, assignments and the project file over the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs web: fastapi is not installed")
pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.workstation.access import MAX_JSON_BYTES
from micromimic.workstation.records import markers, recordings, reviews, study
from micromimic.workstation.routes.imports import MAX_BYTES

from .. import boris_files as boris
from ..web_site import API, Site, running_site

pytestmark = pytest.mark.needs("web")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data") as site:
        yield site


def send(site: Site, path: str, content: str | bytes, status: int = 201, **query: Any) -> Any:
    answer = site.client.post(API + path, params=query, content=content)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_file_brings_markers_and_a_coding_and_nothing_of_it_stays_on_the_disk(
    site: Site,
) -> None:
    recording = site.analysed(name="interview.mp4")
    lying = site.left()
    text = boris.project({"o 1": boris.observation(boris.EVENTS)})
    done = send(site, "/imports/markers", text, name="../../a.boris", recording_id=recording)
    assert done == {"imported": [{"recording_id": recording, "recording": "interview.mp4",
                                  "count": 3, "tiers": ["child - mouth", "BORIS", "mouth"],
                                  "note": ""}]}  # fmt: skip
    assert {m.origin for m in markers.list_markers(site.store, recording)} == {"a.boris"}
    send(site, "/imports/coding", text, name="a.boris", recording_id=recording, coder="lee",
         tier=["child - mouth", "mouth"], label=["smile=positive"])  # fmt: skip
    assert reviews.get_review(site.store, recording, "lee").done
    assert site.left() == lying


@pytest.mark.parametrize(
    ("path", "content", "query", "status", "line"),
    [
        ("/imports/markers", "", {}, 422, "expected a file, got one of 0 bytes; choose another"),
        ("/imports/markers", "a,b\n", {"name": "x.csv"}, 422,
         "expected a table of events with columns"),
        ("/imports/markers", b"\x00\x01", {"name": "x.csv"}, 422,
         "expected a table of events as text, got binary data in x.csv; save it as CSV"),
        ("/imports/markers", b" " * (MAX_BYTES + 1), {}, 413,
         "expected a file of at most 67 MB, got more"),
        ("/imports/markers", "onset_s,label\n1,a\n", {"recording_id": "0" * 32}, 404,
         "expected the recording of a record"),
        ("/imports/coding", "onset_s,label\n1,a\n", {"coder": "machine"}, 422,
         "expected a person's name as coder"),
        ("/imports/coding", "onset_s,label\n1,a\n", {"coder": "kim", "label": "x"}, 422,
         "expected LABEL=CLASS, got 'x'"),
        ("/project", "x", {"name": "a.zip"}, 422,
         "expected a project file of micromimic in a.zip, got: File is not a zip file"),
        ("/project", "x", {"resolve": "x"}, 422, "expected KEY=CHOICE, got 'x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_one_line(
    site: Site, path: str, content: str | bytes, query: dict[str, str], status: int, line: str
) -> None:
    error = send(site, path, content, status, **query)["error"]
    assert error["message"].startswith(line), error
    assert str(site.data) not in error["message"]
    assert site.left() == ["incoming"] or site.left() == []


def test_only_files_may_be_larger_than_json(site: Site) -> None:
    text = "onset_s,label,note\n" + "".join(f"{k},a,{'x' * 9000}\n" for k in range(40))
    assert len(text) > MAX_JSON_BYTES
    recording = site.analysed(name="interview.mp4")
    (done,) = send(site, "/imports/markers", text, recording_id=recording)["imported"]
    assert done["count"] == 40
    site.post("/assignments", {"table": text}, 413)


def test_a_table_is_checked_for_files_that_come_and_carried_out(site: Site) -> None:
    person = site.subject("P01")
    site.session(person["id"], title="first")
    recording = site.analysed(name="a.mp4")
    table = (
        "video,subject,session,condition,date\na.mp4,P01,first,stress,\nb.mp4,P02,new,,2026-11-20\n"
    )
    body = {"table": table, "coming": ["study/b.mp4"]}
    unknown = site.post("/assignments", body, 422)["error"]
    assert unknown["message"].startswith("expected subjects that are known, got P02 (line 3)")
    body |= {"new_subjects": True}
    rows = site.post("/assignments", body, 200)["rows"]
    assert [(r["state"], r["recording_id"], r["subject_known"]) for r in rows] == [
        ("there", recording, True), ("coming", None, False)]  # fmt: skip
    assert rows[1]["session_id"] is None and rows[1]["name"] == "study/b.mp4"
    refused = site.post("/assignments", {**body, "apply": True}, 422)["error"]
    assert "expected the consent of the person filmed" in refused["message"]
    consent = {"given": True, "noted_by": "kim"}
    rows = site.post("/assignments", {**body, "apply": True, "consent": consent}, 200)["rows"]
    uploaded = site.upload(name="b.mp4", session_id=rows[1]["session_id"])
    assert uploaded.status_code == 201, uploaded.text
    assert uploaded.json()["subject_code"] == "P02"
    assert recordings.get_recording(site.store, recording).condition == "stress"
    written = site.client.get(f"{API}/assignments")
    assert written.text.splitlines()[0] == "video,subject,session,condition,date"
    assert "a.mp4,P01,first,stress,2026-03-04" in written.text


def test_a_project_goes_out_and_comes_in_elsewhere(site: Site, tmp_path: Path) -> None:
    person = site.subject("P01")
    recording = site.analysed(name="a.mp4", session_id=site.session(person["id"])["id"])
    study.change_study(site.store, title="Feelings / 2")
    site.post(f"/recordings/{recording}/decisions",
              {"coder": "kim", "expected": 0, "action": "accept", "event": "m0"})  # fmt: skip
    answer = site.client.get(f"{API}/project", params={"coder": "kim", "videos": "true"})
    assert 'filename="Feelings_2.micromimic.zip"' in answer.headers["content-disposition"]
    with running_site(tmp_path / "other") as other:
        send(other, "/imports/markers", "x", 422)
        looked = send(other, "/project", answer.content, 200, name="a.zip")
        assert (looked["applied"], looked["merge"]["added"]["recordings"]) == (False, 1)
        assert other.get("/recordings")["total"] == 0
        woken = other.runner.told.count("wake")
        joined = send(other, "/project", answer.content, 200, apply=True)
        assert joined["applied"] and joined["merge"]["title"] == "Feelings / 2"
        assert other.runner.told.count("wake") == woken + 1
        found = other.get(f"/recordings/{recording}")
        assert (found["subject_code"], found["media"], found["coders"]) == (
            "P01", "kept", ["kim"])  # fmt: skip
        video = other.client.get(f"{API}/recordings/{recording}/video")
        assert video.content == site.client.get(f"{API}/recordings/{recording}/video").content
        other.post(f"/recordings/{recording}/decisions",
                   {"coder": "kim", "expected": 1, "action": "accept", "event": "m1"})  # fmt: skip
        site.post(f"/recordings/{recording}/decisions",
                  {"coder": "kim", "expected": 1, "action": "reject", "event": "m1"})  # fmt: skip
        newer = site.client.get(f"{API}/project", params={"coder": "kim"}).content
        (conflict,) = send(other, "/project", newer, 200)["merge"]["conflicts"]
        assert list(conflict["choices"]) == ["ours", "both"]
        error = send(other, "/project", newer, 409, apply=True)["error"]
        assert "kim has decided otherwise on a.mp4" in error["message"]
        send(other, "/project", newer, 200, apply=True, resolve=f"{conflict['key']}=both")
        assert other.get(f"/recordings/{recording}")["coders"] == ["kim", "kim (2)"]
