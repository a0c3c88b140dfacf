"""The records: mapped classes, which are their one definition, in memory and in the database.

The tables are made by the migrations; a test holds the two together. Rows hang on one another by
foreign keys that cascade: with a subject go its sessions, their recordings, and of these the jobs,
the machine's answers, markers and all decisions. Triggers (in the migrations) refuse to change a
decision or an answer, or to delete one while its recording is there.

A record that a function of this room returns is loaded as a whole and bound to no transaction.
Values are checked when they are set. Times are in UTC, with their zone; ids are 32 hex digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, cast, get_args

import sqlalchemy as sa
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    MappedSQLExpression,
    column_property,
    mapped_column,
    relationship,
    validates,
)

from micromimic.core.results import labels_in
from micromimic.workstation.records.payloads import Action, CodingMode
from micromimic.workstation.records.review import FrameTimes
from micromimic.workstation.records.scheme import Scheme
from micromimic.workstation.records.values import CHECKED, checked, new_id

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]
StudyMode = Literal["open", "blind"]
"""Whether coders see the machine's answer before they decide."""
MediaState = Literal["kept", "expired", "none"]
"""``kept``: video and pictures are there; ``expired``: retention removed them, numbers stay;
``none``: there never was a video."""

COUNTS: Final = "counts"
"""Columns that count what hangs on a record: loaded with it, but not where it is beside others."""

ACTIVE: Final[tuple[JobStatus, ...]] = ("queued", "running")
_IS_ACTIVE: Final = sa.text(f"status IN {ACTIVE}")


class Moment(sa.TypeDecorator[datetime]):
    """A time with its zone, kept in UTC; SQLite has no zones, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"expected a time with its zone, got {value}")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = Annotated[str, mapped_column(sa.String(32))]
OfRecording = Annotated[
    str, mapped_column(sa.String(32), sa.ForeignKey("recordings.id", ondelete="CASCADE"))
]
BigInt = Annotated[int, mapped_column(sa.BigInteger)]
Json = Annotated[dict[str, Any], mapped_column(sa.JSON)]


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True, eq=False, repr=False):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: sa.Text, datetime: Moment}  # noqa: RUF012

    @validates(*CHECKED)
    def _check(self, column: str, value: Any) -> Any:
        return checked(column, value, self.__tablename__)


def _counted(query: sa.Select[Any]) -> MappedSQLExpression[int]:
    return column_property(
        query.scalar_subquery(), deferred=True, raiseload=True, group=COUNTS, expire_on_flush=False
    )


def _of_session(name: str) -> AssociationProxy[Any]:
    """An attribute of a recording's session; None where it has none."""
    return association_proxy("session", name, init=False)


@dataclass(frozen=True)
class Consent:
    """Whether the person filmed has agreed, who noted it, when, and on what ground."""

    given: bool
    noted_by: str = ""
    note: str = ""
    noted_at: datetime | None = None

    def columns(self, at: datetime) -> dict[str, Any]:
        """Values of a record's four columns; noted at this time where it does not say when."""
        return {
            "consent_given": bool(self.given),
            "consent_noted_by": self.noted_by,
            "consent_note": self.note,
            "consent_noted_at": self.noted_at or at,
        }


def _consent(record: Recording | Session) -> Consent:
    return Consent(
        given=bool(record.consent_given),
        noted_by=record.consent_noted_by or "",
        note=record.consent_note or "",
        noted_at=record.consent_noted_at,
    )


class Study(Base, kw_only=True):
    """What the whole data folder is for: one row, or none where everything is as at first.

    ``scheme`` is the content of a scheme's file; None leaves the model's classes. ``overlap`` is
    how far two intervals must overlap to be one event to `evaluation.agreement`.
    """

    __tablename__ = "study"
    __table_args__ = (
        sa.CheckConstraint("number = 1", name="one"),
        sa.CheckConstraint(f"mode IN {get_args(StudyMode)}", name="mode"),
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    title: Mapped[str] = mapped_column(default="")
    mode: Mapped[StudyMode] = mapped_column(sa.Text, default="open")
    scheme: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True), default=None)
    overlap: Mapped[float] = mapped_column(sa.Float, default=0.5)
    changed_at: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def blind(self) -> bool:
        return self.mode == "blind"

    def coding(self, labels: tuple[str, ...]) -> Scheme:
        """What coders may say of a recording whose model has these classes."""
        return Scheme.of_labels(labels) if self.scheme is None else Scheme.read(self.scheme)


