"""A study, its conditions and markers; how far coders are; numbers of a recording beside it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

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
_DECIDES: Final = frozenset({"accept", "reject", "relabel", "move"})
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
_DECISIONS: Final = sa.table(
    "decisions",
    *(sa.column(name) for name in ("recording_id", "coder", "number", "action", "event", "target")),
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
    trails: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(_DECISIONS).order_by(_DECISIONS.c.number)):
        trails[row.recording_id, row.coder].append(row)
    made = []
    for (recording_id, coder), trail in trails.items():
        decided, done = _read(trail)
        candidates = micro.get(recording_id, set())
        made.append(
            {
                "recording_id": recording_id,
                "coder": coder,
                "decided": len(decided & candidates),
                "candidates": len(candidates),
                "done": done,
            }
        )
    if made:
        connection.execute(sa.insert(_PROGRESS), made)


def downgrade() -> None:
    """Remove them; what was said of units, certainty and tags stays in the decisions."""
    for table in ("progress", "markers", "study"):
        op.drop_table(table)
    op.drop_index("ix_recordings_sha256")
    for column in ("events", "longer", "duration_s", "observed_s", "person", "others"):
        op.drop_column("recordings", column)
    op.drop_column("sessions", "condition")
    op.execute("ALTER TABLE decisions DROP COLUMN mode")


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


def _read(trail: list[Any]) -> tuple[set[str], bool]:
    """The events that decisions in force have decided, and whether the last of them is ``done``.

    Nothing where the trail is damaged: whoever opens that review is told so, all others go on.
    """
    made: list[Any] = []
    undone: list[Any] = []
    for row in trail:
        if row.action in ("undo", "redo"):
            source, target = (made, undone) if row.action == "undo" else (undone, made)
            if not source or source[-1].number != row.target:
                return set(), False
            target.append(source.pop())
        else:
            made.append(row)
            undone.clear()
    decided = {row.event for row in made if row.action in _DECIDES}
    return decided, bool(made) and made[-1].action == "done"
