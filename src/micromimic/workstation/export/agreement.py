"""What coders say of a study set side by side: agreement of two, and rates by condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Final, Literal, get_args

import numpy as np
from sqlalchemy import select

from micromimic.analysis.conditions import ConditionRates, Counted, rates_by_condition
from micromimic.core.errors import InputError, RefusedError
from micromimic.evaluation.agreement import CodedEvent, CodedRecording, Tier
from micromimic.evaluation.study_agreement import Estimate, StudyAgreement, study_agreement
from micromimic.workstation.export.frames import curve_of
from micromimic.workstation.export.readers import (
    MACHINE,
    Reader,
    Studied,
    coded_events,
    studied,
)
from micromimic.workstation.records.database import Store, Transaction, reading
from micromimic.workstation.records.models import Marker
from micromimic.workstation.records.study import get_study

Measure = Literal["micro-expressions", "longer expressions", "blinks"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
SESSION: Final = ""
"""In place of a tier of markers: the session's condition."""


@dataclass(frozen=True)
class Stretch:
    """What rates count in: a recording under its session's condition, or a marker's stretch of it.

    ``observed_s`` is the time in it in which an event could be seen, ``found_s`` the face's.
    """

    condition: str
    observed_s: float
    found_s: float
    onset_s: float = -inf
    offset_s: float = inf


@dataclass(frozen=True)
class CodedOne:
    """One recording: the events of each coder who has done it, and what rates need.

    ``stretches`` are by the markers' tier, ``SESSION`` for the whole; ``blinks`` are seconds, None
    where they were not looked for.
    """

    id: str
    name: str
    subject: str
    stretches: Mapping[str, Sequence[Stretch]]
    blinks: Sequence[float] | None
    events: Mapping[str, Sequence[CodedEvent]]


@dataclass
class Coded:
    """Recordings as they are compared, without the machine's large answers."""

    recordings: list[CodedOne] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, found: Studied, store: Store) -> None:
        """One more recording; ``store`` has the frames that a marker's stretch is judged by."""
        recording, answer = found.recording, found.answer
        self.labels += [label for label in found.labels if label not in self.labels]
        if answer is None:
            return
        blinks = answer.review.get("blinks")
        share = answer.payload.get("face", {}).get("found_ratio") or 0.0
        whole = Stretch(
            recording.condition or "",
            recording.observed_s or 0.0,
            share * (recording.duration_s or 0.0),
        )
        self.recordings.append(
            CodedOne(
                id=recording.id,
                name=recording.name,
                subject=recording.subject_code or "",
                stretches={SESSION: [whole], **_stretches(found, store)},
                blinks=None if blinks is None else [blink["peak"] for blink in blinks],
                events={
                    coder: coded_events(coder, found.events(coder))
                    for coder in found.coders
                    if found.is_done(coder)
                },
            )
        )

    @property
    def tiers(self) -> list[str]:
        """By what rates may be compared: the session's condition first."""
        return list(dict.fromkeys(tier for one in self.recordings for tier in one.stretches))


def _stretches(found: Studied, store: Store) -> dict[str, list[Stretch]]:
    """The stretches that markers name, by tier; none where the recording's frames are gone."""
    assert found.answer is not None
    markers = [marker for marker in found.markers if marker.offset_s > marker.onset_s]
    if not markers:
        return {}
    review = found.answer.review
    try:
        curve = curve_of(store.folder(found.recording.id), review)
    except InputError:
        return {}
    times = np.asarray(curve["time"], np.float64)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    face = curve["segment"] >= 0
    closed = np.zeros(len(times), bool)
    for span in review.get("gated") or ():  # the last frame is one of the span
        closed |= (times >= span["start"] - step / 2) & (times <= span["end"] + step / 2)
    tiers: dict[str, list[Stretch]] = {}
    for marker in markers:
        inside = face & (times >= marker.onset_s) & (times < marker.offset_s)
        seconds = (step * float((inside & ~closed).sum()), step * float(inside.sum()))
        span = Stretch(marker.label, *seconds, marker.onset_s, marker.offset_s)
        tiers.setdefault(marker.tier, []).append(span)
    return tiers


