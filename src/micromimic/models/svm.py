"""Support vector machines: on flow maps, and on the article's descriptors of a clip.

One machine a class against the rest, all on one kernel matrix; their decision values are the
scores. Each weighs its two sides equally. The cost C is given, or chosen on the training part alone
by cross-validation over its subjects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.svm import SVC

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.core.progress import Progress
from micromimic.models.base import Array, ClipClassifier, FitRun, Rows
from micromimic.models.graph import Graph
from micromimic.models.preprocess import center, mirror
from micromimic.models.samples import View
from micromimic.motion.features import DESCRIPTORS

COSTS: Final = (0.1, 1.0, 10.0, 100.0)
"""Values of C to choose from, smallest first: of equals the smallest is taken."""
DEFAULT_COST: Final = 1.0
"""C where the training part has one subject, so that there is nothing to choose it by."""
INNER_FOLDS: Final = 5
ABSENT: Final = -100.0
"""Score of a class that an inner training part lacks: never the highest, and finite."""

_Dual = tuple[Array, Array]  # (rows, k) weights and (k,) bias


@dataclass(frozen=True)
class HellingerMachine:
    """``sqrt(x) @ weights + bias``: a linear machine on the square roots of histograms.

    The inner product of roots is the Hellinger (Bhattacharyya) kernel; like chi-square, which
    LBP-TOP's authors compare histograms with, it makes the noise of full and empty bins alike.
    """

    weights: Array  # (d, k)
    bias: Array  # (k,)

    def scores(self, features: NDArray[np.generic]) -> Array:
        """(n, k) of (n, d) features, none below 0."""
        data = np.asarray(features, np.float64)
        if data.ndim != 2 or data.shape[1] != len(self.weights):
            raise ValueError(f"features must be (n, {len(self.weights)}), got {data.shape}")
        return np.asarray(np.sqrt(data) @ self.weights + self.bias)


@dataclass(frozen=True)
class RbfMachine:
    """``exp(-gamma |x - s|^2) @ weights + bias``."""

    support: NDArray[np.float32]  # (m, d) float32 vectors s
    gamma: float  # above 0
    weights: Array  # (m, k)
    bias: Array  # (k,)

    def scores(self, features: NDArray[np.generic]) -> Array:
        return np.asarray(self.kernel(features) @ self.weights + self.bias)

    def kernel(self, features: NDArray[np.generic]) -> Array:
        """(n, m) likeness of (n, d) to the support."""
        return np.asarray(np.exp(-self.gamma * square_distances(features, self.support)))


class _Svm(ClipClassifier):
    """One machine a class against the rest, on a kernel matrix of the training rows."""

    temperature = 0.5
    C: float | None
    machine_: HellingerMachine | RbfMachine

    def _solve(
        self,
        gram: Array,
        targets: NDArray[np.int64],
        people: NDArray[np.str_],
        copies: int,
        run: FitRun,
    ) -> _Dual:
        """Choose C if none is given, then train on everything; arguments as of `choose_cost`."""
        self.C_ = self.C or choose_cost(gram, targets, people, copies, run.progress)
        return _one_vs_rest(gram, np.tile(targets, copies), self.C_, len(self.classes_))

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """A graph from ``features`` (n, d) or centred ``maps`` to their ``scores`` (n, k)."""
        return build_onnx(self.machine_, self.view, metadata)


class DescriptorSvm(_Svm):
    """The article's baseline: a descriptor of the whole clip, and a linear support vector machine.

    The source of LBP-TOP compares histograms by chi-square, Li et al. (2018) use a linear machine;
    a linear machine on square roots is both, near enough.

    Parameters
    ----------
    descriptor : str
        a name in `features.DESCRIPTORS`.
    C : float | None
        cost; None chooses it among `COSTS` across the groups of the training part.

    Examples
    --------
    >>> DescriptorSvm("hog-top", C=1.0).encode(np.zeros((5, 170, 140), np.uint8)).ndim
    1
    """

    view: View = "volume"

    def __init__(self, descriptor: str = "lbp-top", *, C: float | None = None) -> None:
        self.descriptor = descriptor
        self.C = C

    @property
    def encoder(self) -> str:  # type: ignore[override]
        """The descriptor.

        Raises
        ------
        ModelError
            if it is unknown.
        """
        if self.descriptor not in DESCRIPTORS:
            raise ModelError(f"expected one of {', '.join(DESCRIPTORS)}; got {self.descriptor!r}")
        return self.descriptor

    def as_article(self) -> Self:
        """LBP-TOP with a radius a plane, as the article writes it."""
        by_planes = self.descriptor == "lbp-top"
        return cast(Self, self.set_params(descriptor="lbp-top-by-planes")) if by_planes else self

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """(d,) float32 descriptor of a (T, 170, 140) uint8 clip.

        Raises
        ------
        InputError
            if the clip has a single frame.
        ValueError
            if it is no (T, H, W) uint8.
        """
        return DESCRIPTORS[self.encoder](np.asarray(clip))

    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        roots = np.sqrt(np.asarray(X, np.float64))
        mean = roots.mean(0)
        shifted = roots - mean
        gram = shifted @ shifted.T / spread_of(roots)
        dual, bias = self._solve(gram, targets, people, 1, run)
        weights = shifted.T @ dual / spread_of(roots)
        self.machine_ = HellingerMachine(weights, bias - mean @ weights)

    def scores(self, X: Rows) -> Array:
        """(n, k) decision values of (n, d) descriptors."""
        return self.machine_.scores(X)


class FlowSvm(_Svm):
    """A Gaussian-kernel machine on the motion from onset to apex.

    It sees u and v of the centred map (`models.preprocess.center`), not the strain. Each map is
    trained with its mirror image (u negated), and both are asked. The kernel's gamma is one over
    the training maps' total variance, scikit-learn's "scale".

    Parameters
    ----------
    C : float | None
        cost; None chooses it among `COSTS` across the groups of the training part.

    Examples
    --------
    >>> maps = np.random.default_rng(0).normal(size=(4, 3, 28, 28))
    >>> FlowSvm(C=1.0).fit(maps, ["a", "b", "a", "b"]).predict(maps).tolist()
    ['a', 'b', 'a', 'b']
    """

    def __init__(self, *, C: float | None = None) -> None:
        self.C = C

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """(3, 28, 28) float32: the map as it is.

        Raises
        ------
        ValueError
            if the shape is another.
        """
        if clip.shape != (3, UNITS, UNITS):
            raise ValueError(f"a flow map must be (3, {UNITS}, {UNITS}), got {clip.shape}")
        return np.asarray(clip, np.float32)

    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        vectors = np.concatenate(both_ways(X))
        gamma = 1 / spread_of(vectors.astype(np.float64))
        gram = np.exp(-gamma * square_distances(vectors, vectors))
        dual, bias = self._solve(gram, targets, people, 2, run)
        used = dual.any(axis=1)
        self.machine_ = RbfMachine(vectors[used], gamma, dual[used], bias)

    def scores(self, X: Rows) -> Array:
        """(n, k) decision values of (n, 3, 28, 28) raw maps, averaged over map and mirror image."""
        one, other = both_ways(X)
        return (self.machine_.scores(one) + self.machine_.scores(other)) / 2


def both_ways(maps: NDArray[np.generic]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, 1568) u and v of centred maps, and of their mirror images."""
    data = center(maps)
    one, other = (m[:, :2].reshape(len(m), -1) for m in (data, mirror(data)))
    return one, other


