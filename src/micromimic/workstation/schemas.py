"""What requests say and answers carry; the records' views read the records' own classes."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Path as PathParameter, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from micromimic.workstation.records.models import JobStatus, MediaState
from micromimic.workstation.records.payloads import Action
from micromimic.workstation.records.review import Review

ID_PATTERN: Final = "^[0-9a-f]{32}$"
PRINTABLE: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""Text on one line: no control characters."""
WRITTEN: Final = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"
"""Text of several lines."""
_ISO: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]{5,20}([Zz]|[+-][0-9]{2}:?[0-9]{2}))?"
)


def _iso_text(value: Any) -> Any:
    """Dates and times as ISO 8601 writes them; not as numbers, which could be anything."""
    if not isinstance(value, str) or _ISO.fullmatch(value) is None:
        raise ValueError("expected text as 2026-03-04 or 2026-03-04T05:06:07+00:00")
    return value


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 1.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _name(description: str | None = None) -> Any:
    return Query(pattern=PRINTABLE, min_length=1, max_length=64, description=description)


Id = Annotated[str, PathParameter(pattern=ID_PATTERN, description="32 hex digits.")]
IdField = Annotated[str, Field(pattern=ID_PATTERN)]
IdQuery = Annotated[str | None, Query(pattern=ID_PATTERN)]
Line = Annotated[str, Field(pattern=PRINTABLE, max_length=200)]
Text = Annotated[str, Field(pattern=WRITTEN, max_length=2000)]
Name = Annotated[str, Field(pattern=PRINTABLE, min_length=1, max_length=64)]
Coder = Annotated[str, _name("Who decides or decided.")]
CoderQuery = Annotated[str | None, _name()]
Reader = Annotated[
    str | None,
    _name(
        "Who asks, where it is another coder: nobody is shown what others decided on a recording "
        "before the own review is marked done."
    ),
]
Frame = Annotated[int, Field(ge=0, le=100_000_000), BeforeValidator(_whole)]
Expected = Annotated[
    int,
    Field(ge=0, le=1_000_000_000, description="Number of the coder's last decision, 0 for none."),
    BeforeValidator(_whole),
]
Day = Annotated[date, Field(strict=False), BeforeValidator(_iso_text)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_iso_text)]

# --- requests ------------------------------------------------------------------------------------


class Body(BaseModel):
    """A request's body: what is not described is refused, and "1" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SubjectIn(Body):
    """A new person, by pseudonym."""

    code: Name
    note: Text = ""


class SubjectChange(Body):
    """What is to change of a subject; what is left out stays."""

    code: Name | None = None
    note: Text | None = None


class ConsentIn(Body):
    """Consent as noted: whether the person agreed, who noted it, on what ground."""

    given: bool
    noted_by: Line = ""
    note: Text = ""


class SessionIn(Body):
    """A new sitting."""

    subject_id: IdField
    title: Line
    held_on: Day
    consent: ConsentIn
    baseline: bool = False


class SessionChange(Body):
    """What is to change of a session; what is left out stays."""

    title: Line | None = None
    held_on: Day | None = None
    consent: ConsentIn | None = None
    baseline: bool | None = None


class RecordingChange(Body):
    """What is to change of a recording; what is left out stays.

    ``expires_at``: null keeps video and pictures until somebody removes them.
    """

    name: Annotated[str, Field(pattern=PRINTABLE, min_length=1, max_length=200)] | None = None
    session_id: IdField | None = None
    expires_at: Moment | None = None


class DecisionIn(Body):
    """One decision. ``event``: ``m0`` is the machine's first, ``c3`` what decision 3 added."""

    coder: Name
    expected: Expected
    action: Literal["accept", "reject", "relabel", "move", "add", "remove", "comment", "done"]
    event: Annotated[str, Field(pattern="^([mc](0|[1-9][0-9]{0,8}))?$")] = ""
    label: Line | None = None
    onset_frame: Frame | None = None
    apex_frame: Frame | None = None
    offset_frame: Frame | None = None
    note: Text | None = None


class StepIn(Body):
    """Undo or redo the coder's last decision."""

    coder: Name
    expected: Expected


# --- answers -------------------------------------------------------------------------------------


