"""The machine's answer, and what coders decided about it: decisions are only added."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import select

from micromimic.core.errors import ConflictError, NotFoundError
from micromimic.workstation.records import values
from micromimic.workstation.records.database import Store, Transaction, reading, writing
from micromimic.workstation.records.models import AnalysisRecord, Decision, Recording
from micromimic.workstation.records.review import FrameTimes, Review, check, is_done, make_review


@reading
def get_analysis(transaction: Transaction, recording_id: str) -> AnalysisRecord | None:
    """The machine's own answer; None before there is one."""
    transaction.require(Recording, recording_id)
    return transaction.get(AnalysisRecord, recording_id)


@reading
def get_review(transaction: Transaction, recording_id: str, coder: str) -> Review:
    """The events as one coder sees them now; `NotFoundError` before the machine has answered."""
    name = values.coder(coder)
    return _review(
        _answer(transaction, recording_id), history(transaction, recording_id, name), name
    )


def decide(
    store: Store,
    recording_id: str,
    *,
    coder: str,
    expected: int,
    action: str,
    event: str = "",
    **payload: Any,
) -> Review:
    """Add one decision of a coder, an `payloads.Action`; undoing and redoing are decisions too.

    ``expected`` is the number of the coder's last decision that this one was made upon, 0 before
    the first: `ConflictError` where another was saved since, in another window. ``event`` is
    ``m0``, ``c3``, empty for a new one; ``payload`` is ``label``, ``onset_frame``, ``apex_frame``,
    ``offset_frame``, ``note`` as the action needs, None counts as left out.
    """
    name = values.coder(coder)
    try:
        return _add(store, recording_id, name, expected, action, event, payload)
    except ConflictError as error:
        # Two at the same moment, on a database that lets both begin: the key let one through.
        # What this one should hear is who was first.
        last = history(store, recording_id, name)
        if last and last[-1].number != expected:
            raise _outrun(name, expected, last[-1]) from error
        raise


@reading
def history(
    transaction: Transaction, recording_id: str, coder: str | None = None
) -> tuple[Decision, ...]:
    """The audit trail: every decision ever made, by time; one coder's by number."""
    transaction.require(Recording, recording_id)
    query = select(Decision).where(Decision.recording_id == recording_id)
    if coder is not None:
        query = query.where(Decision.coder == values.coder(coder)).order_by(Decision.number)
    else:
        query = query.order_by(Decision.decided_at, Decision.coder, Decision.number)
    return tuple(transaction.scalars(query))


@reading
def is_open_to(transaction: Transaction, recording_id: str, reader: str | None) -> bool:
    """Whether this reader may see what the coders of a recording decided.

    ``reader`` is the coder who reads; None somebody unnamed, who may once all who began are done,
    or where there is but one coder.
    """
    if reader is not None:
        return is_done(history(transaction, recording_id, reader))
    decisions = sorted(history(transaction, recording_id), key=attrgetter("coder", "number"))
    done = [is_done(own) for _, own in groupby(decisions, key=attrgetter("coder"))]
    return len(done) <= 1 or all(done)


@reading
def check_open(
    transaction: Transaction, recording_id: str, reader: str | None, *coders: str
) -> None:
    """Refuse to show a reader what others decided on a recording before the reader is done.

    ``reader`` is as of `is_open_to`, ``coders`` whose decisions are asked for; one's own, and the
    machine's, are always open. `ConflictError` where the reader, or for an unnamed one somebody, is
    not done.
    """
    own = None if reader is None else values.coder(reader)
    others = {
        name for name in coders if name != own and name.casefold() not in values.RESERVED_CODERS
    }
    if others and not is_open_to(transaction, recording_id, own):
        raise ConflictError(
            f"expected {own or 'every coder who began'} to have marked this recording done "
            "before the decisions of others are shown, got a review that is not; mark it done"
        )


@reading
def coders(transaction: Transaction, recording_id: str) -> tuple[str, ...]:
    """Who has decided anything here, by name."""
    return transaction.require(Recording, recording_id).coders


@writing
def _add(
    transaction: Transaction,
    recording_id: str,
    coder: str,
    expected: int,
    action: str,
    event: str,
    payload: dict[str, Any],
) -> Review:
    answer = _answer(transaction, recording_id)
    made = history(transaction, recording_id, coder)
    if expected != (made[-1].number if made else 0):
        raise _outrun(coder, expected, made[-1] if made else None)
    entry = check(
        answer.payload["events"],
        made,
        FrameTimes.of(answer.review),
        action=action,
        event=event,
        payload=payload,
        labels=answer.labels,
    )
    new = Decision(
        recording_id=recording_id,
        coder=coder,
        number=expected + 1,
        action=entry.action,
        event=entry.event,
        payload=dict(entry.payload),
        target=entry.target,
        decided_at=transaction.now,
    )
    transaction.add(new)
    return _review(answer, (*made, new), coder)


def _answer(transaction: Transaction, recording_id: str) -> AnalysisRecord:
    recording = transaction.require(Recording, recording_id)
    answer = transaction.get(AnalysisRecord, recording_id)
    if answer is None:
        status = recording.job.status if recording.job else "gone"
        raise NotFoundError(
            f"expected a recording with an answer of the machine, got one whose analysis is "
            f"{status}; wait for it or start it again"
        )
    return answer


def _review(answer: AnalysisRecord, made: tuple[Decision, ...], coder: str) -> Review:
    return make_review(
        answer.recording_id, coder, answer.payload["events"], made, FrameTimes.of(answer.review)
    )


def _outrun(coder: str, expected: int, last: Decision | None) -> ConflictError:
    if last is None:
        got = "none"
    else:
        what = " ".join(filter(None, (last.action, last.event)))
        got = f"{last.number} ({what}, by {coder} at {last.decided_at:%Y-%m-%d %H:%M:%S} UTC)"
    return ConflictError(
        f"expected decision {expected} to be the last of {coder}, got {got}; reload and decide "
        "again"
    )
