"""People, sessions and recordings, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.core.errors import ConflictError, InputError, NotFoundError, RefusedError
from micromimic.workstation.records import jobs, people, privacy, recordings, reviews
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.folder import default_data_dir
from micromimic.workstation.records.models import Consent
from micromimic.workstation.records.values import new_id

from ...store_samples import (
    NO,
    SHA,
    YES,
    add_recording,
    add_session,
    analysed,
    claimed,
    view,
)

UNKNOWN = ["f" * 32, "", "..", "../../etc/passwd", "F" * 32, "f" * 31, "\x00", "\ud800", "f" * 33]


# ---------------------------------------------------------------------------------- subjects


def test_a_subject_is_kept_as_given(store: Store) -> None:
    made = people.add_subject(store, "  Zoë 014 ", note="left-handed\nsecond line")
    assert (made.code, made.note) == ("Zoë 014", "left-handed\nsecond line")
    assert (made.sessions, made.recordings) == (0, 0)
    assert made.created_at == store.clock() - timedelta(seconds=1)
    assert made.created_at.utcoffset() == timedelta(0)
    assert view(people.get_subject(store, made.id)) == view(made)
    assert view(people.find_subject(store, "Zoë 014")) == view(made)
    assert made.created_at.isoformat() == "2024-05-06T07:08:10.123456+00:00"


def test_subjects_are_listed_with_their_counts(store: Store) -> None:
    add_session(store, "P2")
    first = add_session(store, "P1")
    second = add_session(store, "P1")
    for session in (first, first, second):
        add_recording(store, session)
    add_recording(store)
    found = [(s.code, s.sessions, s.recordings) for s in people.list_subjects(store)]
    assert found == [("P1", 2, 3), ("P2", 1, 0)]


def test_a_code_is_taken_once(store: Store) -> None:
    one, two = people.add_subject(store, "P1"), people.add_subject(store, "P2")
    with pytest.raises(ConflictError, match="expected a code that nobody has, got 'P1'"):
        people.add_subject(store, " P1")
    with pytest.raises(ConflictError, match="'P1'"):
        people.change_subject(store, two.id, code="P1")
    assert people.change_subject(store, one.id, code="P1").code == "P1"
    assert [s.code for s in people.list_subjects(store)] == ["P1", "P2"]


def test_a_subject_changes_only_where_told(store: Store) -> None:
    made = people.add_subject(store, "P1", note="a")
    assert view(people.change_subject(store, made.id)) == view(made)
    assert view(people.change_subject(store, made.id, note="b")) == view(made, note="b")
    assert view(people.change_subject(store, made.id, code="P7")) == view(made, code="P7", note="b")
    assert people.change_subject(store, made.id, note="").note == ""


@pytest.mark.parametrize("code", ["", "  ", "x" * 65, "a\nb", "a\x00b", "\ud800", "\u202eabc"])
def test_a_code_is_one_printable_line(store: Store, code: str) -> None:
    with pytest.raises(RefusedError, match="expected a subject's code of 1 to 64 printable"):
        people.add_subject(store, code)
    with pytest.raises(NotFoundError):
        people.find_subject(store, code)
    assert not people.list_subjects(store)


@pytest.mark.parametrize("note", ["\x00", "a\x1bb", "\ud800", "x" * 10_001])
def test_a_note_can_be_stored_anywhere(store: Store, note: str) -> None:
    with pytest.raises(RefusedError, match="expected a note"):
        people.add_subject(store, "P1", note=note)
    kept = people.add_subject(store, "P1", note="emoji 🙂, tab\t, quotes '\" and %s :x {}")
    assert people.get_subject(store, kept.id).note == "emoji 🙂, tab\t, quotes '\" and %s :x {}"


# ---------------------------------------------------------------------------------- sessions


def test_a_session_is_kept_as_given(store: Store) -> None:
    person = people.add_subject(store, "P1")
    made = people.add_session(
        store, person.id, title="intake", held_on=date(2023, 12, 31), consent=YES, baseline=True
    )
    assert (made.subject_id, made.subject_code, made.title) == (person.id, "P1", "intake")
    assert (made.held_on, made.baseline, made.recordings) == (date(2023, 12, 31), True, 0)
    assert made.consent == replace(YES, noted_at=made.created_at)
    assert view(people.get_session(store, made.id)) == view(made)
    given = datetime(2020, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    other = people.add_session(
        store, person.id, title="", held_on=date(2024, 1, 1), consent=replace(YES, noted_at=given)
    )
    assert other.consent.noted_at == datetime(2020, 1, 1, 10, tzinfo=UTC)


def test_sessions_are_listed_by_day(store: Store) -> None:
    one, two = people.add_subject(store, "P1"), people.add_subject(store, "P2")
    days = [date(2024, 3, 1), date(2024, 1, 1), date(2024, 2, 1)]
    for person, day in zip((one, one, two), days, strict=True):
        people.add_session(store, person.id, title=str(day), held_on=day, consent=NO)
    assert [s.held_on for s in people.list_sessions(store)] == sorted(days)
    assert [s.held_on for s in people.list_sessions(store, one.id)] == [days[1], days[0]]


def test_a_session_changes_only_where_told(store: Store) -> None:
    session = people.get_session(store, add_session(store))
    assert view(people.change_session(store, session.id)) == view(session)
    new = people.change_session(store, session.id, title="b", baseline=True)
    assert view(new) == view(session, title="b", baseline=True)
    new = people.change_session(store, session.id, held_on=date(2000, 2, 29), baseline=False)
    assert view(new) == view(session, title="b", held_on=date(2000, 2, 29))


def test_withdrawn_consent_stops_what_waits_and_what_runs(store: Store) -> None:
    session, other = add_session(store), add_session(store, "P2")
    waiting, running = add_recording(store, session), add_recording(store, session)
    free = add_recording(store, other)
    job = claimed(store)
    people.change_session(store, session, consent=NO)
    assert people.get_session(store, session).consent.given is False
    for recording in (waiting, running):
        found = recordings.get_recording(store, recording.id).job
        assert found is not None
        assert (found.status, found.error) == ("cancelled", "consent was withdrawn")
        with pytest.raises(RefusedError, match="got no consent"):
            jobs.requeue_job(store, recording.id)
    with pytest.raises(ConflictError):
        jobs.beat(store, job.id, stage="tracking", done=1, total=2)
    assert claimed(store).recording_id == free.id


# ---------------------------------------------------------------------------------- recordings


def test_a_recording_comes_with_its_job(store: Store) -> None:
    session = people.get_session(store, add_session(store))
    until = datetime(2024, 6, 1, tzinfo=UTC)
    made = add_recording(
        store, session.id, name="Gespräch 1.MP4", fps=29.97, expires_at=until, size_bytes=5 * 2**30
    )
    assert (made.session_id, made.subject_id, made.subject_code) == (
        session.id, session.subject_id, "P1",
    )  # fmt: skip
    assert (made.name, made.extension, made.sha256) == ("Gespräch 1.MP4", ".mp4", SHA)
    assert (made.size_bytes, made.fps, made.origin) == (5 * 2**30, 29.97, "upload")
    assert (made.media, made.expires_at, made.events, made.coders) == ("kept", until, None, ())
    assert made.consent == session.consent
    assert made.job is not None
    assert (made.job.status, made.job.attempts, made.job.recording_id) == ("queued", 0, made.id)
    assert view(recordings.get_recording(store, made.id)) == view(made)
    assert view(jobs.list_jobs(store)) == (view(made.job),)
    assert people.get_session(store, session.id).recordings == 1


def test_a_recording_may_stand_alone_with_its_own_consent(store: Store) -> None:
    made = add_recording(store, origin="live")
    assert (made.session_id, made.subject_id, made.subject_code) == (None, None, None)
    assert (made.consent, made.origin) == (replace(YES, noted_at=made.uploaded_at), "live")


@pytest.mark.parametrize("consent", [None, NO])
def test_no_recording_without_consent(store: Store, consent: Consent | None) -> None:
    refusing = add_session(store, consent=NO)
    with pytest.raises(RefusedError, match="expected the consent of the person filmed, got none"):
        add_recording(store, None, consent=consent)
    with pytest.raises(RefusedError, match="expected the consent"):
        add_recording(store, refusing, consent=YES)  # the session's word counts
    moved = add_recording(store)
    with pytest.raises(RefusedError, match="expected the consent"):
        recordings.change_recording(store, moved.id, session_id=refusing)
    assert recordings.count_recordings(store) == 1
    assert len(jobs.list_jobs(store)) == 1


def test_an_id_is_used_once(store: Store) -> None:
    first = add_recording(store)
    with pytest.raises(ConflictError, match="which is taken"):
        add_recording(store, id=first.id)
    assert recordings.count_recordings(store) == len(jobs.list_jobs(store)) == 1


def test_recordings_are_listed_newest_first_in_pages(store: Store) -> None:
    mine, other = add_session(store, "P1"), add_session(store, "P2")
    made = [add_recording(store, session).id for session in (mine, other, mine, None, mine)]
    assert [r.id for r in recordings.list_recordings(store)] == made[::-1]
    assert len(recordings.list_recordings(store, limit=None)) == len(made)
    assert [r.id for r in recordings.list_recordings(store, limit=2, offset=1)] == [
        made[3],
        made[2],
    ]
    assert [r.id for r in recordings.list_recordings(store, session_id=mine)] == [
        made[4],
        made[2],
        made[0],
    ]
    person = people.find_subject(store, "P2").id
    assert [r.id for r in recordings.list_recordings(store, subject_id=person)] == [made[1]]
    assert recordings.list_recordings(store, session_id=mine, subject_id=person) == ()
    assert recordings.list_recordings(store, limit=0) == ()
    counts = [{}, {"session_id": mine}, {"subject_id": person}]
    assert [recordings.count_recordings(store, **which) for which in counts] == [5, 3, 1]


def test_a_recording_changes_only_where_told(store: Store) -> None:
    made = add_recording(store, expires_at=datetime(2024, 6, 1, tzinfo=UTC))
    assert view(recordings.change_recording(store, made.id)) == view(made)
    assert view(recordings.change_recording(store, made.id, name="b")) == view(made, name="b")
    assert recordings.change_recording(store, made.id, expires_at=None).expires_at is None
    session = people.get_session(store, add_session(store))
    moved = recordings.change_recording(store, made.id, session_id=session.id)
    assert (moved.session_id, moved.subject_code) == (session.id, "P1")
    assert moved.consent == session.consent


@pytest.mark.parametrize(
    "given",
    [
        {"id": "../../etc/cron.d/x"},
        {"id": "A" * 32},
        {"name": ""},
        {"name": "a\x00.mp4"},
        {"name": "x" * 256},
        {"extension": "mp4"},
        {"extension": ".mp4/../../x"},
        {"extension": "./"},
        {"size_bytes": -1},
        {"size_bytes": 2**63},
        {"sha256": "abc"},
        {"sha256": SHA.upper()},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"fps": float("inf")},
        {"origin": "elsewhere"},
        {"expires_at": datetime(2024, 1, 1)},
        {"expires_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=3)))},
    ],
    ids=str,
)
def test_a_recording_of_nonsense_is_refused(store: Store, given: dict[str, Any]) -> None:
    with pytest.raises((RefusedError, NotFoundError), match=r"^expected .*got"):
        add_recording(store, **given)
    assert recordings.count_recordings(store) == len(jobs.list_jobs(store)) == 0


# ---------------------------------------------------------------------------------- unknown ids

ASKS: list[Callable[[Store, str], object]] = [
    people.get_subject,
    lambda s, i: people.change_subject(s, i, note="x"),
    people.list_sessions,
    lambda s, i: people.add_session(s, i, title="", held_on=date(2024, 1, 1), consent=YES),
    people.get_session,
    lambda s, i: people.change_session(s, i, title="x"),
    privacy.remove_session,
    lambda s, i: recordings.list_recordings(s, session_id=i),
    lambda s, i: recordings.list_recordings(s, subject_id=i),
    lambda s, i: recordings.count_recordings(s, session_id=i),
    lambda s, i: add_recording(s, i or "x"),
    recordings.get_recording,
    lambda s, i: recordings.change_recording(s, i, name="x"),
    lambda s, i: recordings.change_recording(s, recordings.list_recordings(s)[0].id, session_id=i),
    privacy.remove_recording,
    jobs.requeue_job,
    jobs.get_job,
    lambda s, i: jobs.beat(s, i, stage="x", done=0, total=None),
    lambda s, i: jobs.finish_job(s, i, payload={"events": []}, review={}),
    lambda s, i: jobs.fail_job(s, i, "x"),
    jobs.release_job,
    jobs.cancel_job,
    reviews.get_analysis,
    lambda s, i: reviews.get_review(s, i, "kim"),
    lambda s, i: reviews.decide(s, i, coder="kim", expected=0, action="accept", event="m0"),
    lambda s, i: reviews.decide(s, i, coder="kim", expected=0, action="undo"),
    reviews.history,
    reviews.coders,
    lambda s, i: s.folder(i),
    privacy.forget_subject,
]  # fmt: skip


def test_what_is_not_there_is_said_in_one_line(store: Store) -> None:
    analysed(store)
    lists = (recordings.list_recordings, jobs.list_jobs, people.list_subjects)
    before = [view(found(store)) for found in lists]
    for ask in ASKS:
        for unknown in UNKNOWN:
            if unknown == "f" * 32 and ask is ASKS[-2]:
                continue  # a folder need not exist
            with pytest.raises(NotFoundError, match=r"^expected .*, got .*; ") as caught:
                ask(store, unknown)
            assert "\n" not in str(caught.value)
    assert [view(found(store)) for found in lists] == before


# ---------------------------------------------------------------------------------- where it is


def test_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MICROMIMIC_DATA", str(tmp_path / "mine"))
    assert default_data_dir() == tmp_path / "mine"
    monkeypatch.delenv("MICROMIMIC_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert default_data_dir() == tmp_path / "xdg" / "micromimic"
    with open_store() as store:
        people.add_subject(store, "P1")
        folder = store.data
    assert (folder / "micromimic.db").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    with open_store(folder) as again:
        assert [s.code for s in people.list_subjects(again)] == ["P1"]
    assert again.folder("a" * 32) == folder / "recordings" / ("a" * 32)


@pytest.mark.parametrize("url", ["mysql://kim:secret@host/x", "records", "", "sqlite:///a.db"])
def test_only_postgresql_is_named_by_url(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="that begins with postgresql://") as caught:
        open_store(tmp_path, url)
    assert "secret" not in str(caught.value)


def test_new_ids_are_ids() -> None:
    assert len({new_id() for _ in range(100)}) == 100
