"""The machine's answer, and what coders decided about it: decisions are only added.

In a study that is coded blind, what is read here of the machine's answer for a coder is without
what this coder has not decided yet (`blind`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import select

from micromimic.core.errors import ConflictError, NotFoundError
from micromimic.core.results import kind_of, labels_in
from micromimic.workstation.records import values
from micromimic.workstation.records.blind import masked_content, masked_indices, masked_review
from micromimic.workstation.records.database import Store, Transaction, reading, writing
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Decision,
    Progress,
    Recording,
    Study,
)
from micromimic.workstation.records.review import (
    Entry,
    FrameTimes,
    Review,
    check,
    is_masked,
    make_review,
)
from micromimic.workstation.records.study import get_study

_TIMES: Final = ("frames", "fps", "start_s", "frame_times")
"""Of ``review.json``, for `FrameTimes`."""


@dataclass(frozen=True)
class Answer:
    """The machine's answer without the pictures' numbers, which are nearly all of it.

    ``payload`` is the content of ``events.json``, ``review`` what was asked for of ``review.json``.
    """

    recording_id: str
    payload: Mapping[str, Any]
    review: Mapping[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        return labels_in(self.payload)

    @property
    def times(self) -> FrameTimes:
        return FrameTimes.of(self.review)


@dataclass(frozen=True)
class Shown:
    """What a coder sees of a recording: masked where the study is coded blind.

    ``analysis`` is the content of ``events.json``, ``shown`` that of ``review.json``; ``labels``
    are the classes to choose from.
    """

    study: Study
    labels: tuple[str, ...]
    analysis: Mapping[str, Any]
    shown: Mapping[str, Any]
    review: Review


@reading
def get_analysis(transaction: Transaction, recording_id: str) -> AnalysisRecord | None:
    """The machine's own answer, whole; None before there is one."""
    transaction.check_known(Recording, recording_id)
    return transaction.get(AnalysisRecord, recording_id)


@reading
def get_answer(transaction: Transaction, recording_id: str, *names: str) -> Answer | None:
    """As `get_analysis`, of ``review.json`` only these entries and when its frames were taken."""
    transaction.check_known(Recording, recording_id)
    wanted = (*_TIMES, *names)
    columns = [AnalysisRecord.review[name] for name in wanted]
    query = select(AnalysisRecord.payload, *columns)
    row = transaction.execute(query.where(AnalysisRecord.recording_id == recording_id)).first()
    if row is None:
        return None
    payload, *values_ = row
    return Answer(recording_id, payload, dict(zip(wanted, values_, strict=True)))


@reading
def get_review(
    transaction: Transaction,
    recording_id: str,
    coder: str,
    *,
    reader: str | None = None,
    whole: bool = False,
) -> Review:
    """The events as one coder sees them now; `NotFoundError` before the machine has answered.

    ``reader`` is who asks, where it is another coder; ``whole`` leaves nothing out, for who leads
    the study and for what no coder reads.
    """
    name = values.coder(coder)
    answer = _answer(transaction, recording_id)
    review = review_of(transaction, answer, name)
    return review if whole else _as_shown(transaction, review, answer, reader or name)


def review_of(transaction: Transaction, answer: Answer | AnalysisRecord, coder: str) -> Review:
    """One coder's review, whole, where the answer is there already."""
    return _review(answer, history(transaction, answer.recording_id, coder), coder)


