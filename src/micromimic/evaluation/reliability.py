"""How far an answer can be relied on: whether probabilities hold, and what keeping silent gains.

A model that answers only where it is surest is right more often. How much more, by the share of
clips that it still answers, is the coverage curve (El-Yaniv and Wiener, "On the Foundations of
Noise-free Selective Classification", JMLR 2010). What orders the clips is the lead: the first
class's probability over the second's, which `models.onnx` compares with its margin to call
an answer uncertain. Entropy, the agreement of a map with its mirror image or with shifted copies of
itself order maps no better (``benchmarks/reliability.py``), so the simplest is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.evaluation.metrics import (
    BINS,
    Labels,
    Names,
    bins_of,
    calibration_error,
    numbered,
    reliability_bins,
    scores_of_tables,
)
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.resampling import Interval, subject_interval, subject_tables
from micromimic.models.calibrate import by_surety, lead_of

SHARES: Final = tuple(round(1 - 0.05 * k, 2) for k in range(17))
"""Coverages of a curve: all clips down to a fifth of them; of fewer a score says little."""
COVERAGE: Final = 0.7
"""The share of clips at which `reliability_of` gives a gain."""

Probabilities = NDArray[np.floating]
Subjects = Sequence[str] | NDArray[np.str_]


class CoveragePoint(NamedTuple):
    """Scores of the n surest clips, a share of all; ``lead`` is that of the least sure of them."""

    coverage: float
    n: int
    lead: float
    uf1: float
    uar: float
    accuracy: float


class Gain(NamedTuple):
    """What answering only a share of the clips adds to UF1: of all, of the surest, the difference
    and its 95 % interval over subjects, None with one.
    """

    coverage: float
    full: float
    part: float
    gain: float
    ci95: Interval | None


def reliability_of(rows: Predictions, *, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """The key ``reliability`` of ``metrics.json``, of one run; intervals None with one subject."""
    run = rows.one_run()
    truth, p, names = run.truth, run.probabilities, run.labels.names
    bins = reliability_bins(truth, p, labels=names)
    mass = reliability_bins(truth, p, by="mass", labels=names)
    interval = calibration_interval(truth, p, run.who, draws=draws, seed=seed, labels=names)
    gain = gain_at(truth, p, run.who, COVERAGE, draws=draws, seed=seed, labels=names)
    curve = coverage_curve(truth, p, labels=names)
    return {
        "ece": calibration_error(bins),
        "ece_ci95": None if interval is None else list(interval),
        "ece_equal_mass": calibration_error(mass),
        "bins": [group._asdict() for group in bins],
        "risk_area": risk_area(truth, p, labels=names),
        "coverage": [point._asdict() for point in curve],
        "gain": {**gain._asdict(), "ci95": None if gain.ci95 is None else list(gain.ci95)},
    }


def calibration_interval(
    y_true: Labels,
    probabilities: Probabilities,
    subjects: Subjects,
    *,
    draws: int = 1000,
    seed: int = 0,
    labels: Names = None,
) -> Interval | None:
    """95 % interval of the calibration error when whole subjects are drawn anew; None with one.

    The error of a resample lies above that of the clips themselves: repeated clips make the bins
    rougher. The interval is therefore a cautious one.
    """
    truth, p = numbered(y_true, probabilities, labels)
    confidence, right = p.max(1), p.argmax(1) == truth

    def error(rows: NDArray[np.int64]) -> float:
        return calibration_error(bins_of(confidence[rows], right[rows], BINS, "width"))

    if len(set(subjects)) < 2:
        return None
    return subject_interval(error, subjects, draws=draws, seed=seed)


def coverage_curve(
    y_true: Labels,
    probabilities: Probabilities,
    shares: Sequence[float] = SHARES,
    order: NDArray[np.floating] | None = None,
    *,
    labels: Names = None,
) -> tuple[CoveragePoint, ...]:
    """Scores of the surest share of the clips, for each share.

    A class that none of the answered clips has counts 0.

    ``order``: (n,) higher is surer, of equals the first; None takes the lead.

    >>> p = np.array([[0.9, 0.1], [0.4, 0.6], [0.0, 1.0], [0.55, 0.45]])
    >>> points = coverage_curve(["a", "b", "b", "b"], p, (1.0, 0.5))
    >>> [round(point.accuracy, 2) for point in points]
    [0.75, 1.0]
    """
    truth, p = numbered(y_true, probabilities, labels)
    if not shares or not all(0 < share <= 1 for share in shares):
        raise ValueError(f"expected shares above 0 and at most 1, got {tuple(shares)}")
    guess, lead = p.argmax(1), lead_of(p)
    surest = by_surety(lead if order is None else order)
    parts = [surest[: _answered(share, len(p))] for share in shares]
    uf1, uar = _scores(truth, guess, parts, p.shape[1])
    return tuple(
        CoveragePoint(
            coverage=share,
            n=len(rows),
            lead=float(lead[rows].min()),
            uf1=float(uf1[k]),
            uar=float(uar[k]),
            accuracy=float((truth[rows] == guess[rows]).mean()),
        )
        for k, (share, rows) in enumerate(zip(shares, parts, strict=True))
    )


def classes_gone(
    y_true: Labels,
    probabilities: Probabilities,
    shares: Sequence[float] = SHARES,
    *,
    labels: Sequence[str],
) -> dict[str, float]:
    """Classes that count 0 in a `coverage_curve`, and the largest share with no clip of theirs.

    >>> p = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> classes_gone(["a", "b"], p, (1.0, 0.5), labels=["a", "b"])
    {'b': 0.5}
    """
    truth, p = numbered(y_true, probabilities, labels)
    surest = truth[by_surety(lead_of(p))]
    without = {
        name: [share for share in shares if place not in surest[: _answered(share, len(p))]]
        for place, name in enumerate(labels)
    }
    return {name: max(found) for name, found in without.items() if found}


def risk_area(
    y_true: Labels,
    probabilities: Probabilities,
    order: NDArray[np.floating] | None = None,
    *,
    labels: Names = None,
) -> float:
    """Area under the risk-coverage curve: the share of wrong answers, averaged over all coverages.

    >>> risk_area(["a", "b"], np.array([[0.9, 0.1], [0.6, 0.4]]))
    0.25
    """
    truth, p = numbered(y_true, probabilities, labels)
    wrong = (p.argmax(1) != truth)[by_surety(lead_of(p) if order is None else order)]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def gain_at(
    y_true: Labels,
    probabilities: Probabilities,
    subjects: Subjects,
    share: float = COVERAGE,
    *,
    order: NDArray[np.floating] | None = None,
    draws: int = 1000,
    seed: int = 0,
    labels: Names = None,
) -> Gain:
    """How much higher UF1 is when only the surest share is answered; see `coverage_curve`.

    In each resample of whole subjects the surest share is chosen anew.
    """
    truth, p = numbered(y_true, probabilities, labels)
    guess = p.argmax(1)
    surety = np.asarray(lead_of(p) if order is None else order, np.float64)

    def both(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        best = rows[by_surety(surety[rows])[: _answered(share, len(rows))]]
        return _scores(truth, guess, [best, rows], p.shape[1])[0]

    def difference(rows: NDArray[np.int64]) -> float:
        return float(np.subtract(*both(rows)))

    part, full = both(np.arange(len(p))).tolist()
    interval = None
    if len(set(subjects)) > 1:
        interval = subject_interval(difference, subjects, draws=draws, seed=seed)
    return Gain(share, full, part, part - full, interval)


def _scores(
    truth: NDArray[np.int64],
    guess: NDArray[np.int64],
    parts: Sequence[NDArray[np.int64]],
    classes: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """UF1 and UAR of several parts of the clips."""
    rows = np.concatenate(parts)
    number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return scores_of_tables(subject_tables(truth[rows], guess[rows], number, classes))


def _answered(share: float, clips: int) -> int:
    return max(1, round(share * clips))
