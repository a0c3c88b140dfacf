"""The first tables, and the triggers that keep what was decided."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

KEPT: Final = ("analyses", "decisions")
"""Only ever added to; they go with their recording, never before it."""


def upgrade() -> None:
    """Make everything."""
    _people()
    _recordings()
    _jobs()
    _answers()
    postgres = op.get_bind().dialect.name == "postgresql"
    if postgres:
        op.execute(_FUNCTION)
    for table in KEPT:
        for statement in _POSTGRES if postgres else _SQLITE:
            op.execute(statement.format(table=table))


def downgrade() -> None:
    """Remove everything."""
    for table in ("decisions", "analyses", "jobs", "recordings", "sessions", "subjects"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION micromimic_kept()")


def _moment(name: str, *, optional: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=optional)


def _words(name: str, *, optional: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=optional)


def _link(child: str, parent: str) -> sa.ForeignKeyConstraint:
    column = f"{parent[:-1]}_id"
    return sa.ForeignKeyConstraint(
        [column], [f"{parent}.id"], name=f"fk_{child}_{column}", ondelete="CASCADE"
    )


def _consent(*, optional: bool) -> list[sa.Column[Any]]:
    return [
        sa.Column("consent_given", sa.Boolean(), nullable=optional),
        _words("consent_noted_by", optional=optional),
        _words("consent_note", optional=optional),
        _moment("consent_noted_at", optional=True),
    ]


def _people() -> None:
    op.create_table(
        "subjects",
        sa.Column("id", sa.String(32), nullable=False),
        _words("code"),
        _words("note"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_subjects"),
        sa.UniqueConstraint("code", name="uq_subjects_code"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        _words("title"),
        sa.Column("held_on", sa.Date(), nullable=False),
        *_consent(optional=False),
        sa.Column("baseline", sa.Boolean(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        _link("sessions", "subjects"),
    )
    op.create_index("ix_sessions_subject_id", "sessions", ["subject_id"])


def _recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("session_id", sa.String(32), nullable=True),
        _words("name"),
        _words("extension"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("fps", sa.Float(), nullable=True),
        _words("origin"),
        *_consent(optional=True),
        _words("media"),
        _moment("uploaded_at"),
        _moment("expires_at", optional=True),
        sa.CheckConstraint(
            "media IN ('kept', 'expired', 'none')", name=op.f("ck_recordings_media")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        _link("recordings", "sessions"),
    )
    for column in ("session_id", "uploaded_at", "expires_at"):
        op.create_index(f"ix_recordings_{column}", "recordings", [column])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("recording_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _words("status"),
        _words("stage"),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _words("error"),
        _words("worker"),
        _moment("created_at"),
        _moment("started_at", optional=True),
        _moment("finished_at", optional=True),
        _moment("beat_at", optional=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_jobs_status"),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("recording_id", "number", name="uq_jobs_recording_id_number"),
        _link("jobs", "recordings"),
    )
    op.create_index("ix_jobs_status_created_at", "jobs", ["status", "created_at"])
    active = sa.text("status IN ('queued', 'running')")
    op.create_index(
        "uq_jobs_active",
        "jobs",
        ["recording_id"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )


def _answers() -> None:
    op.create_table(
        "analyses",
        sa.Column("recording_id", sa.String(32), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("review", sa.JSON(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("recording_id", name="pk_analyses"),
        _link("analyses", "recordings"),
    )
    op.create_table(
        "decisions",
        sa.Column("recording_id", sa.String(32), nullable=False),
        _words("coder"),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        _words("action"),
        _words("event"),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=True),
        _moment("decided_at"),
        sa.PrimaryKeyConstraint("recording_id", "coder", "number", name="pk_decisions"),
        _link("decisions", "recordings"),
    )


# A cascade reaches the row when its recording is already gone, so only that may delete.
_SQLITE: Final = (
    "CREATE TRIGGER {table}_unchanged BEFORE UPDATE ON {table} "
    "BEGIN SELECT RAISE(ABORT, '{table} are never changed'); END",
    "CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} "
    "WHEN EXISTS (SELECT 1 FROM recordings WHERE id = OLD.recording_id) "
    "BEGIN SELECT RAISE(ABORT, '{table} go only with their recording'); END",
)
_FUNCTION: Final = """
CREATE FUNCTION micromimic_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF NOT EXISTS (SELECT 1 FROM recordings WHERE id = OLD.recording_id) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION '% are only ever added, and go with their recording', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$
"""
_POSTGRES: Final = (
    "CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION micromimic_kept()",
    "CREATE TRIGGER {table}_kept_whole BEFORE TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION micromimic_kept()",
)
