"""The tables. They are made by the migrations; a test holds the two together.

Rows hang on one another by foreign keys that cascade: with a subject go its sessions, their
recordings, and of these the jobs, the machine's answers and all decisions. Triggers (in the
migrations) refuse to change a decision or an answer, or to delete one while its recording is there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A time with its zone, kept in UTC; SQLite has no zones, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a time with its zone, got {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> Column[str]:
    return Column("id", String(32), primary_key=True)


def _link(table: str, *, optional: bool = False, primary: bool = False) -> Column[str]:
    return Column(
        f"{table[:-1]}_id",
        String(32),
        ForeignKey(f"{table}.id", ondelete="CASCADE"),
        nullable=optional,
        primary_key=primary,
    )


def _consent(*, optional: bool) -> list[Column[Any]]:
    return [
        Column("consent_given", Boolean, nullable=optional),
        Column("consent_noted_by", Text, nullable=optional),
        Column("consent_note", Text, nullable=optional),
        Column("consent_noted_at", Moment, nullable=True),
    ]


subjects: Final = Table(
    "subjects",
    metadata,
    _id(),
    Column("code", Text, nullable=False, unique=True),
    Column("note", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

sessions: Final = Table(
    "sessions",
    metadata,
    _id(),
    _link("subjects"),
    Column("title", Text, nullable=False),
    Column("held_on", Date, nullable=False),
    *_consent(optional=False),
    Column("baseline", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "subject_id"),
)

recordings: Final = Table(
    "recordings",
    metadata,
    _id(),
    _link("sessions", optional=True),
    Column("name", Text, nullable=False),
    Column("extension", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("fps", Float, nullable=True),
    Column("origin", Text, nullable=False),
    *_consent(optional=True),
    Column("media", Text, nullable=False),
    Column("uploaded_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=True),
    CheckConstraint("media IN ('kept', 'expired', 'none')", name="media"),
    Index(None, "session_id"),
    Index(None, "uploaded_at"),
    Index(None, "expires_at"),
)

jobs: Final = Table(
    "jobs",
    metadata,
    _id(),
    _link("recordings"),
    Column("number", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment, nullable=True),
    Column("finished_at", Moment, nullable=True),
    Column("beat_at", Moment, nullable=True),
    CheckConstraint(
        "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"
    ),
    UniqueConstraint("recording_id", "number"),
    Index(None, "status", "created_at"),
    # At most one job of a recording waits or runs.
    Index(
        "uq_jobs_active",
        "recording_id",
        unique=True,
        sqlite_where=text("status IN ('queued', 'running')"),
        postgresql_where=text("status IN ('queued', 'running')"),
    ),
)

analyses: Final = Table(
    "analyses",
    metadata,
    _link("recordings", primary=True),
    Column("payload", JSON, nullable=False),
    Column("review", JSON, nullable=False),
    Column("events", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
)

decisions: Final = Table(
    "decisions",
    metadata,
    _link("recordings", primary=True),
    Column("coder", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("target", Integer, nullable=True),
    Column("decided_at", Moment, nullable=False),
)
