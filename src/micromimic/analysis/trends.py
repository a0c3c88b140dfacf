"""One person's numbers from session to session, and their change from the person's own baseline.

Numbers of a session's recordings are pooled: counts and times are added, never averaged. What is
not known stays unknown (None). There is no score of stress, honesty or mood: rates of candidates,
blinks, movement, each with its interval and with what it cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from micromimic.analysis.changes import (
    Change,
    balance_difference,
    level_ratio,
    median_interval,
    rate_ratio,
)
from micromimic.analysis.indicators import (
    ABOVE,
    BELOW,
    Valence,
    balance_interval,
    poisson_interval,
)
from micromimic.analysis.session_numbers import RecordingNumbers, SessionNumbers
from micromimic.core.labels import THREE
from micromimic.core.strict_json import tidy

Counts = Callable[[RecordingNumbers], tuple[int, float] | None]
"""Of one recording: a count and its seconds, or a balance's sides; None where unknown."""
Rows = Sequence[RecordingNumbers]
TRENDS_SCHEMA: Final = "micromimic.trends/1"


@dataclass(frozen=True)
class _Value:
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True)
class _Indicator:
    """One row of the page: how a set of recordings is summed up, and two sets compared."""

    name: str
    label: str
    unit: str
    caveat: str
    value: Callable[[Rows], _Value]
    change: Callable[[Rows, Rows], Change]
    reviewed: bool = False


def trends(sessions: Sequence[SessionNumbers], *, coder: str | None = None) -> dict[str, Any]:
    """The indicators of one person over sessions, ready for JSON. Returns schema
    ``micromimic.trends/1``: ``indicators``, each with ``name``, ``label``, ``unit``, ``caveat``,
    ``sessions`` (``session_id``, ``held_on``, ``title``, ``baseline``, ``value``, ``low``,
    ``high``, ``n``) and ``change`` of every session outside the baseline (``session_id``,
    ``value``, ``low``, ``high``, ``kind``, ``clear``); ``baseline``, the sessions compared with;
    ``comparisons``, how many changes were computed; ``note``. Intervals are of 95 %; None is
    unknown, and a ``high`` that alone is None has no upper end.

    >>> from datetime import date
    >>> first, second = (RecordingNumbers(n, 600.0, (2, 3)) for n in (6, 12))
    >>> found = trends([SessionNumbers("a", "intake", date(2024, 1, 8), False, [first]),
    ...                 SessionNumbers("b", "week 4", date(2024, 2, 5), False, [second])])
    >>> found["indicators"][0]["change"][0]["value"], found["baseline"]
    (2.0, ['a'])
    """
    ordered = sorted(sessions, key=lambda session: session.held_on)
    base = _baseline(ordered)
    pooled = [recording for session in base for recording in session.recordings]
    others = [session for session in ordered if session not in base]
    any_review = any(r.reviewed is not None for s in ordered for r in s.recordings)
    rows = [
        _row(indicator, ordered, others, pooled)
        for indicator in _indicators(coder, _left_out(ordered))
        if any_review or not indicator.reviewed
    ]
    made = sum(change["low"] is not None for row in rows for change in row["change"])
    found = {
        "schema": TRENDS_SCHEMA,
        "indicators": rows,
        "baseline": [session.session_id for session in base],
        "comparisons": made,
        "coder": coder if any_review else None,
        "note": _note(ordered, base, made),
    }
    return dict(tidy(found))


def _row(
    indicator: _Indicator,
    ordered: Sequence[SessionNumbers],
    others: Sequence[SessionNumbers],
    base: Rows,
) -> dict[str, Any]:
    values = [(session, indicator.value(session.recordings)) for session in ordered]
    changes = [(s.session_id, indicator.change(s.recordings, base)) for s in others]
    return {
        "name": indicator.name,
        "label": indicator.label,
        "unit": indicator.unit,
        "caveat": indicator.caveat,
        "sessions": [
            {
                "session_id": session.session_id,
                "held_on": session.held_on.isoformat(),
                "title": session.title,
                "baseline": session.baseline,
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "n": found.n,
            }
            for session, found in values
        ],
        "change": [
            {
                "session_id": session_id,
                "value": change.value,
                "low": change.low,
                "high": change.high,
                "kind": change.kind,
                "clear": change.clear,
            }
            for session_id, change in changes
        ],
    }


