"""Train the ensemble: a kernel machine on real clips, about what synthetic motion already tells.

Everything that is fitted comes from the training part: the machine's weights, how far units are
spread, and how sharp the sum has to be for its probabilities to hold, which is measured on subjects
that are held out of the training part in turn. Nothing is drawn, so every seed gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import ModelError
from micromimic.core.splits import Split, grouped
from micromimic.models.action_units import SHIPPED_UNITS
from micromimic.models.base import Array, ClipClassifier, FitRun, Init, Rows
from micromimic.models.calibrate import calibrate
from micromimic.models.ensemble import Evidence, Machine, Synthetic, evidence_of
from micromimic.models.onnx import SHIPPED, load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.svm import RbfMachine, spread_of


@dataclass(frozen=True)
class EnsembleRecipe:
    """Constants of the machine: round numbers near the flat optimum on the development half of the
    published maps (`evaluation.halves`, ``docs/experiments.md``).
    """

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
        """How much of the synthetic network's answer is kept beside so many training clips.

        >>> EnsembleRecipe().lead_of(30)
        0.75
        """
        return float(self.lead + (1 - self.lead) * 2 ** (-clips / self.lead_clips))


@dataclass(frozen=True)
class Views:
    """Evidence of clips and of their mirror images."""

    one: Evidence
    other: Evidence

    @classmethod
    def of(cls, maps: NDArray[np.generic], synthetic: Synthetic | None, classes: int) -> Views:
        """Of (n, 3, 28, 28) raw maps."""
        data = center(maps)
        return cls(*(evidence_of(view, synthetic, classes) for view in (data, mirror(data))))

    def take(self, rows: NDArray[np.integer]) -> Views:
        """Some clips, in this order."""
        return Views(self.one.take(rows), self.other.take(rows))

    def stacked(self) -> Evidence:
        """All views, those of the mirror images last."""
        one, other = self.one, self.other
        units = None
        if one.units is not None and other.units is not None:
            units = np.concatenate([one.units, other.units])
        motion = np.concatenate([one.motion, other.motion])
        return Evidence(motion, units, np.concatenate([one.start, other.start]))

    def scores(self, machine: Machine) -> Array:
        """(n, k), averaged over both."""
        return (machine.scores(self.one) + machine.scores(self.other)) / 2


class FlowEnsemble(ClipClassifier):
    """Kernel machine and synthetic networks. There are no epochs.

    How sharp its answers may be is measured on people held out inside the training part; where it
    has one, on the training clips themselves.

    ``init``: the file of the class network, a flow-capsnet: ``default`` the shipped one; ``none``
    leaves both networks out, so that nothing but the clips given decides; ``recipe``: constants;
    None takes `EnsembleRecipe`'s.

    >>> FlowEnsemble().view
    'flow'
    """

    def __init__(self, *, init: Init = "default", recipe: EnsembleRecipe | None = None) -> None:
        self.init = init
        self.recipe = recipe

    def warning(self, labels: Sequence[str]) -> str | None:
        """That the class network is of no use for such labels, if so."""
        files = self.starts_from()
        if not files or set(labels) <= set(known := load_model(files[0]).labels):
            return None
        return (
            f"expected labels that the class network knows ({', '.join(known)}), got "
            f"{', '.join(labels)}: it is left out, the network of action units stays"
        )

    def starts_from(self) -> tuple[Path, ...]:
        """The files of the class network and of the unit network."""
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
        views = Views.of(X, self.synthetic_, len(self.classes_))
        said, asked = [], []
        for train, test in inner_splits(people, targets, recipe.inner_folds):
            machine = fit_machine(views.take(train), targets[train], recipe)
            said.append(views.take(test).scores(machine))
            asked.append(targets[test])
        temperature = calibrate(np.concatenate(said), np.concatenate(asked)).temperature
        self.machine_ = fit_machine(views, targets, recipe)
        self.sharpness_ = 1 / temperature

    def scores(self, X: Rows) -> Array:
        """(n, k) of (n, 3, 28, 28) raw maps, averaged over each map and its mirror image."""
        views = Views.of(X, self.synthetic_, len(self.classes_))
        return self.sharpness_ * views.scores(self.machine_)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """One graph of machine and networks, which `models.onnx.load_model` opens."""
        from micromimic.models.ensemble_onnx import build_onnx  # noqa: PLC0415 - needs onnx

        return build_onnx(self.machine_, self.synthetic_, self.sharpness_, metadata)


def fit_machine(views: Views, targets: NDArray[np.int64], recipe: EnsembleRecipe) -> Machine:
    """Kernel ridge regression of class indicators, less what the class network says.

    Maps of a rare class count for more, so that all classes weigh the same; a class without maps
    is regressed to a constant below the others' mean.

    ``targets``: (n,) class numbers.
    """
    seen = views.stacked()
    both = np.tile(targets, 2)
    classes = seen.start.shape[1]
    counts = np.bincount(both, minlength=classes)
    noise = recipe.ridge * classes * counts[both] / len(both)
    motion = _untrained(seen.motion, recipe.motion, classes)
    kernel, share = motion.kernel(seen.motion), 1.0
    units = spread = None
    if seen.units is not None:
        spread = seen.units.std(0)
        spread[spread == 0] = 1.0
        scaled = seen.units / spread
        units = _untrained(scaled, recipe.units, classes)
        kernel, share = (kernel + units.kernel(scaled)) / 2, 0.5
    lead = recipe.lead_of(len(targets))
    wanted = np.eye(classes)[both] - 1 / classes - lead * seen.start
    weights = np.asarray(share * np.linalg.solve(kernel + np.diag(noise), wanted), np.float64)
    return Machine(
        replace(motion, weights=weights),
        None if units is None else replace(units, weights=weights),
        spread,
        lead,
    )


def inner_splits(people: NDArray[np.str_], targets: NDArray[np.int64], folds: int) -> list[Split]:
    """Subjects of a training part held out in turn, wherever two classes are left to train on.

    Returns rows to train on, rows to ask about; the training part itself for both where nobody can
    be held out. Folds are fewer than asked where there are fewer subjects.
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
