"""Support vector machines: on flow maps, and on the article's descriptors of a clip.

Three machines, one a class against the rest, share one kernel matrix; their decision values are the
scores. Each weighs its two sides equally. The cost C is chosen on the training part alone, by
cross-validation over its subjects.

scikit-learn is needed for training only, and imported then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import UNITS
from micromimic.errors import InputError, MissingExtraError, ModelError
from micromimic.features import DESCRIPTORS
from micromimic.labels import EMOTIONS
from micromimic.models.learner import FitOptions, Init, Report, Samples, View
from micromimic.models.preprocess import center, mirror

COSTS: Final = (0.1, 1.0, 10.0, 100.0)
"""Values of C to choose from, smallest first: of equals the smallest is taken."""
DEFAULT_COST: Final = 1.0
"""C where the training part has one subject, so that there is nothing to choose it by."""
INNER_FOLDS: Final = 5
ABSENT: Final = -100.0
"""Score of a class that the training part lacks: never the highest, and finite."""
_MISSING: Final = "expected the package {}, got none; pip install 'micromimic[train]'"

Array = NDArray[np.float64]
Kernel = Literal["hellinger", "rbf"]


class Machine(Protocol):
    """Decision values of three classes."""

    def scores(self, features: NDArray[np.generic]) -> Array:
        """(n, 3) of (n, d)."""
        ...


@dataclass(frozen=True)
class HellingerMachine:
    """``sqrt(x) @ weights + bias``: a linear machine on the square roots of histograms.

    The inner product of roots is the Hellinger (Bhattacharyya) kernel; like chi-square, which
    LBP-TOP's authors compare histograms with, it makes the noise of full and empty bins alike.

    Args:
        weights: (d, 3).
        bias: (3,).
    """

    weights: Array
    bias: Array

    def scores(self, features: NDArray[np.generic]) -> Array:
        """(n, 3) of (n, d) features, none below 0."""
        data = np.asarray(features, np.float64)
        if data.ndim != 2 or data.shape[1] != len(self.weights):
            raise ValueError(f"features must be (n, {len(self.weights)}), got {data.shape}")
        return np.asarray(np.sqrt(data) @ self.weights + self.bias)


@dataclass(frozen=True)
class RbfMachine:
    """``exp(-gamma |x - s|^2) @ weights + bias``.

    Args:
        support: (m, d) float32 vectors s.
        gamma: above 0.
        weights: (m, 3).
        bias: (3,).
    """

    support: NDArray[np.float32]
    gamma: float
    weights: Array
    bias: Array

    def scores(self, features: NDArray[np.generic]) -> Array:
        """(n, 3) of (n, d)."""
        return np.asarray(self.kernel(features) @ self.weights + self.bias)

    def kernel(self, features: NDArray[np.generic]) -> Array:
        """(n, m) likeness of (n, d) to the support."""
        return np.asarray(np.exp(-self.gamma * _square_distances(features, self.support)))


@dataclass(frozen=True)
class FittedDescriptorSvm:
    """A trained machine on descriptors; `models.learner.Fitted`."""

    machine: HellingerMachine

    def scores(self, inputs: NDArray[np.generic]) -> Array:
        """(n, 3) decision values of (n, d) descriptors."""
        return self.machine.scores(inputs)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """A graph from ``features`` (n, d) to ``scores`` (n, 3).

        Raises:
            MissingExtraError: without the package onnx.
        """
        return _export(self.machine, "volume", metadata)


@dataclass(frozen=True)
class FittedFlowSvm:
    """A trained machine on flow maps; `models.learner.Fitted`."""

    machine: RbfMachine

    def scores(self, inputs: NDArray[np.generic]) -> Array:
        """(n, 3) decision values of (n, 3, 28, 28) raw maps, averaged over map and mirror image."""
        one, other = _both_ways(inputs)
        return (self.machine.scores(one) + self.machine.scores(other)) / 2

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """A graph from centred ``maps`` (n, 3, 28, 28) to ``scores`` (n, 3) of the maps as given.

        Raises:
            MissingExtraError: without the package onnx.
        """
        return _export(self.machine, "flow", metadata)


class DescriptorSvm:
    """The article's baseline: a descriptor of the whole clip, and a linear support vector machine.

    The source of LBP-TOP compares histograms by chi-square, Li et al. (2018) use a linear machine;
    a linear machine on square roots is both, near enough.

    Args:
        descriptor: a name in `features.DESCRIPTORS`.

    Raises:
        ModelError: if the descriptor is unknown.
    """

    view: View = "volume"
    temperature: float = 0.5

    def __init__(self, descriptor: str) -> None:
        if descriptor not in DESCRIPTORS:
            raise ModelError(f"expected one of {', '.join(DESCRIPTORS)}; got {descriptor!r}")
        self.descriptor = descriptor
        self.encoder: str | None = descriptor
        self.settings: Mapping[str, object] = {"descriptor": descriptor, **_settings("hellinger")}

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """(d,) float32 descriptor of a (T, 170, 140) uint8 clip.

        Raises:
            InputError: if the clip has a single frame.
            ValueError: if it is no (T, H, W) uint8.
        """
        return DESCRIPTORS[self.descriptor](np.asarray(clip))

    def warning(self, init: Init) -> str | None:
        """Nothing to say: there is nothing to start from."""
        return None

    def fit(self, samples: Samples, options: FitOptions) -> FittedDescriptorSvm:
        """Train on (n, d) descriptors.

        Raises:
            InputError: if there are fewer than two classes.
            ModelError: if ``options.init`` is a file: these machines start from nothing.
            MissingExtraError: without scikit-learn.
        """
        _check(samples, options)
        roots = np.sqrt(np.asarray(samples.inputs, np.float64))
        mean = roots.mean(0)
        shifted = roots - mean
        gram = shifted @ shifted.T / _spread(roots)
        chosen = _train(gram, samples, copies=1, report=options.report)
        weights = shifted.T @ chosen.weights / _spread(roots)
        return FittedDescriptorSvm(HellingerMachine(weights, chosen.bias - mean @ weights))


class FlowSvm:
    """A Gaussian-kernel machine on the motion from onset to apex.

    It sees u and v of the centred map (`models.preprocess.center`), not the strain. Each map is
    trained with its mirror image (u negated), and both are asked. The kernel's gamma is one over
    the training maps' total variance, scikit-learn's "scale".
    """

    view: View = "flow"
    temperature: float = 0.5
    encoder: str | None = None

    def __init__(self) -> None:
        self.settings: Mapping[str, object] = {"mirrored": True, **_settings("rbf")}

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """(3, 28, 28) float32: the map as it is.

        Raises:
            ValueError: if the shape is another.
        """
        if clip.shape != (3, UNITS, UNITS):
            raise ValueError(f"a flow map must be (3, {UNITS}, {UNITS}), got {clip.shape}")
        return np.asarray(clip, np.float32)

    def warning(self, init: Init) -> str | None:
        """Nothing to say: there is nothing to start from."""
        return None

    def fit(self, samples: Samples, options: FitOptions) -> FittedFlowSvm:
        """Train on (n, 3, 28, 28) raw maps.

        Raises:
            InputError: if there are fewer than two classes.
            ModelError: if ``options.init`` is a file: these machines start from nothing.
            MissingExtraError: without scikit-learn.
        """
        _check(samples, options)
        vectors = np.concatenate(_both_ways(samples.inputs))
        gamma = 1 / _spread(vectors.astype(np.float64))
        gram = np.exp(-gamma * _square_distances(vectors, vectors))
        chosen = _train(gram, samples, copies=2, report=options.report)
        used = chosen.weights.any(axis=1)
        return FittedFlowSvm(RbfMachine(vectors[used], gamma, chosen.weights[used], chosen.bias))


@dataclass(frozen=True)
class _Dual:
    """Machines in terms of training rows: scores are ``kernel(x, rows) @ weights + bias``."""

    weights: Array
    bias: Array


def _settings(kernel: Kernel) -> dict[str, object]:
    return {"kernel": kernel, "costs": list(COSTS), "inner_folds": INNER_FOLDS}


def _check(samples: Samples, options: FitOptions) -> None:
    present = sorted(set(samples.labels.tolist()))
    if len(present) < 2:
        raise InputError(
            "expected training clips of two classes or more, got "
            f"{f'only {present[0]}' if present else 'no clips'}; add clips of others"
        )
    if isinstance(options.init, Path):
        raise ModelError(
            f"expected no initial weights for a support vector machine, got {options.init}; "
            "leave --init out, or use --protocol apply to test a trained file"
        )


def _both_ways(maps: NDArray[np.generic]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 1568) u and v of centred maps, and of their mirror images."""
    data = center(maps)
    one, other = (m[:, :2].reshape(len(m), -1) for m in (data, mirror(data)))
    return one, other