def _baseline(ordered: Sequence[SessionNumbers]) -> list[SessionNumbers]:
    """The marked sessions; else the first that has numbers."""
    marked = [session for session in ordered if session.baseline]
    return marked or [session for session in ordered if session.recordings][:1]


def _note(ordered: Sequence[SessionNumbers], base: Sequence[SessionNumbers], made: int) -> str:
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


def _left_out(sessions: Sequence[SessionNumbers]) -> str:
    """Names of the classes that the balance leaves out."""
    held = [recording for session in sessions for recording in session.recordings]
    names = dict.fromkeys(name for recording in held for name in recording.neither)
    return ", ".join(names if held else Valence.of(THREE).neither)


def _indicators(coder: str | None, left_out: str) -> tuple[_Indicator, ...]:
    who = coder or "the coder"
    return (
        _rate(
            "candidates_per_minute",
            "Candidates a minute",
            "per minute of observed time",
            "The machine's candidates, false ones included.",
            lambda r: (r.candidates, r.observed_s),
        ),
        _rate(
            "reviewed_per_minute",
            "Reviewed events a minute",
            "per minute of observed time",
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
            f"The machine's classes, uncertain ones{left_out and f' and {left_out}'} left out; "
            "intervals cover chance only, not the model's errors.",
            lambda r: r.balance,
        ),
        _balance(
            "reviewed_balance",
            "Valence balance, reviewed",
            f"Classes as {who} sees them{left_out and f', {left_out} left out'}.",
            lambda r: None if r.reviewed is None else r.reviewed.balance,
            reviewed=True,
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
    def value(rows: Rows) -> _Value:
        count, seconds = _summed(rows, counts)
        if not seconds > 0:
            return _Value()
        low, high = poisson_interval(int(count))
        minutes = seconds / 60
        return _Value(count / minutes, low / minutes, high / minutes, int(count))

    def change(rows: Rows, base: Rows) -> Change:
        count, seconds = _summed(rows, counts)
        base_count, base_seconds = _summed(base, counts)
        return rate_ratio(int(count), seconds, int(base_count), base_seconds)

    exact = "Exact Poisson intervals; change as a ratio of rates, exact given both counts."
    return _Indicator(name, label, unit, f"{caveat} {exact}", value, change, reviewed)


def _balance(
    name: str, label: str, caveat: str, counts: Counts, *, reviewed: bool = False
) -> _Indicator:
    def summed(rows: Rows) -> tuple[int, int]:
        above, below = _summed(rows, counts)
        return int(above), int(below)

    def value(rows: Rows) -> _Value:
        above, below = summed(rows)
        n = above + below
        if n == 0:
            return _Value()
        return _Value((above - below) / n, *balance_interval(above, below), n=n)

    return _Indicator(
        name,
        label,
        f"-1 all {BELOW} to 1 all {ABOVE}",
        f"({ABOVE} - {BELOW}) / ({ABOVE} + {BELOW}). {caveat} Change as a difference.",
        value,
        lambda rows, base: balance_difference(*summed(rows), *summed(base)),
        reviewed,
    )


def _summed(rows: Rows, counts: Counts) -> tuple[float, float]:
    """Both numbers added over the recordings in which they are known."""
    known = [pair for pair in map(counts, rows) if pair is not None]
    return sum(first for first, _ in known), sum(second for _, second in known)


def _movement(rows: Rows) -> _Value:
    levels = _levels(rows)
    found = median_interval(levels)
    return _Value(found.value, found.low, found.high, len(levels))


def _levels(rows: Rows) -> list[float]:
    return [level for row in rows if row.movement is not None for level in row.movement]
