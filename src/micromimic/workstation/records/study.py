"""The study that a data folder holds: how its coders work, and with which scheme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from types import EllipsisType
from typing import Any

from sqlalchemy import select

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.core.results import labels_in
from micromimic.workstation.records.database import Transaction, reading, writing
from micromimic.workstation.records.models import AnalysisRecord, Decision, Study, StudyMode
from micromimic.workstation.records.review import codings_in_force
from micromimic.workstation.records.scheme import Scheme


@reading
def get_study(transaction: Transaction, *, keep: bool = False) -> Study:
    """As it is now; as at first where nobody has changed it. With ``keep`` it stays so until the
    transaction ends, for what is written by its rules.
    """
    return transaction.get(Study, 1, with_for_update={"read": True} if keep else None) or Study()


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
    found = transaction.get(Study, 1, with_for_update=True)
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
    for recording_id, trails in _trails(transaction):
        codings = [(coder, one) for coder, trail in trails for one in codings_in_force(trail)]
        if scheme is not None and all("label" in coding for _, coding in codings):
            payload: Mapping[str, Any] = {}
        else:  # the machine's classes are asked for
            query = select(AnalysisRecord.payload)
            query = query.where(AnalysisRecord.recording_id == recording_id)
            payload = transaction.scalars(query).one()
        known = Scheme.of_labels(labels_in(payload)) if scheme is None else scheme
        for coder, coding in codings:
            if lacks := _lacks(known, coding, payload):
                raise ConflictError(
                    f"expected a scheme that holds what is coded already, got one without {lacks}, "
                    f"as {coder} coded it; add that to the scheme"
                )


def _lacks(scheme: Scheme, coding: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """What a scheme lacks to code an event so, in one word or two; empty where it has all."""
    label = coding.get("label") or payload["events"][int(coding["event"][1:])]["label"]
    if label not in scheme.labels:
        return f"the class {label}"
    for unit in coding.get("units", ()):
        try:
            scheme.coded_units([unit])
        except RefusedError:
            return f"AU {unit['au']}{unit['intensity']} {unit['side']}".strip()
    certainty = coding.get("certainty")
    if certainty and certainty not in scheme.certainty:
        return f"the certainty {certainty}"
    return next((f"the tag {tag}" for tag in coding.get("tags", ()) if tag not in scheme.tags), "")


def _trails(transaction: Transaction) -> Iterator[tuple[str, list[tuple[str, list[Any]]]]]:
    """Of every recording each coder's decisions, as rows: records would take ten times as long."""
    names = ("recording_id", "coder", "number", "action", "event", "payload", "target")
    columns = [getattr(Decision, name) for name in names]
    query = select(*columns).order_by(Decision.recording_id, Decision.coder, Decision.number)
    for recording_id, rows in groupby(transaction.execute(query), attrgetter("recording_id")):
        trails = groupby(rows, attrgetter("coder"))
        yield recording_id, [(coder, list(trail)) for coder, trail in trails]
