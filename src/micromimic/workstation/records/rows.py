"""Rows to records: the joins and counts behind what the store returns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, select

from micromimic.workstation.records.records import (
    Analysis,
    Consent,
    Decision,
    Job,
    Recording,
    Session,
    Subject,
)
from micromimic.workstation.records.tables import (
    analyses,
    decisions,
    jobs,
    recordings,
    sessions,
    subjects,
)
from micromimic.workstation.records.values import known_id, not_found

_CONSENT: Final = ("consent_given", "consent_noted_by", "consent_note", "consent_noted_at")
_IN_SESSION: Final = (
    select(func.count()).where(recordings.c.session_id == sessions.c.id).scalar_subquery()
)
_OF_SUBJECT: Final = (
    select(func.count()).where(sessions.c.subject_id == subjects.c.id).scalar_subquery()
)
_FILMED: Final = (
    select(func.count())
    .select_from(recordings.join(sessions, recordings.c.session_id == sessions.c.id))
    .where(sessions.c.subject_id == subjects.c.id)
    .scalar_subquery()
)


def select_subjects() -> Select[Any]:
    """Subjects with their counts."""
    return select(subjects, _OF_SUBJECT.label("sessions"), _FILMED.label("recordings"))


def select_sessions() -> Select[Any]:
    """Sessions with their subject's code and count."""
    return select(
        sessions, subjects.c.code.label("subject_code"), _IN_SESSION.label("recordings")
    ).join_from(sessions, subjects)


def select_recordings() -> Select[Any]:
    """Recordings with what their session, subject and answer say about them."""
    return select(
        recordings,
        subjects.c.id.label("subject_id"),
        subjects.c.code.label("subject_code"),
        analyses.c.events,
        *(sessions.c[name].label(f"session_{name}") for name in _CONSENT),
    ).select_from(
        recordings.outerjoin(sessions, recordings.c.session_id == sessions.c.id)
        .outerjoin(subjects, sessions.c.subject_id == subjects.c.id)
        .outerjoin(analyses, analyses.c.recording_id == recordings.c.id)
    )


def subject(row: Row[Any]) -> Subject:
    """Of a row of `select_subjects`."""
    return Subject(**row._mapping)


def session(row: Row[Any]) -> Session:
    """Of a row of `select_sessions`."""
    values = {key: value for key, value in row._mapping.items() if key not in _CONSENT}
    return Session(**values, consent=consent(row))


def consent(row: Row[Any], prefix: str = "") -> Consent:
    """Of a row's four columns."""
    given, noted_by, note, noted_at = (row._mapping[prefix + name] for name in _CONSENT)
    return Consent(bool(given), noted_by or "", note or "", noted_at)


def consent_values(value: Consent) -> dict[str, Any]:
    """The four columns."""
    return {
        "consent_given": value.given,
        "consent_noted_by": value.noted_by,
        "consent_note": value.note,
        "consent_noted_at": value.noted_at,
    }


def job(row: Row[Any]) -> Job:
    """Of a row of ``jobs``."""
    return Job(**{name: row._mapping[name] for name in Job.__dataclass_fields__})


def analysis(row: Row[Any]) -> Analysis:
    """Of a row of ``analyses``."""
    return Analysis(row.recording_id, row.payload, row.review, row.created_at)


def decision(row: Row[Any]) -> Decision:
    """Of a row of ``decisions``."""
    return Decision(**row._mapping)


def read_recordings(connection: Connection, query: Select[Any]) -> tuple[Recording, ...]:
    """Records of a query made from `select_recordings`, with their latest job and coders."""
    rows = connection.execute(query).all()
    ids = [row.id for row in rows]
    latest = _latest_jobs(connection, ids)
    coders = _coders(connection, ids)
    return tuple(_recording(row, latest.get(row.id), coders[row.id]) for row in rows)


def read_subject(connection: Connection, subject_id: str) -> Subject:
    """One subject.

    Raises:
        NotFoundError: there is none of this id.
    """
    query = select_subjects().where(subjects.c.id == known_id(subject_id, "subject"))
    return subject(_one(connection, query, "subject", subject_id))


def read_session(connection: Connection, session_id: str) -> Session:
    """One session.

    Raises:
        NotFoundError: there is none of this id.
    """
    query = select_sessions().where(sessions.c.id == known_id(session_id, "session"))
    return session(_one(connection, query, "session", session_id))


def read_recording(connection: Connection, recording_id: str) -> Recording:
    """One recording.

    Raises:
        NotFoundError: there is none of this id.
    """
    query = select_recordings().where(recordings.c.id == known_id(recording_id, "recording"))
    found = read_recordings(connection, query)
    if not found:
        raise not_found("recording", recording_id)
    return found[0]


def read_job(connection: Connection, job_id: str) -> Job:
    """One job.

    Raises:
        NotFoundError: there is none of this id.
    """
    query = select(jobs).where(jobs.c.id == known_id(job_id, "job"))
    return job(_one(connection, query, "job", job_id))


def read_analysis(connection: Connection, recording_id: str) -> Analysis | None:
    """The machine's answer, or None where there is none yet."""
    query = select(analyses).where(analyses.c.recording_id == recording_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else analysis(row)


def read_decisions(
    connection: Connection, recording_id: str, coder: str | None
) -> tuple[Decision, ...]:
    """One coder's by number, or everybody's by time."""
    query = select(decisions).where(decisions.c.recording_id == recording_id)
    if coder is not None:
        query = query.where(decisions.c.coder == coder).order_by(decisions.c.number)
    else:
        query = query.order_by(decisions.c.decided_at, decisions.c.coder, decisions.c.number)
    return tuple(decision(row) for row in connection.execute(query))


def _one(connection: Connection, query: Select[Any], what: str, given: str) -> Row[Any]:
    row = connection.execute(query).one_or_none()
    if row is None:
        raise not_found(what, given)
    return row


def _recording(row: Row[Any], latest: Job | None, coders: Sequence[str]) -> Recording:
    own = row.session_id is None
    return Recording(
        id=row.id,
        session_id=row.session_id,
        subject_id=row.subject_id,
        subject_code=row.subject_code,
        name=row.name,
        extension=row.extension,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        fps=row.fps,
        origin=row.origin,
        consent=consent(row) if own else consent(row, "session_"),
        media=row.media,
        uploaded_at=row.uploaded_at,
        expires_at=row.expires_at,
        job=latest,
        events=row.events,
        coders=tuple(coders),
    )


def _latest_jobs(connection: Connection, ids: Sequence[str]) -> dict[str, Job]:
    last = (
        select(jobs.c.recording_id, func.max(jobs.c.number).label("number"))
        .where(jobs.c.recording_id.in_(ids))
        .group_by(jobs.c.recording_id)
        .subquery()
    )
    query = select(jobs).join(
        last, and_(jobs.c.recording_id == last.c.recording_id, jobs.c.number == last.c.number)
    )
    return {row.recording_id: job(row) for row in connection.execute(query)}


def _coders(connection: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    query = (
        select(decisions.c.recording_id, decisions.c.coder)
        .where(decisions.c.recording_id.in_(list(ids)))
        .distinct()
    )
    found: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.recording_id].append(row.coder)
    return defaultdict(list, {key: sorted(names) for key, names in found.items()})
