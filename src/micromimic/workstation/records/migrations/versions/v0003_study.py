"""A study, its conditions and markers; how far coders are; numbers of a recording beside it."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from micromimic.workstation.records.migrations.versions.v0002_done import (
    decided,
    in_force,
    trails,
)

revision: Final = "0003"
down_revision: Final = "0002"

_TABLES: Final = """
CREATE TABLE study (
  number INTEGER NOT NULL, title TEXT NOT NULL, mode TEXT NOT NULL, scheme JSON,
  overlap FLOAT NOT NULL, changed_at MOMENT,
  CONSTRAINT pk_study PRIMARY KEY (number),
  CONSTRAINT ck_study_one CHECK (number = 1),
  CONSTRAINT ck_study_mode CHECK (mode IN ('open', 'blind'))
);
CREATE TABLE markers (
  id VARCHAR(32) NOT NULL, recording_id VARCHAR(32) NOT NULL, tier TEXT NOT NULL,
  label TEXT NOT NULL, onset_s FLOAT NOT NULL, offset_s FLOAT NOT NULL, origin TEXT NOT NULL,
  created_at MOMENT NOT NULL,
  CONSTRAINT pk_markers PRIMARY KEY (id),
  CONSTRAINT fk_markers_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id)
    ON DELETE CASCADE
);
CREATE INDEX ix_markers_recording_id ON markers (recording_id);
CREATE TABLE progress (
  recording_id VARCHAR(32) NOT NULL, coder TEXT NOT NULL, decided INTEGER NOT NULL,
  candidates INTEGER NOT NULL, done BOOLEAN NOT NULL,
  CONSTRAINT pk_progress PRIMARY KEY (recording_id, coder),
  CONSTRAINT fk_progress_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id)
    ON DELETE CASCADE
);
ALTER TABLE sessions ADD COLUMN condition TEXT DEFAULT '' NOT NULL;
ALTER TABLE decisions ADD COLUMN mode TEXT DEFAULT 'open' NOT NULL
  CONSTRAINT ck_decisions_mode CHECK (mode IN ('open', 'blind', 'imported'));
ALTER TABLE recordings ADD COLUMN events INTEGER;
ALTER TABLE recordings ADD COLUMN longer INTEGER;
ALTER TABLE recordings ADD COLUMN duration_s FLOAT;
ALTER TABLE recordings ADD COLUMN observed_s FLOAT;
ALTER TABLE recordings ADD COLUMN person INTEGER;
ALTER TABLE recordings ADD COLUMN others INTEGER;
CREATE INDEX ix_recordings_sha256 ON recordings (sha256)
"""
_ANSWERS: Final = sa.table(
    "analyses", sa.column("recording_id"), sa.column("payload", sa.JSON()), sa.column("events")
)
_RECORDINGS: Final = sa.table(
    "recordings",
    *(sa.column(name) for name in ("id", "events", "longer", "duration_s", "observed_s", "others")),
)
_PROGRESS: Final = sa.table(
    "progress",
    *(sa.column(name) for name in ("recording_id", "coder", "decided", "candidates", "done")),
)


def upgrade() -> None:
    """Make the tables and columns, and fill them from the answers and the trails."""
    connection = op.get_bind()
    postgres = connection.dialect.name == "postgresql"
    moment = "TIMESTAMP WITH TIME ZONE" if postgres else "DATETIME"
    for statement in _TABLES.replace("MOMENT", moment).split(";"):
        op.execute(statement)
    micro: dict[str, set[str]] = {}
    for recording_id in connection.scalars(sa.select(_ANSWERS.c.recording_id)).all():
        one = sa.select(_ANSWERS).where(_ANSWERS.c.recording_id == recording_id)
        micro[recording_id] = _fill(connection, connection.execute(one).one())
    progress = []
    for (recording_id, coder), trail in trails(connection).items():
        made = in_force(trail) or []
        candidates = micro.get(recording_id, set())
        progress.append(
            {
                "recording_id": recording_id,
                "coder": coder,
                "decided": len(decided(made) & candidates),
                "candidates": len(candidates),
                "done": bool(made) and made[-1].action == "done",
            }
        )
    if progress:
        connection.execute(sa.insert(_PROGRESS), progress)


def _fill(connection: sa.Connection, row: Any) -> set[str]:
    """Copy an answer's numbers beside its recording; the keys of its micro-expressions."""
    payload = row.payload
    kinds = [entry.get("kind", "micro") for entry in payload["events"]]
    observed = payload.get("indicators", {}).get("observed_s") or {}
    connection.execute(
        sa.update(_RECORDINGS)
        .where(_RECORDINGS.c.id == row.recording_id)
        .values(
            events=row.events,
            longer=kinds.count("macro"),
            duration_s=payload.get("source", {}).get("duration_s"),
            observed_s=observed.get("value"),
            others=payload.get("face", {}).get("others_seen"),
        )
    )
    return {f"m{index}" for index, kind in enumerate(kinds) if kind != "macro"}
