"""One person's numbers from session to session, and their change from the person's own baseline.

Numbers of a session's recordings are pooled: counts and times are added, never averaged. What is
not known stays unknown (None). There is no score of stress, honesty or mood: rates of candidates,
blinks, movement, each with its interval and with what it cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.indicators import (
    ABOVE,
    BELOW,
    MIN_BLOCKS,
    RESAMPLES,
    VALENCE_FORMULA,
    VALENCE_UNIT,
    Valence,
    balance_interval,
    block_levels,
    poisson_interval,
)
from micromimic.core.canonical import INTEROCULAR
from micromimic.core.labels import THREE
from micromimic.core.results import Blink, kind_of, labels_in
from micromimic.core.strict_json import tidy
from micromimic.core.types import MotionCurve
from micromimic.evaluation.agreement import binomial_interval

Kind = Literal["ratio", "difference"]
_NOTHING: Final[dict[Kind, float]] = {"ratio": 1.0, "difference": 0.0}
TRENDS_SCHEMA: Final = "micromimic.trends/1"
_EMPTY: Final = "Not measured in any session yet."


@dataclass(frozen=True)
class Change:
    """One session against the baseline: ``ratio`` (1: no change) or ``difference`` (0: no change).

    ``value`` is None where it cannot be computed. Both ends of the 95 % interval None: unknown.
    Only ``high`` None: nothing bounds it above, as with a baseline in which nothing was counted.
    """

    kind: Kind
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves "no change" out."""
        same = _NOTHING[self.kind]
        above = self.low is not None and self.low > same
        return above or (self.high is not None and self.high < same)


def rate_ratio(count: int, seconds: float, base_count: int, base_seconds: float) -> Change:
    """Ratio of two Poisson rates with its exact conditional interval.

    Given the sum of both counts, the first is binomial, with a probability that the ratio decides
    (Przyborowski and Wilenski, Homogeneity of results in testing samples from Poisson series,
    Biometrika 1940); the interval of that probability is Clopper's and Pearson's (1934).

    >>> change = rate_ratio(12, 600.0, 6, 600.0)
    >>> change.value, round(change.low, 3), round(change.high, 3), change.clear
    (2.0, 0.695, 6.495, False)
    """
    if count < 0 or base_count < 0:
        raise ValueError(f"expected counts >= 0, got {count} and {base_count}")
    if count + base_count == 0 or not (seconds > 0 and base_seconds > 0):
        return Change("ratio")
    longer = base_seconds / seconds
    low, high = binomial_interval(count, count + base_count)
    return Change(
        "ratio",
        count / base_count * longer if base_count else None,
        low / (1 - low) * longer,
        high / (1 - high) * longer if base_count else None,
    )


def balance_difference(above: int, below: int, base_above: int, base_below: int) -> Change:
    """Difference of two balances (above - below) / (above + below).

    The interval joins those of both balances (``indicators.balance_interval``) by the squares of
    their one-sided widths: Newcombe, Interval estimation for the difference between independent
    proportions, Statistics in Medicine 1998 (method 10, here with Jeffreys intervals).

    >>> change = balance_difference(8, 2, 3, 7)
    >>> round(change.value, 6), change.clear
    (1.0, True)
    """
    if above + below == 0 or base_above + base_below == 0:
        return Change("difference")
    now, base = ((p - n) / (p + n) for p, n in ((above, below), (base_above, base_below)))
    low, high = balance_interval(above, below)
    base_low, base_high = balance_interval(base_above, base_below)
    return Change(
        "difference",
        now - base,
        max(-2.0, now - base - math.hypot(now - low, base_high - base)),
        min(2.0, now - base + math.hypot(high - now, base - base_low)),
    )


def median_interval(levels: Sequence[float], *, seed: int = 0) -> Change:
    """Median of blocks of time (as a difference from 0) with its bootstrap interval; unknown with
    fewer than four blocks."""
    if len(levels) < MIN_BLOCKS:
        return Change("difference")
    values = _medians(np.asarray(levels, dtype=np.float64), np.random.default_rng([seed, 0]))
    low, high = np.quantile(values, [0.025, 0.975])
    return Change("difference", float(np.median(levels)), float(low), float(high))


