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
from numpy.typing import NDArray

from micromimic.core.types import ExpressionKind
from micromimic.evaluation.agreement import (
    REJECTED,
    RESAMPLES,
    Array,
    CodedRecording,
    SideBySide,
    Tier,
    Values,
    ac1s,
    interval_of,
    kappas,
    side_by_side,
)
from micromimic.evaluation.resampling import subject_numbers, times_drawn

LEAST_UNITS: Final = 5
"""Fewer subjects, or recordings, give no interval: resampling them would claim too much."""
TIERS: Final[Mapping[ExpressionKind, str]] = {"micro": "micro-expression", "macro": "longer"}
BOUNDARIES: Final = ("onset", "apex", "offset", "duration")

Group = Literal["pooled", "tier", "class", "mode", "recording"]
Resampled = Literal["subjects", "recordings"]


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
    listed = list(recordings)
    names = _categories(listed, labels)
    units, resampled = _units(listed)
    drawn = None
    if resampled is not None:
        drawn = times_drawn(int(units.max()) + 1, draws, np.random.default_rng(seed))
    parts = {
        kind: side_by_side(listed, names, overlap, units, kind)
        for kind in dict.fromkeys((tier, *TIERS))
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
        _row("class", name, part.events_where("label", place), drawn, one=place)
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
    units = subject_numbers(people)
    if len(set(people)) >= LEAST_UNITS and any(r.subject for r in listed):
        return units, "subjects"
    if len(listed) >= LEAST_UNITS:
        return np.arange(len(listed)), "recordings"
    return units, None


def _row(
    group: Group,
    name: str,
    part: SideBySide,
    drawn: NDArray[np.int64] | None,
    one: int | None = None,
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
            for boundary, values in _boundaries(part.pairs["seconds"]).items()
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
    """(m,) ICC(2,1) of two coders from (m, 5) sums, as `SideBySide.moments` has them."""
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