@reading
def get_shown(
    transaction: Transaction, recording_id: str, coder: str, *, reader: str | None = None
) -> Shown | None:
    """All that is shown of a review; ``reader`` as of `get_review`. None before the answer."""
    answer = get_analysis(transaction, recording_id)
    if answer is None:
        return None
    study = get_study(transaction)
    name = values.coder(coder)
    review = review_of(transaction, answer, name)
    payload, shown = answer.payload, answer.review
    if not is_machine_open(transaction, recording_id, reader or name):
        review = masked_review(review, answer.times)
        masked = masked_indices(review.events)
        payload, shown = masked_content(payload, masked), masked_content(shown, masked)
    return Shown(study, study.coding(answer.labels).labels, payload, shown, review)


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
    ``offset_frame``, ``units``, ``certainty``, ``tags``, ``note`` as the action needs, None counts
    as left out.
    """
    name = values.coder(coder)
    try:
        with store.write() as transaction:
            answer = _answer(transaction, recording_id)
            study = get_study(transaction, keep=True)
            made = history(transaction, recording_id, name)
            _check_last(made, name, expected)
            entry = check(
                answer.payload["events"],
                made,
                answer.times,
                action=action,
                event=event,
                payload=payload,
                scheme=study.coding(answer.labels),
                blind=study.blind,
            )
            new = _decision(transaction, recording_id, name, expected + 1, entry)
            return _add(transaction, answer, name, made, [new])
    except ConflictError:
        # Two at the same moment, on a database that lets both begin: the key let one through.
        # What this one should hear is who was first.
        _check_last(history(store, recording_id, name), name, expected)
        raise


@writing
def import_coding(
    transaction: Transaction,
    recording_id: str,
    coder: str,
    events: Iterable[Mapping[str, Any]],
    *,
    done: bool = True,
) -> Review:
    """Somebody's coding that was made elsewhere, as a coder's trail of the mode ``imported``.

    ``events`` are payloads of ``add``: ``label``, ``onset_frame``, ``apex_frame``,
    ``offset_frame``, and whatever else it may say. All of them or none: `ConflictError` where this
    coder has decided something there already.
    """
    name = values.coder(coder)
    answer = _answer(transaction, recording_id)
    scheme = get_study(transaction, keep=True).coding(answer.labels)
    machine = answer.payload["events"]
    entries = [  # each is checked by itself: none depends on another
        replace(
            check(machine, (), answer.times, action="add", payload=event, scheme=scheme),
            event=f"c{number}",
        )
        for number, event in enumerate(events, 1)
    ]
    if done:
        entries.append(Entry("done"))
    made = [
        _decision(transaction, recording_id, name, number, replace(entry, mode="imported"))
        for number, entry in enumerate(entries, 1)
    ]
    return add_trail(transaction, recording_id, name, made)


@writing
def add_trail(
    transaction: Transaction, recording_id: str, coder: str, decisions: Sequence[Decision]
) -> Review:
    """A coder's whole trail as it is, on a recording where this coder has decided nothing, or its
    beginning.
    """
    name = values.coder(coder)
    answer = _answer(transaction, recording_id)
    there = history(transaction, recording_id, name)
    if [d.decided_at for d in there] != [d.decided_at for d in decisions[: len(there)]]:
        raise ConflictError(
            f"expected a coder who has decided nothing on this recording, got {name} with "
            f"{len(there)} decisions; name another coder"
        )
    return _add(transaction, answer, name, there, decisions[len(there) :])


@reading
def history(
    transaction: Transaction, recording_id: str, coder: str | None = None
) -> tuple[Decision, ...]:
    """The audit trail: every decision ever made, by time; one coder's by number."""
    transaction.check_known(Recording, recording_id)
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
    done = _done(transaction, recording_id, reader)
    return any(done) if reader is not None else len(done) <= 1 or all(done)


@reading
def is_import_open(transaction: Transaction, recording_id: str, reader: str | None) -> bool:
    """Whether this reader may see tiers that were imported: others' codings are among them where
    one came so. ``reader`` is as of `is_open_to`, but nobody in particular may not see a lone
    coder's.
    """
    own = _person(reader)
    query = select(Decision.coder).distinct()
    query = query.where(Decision.recording_id == recording_id, Decision.mode == "imported")
    coded = set(transaction.scalars(query)) - {None if own is None else values.coder(own)}
    if not coded:
        return True
    done = _done(transaction, recording_id, own)
    return all(done) if own is None else any(done)


@reading
def is_machine_open(transaction: Transaction, recording_id: str, reader: str | None) -> bool:
    """Whether this reader may see the machine's whole answer to a recording: always in an open
    study; in one that is coded blind once the own review is done, or, for somebody unnamed, once
    somebody has begun and all who have are done.
    """
    if not get_study(transaction).blind:
        return True
    done = _done(transaction, recording_id, _person(reader))
    return bool(done) and all(done)


