"""The first tables, and the triggers that keep what was decided."""

from __future__ import annotations

from typing import Final

from alembic import op

revision: Final = "0001"
down_revision: Final = None

KEPT: Final = ("analyses", "decisions")
"""Only ever added to; they go with their recording, never before it."""
_TABLES: Final = """
CREATE TABLE subjects (
  id VARCHAR(32) NOT NULL, code TEXT NOT NULL, note TEXT NOT NULL, created_at MOMENT NOT NULL,
  CONSTRAINT pk_subjects PRIMARY KEY (id),
  CONSTRAINT uq_subjects_code UNIQUE (code)
);
CREATE TABLE sessions (
  id VARCHAR(32) NOT NULL, subject_id VARCHAR(32) NOT NULL, title TEXT NOT NULL,
  held_on DATE NOT NULL, consent_given BOOLEAN NOT NULL, consent_noted_by TEXT NOT NULL,
  consent_note TEXT NOT NULL, consent_noted_at MOMENT, baseline BOOLEAN NOT NULL,
  created_at MOMENT NOT NULL,
  CONSTRAINT pk_sessions PRIMARY KEY (id),
  CONSTRAINT fk_sessions_subject_id FOREIGN KEY(subject_id) REFERENCES subjects (id)
    ON DELETE CASCADE
);
CREATE INDEX ix_sessions_subject_id ON sessions (subject_id);
CREATE TABLE recordings (
  id VARCHAR(32) NOT NULL, session_id VARCHAR(32), name TEXT NOT NULL, extension TEXT NOT NULL,
  size_bytes BIGINT NOT NULL, sha256 VARCHAR(64) NOT NULL, fps FLOAT, origin TEXT NOT NULL,
  consent_given BOOLEAN, consent_noted_by TEXT, consent_note TEXT, consent_noted_at MOMENT,
  media TEXT NOT NULL, uploaded_at MOMENT NOT NULL, expires_at MOMENT,
  CONSTRAINT pk_recordings PRIMARY KEY (id),
  CONSTRAINT ck_recordings_media CHECK (media IN ('kept', 'expired', 'none')),
  CONSTRAINT fk_recordings_session_id FOREIGN KEY(session_id) REFERENCES sessions (id)
    ON DELETE CASCADE
);
CREATE INDEX ix_recordings_session_id ON recordings (session_id);
CREATE INDEX ix_recordings_uploaded_at ON recordings (uploaded_at);
CREATE INDEX ix_recordings_expires_at ON recordings (expires_at);
CREATE TABLE jobs (
  id VARCHAR(32) NOT NULL, recording_id VARCHAR(32) NOT NULL, number INTEGER NOT NULL,
  status TEXT NOT NULL, stage TEXT NOT NULL, done BIGINT NOT NULL, total BIGINT,
  attempts INTEGER NOT NULL, error TEXT NOT NULL, worker TEXT NOT NULL, created_at MOMENT NOT NULL,
  started_at MOMENT, finished_at MOMENT, beat_at MOMENT,
  CONSTRAINT pk_jobs PRIMARY KEY (id),
  CONSTRAINT ck_jobs_status
    CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  CONSTRAINT uq_jobs_recording_id_number UNIQUE (recording_id, number),
  CONSTRAINT fk_jobs_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id)
    ON DELETE CASCADE
);
CREATE INDEX ix_jobs_status_created_at ON jobs (status, created_at);
CREATE UNIQUE INDEX uq_jobs_active ON jobs (recording_id) WHERE status IN ('queued', 'running');
CREATE TABLE analyses (
  recording_id VARCHAR(32) NOT NULL, payload JSON NOT NULL, review JSON NOT NULL,
  events INTEGER NOT NULL, created_at MOMENT NOT NULL,
  CONSTRAINT pk_analyses PRIMARY KEY (recording_id),
  CONSTRAINT fk_analyses_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id)
    ON DELETE CASCADE
);
CREATE TABLE decisions (
  recording_id VARCHAR(32) NOT NULL, coder TEXT NOT NULL, number INTEGER NOT NULL,
  action TEXT NOT NULL, event TEXT NOT NULL, payload JSON NOT NULL, target INTEGER,
  decided_at MOMENT NOT NULL,
  CONSTRAINT pk_decisions PRIMARY KEY (recording_id, coder, number),
  CONSTRAINT fk_decisions_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id)
    ON DELETE CASCADE
)
"""
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


def upgrade() -> None:
    """Make everything."""
    postgres = op.get_bind().dialect.name == "postgresql"
    moment = "TIMESTAMP WITH TIME ZONE" if postgres else "DATETIME"
    for statement in _TABLES.replace("MOMENT", moment).split(";"):
        op.execute(statement)
    if postgres:
        op.execute(_FUNCTION)
    for table in KEPT:
        for statement in _POSTGRES if postgres else _SQLITE:
            op.execute(statement.format(table=table))
