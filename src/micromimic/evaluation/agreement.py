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
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import THREE, LabelSet
from micromimic.core.types import ExpressionKind, Interval
from micromimic.evaluation.metrics import confusion
from micromimic.evaluation.resampling import quantiles, subject_tables
from micromimic.evaluation.spotting import match_events

REJECTED: Final = "rejected"
RESAMPLES: Final = 2000
FEW_EVENTS: Final = 20
"""Below this the note says that the figures are weak."""

LEAST_DEFINED: Final = 0.9
"""Share of resamples in which a figure must exist to have an interval."""

Tables = NDArray[np.int64]
"""(m, k, k) how often the first coder said the row, the second the column."""
Values = NDArray[np.float64]
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


def cohen_kappa(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Agreement beyond chance of two codings, event by event.

    None where it is undefined: without events, or where both put every event into one category.

    >>> cohen_kappa(["a", "b", "a"], ["a", "b", "b"]), cohen_kappa(["a", "a"], ["a", "a"])
    (0.4, None)
    """
    _same_length(a, b)
    if len({*a, *b}) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 - slow to load

    return round(float(cohen_kappa_score(a, b)), 12)


def kappa_interval(
    a: Sequence[str], b: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """95 % percentile interval of kappa, whole events drawn with replacement.

    None with fewer than two events, no disagreement at all, or a kappa that is undefined in more
    than a tenth of the resamples.
    """
    return _resampled(kappas, a, b, sorted({*a, *b}), resamples, seed)


def gwet_ac1(a: Sequence[str], b: Sequence[str], categories: Sequence[str]) -> float | None:
    """Gwet's AC1: agreement beyond chance, where chance is high only if all categories are used.

    ``categories`` are all that could have been chosen. None without events, or with one category.

    >>> round(gwet_ac1(["a"] * 9 + ["b"], ["a"] * 10, ["a", "b"]), 3)
    0.89
    """
    if not len(a) or len(categories) < 2:
        return None
    (value,) = ac1s(np.array([confusion(a, b, categories)]))
    return float(value)


def _resampled(
    figure: Callable[[Tables], Values],
    a: Sequence[str],
    b: Sequence[str],
    categories: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[float, float] | None:
    """The 95 % interval of a figure of tables, events drawn with replacement."""
    _same_length(a, b)
    n = len(a)
    if n < 2 or list(a) == list(b):
        return None
    place = {name: k for k, name in enumerate(categories)}
    first, second = (np.array([place[x] for x in side]) for side in (a, b))
    picks = np.random.default_rng(seed).integers(n, size=(resamples, n))
    draw = np.repeat(np.arange(resamples)[:, None], n, 1)
    return interval_of(figure(subject_tables(first[picks], second[picks], draw, len(place))))


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


def event_agreement(
    a: Iterable[CodedEvent],
    b: Iterable[CodedEvent],
    *,
    min_iou: float = 0.5,
    seed: int = 0,
    labels: LabelSet | None = None,
) -> Agreement:
    first, second = _by_key(a), _by_key(b)
    used = sorted({event.label for event in (*first.values(), *second.values())})
    names = THREE.names if set(used) <= set(THREE.names) else tuple(used)
    categories = (REJECTED, *(names if labels is None else labels))
    if labels is not None:
        labels.encode(used)
    shared = [key for key, event in first.items() if not event.added and key in second]
    shared = [key for key in shared if not second[key].added]
    both = [k for k in shared if "pending" not in (first[k].status, second[k].status)]
    codes = [first[key].category for key in both], [second[key].category for key in both]
    kappa = cohen_kappa(*codes)
    interval = kappa_interval(*codes, seed=seed) if kappa is not None else None
    ac1_interval = _resampled(ac1s, *codes, categories, RESAMPLES, seed)
    anchored = sum("open" in (first[key].mode, second[key].mode) for key in both)
    same = sum(x == y for x, y in zip(*codes, strict=True))
    observed = binomial_interval(same, len(both)) if both else None
    sides = first.values(), second.values()
    accepted = [[event for event in side if event.status == "accepted"] for side in sides]
    truth, found = ([event.interval for event in events] for events in accepted)
    score = match_events(truth, found, min_iou, duration_s=1.0, fps=1.0)
    pairs = len(score.pairs)
    alike = sum(accepted[0][p.truth].label == accepted[1][p.found].label for p in score.pairs)
    nothing = (None, None)
    (low, high), (kappa_low, kappa_high) = observed or nothing, interval or nothing
    ac1_low, ac1_high = ac1_interval or nothing
    return Agreement(
        n=len(both),
        anchored=anchored,
        undecided=len(shared) - len(both),
        categories=categories,
        confusion=tuple(map(tuple, confusion(*codes, categories).tolist())),
        observed=_share(same, len(both)),
        observed_low=low,
        observed_high=high,
        kappa=kappa,
        kappa_low=kappa_low,
        kappa_high=kappa_high,
        ac1=gwet_ac1(*codes, categories),
        ac1_low=ac1_low,
        ac1_high=ac1_high,
        events_first=len(accepted[0]),
        events_second=len(accepted[1]),
        matched=pairs,
        precision=_share(pairs, len(accepted[1])),
        recall=_share(pairs, len(accepted[0])),
        f1=_share(2 * pairs, len(accepted[0]) + len(accepted[1])),
        same_label=alike,
        label_agreement=_share(alike, pairs),
        min_iou=min_iou,
        note=_note(codes, len(shared) - len(both), kappa, interval, any(accepted), anchored),
    )


def _by_key(events: Iterable[CodedEvent]) -> dict[str, CodedEvent]:
    listed = list(events)
    found = {event.key: event for event in listed}
    if len(found) != len(listed):
        raise ValueError("expected each event's key once, got one twice")
    return found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _same_length(a: Sequence[str], b: Sequence[str]) -> None:
    if len(a) != len(b):
        raise ValueError(f"expected one category an event and coder, got {len(a)} and {len(b)}")


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


def _note(
    codes: tuple[list[str], list[str]],
    undecided: int,
    kappa: float | None,
    interval: tuple[float, float] | None,
    events: bool,
    anchored: int,
) -> str:
    n = len(codes[0])
    parts = []
    if n == 0:
        parts.append("No candidate has been decided by both, so kappa is unknown.")
    elif kappa is None:
        parts.append(f"Both say {codes[0][0]} to every candidate: kappa is undefined.")
    elif interval is None:
        parts.append("Resampling so few or such like decisions gives no interval for kappa.")
    if undecided:
        one = undecided == 1
        parts.append(
            f"{undecided} candidate{' is' if one else 's are'} left out: not decided by both."
        )
    if 0 < n < FEW_EVENTS:
        parts.append(f"{n} decision{'' if n == 1 else 's'} in common tell little.")
    if anchored:
        parts.append(
            f"{anchored} of {n} decided after seeing the machine's answer: agreement may be its."
        )
    if not events:
        parts.append("Neither holds any event to be there, so there is no F1.")
    parts.append("Kappa is about the machine's candidates only; F1 includes added events.")
    return " ".join(parts)
