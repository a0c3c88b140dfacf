"""What requests say and answers carry; the records' views read the records' own classes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Path as PathParameter, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from micromimic.core.errors import RefusedError
from micromimic.workstation.records.models import JobStatus, MediaState, StudyMode
from micromimic.workstation.records.payloads import Action, CodingMode
from micromimic.workstation.records.review import Review
from micromimic.workstation.records.scheme import LAST_UNIT, MOST_ENTRIES

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


def read_pairs(texts: Iterable[str], form: str, remedy: str) -> dict[str, str]:
    """What queries say as ``KEY=VALUE``, which ``form`` names; the last ``=`` parts them.

    >>> read_pairs(["a=b=happiness"], "LABEL=CLASS", "write smile=happiness")
    {'a=b': 'happiness'}
    """
    found = {}
    for text in texts:
        key, _, value = text.rpartition("=")
        if not (key and value):
            raise RefusedError(f"expected {form}, got {text[:60]!r}; {remedy}")
        found[key] = value
    return found


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
Condition = Annotated[str, Field(pattern=PRINTABLE, max_length=64)]
Seconds = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]
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
    condition: Condition = ""


class SessionChange(Body):
    """What is to change of a session; what is left out stays."""

    title: Line | None = None
    held_on: Day | None = None
    consent: ConsentIn | None = None
    baseline: bool | None = None
    condition: Condition | None = None


class RecordingChange(Body):
    """What is to change of a recording; what is left out stays.

    ``expires_at``: null keeps video and pictures until somebody removes them.
    """

    name: Annotated[str, Field(pattern=PRINTABLE, min_length=1, max_length=200)] | None = None
    session_id: IdField | None = None
    expires_at: Moment | None = None


class Person(BaseModel):
    """One of several people of a video: seen in this ``share`` of it, first at ``first_s``."""

    person: int
    share: float
    first_s: float


class PersonList(BaseModel):
    """Who was seen in a video, largest and longest first; empty where one person was."""

    people: list[Person]


class PersonIn(Body):
    """Whose the analysis of another person is; without a session it is nobody's yet."""

    session_id: IdField | None = None


class StudyChange(Body):
    """What is to change of the study; what is left out stays, a scheme of null goes."""

    title: Line | None = None
    mode: StudyMode | None = None
    scheme: dict[str, Any] | None = None
    overlap: Annotated[float, Field(gt=0, le=1)] | None = None


class MarkerIn(Body):
    """A moment of a recording, or with ``offset_s`` a stretch, in a row of its timeline."""

    tier: Name
    label: Line
    onset_s: Seconds
    offset_s: Seconds | None = None
    origin: Line = ""


class UnitIn(Body):
    """An action unit as a coder sees it: its number, side and intensity."""

    au: Annotated[int, Field(ge=1, le=LAST_UNIT), BeforeValidator(_whole)]
    side: Literal["", "left", "right", "both"] = ""
    intensity: Literal["", "A", "B", "C", "D", "E"] = ""


class DecisionIn(Body):
    """One decision. ``event``: ``m0`` is the machine's first, ``c3`` what decision 3 added.

    ``units``, ``certainty`` and ``tags`` as the study's scheme has them.
    """

    coder: Name
    expected: Expected
    action: Literal[
        "accept", "reject", "relabel", "move", "add", "code", "remove", "comment", "done"
    ]
    event: Annotated[str, Field(pattern="^([mc](0|[1-9][0-9]{0,8}))?$")] = ""
    label: Line | None = None
    onset_frame: Frame | None = None
    apex_frame: Frame | None = None
    offset_frame: Frame | None = None
    units: Annotated[list[UnitIn], Field(max_length=MOST_ENTRIES)] | None = None
    certainty: Line | None = None
    tags: Annotated[list[Line], Field(max_length=MOST_ENTRIES)] | None = None
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
    condition: str
    consent: Consent
    baseline: bool
    created_at: datetime
    recordings: int = 0


