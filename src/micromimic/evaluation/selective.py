"""How far an answer can be relied on: whether probabilities hold, and what keeping silent gains.

A model that answers only where it is surest is right more often. How much more, by the share of
clips that it still answers, is the coverage curve (El-Yaniv and Wiener, "On the Foundations of
Noise-free Selective Classification", JMLR 2010). What orders the clips is the lead: the first
class's probability over the second's, which `models.recognizers` compares with its margin to call
an answer uncertain. Entropy, the agreement of a map with its mirror image or with shifted copies of
itself order maps no better (``benchmarks/reliability.py``), so the simplest is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.evaluation.metrics import Labels, uar, uf1
from micromimic.evaluation.scores import scores_of_tables
from micromimic.labels import EMOTIONS

SHARES: Final = tuple(round(1 - 0.05 * k, 2) for k in range(17))
"""Coverages of a curve: all clips down to a fifth of them; of fewer a score says little."""
BINS: Final = 10
Binning = Literal["width", "mass"]
Probabilities = NDArray[np.floating]


@dataclass(frozen=True)
class Bin:
    """Clips of similar confidence.

    Args:
        low, high: the confidences that it spans.
        n: clips.
        confidence: their mean probability of the class that was named.
        accuracy: share of them named rightly.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CoveragePoint:
    """Scores of the surest clips.

    Args:
        coverage: share of all clips that are answered.
        n: their number.
        lead: of the least sure among them.
        uf1, uar, accuracy: of those clips alone.
    """

    coverage: float
    n: int
    lead: float
    uf1: float
    uar: float
    accuracy: float


@dataclass(frozen=True)
class Gain:
    """What answering only a share of the clips adds to UF1.

    Args:
        coverage: the share.
        full, part: UF1 of all clips, and of the surest ones.
        gain: their difference.
        ci95: of the difference, over subjects; None with one subject.
    """

    coverage: float
    full: float
    part: float
    gain: float
    ci95: tuple[float, float] | None


