"""Train the ensemble: a kernel machine on real clips, about what synthetic motion already tells.

Everything that is fitted comes from the training part: the machine's weights, how far units are
spread, and how sharp the sum has to be for its probabilities to hold, which is measured on subjects
that are held out of the training part in turn. Nothing is drawn, so every seed gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import ModelError
from micromimic.evaluation.folder import digest_of_file
from micromimic.evaluation.splits import Split, grouped
from micromimic.labels import EMOTIONS
from micromimic.models.action_units import SHIPPED_UNITS
from micromimic.models.ensemble import Evidence, FittedEnsemble, Machine, Synthetic, evidence_of
from micromimic.models.learner import FitOptions, Init, Samples, View, expect_classes
from micromimic.models.onnx import SHIPPED
from micromimic.models.preprocess import center, mirror
from micromimic.models.svm import RbfMachine
from micromimic.training.calibrate import calibrate

Array = NDArray[np.float64]
_CLASSES: Final = len(EMOTIONS)


@dataclass(frozen=True)
class EnsembleRecipe:
    """Constants of the machine: round numbers near the flat optimum on the development half of the
    published maps (`evaluation.halves`, ``docs/experiments.md``).

    Args:
        motion: narrowness of the kernel on motion: its gamma in parts of one over the training
            maps' total variance.
        units: the same of the kernel on action units, each divided by its spread.
        ridge: variance of the noise on a label, that of the process being 1; more is smoother.
        lead: how much of the synthetic network's own answer is kept where clips are many; all of
            it where there are none.
        lead_clips: training clips that halve what is kept beyond ``lead``.
        inner_folds: groups of training subjects that are held out in turn.

    Raises:
        ValueError: if a number is not above 0, or there are fewer than two folds.
    """

    motion: float = 0.6
    units: float = 1.5
    ridge: float = 1.0
    lead: float = 0.5
    lead_clips: int = 30
    inner_folds: int = 5

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

    def take(self, rows: NDArray[np.integer]) -> Views:
        """Some clips, in this order."""
        return Views(_rows(self.one, rows), _rows(self.other, rows))

    def stacked(self) -> Evidence:
        """All views, those of the mirror images last."""
        one, other = self.one, self.other
        units = None
        if one.units is not None and other.units is not None:
            units = np.concatenate([one.units, other.units])
        motion = np.concatenate([one.motion, other.motion])
        return Evidence(motion, units, np.concatenate([one.start, other.start]))

    def scores(self, machine: Machine) -> Array:
        """(n, 3), averaged over both."""
        return (machine.scores(self.one) + machine.scores(self.other)) / 2


class FlowEnsemble:
    """Kernel machine and synthetic networks, as a `models.learner.Learner`.

    ``init`` is the file of the class network, a flow-capsnet: ``default`` the shipped one; ``none``
    leaves both networks out, so that nothing but the clips given decides. There are no epochs.

    Args:
        recipe: constants.

    >>> FlowEnsemble().view
    'flow'
    """

    view: View = "flow"
    temperature: float = 1.0
    encoder: str | None = None

    def __init__(self, recipe: EnsembleRecipe | None = None) -> None:
        self.recipe = recipe or EnsembleRecipe()
        self.settings: Mapping[str, object] = {
            **asdict(self.recipe),
            "mirrored": True,
            "shipped": digest_of_file(SHIPPED),
            "shipped_units": digest_of_file(SHIPPED_UNITS),
        }

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.float32]:
        """The raw map itself, (3, 28, 28)."""
        return np.asarray(clip, np.float32)

    def warning(self, init: Init) -> str | None:
        """Nothing to say."""
        return None

    def fit(self, samples: Samples, options: FitOptions) -> FittedEnsemble:
        """Solve for the machine's weights, and measure how sharp its answers may be.

        Where the training part has one subject, so that nobody can be held out, sharpness is that
        of the training clips themselves.

        Raises:
            InputError: if there are fewer than two classes.
            ModelError: if ``options.init`` is no file of a flow model, or ``download``.
        """
        expect_classes(samples)
        synthetic = _synthetic(options.init)
        data = center(samples.inputs)
        views = Views(*(evidence_of(view, synthetic) for view in (data, mirror(data))))
        splits = inner_splits(samples, self.recipe.inner_folds)
        said, asked = [], []
        for train, test in splits:
            machine = fit_machine(views.take(train), samples.targets[train], self.recipe)
            said.append(views.take(test).scores(machine))
            asked.append(samples.targets[test])
        temperature = calibrate(np.concatenate(said), np.concatenate(asked)).temperature
        machine = fit_machine(views, samples.targets, self.recipe)
        return FittedEnsemble(machine, synthetic, 1 / temperature)


def fit_machine(views: Views, targets: NDArray[np.int64], recipe: EnsembleRecipe) -> Machine:
    """Kernel ridge regression of class indicators, less what the class network says.

    Maps of a rare class count for more, so that all classes weigh the same; a class without maps
    is regressed to a constant below the others' mean.

    Args:
        views: of n clips; each is trained with its mirror image.
        targets: (n,) class numbers.
        recipe: constants.
    """
    seen = views.stacked()
    both = np.tile(targets, 2)
    counts = np.bincount(both, minlength=_CLASSES)
    noise = recipe.ridge * _CLASSES * counts[both] / len(both)
    motion = _untrained(seen.motion, recipe.motion)
    kernel, share = motion.kernel(seen.motion), 1.0
    units = spread = None
    if seen.units is not None:
        spread = seen.units.std(0)
        spread[spread == 0] = 1.0
        scaled = seen.units / spread
        units = _untrained(scaled, recipe.units)
        kernel, share = (kernel + units.kernel(scaled)) / 2, 0.5
    lead = recipe.lead_of(len(targets))
    wanted = np.eye(_CLASSES)[both] - 1 / _CLASSES - lead * seen.start
    weights = np.asarray(share * np.linalg.solve(kernel + np.diag(noise), wanted), np.float64)
    return Machine(
        replace(motion, weights=weights),
        None if units is None else replace(units, weights=weights),
        spread,
        lead,
    )


def inner_splits(samples: Samples, folds: int) -> list[Split]:
    """Subjects of a training part held out in turn, wherever two classes are left to train on.

    Args:
        samples: the training part.
        folds: groups of subjects, fewer where there are fewer subjects.

    Returns:
        Rows to train on, rows to ask about; the training part itself for both where nobody can be
        held out.
    """
    count = min(folds, len(set(samples.subjects.tolist())))
    splits = list(grouped(samples.subjects, count)) if count > 1 else []
    usable = [(a, b) for a, b in splits if len(np.unique(samples.targets[a])) > 1]
    everyone = np.arange(len(samples), dtype=np.int64)
    return usable or [(everyone, everyone)]


def _untrained(rows: NDArray[np.generic], narrowness: float) -> RbfMachine:
    """A machine on these rows that says nothing yet."""
    spread = float(np.asarray(rows, np.float64).var(0).sum()) or 1.0
    support = np.asarray(rows, np.float32)
    return RbfMachine(
        support, narrowness / spread, np.zeros((len(rows), _CLASSES)), np.zeros(_CLASSES)
    )


def _rows(seen: Evidence, rows: NDArray[np.integer]) -> Evidence:
    units = None if seen.units is None else seen.units[rows]
    return Evidence(seen.motion[rows], units, seen.start[rows])


def _synthetic(init: Init) -> Synthetic | None:
    """The networks beside the machine; None where they are left out."""
    if init == "none":
        return None
    if init == "download":
        raise ModelError(
            "expected --init default, none or a file for flow-ensemble, got download; there is "
            "nothing to download"
        )
    return Synthetic(SHIPPED if init == "default" else Path(init))
