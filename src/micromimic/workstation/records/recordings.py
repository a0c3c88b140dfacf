"""Recordings: one video each, with the job that analyses it."""

from __future__ import annotations

from datetime import datetime
from types import EllipsisType
from typing import Any

from sqlalchemy import Select, func, select

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.workstation.records import values
from micromimic.workstation.records.database import Transaction, reading, writing
from micromimic.workstation.records.jobs import add_job, place_jobs
from micromimic.workstation.records.models import Consent, Owner, Recording, Session, Subject


@writing
def add_recording(
    transaction: Transaction,
    *,
    id: str,  # noqa: A002 - the caller made it, and put the video there
    name: str,
    extension: str,
    size_bytes: int,
    sha256: str,
    consent: Consent | None,
    expires_at: datetime | None,
    session_id: str | None = None,
    fps: float | None = None,
    origin: str = "upload",
    person: int | None = None,
) -> Recording:
    """A video that lies in ``Store.folder(id)``, and its queued job: both or neither.

    ``consent`` counts where there is no session to give it. ``RefusedError`` where none is noted,
    ``ConflictError`` where the id is taken.
    """
    now = transaction.now
    if session_id is not None:
        consent = transaction.require(Session, session_id).consent
    check_consent(consent)
    made = Recording(
        id=values.known_id(id, "recording"),
        session_id=session_id,
        name=name,
        extension=extension,
        size_bytes=size_bytes,
        sha256=sha256,
        fps=fps,
        origin=origin,
        person=person,
        uploaded_at=now,
        expires_at=expires_at,
        **(consent.columns(now) if consent and not session_id else {}),
    )
    if transaction.get(Recording, id) is not None:
        raise ConflictError(f"expected a new id, got {id}, which is taken; make another")
    transaction.add(made)
    transaction.flush()
    add_job(transaction, id)
    return get_recording(transaction, id)


@reading
def list_recordings(
    transaction: Transaction,
    *,
    session_id: str | None = None,
    subject_id: str | None = None,
    limit: int | None = 100,
    offset: int = 0,
) -> tuple[Recording, ...]:
    """The newest first, of all, a session or a person; a limit of None lists all."""
    query = _of(transaction, select(Recording), session_id, subject_id)
    query = query.order_by(Recording.uploaded_at.desc(), Recording.id).limit(limit).offset(offset)
    return _placed(transaction, *transaction.scalars(query))


@reading
def same_file(transaction: Transaction, sha256: str) -> tuple[Recording, ...]:
    """All recordings of one file, the oldest first."""
    query = select(Recording).where(Recording.sha256 == sha256)
    return tuple(transaction.scalars(query.order_by(Recording.uploaded_at, Recording.id)))


@reading
def count_recordings(
    transaction: Transaction, *, session_id: str | None = None, subject_id: str | None = None
) -> int:
    """How many there are, of all, a session or a person."""
    query = _of(transaction, select(func.count(Recording.id)), session_id, subject_id)
    return int(transaction.scalars(query).one())


@reading
def get_recording(transaction: Transaction, recording_id: str) -> Recording:
    return _placed(transaction, transaction.require(Recording, recording_id))[0]


@writing
def change_recording(
    transaction: Transaction,
    recording_id: str,
    *,
    name: str | None = None,
    session_id: str | None = None,
    expires_at: datetime | EllipsisType | None = ...,
) -> Recording:
    """Another name, session or end of retention; None leaves name and session, ``...`` retention.

    ``expires_at`` of None keeps the video for good. A recording cannot leave its session for none:
    it would no longer be its subject's, and `privacy.forget_subject` would miss it.
    """
    found = transaction.require(Recording, recording_id)
    if session_id is not None:
        check_consent(transaction.require(Session, session_id).consent)
        found.session_id = session_id
    if name is not None:
        found.name = name
    if not isinstance(expires_at, EllipsisType):
        if found.media != "kept":
            raise RefusedError(
                "expected a recording whose video is kept, got one whose video was removed; "
                "upload it again"
            )
        found.expires_at = expires_at
    return get_recording(transaction, recording_id)


def recordings_of(kind: Owner, key: str) -> Select[Any]:
    """Ids of one recording, or those of a session or a person."""
    query = select(Recording.id)
    if kind is Recording:
        return query.where(Recording.id == key)
    if kind is Session:
        return query.where(Recording.session_id == key)
    inside = select(Session.id).where(Session.subject_id == key)
    return query.where(Recording.session_id.in_(inside))


def check_consent(consent: Consent | None) -> None:
    if consent is None or not consent.given:
        raise RefusedError(
            "expected the consent of the person filmed, got none; note it with the session or the "
            "recording first"
        )


def _placed(transaction: Transaction, *found: Recording) -> tuple[Recording, ...]:
    place_jobs(transaction, tuple(recording.job for recording in found if recording.job))
    return found


def _of(
    transaction: Transaction, query: Select[Any], session_id: str | None, subject_id: str | None
) -> Select[Any]:
    owners: tuple[tuple[Owner, str | None], ...] = ((Session, session_id), (Subject, subject_id))
    for kind, key in owners:
        if key is not None:
            transaction.check_known(kind, key)
            query = query.where(Recording.id.in_(recordings_of(kind, key)))
    return query