def spread_of(rows: Array) -> float:
    """Total variance: the mean square distance from the mean row; 1 where all rows are equal."""
    return float(rows.var(0).sum()) or 1.0


def square_distances(some: NDArray[np.generic], others: NDArray[np.generic]) -> Array:
    a, b = np.asarray(some, np.float64), np.asarray(others, np.float64)
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def choose_cost(
    gram: Array,
    targets: NDArray[np.int64],
    people: NDArray[np.str_],
    copies: int,
    progress: Progress | None = None,
) -> float:
    """The C with the best macro F1 over held-out subjects of the training part.

    ``gram`` is the (copies * n, copies * n) kernel: the rows of one copy of all clips come after
    those of another, and a clip's scores are the mean of its copies'.
    """
    n, classes = len(targets), int(targets.max()) + 1
    folds = list(inner_folds(people))
    if not folds:
        return DEFAULT_COST
    best, best_score = DEFAULT_COST, -1.0
    for number, cost in enumerate(COSTS):
        if progress is not None:
            progress(number, len(COSTS), "choosing C")
        predicted = np.zeros_like(targets)
        for train, held_out in folds:
            rows = _copied(train, n, copies)
            part = gram[np.ix_(rows, rows)]
            dual, bias = _one_vs_rest(part, np.tile(targets[train], copies), cost, classes)
            queries = gram[np.ix_(_copied(held_out, n, copies), rows)]
            scores = queries @ dual + bias
            predicted[held_out] = scores.reshape(copies, len(held_out), -1).mean(0).argmax(1)
        score = float(f1_score(targets, predicted, labels=np.unique(targets), average="macro"))
        if score > best_score:
            best, best_score = cost, score
    if progress is not None:
        progress(len(COSTS), len(COSTS), "choosing C")
    return best


