"""Training labels that say nothing: what a model claims from them is claimed by its protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from micromimic.models.learner import FitOptions, Fitted, Init, Learner, Samples, View


def shuffled_order(
    clips: Sequence[str] | NDArray[np.str_], seed: int, number: int
) -> dict[str, str]:
    """For each clip, the clip whose label it takes: one uniform permutation of all clips.

    Args:
        clips: (n,) unique names; their order does not matter.
        seed: of the run.
        number: of the shuffle, so that one run can have several.

    >>> order = shuffled_order(["a", "b", "c", "d"], seed=0, number=1)
    >>> sorted(order.values()), order == shuffled_order(["d", "b", "a", "c"], 0, 1)
    (['a', 'b', 'c', 'd'], True)
    """
    names = sorted(str(name) for name in clips)
    places = np.random.default_rng([seed, number]).permutation(len(names))
    return {name: names[place] for name, place in zip(names, places.tolist(), strict=True)}


def shuffled_within(samples: Samples, order: Mapping[str, str]) -> Samples:
    """The part with its own labels shuffled: each class keeps its clips' number.

    The order is that of all clips, but a label never comes from a clip outside the part: where it
    would, the chain is followed until it leads back inside. So every training part of a run sees
    the same shuffle as far as it can, each is shuffled uniformly, and no label of a tested clip is
    ever trained on.

    Args:
        samples: a training part.
        order: of `shuffled_order`, for all clips of the run.

    Raises:
        KeyError: if a clip of the part is not in the order.

    >>> part = Samples(np.zeros((2, 1)), np.array([0, 2]), np.array(["d"] * 2),
    ...                np.array(["d/s"] * 2), np.array(["a", "b"]))
    >>> shuffled_within(part, {"a": "c", "c": "b", "b": "a"}).targets  # c is not in the part
    array([2, 0])
    """
    place = {str(name): row for row, name in enumerate(samples.clips)}
    rows = []
    for name in place:
        source = order[name]
        while source not in place:
            source = order[source]
        rows.append(place[source])
    return replace(samples, targets=samples.targets[np.array(rows, np.int64)])


class ShuffledLearner:
    """A learner that is given shuffled labels, as a `models.learner.Learner`.

    Args:
        learner: what trains.
        order: of `shuffled_order`, for all clips of the run.
    """

    def __init__(self, learner: Learner, order: Mapping[str, str]) -> None:
        self._learner = learner
        self._order = dict(order)
        self.view: View = learner.view
        self.temperature = learner.temperature
        self.settings = learner.settings
        self.encoder = learner.encoder

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """As the learner does: encoding knows no labels."""
        return self._learner.encode(clip)

    def warning(self, init: Init) -> str | None:
        """As the learner's."""
        return self._learner.warning(init)

    def fit(self, samples: Samples, options: FitOptions) -> Fitted:
        """Train on the part's shuffled labels; see `models.learner.Learner.fit`."""
        return self._learner.fit(shuffled_within(samples, self._order), options)
