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
    bins_of,
    calibration_error,
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

Rows = NDArray[np.int64]


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
    interval = calibration_interval(run, draws=draws, seed=seed)
    gain = gain_at(run, draws=draws, seed=seed)
    return {
        "ece": calibration_error(bins),
        "ece_ci95": None if interval is None else list(interval),
        "ece_equal_mass": calibration_error(reliability_bins(truth, p, by="mass", labels=names)),
        "bins": [group._asdict() for group in bins],
        "risk_area": risk_area(run),
        "coverage": [point._asdict() for point in coverage_curve(run)],
        "gain": {**gain._asdict(), "ci95": None if gain.ci95 is None else list(gain.ci95)},
    }


def calibration_interval(rows: Predictions, *, draws: int = 1000, seed: int = 0) -> Interval | None:
    """95 % interval of the calibration error when whole subjects are drawn anew; None with one.

    The error of a resample lies above that of the clips themselves: repeated clips make the bins
    rougher. The interval is therefore a cautious one.
    """
    truth, p = _numbers(rows)
    confidence, right = p.max(1), p.argmax(1) == truth

    def error(drawn: Rows) -> float:
        return calibration_error(bins_of(confidence[drawn], right[drawn], BINS, "width"))

    if len(set(rows.who)) < 2:
        return None
    return subject_interval(error, rows.who, draws=draws, seed=seed)


def coverage_curve(
    rows: Predictions, shares: Sequence[float] = SHARES
) -> tuple[CoveragePoint, ...]:
    """Scores of the surest share of the clips, for each share, by the lead; of equals the first.

    A class that none of the answered clips has counts 0.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        raise ValueError(f"expected shares above 0 and at most 1, got {tuple(shares)}")
    truth, p = _numbers(rows)
    guess, lead = p.argmax(1), lead_of(p)
    surest = by_surety(lead)
    parts = [surest[: _answered(share, len(p))] for share in shares]
    uf1, uar = _scores(truth, guess, parts, p.shape[1])
    return tuple(
        CoveragePoint(
            coverage=share,
            n=len(part),
            lead=float(lead[part].min()),
            uf1=float(uf1[k]),
            uar=float(uar[k]),
            accuracy=float((truth[part] == guess[part]).mean()),
        )
        for k, (share, part) in enumerate(zip(shares, parts, strict=True))
    )


def classes_gone(rows: Predictions, shares: Sequence[float] = SHARES) -> dict[str, float]:
    """Classes that count 0 in a `coverage_curve`, and the largest share with no clip of theirs."""
    truth, p = _numbers(rows)
    surest = truth[by_surety(lead_of(p))]
    without = {
        name: [share for share in shares if place not in surest[: _answered(share, len(p))]]
        for place, name in enumerate(rows.labels)
    }
    return {name: max(found) for name, found in without.items() if found}


def risk_area(rows: Predictions, order: NDArray[np.floating] | None = None) -> float:
    """Area under the risk-coverage curve: the share of wrong answers, averaged over all coverages.

    ``order``: (n,) higher is surer; None takes the lead.
    """
    truth, p = _numbers(rows)
    wrong = (p.argmax(1) != truth)[by_surety(lead_of(p) if order is None else order)]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def gain_at(
    rows: Predictions, share: float = COVERAGE, *, draws: int = 1000, seed: int = 0
) -> Gain:
    """How much higher UF1 is when only the surest share is answered; see `coverage_curve`.

    In each resample of whole subjects the surest share is chosen anew.
    """
    truth, p = _numbers(rows)
    guess, lead = p.argmax(1), lead_of(p)

    def both(drawn: Rows) -> NDArray[np.float64]:
        best = drawn[by_surety(lead[drawn])[: _answered(share, len(drawn))]]
        return _scores(truth, guess, [best, drawn], p.shape[1])[0]

    def difference(drawn: Rows) -> float:
        return float(np.subtract(*both(drawn)))

    part, full = both(np.arange(len(p))).tolist()
    interval = None
    if len(set(rows.who)) > 1:
        interval = subject_interval(difference, rows.who, draws=draws, seed=seed)
    return Gain(share, full, part, part - full, interval)


def _numbers(rows: Predictions) -> tuple[Rows, NDArray[np.float64]]:
    """(n,) true classes by number and (n, k) probabilities."""
    return rows.labels.encode(rows["y_true"]), rows.probabilities


def _scores(
    truth: Rows, guess: Rows, parts: Sequence[Rows], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """UF1 and UAR of several parts of the clips."""
    rows = np.concatenate(parts)
    number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return scores_of_tables(subject_tables(truth[rows], guess[rows], number, classes))


def _answered(share: float, clips: int) -> int:
    return max(1, round(share * clips))
