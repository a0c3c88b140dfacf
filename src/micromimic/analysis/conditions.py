"""How often something happens under each condition of a study, with subjects as the units.

Recordings of one person are added, and people are averaged: whoever was filmed longer counts no
more. Intervals draw whole subjects with replacement. Two conditions are compared within subjects
where at least two people have both: under no effect a person's two conditions might as well be
exchanged. Where nobody or one person has both, people are exchanged between the conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.evaluation.resampling import quantiles

LEAST_SUBJECTS: Final = 5
"""Fewer give no interval: resampling them would claim too much."""
DRAWS: Final = 2000
_MOST_EXACT: Final = 1 << 15
"""So many exchanges are all gone through; of more, as many are drawn."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Counted:
    """How often something was counted in one recording, in how many observed seconds."""

    subject: str
    condition: str
    count: int
    seconds: float


@dataclass(frozen=True)
class ConditionRate:
    """One condition: ``rate`` a minute is the mean of its subjects' own rates."""

    condition: str
    subjects: int
    recordings: int
    count: int
    minutes: float
    rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """The rate of ``first`` minus that of ``second``; None is unknown.

    ``within``: people who have both, everybody else left out; ``between``: people who have one.
    ``p`` is two-sided, by exchanges; ``p_holm`` is corrected for all comparisons of the study.
    ``p_least`` is the smallest that so few people can give.
    """

    first: str
    second: str
    design: Literal["within", "between"]
    subjects: int
    left_out: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    p_least: float | None


@dataclass(frozen=True)
class ConditionRates:
    conditions: tuple[ConditionRate, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]


def rates_by_condition(
    recordings: Iterable[Counted], *, draws: int = DRAWS, seed: int = 0
) -> ConditionRates:
    """Rates a minute by condition, and each two of them compared.

    Recordings without a subject, a condition or observed time are left out, and counted.

    >>> rows = [Counted(f"P{k}", c, n, 60.0) for k in range(6) for c, n in (("calm", k), ("stress",
    ...         k + 2))]
    >>> found = rates_by_condition(rows)
    >>> [(row.condition, row.rate) for row in found.conditions]
    [('calm', 2.5), ('stress', 4.5)]
    >>> found.comparisons[0].difference, found.comparisons[0].p
    (-2.0, 0.03125)
    """
    listed = list(recordings)
    used = [r for r in listed if r.subject and r.condition and r.seconds > 0]
    names = sorted({r.condition for r in used})
    people = {name: _subject_rates(r for r in used if r.condition == name) for name in names}
    rng = np.random.default_rng(seed)
    rates = tuple(
        _rate(name, [r for r in used if r.condition == name], people[name], draws, rng)
        for name in names
    )
    compared = [
        _compared(a, b, people[a], people[b], draws, rng) for a, b in combinations(names, 2)
    ]
    return ConditionRates(rates, _holm(compared), _notes(listed, len(used), rates, compared))


def _subject_rates(rows: Iterable[Counted]) -> dict[str, float]:
    """Events a minute of each person, all recordings together."""
    sums: dict[str, tuple[int, float]] = {}
    for row in rows:
        count, seconds = sums.get(row.subject, (0, 0.0))
        sums[row.subject] = count + row.count, seconds + row.seconds
    return {who: 60 * count / seconds for who, (count, seconds) in sorted(sums.items())}


def _rate(
    name: str,
    rows: Sequence[Counted],
    people: Mapping[str, float],
    draws: int,
    rng: np.random.Generator,
) -> ConditionRate:
    values = np.array(list(people.values()))
    low, high = _mean_interval(values, draws, rng)
    return ConditionRate(
        condition=name,
        subjects=len(values),
        recordings=len(rows),
        count=sum(row.count for row in rows),
        minutes=sum(row.seconds for row in rows) / 60,
        rate=float(values.mean()),
        low=low,
        high=high,
    )