def _spread(rows: Array) -> float:
    """Total variance: the mean square distance from the mean row; 1 where all rows are equal."""
    return float(rows.var(0).sum()) or 1.0


def _square_distances(some: NDArray[np.generic], others: NDArray[np.generic]) -> Array:
    """(n, m) of (n, d) and (m, d)."""
    a, b = np.asarray(some, np.float64), np.asarray(others, np.float64)
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def _train(gram: Array, samples: Samples, copies: int, report: Report | None) -> _Dual:
    """Choose C, then train on everything.

    Args:
        gram: (copies * n, copies * n) kernel of the training rows; the rows of one copy of all
            clips come after those of another.
        samples: n clips.
        copies: rows of one clip; its scores are their mean.
        report: told of each value of C.
    """
    cost = _choose_cost(gram, samples, copies, report)
    return _one_vs_rest(gram, np.tile(samples.targets, copies), cost)


def _choose_cost(gram: Array, samples: Samples, copies: int, report: Report | None) -> float:
    """The C with the best macro F1 over held-out subjects of the training part."""
    targets = samples.targets
    folds = list(_inner_folds(samples))
    if not folds:
        return DEFAULT_COST
    best, best_score = DEFAULT_COST, -1.0
    for number, cost in enumerate(COSTS):
        if report is not None:
            report("choosing C", number, len(COSTS))
        predicted = np.zeros_like(targets)
        for train, held in folds:
            rows = _copied(train, len(targets), copies)
            dual = _one_vs_rest(gram[np.ix_(rows, rows)], np.tile(targets[train], copies), cost)
            asked = gram[np.ix_(_copied(held, len(targets), copies), rows)]
            scores = asked @ dual.weights + dual.bias
            predicted[held] = scores.reshape(copies, len(held), -1).mean(0).argmax(1)
        score = _macro_f1(targets, predicted)
        if score > best_score:
            best, best_score = cost, score
    if report is not None:
        report("choosing C", len(COSTS), len(COSTS))
    return best


