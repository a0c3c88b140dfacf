"""Reviews that were complete before coders marked them done are done."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

_DECIDES: Final = frozenset({"accept", "reject", "relabel", "move"})


def upgrade() -> None:
    """Add a ``done`` to the trail of each coder who had decided every candidate.

    Until now such a review was open to others' decisions and counted in agreement. The entry has
    the time of the coder's last decision.
    """
    connection = op.get_bind()
    answers = sa.table("analyses", sa.column("recording_id"), sa.column("events", sa.Integer()))
    decisions = sa.table(
        "decisions",
        sa.column("recording_id"),
        sa.column("coder"),
        sa.column("number", sa.Integer()),
        sa.column("action"),
        sa.column("event"),
        sa.column("payload", sa.JSON()),
        sa.column("target", sa.Integer()),
        sa.column("decided_at", sa.DateTime(timezone=True)),
    )
    events = {row.recording_id: row.events for row in connection.execute(sa.select(answers))}
    trails: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(decisions).order_by(decisions.c.number)):
        trails[row.recording_id, row.coder].append(row)
    added = [
        {
            "recording_id": recording_id,
            "coder": coder,
            "number": trail[-1].number + 1,
            "action": "done",
            "event": "",
            "payload": {},
            "target": None,
            "decided_at": trail[-1].decided_at,
        }
        for (recording_id, coder), trail in trails.items()
        if (decided := _decided(trail)) is not None
        and {f"m{k}" for k in range(events.get(recording_id, 0))} <= decided
    ]
    if added:
        connection.execute(sa.insert(decisions), added)


def downgrade() -> None:
    """Nothing: what is in the trail stays there."""


def _decided(trail: list[Any]) -> set[str] | None:
    """The events that decisions in force have accepted or rejected.

    None where the trail is damaged: whoever opens that review is told so, all others go on.
    """
    made: list[Any] = []
    undone: list[Any] = []
    for row in trail:
        if row.action in ("undo", "redo"):
            source, target = (made, undone) if row.action == "undo" else (undone, made)
            if not source or source[-1].number != row.target:
                return None
            target.append(source.pop())
        else:
            made.append(row)
            undone.clear()
    return {row.event for row in made if row.action in _DECIDES}
