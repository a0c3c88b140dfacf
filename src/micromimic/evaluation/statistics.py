"""Is one run better than another? A paired test that treats a person, not a clip, as the unit.

If neither model is better, a subject's predictions might as well have come from the other run:
whole subjects are swapped between the runs, and the difference is compared with those that arise
(Fisher's permutation test; Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses",
2005). The correction of Monte Carlo p-values is Phipson & Smyth's, doi 10.2202/1544-6115.1585.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import InputError
from micromimic.evaluation.metrics import Score, confusion, uar, uf1
from micromimic.evaluation.predictions import Prediction, by_clip
from micromimic.evaluation.scores import labels_of, scores_of_tables
from micromimic.labels import EMOTIONS

NOISE: Final = "a difference under .03 on 442 clips is noise"
"""Rule of thumb from the width of the intervals on the composite."""

_CHUNK: Final = 1024  # resamples at once
_TIE: Final = 1e-12  # differences this close are equal: sums in another order

Labels = NDArray[np.str_]
Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Run a against run b on the same clips.

    Args:
        score: name of the score.
        a, b: scores of the runs.
        difference: ``a - b``.
        interval: 95 %, of the difference, whole subjects drawn with replacement; None with one
            subject.
        p: two-sided, of the permutation test.
        exact: every swap was tried; else ``permutations`` random ones.
        permutations: how many.
        clips, subjects: what both runs cover.
    """

    score: str
    a: float
    b: float
    difference: float
    interval: tuple[float, float] | None
    p: float
    exact: bool
    permutations: int
    clips: int
    subjects: int

    def text(self, a: str = "first run", b: str = "second run") -> str:
        """A sentence or two for people.

        Args:
            a, b: names of the runs.

        >>> print(Comparison("UF1", 0.74, 0.72, 0.02, (-0.03, 0.07), 0.4, False, 9999, 442, 68)
        ...       .text("capsules", "templates"))
        capsules .740 and templates .720 UF1 on 442 clips of 68 subjects: difference +.020
        (95 % interval -.030 to +.070), p = .40 (9999 random swaps of whole subjects).
        As a rule of thumb, a difference under .03 on 442 clips is noise.
        """
        interval = ""
        if self.interval is not None:
            low, high = (_signed(end) for end in self.interval)
            interval = f" (95 % interval {low} to {high})"
        how = f"all {self.permutations}" if self.exact else f"{self.permutations} random"
        fewer = ", and fewer clips tell less" if self.clips < 442 else ""
        return (
            f"{a} {_plain(self.a)} and {b} {_plain(self.b)} {self.score} on {self.clips} clips of "
            f"{self.subjects} subjects: difference {_signed(self.difference)}{interval}, "
            f"{p_text(self.p)} ({how} swaps of whole subjects). As a rule of thumb, {NOISE}{fewer}."
        )