def _copied(rows: NDArray[np.int64], clips: int, copies: int) -> NDArray[np.int64]:
    return np.concatenate([rows + copy * clips for copy in range(copies)])


def _inner_folds(samples: Samples) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to train on and rows to hold out, no subject in both; none with a single subject."""
    try:
        from sklearn.model_selection import GroupKFold  # noqa: PLC0415 - train extra
    except ImportError as error:
        raise MissingExtraError(_MISSING.format("scikit-learn")) from error

    people = len(set(samples.subjects.tolist()))
    if people < 2:
        return
    split = GroupKFold(min(INNER_FOLDS, people))
    for train, held in split.split(samples.targets, groups=samples.subjects):
        yield np.asarray(train, np.int64), np.asarray(held, np.int64)


def _one_vs_rest(gram: Array, targets: NDArray[np.int64], cost: float) -> _Dual:
    """One machine for each class that is there."""
    try:
        from sklearn.svm import SVC  # noqa: PLC0415 - train extra
    except ImportError as error:
        raise MissingExtraError(_MISSING.format("scikit-learn")) from error

    weights = np.zeros((len(targets), len(EMOTIONS)))
    bias = np.full(len(EMOTIONS), ABSENT)
    present = np.unique(targets)
    for label in present:
        if len(present) == 1:  # an inner fold may hold out all others
            bias[label] = 0.0
            break
        machine = SVC(C=cost, kernel="precomputed", class_weight="balanced")
        machine.fit(gram, (targets == label).astype(np.int64))
        weights[machine.support_, label] = machine.dual_coef_[0]
        bias[label] = machine.intercept_[0]
    return _Dual(weights, bias)


def _macro_f1(targets: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean over the classes in the truth of 2TP / (2TP + FP + FN)."""
    scores = []
    for label in np.unique(targets):
        true, guess = targets == label, predicted == label
        scores.append(2 * (true & guess).sum() / (true.sum() + guess.sum()))
    return float(np.mean(scores))


def _export(
    machine: HellingerMachine | RbfMachine, view: View, metadata: Mapping[str, object]
) -> bytes:
    try:
        from micromimic.models.svm_onnx import build_onnx  # noqa: PLC0415 - train extra
    except ImportError as error:
        raise MissingExtraError(_MISSING.format("onnx")) from error

    return build_onnx(machine, view, metadata)
