"""Scores of recognition, pooled over folds; `resampling` has their intervals over subjects.

Every function takes labels of all clips at once: hits and errors are counted over all folds before
any ratio is taken, as the MEGC 2019 challenge defines it (See et al., FG 2019).
``labels`` are the classes that a score is over, as in scikit-learn; None takes those that are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import LabelError
from micromimic.core.labels import LabelSet, check_labels, labels_like

Labels = Sequence[str] | NDArray[np.str_]
Names = LabelSet | Sequence[str] | None
Rows = NDArray[np.int64]
Binning = Literal["width", "mass"]

BINS: Final = 10


def confusion(y_true: Labels, y_pred: Labels, labels: Names = None) -> NDArray[np.int64]:
    """Counts: rows are true classes, columns predicted ones, in the order of ``labels``.

    Raises
    ------
    ValueError
        if the lengths differ.
    LabelError
        if a label is no class. So do the scores below.

    Examples
    --------
    >>> confusion(["a", "c"], ["a", "b"])
    array([[1, 0, 0],
           [0, 0, 0],
           [0, 1, 0]])
    """
    from sklearn.metrics import confusion_matrix  # noqa: PLC0415 - slow to load

    names = checked_labels(y_true, y_pred, labels)
    if not len(y_true):
        return np.zeros((len(names), len(names)), np.int64)
    return np.asarray(confusion_matrix(y_true, y_pred, labels=names), np.int64)


def uf1(y_true: Labels, y_pred: Labels, labels: Names = None) -> float:
    """Unweighted F1: the mean over the classes of 2TP / (2TP + FP + FN).

    A class of ``labels`` that nobody has counts 0, as in scikit-learn and in MEGC's code for its
    classes: pass the set, and scores of clips that lack a class stay comparable.

    Examples
    --------
    >>> uf1(["a", "a", "b"], ["a", "b", "b"]), uf1(["a", "b"], ["a", "b"], labels=["a", "b", "c"])
    (0.6666666666666666, 0.6666666666666666)
    """
    from sklearn.metrics import f1_score  # noqa: PLC0415 - slow to load

    return _macro(f1_score, y_true, y_pred, labels)


def uar(y_true: Labels, y_pred: Labels, labels: Names = None) -> float:
    """Unweighted average recall; a class of ``labels`` that nobody has counts 0, as in `uf1`.

    Examples
    --------
    >>> uar(["a", "a", "b"], ["a", "b", "b"])
    0.75
    """
    from sklearn.metrics import recall_score  # noqa: PLC0415 - slow to load

    return _macro(recall_score, y_true, y_pred, labels)


def _macro(score: Callable[..., float], y_true: Labels, y_pred: Labels, labels: Names) -> float:
    names = checked_labels(y_true, y_pred, labels)
    if not len(y_true):
        return float("nan")
    return float(score(y_true, y_pred, labels=names, average="macro", zero_division=0))


def scores_of_tables(
    tables: NDArray[np.int64], whole: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """UF1 and UAR of (m, k, k) confusion matrices at once, for resampling.

    Where they are resamples of the (k, k) ``whole``, a class that a resample lacks by the luck of
    the draw is left out of its means; else it counts 0.

    >>> [score.round(3).tolist() for score in scores_of_tables(np.array([[[1, 1], [0, 1]]]))]
    [[0.667], [0.75]]
    """
    hits = np.diagonal(tables, axis1=1, axis2=2)
    true, named = tables.sum(2), tables.sum(1)
    counts = np.ones(true.shape, bool) if whole is None else (true > 0) | (whole.sum(1) == 0)
    f1 = 2 * hits / np.maximum(true + named, 1) * counts
    recall = hits / np.maximum(true, 1) * counts
    return f1.sum(1) / counts.sum(1), recall.sum(1) / counts.sum(1)


class Bin(NamedTuple):
    """Clips of similar confidence: n clips, their mean probability of the class that was named, and
    the share of them named rightly.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability_bins(
    y_true: Labels,
    probabilities: NDArray[np.floating],
    bins: int = BINS,
    by: Binning = "width",
    *,
    labels: Names = None,
) -> tuple[Bin, ...]:
    """Group clips by confidence; a calibrated model is as accurate in each group as it is sure.

    By ``width`` 0..1 is cut into equal parts, as Guo et al. (ICML 2017) do; by ``mass`` bins have
    equally many clips, whose error is less a matter of luck (Nixon et al., CVPRW 2019). Empty bins
    are left out.

    >>> reliability_bins(["a", "b"], np.array([[0.75, 0.25], [0.25, 0.75]]))
    (Bin(low=0.7, high=0.8, n=2, confidence=0.75, accuracy=1.0),)
    """
    p = np.asarray(probabilities, np.float64)
    if not len(y_true):
        raise ValueError(f"probabilities must be (n, k) for n labels above 0, got {p.shape} for 0")
    names = tuple(labels_like(y_true) if labels is None else labels)
    if p.shape != (len(y_true), len(names)):
        raise ValueError(
            f"probabilities must be ({len(y_true)}, {len(names)}) for {', '.join(names)}, "
            f"got {p.shape}"
        )
    if bins < 1:
        raise ValueError(f"expected at least 1 bin, got {bins}")
    truth = class_numbers(checked_labels(y_true, y_true, names), y_true)
    return bins_of(p.max(1), p.argmax(1) == truth, bins, by)


def bins_of(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int, by: Binning
) -> tuple[Bin, ...]:
    if by == "width":
        place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
        cut = [(k / bins, (k + 1) / bins, np.flatnonzero(place == k)) for k in np.unique(place)]
    else:
        order = np.argsort(confidence, kind="stable")
        parts = np.array_split(order, min(bins, len(confidence)))
        cut = [(float(confidence[r[0]]), float(confidence[r[-1]]), r) for r in parts]
    return tuple(
        Bin(float(a), float(b), len(r), float(confidence[r].mean()), float(right[r].mean()))
        for a, b, r in cut
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, over clips."""
    total = sum(group.n for group in bins)
    return float(sum(abs(group.confidence - group.accuracy) * (group.n / total) for group in bins))


def expected_calibration_error(
    y_true: Labels, probabilities: NDArray[np.floating], bins: int = BINS, *, labels: Names = None
) -> float:
    """`calibration_error` over `reliability_bins` of equal width.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> round(expected_calibration_error(["a"], np.array([[0.8, 0.2]]), labels=["a", "b"]), 3)
    0.2
    """
    return calibration_error(reliability_bins(y_true, probabilities, bins, labels=labels))


def checked_labels(y_true: Labels, y_pred: Labels, labels: Names) -> tuple[str, ...]:
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"expected as many predictions as labels, got {len(y_pred)}, {len(y_true)}"
        )
    names = check_labels(None if labels is None else tuple(labels), y_true, y_pred)
    unknown = sorted({str(label) for label in (*y_true, *y_pred)} - set(names))
    if unknown:
        raise LabelError(
            f"expected labels among {', '.join(names)}, got {', '.join(unknown)}; correct them"
        )
    return names


def class_numbers(names: Sequence[str], labels: Labels) -> Rows:
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[str(label)] for label in labels], np.int64)