def lead_of(probabilities: Probabilities) -> NDArray[np.float64]:
    """(n,) by how much the likeliest class leads the second, of (n, 3) probabilities.

    >>> lead_of(np.array([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]]))
    array([0.5, 0. ])
    """
    ordered = np.sort(np.asarray(probabilities, np.float64), axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def reliability_bins(
    y_true: Labels, probabilities: Probabilities, bins: int = BINS, by: Binning = "width"
) -> tuple[Bin, ...]:
    """Group clips by confidence; a calibrated model is as accurate in each group as it is sure.

    Args:
        y_true: (n,) labels.
        probabilities: (n, 3), order ``labels.EMOTIONS``.
        bins: how many at most; empty ones are left out.
        by: ``width`` cuts 0..1 into equal parts, as Guo et al. (ICML 2017) do; ``mass`` makes bins
            of equally many clips, whose error is less a matter of luck (Nixon et al., CVPRW 2019).

    Raises:
        ValueError: if shapes do not fit, or there is no clip or no bin.

    >>> reliability_bins(["negative"], np.array([[0.75, 0.25, 0.0]]))
    (Bin(low=0.7, high=0.8, n=1, confidence=0.75, accuracy=1.0),)
    """
    truth, p = _checked(y_true, probabilities)
    if bins < 1:
        raise ValueError(f"expected at least 1 bin, got {bins}")
    return _bins(p.max(1), p.argmax(1) == truth, bins, by)


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, over clips.

    With bins of equal width this is `metrics.expected_calibration_error`.

    >>> round(calibration_error([Bin(0.5, 0.6, 3, 0.55, 0.5), Bin(0.9, 1.0, 1, 0.95, 1.0)]), 3)
    0.05
    """
    total = sum(group.n for group in bins)
    return sum(group.n * abs(group.confidence - group.accuracy) for group in bins) / total


def calibration_interval(
    y_true: Labels,
    probabilities: Probabilities,
    subjects: Sequence[str] | NDArray[np.str_],
    *,
    bins: int = BINS,
    by: Binning = "width",
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """95 % interval of the calibration error when whole subjects are drawn anew.

    The error of a resample lies above that of the clips themselves: repeated clips make the bins
    rougher. The interval is therefore a cautious one.

    Args:
        y_true, probabilities, bins, by: as of `reliability_bins`.
        subjects: (n,) qualified by database.
        draws, seed: of the bootstrap.

    Returns:
        Lower and upper end; None with one subject.

    Raises:
        ValueError: as `reliability_bins`.
    """
    truth, p = _checked(y_true, probabilities)
    confidence, right = p.max(1), p.argmax(1) == truth

    def error(rows: NDArray[np.int64]) -> float:
        return calibration_error(_bins(confidence[rows], right[rows], bins, by))

    return _interval(error, subjects, draws, seed)


def coverage_curve(
    y_true: Labels,
    probabilities: Probabilities,
    shares: Sequence[float] = SHARES,
    order: NDArray[np.floating] | None = None,
) -> tuple[CoveragePoint, ...]:
    """Scores of the surest share of the clips, for each share.

    Args:
        y_true: (n,) labels.
        probabilities: (n, 3), order ``labels.EMOTIONS``.
        shares: above 0, at most 1; rounded to whole clips, at least one.
        order: (n,) what is sure, higher is surer; None takes the lead. Of equals the first come
            first.

    Returns:
        One point a share. UF1 and UAR are means over the classes that the kept clips have.

    Raises:
        ValueError: if shapes do not fit, there is no clip, or a share is none.

    >>> p = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.0, 0.8, 0.2], [0.5, 0.1, 0.4]])
    >>> truth = ["negative", "positive", "positive", "surprise"]
    >>> [round(point.accuracy, 2) for point in coverage_curve(truth, p, (1.0, 0.5))]
    [0.75, 1.0]
    """
    truth, p = _checked(y_true, probabilities)
    if not shares or not all(0 < share <= 1 for share in shares):
        raise ValueError(f"expected shares above 0 and at most 1, got {tuple(shares)}")
    lead = lead_of(p)
    by_surety = _by_surety(lead if order is None else order)
    names, said = np.asarray(EMOTIONS)[truth], np.asarray(EMOTIONS)[p.argmax(1)]
    points = []
    for share in shares:
        rows = by_surety[: _kept(share, len(p))]
        right, guess = names[rows], said[rows]
        points.append(
            CoveragePoint(
                coverage=share,
                n=len(rows),
                lead=float(lead[rows].min()),
                uf1=uf1(right, guess),
                uar=uar(right, guess),
                accuracy=float((right == guess).mean()),
            )
        )
    return tuple(points)


def margin_for(
    lead: NDArray[np.floating], right: NDArray[np.bool_], accuracy: float, caught: float
) -> float:
    """The smallest lead below which an answer is to be called uncertain.

    Args:
        lead: (n,) of answers whose truth is known.
        right: (n,) whether each was right.
        accuracy: share of right answers wanted among those that lead by at least the margin.
        caught: share of all wrong answers wanted among the others, so that where most answers are
            right some are still called uncertain.

    Returns:
        0 to 1: 0 where everything may count as sure, 1 where no margin reaches both.

    Raises:
        ValueError: if lengths differ or there is no answer.

    >>> margin_for(np.array([0.9, 0.6, 0.3, 0.1]), np.array([True, True, False, True]), 0.8, 0.5)
    0.6
    """
    if len(lead) != len(right) or not len(lead):
        raise ValueError(f"expected as many leads as answers, got {len(lead)}, {len(right)}")
    order = _by_surety(lead)
    hits = np.cumsum(right[order])
    kept = np.arange(1, len(order) + 1)
    wrong = kept - hits
    enough = np.flatnonzero((hits / kept >= accuracy) & (wrong <= (1 - caught) * wrong[-1]))
    if not len(enough):
        return 1.0
    last = int(enough[-1])
    # everything sure: no margin is needed at all
    return 0.0 if last == len(order) - 1 else float(lead[order[last]])


def risk_area(
    y_true: Labels, probabilities: Probabilities, order: NDArray[np.floating] | None = None
) -> float:
    """Area under the risk-coverage curve: the share of wrong answers, averaged over all coverages.

    Lower is better; an order that says nothing gives the error rate itself.

    Args:
        y_true, probabilities, order: as of `coverage_curve`.

    Raises:
        ValueError: if shapes do not fit or there is no clip.

    >>> risk_area(["negative", "positive"], np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0]]))
    0.25
    """
    truth, p = _checked(y_true, probabilities)
    wrong = (p.argmax(1) != truth)[_by_surety(lead_of(p) if order is None else order)]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def gain_at(
    y_true: Labels,
    probabilities: Probabilities,
    subjects: Sequence[str] | NDArray[np.str_],
    share: float = 0.7,
    *,
    order: NDArray[np.floating] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Gain:
    """How much higher UF1 is when only the surest share is answered.

    Args:
        y_true, probabilities, order: as of `coverage_curve`.
        subjects: (n,) qualified by database; in each resample the surest share is chosen anew.
        share: the coverage.
        draws, seed: of the bootstrap.

    Raises:
        ValueError: as `coverage_curve`.
    """
    truth, p = _checked(y_true, probabilities)
    # true and named class as one number: a confusion matrix is a histogram of it
    pairs = truth * len(EMOTIONS) + p.argmax(1)
    surety = np.asarray(lead_of(p) if order is None else order, np.float64)
    full, part = (point.uf1 for point in coverage_curve(y_true, p, (1.0, share), surety))

    def difference(rows: NDArray[np.int64]) -> float:
        best = rows[_by_surety(surety[rows])[: _kept(share, len(rows))]]
        tables = [np.bincount(pairs[some], minlength=9).reshape(3, 3) for some in (best, rows)]
        (of_best, of_all), _ = scores_of_tables(np.stack(tables))
        return float(of_best - of_all)

    interval = _interval(difference, subjects, draws, seed)
    return Gain(share, full, part, part - full, interval)


def _checked(
    y_true: Labels, probabilities: Probabilities
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Class numbers and probabilities."""
    p = np.asarray(probabilities, np.float64)
    if not len(y_true) or p.shape != (len(y_true), len(EMOTIONS)):
        raise ValueError(
            f"probabilities must be (n, {len(EMOTIONS)}) for n labels above 0, got {p.shape} "
            f"for {len(y_true)}"
        )
    place: dict[str, int] = {name: index for index, name in enumerate(EMOTIONS)}
    unknown = sorted({str(label) for label in y_true} - set(place))
    if unknown:
        raise ValueError(f"labels must be among {EMOTIONS}, got {unknown}")
    return np.array([place[str(label)] for label in y_true], np.int64), p