class Job(Base, kw_only=True):
    """The analysis of one recording.

    ``done`` of ``total`` is the progress of ``stage``; ``total`` is None while unknown. ``number``
    counts the jobs of a recording from 1, ``attempts`` the times that this one was started.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        sa.CheckConstraint(f"status IN {get_args(JobStatus)}", name="status"),
        sa.UniqueConstraint("recording_id", "number"),
        sa.Index(None, "status", "created_at"),
        # At most one job of a recording waits or runs.
        sa.Index(
            "uq_jobs_active",
            "recording_id",
            unique=True,
            sqlite_where=_IS_ACTIVE,
            postgresql_where=_IS_ACTIVE,
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default_factory=new_id)
    recording_id: Mapped[OfRecording]
    number: Mapped[int]
    status: Mapped[JobStatus] = mapped_column(sa.Text, default="queued")
    stage: Mapped[str] = mapped_column(default="")
    done: Mapped[BigInt] = mapped_column(default=0)
    total: Mapped[BigInt | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
    worker: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    beat_at: Mapped[datetime | None] = mapped_column(default=None)

    place = cast("int | None", None)
    """1 for the next in the queue; None where it does not wait, or nobody has counted."""
    seconds_left = cast("float | None", None)
    """About how long it takes until it is done, where that can be told."""


class AnalysisRecord(Base, kw_only=True):
    """The machine's own answer to one recording: written once, never changed.

    ``payload`` is the content of ``events.json``, ``review`` that of ``review.json`` (times, rates,
    and what pictures there are), ``events`` the number of micro-expressions.
    """

    __tablename__ = "analyses"

    recording_id: Mapped[OfRecording] = mapped_column(primary_key=True)
    payload: Mapped[Json]
    review: Mapped[Json]
    events: Mapped[int]
    created_at: Mapped[datetime]

    @property
    def labels(self) -> tuple[str, ...]:
        return labels_in(self.payload)

    @property
    def times(self) -> FrameTimes:
        return FrameTimes.of(self.review)


class Progress(Base, kw_only=True):
    """How far a coder is with a recording: what the trail says, written with each decision.

    ``decided`` of ``candidates``, the machine's micro-expressions; ``done`` as of `review.is_done`.
    """

    __tablename__ = "progress"

    recording_id: Mapped[OfRecording] = mapped_column(primary_key=True)
    coder: Mapped[str] = mapped_column(primary_key=True)
    decided: Mapped[int]
    candidates: Mapped[int]
    done: Mapped[bool]


class Marker(Base, kw_only=True):
    """A moment or a stretch of a recording that is no expression: a stimulus, a trial, a condition.

    ``offset_s`` is ``onset_s`` for a moment. ``tier`` is the row that it stands in, ``origin``
    where it came from.
    """

    __tablename__ = "markers"

    id: Mapped[Id] = mapped_column(primary_key=True, default_factory=new_id)
    recording_id: Mapped[OfRecording] = mapped_column(index=True)
    tier: Mapped[str]
    label: Mapped[str]
    onset_s: Mapped[float] = mapped_column(sa.Float)
    offset_s: Mapped[float] = mapped_column(sa.Float)
    origin: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class Decision(Base, kw_only=True):
    """One entry of the audit trail: only ever added.

    ``number`` is 1, 2, ... within one recording and coder. ``event``: ``m0`` is the machine's first
    event, ``c3`` the one that decision 3 added; empty for ``done``, ``undo`` and ``redo``.
    ``payload`` is what the action needs: ``label``, ``onset_frame``, ``apex_frame``,
    ``offset_frame``, ``units``, ``certainty``, ``tags``, ``note``. ``target`` is the decision that
    ``undo`` or ``redo`` concerns. ``mode``: ``blind`` where the coder of a blind study had not been
    shown the machine's answer, ``imported`` where the coding was made elsewhere.
    """

    __tablename__ = "decisions"
    __table_args__ = (sa.CheckConstraint(f"mode IN {get_args(CodingMode)}", name="mode"),)

    recording_id: Mapped[OfRecording] = mapped_column(primary_key=True)
    coder: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    action: Mapped[Action] = mapped_column(sa.Text)
    event: Mapped[str]
    payload: Mapped[Json]
    target: Mapped[int | None]
    decided_at: Mapped[datetime]
    mode: Mapped[CodingMode] = mapped_column(sa.Text, default="open", server_default="open")


_OTHER: Final = sa.table(
    "recordings", *map(sa.column, ("id", "sha256", "uploaded_at", "person"))
).alias("other")


class Recording(Base, kw_only=True):
    """One video, whether it was uploaded or kept from a live session.

    ``name`` is as the uploader called it, for people only; ``extension`` that of the stored file.
    ``fps`` was given by the uploader against the file's own timing. ``expires_at`` is when video
    and pictures are removed; None keeps them. ``events`` and ``longer``: micro-expressions and
    longer ones that the machine found, in ``duration_s`` seconds of video of which ``observed_s``
    could be judged, and ``others`` people beside the one analysed; None before it has answered.
    ``person`` is who of several is analysed, None who is seen largest. ``same_as``: the oldest
    other recording of the same file and person.
    """

    __tablename__ = "recordings"
    __table_args__ = (sa.CheckConstraint(f"media IN {get_args(MediaState)}", name="media"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default_factory=new_id)
    session_id: Mapped[Id | None] = mapped_column(
        sa.ForeignKey("sessions.id", ondelete="CASCADE"), index=True, default=None
    )
    name: Mapped[str]
    extension: Mapped[str]
    size_bytes: Mapped[BigInt]
    sha256: Mapped[str] = mapped_column(sa.String(64), index=True)
    fps: Mapped[float | None] = mapped_column(sa.Float, default=None)
    origin: Mapped[str] = mapped_column(default="upload")
    consent_given: Mapped[bool | None] = mapped_column(default=None)
    consent_noted_by: Mapped[str | None] = mapped_column(default=None)
    consent_note: Mapped[str | None] = mapped_column(default=None)
    consent_noted_at: Mapped[datetime | None] = mapped_column(default=None)
    media: Mapped[MediaState] = mapped_column(sa.Text, default="kept")
    uploaded_at: Mapped[datetime] = mapped_column(index=True)
    expires_at: Mapped[datetime | None] = mapped_column(index=True, default=None)
    # Beside the answer, not in it: its row is large, and a list needs no more than these.
    events: Mapped[int | None] = mapped_column(default=None)
    longer: Mapped[int | None] = mapped_column(default=None)
    duration_s: Mapped[float | None] = mapped_column(sa.Float, default=None)
    observed_s: Mapped[float | None] = mapped_column(sa.Float, default=None)
    person: Mapped[int | None] = mapped_column(default=None)
    others: Mapped[int | None] = mapped_column(default=None)
    same_as: Mapped[str | None] = column_property(
        sa.select(_OTHER.c.id)
        .where(_OTHER.c.sha256 == sha256, _OTHER.c.id != id)  # noqa: A003
        .where(_OTHER.c.person.is_not_distinct_from(person))
        .order_by(_OTHER.c.uploaded_at, _OTHER.c.id)
        .limit(1)
        .scalar_subquery()
    )
    session: Mapped[Session | None] = relationship(init=False, viewonly=True, lazy="joined")
    subject_id: AssociationProxy[str | None] = _of_session("subject_id")
    subject_code: AssociationProxy[str | None] = _of_session("subject_code")
    session_title: AssociationProxy[str | None] = _of_session("title")
    condition: AssociationProxy[str | None] = _of_session("condition")
    held_on: AssociationProxy[date | None] = _of_session("held_on")
    jobs: Mapped[list[Job]] = relationship(
        init=False, viewonly=True, lazy="selectin", order_by=Job.number
    )
    progress: Mapped[list[Progress]] = relationship(
        init=False, viewonly=True, lazy="selectin", order_by=Progress.coder
    )

    @property
    def consent(self) -> Consent:
        """Of its session, or its own where it has none."""
        return _consent(self if self.session is None else self.session)

    @property
    def job(self) -> Job | None:
        return self.jobs[-1] if self.jobs else None

    @property
    def coders(self) -> tuple[str, ...]:
        """Who has decided anything here, by name."""
        return tuple(sorted(row.coder for row in self.progress))


class Session(Base, kw_only=True):
    """One sitting of one person; later sessions are compared with those of the baseline."""

    __tablename__ = "sessions"

    id: Mapped[Id] = mapped_column(primary_key=True, default_factory=new_id)
    subject_id: Mapped[Id] = mapped_column(
        sa.ForeignKey("subjects.id", ondelete="CASCADE"), index=True
    )
    title: Mapped[str]
    held_on: Mapped[date]
    consent_given: Mapped[bool]
    consent_noted_by: Mapped[str]
    consent_note: Mapped[str]
    consent_noted_at: Mapped[datetime | None]
    baseline: Mapped[bool] = mapped_column(default=False)
    condition: Mapped[str] = mapped_column(default="", server_default=sa.text("''"))
    created_at: Mapped[datetime]

    recordings: Mapped[int] = _counted(
        sa.select(sa.func.count()).where(Recording.session_id == id)  # noqa: A003
    )
    subject: Mapped[Subject] = relationship(init=False, viewonly=True, lazy="joined")

    @property
    def consent(self) -> Consent:
        return _consent(self)

    @property
    def subject_code(self) -> str:
        return self.subject.code


class Subject(Base, kw_only=True):
    """A person, by pseudonym."""

    __tablename__ = "subjects"

    id: Mapped[Id] = mapped_column(primary_key=True, default_factory=new_id)
    code: Mapped[str] = mapped_column(unique=True)
    note: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]

    sessions: Mapped[int] = _counted(
        sa.select(sa.func.count()).where(Session.subject_id == id)  # noqa: A003
    )
    recordings: Mapped[int] = _counted(
        sa.select(sa.func.count(Recording.id))
        .join(Session, Recording.session_id == Session.id)
        .where(Session.subject_id == id)  # noqa: A003
    )


Owner = type[Recording] | type[Session] | type[Subject]
"""What recordings hang on, or one itself."""
