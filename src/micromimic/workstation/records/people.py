"""Subjects and sessions: who was filmed, and when."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import undefer_group

from micromimic.core.errors import ConflictError, NotFoundError
from micromimic.workstation.records.database import Transaction, reading, writing
from micromimic.workstation.records.jobs import cancel_active
from micromimic.workstation.records.models import COUNTS, Consent, Recording, Session, Subject


@reading
def list_subjects(transaction: Transaction) -> tuple[Subject, ...]:
    query = select(Subject).options(undefer_group(COUNTS)).order_by(Subject.code)
    return tuple(transaction.scalars(query))


@reading
def get_subject(transaction: Transaction, subject_id: str) -> Subject:
    return transaction.require(Subject, subject_id)


@reading
def find_subject(transaction: Transaction, code: str) -> Subject:
    clean = code.strip()
    query = select(Subject).where(Subject.code == clean).options(undefer_group(COUNTS))
    found = transaction.scalars(query).one_or_none() if clean.isprintable() else None
    if found is None:
        raise NotFoundError(
            f"expected the code of a subject, got {clean[:70]!r}; see the page Subjects"
        )
    return found


@writing
def add_subject(transaction: Transaction, code: str, *, note: str = "") -> Subject:
    """A new person; ``code`` is a pseudonym of 1 to 64 printable characters that nobody has."""
    made = Subject(code=code, note=note, created_at=transaction.now)
    _check_free(transaction, made)
    transaction.add(made)
    return transaction.require(Subject, made.id)


@writing
def change_subject(
    transaction: Transaction, subject_id: str, *, code: str | None = None, note: str | None = None
) -> Subject:
    """Another code or note; None leaves it."""
    found = transaction.require(Subject, subject_id)
    with transaction.no_autoflush:
        if code is not None:
            found.code = code
            _check_free(transaction, found)
        if note is not None:
            found.note = note
    return found


@reading
def list_sessions(transaction: Transaction, subject_id: str | None = None) -> tuple[Session, ...]:
    """Sessions by day, of everybody or of one person."""
    query = select(Session).options(undefer_group(COUNTS))
    if subject_id is not None:
        transaction.require(Subject, subject_id)
        query = query.where(Session.subject_id == subject_id)
    return tuple(
        transaction.scalars(query.order_by(Session.held_on, Session.created_at, Session.id))
    )


@reading
def get_session(transaction: Transaction, session_id: str) -> Session:
    return transaction.require(Session, session_id)


@writing
def add_session(
    transaction: Transaction,
    subject_id: str,
    *,
    title: str,
    held_on: date,
    consent: Consent,
    baseline: bool = False,
    condition: str = "",
) -> Session:
    """A new sitting of a person; without consent it takes no recordings."""
    now = transaction.now
    made = Session(
        subject_id=transaction.require(Subject, subject_id).id,
        title=title,
        held_on=held_on,
        baseline=bool(baseline),
        condition=condition,
        created_at=now,
        **consent.columns(now),
    )
    transaction.add(made)
    return transaction.require(Session, made.id)


@writing
def change_session(
    transaction: Transaction,
    session_id: str,
    *,
    title: str | None = None,
    held_on: date | None = None,
    consent: Consent | None = None,
    baseline: bool | None = None,
    condition: str | None = None,
) -> Session:
    """What is given changes, None leaves it; withdrawn consent stops its waiting analyses."""
    now = transaction.now
    found = transaction.require(Session, session_id)
    new = {"title": title, "held_on": held_on, "baseline": baseline, "condition": condition}
    new |= {} if consent is None else consent.columns(now)
    for column, value in new.items():
        if value is not None:
            setattr(found, column, value)
    if consent is not None and not consent.given:
        recordings = select(Recording.id).where(Recording.session_id == session_id)
        cancel_active(transaction, recordings, "consent was withdrawn")
    return found


def _check_free(transaction: Transaction, subject: Subject) -> None:
    taken = select(Subject.id).where(Subject.code == subject.code, Subject.id != subject.id)
    if transaction.scalars(taken).first() is not None:
        raise ConflictError(
            f"expected a code that nobody has, got {subject.code!r}; choose another"
        )
