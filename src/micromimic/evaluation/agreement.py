"""How far two coders of one video agree: on the machine's candidates, and on events in time.

Two questions, two answers. On candidates that both have decided (rejected, or an event of one of
the classes) Cohen's kappa is agreement beyond chance (Cohen, A coefficient of agreement for
nominal scales, 1960), and Gwet's AC1 is another, which stays where nearly all is of one category
(Gwet, Computing inter-rater reliability and its variance in the presence of high agreement, 2008).
On all events that each holds to be there, those added included, F1 counts matches in time
(``evaluation.spotting.match_events``). ``study_agreement`` does the same for a whole study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import THREE, LabelSet
from micromimic.core.types import ExpressionKind, Interval
from micromimic.evaluation.resampling import quantiles, subject_tables
from micromimic.evaluation.spotting.matching import matched, overlaps

REJECTED: Final = "rejected"
RESAMPLES: Final = 2000
FEW_EVENTS: Final = 20
"""Below this the note says that the figures are weak."""

LEAST_DEFINED: Final = 0.9
"""Share of resamples in which a figure must exist to have an interval."""

Tables = NDArray[np.int64]
"""(m, k, k) how often the first coder said the row, the second the column."""
Values = NDArray[np.float64]
Array = NDArray[Any]
Tier = Literal["micro", "macro", "all"]
Mode = Literal["open", "blind", "imported"]
"""Whether the machine's answer was shown before a coder decided."""


@dataclass(frozen=True)
class CodedEvent:
    key: str  # the same for both coders where it is the same candidate of the machine
    interval: Interval  # seconds
    label: str  # a class
    # ``accepted`` is one that the coder added, too
    status: Literal["pending", "accepted", "rejected"]
    added: bool = False  # the coder's own, no candidate of the machine
    kind: ExpressionKind = "micro"
    mode: Mode | None = None  # of the first decision on it; None where nobody decided

    @property
    def category(self) -> str:
        return REJECTED if self.status == "rejected" else self.label


@dataclass(frozen=True)
class CodedRecording:
    """One recording as two coders have it; ``subject`` is who was filmed, empty where unknown."""

    id: str
    name: str
    subject: str
    first: Sequence[CodedEvent]
    second: Sequence[CodedEvent]


@dataclass(frozen=True)
class Agreement:
    """Two coders compared; None is unknown or undefined, and ``note`` says why.

    ``n`` candidates both have decided, ``anchored`` of them by somebody who was shown the machine's
    answer first; ``undecided`` one or both have not. ``confusion`` counts the former, its rows and
    columns (first and second coder) the ``categories``. ``observed`` is the share of ``n`` on which
    both say the same, with its exact 95 % interval (``observed_low``, ``observed_high``); ``kappa``
    is Cohen's and ``ac1`` Gwet's, their intervals (``kappa_low``, ``kappa_high``, ``ac1_low``,
    ``ac1_high``) from events resampled.

    ``events_first`` and ``events_second`` are the events that each holds to be there, added ones
    included; ``matched`` are pairs of them whose overlap over union in time is ``min_iou`` or more.
    ``precision``, ``recall`` and ``f1`` are of the second coder's events, the first's taken as the
    truth. ``same_label`` of the matched pairs are of one class, a share of ``label_agreement``.
    """

    n: int
    anchored: int
    undecided: int
    categories: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    observed: float | None
    observed_low: float | None
    observed_high: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    ac1: float | None
    ac1_low: float | None
    ac1_high: float | None
    events_first: int
    events_second: int
    matched: int
    precision: float | None
    recall: float | None
    f1: float | None
    same_label: int
    label_agreement: float | None
    min_iou: float
    note: str


def _kappa(table: Array) -> float | None:
    (value,) = kappas(table[None])
    return None if np.isnan(value) else round(float(value), 12)


def kappas(tables: Tables) -> Values:
    """(m,) Cohen's kappas; NaN where chance alone explains everything."""
    n = tables.sum((1, 2))
    agreed = np.trace(tables, axis1=1, axis2=2) * n
    chance = (tables.sum(1) * tables.sum(2)).sum(1)  # whole numbers: the test for 1 is exact
    open_to_chance = n * n - chance
    values = np.full(len(tables), np.nan)
    np.divide(agreed - chance, open_to_chance, out=values, where=open_to_chance > 0)
    return values


def ac1s(tables: Tables) -> Values:
    """(m,) Gwet's AC1; NaN of tables without events."""
    n, categories = tables.sum((1, 2)), tables.shape[1]
    with np.errstate(invalid="ignore"):
        agreed = np.trace(tables, axis1=1, axis2=2) / n
        share = (tables.sum(1) + tables.sum(2)) / (2.0 * n[:, None])
        chance = (share * (1 - share)).sum(1) / (categories - 1)
        return np.asarray((agreed - chance) / (1 - chance))


