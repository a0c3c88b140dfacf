"""Subjects and sessions."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, insert, select, update

from micromimic.core.errors import ConflictError, NotFoundError
from micromimic.workstation.records import rows, values
from micromimic.workstation.records.base import Records
from micromimic.workstation.records.jobs import cancel_active
from micromimic.workstation.records.records import Consent, Session, Subject
from micromimic.workstation.records.tables import recordings, sessions, subjects


class PeopleRecords(Records):
    """Who was filmed, and when."""

    def add_subject(self, code: str, *, note: str = "") -> Subject:
        """A new person.

        Args:
            code: a pseudonym, 1 to 64 printable characters; nobody else has it.
            note: for the people who work with it.

        Raises:
            ConflictError: the code is taken.
            RefusedError: code or note cannot be stored.
        """
        row: dict[str, Any] = {
            "id": values.new_id(),
            "code": values.line(code, "a subject's code"),
            "note": values.note(note),
            "created_at": self.clock(),
        }
        with self.database.write() as connection:
            _check_free(connection, row["code"])
            connection.execute(insert(subjects).values(row))
            return rows.read_subject(connection, row["id"])

    def subjects(self) -> tuple[Subject, ...]:
        """Everybody, by code."""
        with self.database.read() as connection:
            query = rows.select_subjects().order_by(subjects.c.code)
            return tuple(rows.subject(row) for row in connection.execute(query))

    def subject(self, subject_id: str) -> Subject:
        """One person.

        Raises:
            NotFoundError: no such person.
        """
        with self.database.read() as connection:
            return rows.read_subject(connection, subject_id)

    def subject_by_code(self, code: str) -> Subject:
        """One person, by pseudonym.

        Raises:
            NotFoundError: nobody has this code.
        """
        with self.database.read() as connection:
            return find_subject(connection, code)

    def change_subject(
        self, subject_id: str, *, code: str | None = None, note: str | None = None
    ) -> Subject:
        """Another code or note; None leaves it.

        Raises:
            ConflictError: the code is taken.
            NotFoundError: no such person.
            RefusedError: code or note cannot be stored.
        """
        new: dict[str, Any] = {}
        if code is not None:
            new["code"] = values.line(code, "a subject's code")
        if note is not None:
            new["note"] = values.note(note)
        with self.database.write() as connection:
            rows.read_subject(connection, subject_id)
            if "code" in new:
                _check_free(connection, new["code"], but=subject_id)
            if new:
                connection.execute(update(subjects).where(subjects.c.id == subject_id).values(new))
            return rows.read_subject(connection, subject_id)

    def add_session(
        self,
        subject_id: str,
        *,
        title: str,
        held_on: date,
        consent: Consent,
        baseline: bool = False,
    ) -> Session:
        """A new sitting of a person.

        Args:
            subject_id: who.
            title: for people; may be empty.
            held_on: the day.
            consent: without it the session takes no recordings.
            baseline: later sessions are compared with it.

        Raises:
            NotFoundError: no such person.
            RefusedError: a text cannot be stored.
        """
        now = self.clock()
        row = {
            "id": values.new_id(),
            "subject_id": values.known_id(subject_id, "subject"),
            "title": values.line(title, "a title", values.LONGEST_NAME, empty=True),
            "held_on": values.day(held_on),
            "baseline": bool(baseline),
            "created_at": now,
            **rows.consent_values(values.consent(consent, now)),
        }
        with self.database.write() as connection:
            rows.read_subject(connection, subject_id)
            connection.execute(insert(sessions).values(row))
            return rows.read_session(connection, row["id"])

    def sessions(self, subject_id: str | None = None) -> tuple[Session, ...]:
        """Sessions by day, of everybody or of one person.

        Raises:
            NotFoundError: no such person.
        """
        query = rows.select_sessions().order_by(
            sessions.c.held_on, sessions.c.created_at, sessions.c.id
        )
        with self.database.read() as connection:
            if subject_id is not None:
                rows.read_subject(connection, subject_id)
                query = query.where(sessions.c.subject_id == subject_id)
            return tuple(rows.session(row) for row in connection.execute(query))

    def session(self, session_id: str) -> Session:
        """One session.

        Raises:
            NotFoundError: no such session.
        """
        with self.database.read() as connection:
            return rows.read_session(connection, session_id)

    def change_session(
        self,
        session_id: str,
        *,
        title: str | None = None,
        held_on: date | None = None,
        consent: Consent | None = None,
        baseline: bool | None = None,
    ) -> Session:
        """What is given changes, None leaves it; withdrawn consent stops its waiting analyses.

        Raises:
            NotFoundError: no such session.
            RefusedError: a text cannot be stored.
        """
        now = self.clock()
        new: dict[str, Any] = {}
        if title is not None:
            new["title"] = values.line(title, "a title", values.LONGEST_NAME, empty=True)
        if held_on is not None:
            new["held_on"] = values.day(held_on)
        if baseline is not None:
            new["baseline"] = bool(baseline)
        if consent is not None:
            new |= rows.consent_values(values.consent(consent, now))
        with self.database.write() as connection:
            rows.read_session(connection, session_id)
            if new:
                connection.execute(update(sessions).where(sessions.c.id == session_id).values(new))
            if consent is not None and not consent.given:
                held = select(recordings.c.id).where(recordings.c.session_id == session_id)
                cancel_active(connection, held, "consent was withdrawn", now)
            return rows.read_session(connection, session_id)


def find_subject(connection: Connection, code: str) -> Subject:
    """The person with this code.

    Raises:
        NotFoundError: nobody has it.
    """
    clean = code.strip()
    query = rows.select_subjects().where(subjects.c.code == clean)
    row = connection.execute(query).one_or_none() if clean.isprintable() else None
    if row is None:
        raise NotFoundError(
            f"expected the code of a subject, got {clean[:70]!r}; see the page Subjects"
        )
    return rows.subject(row)


def _check_free(connection: Connection, code: str, but: str = "") -> None:
    taken = select(subjects.c.id).where(subjects.c.code == code, subjects.c.id != but)
    if connection.execute(taken).first() is not None:
        raise ConflictError(f"expected a code that nobody has, got {code!r}; choose another")
