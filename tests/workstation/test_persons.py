"""Which of several people of a video is analysed: a recording of its own for each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from micromimic.media.video import VideoWriter
from micromimic.synthesis.clips import ClipConfig, render
from micromimic.synthesis.schedule import plan_clip
from micromimic.workstation.jobs.artifacts import write_recording
from micromimic.workstation.jobs.worker import Task
from micromimic.workstation.records import jobs, privacy, recordings

from ..web_site import VIDEO, Site, running_site

pytestmark = pytest.mark.needs("web")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data") as site:
        yield site


def test_another_person_is_a_recording_of_its_own(site: Site) -> None:
    first = site.analysed(fps="50")
    decided = {"coder": "kim", "expected": 0, "action": "accept", "event": "m0"}
    site.post(f"/recordings/{first}/decisions", decided)
    before = site.get(f"/recordings/{first}")
    assert (before["person"], before["others"]) == (None, 1)
    made = site.post(f"/recordings/{first}/people/2", {})
    assert (made["person"], made["others"], made["session_id"]) == (2, None, None)
    assert (made["name"], made["fps"], made["job"]["status"]) == ("a person 2.mp4", 50, "queued")
    assert made["consent"]["given"] and made["expires_at"] == before["expires_at"]
    assert (site.store.folder(made["id"]) / "video.mp4").read_bytes() == VIDEO
    assert site.runner.told[-1] == "wake"
    # Nothing of the first has changed, and neither is called a copy of the other.
    assert site.get(f"/recordings/{first}") == before
    assert made["same_as"] is None
    assert site.get(f"/recordings/{first}/people") == {"people": []}
    again = site.post(f"/recordings/{first}/people/2", {}, status=409)
    assert "person 2, who is, as a person 2.mp4" in again["error"]["message"]
    assert [p.name for p in (site.data / "incoming").iterdir()] == []


def test_whose_the_other_person_is_decides_who_asks(site: Site) -> None:
    first = site.analysed()
    person = site.subject()["id"]
    refused = site.session(person, given=False)["id"]
    body = {"session_id": refused}
    assert "consent" in site.post(f"/recordings/{first}/people/3", body, 422)["error"]["message"]
    given = {"session_id": site.session(person)["id"]}
    assert site.post(f"/recordings/{first}/people/3", given)["subject_code"] == "P01"
    assert site.post(f"/recordings/{first}/people/0", {}, 422)["error"]["code"] == "invalid"
    recordings.change_recording(site.store, first, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    privacy.expire(site.store)
    gone = site.post(f"/recordings/{first}/people/4", {}, 422)["error"]["message"]
    assert "whose video was removed" in gone


def test_who_is_forgotten_is_not_left_in_the_other_persons_video(site: Site) -> None:
    session = site.session(site.subject()["id"])["id"]
    mine = site.analysed(session_id=session, consent="false")
    other = site.post(f"/recordings/{mine}/people/2", {})["id"]
    alone = site.upload(VIDEO + b"another video").json()["id"]
    privacy.forget_subject(site.store, "P01")
    left = {r["id"]: r["media"] for r in site.get("/recordings")["recordings"]}
    assert left == {other: "expired", alone: "kept"}
    assert not (site.store.folder(other) / "video.mp4").exists()


def test_the_choice_reaches_the_worker(site: Site) -> None:
    made = site.upload(person="2").json()
    assert made["person"] == 2
    job = jobs.claim_job(site.store, "test")
    assert job is not None and recordings.get_recording(site.store, job.recording_id).person == 2
    task = Task("a.mp4", "out", "a", os.getpid(), person=2)
    assert Task.from_line(task.to_line()).person == 2


def test_who_is_in_the_video_is_shown(tmp_path: Path) -> None:
    config = ClipConfig(
        seconds=3.2, fps=10.0, width=320, height=240, second_face=0.7, face_px=150.0, face_x=0.33,
        blinks_per_minute=0, head_moves_per_minute=0,
    )  # fmt: skip
    with VideoWriter(tmp_path / "pair.mp4", 10, 320, 240) as writer:
        for picture in render(plan_clip(config, 6)):
            writer.write(picture)
    out = tmp_path / "out"
    out.mkdir()
    write_recording(tmp_path / "pair.mp4", out, person=2)
    review = json.loads((out / "review.json").read_text())
    assert review["person"] == 2
    seen = [(one["person"], one["share"], one["first_s"]) for one in review["people"]]
    assert seen == [(1, 1.0, 0.0), (2, 1.0, 0.0)]
    for number in (1, 2):
        picture = cv2.imread(str(out / "events" / "people" / f"{number}.jpg"))
        assert max(picture.shape) == 160
    events = json.loads((out / "events.json").read_text())
    assert events["face"] == {"found_ratio": 1.0, "others_seen": 1}
    assert events["settings"]["person"] == 2
