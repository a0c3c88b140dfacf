"""A study as one file: out and in again, merged from two machines, conflicts shown."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import select

from micromimic.core.errors import ConflictError, InputError, OutputError, RefusedError
from micromimic.workstation.export.recording import export_events
from micromimic.workstation.imports.markers_and_codings import import_markers, kept_tiers
from micromimic.workstation.project.file import gather_project, opened_project, write_project
from micromimic.workstation.project.merge import look_into, merge_project
from micromimic.workstation.records import people, privacy, recordings, reviews, study
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Base,
    Consent,
    Decision,
    Marker,
    Recording,
    Session,
    Subject,
)
from micromimic.workstation.records.scheme import BUILT_IN

from ..store_samples import DATABASES, NO, YES, Clock, opened
from .test_export import put, sample
from .test_imports_read import elan

pytestmark = pytest.mark.needs("web")

KINDS: tuple[type[Base], ...] = (
    Subject, Session, Recording, AnalysisRecord, Decision, Marker)  # fmt: skip
Opened = Callable[[str], Store]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Opened]:
    """A data folder by name, empty at first."""
    stores: dict[str, Store] = {}

    def opened(name: str) -> Store:
        if name not in stores:
            stores[name] = open_store(tmp_path / name)
            stores[name].clock = Clock()
        return stores[name]

    yield opened
    for store in stores.values():
        store.close()


@pytest.fixture(params=DATABASES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request, tmp_path) as store:
        yield store


def session(store: Store, code: str, title: str = "intake", consent: Consent = YES) -> str:
    known = {p.code: p.id for p in people.list_subjects(store)}
    person = known.get(code) or people.add_subject(store, code, note="glasses").id
    return people.add_session(
        store, person, title=title, held_on=date(2026, 11, 20), consent=consent,
        condition="control",
    ).id  # fmt: skip


def recorded(store: Store, code: str, video: bytes = b"film", **more: Any) -> str:
    _, payload, review = sample()
    return str(put(store, payload, review, video, session(store, code, **more), f"{code}.mp4"))


def decide(store: Store, recording: str, coder: str, *actions: str) -> None:
    for event in actions:
        number = reviews.get_review(store, recording, coder, whole=True).number
        action = "done" if event == "done" else "accept"
        reviews.decide(
            store, recording, coder=coder, expected=number, action=action,
            event="" if event == "done" else event,
        )  # fmt: skip


def rows(store: Store, *, without: tuple[str, ...] = ()) -> Any:
    """Every row of the study by kind, as plain values."""
    found = {}
    with store.read() as transaction:
        for kind in KINDS:
            names = [n for n in kind.__table__.columns.keys() if n not in without]  # noqa: SIM118
            found[kind.__tablename__] = sorted(
                (
                    tuple(repr(getattr(row, n)) for n in names)
                    for row in transaction.scalars(select(kind))
                ),
            )
    return found


def folders(store: Store) -> dict[str, bytes]:
    place = store.data / "recordings"
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def packed(store: Store, path: Path, **how: Any) -> Path:
    path.unlink(missing_ok=True)
    write_project(gather_project(store, **how), path)
    return path


@pytest.fixture
def first(machine: Opened, tmp_path: Path) -> tuple[Store, str]:
    """A study with one recording of P01 that kim has begun; its markers come from ELAN."""
    store = machine("first")
    study.change_study(store, title="Feelings", mode="open", scheme=BUILT_IN["three"].to_dict())
    recording = recorded(store, "P01")
    folder = store.folder(recording)
    (folder / "events" / "0").mkdir(parents=True)
    for name in ("events.json", "proxy.mp4", "report.html", "events/0/apex.jpg"):
        (folder / name).write_bytes(name.encode())
    recordings.change_recording(store, recording, expires_at=store.clock() + timedelta(days=30))
    decide(store, recording, "kim", "m0", "m1")
    recordings.change_recording(store, recording, name="interview.mp4")
    source = elan(tmp_path / "trials.eaf", nested=False)
    import_markers(store, source, recording_id=recording)
    recordings.change_recording(store, recording, name="P01.mp4")
    return store, recording


# ---- out and in --------------------------------------------------------------------------------


def test_a_study_opens_on_another_machine_as_it_was(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, recording = first
    path = packed(store, tmp_path / "study.micromimic.zip", videos=True)
    other = machine("other")
    seen = look_into(other, path)
    assert rows(other)["recordings"] == []  # looking changes nothing
    done = merge_project(other, path)
    assert seen.added == done.added == {
        "subjects": 1, "sessions": 1, "recordings": 1, "decisions": 2, "markers": 3}  # fmt: skip
    assert (done.conflicts, done.notes, done.title) == ((), (), "Feelings")
    assert rows(other, without=("id",)) == rows(store, without=("id",))
    assert folders(other) == folders(store)
    if os.name == "posix":
        lying = [other.folder(recording), *other.folder(recording).rglob("*")]
        assert [p.name for p in lying if p.stat().st_mode & 0o077] == []
    assert study.get_study(other).scheme == BUILT_IN["three"].to_dict()
    found = recordings.get_recording(other, recording)
    assert found.job is not None and found.job.status == "done"
    assert (found.consent.noted_by, found.expires_at, found.media) == (
        "kim", recordings.get_recording(store, recording).expires_at, "kept")  # fmt: skip
    assert kept_tiers(other, recording) == kept_tiers(store, recording)
    assert export_events(other, recording, format="eaf") == export_events(
        store, recording, format="eaf")  # fmt: skip
    decide(other, recording, "kim", "m2")
    assert privacy.sweep(other) == 0
    # The same once more brings nothing.
    again = merge_project(other, path)
    assert set(again.added.values()) == {0}


def test_without_videos_numbers_and_decisions_come_and_no_picture(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, recording = first
    path = packed(store, tmp_path / "study.zip")
    with zipfile.ZipFile(path) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
    assert names == {"project.json", f"{recording}.json", "events.json", "imported.eaf"}
    other = machine("other")
    merge_project(other, path)
    found = recordings.get_recording(other, recording)
    assert (found.media, found.events) == ("none", 6)
    assert sorted(p.name for p in other.folder(recording).iterdir()) == [
        "events.json", "imported.eaf"]  # fmt: skip
    assert reviews.get_review(other, recording, "kim").number == 2


def test_a_video_whose_time_is_over_does_not_come_back(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, recording = first
    path = packed(store, tmp_path / "study.zip", videos=True)
    other = machine("other")
    other.clock = Clock(store.clock() + timedelta(days=31))
    merge_project(other, path)
    assert recordings.get_recording(other, recording).media == "expired"
    assert not list(other.folder(recording).glob("*.mp4"))
    assert not (other.folder(recording) / "events").exists()


def test_on_either_database_what_is_looked_into_is_what_comes(
    first: tuple[Store, str], target: Store, tmp_path: Path
) -> None:
    store, recording = first
    path = packed(store, tmp_path / "study.zip", videos=True)
    looked = look_into(target, path)
    assert merge_project(target, path) == looked
    decide(target, recording, "kim", "m2")
    decide(store, recording, "kim", "m3")
    again = packed(store, tmp_path / "again.zip")
    refused(target, again, ConflictError, "kim has decided otherwise on P01.mp4")
    merge_project(target, again, {f"coding {recording[:8]} kim": "both"})
    back = packed(target, tmp_path / "back.zip")
    merge_project(store, back, {f"coding {recording[:8]} kim": "ours"})
    assert recordings.get_recording(store, recording).coders == ("kim", "kim (2)")


# ---- two coders' machines ----------------------------------------------------------------------


@pytest.fixture
def second(first: tuple[Store, str], machine: Opened, tmp_path: Path) -> Store:
    """A machine that got the study before kim went on."""
    other = machine("second")
    merge_project(other, packed(first[0], tmp_path / "begun.zip", videos=True))
    return other


def test_decisions_of_two_machines_are_joined(
    first: tuple[Store, str], second: Store, tmp_path: Path
) -> None:
    store, recording = first
    decide(store, recording, "kim", "m2", "m3", "m4", "m5", "done")
    decide(second, recording, "lee", "m0", "m1")
    recorded(second, "P02", b"another film")
    done = merge_project(store, packed(second, tmp_path / "second.zip", videos=True))
    assert done.conflicts == ()
    assert done.added == {
        "subjects": 1, "sessions": 1, "recordings": 1, "decisions": 2, "markers": 0}  # fmt: skip
    back = merge_project(second, packed(store, tmp_path / "first.zip"))
    assert (back.conflicts, back.added["decisions"]) == ((), 5)  # kim went on where she was
    assert reviews.get_review(second, recording, "kim").done
    assert rows(store, without=("id",)) == rows(second, without=("id",))
    by = {
        p.coder: (p.decided, p.done) for p in recordings.get_recording(second, recording).progress
    }
    assert by == {"kim": (6, True), "lee": (2, False)}


def test_the_same_videos_uploaded_twice_are_one_recording(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, recording = first
    other = machine("uploaded")
    own = recorded(other, "P01")
    decide(other, own, "lee", "m0", "m1", "m2")
    done = merge_project(store, packed(other, tmp_path / "other.zip", videos=True))
    assert done.added == {
        "subjects": 0, "sessions": 0, "recordings": 0, "decisions": 3, "markers": 0}  # fmt: skip
    assert recordings.get_recording(store, recording).coders == ("kim", "lee")


def refused(store: Store, path: Path, kind: type[Exception], line: str, **how: Any) -> None:
    before, lying = rows(store), folders(store)
    with pytest.raises(kind) as caught:
        merge_project(store, path, **how)
    assert line in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)
    assert rows(store) == before
    assert folders(store) == lying


def test_one_coder_who_decided_otherwise_on_both_machines_is_a_conflict(
    first: tuple[Store, str], second: Store, tmp_path: Path
) -> None:
    store, recording = first
    decide(store, recording, "kim", "m2")
    decide(second, recording, "kim", "m3", "m4")
    path = packed(second, tmp_path / "second.zip")
    (conflict,) = look_into(store, path).conflicts
    assert (conflict.key, conflict.choices) == (f"coding {recording[:8]} kim", {
        "ours": "keep what is here", "both": "keep both: theirs as kim (2)"})  # fmt: skip
    refused(store, path, ConflictError, "kim has decided otherwise on P01.mp4 here (3 decisions)")
    refused(store, path, RefusedError, "expected ours or both for coding",
            resolutions={conflict.key: "theirs"})  # fmt: skip
    assert merge_project(store, path, {conflict.key: "ours"}).added["decisions"] == 0
    assert merge_project(store, path, {conflict.key: "both"}).added["decisions"] == 4
    assert recordings.get_recording(store, recording).coders == ("kim", "kim (2)")
    assert reviews.get_review(store, recording, "kim").number == 3


def test_one_code_for_two_people_is_a_conflict(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, _ = first
    other = machine("elsewhere")
    recorded(other, "P01", b"somebody else")
    path = packed(other, tmp_path / "other.zip", videos=True)
    (conflict,) = look_into(store, path).conflicts
    assert (conflict.key, conflict.choices) == ("subject P01", {
        "same": "one person", "both": "two: who comes is P01 (2)"})  # fmt: skip
    refused(store, path, ConflictError, "P01 is in both, with other recordings and sessions")
    done = merge_project(store, path, {"subject P01": "both"})
    assert done.added["subjects"] == 1
    assert [p.code for p in people.list_subjects(store)] == ["P01", "P01 (2)"]


def test_one_person_with_further_recordings_can_be_said_to_be_the_same(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, _ = first
    other = machine("later")
    recorded(other, "P01", b"another day", title="follow-up")
    path = packed(other, tmp_path / "other.zip", videos=True)
    merge_project(store, path, {"subject P01": "same"})
    assert {(s.subject_code, s.title) for s in people.list_sessions(store)} == {
        ("P01", "intake"), ("P01", "follow-up")}  # fmt: skip


def test_another_study_s_settings_are_a_conflict_and_its_scheme_must_hold_what_is_coded(
    first: tuple[Store, str], second: Store, tmp_path: Path
) -> None:
    store, _ = first
    other = {**BUILT_IN["seven"].to_dict(), "classes": [{"name": "anger"}, {"name": "surprise"}]}
    with second.write() as transaction:  # as a file of another hand might be
        found = study.get_study(transaction)
        found.scheme, found.mode = other, "blind"
    path = packed(second, tmp_path / "second.zip")
    refused(store, path, ConflictError, "the study differs in mode, scheme: Feelings, open, three")
    refused(store, path, ConflictError, "expected a scheme that holds what is coded already",
            resolutions={"study": "theirs"})  # fmt: skip
    merge_project(store, path, {"study": "ours"})
    assert study.get_study(store).mode == "open"


def test_other_events_of_the_machine_keep_decisions_apart(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, recording = first
    other = machine("newer")
    _, payload, review = sample()
    fewer = {**payload, "events": payload["events"][1:]}
    own = put(other, fewer, review, b"film", session(other, "P01"), "P01.mp4")
    decide(other, own, "lee", "m0")
    path = packed(other, tmp_path / "other.zip", videos=True)
    (conflict,) = look_into(store, path).conflicts
    refused(store, path, ConflictError, "the machine found other events in P01.mp4 here than there")
    left = merge_project(store, path, {conflict.key: "ours"})
    assert left.notes == ("P01.mp4: decisions on another answer are left out",)
    merge_project(store, path, {conflict.key: "both"})
    both = recordings.list_recordings(store)
    assert {r.id: (r.events, r.coders) for r in both} == {
        recording: (6, ("kim",)), own: (5, ("lee",))}  # fmt: skip


def test_consent_that_was_withdrawn_later_is_withdrawn_here(
    first: tuple[Store, str], second: Store, tmp_path: Path
) -> None:
    store, _ = first
    (there,) = people.list_sessions(second)
    second.clock = Clock(store.clock() + timedelta(hours=1))
    people.change_session(second, there.id, consent=NO)
    merge_project(store, packed(second, tmp_path / "second.zip"))
    assert not people.get_session(store, there.id).consent.given
    # and what was noted before does not come back
    merge_project(store, tmp_path / "begun.zip")
    assert not people.get_session(store, there.id).consent.given


def test_a_condition_that_differs_is_a_conflict(
    first: tuple[Store, str], second: Store, tmp_path: Path
) -> None:
    store, _ = first
    (there,) = people.list_sessions(second)
    people.change_session(second, there.id, condition="stress")
    path = packed(second, tmp_path / "second.zip")
    (conflict,) = look_into(store, path).conflicts
    refused(store, path, ConflictError, "P01, intake has condition control here, stress there")
    merge_project(store, path, {conflict.key: "theirs"})
    assert people.get_session(store, there.id).condition == "stress"


# ---- what a coder may take away ----------------------------------------------------------------


def test_a_coder_s_project_holds_what_that_coder_may_see(
    first: tuple[Store, str], tmp_path: Path
) -> None:
    store, recording = first
    decide(store, recording, "lee", "m0", "m1", "m2", "m3", "m4", "m5", "done")

    def coders(reader: str | None) -> set[str]:
        path = packed(store, tmp_path / "study.zip", reader=reader)
        with opened_project(path) as project:
            return {d.coder for d in project.decisions}

    assert coders("kim") == {"kim"}
    assert coders("lee") == {"kim", "lee"}
    assert coders(None) == {"kim", "lee"}
    study.change_study(store, mode="blind")
    with pytest.raises(ConflictError, match="coded blind"):
        gather_project(store, reader="kim")
    assert coders("lee") == {"kim", "lee"}


# ---- damaged and foreign files -----------------------------------------------------------------


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with other rows."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    content = json.loads(entries["project.json"])
    change(content)
    entries["project.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def with_member(name: str, content: str = "{}") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"no zip", "expected a project file of micromimic in a.zip, got: File is not a zip file"),
        (with_member("x.txt"), "got a zip with 'x.txt'; choose another file"),
        (with_member("../project.json"), "got a zip with '../project.json'"),
        (with_member(f"recordings/{'0' * 32}/../../x"), "got a zip with 'recordings/"),
        (with_member(f"recordings/{'0' * 32}/events/x/.."), "got a zip with 'recordings/"),
        (with_member("project.json", "[" * 200_000), "in a.zip, got RecursionError"),
        (with_member("project.json"), "expected a project of micromimic.project/1 in a.zip, got N"),
        (with_member(f"answers/{'0' * 32}.json"), "got a zip without project.json"),
    ],
)
def test_a_file_that_is_no_project_is_a_line(
    machine: Opened, tmp_path: Path, content: bytes, line: str
) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    refused(machine("empty"), path, InputError, line)


def unknown_column(content: dict[str, Any]) -> None:
    content["subjects"][0]["face"] = "x"


def no_subject(content: dict[str, Any]) -> None:
    content["subjects"] = []


def no_rows(content: dict[str, Any]) -> None:
    del content["markers"]


def bad_id(content: dict[str, Any]) -> None:
    content["recordings"][0]["id"] = "../../etc"


def bad_trail(content: dict[str, Any]) -> None:
    content["decisions"][0]["event"] = "m99"


def bad_time(content: dict[str, Any]) -> None:
    content["sessions"][0]["held_on"] = "yesterday"


def bad_action(content: dict[str, Any]) -> None:
    content["decisions"][0]["action"] = "explode"


def a_gap(content: dict[str, Any]) -> None:
    content["decisions"][1]["number"] = 9


def no_zone(content: dict[str, Any]) -> None:
    content["decisions"][0]["decided_at"] = "2026-11-20T10:00:00"


def bad_payload(content: dict[str, Any]) -> None:
    content["decisions"][0]["payload"] = []


def bad_digest(content: dict[str, Any]) -> None:
    content["recordings"][0]["sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (unknown_column, "got face of subjects; update micromimic"),
        (no_subject, "got a row without its subject"),
        (no_rows, "expected a whole project of micromimic in a.zip, got KeyError"),
        (bad_id, "expected a whole project of micromimic in a.zip, got NotFoundError"),
        (bad_trail, "expected an event of this review"),
        (bad_time, "expected a whole project of micromimic in a.zip, got ValueError"),
        (bad_action, "expected whole trails of decisions in a.zip, got explode as number 1 of kim"),
        (a_gap, "expected whole trails of decisions in a.zip, got accept as number 9 of kim"),
        (bad_payload, "expected what kim decided in a.zip, got no object"),
        (no_zone, "expected a moment as a time with its zone"),
        (bad_digest, "expected the video of P01.mp4 in a.zip, got another or a part of it"),
    ],
)
def test_a_damaged_project_changes_nothing(
    first: tuple[Store, str],
    machine: Opened,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    line: str,
) -> None:
    path = changed(packed(first[0], tmp_path / "a.zip", videos=True), change)
    refused(machine("empty"), path, Exception, line)


@pytest.mark.parametrize("name", ["payload", "review"])
def test_an_answer_that_could_not_be_read_again_does_not_come(
    first: tuple[Store, str], machine: Opened, tmp_path: Path, name: str
) -> None:
    path = packed(first[0], tmp_path / "a.zip")
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries.items():
            is_answer = entry.startswith("answers/")
            other = json.dumps({**json.loads(data), name: {"events": []}}) if is_answer else data
            archive.writestr(entry, other)
    refused(machine("empty"), path, InputError, "expected a whole project of micromimic in a.zip")


def test_somebody_who_was_forgotten_comes_back_but_not_unsaid(
    first: tuple[Store, str], machine: Opened, tmp_path: Path
) -> None:
    store, _ = first
    recorded(store, "P02", b"another film")
    path = packed(store, tmp_path / "a.zip")
    assert path.stat().st_mode & 0o077 == 0, "as the records are"
    privacy.forget_subject(store, "P02")
    said = ("new here: P02; whoever was forgotten here comes back with the file",)
    assert look_into(store, path).notes == said
    assert look_into(machine("empty"), path).notes == (), "nobody was here"


def test_a_project_that_the_disk_has_no_room_for_changes_nothing(
    first: tuple[Store, str], machine: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(first[0], tmp_path / "a.zip", videos=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    refused(machine("empty"), path, OutputError, "of room for a.zip in")


def test_a_project_is_not_merged_beside_a_running_server(
    first: tuple[Store, str], machine: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that has the folder, as the lock tells of one."""
    import contextlib

    from micromimic.workstation.project import merge as project_merge

    @contextlib.contextmanager
    def taken(data: Path) -> Iterator[bool]:
        yield False

    path = packed(first[0], tmp_path / "a.zip")
    monkeypatch.setattr(project_merge, "folder_lock", taken)
    refused(machine("empty"), path, ConflictError, "expected no server to be running")
