"""A person's records as the numbers that `analysis.trends` compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from micromimic.analysis.trends import (
    RecordingNumbers,
    SessionNumbers,
    recording_numbers,
    trends,
)
from micromimic.workstation.records import people, recordings, reviews
from micromimic.workstation.records.database import Transaction, reading
from micromimic.workstation.records.models import Recording


@reading
def subject_trends(
    transaction: Transaction,
    subject_id: str,
    *,
    coder: str | None = None,
    reader: str | None = None,
) -> dict[str, Any]:
    """One person's indicators session by session, schema ``micromimic.trends/1``.

    ``coder`` is whose finished reviews count; None whoever has finished most, since two coders'
    counts are never mixed. What nobody has marked done gives no rate, and least of all where the
    machine found nothing: nobody may have looked. ``reader`` is who asks; None the coder, or nobody
    in particular. Of recordings that are not open to this one (see `reviews.is_open_to`) others'
    reviews do not count, nor, where the study is coded blind, what the machine found.
    """
    found = recordings.list_recordings(transaction, subject_id=subject_id, limit=None)
    reader = reader or coder
    coder = coder or _main_coder(found)
    of_session: dict[str | None, list[RecordingNumbers]] = {}
    for recording in reversed(found):
        if (numbers := _numbers(transaction, recording, coder, reader)) is not None:
            of_session.setdefault(recording.session_id, []).append(numbers)
    sessions = [
        SessionNumbers(
            session_id=session.id,
            title=session.title,
            held_on=session.held_on,
            baseline=session.baseline,
            recordings=tuple(of_session.get(session.id, ())),
        )
        for session in people.list_sessions(transaction, subject_id)
    ]
    return trends(sessions, coder=coder)


def _main_coder(found: Sequence[Recording]) -> str | None:
    counts = Counter(name for recording in found for name in _finished(recording))
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


def _finished(recording: Recording) -> list[str]:
    """The coders who have marked it done."""
    return [one.coder for one in recording.progress if one.done]


def _numbers(
    transaction: Transaction, recording: Recording, coder: str | None, reader: str | None
) -> RecordingNumbers | None:
    """None before the machine has answered, or where its answer is hidden from the reader."""
    found = reviews.get_answer(transaction, recording.id, "blinks", "movement_levels")
    if found is None or not reviews.is_machine_open(transaction, recording.id, reader):
        return None
    coded = None
    if (
        coder is not None
        and coder in _finished(recording)
        and (coder == reader or reviews.is_open_to(transaction, recording.id, reader))
    ):
        events = reviews.review_of(transaction, found, coder).events
        coded = [(e.status, e.label) for e in events if e.kind == "micro"]
    return recording_numbers(found.payload, found.review, coded)
