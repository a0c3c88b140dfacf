"""Two networks that know synthetic motion, and a kernel machine that learns real clips beside them.

The class network says what it would say anyway; the machine is fitted to what is left over. Two
clips are alike to it when their motion is, and when the network of action units sees the same units
in them: what a unit means for the class is then learned from the clips themselves.

Everything that is fitted comes from the training part: the machine's weights, how far units are
spread, and how sharp the sum has to be for its probabilities to hold, which is measured on subjects
that are held out of the training part in turn. Nothing is drawn, so every seed gives the same.

Rasmussen and Williams, *Gaussian Processes for Machine Learning* (2006), section 2.7: regression
about a known mean; the kernel is the mean of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.core.splits import Split, grouped
from micromimic.models.action_units import SHIPPED_UNITS, load_unit_model
from micromimic.models.base import Array, ClipClassifier, FitRun, Init, Rows
from micromimic.models.calibrate import calibrate
from micromimic.models.graph import OPSET, Graph
from micromimic.models.onnx import SHIPPED, FlowModel, load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.svm import RbfMachine, machine_scores, spread_of


class Synthetic:
    """The networks that were trained on synthetic motion: the file's, and that of action units.

    Of other ``labels`` than the file's the class network says nothing.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        model = load_model(path)
        if not isinstance(model, FlowModel):
            raise ModelError(
                f"expected a model that looks at flow maps, got one for {model.view} in {path}; "
                "pass a flow-capsnet"
            )
        self.path = path
        self.labels = tuple(labels)
        self.classes = model
        self.units = load_unit_model()
        known = set(self.labels) <= set(model.labels)
        self.columns = [model.labels.index(label) for label in self.labels] if known else None
        """Places of the classes among the file's; None where it does not know them all."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Synthetic, (self.path, self.labels)  # sessions stay where they are

    @property
    def files(self) -> tuple[bytes, bytes]:
        return self.path.read_bytes(), SHIPPED_UNITS.read_bytes()

    def start(self, view: NDArray[np.float32]) -> Array:
        """(n, k) how far the class network's probabilities are from even ones."""
        if self.columns is None:
            return np.zeros((len(view), len(self.labels)))
        scores = self.classes.one_view(view)[:, self.columns]
        return self.classes.calibration.probabilities(scores) - 1 / len(self.labels)


@dataclass(frozen=True)
class Evidence:
    """What the ensemble sees of n clips: v views of each, the map and its mirror image."""

    motion: NDArray[np.float32]  # (v, n, 1568) u and v of the centred map
    units: Array | None  # (v, n, units) logits of the network of action units; None without it
    # (v, n, k) how far the class network's probabilities are from even ones; 0 without it
    start: Array

    @classmethod
    def of(cls, maps: NDArray[np.generic], synthetic: Synthetic | None, classes: int) -> Evidence:
        """Of (n, 3, 28, 28) raw maps."""
        data = center(maps)
        views = (data, mirror(data))
        motion = np.stack([view[:, :2].reshape(len(view), -1) for view in views])
        if synthetic is None:
            return cls(motion, None, np.zeros((2, len(data), classes)))
        units = np.stack([synthetic.units.one_view(view) for view in views])
        return cls(motion, units, np.stack([synthetic.start(view) for view in views]))

    def take(self, clips: NDArray[np.integer]) -> Evidence:
        units = None if self.units is None else self.units[:, clips]
        return Evidence(self.motion[:, clips], units, self.start[:, clips])


@dataclass(frozen=True)
class Machine:
    """``lead * start + motion kernel @ weights + unit kernel @ weights``."""

    motion: RbfMachine  # on u and v
    # on the logits of action units, each divided by its ``spread``; None without them
    units: RbfMachine | None
    spread: Array | None  # (units,) above 0; None without them
    lead: float  # how much of the class network's own answer is kept

    def scores(self, seen: Evidence) -> Array:
        """(n, k), averaged over the views."""
        total = np.zeros(seen.start.shape[1:])
        for k, start in enumerate(seen.start):
            view = self.lead * start + self.motion.scores(seen.motion[k])
            if self.units is not None and self.spread is not None and seen.units is not None:
                view = view + self.units.scores(seen.units[k] / self.spread)
            total = total + view
        return total / len(seen.start)


