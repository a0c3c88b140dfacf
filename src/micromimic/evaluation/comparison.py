"""Is one run better than another? A paired test that treats a person, not a clip, as the unit.

If neither model is better, a subject's predictions might as well have come from the other run:
whole subjects are swapped between the runs, and the difference is compared with those that arise
(Fisher's permutation test; Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses",
2005). The correction of Monte Carlo p-values is Phipson & Smyth's, doi 10.2202/1544-6115.1585.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.evaluation.metrics import scores_of_tables, uar, uf1
from micromimic.evaluation.resampling import Score, quantiles, subject_tables, times_drawn

if TYPE_CHECKING:
    from micromimic.evaluation.predictions import Predictions

NOISE: Final = "a difference under .03 on 442 clips is noise"
"""Rule of thumb from the width of the intervals on the composite."""

_CHUNK: Final = 1024  # resamples at once
_TIE: Final = 1e-12  # differences this close are equal: sums in another order

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    score: str  # its name
    a: float  # a, b, difference: scores of the runs, ``a - b``
    b: float
    difference: float
    # 95 %, of the difference, whole subjects drawn with replacement; None with one subject
    interval: tuple[float, float] | None
    p: float  # two-sided, of the permutation test
    exact: bool  # exact, permutations: whether every swap was tried, or so many random ones
    permutations: int
    clips: int  # clips, subjects: what both runs cover
    subjects: int

    def text(self, a: str = "first run", b: str = "second run") -> str:
        """A sentence or two for people, with the names of the runs.

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
    a: Predictions,
    b: Predictions,
    score: Score = uf1,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two runs on the same clips, joined by (dataset, subject, clip).

    Parameters
    ----------
    a, b : Predictions
        predictions of each run.
    score : Score
        ``uf1``, ``uar`` or any function of true and predicted labels.
    draws : int
        of the permutation test and of the bootstrap. Where the subjects whose predictions differ
        allow no more swaps than this, all are tried, and p is exact.
    seed : int
        of both.

    Raises
    ------
    ValueError
        if ``draws`` is below 1.
    InputError
        if the runs cover different clips, or disagree on a clip's true class.

    Examples
    --------
    >>> from micromimic.evaluation import Predictions
    >>> rows = Predictions.of("dd", "12", "cc", "ab", [[0.9, 0.1], [0.2, 0.8]], labels="ab")
    >>> compare_runs(rows, rows).p
    1.0
    """
    if draws < 1:
        raise ValueError(f"expected at least one draw, got {draws}")
    first, second = _joined(a, b)
    who = np.unique(first.who, return_inverse=True)[1].astype(np.int64)
    subjects = int(who.max()) + 1
    swapped, drawn = (_counted if score in (uf1, uar) else _labelled)(first, second, who, score)
    here, there = swapped(np.zeros((1, subjects), bool)), swapped(np.ones((1, subjects), bool))
    value = float(here[0][0]), float(there[0][0])
    differing = np.unique(who[first.guess != second.guess])
    exact = 2 ** len(differing) <= draws
    rng = np.random.default_rng([seed, 0])
    tried = as_far = 0
    for mask in _swaps(differing, subjects, None if exact else rng, draws):
        tried += len(mask)
        one, other = swapped(mask)
        as_far += int((np.abs(one - other) >= abs(value[0] - value[1]) - _TIE).sum())
    interval = None
    if subjects > 1:
        interval = quantiles(drawn(draws, np.random.default_rng([seed, 1])))
    return Comparison(
        score=_NAMES.get(score, getattr(score, "__name__", "score")),
        a=value[0],
        b=value[1],
        difference=value[0] - value[1],
        interval=interval,
        # All swaps hold the observed one; to random ones it is added.
        p=as_far / tried if exact else (as_far + 1) / (tried + 1),
        exact=exact,
        permutations=tried,
        clips=len(first),
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


Swapped = Callable[[Mask], tuple[Values, Values]]
"""Both runs' (m,) scores when the marked subjects' predictions are swapped; the mask is (m, s)."""
Drawn = Callable[[int, np.random.Generator], Values]
"""So many differences, whole subjects drawn anew."""


def _counted(
    a: Predictions, b: Predictions, who: NDArray[np.int64], score: Score
) -> tuple[Swapped, Drawn]:
    """UF1 or UAR from each subject's counts: a resample is a sum of tables."""
    names = a.labels
    truth = names.encode(a.truth)
    first, second = (
        subject_tables(truth, names.encode(run.guess), who, len(names)) for run in (a, b)
    )

    def scores(tables: NDArray[np.int64]) -> Values:
        return scores_of_tables(tables, first.sum(0))[0 if score is uf1 else 1]

    def swapped(mask: Mask) -> tuple[Values, Values]:
        moved = np.tensordot(mask.astype(np.int64), second - first, 1)
        return scores(first.sum(0) + moved), scores(second.sum(0) - moved)

    def drawn(draws: int, rng: np.random.Generator) -> Values:
        times = times_drawn(len(first), draws, rng)
        return scores(np.tensordot(times, first, 1)) - scores(np.tensordot(times, second, 1))

    return swapped, drawn


def _labelled(
    a: Predictions, b: Predictions, who: NDArray[np.int64], score: Score
) -> tuple[Swapped, Drawn]:
    """Any score, from the labels themselves."""
    truth, one, two = a.truth, a.guess, b.guess

    def swapped(mask: Mask) -> tuple[Values, Values]:
        rows = mask[:, who]
        return (
            np.array([score(truth, np.where(row, two, one)) for row in rows]),
            np.array([score(truth, np.where(row, one, two)) for row in rows]),
        )

    def drawn(draws: int, rng: np.random.Generator) -> Values:
        times = times_drawn(int(who.max()) + 1, draws, rng)[:, who]
        picks = (np.repeat(np.arange(len(who)), row) for row in times)
        return np.array([score(truth[c], one[c]) - score(truth[c], two[c]) for c in picks])

    return swapped, drawn


def _joined(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """Both runs, sorted by clip: row by row the same clips."""
    first, second = (run.one_run() for run in (a, b))
    keys = first.clip_keys, second.clip_keys
    for here, there, name in ((*keys, "second"), (*keys[::-1], "first")):
        gone = sorted(set(here) - set(there))
        if gone:
            raise InputError(
                f"expected the same clips in both runs, got {len(gone)} that the {name} lacks, "
                f"such as {'/'.join(gone[0])}; evaluate both on one manifest"
            )
    if first.labels.names != second.labels.names:
        raise InputError(
            f"expected one set of classes in both runs, got {first.labels} and {second.labels}; "
            "evaluate both on one manifest"
        )
    for place, (one, other) in enumerate(zip(first.truth, second.truth, strict=True)):
        if one != other:
            raise InputError(
                f"expected one true class a clip, got {one} and {other} for "
                f"{'/'.join(keys[0][place])}; evaluate both on one manifest"
            )
    return first, second


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
    """From 0, without the zero in front: .740, 1.000."""
    return f"{value:.{digits}f}".removeprefix("0")


def _signed(value: float) -> str:
    return ("-" if value < 0 else "+") + _plain(abs(value))
