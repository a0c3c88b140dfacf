"""Train several models on the same maps, and hear them as one.

The members err differently: a capsule network and a kernel machine learn from the clips given; the
shipped capsule network knows synthetic motion only and learns nothing more. How far each one's
scores reach, and how sharp their sum has to be for its probabilities to hold, is measured on
subjects that are held out of the training part in turn; nobody outside it is looked at.
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
from micromimic.models.ensemble import FittedEnsemble, FrozenFlow, Voice, spread_of
from micromimic.models.learner import (
    FitOptions,
    Fitted,
    Init,
    Learner,
    Samples,
    View,
    expect_classes,
)
from micromimic.models.onnx import SHIPPED
from micromimic.models.ridge import FlowRidge
from micromimic.training.calibrate import calibrate
from micromimic.training.flow_nets import FlowLearner

Array = NDArray[np.float64]

FROZEN: Final = "synthetic flow-capsnet"
"""Name of the member that is not trained."""


@dataclass(frozen=True)
class EnsembleRecipe:
    """How members are heard together.

    Weights are constants: fitted to the held-out subjects of the training part, with any penalty,
    they were no better on the development half of the published maps (`evaluation.halves`), nor
    where five subjects are known. Equal ones were within the noise of these.

    Args:
        network, kernel, frozen: weights of the capsule network, the kernel machine, and the
            synthetic network; above 0.
        inner_folds: groups of training subjects that are held out in turn.
        tuned_below: with fewer training clips, the capsule network starts from the synthetic one's
            weights, which was better in eight of eleven draws of five subjects; with more, from
            random ones, which were as good alone and no worse beside it.
        trusted_from: with fewer training clips, the trained members' weights shrink in proportion:
            who has seen fifteen clips should not outvote who has seen thousands of synthetic ones.

    Raises:
        ValueError: if a weight is not above 0, or there are fewer than two folds.
    """

    network: float = 1.0
    kernel: float = 2.0
    frozen: float = 1.0
    inner_folds: int = 3
    tuned_below: int = 50
    trusted_from: int = 100

    def __post_init__(self) -> None:
        if min(self.network, self.kernel, self.frozen) <= 0 or self.inner_folds < 2:
            raise ValueError(
                "expected weights above 0 and at least 2 inner folds, got "
                f"{self.network}, {self.kernel}, {self.frozen}, {self.inner_folds}"
            )


class FlowEnsemble:
    """A capsule network, a kernel machine and the synthetic network, as a `models.learner.Learner`.

    ``init`` is the file of the synthetic network, a flow-capsnet: ``default`` the shipped one;
    ``none`` leaves it out, so that nothing but the clips given decides. There are no epochs to
    report: members are trained one after another.

    Args:
        recipe: how they are heard together.

    >>> FlowEnsemble().view
    'flow'
    """

    view: View = "flow"
    temperature: float = 1.0
    encoder: str | None = None

    def __init__(self, recipe: EnsembleRecipe | None = None) -> None:
        self.recipe = recipe or EnsembleRecipe()
        self.members: Mapping[str, Learner] = {
            "network": FlowLearner("flow-capsnet"),
            "kernel": FlowRidge(),
        }
        self.settings: Mapping[str, object] = {
            **asdict(self.recipe),
            "members": {name: dict(one.settings) for name, one in self.members.items()},
            "shipped": digest_of_file(SHIPPED),
        }

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.float32]:
        """The raw map itself, (3, 28, 28)."""
        return np.asarray(clip, np.float32)

    def warning(self, init: Init) -> str | None:
        """Nothing to say."""
        return None

    def fit(self, samples: Samples, options: FitOptions) -> FittedEnsemble:
        """Train the members, and measure their spread; see `models.learner.Learner.fit`.

        Where the training part has one subject, so that nobody can be held out, the spread is that
        of the training clips themselves.

        Raises:
            InputError: if there are fewer than two classes.
            ModelError: if ``options.init`` is no file of a flow model, or ``download``.
        """
        expect_classes(samples)
        frozen = _frozen(options.init)
        # decided by the whole training part, so that what is held out of it is asked alike
        start: Init = options.init if len(samples) < self.recipe.tuned_below else "none"
        aside = replace(
            options, init=start, checkpoint=None, each_epoch=None, report=None, log_dir=None
        )
        splits = inner_splits(samples, self.recipe.inner_folds)
        asked = np.concatenate([test for _, test in splits])
        fitted: dict[str, Fitted] = {}
        seen: dict[str, Array] = {}
        for number, (name, learner) in enumerate(self.members.items()):
            if options.report:
                options.report("members", number, len(self.members))
            parts = [
                learner.fit(samples.take(train), aside).scores(samples.inputs[test])
                for train, test in splits
            ]
            seen[name] = np.concatenate(parts)
            fitted[name] = learner.fit(samples, aside)
        if options.report:
            options.report("members", len(self.members), len(self.members))
        if frozen is not None:
            fitted["frozen"] = frozen
            seen["frozen"] = frozen.scores(samples.inputs[asked])
        trust = min(1.0, len(samples) / self.recipe.trusted_from)
        return self._together(fitted, seen, samples.targets[asked], trust)

    def _together(
        self,
        fitted: Mapping[str, Fitted],
        seen: Mapping[str, Array],
        targets: NDArray[np.int64],
        trust: float,
    ) -> FittedEnsemble:
        """Members with factors from what they said of subjects they had not seen."""
        weights = {
            name: getattr(self.recipe, name) * (1.0 if name == "frozen" else trust)
            for name in fitted
        }
        total = sum(weights.values())
        factors = {name: weights[name] / total / spread_of(seen[name]) for name in fitted}
        together = np.sum([factors[name] * seen[name] for name in fitted], axis=0)
        sharpness = 1 / calibrate(together, targets).temperature
        called = {"network": "flow-capsnet", "kernel": "kernel ridge", "frozen": FROZEN}
        return FittedEnsemble(
            [
                Voice(called[name], one, factors[name] * sharpness, weights[name] / total)
                for name, one in fitted.items()
            ]
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


def _frozen(init: Init) -> FrozenFlow | None:
    """The member that is not trained; None where it is left out."""
    if init == "none":
        return None
    if init == "download":
        raise ModelError(
            "expected --init default, none or a file for flow-ensemble, got download; there is "
            "nothing to download"
        )
    return FrozenFlow(SHIPPED if init == "default" else Path(init))