@reading
def check_machine_open(
    transaction: Transaction, recording_id: str, reader: str | None, index: int | None = None
) -> None:
    """Refuse to show the machine's answer to a recording, or to the event of an ``index``, to a
    coder of a blind study before that is decided; ``reader`` is as of `is_machine_open`.
    """
    if is_machine_open(transaction, recording_id, reader):
        return
    who = reader or "all who began (name the coder who asks)"
    if reader is None or index is None:
        raise ConflictError(
            f"expected {who} to have marked this recording done before the machine's answer is "
            "shown, since this study is coded blind, got a review that is not; mark it done"
        )
    review = get_review(transaction, recording_id, reader, whole=True)
    found = next((event for event in review.events if event.key == f"m{index}"), None)
    if found is not None and is_masked(found, blind=True, done=review.done):
        raise ConflictError(
            f"expected an event that {who} has decided, since this study is coded blind, got one "
            "that is not; decide it first"
        )


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
    others = any(name != own and _person(name) for name in coders)
    if others and not is_open_to(transaction, recording_id, own):
        raise ConflictError(
            f"expected {own or 'every coder who began'} to have marked this recording done "
            "before the decisions of others are shown, got a review that is not; mark it done"
        )


@reading
def coders(transaction: Transaction, recording_id: str) -> tuple[str, ...]:
    """Who has decided anything here, by name."""
    return transaction.require(Recording, recording_id).coders


def _person(reader: str | None) -> str | None:
    """The coder who reads; the machine is nobody in particular."""
    return None if reader is None or reader.casefold() in values.RESERVED_CODERS else reader


def _done(transaction: Transaction, recording_id: str, coder: str | None) -> list[bool]:
    """Whether a coder who began is done, or each who did."""
    transaction.check_known(Recording, recording_id)
    query = select(Progress.done).where(Progress.recording_id == recording_id)
    if coder is not None:
        query = query.where(Progress.coder == values.coder(coder))
    return list(transaction.scalars(query))


def _answer(transaction: Transaction, recording_id: str) -> Answer:
    answer = get_answer(transaction, recording_id)
    if answer is None:
        recording = transaction.require(Recording, recording_id)
        status = recording.job.status if recording.job else "gone"
        raise NotFoundError(
            f"expected a recording with an answer of the machine, got one whose analysis is "
            f"{status}; wait for it or start it again"
        )
    return answer


def _review(answer: Answer | AnalysisRecord, made: tuple[Decision, ...], coder: str) -> Review:
    return make_review(answer.recording_id, coder, answer.payload["events"], made, answer.times)


def _as_shown(transaction: Transaction, review: Review, answer: Answer, reader: str) -> Review:
    if is_machine_open(transaction, review.recording_id, reader):
        return review
    return masked_review(review, answer.times)


def _decision(
    transaction: Transaction, recording_id: str, coder: str, number: int, entry: Entry
) -> Decision:
    return Decision(
        recording_id=recording_id,
        coder=coder,
        number=number,
        decided_at=transaction.now,
        **vars(entry),
    )


def _add(
    transaction: Transaction,
    answer: Answer,
    coder: str,
    there: tuple[Decision, ...],
    new: Sequence[Decision],
) -> Review:
    """Add to a coder's trail, and note how far the coder is."""
    review = _review(answer, (*there, *new), coder)
    transaction.add_all(new)
    statuses = [
        event.status
        for event in review.events
        if event.machine is not None and kind_of(event.machine) == "micro"
    ]
    row = Progress(
        recording_id=answer.recording_id,
        coder=coder,
        decided=len(statuses) - statuses.count("pending"),
        candidates=len(statuses),
        done=review.done,
    )
    transaction.merge(row)
    return _as_shown(transaction, review, answer, coder)


def _check_last(made: Sequence[Decision], coder: str, expected: int) -> None:
    """Refuse to decide upon another state than the newest."""
    last = made[-1] if made else None
    if expected == (last.number if last else 0):
        return
    got = "none"
    if last is not None:
        what = " ".join(filter(None, (last.action, last.event)))
        got = f"{last.number} ({what}, by {coder} at {last.decided_at:%Y-%m-%d %H:%M:%S} UTC)"
    raise ConflictError(
        f"expected decision {expected} to be the last of {coder}, got {got}; reload and decide "
        "again"
    )