class Job(RecordView):
    """The analysis of one recording.

    ``stage``, ``done`` and ``total`` are its progress (total is null while unknown), ``attempts``
    the times it was started, ``error`` one line where it failed; ``stage`` is ``refused`` then if
    the video itself is at fault: it would fail again. ``place`` is 1 for the next in the
    queue, ``seconds_left`` an estimate; null where it does not wait or run, or cannot be told.
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
    place: int | None
    seconds_left: float | None


class Progress(RecordView):
    """How far a coder is: ``decided`` of ``candidates``, and whether the review is marked done."""

    coder: str
    decided: int
    candidates: int
    done: bool


class Recording(RecordView):
    """One video, uploaded or kept from a live session (``origin``: ``upload`` or ``live``).

    ``name`` is the uploader's, ``extension`` the stored file's; ``fps`` was given against the
    file's own timing; ``consent`` is the session's, or its own where it has none; ``expires_at`` is
    when video and pictures are removed, null keeps them; ``job`` is the latest; ``events`` counts
    the machine's candidates, ``longer`` the longer expressions, in ``duration_s`` seconds of which
    ``observed_s`` could be judged, and all are null before it has answered; ``coders`` have decided
    anything here, ``progress`` says how much; ``same_as`` is the oldest other recording of the same
    file and person; ``person`` is who of several is analysed, from 1 by how large and long they are
    seen, null whoever is largest; ``others`` how many people are seen beside.
    """

    id: str
    session_id: str | None
    subject_id: str | None
    subject_code: str | None
    session_title: str | None
    condition: str | None
    held_on: date | None
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
    longer: int | None
    duration_s: float | None
    observed_s: float | None
    person: int | None
    others: int | None
    same_as: str | None
    coders: tuple[str, ...] = ()
    progress: tuple[Progress, ...] = ()


class Study(RecordView):
    """What the whole data folder is for.

    ``mode``: ``blind`` where coders decide before they are shown the machine's answer; ``scheme``
    the content of a scheme's file, null for the model's classes; ``overlap`` how far two intervals
    must overlap to be one event to an agreement.
    """

    title: str
    mode: StudyMode
    scheme: dict[str, Any] | None
    overlap: float
    changed_at: datetime | None


class Marker(RecordView):
    """A moment of a recording, or a stretch, in a row of its timeline."""

    id: str
    recording_id: str
    tier: str
    label: str
    onset_s: float
    offset_s: float
    origin: str
    created_at: datetime


class Decision(RecordView):
    """One entry of the audit trail: only ever added, and numbered within recording and coder.

    ``event``: ``m0`` is the machine's first, ``c3`` what decision 3 added; empty for ``done``,
    ``undo`` and ``redo``, whose ``target`` is the decision they concern. ``payload`` is what the
    action needs: ``label``, ``onset_frame``, ``apex_frame``, ``offset_frame``, ``units``,
    ``certainty``, ``tags``, ``note``. ``mode``: ``blind`` where the machine's answer had not been
    shown, ``imported`` where the coding was made elsewhere.
    """

    recording_id: str
    coder: str
    number: int
    action: Action
    event: str
    payload: dict[str, Any]
    target: int | None
    decided_at: datetime
    mode: CodingMode


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


class MarkerList(BaseModel):
    """Markers by time."""

    markers: list[Marker]


class SchemeList(BaseModel):
    """Coding schemes, each as its file has it."""

    schemes: list[dict[str, Any]]


class Forgotten(BaseModel):
    """What was removed, by kind."""

    forgotten: dict[str, int]


class ReviewView(BaseModel):
    """All that the review page needs.

    ``analysis`` is the content of ``events.json``, ``shown`` that of ``review.json``, ``labels``
    the classes to choose from, the scheme's or the model's (``machine_labels``); they and
    ``review`` are null until the machine has answered. In a study that is coded blind both have
    null for an event that the coder has not decided, and the review only a stretch of time that
    holds it (``masked``). ``summary`` are the first sentences about the recording, ``advice`` what
    can be done with this very file.
    """

    recording: Recording
    study: Study
    markers: list[Marker]
    summary: list[str] = []
    advice: list[str] = []
    labels: list[str] | None
    machine_labels: list[str] | None
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
