"""The control: cosine to the classes' mean maps. What a network must beat to be worth having."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.labels import EMOTIONS, Emotion
from micromimic.models.preprocess import center
from micromimic.models.registry import register
from micromimic.synthesis.maps import generate_maps

_SHARPNESS: Final = 8.0


@register("flow-template")
class TemplateClassifier:
    """Nearest class mean of centred u and v, by cosine.

    Args:
        templates: (3, 1568) unit vectors; None draws 200 synthetic maps a class and takes their
            means, so that the control needs no licensed data either.

    >>> maps = generate_maps(["negative", "positive", "surprise"], seed=5)
    >>> TemplateClassifier().probabilities(maps).shape
    (3, 3)
    """

    def __init__(self, templates: NDArray[np.float64] | None = None) -> None:
        if templates is None:
            labels = [label for label in EMOTIONS for _ in range(200)]
            templates = _means(generate_maps(labels, seed=0), labels)
        self.templates = templates

    @classmethod
    def fit(cls, maps: NDArray[np.generic], labels: Sequence[Emotion]) -> TemplateClassifier:
        """Templates from labelled maps, (n, 3, 28, 28) raw.

        Raises:
            ValueError: if a class has no map.
        """
        return cls(_means(maps, labels))

    def similarities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) cosines of raw (n, 3, 28, 28) maps to the class means."""
        return np.asarray(_unit(_features(maps)) @ self.templates.T)

    def probabilities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) softmax of the cosines; a ranking, not calibrated."""
        scores = np.exp(_SHARPNESS * self.similarities(maps))
        return np.asarray(scores / scores.sum(1, keepdims=True))


def _features(maps: NDArray[np.generic]) -> NDArray[np.float64]:
    return center(maps)[:, :2].reshape(len(maps), -1).astype(np.float64)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1.0))


def _means(maps: NDArray[np.generic], labels: Sequence[Emotion]) -> NDArray[np.float64]:
    features, truth = _unit(_features(maps)), np.asarray(labels)
    missing = [label for label in EMOTIONS if label not in set(labels)]
    if missing:
        raise ValueError(f"expected maps of every class, got none of {', '.join(missing)}")
    return _unit(np.stack([features[truth == label].mean(0) for label in EMOTIONS]))