def _compared(
    first: str,
    second: str,
    of_first: Mapping[str, float],
    of_second: Mapping[str, float],
    draws: int,
    rng: np.random.Generator,
) -> Comparison:
    both = sorted(set(of_first) & set(of_second))
    everybody = len(set(of_first) | set(of_second))
    low = high = None
    if len(both) >= 2:
        apart = np.array([of_first[who] - of_second[who] for who in both])
        low, high = _mean_interval(apart, draws, rng)
        difference, p, least = float(apart.mean()), *_signs(apart, rng)
        count: int = len(both)
    else:  # a person who has both would stand on both sides
        one, two = (
            np.array([rate for who, rate in side.items() if who not in both])
            for side in (of_first, of_second)
        )
        count = len(one) + len(two)
        if not (len(one) and len(two)):
            return Comparison(first, second, "between", count, everybody - count, *(None,) * 6)
        difference = float(one.mean() - two.mean())
        if min(len(one), len(two)) >= LEAST_SUBJECTS:
            low, high = quantiles(_drawn_means(one, draws, rng) - _drawn_means(two, draws, rng))
        p, least = _exchanges(one, two, rng)
    return Comparison(
        first=first,
        second=second,
        design="within" if len(both) >= 2 else "between",
        subjects=count,
        left_out=everybody - count,
        difference=difference,
        low=low,
        high=high,
        p=p,
        p_holm=None,
        p_least=least,
    )


def _drawn_means(values: Array, draws: int, rng: np.random.Generator) -> Array:
    return np.asarray(values[rng.integers(len(values), size=(draws, len(values)))].mean(1))


def _mean_interval(
    values: Array, draws: int, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    if len(values) < LEAST_SUBJECTS or np.ptp(values) == 0:
        return None, None
    return quantiles(_drawn_means(values, draws, rng))


def _signs(apart: Array, rng: np.random.Generator) -> tuple[float, float]:
    """p of a mean difference when each person's two conditions may be exchanged, and the least p
    that there could be."""
    n = len(apart)
    if 1 << n <= _MOST_EXACT:
        signs = 1 - 2 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1)
        return _share_as_far(signs @ apart, apart.sum()), 2 / (1 << n)
    signs = rng.choice([-1, 1], size=(_MOST_EXACT, n))
    return _drawn_share(signs @ apart, apart.sum()), 1 / (_MOST_EXACT + 1)


def _exchanges(first: Array, second: Array, rng: np.random.Generator) -> tuple[float, float]:
    """The same of two groups of people, when anybody might have been in either."""
    every, n = np.concatenate([first, second]), len(first)
    shifted = every - every.mean()
    if comb(len(every), n) <= _MOST_EXACT:
        sums = np.array([shifted[list(rows)].sum() for rows in combinations(range(len(every)), n)])
        both_ways = 2 if n == len(second) else 1
        return _share_as_far(sums, shifted[:n].sum()), both_ways / len(sums)
    drawn = np.array([rng.permutation(shifted)[:n].sum() for _ in range(_MOST_EXACT // 4)])
    return _drawn_share(drawn, shifted[:n].sum()), 1 / (len(drawn) + 1)


def _share_as_far(sums: Array, seen: float) -> float:
    """Share of all exchanges that give as much as was seen, or more; ties by rounding are ties."""
    return float((np.abs(sums) >= abs(seen) * (1 - 1e-9) - 1e-12).mean())


def _drawn_share(sums: Array, seen: float) -> float:
    """As above, of exchanges that were drawn: what was seen is one of them."""
    return (_share_as_far(sums, seen) * len(sums) + 1) / (len(sums) + 1)


def _holm(compared: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Holm, A simple sequentially rejective multiple test procedure, 1979."""
    known = sorted((c.p, k) for k, c in enumerate(compared) if c.p is not None)
    result, most = list(compared), 0.0
    for rank, (p, place) in enumerate(known):
        most = max(most, min(1.0, (len(known) - rank) * p))
        result[place] = replace(result[place], p_holm=most)
    return tuple(result)


def _notes(
    listed: Sequence[Counted],
    used: int,
    rates: Sequence[ConditionRate],
    compared: Sequence[Comparison],
) -> tuple[str, ...]:
    if not used:
        return ("No recording has a subject, a condition and observed time: nothing to compare.",)
    notes = [
        "Mean of the subjects' own rates; intervals of 95 % draw whole subjects, p exchanges "
        "conditions within a subject (subjects between conditions, where nobody has both)."
    ]
    if left := len(listed) - used:
        notes.append(
            f"{left} recording{' is' if left == 1 else 's are'} left out: no subject, no condition "
            "or no observed time."
        )
    if any(row.subjects < LEAST_SUBJECTS for row in rates):
        notes.append(f"Fewer than {LEAST_SUBJECTS} subjects give no interval.")
    if any(c.p_least is not None and c.p_least > 0.05 for c in compared):
        notes.append("So few subjects could not give p below .05, whatever happened.")
    if any(c.left_out for c in compared):
        notes.append("Subjects with one of two conditions are left out of a comparison within.")
    return tuple(notes)
