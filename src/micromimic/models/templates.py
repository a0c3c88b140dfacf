"""The control: cosine to the classes' mean maps. What a network must beat to be worth having."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.labels import THREE
from micromimic.models.base import Array, ClipClassifier, FitRun, Rows
from micromimic.models.graph import Graph
from micromimic.models.preprocess import center, mirror
from micromimic.models.samples import softmax
from micromimic.synthesis.maps import generate_maps

SHARPNESS: Final = 8.0
"""Cosines times this are the logits of a softmax; a constant, not fitted."""


class TemplateClassifier:
    """Nearest class mean of centred u and v, by cosine to (k, 1568) unit vectors.

    None draws 200 synthetic maps of each of the composite's classes and takes their means, so that
    the control needs no licensed data either.
    """

    def __init__(self, templates: Array | None = None) -> None:
        if templates is None:
            labels = [label for label in THREE for _ in range(200)]
            templates = self.means(generate_maps(labels, seed=0), np.asarray(labels))
        self.templates = templates

    @staticmethod
    def means(
        maps: NDArray[np.generic], labels: NDArray[np.str_], names: Sequence[str] = THREE.names
    ) -> Array:
        """(k, 1568) unit vectors, the means of n raw maps; zeros where a class has no map."""
        features = _unit(_features(maps))
        picks = [features[labels == name] for name in names]
        none = np.zeros(features.shape[1])
        return _unit(np.stack([rows.mean(0) if len(rows) else none for rows in picks]))

    def similarities(self, maps: NDArray[np.generic]) -> Array:
        """(n, k) cosines of raw (n, 3, 28, 28) maps to the class means."""
        return np.asarray(_unit(_features(maps)) @ self.templates.T)

    def probabilities(self, maps: NDArray[np.generic]) -> Array:
        """(n, k) softmax of the cosines; a ranking, not calibrated."""
        return softmax(SHARPNESS * self.similarities(maps))


class FlowTemplate(ClipClassifier):
    """Cosine to the classes' mean maps; nothing is drawn, and there are no epochs.

    Examples
    --------
    >>> maps = np.random.default_rng(0).normal(size=(4, 3, 28, 28))
    >>> FlowTemplate().fit(maps, ["a", "b", "a", "b"]).predict(maps).tolist()
    ['a', 'b', 'a', 'b']
    """

    temperature = 1.0 / SHARPNESS

    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        names = self.classes_.tolist()
        means = TemplateClassifier.means(X, self.classes_[targets], names)
        self.templates_ = TemplateClassifier(means)

    def scores(self, X: Rows) -> Array:
        """(n, k) cosines of raw maps, averaged over each map and its mirror image."""
        one, other = (self.templates_.similarities(view) for view in (X, mirror(X)))
        return (one + other) / 2

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """An ONNX file that `models.onnx.load_model` opens."""
        graph = Graph()
        plain = graph.motion("maps", UNITS * UNITS)
        square = graph.square_sum(plain)
        norm = graph.step("Sqrt", graph.step("Max", square, graph.number(1e-12, np.float32)))
        templates = graph.constant(self.templates_.templates.T.astype(np.float32))
        graph.step("MatMul", graph.step("Div", plain, norm), templates, name="scores")
        ends = {"scores": (len(self.classes_),)}
        return graph.finish("flow-template", {"maps": (3, UNITS, UNITS)}, ends, metadata)


def _features(maps: NDArray[np.generic]) -> Array:
    return center(maps)[:, :2].reshape(len(maps), -1).astype(np.float64)


def _unit(rows: Array) -> Array:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1.0))