class RecordView(BaseModel):
    """Reads an object of the same fields."""

    model_config = ConfigDict(from_attributes=True)


class Consent(RecordView):
    """Whether the person filmed has agreed, who noted it, when, and on what ground."""

    given: bool
    noted_by: str = ""
    note: str = ""
    noted_at: datetime | None = None


class Subject(RecordView):
    """A person, by pseudonym."""

    id: str
    code: str
    note: str
    created_at: datetime
    sessions: int = 0
    recordings: int = 0


class Session(RecordView):
    """One sitting of one person, on a day; a baseline is what later sessions are compared with."""

    id: str
    subject_id: str
    subject_code: str
    title: str
    held_on: date
    consent: Consent
    baseline: bool
    created_at: datetime
    recordings: int = 0


class Job(RecordView):
    """The analysis of one recording.

    ``stage``, ``done`` and ``total`` are its progress (total is null while unknown), ``attempts``
    the times it was started, ``error`` one line where it failed.
    """

    id: str
    recording_id: str
    status: JobStatus
    stage: str
    done: int
    total: int | None
    attempts: int
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Recording(RecordView):
    """One video, uploaded or kept from a live session (``origin``: ``upload`` or ``live``).

    ``name`` is the uploader's, ``extension`` the stored file's; ``fps`` was given against the
    file's own timing; ``consent`` is the session's, or its own where it has none; ``expires_at`` is
    when video and pictures are removed, null keeps them; ``job`` is the latest; ``events`` counts
    the machine's candidates, longer expressions aside, and is null before it has answered;
    ``coders`` have decided anything here.
    """

    id: str
    session_id: str | None
    subject_id: str | None
    subject_code: str | None
    name: str
    extension: str
    size_bytes: int
    sha256: str
    fps: float | None
    origin: str
    consent: Consent
    media: MediaState
    uploaded_at: datetime
    expires_at: datetime | None
    job: Job | None
    events: int | None
    coders: tuple[str, ...] = ()


class Decision(RecordView):
    """One entry of the audit trail: only ever added, and numbered within recording and coder.

    ``event``: ``m0`` is the machine's first, ``c3`` what decision 3 added; empty for ``done``,
    ``undo`` and ``redo``, whose ``target`` is the decision they concern. ``payload`` is what the
    action needs: ``label``, ``onset_frame``, ``apex_frame``, ``offset_frame``, ``note``.
    """

    recording_id: str
    coder: str
    number: int
    action: Action
    event: str
    payload: dict[str, Any]
    target: int | None
    decided_at: datetime


class SubjectList(BaseModel):
    """All subjects."""

    subjects: list[Subject]


class SessionList(BaseModel):
    """Sessions by day."""

    sessions: list[Session]


class RecordingList(BaseModel):
    """One page of recordings, newest first, and how many there are in all."""

    recordings: list[Recording]
    total: int


class JobList(BaseModel):
    """Jobs."""

    jobs: list[Job]


class DecisionList(BaseModel):
    """Decisions, oldest first; never changed, only added to."""

    decisions: list[Decision]


class Forgotten(BaseModel):
    """What was removed, by kind."""

    forgotten: dict[str, int]


class ReviewView(BaseModel):
    """All that the review page needs.

    ``analysis`` is the content of ``events.json``, ``shown`` that of ``review.json``, ``labels``
    the classes to choose from, in the model's order; they and ``review`` are null until the machine
    has answered.
    """

    recording: Recording
    labels: list[str] | None
    analysis: dict[str, Any] | None
    review: Review | None
    shown: dict[str, Any] | None


class ModelView(RecordView):
    """Which model names the events."""

    name: str
    version: str
    trained_on: str
    labels: list[str]


class Limits(RecordView):
    """What an upload may be."""

    max_bytes: int
    max_seconds: float
    retention_days: int


class LiveLimits(BaseModel):
    """What a live session may be."""

    max_sessions: int
    max_pixels: int


class Info(BaseModel):
    """What this server is, allows, and is not for."""

    version: str
    model: ModelView
    limits: Limits
    statements: list[tuple[str, str]]
    database: Literal["sqlite", "postgresql"]
    live: LiveLimits


class Health(BaseModel):
    """The database answered."""

    status: Literal["ok"]
    time: datetime