def compare_runs(
    a: Iterable[Prediction],
    b: Iterable[Prediction],
    score: Score = uf1,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two runs on the same clips.

    Args:
        a, b: rows of each run, joined by (dataset, subject, clip); their order does not matter.
        score: ``uf1``, ``uar`` or any function of true and predicted labels.
        draws: of the permutation test and of the bootstrap. Where the subjects whose predictions
            differ allow no more swaps than this, all are tried, and p is exact.
        seed: of both.

    Raises:
        ValueError: if ``draws`` is below 1.
        InputError: if the runs cover different clips, or disagree on a clip's true class.
    """
    if draws < 1:
        raise ValueError(f"expected at least one draw, got {draws}")
    truth, guesses, who = _joined(a, b)
    subjects = int(who.max()) + 1
    runs: _Runs = (
        _Counted(truth, guesses, who, score is uf1)
        if score in (uf1, uar)
        else _Labelled(truth, guesses, who, score)
    )
    first, second = (float(score(truth, guess)) for guess in guesses)
    differing = np.unique(who[guesses[0] != guesses[1]])
    exact = 2 ** len(differing) <= draws
    rng = np.random.default_rng([seed, 0])
    tried = as_far = 0
    for mask in _swaps(differing, subjects, None if exact else rng, draws):
        tried += len(mask)
        as_far += int((np.abs(runs.swapped(mask)) >= abs(first - second) - _TIE).sum())
    interval = None
    if subjects > 1:
        picks = np.random.default_rng([seed, 1]).integers(subjects, size=(draws, subjects))
        low, high = np.quantile(runs.drawn(picks), [0.025, 0.975])
        interval = (float(low), float(high))
    return Comparison(
        score=_NAMES.get(score, getattr(score, "__name__", "score")),
        a=first,
        b=second,
        difference=first - second,
        interval=interval,
        # All swaps hold the observed one; to random ones it is added.
        p=as_far / tried if exact else (as_far + 1) / (tried + 1),
        exact=exact,
        permutations=tried,
        clips=len(truth),
        subjects=subjects,
    )


def p_text(p: float) -> str:
    """A p-value in words.

    >>> p_text(0.4), p_text(0.0412), p_text(0.00005)
    ('p = .40', 'p = .041', 'p < .001')
    """
    if p < 0.001:
        return "p < .001"
    return f"p = {_plain(p, 2 if p >= 0.1 else 3)}"


class _Runs(Protocol):
    """Differences between two runs, resample by resample."""

    def swapped(self, mask: Mask) -> Values:
        """(m,) differences when the marked subjects' predictions are swapped; mask is (m, s)."""
        ...

    def drawn(self, picks: NDArray[np.int64]) -> Values:
        """(m,) differences over these subjects, (m, s) numbers."""
        ...


class _Counted:
    """UF1 or UAR from each subject's counts: a resample is a sum of tables."""

    def __init__(
        self, truth: Labels, guesses: tuple[Labels, Labels], who: NDArray[np.int64], f1: bool
    ) -> None:
        self._f1 = f1
        self._tables = np.array(
            [
                [confusion(truth[who == k], guess[who == k]) for k in range(int(who.max()) + 1)]
                for guess in guesses
            ]
        ).reshape(2, -1, len(EMOTIONS) ** 2)

    def swapped(self, mask: Mask) -> Values:
        first, second = self._tables
        moved = mask.astype(np.int64) @ (second - first)
        return self._scores(first.sum(0) + moved) - self._scores(second.sum(0) - moved)

    def drawn(self, picks: NDArray[np.int64]) -> Values:
        times = np.zeros(picks.shape, np.int64)
        np.add.at(times, (np.arange(len(picks))[:, None], picks), 1)
        first, second = (self._scores(times @ tables) for tables in self._tables)
        return first - second

    def _scores(self, flat: NDArray[np.int64]) -> Values:
        """(m,) scores of (m, 9) counts."""
        both = scores_of_tables(flat.reshape(-1, len(EMOTIONS), len(EMOTIONS)))
        return both[0] if self._f1 else both[1]


class _Labelled:
    """Any score, from the labels themselves."""

    def __init__(
        self, truth: Labels, guesses: tuple[Labels, Labels], who: NDArray[np.int64], score: Score
    ) -> None:
        self._truth, self._guesses, self._who, self._score = truth, guesses, who, score

    def swapped(self, mask: Mask) -> Values:
        a, b = self._guesses
        return np.array(
            [
                self._difference(self._truth, np.where(row, b, a), np.where(row, a, b))
                for row in mask[:, self._who]
            ]
        )

    def drawn(self, picks: NDArray[np.int64]) -> Values:
        rows = [np.flatnonzero(self._who == k) for k in range(picks.shape[1])]
        chosen = (np.concatenate([rows[k] for k in pick]) for pick in picks)
        a, b = self._guesses
        return np.array([self._difference(self._truth[c], a[c], b[c]) for c in chosen])

    def _difference(self, truth: Labels, a: Labels, b: Labels) -> float:
        return float(self._score(truth, a) - self._score(truth, b))


def _joined(
    a: Iterable[Prediction], b: Iterable[Prediction]
) -> tuple[Labels, tuple[Labels, Labels], NDArray[np.int64]]:
    """Truth, both runs' predictions, and the subjects' numbers, clip by clip."""
    first, second = by_clip(a), by_clip(b)
    for here, there, name in ((first, second, "second"), (second, first, "first")):
        gone = sorted(set(here) - set(there))
        if gone:
            raise InputError(
                f"expected the same clips in both runs, got {len(gone)} that the {name} lacks, "
                f"such as {'/'.join(gone[0])}; evaluate both on one manifest"
            )
    for key, row in first.items():
        if row.y_true != second[key].y_true:
            raise InputError(
                f"expected one true class a clip, got {row.y_true} and {second[key].y_true} for "
                f"{'/'.join(key)}; evaluate both on one manifest"
            )
    truth, guess = labels_of(list(first.values()))
    _, other = labels_of(list(second.values()))  # by_clip sorts: both are in one order
    _, who = np.unique([row.who for row in first.values()], return_inverse=True)
    return truth, (guess, other), who.astype(np.int64)


def _swaps(
    differing: NDArray[np.int64], subjects: int, rng: np.random.Generator | None, draws: int
) -> Iterator[Mask]:
    """Which subjects to swap, in chunks of (m, subjects): all ways, or random ones."""
    count = 2 ** len(differing) if rng is None else draws
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        mask = np.zeros((size, subjects), bool)
        if rng is None:
            numbers = np.arange(start, start + size)[:, None]
            mask[:, differing] = numbers >> np.arange(len(differing)) & 1
        else:
            mask[:, differing] = rng.integers(2, size=(size, len(differing)))
        yield mask


_NAMES: Final[dict[Score, str]] = {uf1: "UF1", uar: "UAR"}


def _plain(value: float, digits: int = 3) -> str:
    """Not negative, without the zero in front: .740, 1.000."""
    return f"{value:.{digits}f}".removeprefix("0")


def _signed(value: float) -> str:
    return ("-" if value < 0 else "+") + _plain(abs(value))
