"""A whole study as one reader may see it: each recording with its answer, reviews and markers.

Who leads the study, at the data folder, sees everything. Over the network nobody is shown what
others decided on a recording before the own review is done, nor, in a study that is coded blind,
what the machine says before that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import select

from micromimic.core.errors import ConflictError
from micromimic.core.results import labels_in
from micromimic.core.types import Interval
from micromimic.evaluation.agreement import CodedEvent
from micromimic.workstation.records import recordings, values
from micromimic.workstation.records.blind import masked_review
from micromimic.workstation.records.database import Transaction
from micromimic.workstation.records.markers import list_markers
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Decision,
    Marker,
    Recording,
    Study,
)
from micromimic.workstation.records.review import (
    FrameTimes,
    Review,
    ReviewedEvent,
    is_done,
    make_review,
    reviewed,
)
from micromimic.workstation.records.study import get_study

MACHINE: Final = "machine"
_REVIEW: Final = (
    *("frames", "fps", "start_s", "frame_times"),
    *("blinks", "rejected", "gated", "frames_bin"),
)


@dataclass(frozen=True)
class Reader:
    """Who asks: a coder by name, None somebody unnamed; ``leads`` sees everything."""

    name: str | None = None
    leads: bool = False


LEAD: Final = Reader(leads=True)


@dataclass(frozen=True)
class Answer:
    """The machine's: the content of ``events.json``, and of ``review.json`` what is small."""

    payload: Mapping[str, Any]
    review: Mapping[str, Any]


@dataclass(frozen=True)
class Studied:
    """One recording; ``answer`` is None before the machine has answered.

    ``reviews`` and ``trails`` are of those coders whom the reader may see; ``machine``: whether the
    machine's own answer may be seen; ``hidden`` counts the coders who may not. ``labels`` are the
    classes that coders choose from.
    """

    recording: Recording
    answer: Answer | None
    reviews: Mapping[str, Review]
    trails: Mapping[str, Sequence[Decision]]
    markers: Sequence[Marker]
    machine: bool
    hidden: int
    labels: tuple[str, ...]

    @property
    def coders(self) -> tuple[str, ...]:
        """Whose events may be seen, the machine's first."""
        return (*((MACHINE,) if self.machine else ()), *self.reviews)

    @property
    def times(self) -> FrameTimes:
        assert self.answer is not None
        return FrameTimes.of(self.answer.review)

    def events(self, coder: str) -> tuple[ReviewedEvent, ...]:
        """As this coder sees them; the machine's own, none of them decided."""
        if coder != MACHINE:
            return self.reviews[coder].events
        assert self.answer is not None
        return reviewed(self.answer.payload["events"], (), self.times)

    def is_done(self, coder: str) -> bool:
        """Whether a coder is; the machine is, where its answer may be seen."""
        if coder == MACHINE:
            return self.machine and self.answer is not None
        return coder in self.reviews and self.reviews[coder].done

    def coded(self, coder: str) -> list[CodedEvent]:
        return coded_events(coder, self.events(coder))


def coded_events(coder: str, events: Iterable[ReviewedEvent]) -> list[CodedEvent]:
    """For `evaluation.agreement`; the machine holds all of its own to be there."""
    return [
        CodedEvent(
            key=f"{coder} {event.key}" if event.added else event.key,
            interval=Interval(event.onset_s, event.apex_s, event.offset_s),
            label=event.label,
            status="accepted" if coder == MACHINE else event.status,
            added=event.added,
            kind=event.kind,
            mode=event.mode,
        )
        for event in events
    ]


def units_text(units: Iterable[Mapping[str, Any]]) -> str:
    """A coder's action units as FACS writes them.

    >>> units_text([{"au": 12, "side": "left", "intensity": "C"}, {"au": 4, "side": ""}])
    'L12C+4'
    """
    return "+".join(
        f"{unit.get('side', '')[:1].upper()}{unit['au']}{unit.get('intensity', '')}"
        for unit in units
    )


def studied(transaction: Transaction, reader: Reader) -> Iterator[Studied]:
    """Every recording, the earliest first, one at a time: answers are large.

    `ConflictError` where a study is coded blind and somebody unnamed asks.
    """
    study = get_study(transaction)
    if study.blind and not reader.leads and reader.name is None:
        raise ConflictError(
            "expected the name of the coder who asks, since this study is coded blind, got none; "
            "name a reader"
        )
    name = None if reader.name is None else values.coder(reader.name)
    for recording in reversed(recordings.list_recordings(transaction, limit=None)):
        answer = _answer(transaction, recording.id)
        yield _studied(transaction, study, recording, answer, Reader(name, reader.leads))


def _answer(transaction: Transaction, recording_id: str) -> Answer | None:
    """Read without the pictures' numbers, which are nearly all of it."""
    small = [AnalysisRecord.review[name] for name in _REVIEW]
    query = select(AnalysisRecord.payload, *small)
    row = transaction.execute(query.where(AnalysisRecord.recording_id == recording_id)).first()
    if row is None:
        return None
    payload, *values = row
    return Answer(payload, dict(zip(_REVIEW, values, strict=True)))


def _studied(
    transaction: Transaction,
    study: Study,
    recording: Recording,
    answer: Answer | None,
    reader: Reader,
) -> Studied:
    query = select(Decision).where(Decision.recording_id == recording.id)
    made = transaction.scalars(query.order_by(Decision.coder, Decision.number))
    trails = {coder: tuple(own) for coder, own in groupby(made, key=attrgetter("coder"))}
    done = {coder: is_done(trail) for coder, trail in trails.items()}
    if reader.leads:
        is_open = True
    elif reader.name is None:
        is_open = len(done) <= 1 or all(done.values())
    else:
        is_open = done.get(reader.name, False)
    shown = {coder: trail for coder, trail in trails.items() if is_open or coder == reader.name}
    masked = study.blind and not is_open
    reviews = {}
    if answer is not None:
        times = FrameTimes.of(answer.review)
        for coder, trail in shown.items():
            review = make_review(recording.id, coder, answer.payload["events"], trail, times)
            reviews[coder] = masked_review(review, times) if masked else review
    return Studied(
        recording=recording,
        answer=answer,
        reviews=reviews,
        trails=shown,
        markers=list_markers(transaction, recording.id),
        machine=answer is not None and not masked,
        hidden=len(trails) - len(shown),
        labels=() if answer is None else study.coding(labels_in(answer.payload)).labels,
    )