@reading
def coded_study(transaction: Transaction, reader: Reader) -> tuple[Coded, float]:
    """What a reader may see compared, and the study's threshold of overlap."""
    coded = Coded()
    for found in studied(transaction, reader):
        coded.add(found, transaction.store)
    return coded, get_study(transaction).overlap


def compare(
    coded: Coded, first: str, second: str, *, overlap: float, tier: Tier = "micro"
) -> StudyAgreement:
    """Two coders on the recordings that both have done; either may be the machine."""
    if first == second:
        raise RefusedError(f"expected two coders, got {first} twice; choose another")
    both = [
        CodedRecording(one.id, one.name, one.subject, one.events[first], one.events[second])
        for one in coded.recordings
        if first in one.events and second in one.events
    ]
    found = study_agreement(
        both, coders=(first, second), labels=coded.labels, overlap=overlap, tier=tier
    )
    if MACHINE in (first, second):
        machine = {event.label for one in coded.recordings for event in one.events.get(MACHINE, ())}
        return replace(found, notes=(*found.notes, *other_classes(machine, coded.labels)))
    return found


def other_classes(machine: Iterable[str], labels: Iterable[str]) -> list[str]:
    """A line where classes of the machine's events are none that coders may choose."""
    other = sorted(set(machine) - set(labels))
    return [
        f"{', '.join(other)}: classes of the machine that the coding scheme lacks. Its events of "
        "these never agree in class; F1 and times do not depend on classes."
    ][: len(other)]


def agreement_rows(found: StudyAgreement) -> Iterator[dict[str, Any]]:
    """As ``agreement.csv`` has them; none where nothing was compared."""
    for row in found.rows if found.recordings else ():
        flat = {"first": found.first, "second": found.second, "overlap": found.overlap, **vars(row)}
        for boundary, timing in row.timing.items():
            flat[f"icc_{boundary}"] = timing.icc
            flat |= {f"{boundary}_mean_s": timing.mean_s, f"{boundary}_sd_s": timing.sd_s}
        for name, value in list(flat.items()):
            if isinstance(value, Estimate):
                flat |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        yield flat


@reading
def marker_tiers(transaction: Transaction) -> list[str]:
    """Rows of markers with stretches, by which rates can be compared."""
    query = select(Marker.tier).where(Marker.offset_s > Marker.onset_s).distinct()
    return sorted(transaction.scalars(query))


def conditions_of(coded: Coded, measure: Measure, coder: str, by: str = SESSION) -> ConditionRates:
    """Rates in recordings that a coder has done; blinks are counted by the machine alone.

    ``by`` is a tier of markers, whose labels are the conditions; the sessions' own otherwise. An
    event belongs to the stretch that holds its apex.
    """
    counted = []
    for one in coded.recordings:
        unseen = measure == "blinks" and (coder != MACHINE or one.blinks is None)
        if coder not in one.events or unseen:
            continue
        kind = "micro" if measure == "micro-expressions" else "macro"
        held = [e for e in one.events[coder] if e.status == "accepted" and e.kind == kind]
        moments = one.blinks or () if measure == "blinks" else [e.interval.apex for e in held]
        for stretch in one.stretches.get(by, ()):
            count = sum(stretch.onset_s <= moment < stretch.offset_s for moment in moments)
            seconds = stretch.found_s if measure == "blinks" else stretch.observed_s
            counted.append(Counted(one.subject, stretch.condition, count, seconds))
    return rates_by_condition(counted)


def condition_rows(coded: Coded, measure: Measure, coder: str, by: str) -> Iterator[dict[str, Any]]:
    """As ``conditions.csv`` has them: each condition's rate, then each two compared."""
    found = conditions_of(coded, measure, coder, by)
    about = {"measure": measure, "coder": coder, "by": by or "session"}
    for rate in found.conditions:
        yield {**about, **vars(rate), "value": rate.rate}
    for compared in found.comparisons:
        yield {
            **about,
            **vars(compared),
            "condition": compared.first,
            "compared_with": compared.second,
            "value": compared.difference,
        }
