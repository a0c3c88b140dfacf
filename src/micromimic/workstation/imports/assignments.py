"""The table that says whose each video is: ``video,subject,session,condition,date``.

``video`` is a file's name, or the end of its path where two folders have the same name; ``session``
the title of a sitting, which subject, title and (where given) date tell from others. All of it is
checked against what is there and what is coming before anything is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select

from micromimic.core.errors import ConflictError, InputError, RefusedError
from micromimic.datasets.assignments import COLUMNS, Assignment
from micromimic.datasets.grid import folded
from micromimic.datasets.table import table_text
from micromimic.workstation.imports.annotations import file_name, grouped
from micromimic.workstation.records import people, recordings
from micromimic.workstation.records.database import Transaction, reading, writing
from micromimic.workstation.records.models import Consent, Recording, Session, Subject


@dataclass(frozen=True)
class Assigned:
    """A row, and what it meets: a recording that is there, or the name of a file that comes.

    ``session_id`` is None where the sitting is still to be made.
    """

    row: Assignment
    recording_id: str | None
    name: str
    session_id: str | None
    subject_known: bool

    @property
    def state(self) -> Literal["there", "coming"]:
        return "coming" if self.recording_id is None else "there"


@reading
def check_assignments(
    transaction: Transaction,
    rows: Sequence[Assignment],
    coming: Sequence[str] = (),
    *,
    new_subjects: bool = False,
) -> tuple[Assigned, ...]:
    """What each row meets among recordings and files that come; every one, or a line.

    `InputError` where a video is neither there nor coming, or may be several, or a subject is
    unknown and ``new_subjects`` does not say that such are to be made. `ConflictError` where the
    sitting is there with another condition.
    """
    listed = recordings.list_recordings(transaction, limit=None)
    subjects = {person.code: person for person in people.list_subjects(transaction)}
    unknown = [row for row in rows if row.subject not in subjects]
    if unknown and not new_subjects:
        codes = ", ".join(dict.fromkeys(row.subject for row in unknown))
        raise InputError(
            f"expected subjects that are known, got {codes} (line {unknown[0].line}); add them "
            "first, or say that they are new"
        )
    there = grouped(listed, lambda recording: folded(file_name(recording.name)))
    arriving = grouped(coming, lambda name: folded(file_name(name)))
    days = {key: sitting.held_on for key, sitting in _sittings(rows).items()}
    found = []
    lines: dict[str, int] = {}
    for row in rows:
        item = _assigned(transaction, row, there, arriving, subjects)
        first = lines.setdefault(item.recording_id or item.name, row.line)
        if first != row.line:
            raise InputError(
                f"expected one row for {item.name}, got lines {first} and {row.line}; remove one, "
                "or give the videos different names"
            )
        if item.session_id is None and days[row.sitting] is None:
            raise InputError(
                f"expected a date for the new session {row.session or row.condition!r} of "
                f"{row.subject} (line {row.line}), got none; fill it in"
            )
        found.append(item)
    return tuple(found)


@writing
def assign(
    transaction: Transaction,
    rows: Sequence[Assignment],
    coming: Sequence[str] = (),
    *,
    consent: Consent | None = None,
    new_subjects: bool = False,
) -> tuple[Assigned, ...]:
    """Move each recording to its sitting; subjects and sittings that lack are made.

    ``consent`` is noted with each new sitting: `RefusedError` where there is none and a recording
    has to go there. Rows of files that come get their sitting to be uploaded to.
    """
    checked = check_assignments(transaction, rows, coming, new_subjects=new_subjects)
    subjects = {person.code: person.id for person in people.list_subjects(transaction)}
    made: dict[tuple[str, str, str], str] = {}
    sittings = _sittings(rows)
    done = []
    for item in checked:
        sitting = sittings[item.row.sitting]
        session_id = item.session_id or made.get(sitting.sitting)
        if session_id is None:
            recordings.check_consent(consent)
            assert consent is not None and sitting.held_on is not None
            if sitting.subject not in subjects:
                subjects[sitting.subject] = people.add_subject(transaction, sitting.subject).id
            session_id = made[sitting.sitting] = people.add_session(
                transaction,
                subjects[sitting.subject],
                title=sitting.session,
                held_on=sitting.held_on,
                consent=consent,
                condition=sitting.condition,
            ).id
        elif sitting.condition:
            people.change_session(transaction, session_id, condition=sitting.condition)
        if item.recording_id is not None:
            recordings.change_recording(transaction, item.recording_id, session_id=session_id)
        done.append(replace(item, session_id=session_id, subject_known=True))
    return tuple(done)


def _assigned(
    transaction: Transaction,
    row: Assignment,
    listed: Mapping[str, Sequence[Recording]],
    coming: Mapping[str, Sequence[str]],
    subjects: Mapping[str, Subject],
) -> Assigned:
    own = file_name(row.video)
    arriving = [n for n in coming.get(folded(own), ()) if _is_video(row.video, n)]
    there = [r for r in listed.get(folded(own), ()) if not arriving and _is_video(own, r.name)]
    found = len(arriving) + len(there)
    if found != 1:
        got = f"{found} of that name" if found else "none"
        raise InputError(
            f"expected one video called {row.video} (line {row.line}), got {got}; "
            + (
                "write more of its path"
                if arriving
                else "give them different names on the page Analyse"
                if there
                else "correct the name, or upload it"
            )
        )
    person = subjects.get(row.subject)
    session = None if person is None else _session(transaction, person, row)
    name = arriving[0] if arriving else there[0].name
    return Assigned(row, None if arriving else there[0].id, name, session, person is not None)


def _is_video(wanted: str, name: str) -> bool:
    """Whether a name, or the end of a path, is meant.

    >>> _is_video("s1.mp4", "study/P01/s1.mp4"), _is_video("P02/s1.mp4", "study/P01/s1.mp4")
    (True, False)
    """
    place = folded(f"/{name.replace(chr(92), '/')}")
    return place.endswith(folded(f"/{wanted.lstrip('./')}"))


def _session(transaction: Transaction, person: Subject, row: Assignment) -> str | None:
    query = select(Session).where(Session.subject_id == person.id, Session.title == row.session)
    if not row.session:
        query = query.where(Session.condition == row.condition)
    if row.held_on is not None:
        query = query.where(Session.held_on == row.held_on)
    found = transaction.scalars(query.order_by(Session.held_on)).all()
    if not found:
        return None
    if len(found) > 1:
        raise InputError(
            f"expected one session {row.session!r} of {row.subject} (line {row.line}), got "
            f"{len(found)}; give its date"
        )
    if not found[0].consent.given:
        raise RefusedError(
            f"expected a session with consent for {row.video} (line {row.line}), got "
            f"{row.session or found[0].held_on} of {row.subject} without; note it first"
        )
    condition = found[0].condition
    if row.condition and condition and condition != row.condition:
        raise ConflictError(
            f"expected condition {condition} for {row.subject}, {row.session or found[0].held_on} "
            f"as noted, got {row.condition} (line {row.line}); change the session or the table"
        )
    return found[0].id


def _sittings(rows: Sequence[Assignment]) -> dict[tuple[str, str, str], Assignment]:
    """What the rows of each sitting say of it together."""
    found: dict[tuple[str, str, str], Assignment] = {}
    for row in rows:
        first = found.get(row.sitting, row)
        condition, held_on = first.condition or row.condition, first.held_on or row.held_on
        found[row.sitting] = replace(first, condition=condition, held_on=held_on)
    return found


@reading
def assignment_table(transaction: Transaction) -> str:
    """The table of all recordings that belong to a session, as `read_assignments` reads it."""
    import pandas as pd  # noqa: PLC0415 - slow to load

    rows = [
        (found.name, found.subject_code, found.session_title, found.condition, found.held_on)
        for found in recordings.list_recordings(transaction, limit=None)
        if found.session is not None
    ]
    return table_text(pd.DataFrame(rows, columns=COLUMNS, dtype=object))
