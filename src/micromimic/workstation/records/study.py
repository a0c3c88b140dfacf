"""The study that a data folder holds: how its coders work, and with which scheme."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any

from sqlalchemy import select

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.workstation.records.database import Transaction, reading, writing
from micromimic.workstation.records.models import AnalysisRecord, Decision, Study, StudyMode
from micromimic.workstation.records.review import FrameTimes, ReviewedEvent, reviewed
from micromimic.workstation.records.scheme import Scheme


@reading
def get_study(transaction: Transaction) -> Study:
    """As it is now; as at first where nobody has changed it."""
    return transaction.get(Study, 1) or Study()


@writing
def change_study(
    transaction: Transaction,
    *,
    title: str | None = None,
    mode: StudyMode | None = None,
    scheme: Mapping[str, Any] | EllipsisType | None = ...,
    overlap: float | None = None,
) -> Study:
    """What is given changes, None leaves it; a ``scheme`` of None takes it away, ``...`` leaves it.

    ``scheme`` is the content of a scheme's file: `RefusedError` where it is none, `ConflictError`
    where a coding in force uses what it lacks.
    """
    found = transaction.get(Study, 1)
    if found is None:
        found = Study()
        transaction.add(found)
    with transaction.no_autoflush:
        for column, value in (("title", title), ("mode", mode), ("overlap", overlap)):
            if value is not None:
                setattr(found, column, value)
        if not isinstance(scheme, EllipsisType):
            read = None if scheme is None else Scheme.read(scheme)
            _check_covers(transaction, read)
            found.scheme = None if read is None else read.to_dict()
        found.changed_at = transaction.now
    transaction.flush()
    return found


def _check_covers(transaction: Transaction, scheme: Scheme | None) -> None:
    """Refuse a scheme, or none, that lacks what a coding in force says."""
    for answer, coder, decisions in _trails(transaction):
        known = Scheme.of_labels(answer.labels) if scheme is None else scheme
        times = FrameTimes.of(answer.review)
        for event in reviewed(answer.payload["events"], decisions, times):
            if event.status == "accepted" and (lacks := _lacks(known, event)):
                raise ConflictError(
                    f"expected a scheme that holds what is coded already, got one without {lacks}, "
                    f"as {coder} coded it; add that to the scheme"
                )


def _lacks(scheme: Scheme, event: ReviewedEvent) -> str:
    """What a scheme lacks to code an event so, in one word or two; empty where it has all."""
    if event.label not in scheme.labels:
        return f"the class {event.label}"
    for unit in event.units:
        try:
            scheme.coded_units([unit])
        except RefusedError:
            return f"AU {unit['au']}{unit['intensity']} {unit['side']}".strip()
    if event.certainty and event.certainty not in scheme.certainty:
        return f"the certainty {event.certainty}"
    return next((f"the tag {tag}" for tag in event.tags if tag not in scheme.tags), "")


def _trails(
    transaction: Transaction,
) -> Iterator[tuple[AnalysisRecord, str, Sequence[Decision]]]:
    """Every coder's decisions on every recording, with the machine's answer to it."""
    ids = transaction.scalars(select(Decision.recording_id).distinct()).all()
    for recording_id in ids:
        answer = transaction.get(AnalysisRecord, recording_id)
        query = select(Decision).where(Decision.recording_id == recording_id)
        of_coder: dict[str, list[Decision]] = defaultdict(list)
        for decision in transaction.scalars(query.order_by(Decision.number)):
            of_coder[decision.coder].append(decision)
        if answer is not None:
            yield from ((answer, coder, trail) for coder, trail in of_coder.items())