def level_ratio(levels: Sequence[float], base: Sequence[float], *, seed: int = 0) -> Change:
    """Ratio of the medians of two sets of blocks, each set drawn with replacement; unknown with
    fewer than four blocks on a side, or a baseline without any movement."""
    if min(len(levels), len(base)) < MIN_BLOCKS or not np.median(base) > 0:
        return Change("ratio")
    rng = np.random.default_rng([seed, 1])
    top = _medians(np.asarray(levels, dtype=np.float64), rng)
    bottom = _medians(np.asarray(base, dtype=np.float64), rng)
    low, high = np.nanquantile(top / np.where(bottom > 0, bottom, np.nan), [0.025, 0.975])
    return Change("ratio", float(np.median(levels) / np.median(base)), float(low), float(high))


def _medians(levels: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    # The median of a resample needs ranks only, so an hour's blocks are drawn in a few chunks.
    n, step = len(levels), max(1, 2_000_000 // len(levels))
    counts = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    return np.concatenate([np.median(levels[rng.integers(n, size=(k, n))], 1) for k in counts])


@dataclass(frozen=True)
class Reviewed:
    """What one coder, having decided every candidate of a recording, holds to be there."""

    events: int
    balance: tuple[int, int] | None  # of them, above and below; None where the classes have no two
    neither: tuple[str, ...] = ()  # the classes given that the balance leaves out


@dataclass(frozen=True)
class RecordingNumbers:
    """What one recording adds to its session; None where it is unknown."""

    candidates: int  # the machine's
    observed_s: float  # seconds in which one could be seen
    # of which the model is not uncertain, above and below in the valence balance; None where its
    # classes have but one side
    balance: tuple[int, int] | None
    blinks: int | None = None
    found_s: float | None = None  # seconds with the face found
    reviewed: Reviewed | None = None  # by a coder who has finished
    movement: Sequence[float] | None = None  # levels of 2 s blocks (``movement_levels``)
    neither: tuple[str, ...] = ()  # the model's classes that the balance leaves out


@dataclass(frozen=True)
class SessionNumbers:
    """One session: its day, whether it belongs to the baseline, and its analysed recordings."""

    session_id: str
    title: str
    held_on: date
    baseline: bool
    recordings: Sequence[RecordingNumbers] = ()


def movement_levels(
    curve: MotionCurve, found: NDArray[np.bool_], blinks: Sequence[Blink]
) -> tuple[float, ...]:
    """How much the face moved, ready to be kept with a recording: per 2 s of usable face, the 90th
    percentile of the ten cells' displacement from their own local rest, in percent of the distance
    between the eyes. ``found``: (T,) where the face was found."""
    levels = block_levels(curve, found, blinks) * (100.0 / INTEROCULAR)
    return tuple(round(float(level), 4) for level in levels)


def recording_numbers(
    payload: Mapping[str, Any],
    review: Mapping[str, Any],
    coded: Iterable[tuple[str, str]] | None = None,
) -> RecordingNumbers:
    """The numbers of one recording from what is kept of its analysis: ``events.json`` and
    ``review.json``. ``coded``: (status, label) of each micro-expression of a coder; None where no
    coder has been at it. A review with one still pending does not count."""
    events = [event for event in payload["events"] if kind_of(event) == "micro"]
    valence = Valence.of(labels_in(payload))
    blinks = review.get("blinks")
    found_s = None
    if blinks is not None:
        # From the blink rate: its upper end is that of the count's exact interval over the minutes,
        # so the minutes follow even where no blink was seen.
        high = payload["indicators"]["blinks_per_minute"]["high"]
        found_s = 60.0 * poisson_interval(len(blinks))[1] / high if high else None
    reviewed, decided = None, list(coded or ())
    if coded is not None and all(status != "pending" for status, _ in decided):
        accepted = [label for status, label in decided if status == "accepted"]
        # A scheme's classes need not be the model's: each counts by what it stands for.
        own = Valence.of(dict.fromkeys([*labels_in(payload), *accepted]))
        left_out = tuple(name for name in own.neither if name in accepted)
        reviewed = Reviewed(len(accepted), own.counts(accepted), left_out)
    return RecordingNumbers(
        candidates=len(events),
        observed_s=float(payload["indicators"]["observed_s"]["value"] or 0.0),
        balance=valence.counts(event["label"] for event in events if not event["uncertain"]),
        blinks=None if blinks is None else len(blinks),
        found_s=found_s,
        reviewed=reviewed,
        movement=review.get("movement_levels"),
        neither=valence.neither,
    )


Counts = Callable[[RecordingNumbers], tuple[int, float] | None]
"""Of one recording: a count and its seconds, or a balance's sides; None where unknown."""
Rows = Sequence[RecordingNumbers]
Value = tuple[float | None, float | None, float | None, int]
"""Value, low and high end, and how many counts or blocks they rest on."""
_UNKNOWN: Final[Value] = (None, None, None, 0)


@dataclass(frozen=True)
class _Indicator:
    """One row of the page: how a set of recordings is summed up, and two sets compared."""

    name: str
    label: str
    unit: str
    caveat: str
    value: Callable[[Rows], Value]
    change: Callable[[Rows, Rows], Change]
    reviewed: bool = False
    empty: str = _EMPTY


def trends(sessions: Sequence[SessionNumbers], *, coder: str | None = None) -> dict[str, Any]:
    """The indicators of one person over sessions in any order, ready for JSON.

    Schema ``micromimic.trends/1``: ``indicators``, each with ``name``, ``label``, ``unit``,
    ``caveat``, ``empty`` (what to say where no session has a value), ``sessions`` and ``change`` of
    every session outside the baseline; ``baseline``, the sessions compared with; ``comparisons``,
    how many changes were computed; ``note``. Intervals are of 95 %; None is unknown, and a ``high``
    that alone is None has no upper end. ``coder`` is who reviewed.

    >>> first, second = (RecordingNumbers(n, 600.0, (2, 3)) for n in (6, 12))
    >>> found = trends([SessionNumbers("a", "intake", date(2024, 1, 8), False, [first]),
    ...                 SessionNumbers("b", "week 4", date(2024, 2, 5), False, [second])])
    >>> found["indicators"][0]["change"][0]["value"], found["baseline"]
    (2.0, ['a'])
    """
    ordered = sorted(sessions, key=lambda session: session.held_on)
    # the marked sessions; else the first that has numbers
    base = [session for session in ordered if session.baseline]
    base = base or [session for session in ordered if session.recordings][:1]
    others = [session for session in ordered if session not in base]
    recordings = [recording for session in ordered for recording in session.recordings]
    any_review = any(recording.reviewed is not None for recording in recordings)
    names = dict.fromkeys(name for recording in recordings for name in recording.neither)
    left_out = ", ".join(names if recordings else Valence.of(THREE).neither)
    sides = _without_sides(recordings, coder)
    rows = [
        _row(indicator, ordered, others, [r for session in base for r in session.recordings])
        for indicator in _indicators(coder, left_out, *sides)
        if any_review or not indicator.reviewed
    ]
    made = sum(change["low"] is not None for row in rows for change in row["change"])
    found = {
        "schema": TRENDS_SCHEMA,
        "indicators": rows,
        "baseline": [session.session_id for session in base],
        "comparisons": made,
        "coder": coder if any_review else None,
        "note": _note(base, made),
    }
    return dict(tidy(found))


def _row(
    indicator: _Indicator,
    ordered: Sequence[SessionNumbers],
    others: Sequence[SessionNumbers],
    base: Rows,
) -> dict[str, Any]:
    sessions = [
        {
            "session_id": session.session_id,
            "held_on": session.held_on.isoformat(),
            "title": session.title,
            "baseline": session.baseline,
            **dict(
                zip(("value", "low", "high", "n"), indicator.value(session.recordings), strict=True)
            ),
        }
        for session in ordered
    ]
    changes = []
    for session in others:
        change = indicator.change(session.recordings, base)
        ends = {"value": change.value, "low": change.low, "high": change.high}
        clear = {"kind": change.kind, "clear": change.clear}
        changes.append({"session_id": session.session_id, **ends, **clear})
    about = ("name", "label", "unit", "caveat", "empty")
    return {n: getattr(indicator, n) for n in about} | {"sessions": sessions, "change": changes}


def _note(base: Sequence[SessionNumbers], made: int) -> str:
    if not base:
        return "No session has been analysed yet, so there is nothing to compare."
    which = ", ".join(f"{s.title or 'untitled'} ({s.held_on.isoformat()})" for s in base)
    why = "" if any(s.baseline for s in base) else ", the first, as none is marked as baseline"
    parts = [f"Change is from this person's own baseline: {which}{why}."]
    if made:
        parts.append(
            f"{made} comparison{'' if made == 1 else 's'} at 95 %: with no change at all, about "
            f"{0.05 * made:.2g} would still look clear."
        )
    parts.append(
        "Another camera, frame rate, light or distance changes these numbers too. They count "
        "movements: they are no measure of stress, honesty or mood."
    )
    return " ".join(parts)


def _without_sides(recordings: Rows, coder: str | None) -> tuple[str, str]:
    """Why there is no valence balance, of the machine's classes and of the coder's."""
    neither = f"do not stand for {BELOW} and {ABOVE}."
    machine = recordings and all(r.balance is None for r in recordings)
    given = [r.reviewed for r in recordings if r.reviewed is not None and r.reviewed.events]
    names = ", ".join(dict.fromkeys(name for reviewed in given for name in reviewed.neither))
    reviewed = given and not any(sum(one.balance or ()) for one in given)
    gave = f"The classes that {coder or 'the coder'} gave{names and f' ({names})'}"
    return (
        f"The machine's classes {neither}" if machine else _EMPTY,
        f"{gave} {neither}" if reviewed else _EMPTY,
    )


def _indicators(
    coder: str | None, left_out: str, no_balance: str, no_reviewed: str
) -> tuple[_Indicator, ...]:
    who = coder or "the coder"
    return (
        _rate(
            "candidates_per_minute",
            "Candidates a minute",
            "per minute that could be judged",
            "The machine's candidates, false ones included.",
            lambda r: (r.candidates, r.observed_s),
        ),
        _rate(
            "reviewed_per_minute",
            "Reviewed events a minute",
            "per minute that could be judged",
            f"What {who} accepted or added, in recordings decided to the end.",
            lambda r: None if r.reviewed is None else (r.reviewed.events, r.observed_s),
            reviewed=True,
        ),
        _rate(
            "blinks_per_minute",
            "Blinks a minute",
            "per minute with the face found",
            "Varies with light, screens and speech; intervals are too narrow where blinks come in "
            "bursts.",
            lambda r: None if r.blinks is None or r.found_s is None else (r.blinks, r.found_s),
        ),
        _balance(
            "valence_balance",
            "Valence balance",
            "The machine's classes, those of which the model is unsure"
            f"{left_out and f' and {left_out}'} left out; intervals cover chance only, "
            "not the model's errors.",
            lambda r: r.balance,
            empty=no_balance,
        ),
        _balance(
            "reviewed_balance",
            "Valence balance, reviewed",
            f"Classes as {who} sees them{left_out and f', {left_out} left out'}.",
            lambda r: None if r.reviewed is None else r.reviewed.balance,
            reviewed=True,
            empty=no_reviewed,
        ),
        _Indicator(
            "movement",
            "Movement of the face",
            "% of the distance between the eyes",
            "Median of 2 s blocks outside blinks; intervals by resampling blocks, too narrow where "
            "movement comes in long spells. Speech moves it most; a small or noisy picture raises "
            "it.",
            _movement,
            lambda rows, base: level_ratio(_levels(rows), _levels(base)),
        ),
    )


def _rate(
    name: str, label: str, unit: str, caveat: str, counts: Counts, *, reviewed: bool = False
) -> _Indicator:
    def value(rows: Rows) -> Value:
        count, seconds = _summed(rows, counts)
        if not seconds > 0:
            return _UNKNOWN
        low, high = poisson_interval(int(count))
        minutes = seconds / 60
        return count / minutes, low / minutes, high / minutes, int(count)

    def change(rows: Rows, base: Rows) -> Change:
        (count, seconds), (base_count, base_seconds) = (_summed(r, counts) for r in (rows, base))
        return rate_ratio(int(count), seconds, int(base_count), base_seconds)

    exact = "Exact Poisson intervals; change as a ratio of rates, exact given both counts."
    return _Indicator(name, label, unit, f"{caveat} {exact}", value, change, reviewed)


def _balance(
    name: str, label: str, caveat: str, counts: Counts, *, empty: str, reviewed: bool = False
) -> _Indicator:
    def summed(rows: Rows) -> tuple[int, int]:
        above, below = _summed(rows, counts)
        return int(above), int(below)

    def value(rows: Rows) -> Value:
        above, below = summed(rows)
        n = above + below
        return ((above - below) / n, *balance_interval(above, below), n) if n else _UNKNOWN

    how = f"{VALENCE_FORMULA}. {caveat} Change as a difference."

    def change(rows: Rows, base: Rows) -> Change:
        return balance_difference(*summed(rows), *summed(base))

    return _Indicator(name, label, VALENCE_UNIT, how, value, change, reviewed, empty)


def _summed(rows: Rows, counts: Counts) -> tuple[float, float]:
    """Both numbers added over the recordings in which they are known."""
    known = [pair for pair in map(counts, rows) if pair is not None]
    return sum(first for first, _ in known), sum(second for _, second in known)


def _movement(rows: Rows) -> Value:
    levels = _levels(rows)
    found = median_interval(levels)
    return found.value, found.low, found.high, len(levels)


def _levels(rows: Rows) -> list[float]:
    return [level for row in rows if row.movement is not None for level in row.movement]