@dataclass(frozen=True)
class EnsembleRecipe:
    """Round numbers near the flat optimum on the development split of the published maps
    (``docs/experiments.md``)."""

    # narrowness of the kernel on motion: its gamma in parts of one over the training maps' total
    # variance
    motion: float = 0.6
    units: float = 1.5  # the same of the kernel on action units, each divided by its spread
    # variance of the noise on a label, that of the process being 1; more is smoother
    ridge: float = 1.0
    # how much of the synthetic network's own answer is kept where clips are many; all of it where
    # there are none
    lead: float = 0.5
    lead_clips: int = 30  # training clips that halve what is kept beyond ``lead``
    inner_folds: int = 5  # groups of training subjects that are held out in turn

    def __post_init__(self) -> None:
        numbers = self.motion, self.units, self.ridge, self.lead, self.lead_clips
        if min(numbers) <= 0 or self.inner_folds < 2:
            raise ValueError(
                "expected numbers above 0 and at least 2 inner folds, got "
                f"{', '.join(map(str, numbers))} and {self.inner_folds}"
            )

    def lead_of(self, clips: int) -> float:
        """How much of the synthetic network's answer is kept beside so many training clips."""
        return float(self.lead + (1 - self.lead) * 2 ** (-clips / self.lead_clips))


class FlowEnsemble(ClipClassifier):
    """Kernel machine and synthetic networks. There are no epochs.

    How sharp its answers may be is measured on people held out inside the training part; where it
    has one, on the training clips themselves.

    ``init`` is the file of the class network, a flow-capsnet: ``default`` the shipped one; ``none``
    leaves both networks out, so that nothing but the clips given decides.
    """

    def __init__(self, *, init: Init = "default", recipe: EnsembleRecipe | None = None) -> None:
        self.init = init
        self.recipe = recipe

    def warning(self, labels: Sequence[str]) -> str | None:
        files = self.starts_from()
        if not files or set(labels) <= set(known := load_model(files[0]).labels):
            return None
        return (
            f"expected labels that the class network knows ({', '.join(known)}), got "
            f"{', '.join(labels)}: it is left out, the network of action units stays"
        )

    def starts_from(self) -> tuple[Path, ...]:
        if self.init == "none":
            return ()
        if self.init == "download":
            raise ModelError(
                "expected --init default, none or a file for flow-ensemble, got download; there is "
                "nothing to download"
            )
        return SHIPPED if self.init == "default" else Path(self.init), SHIPPED_UNITS

    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        files, recipe = self.starts_from(), self.recipe or EnsembleRecipe()
        self.synthetic_ = Synthetic(files[0], self.classes_.tolist()) if files else None
        seen = Evidence.of(X, self.synthetic_, len(self.classes_))
        scores, truth = [], []
        for train, test in inner_splits(people, targets, recipe.inner_folds):
            machine = fit_machine(seen.take(train), targets[train], recipe)
            scores.append(machine.scores(seen.take(test)))
            truth.append(targets[test])
        temperature = calibrate(np.concatenate(scores), np.concatenate(truth)).temperature
        self.machine_ = fit_machine(seen, targets, recipe)
        self.sharpness_ = 1 / temperature

    def scores(self, X: Rows) -> Array:
        """(n, k) of (n, 3, 28, 28) raw maps, averaged over each map and its mirror image."""
        seen = Evidence.of(X, self.synthetic_, len(self.classes_))
        return self.sharpness_ * self.machine_.scores(seen)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        return build_onnx(self.machine_, self.synthetic_, self.sharpness_, metadata)


def fit_machine(seen: Evidence, targets: NDArray[np.int64], recipe: EnsembleRecipe) -> Machine:
    """Kernel ridge regression of class indicators, less what the class network says.

    Maps of a rare class count for more, so that all classes weigh the same; a class without maps
    is regressed to a constant below the others' mean.
    """
    both = np.tile(targets, len(seen.start))
    rows, classes = len(both), seen.start.shape[2]
    counts = np.bincount(both, minlength=classes)
    noise = recipe.ridge * classes * counts[both] / rows
    vectors = seen.motion.reshape(rows, -1)
    motion = _untrained(vectors, recipe.motion, classes)
    kernel, share = motion.kernel(vectors), 1.0
    units = spread = None
    if seen.units is not None:
        logits = seen.units.reshape(rows, -1)
        spread = logits.std(0)
        spread[spread == 0] = 1.0
        units = _untrained(logits / spread, recipe.units, classes)
        kernel, share = (kernel + units.kernel(logits / spread)) / 2, 0.5
    lead = recipe.lead_of(len(targets))
    wanted = np.eye(classes)[both] - 1 / classes - lead * seen.start.reshape(rows, -1)
    weights = np.asarray(share * np.linalg.solve(kernel + np.diag(noise), wanted), np.float64)
    return Machine(
        replace(motion, weights=weights),
        None if units is None else replace(units, weights=weights),
        spread,
        lead,
    )


