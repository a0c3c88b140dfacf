"""Subjects, by pseudonym, and their sessions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
from micromimic.workstation.records import people, privacy
from micromimic.workstation.records.models import Consent
from micromimic.workstation.schemas import (
    CoderQuery,
    Forgotten,
    Id,
    IdQuery,
    Reader,
    Session,
    SessionChange,
    SessionIn,
    SessionList,
    Subject,
    SubjectChange,
    SubjectIn,
    SubjectList,
)
from micromimic.workstation.subject_trends import subject_trends

router = APIRouter(tags=["subjects"])


@router.get("/subjects", responses=answers())
def list_subjects(here: Here) -> SubjectList:
    """All subjects, by code."""
    return SubjectList.model_validate({"subjects": people.list_subjects(here.store)})


@router.post("/subjects", status_code=201, responses=answers(409, 413))
def add_subject(body: SubjectIn, here: Here) -> Subject:
    """A new subject; 409 if the code is taken."""
    return Subject.model_validate(people.add_subject(here.store, body.code, note=body.note))


@router.get("/subjects/{subject_id}", responses=answers(404))
def get_subject(subject_id: Id, here: Here) -> Subject:
    """One subject."""
    return Subject.model_validate(people.get_subject(here.store, subject_id))


@router.patch("/subjects/{subject_id}", responses=answers(404, 409, 413))
def change_subject(subject_id: Id, body: SubjectChange, here: Here) -> Subject:
    """Another code or note."""
    changed = people.change_subject(here.store, subject_id, code=body.code, note=body.note)
    return Subject.model_validate(changed)


@router.delete("/subjects/{subject_id}", responses=answers(404))
def forget_subject(subject_id: Id, here: Here) -> Forgotten:
    """Remove every trace of a person: rows, videos, pictures, decisions. It cannot be undone."""
    forgotten = privacy.forget_subject(here.store, people.get_subject(here.store, subject_id).code)
    here.wake()
    return Forgotten(forgotten=dict(forgotten))


@router.get("/subjects/{subject_id}/trends", responses=answers(404))
def get_trends(
    subject_id: Id, here: Here, coder: CoderQuery = None, reader: Reader = None
) -> dict[str, Any]:
    """The person's indicators session by session, and their change from the own baseline.

    ``coder``: whose finished reviews are shown beside; left out, whoever has reviewed most.
    """
    return subject_trends(here.store, subject_id, coder=coder, reader=reader)


@router.get("/sessions", responses=answers(404))
def list_sessions(here: Here, subject_id: IdQuery = None) -> SessionList:
    """All sessions, or those of one subject."""
    return SessionList.model_validate({"sessions": people.list_sessions(here.store, subject_id)})


@router.post("/sessions", status_code=201, responses=answers(404, 409, 413))
def add_session(body: SessionIn, here: Here) -> Session:
    """A new session, with its consent."""
    return Session.model_validate(people.add_session(here.store, **_fields(body)))


@router.get("/sessions/{session_id}", responses=answers(404))
def get_session(session_id: Id, here: Here) -> Session:
    """One session."""
    return Session.model_validate(people.get_session(here.store, session_id))


@router.patch("/sessions/{session_id}", responses=answers(404, 409, 413))
def change_session(session_id: Id, body: SessionChange, here: Here) -> Session:
    """Another title, day, condition or consent, or a baseline or none."""
    return Session.model_validate(people.change_session(here.store, session_id, **_fields(body)))


@router.delete(
    "/sessions/{session_id}", status_code=204, responses=answers(404), response_class=Response
)
def remove_session(session_id: Id, here: Here) -> None:
    """Remove a session with its recordings."""
    privacy.remove_session(here.store, session_id)
    here.wake()


def _fields(body: SessionIn | SessionChange) -> dict[str, Any]:
    """As the store takes them; the time of consent is its own to note."""
    return {**dict(body), "consent": body.consent and Consent(**dict(body.consent))}