def interval_of(drawn: Values) -> tuple[float, float] | None:
    """The 95 % percentile interval of a figure's resamples.

    None where it is undefined in more than a tenth of them, and where it is the same in all: that
    would claim certainty.
    """
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < max(1, LEAST_DEFINED * len(drawn)) or np.ptp(defined) < 1e-12:
        return None
    return quantiles(defined)


def binomial_interval(successes: int, trials: int) -> tuple[float, float]:
    """Exact 95 % interval of a proportion (Clopper and Pearson, Biometrika 1934).

    >>> tuple(round(x, 4) for x in binomial_interval(8, 10))
    (0.4439, 0.9748)
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"expected 0 <= successes <= trials, got {successes} of {trials}")
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to load

    interval = binomtest(successes, trials).proportion_ci(0.95, "exact")
    return float(interval.low), float(interval.high)


def resampled_interval(
    figure: Callable[[Tables], Values],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    categories: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The 95 % percentile interval of `kappas` or `ac1s`, whole events drawn with replacement.

    Categories are numbers. None with fewer than two events, no disagreement at all, or as in
    `interval_of`.
    """
    n = len(first)
    if n < 2 or np.array_equal(first, second):
        return None
    picks = np.random.default_rng(seed).integers(n, size=(resamples, n))
    draw = np.repeat(np.arange(resamples)[:, None], n, 1)
    return interval_of(figure(subject_tables(first[picks], second[picks], draw, categories)))


_CANDIDATE: Final = np.dtype(
    [("recording", int), ("unit", int), ("open", bool), ("first", int), ("second", int)]
)
_EVENT: Final = np.dtype(
    [("recording", int), ("unit", int), ("open", bool), ("label", int), ("seconds", float, 3)]
)


@dataclass(frozen=True)
class SideBySide:
    """What two coders decided: rows with the numbers of their recording and of its unit.

    ``both`` are candidates that both have decided, ``undecided`` those that one has not;
    ``events`` are what each coder holds to be there, ``pairs`` (p, 2) of them that are one event.
    A unit is what is drawn for intervals.
    """

    categories: tuple[str, ...]
    units: int
    both: Array
    undecided: Array
    events: tuple[Array, Array]
    pairs: Array

    @property
    def any(self) -> bool:
        return bool(len(self.both) or any(map(len, self.events)))

    def has(self, label: int) -> bool:
        coded = [self.both["first"], self.both["second"], *(e["label"] for e in self.events)]
        return any(bool((column == label).any()) for column in coded)

    def where(self, column: str, value: object) -> SideBySide:
        """Only what has this value; a pair where both have."""
        both, undecided = (rows[rows[column] == value] for rows in (self.both, self.undecided))
        return replace(self.events_where(column, value), both=both, undecided=undecided)

    def events_where(self, column: str, value: object) -> SideBySide:
        """All candidates, and the events that have this value."""
        first, second = (events[events[column] == value] for events in self.events)
        pairs = self.pairs[(self.pairs[column] == value).all(1)]
        return replace(self, events=(first, second), pairs=pairs)

    def tables(self, one: int | None = None) -> NDArray[np.int64]:
        """(units, k, k) decisions on candidates; of one class (0) or anything else (1)."""
        first, second = self.both["first"], self.both["second"]
        if one is not None:
            first, second = (first != one).astype(int), (second != one).astype(int)
        k = len(self.categories) if one is None else 2
        return self._summed((k, k), self.both["unit"], first, second)

    def label_tables(self) -> NDArray[np.int64]:
        """(units, k, k) classes of matched events."""
        k = len(self.categories) - 1
        return self._summed((k, k), self.pairs["unit"][:, 0], *(self.pairs["label"] - 1).T)

    def counts(self) -> NDArray[np.int64]:
        """(units, 3) events of the first, of the second, and pairs."""
        columns = (*(events["unit"] for events in self.events), self.pairs["unit"][:, 0])
        return np.stack([self._summed((), unit) for unit in columns], axis=1)

    def moments(self, values: Values) -> Values:
        """(units, 5) n, and sums and squares of sum and difference of (p, 2) values."""
        total, apart = values.sum(1), values[:, 1] - values[:, 0]
        rows = np.stack([np.ones(len(values)), total, total**2, apart, apart**2], axis=1)
        found = np.zeros((self.units, 5))
        np.add.at(found, self.pairs["unit"][:, 0], rows)
        return found

    def _summed(self, shape: tuple[int, ...], *places: Array) -> NDArray[np.int64]:
        found = np.zeros((self.units, *shape), np.int64)
        np.add.at(found, places, 1)
        return found