def _bins(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int, by: Binning
) -> tuple[Bin, ...]:
    return tuple(
        Bin(low, high, len(rows), float(confidence[rows].mean()), float(right[rows].mean()))
        for low, high, rows in _cut(confidence, bins, by)
    )


def _cut(
    confidence: NDArray[np.float64], bins: int, by: Binning
) -> Iterator[tuple[float, float, NDArray[np.int64]]]:
    """Lower end, upper end and rows of each bin that holds a clip."""
    if by == "width":
        number = np.minimum((confidence * bins).astype(np.int64), bins - 1)
        for k in np.unique(number).tolist():
            yield k / bins, (k + 1) / bins, np.flatnonzero(number == k)
        return
    for rows in np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(confidence))):
        yield float(confidence[rows[0]]), float(confidence[rows[-1]]), rows


def _by_surety(order: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.asarray(np.argsort(-np.asarray(order, np.float64), kind="stable"), np.int64)


def _kept(share: float, clips: int) -> int:
    return max(1, round(share * clips))


def _interval(
    value: Callable[[NDArray[np.int64]], float],
    subjects: Sequence[str] | NDArray[np.str_],
    draws: int,
    seed: int,
) -> tuple[float, float] | None:
    """2.5 and 97.5 % quantiles of a function of row numbers, over resampled subjects."""
    names, place = np.unique(np.asarray(subjects, np.str_), return_inverse=True)
    if len(names) < 2:
        return None
    groups = [np.flatnonzero(place == k) for k in range(len(names))]
    rng = np.random.default_rng(seed)
    values = [
        value(np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))]))
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
