"""What the store returns: frozen rows, times in UTC with their zone, ids as 32 hex digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

from micromimic.core.results import labels_in
from micromimic.core.types import ExpressionKind

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]
MediaState = Literal["kept", "expired", "none"]
"""``kept``: video and pictures are there; ``expired``: retention removed them, numbers stay;
``none``: there never was a video."""
Action = Literal[
    "accept", "reject", "relabel", "move", "add", "remove", "comment", "done", "undo", "redo"
]
EventStatus = Literal["pending", "accepted", "rejected"]


def as_json(record: object) -> dict[str, Any]:
    """A record as plain JSON values; dates and times as ISO 8601 text.

    >>> as_json(Consent(given=True, noted_by="kim", note="signed form 12"))["given"]
    True
    """
    return {key: _plain(value) for key, value in asdict(record).items()}  # type: ignore[call-overload]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True)
class Consent:
    """Whether the person filmed has agreed, who noted it, when, and on what ground."""

    given: bool
    noted_by: str = ""
    note: str = ""
    noted_at: datetime | None = None


@dataclass(frozen=True)
class Subject:
    """A person, by pseudonym."""

    id: str
    code: str
    note: str
    created_at: datetime
    sessions: int = 0
    recordings: int = 0


@dataclass(frozen=True)
class Session:
    """One sitting of one person.

    Args:
        held_on: the day.
        consent: noted for this session.
        baseline: one of those that later sessions are compared with.
    """

    id: str
    subject_id: str
    subject_code: str
    title: str
    held_on: date
    consent: Consent
    baseline: bool
    created_at: datetime
    recordings: int = 0


@dataclass(frozen=True)
class Job:
    """The analysis of one recording.

    Args:
        stage, done, total: progress; total is None while unknown.
        attempts: times it was started.
        error: one line where it failed.
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


@dataclass(frozen=True)
class Recording:
    """One video, whether it was uploaded or kept from a live session.

    Args:
        name: as the uploader called it, for people only.
        extension: of the stored file, such as ``.mp4``; from a fixed list.
        fps: given by the uploader against the file's own timing, or None.
        origin: ``upload`` or ``live``.
        consent: of its session, or its own where it has none.
        expires_at: when video and pictures are removed; None keeps them.
        job: its latest.
        events: candidates the machine found, longer expressions aside; None before it has answered.
        coders: who has decided anything here.
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


@dataclass(frozen=True)
class Analysis:
    """The machine's own answer to one recording: written once, never changed.

    Args:
        payload: the content of ``events.json``.
        review: the content of ``review.json``: times, rates, and what pictures there are.
    """

    recording_id: str
    payload: Mapping[str, Any]
    review: Mapping[str, Any]
    created_at: datetime

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of the model that answered, for coders to choose from."""
        return labels_in(self.payload)


@dataclass(frozen=True)
class Decision:
    """One entry of the audit trail: only ever added.

    Args:
        number: 1, 2, ... within one recording and coder.
        event: ``m0`` is the machine's first event, ``c3`` the one that decision 3 added; empty for
            ``done``, ``undo`` and ``redo``.
        payload: what the action needs: ``label``, ``onset_frame``, ``apex_frame``,
            ``offset_frame``, ``note``.
        target: the decision that ``undo`` or ``redo`` concerns.
    """

    recording_id: str
    coder: str
    number: int
    action: Action
    event: str
    payload: Mapping[str, Any]
    target: int | None
    decided_at: datetime


@dataclass(frozen=True)
class ReviewedEvent:
    """An event as one coder sees it now.

    Args:
        key: ``m0``, ``c3``.
        status: ``pending`` until the coder has decided; an added event is accepted.
        label, onset_frame, apex_frame, offset_frame, onset_s, apex_s, offset_s: the coder's where
            changed, else the machine's.
        note: the coder's last comment.
        changed: label or times differ from the machine's.
        decided_at: of the last decision on it.
        machine: the machine's own entry of ``events.json``; None for an added event.
        kind: the machine's where onset and offset are; else by the coder's: ``macro`` from
            ``types.LONGEST_MICRO_S`` on.
    """

    key: str
    status: EventStatus
    label: str
    onset_frame: int
    apex_frame: int
    offset_frame: int
    onset_s: float
    apex_s: float
    offset_s: float
    note: str
    changed: bool
    decided_at: datetime | None
    machine: Mapping[str, Any] | None
    kind: ExpressionKind = "micro"


@dataclass(frozen=True)
class Review:
    """One coder's review of one recording.

    Args:
        number: of the coder's last decision, 0 before the first; a new decision must name it.
        events: by onset; removed ones are left out.
        undoable, redoable: number of the decision that undo or redo would concern, or None.
        complete: no micro-expression is pending.
        done: the coder has marked it done, and decided nothing since; until then the others'
            decisions are hidden from this coder.
    """

    recording_id: str
    coder: str
    number: int
    events: tuple[ReviewedEvent, ...]
    undoable: int | None
    redoable: int | None
    complete: bool
    done: bool