def _copied(rows: NDArray[np.int64], clips: int, copies: int) -> NDArray[np.int64]:
    return np.concatenate([rows + copy * clips for copy in range(copies)])


def inner_folds(people: NDArray[np.str_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to train on and rows to hold out, no subject in both; none with a single subject."""
    count = len(np.unique(people))
    if count > 1:
        yield from GroupKFold(min(INNER_FOLDS, count)).split(people, groups=people)


def _one_vs_rest(gram: Array, targets: NDArray[np.int64], cost: float, classes: int) -> _Dual:
    """One machine for each class that is there: scores are ``kernel(x, rows) @ weights + bias``."""
    weights = np.zeros((len(targets), classes))
    bias = np.full(classes, ABSENT)
    present = np.unique(targets)
    if len(present) == 1:  # an inner fold may hold out all others
        bias[present] = 0.0
        return weights, bias
    for label in present:
        machine = SVC(C=cost, kernel="precomputed", class_weight="balanced")
        machine.fit(gram, (targets == label).astype(np.int64))
        weights[machine.support_, label] = machine.dual_coef_[0]
        bias[label] = machine.intercept_[0]
    return weights, bias


def build_onnx(
    machine: HellingerMachine | RbfMachine, view: View, metadata: Mapping[str, object]
) -> bytes:
    """The trained machine as an ONNX file: (n, k) decision values of the input as given.

    Inside it computes in double precision as here: distances between support vectors are small
    differences of large sums, and many signed terms are added up.
    """
    graph = Graph()
    inputs: dict[str, tuple[int, ...]]
    if view == "flow":
        inputs, features = {"maps": (3, UNITS, UNITS)}, graph.motion("maps", UNITS * UNITS)
    else:
        rows = machine.weights if isinstance(machine, HellingerMachine) else machine.support.T
        inputs, features = {"features": (len(rows),)}, "features"
    graph.single(machine_scores(graph, graph.double(features), machine), "scores")
    return graph.finish("svm", inputs, {"scores": (len(machine.bias),)}, metadata)


def machine_scores(graph: Graph, features: str, machine: HellingerMachine | RbfMachine) -> str:
    """(n, k) decision values of (n, d) features, both in double precision."""
    if isinstance(machine, HellingerMachine):
        kernel = graph.step("Sqrt", features)
    else:
        kernel = _gaussian(graph, features, machine)
    scores = graph.step("MatMul", kernel, graph.constant(machine.weights))
    return graph.step("Add", scores, graph.constant(machine.bias))


def _gaussian(graph: Graph, features: str, machine: RbfMachine) -> str:
    # the vectors are stored as they came, in single precision: half the file
    support = graph.double(graph.constant(machine.support.T))
    products = graph.step("MatMul", features, support)
    lengths = graph.constant(np.square(machine.support.astype(np.float64)).sum(1))
    distances = graph.step("Add", graph.square_sum(features), lengths)
    distances = graph.step("Sub", distances, graph.step("Mul", products, graph.number(2.0)))
    return graph.step("Exp", graph.step("Mul", distances, graph.number(-machine.gamma)))
