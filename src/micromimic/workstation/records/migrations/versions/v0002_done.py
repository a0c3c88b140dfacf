"""Reviews that were complete before coders marked them done are done."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

_DECIDING: Final = frozenset({"accept", "reject", "relabel", "move"})
_ANSWERS: Final = sa.table("analyses", sa.column("recording_id"), sa.column("events"))
_DECISIONS: Final = sa.table(
    "decisions",
    *map(sa.column, ("recording_id", "coder", "number", "action", "event", "target")),
    sa.column("payload", sa.JSON()),
    sa.column("decided_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    """Add a ``done`` to the trail of each coder who had decided every candidate.

    Until now such a review was open to others' decisions and counted in agreement. The entry has
    the time of the coder's last decision.
    """
    connection = op.get_bind()
    events = {row.recording_id: row.events for row in connection.execute(sa.select(_ANSWERS))}
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
        for (recording_id, coder), trail in trails(connection).items()
        if (made := in_force(trail)) is not None
        and {f"m{k}" for k in range(events.get(recording_id, 0))} <= decided(made)
    ]
    if added:
        connection.execute(sa.insert(_DECISIONS), added)


def trails(connection: sa.Connection) -> dict[tuple[str, str], list[Any]]:
    """Decisions of each recording and coder, by number."""
    columns = [column for column in _DECISIONS.c if column.name != "payload"]
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(*columns).order_by(_DECISIONS.c.number)):
        found[row.recording_id, row.coder].append(row)
    return found


def in_force(trail: list[Any]) -> list[Any] | None:
    """The decisions that count.

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
    return made


def decided(made: list[Any]) -> set[str]:
    """The events that these decisions have accepted or rejected."""
    return {row.event for row in made if row.action in _DECIDING}
