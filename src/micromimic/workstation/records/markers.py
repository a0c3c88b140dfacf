"""Markers of a recording: stimuli, trials and conditions as rows of its timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import delete, func, select

from micromimic.core.errors import RefusedError
from micromimic.workstation.records import values
from micromimic.workstation.records.database import Transaction, reading, writing
from micromimic.workstation.records.models import Marker, Recording

MOST_MARKERS: Final = 20_000
"""Of one recording."""


@reading
def list_markers(transaction: Transaction, recording_id: str) -> tuple[Marker, ...]:
    """All of a recording, by time."""
    transaction.check_known(Recording, recording_id)
    query = select(Marker).where(Marker.recording_id == recording_id)
    return tuple(
        transaction.scalars(query.order_by(Marker.onset_s, Marker.offset_s, Marker.tier, Marker.id))
    )


@writing
def add_markers(
    transaction: Transaction,
    recording_id: str,
    markers: Iterable[Mapping[str, Any]],
    *,
    origin: str = "",
) -> tuple[Marker, ...]:
    """Add ``tier``, ``label``, ``onset_s`` and, for a stretch, ``offset_s`` of each; all or none.

    ``origin`` says where they come from, such as a file's name.
    """
    transaction.check_known(Recording, recording_id)
    made = [
        Marker(
            recording_id=recording_id,
            tier=given["tier"],
            label=given["label"],
            onset_s=given["onset_s"],
            offset_s=given["onset_s"] if (end := given.get("offset_s")) is None else end,
            origin=origin,
            created_at=transaction.now,
        )
        for given in markers
    ]
    for marker in made:
        if marker.offset_s < marker.onset_s:
            raise RefusedError(
                f"expected a marker that ends after it begins, got {marker.onset_s:g} to "
                f"{marker.offset_s:g} s; correct its times"
            )
    there = select(func.count()).where(Marker.recording_id == recording_id)
    if transaction.scalars(there).one() + len(made) > MOST_MARKERS:
        raise RefusedError(
            f"expected at most {MOST_MARKERS} markers of a recording, got more; leave some out"
        )
    transaction.add_all(made)
    return tuple(made)


@writing
def remove_marker(
    transaction: Transaction, marker_id: str, *, recording_id: str | None = None
) -> None:
    """Remove one marker; with a ``recording_id`` only one of this recording."""
    query = delete(Marker).where(Marker.id == values.known_id(marker_id, "marker"))
    if recording_id is not None:
        query = query.where(Marker.recording_id == recording_id)
    if transaction.connection().execute(query).rowcount == 0:
        raise values.not_found("marker", marker_id)


@writing
def remove_markers(transaction: Transaction, recording_id: str, origin: str) -> int:
    """Remove what came from one place, so that it can be added anew; how many that were."""
    transaction.check_known(Recording, recording_id)
    query = delete(Marker).where(Marker.recording_id == recording_id, Marker.origin == origin)
    return int(transaction.connection().execute(query).rowcount)