def side_by_side(
    recordings: Sequence[CodedRecording],
    categories: tuple[str, ...],
    overlap: float,
    units: Sequence[int] | NDArray[np.int64],
    tier: Tier = "all",
) -> SideBySide:
    """Two coders on recordings, with the number of each one's unit."""
    if not 0 < overlap <= 1:
        raise ValueError(f"expected an overlap above 0 and up to 1, got {overlap}")
    number = {name: k for k, name in enumerate(categories)}
    both: list[tuple[int, ...]] = []
    undecided: list[tuple[int, ...]] = []
    events: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]] = ([], [])
    pairs: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]] = ([], [])
    for place, (recording, unit) in enumerate(zip(recordings, units, strict=True)):
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
        for side, mine in enumerate(held):
            rows = [
                (place, unit, e.mode == "open", number[e.label], astuple(e.interval)) for e in mine
            ]
            events[side].extend(rows)
            pairs[side].extend(rows[pair[side]] for pair in found)
    return SideBySide(
        categories=categories,
        units=max(units, default=0) + 1,
        both=np.array(both, _CANDIDATE),
        undecided=np.array(undecided, _CANDIDATE),
        events=(np.array(events[0], _EVENT), np.array(events[1], _EVENT)),
        pairs=np.stack([np.array(side, _EVENT) for side in pairs], axis=1),
    )


def event_agreement(
    a: Iterable[CodedEvent],
    b: Iterable[CodedEvent],
    *,
    min_iou: float = 0.5,
    seed: int = 0,
    labels: LabelSet | None = None,
) -> Agreement:
    sides = tuple(a), tuple(b)
    if any(len({event.key for event in side}) < len(side) for side in sides):
        raise ValueError("expected each event's key once, got one twice")
    used = sorted({event.label for side in sides for event in side})
    names = THREE.names if set(used) <= set(THREE.names) else tuple(used)
    categories = (REJECTED, *(names if labels is None else labels))
    if labels is not None:
        labels.encode(used)
    found = side_by_side([CodedRecording("", "", "", *sides)], categories, min_iou, units=[0])
    (table,), codes = found.tables(), (found.both["first"], found.both["second"])
    n, same, kappa = len(found.both), int(np.trace(table)), _kappa(table)
    interval, ac1_interval = (
        resampled_interval(figure, *codes, len(categories), seed=seed) for figure in (kappas, ac1s)
    )
    first, second = map(len, found.events)
    pairs, alike = len(found.pairs), int(np.trace(found.label_tables()[0]))
    nothing = (None, None)
    low, high = binomial_interval(same, n) if n else nothing
    kappa_low, kappa_high = interval or nothing
    ac1_low, ac1_high = ac1_interval or nothing
    return Agreement(
        n=n,
        anchored=int(found.both["open"].sum()),
        undecided=len(found.undecided),
        categories=categories,
        confusion=tuple(map(tuple, table.tolist())),
        observed=_share(same, n),
        observed_low=low,
        observed_high=high,
        kappa=kappa,
        kappa_low=kappa_low,
        kappa_high=kappa_high,
        ac1=float(ac1s(table[None])[0]) if n else None,
        ac1_low=ac1_low,
        ac1_high=ac1_high,
        events_first=first,
        events_second=second,
        matched=pairs,
        precision=_share(pairs, second),
        recall=_share(pairs, first),
        f1=_share(2 * pairs, first + second),
        same_label=alike,
        label_agreement=_share(alike, pairs),
        min_iou=min_iou,
        note=_note(found, table, kappa, interval),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _note(
    found: SideBySide, table: Array, kappa: float | None, interval: tuple[float, float] | None
) -> str:
    n, undecided, anchored = len(found.both), len(found.undecided), int(found.both["open"].sum())
    parts = []
    if n == 0:
        parts.append("No candidate has been decided by both, so kappa is unknown.")
    elif kappa is None:
        name = found.categories[int(table.any(0).argmax())]
        parts.append(f"Both say {name} to every candidate: kappa is undefined.")
    elif interval is None:
        parts.append("Resampling so few or such like decisions gives no interval for kappa.")
    if undecided:
        are = " is" if undecided == 1 else "s are"
        parts.append(f"{undecided} candidate{are} left out: not decided by both.")
    if 0 < n < FEW_EVENTS:
        parts.append(f"{n} decision{'' if n == 1 else 's'} in common tell little.")
    if anchored:
        parts.append(
            f"{anchored} of {n} decided after seeing the machine's answer: agreement may be its."
        )
    if not any(map(len, found.events)):
        parts.append("Neither holds any event to be there, so there is no F1.")
    parts.append("Kappa is about the machine's candidates only; F1 includes added events.")
    return " ".join(parts)