def inner_splits(people: NDArray[np.str_], targets: NDArray[np.int64], folds: int) -> list[Split]:
    """Subjects of a training part held out in turn, wherever two classes are left to train on.

    The training part itself for both where nobody can be held out; fewer folds where there are
    fewer subjects.
    """
    count = min(folds, len(np.unique(people)))
    splits = list(grouped(people, count)) if count > 1 else []
    usable = [(a, b) for a, b in splits if len(np.unique(targets[a])) > 1]
    everyone = np.arange(len(targets), dtype=np.int64)
    return usable or [(everyone, everyone)]


def _untrained(rows: NDArray[np.generic], narrowness: float, classes: int) -> RbfMachine:
    gamma = narrowness / spread_of(np.asarray(rows, np.float64))
    support = np.asarray(rows, np.float32)
    return RbfMachine(support, gamma, np.zeros((len(rows), classes)), np.zeros(classes))


_Ends = dict[str, tuple[str, tuple[int, ...]]]


def build_onnx(
    machine: Machine, synthetic: Synthetic | None, sharpness: float, metadata: Mapping[str, object]
) -> bytes:
    """The networks' graphs taken in whole, the machine beside them: scores of maps as given.

    Input ``maps`` (n, 3, 28, 28), centred; outputs ``lengths`` (n, k) and the class network's
    ``votes`` (n, k, g, g), or ``scores`` alone where no network votes.
    """
    graph = Graph()
    motion = graph.double(graph.motion("maps", UNITS * UNITS))
    parts = [machine_scores(graph, motion, machine.motion)]
    votes: tuple[str, tuple[int, ...]] | None = None
    if synthetic is not None and machine.units is not None and machine.spread is not None:
        classes, units = (
            _include(graph, file, prefix)
            for file, prefix in zip(synthetic.files, ("classes_", "units_"), strict=True)
        )
        if synthetic.columns is not None:
            votes = classes.get("votes")
            scores, _ = classes.get("lengths") or classes["scores"]
            parts.append(_start(graph, scores, synthetic, machine.lead))
        presence = graph.double(units["presence"][0])
        presence = graph.step("Div", presence, graph.constant(machine.spread))
        parts.append(machine_scores(graph, presence, machine.units))
    total = graph.step("Mul", graph.step("Sum", *parts), graph.number(sharpness))
    graph.single(total, "lengths" if votes else "scores")
    count = len(machine.motion.bias)
    outputs: dict[str, tuple[int, ...]] = {"scores": (count,)}
    if votes and synthetic is not None:
        graph.step("Identity", _columns(graph, votes[0], synthetic), name="votes")
        outputs = {"lengths": (count,), "votes": (count, *votes[1][1:])}
    return graph.finish("flow-ensemble", {"maps": (3, UNITS, UNITS)}, outputs, metadata)


def _columns(graph: Graph, value: str, synthetic: Synthetic) -> str:
    columns = synthetic.columns
    if columns is None or columns == list(range(len(synthetic.classes.labels))):
        return value
    return graph.step("Gather", value, graph.integers(*columns), axis=1)


def _start(graph: Graph, scores: str, synthetic: Synthetic, lead: float) -> str:
    temperature = graph.number(synthetic.classes.calibration.temperature)
    picked = graph.double(_columns(graph, scores, synthetic))
    chances = graph.step("Softmax", graph.step("Div", picked, temperature), axis=1)
    apart = graph.step("Sub", chances, graph.number(1 / len(synthetic.labels)))
    return graph.step("Mul", apart, graph.number(lead))


def _include(graph: Graph, content: bytes, prefix: str) -> _Ends:
    """Take a model's steps in; by the name of each output, its new one and its shape without n."""
    onnx = graph.onnx
    model = onnx.load_model_from_string(content)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions != {"": OPSET}:
        raise ModelError(
            f"expected a network written with ONNX operators {OPSET}, got {versions}; train it "
            "again with this version"
        )
    shapes = {
        end.name: tuple(axis.dim_value for axis in end.type.tensor_type.shape.dim[1:])
        for end in model.graph.output
    }
    onnx.compose.add_prefix(model, prefix, rename_inputs=False, inplace=True)
    graph.nodes += model.graph.node
    graph.constants += model.graph.initializer
    return {name: (prefix + name, shape) for name, shape in shapes.items()}
