"""How far two coders of a study agree: pooled, by tier, by class, by how they coded, by recording.

Recordings of one person resemble each other, so whole subjects are drawn for the intervals (whole
recordings, where there are too few subjects). When an event begins, peaks and ends is compared by
ICC(2,1), two coders as a sample of all that might have coded (Shrout and Fleiss, Intraclass
correlations: uses in assessing rater reliability, Psychological Bulletin 1979).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micromimic.core.types import ExpressionKind
from micromimic.evaluation.agreement import (
    REJECTED,
    RESAMPLES,
    CodedEvent,
    Values,
    ac1s,
    interval_of,
    kappas,
)
from micromimic.evaluation.resampling import times_drawn
from micromimic.evaluation.spotting.matching import matched, overlaps

LEAST_UNITS: Final = 5
"""Fewer subjects, or recordings, give no interval: resampling them would claim too much."""
TIERS: Final[Mapping[ExpressionKind, str]] = {"micro": "micro-expression", "macro": "longer"}
BOUNDARIES: Final = ("onset", "apex", "offset", "duration")

Tier = Literal["micro", "macro", "all"]
Group = Literal["pooled", "tier", "class", "mode", "recording"]
Resampled = Literal["subjects", "recordings"]
Array = NDArray[Any]


@dataclass(frozen=True)
class CodedRecording:
    """One recording as two coders have it; ``subject`` is who was filmed, empty where unknown."""

    id: str
    name: str
    subject: str
    first: Sequence[CodedEvent]
    second: Sequence[CodedEvent]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where it is unknown or undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Timing:
    """One boundary of matched events, or their duration: seconds of the second coder minus first.

    The ICC of a moment is near 1 wherever events lie far apart; the differences (their mean and
    standard deviation), and the ICC of the duration, tell more.
    """

    icc: Estimate
    mean_s: float | None
    sd_s: float | None


@dataclass(frozen=True)
class AgreementRow:
    """Two coders on one part of a study; ``name`` is the class, tier, mode or recording's id.

    ``candidates`` of the machine both have decided, ``anchored`` of them by somebody who was shown
    the machine's answer first; ``undecided`` one or both have not. ``observed`` (the share of same
    decisions), ``kappa`` and ``ac1`` are of these. ``events_first`` and ``events_second`` are held
    to be there, ``matched`` are pairs of them that overlap in time, ``f1`` is of these;
    ``same_label`` of them are of one class, with ``label_kappa`` and ``label_ac1``. ``timing`` is
    by ``BOUNDARIES``. The row of a class asks: this class or anything else?
    """

    group: Group
    name: str
    title: str
    candidates: int
    anchored: int
    undecided: int
    observed: Estimate
    kappa: Estimate
    ac1: Estimate
    events_first: int
    events_second: int
    matched: int
    f1: Estimate
    same_label: int | None
    label_kappa: Estimate
    label_ac1: Estimate
    timing: Mapping[str, Timing]


@dataclass(frozen=True)
class StudyAgreement:
    """Two coders of a study; ``rows`` begin with the pooled one.

    ``tier`` is what all rows but those by tier count; ``confusion`` counts candidates that both
    have decided, its rows and columns (first and second coder) the ``categories``; ``resampled`` is
    what was drawn for the intervals, None where there are none.
    """

    first: str
    second: str
    overlap: float
    tier: Tier
    recordings: int
    subjects: int
    categories: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    rows: tuple[AgreementRow, ...]
    resampled: Resampled | None
    notes: tuple[str, ...]


def icc21(ratings: ArrayLike) -> float | None:
    """ICC(2,1) of (n, k) ratings: absolute agreement of single raters, both sides random.

    None with fewer than two rows or columns, or where nothing differs.

    >>> round(icc21([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9],
    ...              [6, 2, 4, 7]]), 2)
    0.29
    """
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        return None
    n, k = table.shape
    least = 1e-12 * float((table**2).mean())  # below it only rounding differs
    table = table - table.mean()
    between = k * float((table.mean(1) ** 2).sum())
    judges = n * float((table.mean(0) ** 2).sum())
    rest = max(float((table**2).sum()) - between - judges, 0.0)
    rows, columns, error = between / (n - 1), judges / (k - 1), rest / ((n - 1) * (k - 1))
    whole = rows + (k - 1) * error + k * (columns - error) / n
    return (rows - error) / whole if whole > least else None


def study_agreement(
    recordings: Iterable[CodedRecording],
    *,
    coders: tuple[str, str] = ("first", "second"),
    labels: Sequence[str] = (),
    overlap: float = 0.5,
    tier: Tier = "micro",
    draws: int = RESAMPLES,
    seed: int = 0,
) -> StudyAgreement:
    """Compare two coders on recordings that both have done.

    ``labels`` are the classes that they could choose from, in their order; ``overlap`` is the least
    overlap over union in time at which two events are the same one.
    """
    if not 0 < overlap <= 1:
        raise ValueError(f"expected an overlap above 0 and up to 1, got {overlap}")
    listed = list(recordings)
    names = _categories(listed, labels)
    units, resampled = _units(listed)
    drawn = None
    if resampled is not None:
        drawn = times_drawn(int(units.max()) + 1, draws, np.random.default_rng(seed))
    parts = {
        kind: _gather(listed, names, overlap, units, kind) for kind in dict.fromkeys((tier, *TIERS))
    }
    part = parts[tier]
    pooled = _row("pooled", "all", part, drawn)
    rows = [pooled]
    rows += [
        replace(_row("tier", kind, parts[kind], drawn), title=title)
        for kind, title in TIERS.items()
        if parts[kind].any
    ]
    rows += [
        _row("class", name, part.of_class(place), drawn, one=place)
        for place, name in enumerate(names)
        if place and part.has(place)
    ]
    for mode in ("open", "blind"):
        if (own := part.where("open", mode == "open")).any:
            rows.append(_row("mode", mode, own, drawn))
    for place, recording in enumerate(listed):
        row = _row("recording", recording.id, part.where("recording", place), None)
        rows.append(replace(row, title=recording.name))
    return StudyAgreement(
        first=coders[0],
        second=coders[1],
        overlap=overlap,
        tier=tier,
        recordings=len(listed),
        subjects=len({r.subject for r in listed if r.subject}),
        categories=names,
        confusion=tuple(map(tuple, part.tables().sum(0).tolist())),
        rows=tuple(rows),
        resampled=resampled,
        notes=_notes(pooled, len(listed), resampled),
    )


def _categories(listed: Sequence[CodedRecording], labels: Sequence[str]) -> tuple[str, ...]:
    used = {e.label for r in listed for e in (*r.first, *r.second) if e.status == "accepted"}
    return tuple(dict.fromkeys((REJECTED, *labels, *sorted(used))))


def _units(listed: Sequence[CodedRecording]) -> tuple[Array, Resampled | None]:
    """(recordings,) number of what is drawn with each; one of no known person is its own."""
    people = [r.subject or f"\n{r.id}" for r in listed]
    place = {who: k for k, who in enumerate(dict.fromkeys(people))}
    units = np.array([place[who] for who in people], np.int64)
    if len(place) >= LEAST_UNITS and any(r.subject for r in listed):
        return units, "subjects"
    if len(listed) >= LEAST_UNITS:
        return np.arange(len(listed)), "recordings"
    return units, None


_CANDIDATE: Final = np.dtype(
    [("recording", int), ("unit", int), ("open", bool), ("first", int), ("second", int)]
)
_EVENT: Final = np.dtype([("recording", int), ("unit", int), ("open", bool), ("label", int)])


@dataclass(frozen=True)
class _Part:
    """What is compared: candidates both have decided or not, the events of each coder, and which
    of them are pairs: (p, 2) places, and (p, 2, 3) seconds."""

    categories: int
    units: int
    both: Array
    undecided: Array
    events: tuple[Array, Array]
    pairs: NDArray[np.int64]
    seconds: Values

    @property
    def any(self) -> bool:
        return bool(len(self.both) or any(map(len, self.events)))

    def has(self, label: int) -> bool:
        coded = [self.both["first"], self.both["second"], *(e["label"] for e in self.events)]
        return any(bool((column == label).any()) for column in coded)

    def where(self, column: str, value: object) -> _Part:
        """Only what has this value; a pair where both have."""
        part = self._events_where([events[column] == value for events in self.events])
        return replace(
            part,
            both=self.both[self.both[column] == value],
            undecided=self.undecided[self.undecided[column] == value],
        )

    def of_class(self, label: int) -> _Part:
        """All candidates, and the events of one class."""
        return self._events_where([events["label"] == label for events in self.events])

    def _events_where(self, masks: Sequence[NDArray[np.bool_]]) -> _Part:
        places = [np.cumsum(mask) - 1 for mask in masks]
        kept = masks[0][self.pairs[:, 0]] & masks[1][self.pairs[:, 1]]
        pairs = [place[side] for place, side in zip(places, self.pairs[kept].T, strict=True)]
        return replace(
            self,
            events=(self.events[0][masks[0]], self.events[1][masks[1]]),
            pairs=np.stack(pairs, axis=1),
            seconds=self.seconds[kept],
        )

    def tables(self, one: int | None = None) -> NDArray[np.int64]:
        """(units, k, k) decisions on candidates; of one class (0) or anything else (1)."""
        first, second = self.both["first"], self.both["second"]
        if one is not None:
            first, second = (first != one).astype(int), (second != one).astype(int)
        k = self.categories if one is None else 2
        return self._summed((k, k), self.both["unit"], first, second)

    def label_tables(self) -> NDArray[np.int64]:
        """(units, k, k) classes of matched events."""
        first, second = self._paired("label")
        return self._summed(
            (self.categories - 1,) * 2, self._paired("unit")[0], first - 1, second - 1
        )

    def counts(self) -> NDArray[np.int64]:
        """(units, 3) events of the first, of the second, and pairs."""
        columns = [events["unit"] for events in self.events]
        return np.stack(
            [self._summed((), unit) for unit in (*columns, self._paired("unit")[0])], axis=1
        )

    def moments(self, values: Values) -> Values:
        """(units, 5) n, and sums and squares of sum and difference of (p, 2) values."""
        total, apart = values.sum(1), values[:, 1] - values[:, 0]
        rows = np.stack([np.ones(len(values)), total, total**2, apart, apart**2], axis=1)
        found = np.zeros((self.units, 5))
        np.add.at(found, self._paired("unit")[0], rows)
        return found

    def _paired(self, column: str) -> tuple[Array, Array]:
        return (
            self.events[0][column][self.pairs[:, 0]],
            self.events[1][column][self.pairs[:, 1]],
        )

    def _summed(self, shape: tuple[int, ...], *places: Array) -> NDArray[np.int64]:
        found = np.zeros((self.units, *shape), np.int64)
        np.add.at(found, places, 1)
        return found


def _gather(
    listed: Sequence[CodedRecording],
    names: Sequence[str],
    overlap: float,
    units: Array,
    tier: Tier,
) -> _Part:
    number = {name: k for k, name in enumerate(names)}
    both: list[tuple[int, ...]] = []
    undecided: list[tuple[int, ...]] = []
    events: tuple[list[tuple[int, ...]], list[tuple[int, ...]]] = ([], [])
    pairs: list[tuple[int, int]] = []
    seconds: list[list[list[float]]] = []
    for place, recording in enumerate(listed):
        unit = int(units[place])
        sides = [
            [event for event in side if tier in ("all", event.kind)]
            for side in (recording.first, recording.second)
        ]
        other = {event.key: event for event in sides[1] if not event.added}
        for event in sides[0]:
            if event.added or event.key not in other:
                continue
            answer = other[event.key]
            about = (place, unit, "open" in (event.mode, answer.mode))
            if "pending" in (event.status, answer.status):
                undecided.append((*about, 0, 0))
            else:
                both.append((*about, number[event.category], number[answer.category]))
        held = [[event for event in side if event.status == "accepted"] for side in sides]
        one, two = ([event.interval for event in side] for side in held)
        found = matched(one, two, overlaps(one, two), overlap) if one and two else []
        pairs += [(len(events[0]) + i, len(events[1]) + j) for i, j in found]
        seconds += [
            [[span.onset, span.apex, span.offset] for span in (one[i], two[j])] for i, j in found
        ]
        for kept, side in zip(events, held, strict=True):
            kept += [(place, unit, e.mode == "open", number[e.label]) for e in side]
    return _Part(
        categories=len(names),
        units=int(units.max()) + 1 if len(units) else 1,
        both=np.array(both, _CANDIDATE),
        undecided=np.array(undecided, _CANDIDATE),
        events=(np.array(events[0], _EVENT), np.array(events[1], _EVENT)),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        seconds=np.array(seconds, np.float64).reshape(-1, 2, 3),
    )


def _row(
    group: Group, name: str, part: _Part, drawn: NDArray[np.int64] | None, one: int | None = None
) -> AgreementRow:
    def of(figure: Callable[[Any], Values], by_unit: Array) -> Estimate:
        value = float(figure(by_unit.sum(0)[None])[0])
        if np.isnan(value):
            return Estimate()
        ends = None if drawn is None else interval_of(figure(np.tensordot(drawn, by_unit, 1)))
        return Estimate(value, *(ends or (None, None)))

    tables, labels, counts = part.tables(one), part.label_tables(), part.counts()
    first, second, pairs = counts.sum(0).tolist()
    several = one is None and labels.shape[1] > 1
    return AgreementRow(
        group=group,
        name=name,
        title=name,
        candidates=len(part.both),
        anchored=int(part.both["open"].sum()),
        undecided=len(part.undecided),
        observed=of(_observed, tables),
        kappa=of(kappas, tables),
        ac1=of(ac1s, tables),
        events_first=first,
        events_second=second,
        matched=pairs,
        f1=of(_f1, counts),
        same_label=int(np.trace(labels.sum(0))) if one is None else None,
        label_kappa=of(kappas, labels) if several else Estimate(),
        label_ac1=of(ac1s, labels) if several else Estimate(),
        timing={
            boundary: _timing(values, of(_iccs, part.moments(values)))
            for boundary, values in _boundaries(part.seconds).items()
        },
    )


def _boundaries(seconds: Values) -> dict[str, Values]:
    """(p, 2) seconds of each boundary, about the middle of all: large ones would cost digits."""
    moments = [seconds[:, :, k] for k in range(3)]
    every = (*moments, moments[2] - moments[0])
    return {n: v - v.mean() if len(v) else v for n, v in zip(BOUNDARIES, every, strict=True)}


def _timing(values: Values, icc: Estimate) -> Timing:
    apart = values[:, 1] - values[:, 0]
    mean = float(apart.mean()) if len(apart) else None
    return Timing(icc, mean, float(apart.std(ddof=1)) if len(apart) > 1 else None)


def _observed(tables: Array) -> Values:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.trace(tables, axis1=1, axis2=2) / tables.sum((1, 2)))


def _f1(counts: Array) -> Values:
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * counts[:, 2] / (counts[:, 0] + counts[:, 1]))


def _iccs(moments: Values) -> Values:
    """(m,) ICC(2,1) of two coders from (m, 5) moments; `icc21` from sums that can be redrawn."""
    n, total, squares, apart, apart_squares = moments.T
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = 0.5 * (squares - total**2 / n) / (n - 1)
        error = 0.5 * (apart_squares - apart**2 / n) / (n - 1)
        whole = rows + error + 2 * (0.5 * apart**2 / n - error) / n
        return np.where((n > 1) & (whole > 1e-15), (rows - error) / whole, np.nan)


def _notes(pooled: AgreementRow, count: int, resampled: Resampled | None) -> tuple[str, ...]:
    notes = []
    if not count:
        notes.append("No recording has been done by both, so there is nothing to compare.")
    elif resampled is None:
        notes.append(
            f"Intervals need {LEAST_UNITS} subjects or recordings: {count} "
            f"{'is' if count == 1 else 'are'} compared, so none is given."
        )
    else:
        notes.append(f"Intervals of 95 %: whole {resampled} drawn {RESAMPLES} times.")
    if pooled.anchored:
        notes.append(
            f"{pooled.anchored} of {pooled.candidates} candidates were decided after the machine's "
            "answer was shown (anchored): coders who saw the same answer agree more."
        )
    if pooled.undecided:
        notes.append(f"{pooled.undecided} candidates are left out: not decided by both.")
    notes.append(
        "Kappa and AC1 are about the machine's candidates; F1, classes and times about all events, "
        "those added included. Kappa falls where nearly all is of one category, AC1 does not."
    )
    return tuple(notes)
