"""A whole study as one reader may see it: each recording with its answer, reviews and markers.

Who leads the study, at the data folder, sees everything. Over the network nobody is shown what
others decided on a recording before the own review is done, nor, in a study that is coded blind,
what the machine says before that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from micromimic.core.errors import ConflictError
from micromimic.core.types import Interval
from micromimic.evaluation.agreement import CodedEvent
from micromimic.workstation.records import recordings, values
from micromimic.workstation.records.blind import masked_review
from micromimic.workstation.records.database import Transaction
from micromimic.workstation.records.markers import list_markers
from micromimic.workstation.records.models import Decision, Marker, Recording, Study
from micromimic.workstation.records.review import Review, ReviewedEvent, make_review, reviewed
from micromimic.workstation.records.reviews import Answer, get_answer, history, is_open_to
from micromimic.workstation.records.study import get_study

MACHINE: Final = "machine"
_OF_REVIEW: Final = ("blinks", "rejected", "gated", "frames_bin")


@dataclass(frozen=True)
class Reader:
    """Who asks: a coder by name, None somebody unnamed; ``leads`` sees everything."""

    name: str | None = None
    leads: bool = False


LEAD: Final = Reader(leads=True)


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

    def events(self, coder: str) -> tuple[ReviewedEvent, ...]:
        """As this coder sees them; the machine's own, none of them decided."""
        if coder != MACHINE:
            return self.reviews[coder].events
        assert self.answer is not None
        return reviewed(self.answer.payload["events"], (), self.answer.times)

    def is_done(self, coder: str) -> bool:
        """Whether a coder is; the machine is, where its answer may be seen."""
        if coder == MACHINE:
            return self.machine
        return coder in self.reviews and self.reviews[coder].done


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
        is_open = reader.leads or is_open_to(transaction, recording.id, name)
        coders = [coder for coder in recording.coders if is_open or coder == name]
        yield _studied(transaction, study, recording, coders, masked=study.blind and not is_open)


def _studied(
    transaction: Transaction,
    study: Study,
    recording: Recording,
    coders: Iterable[str],
    *,
    masked: bool,
) -> Studied:
    answer = get_answer(transaction, recording.id, *_OF_REVIEW)
    trails = {coder: history(transaction, recording.id, coder) for coder in coders}
    reviews = {}
    if answer is not None:
        for coder, trail in trails.items():
            review = make_review(recording.id, coder, answer.payload["events"], trail, answer.times)
            reviews[coder] = masked_review(review, answer.times) if masked else review
    return Studied(
        recording=recording,
        answer=answer,
        reviews=reviews,
        trails=trails,
        markers=list_markers(transaction, recording.id),
        machine=answer is not None and not masked,
        hidden=len(recording.coders) - len(trails),
        labels=() if answer is None else study.coding(answer.labels).labels,
    )
