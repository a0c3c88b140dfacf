"""Stores and records for tests, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from micromimic.core.errors import UnavailableError
from micromimic.workstation import schemas
from micromimic.workstation.records import jobs, people, recordings
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.folder import DATABASE_NAME
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Consent,
    Job,
    Recording,
    Study,
    Subject,
)
from micromimic.workstation.records.values import new_id

from .postgres_server import running_postgres

DATABASES = [
    pytest.param("sqlite", marks=pytest.mark.needs("web")),
    pytest.param("postgresql", marks=pytest.mark.needs("postgres", "web")),
]
"""Parameters of a fixture: what follows is tested on both."""
NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
SHA = "0123456789abcdef" * 4
YES = Consent(given=True, noted_by="kim", note="signed form 12")
NO = Consent(given=False)


class Clock:
    """A clock that moves on by a second with each look."""

    def __init__(self, start: datetime = NOW) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def database_url(request: pytest.FixtureRequest) -> str | None:
    """What `open_store` is given for a parameter of DATABASES: an empty database."""
    if request.param == "sqlite":
        return None
    return running_postgres(request.config).new_database()


@contextmanager
def opened(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    """An empty store in a folder, whose clock ticks; its database was migrated once."""
    data, url = folder / "data", None
    if request.param == "sqlite":
        data.mkdir()
        (data / DATABASE_NAME).write_bytes(_sqlite_template(request.config, folder))
    else:
        url = _postgres_url(request.config)
    with open_store(data, url) as store:
        with store.write() as transaction:  # what the test before left on PostgreSQL
            transaction.execute(delete(Subject))
            transaction.execute(delete(Recording))
            transaction.execute(delete(Study))
        store.clock = Clock()
        yield store


_SQLITE = pytest.StashKey[bytes]()
_POSTGRES = pytest.StashKey[str]()


def _sqlite_template(config: pytest.Config, folder: Path) -> bytes:
    if _SQLITE not in config.stash:
        with open_store(folder / "template"):
            pass
        config.stash[_SQLITE] = (folder / "template" / DATABASE_NAME).read_bytes()
    return config.stash[_SQLITE]


def _postgres_url(config: pytest.Config) -> str:
    if _POSTGRES not in config.stash:
        config.stash[_POSTGRES] = running_postgres(config).new_database()
    return config.stash[_POSTGRES]


def view(records: Any, **changes: Any) -> Any:
    """Records as the API shows them, with changes: equal where their values are."""
    if isinstance(records, tuple):
        return tuple(map(view, records))
    if isinstance(records, AnalysisRecord):
        return (records.payload, records.review, records.created_at)
    found = getattr(schemas, type(records).__name__).model_validate(records)
    return found.model_copy(update=changes)


def machine_events(count: int = 2) -> list[dict[str, Any]]:
    """Entries as in ``events.json``, at 200 frames a second."""
    return [
        {
            "onset_s": (10 + 100 * k) / 200,
            "apex_s": (20 + 100 * k) / 200,
            "offset_s": (40 + 100 * k) / 200,
            "onset_frame": 10 + 100 * k,
            "apex_frame": 20 + 100 * k,
            "offset_frame": 40 + 100 * k,
            "label": "negative",
            "probabilities": {"negative": 0.6, "positive": 0.3, "surprise": 0.1},
            "uncertain": False,
            "strength": 1.25,
            "regions": {"chin": 1.0},
        }
        for k in range(count)
    ]


def answer(count: int = 2) -> dict[str, dict[str, Any]]:
    """What a worker hands to `finish_job`."""
    payload = {
        "schema": "micromimic.events/1",
        "source": {
            **{"path": "a.mp4", "fps": 200.0, "frames": 1000, "duration_s": 5.0},
            **{"width": 640, "height": 480},
        },
        "face": {"found_ratio": 1.0, "others_seen": 0},
        "indicators": {},
        "model": {"name": "flow-capsnet", "version": "1", "trained_on": "nothing"},
        "events": machine_events(count),
        "warnings": [],
    }
    review = {
        **{"schema": "micromimic.review/1", "fps": 200.0, "frames": 1000, "frame_times": None},
        **{"threshold": 4.0, "blinks": [], "rejected": []},
    }
    return {"payload": payload, "review": review}


def add_session(store: Store, code: str = "P1", consent: Consent = YES) -> str:
    """Id of a session of a person, who is made where missing."""
    known = {person.code: person.id for person in people.list_subjects(store)}
    person = known.get(code) or people.add_subject(store, code).id
    return people.add_session(
        store, person, title="first", held_on=date(2024, 5, 1), consent=consent
    ).id


def add_recording(
    store: Store, session_id: str | None = None, *, files: bool = False, **given: Any
) -> Recording:
    """A recording, with its video where asked for."""
    given = {"consent": None if session_id else YES, "expires_at": None, **given}
    given = {"id": new_id(), "name": "interview.mp4", "extension": ".mp4", **given}
    given = {"size_bytes": 5, "sha256": SHA, **given}
    if files:
        folder = store.folder(given["id"])
        folder.mkdir(parents=True)
        (folder / "video.mp4").write_bytes(b"video")
    return recordings.add_recording(store, session_id=session_id, **given)


def claimed(store: Store, worker: str = "w") -> Job:
    """The oldest job, running."""
    job = jobs.claim_job(store, worker)
    assert job is not None
    return job


def analysed(store: Store, session_id: str | None = None, events: int = 2, **given: Any) -> str:
    """Id of a recording with the machine's answer."""
    recording = add_recording(store, session_id, **given)
    job = claimed(store, "tests")
    assert job.recording_id == recording.id
    jobs.finish_job(store, job.id, **answer(events))
    return recording.id


@contextmanager
def one_line(*words: str) -> Iterator[None]:
    """`UnavailableError` of one line with these words, and what to do."""
    with pytest.raises(UnavailableError, match=r"^expected .*, got.*; ") as caught:
        yield
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


NUMBERS = [
    *("curve.csv", "events.csv", "events.eaf", "events.json", "frames.bin", "imported.eaf"),
    *("review.json", "track.npz"),
]
PICTURES = [
    *("video.mp4", "proxy.mp4", "report.html", "events/0/apex.jpg", "events/0/face.mp4"),
    "waveform.json",
]


def fill_folder(folder: Path, content: str) -> None:
    for name in [*NUMBERS, *PICTURES, ".work-1/part.mp4"]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
