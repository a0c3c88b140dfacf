"""The control: cosine to the classes' mean maps. What a network must beat to be worth having."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.labels import EMOTIONS, Emotion
from micromimic.models.preprocess import center
from micromimic.models.registry import ship
from micromimic.synthesis.maps import generate_maps

SHARPNESS: Final = 8.0
"""Cosines times this are the logits of a softmax; a constant, not fitted."""


@ship("flow-template")
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
            templates = self.means(generate_maps(labels, seed=0), np.asarray(labels))
        self.templates = templates

    @classmethod
    def fit(cls, maps: NDArray[np.generic], labels: Sequence[Emotion]) -> TemplateClassifier:
        """Templates from labelled maps, (n, 3, 28, 28) raw.

        Raises:
            ValueError: if a class has no map.
        """
        missing = [label for label in EMOTIONS if label not in set(labels)]
        if missing:
            raise ValueError(f"expected maps of every class, got none of {', '.join(missing)}")
        return cls(cls.means(maps, np.asarray(labels)))

    @staticmethod
    def means(maps: NDArray[np.generic], labels: NDArray[np.str_]) -> NDArray[np.float64]:
        """(3, 1568) unit vectors, the classes' means; zeros where a class has no map."""
        features = _unit(_features(maps))
        picks = [features[labels == label] for label in EMOTIONS]
        none = np.zeros(features.shape[1])
        return _unit(np.stack([rows.mean(0) if len(rows) else none for rows in picks]))

    def similarities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) cosines of raw (n, 3, 28, 28) maps to the class means."""
        return np.asarray(_unit(_features(maps)) @ self.templates.T)

    def probabilities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) softmax of the cosines; a ranking, not calibrated."""
        scores = np.exp(SHARPNESS * self.similarities(maps))
        return np.asarray(scores / scores.sum(1, keepdims=True))


def _features(maps: NDArray[np.generic]) -> NDArray[np.float64]:
    return center(maps)[:, :2].reshape(len(maps), -1).astype(np.float64)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1.0))
