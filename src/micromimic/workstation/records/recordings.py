"""Recordings: one video each, with the job that analyses it."""

from __future__ import annotations

from datetime import datetime
from types import EllipsisType
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.workstation.records import rows, values
from micromimic.workstation.records.base import Records
from micromimic.workstation.records.jobs import insert_job
from micromimic.workstation.records.records import Consent, Recording
from micromimic.workstation.records.tables import recordings, sessions

MOST_ROWS = 1000
"""Of one page of a list."""
_ORIGINS = ("upload", "live")


class RecordingRecords(Records):
    """What was filmed."""

    def add_recording(
        self,
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
    ) -> Recording:
        """A video that lies in `folder(id)`, and its queued job: both or neither.

        Args:
            id: a new one (``values.new_id``).
            name: as its owner calls it; only shown.
            extension: of the stored file, such as ``.mp4``.
            size_bytes, sha256: of the file.
            consent: where no session gives it; beside a session it is ignored.
            expires_at: when the video is removed; None keeps it.
            session_id: where it belongs, or None.
            fps: given by the uploader against the file's own timing, or None.
            origin: ``upload`` or ``live``.

        Raises:
            ConflictError: the id is taken.
            NotFoundError: no such session.
            RefusedError: no consent is noted, or a value cannot be stored.
        """
        now = self.clock()
        if origin not in _ORIGINS:
            raise RefusedError(f"expected an origin among {', '.join(_ORIGINS)}, got {origin!r}")
        own = None if consent is None or session_id else values.consent(consent, now)
        row: dict[str, Any] = {
            "id": values.known_id(id, "recording"),
            "session_id": session_id,
            "name": values.line(name, "a name", values.LONGEST_NAME),
            "extension": values.extension(extension),
            "size_bytes": values.count(size_bytes, "a size in bytes"),
            "sha256": values.digest(sha256),
            "fps": values.rate(fps),
            "origin": origin,
            "media": "kept",
            "uploaded_at": now,
            "expires_at": values.moment(expires_at, "the end of retention"),
            **(rows.consent_values(own) if own else {}),
        }
        with self.database.write() as connection:
            if session_id is not None:
                own = rows.read_session(connection, session_id).consent
            check_consent(own)
            taken = select(recordings.c.id).where(recordings.c.id == id)
            if connection.execute(taken).first():
                raise ConflictError(f"expected a new id, got {id}, which is taken; make another")
            connection.execute(insert(recordings).values(row))
            insert_job(connection, id, now)
            return rows.read_recording(connection, id)

    def recordings(
        self,
        *,
        session_id: str | None = None,
        subject_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[Recording, ...]:
        """The newest first, of all, a session or a person.

        Args:
            session_id, subject_id: whose.
            limit: 0 to 1000.
            offset: how many to leave out.

        Raises:
            NotFoundError: no such session or person.
            RefusedError: a limit or offset that cannot be.
        """
        query = (
            rows.select_recordings()
            .order_by(recordings.c.uploaded_at.desc(), recordings.c.id)
            .limit(values.count(limit, "a limit", MOST_ROWS))
            .offset(values.count(offset, "an offset"))
        )
        with self.database.read() as connection:
            query = _of(connection, query, session_id, subject_id)
            return rows.read_recordings(connection, query)

    def count_recordings(
        self, *, session_id: str | None = None, subject_id: str | None = None
    ) -> int:
        """How many there are, of all, a session or a person.

        Raises:
            NotFoundError: no such session or person.
        """
        query = select(func.count(recordings.c.id)).select_from(
            recordings.outerjoin(sessions, recordings.c.session_id == sessions.c.id)
        )
        with self.database.read() as connection:
            query = _of(connection, query, session_id, subject_id)
            return int(connection.execute(query).scalar_one())

    def recording(self, recording_id: str) -> Recording:
        """One recording.

        Raises:
            NotFoundError: no such recording.
        """
        with self.database.read() as connection:
            return rows.read_recording(connection, recording_id)

    def change_recording(
        self,
        recording_id: str,
        *,
        name: str | None = None,
        session_id: str | None = None,
        expires_at: datetime | EllipsisType | None = ...,
    ) -> Recording:
        """Another name, session or end of retention; what is not given stays.

        A recording cannot leave its session for none: it would no longer be its subject's, and
        `forget_subject` would miss it.

        Args:
            recording_id: which.
            name, session_id: None leaves it.
            expires_at: None keeps the video for good; ``...`` leaves it.

        Raises:
            NotFoundError: no such recording or session.
            RefusedError: the session has no consent, the video is gone, a value cannot be stored.
        """
        new: dict[str, Any] = {}
        if name is not None:
            new["name"] = values.line(name, "a name", values.LONGEST_NAME)
        if session_id is not None:
            new["session_id"] = session_id
        if not isinstance(expires_at, EllipsisType):
            new["expires_at"] = values.moment(expires_at, "the end of retention")
        with self.database.write() as connection:
            before = rows.read_recording(connection, recording_id)
            if session_id is not None:
                check_consent(rows.read_session(connection, session_id).consent)
            if "expires_at" in new and before.media != "kept":
                raise RefusedError(
                    "expected a recording whose video is kept, got one whose video was removed; "
                    "upload it again"
                )
            if new:
                connection.execute(
                    update(recordings).where(recordings.c.id == recording_id).values(new)
                )
            return rows.read_recording(connection, recording_id)


def check_consent(consent: Consent | None) -> None:
    """Refuse without consent.

    Raises:
        RefusedError: none is noted.
    """
    if consent is None or not consent.given:
        raise RefusedError(
            "expected the consent of the person filmed, got none; note it with the session or the "
            "recording first"
        )


def _of(
    connection: Connection, query: Select[Any], session_id: str | None, subject_id: str | None
) -> Select[Any]:
    if session_id is not None:
        rows.read_session(connection, session_id)
        query = query.where(recordings.c.session_id == session_id)
    if subject_id is not None:
        rows.read_subject(connection, subject_id)
        query = query.where(sessions.c.subject_id == subject_id)
    return query
