"""The control as a learner: cosine to the mean maps of the training part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import UNITS
from micromimic.labels import EMOTIONS
from micromimic.models.learner import FitOptions, Init, Samples, View, expect_classes
from micromimic.models.preprocess import mirror
from micromimic.models.templates import SHARPNESS, TemplateClassifier

_ABSENT: Final = -1.0  # cosine given to a class without training maps


class TemplateLearner:
    """Cosine to the classes' mean maps, as a `models.learner.Learner`."""

    view: View = "flow"
    temperature = 1.0 / SHARPNESS
    encoder: str | None = None
    settings: Mapping[str, object] = {"architecture": "flow-template"}

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.float32]:
        """The raw map itself, (3, 28, 28)."""
        return np.asarray(clip, np.float32)

    def warning(self, init: Init) -> str | None:
        """Nothing to say."""
        return None

    def fit(self, samples: Samples, options: FitOptions) -> FittedTemplate:
        """Take the means; nothing is drawn, and there are no epochs."""
        expect_classes(samples)
        there = np.isin(EMOTIONS, samples.labels)
        if there.all():
            return FittedTemplate(TemplateClassifier.fit(samples.inputs, samples.labels.tolist()))
        means = TemplateClassifier.means(samples.inputs, samples.labels)
        return FittedTemplate(TemplateClassifier(means), there)


class FittedTemplate:
    """Mean maps, as a `models.learner.Fitted`.

    Args:
        templates: the classes' means.
        there: (3,) which classes had training maps; None is all.
    """

    def __init__(
        self, templates: TemplateClassifier, there: NDArray[np.bool_] | None = None
    ) -> None:
        self.templates = templates
        self.there = np.ones(len(EMOTIONS), bool) if there is None else there

    def scores(self, inputs: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) cosines of raw maps, averaged over each map and its mirror image."""
        both = [self.templates.similarities(view) for view in (inputs, mirror(inputs))]
        return np.where(self.there, (both[0] + both[1]) / 2, _ABSENT)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """An ONNX file that `models.onnx.load_model` opens."""
        from micromimic.models.graph import Graph, finish  # noqa: PLC0415 - needs onnx

        graph = Graph()
        axes = (graph.integers(k) for k in (0, 2, 1))
        plain = graph.shape(graph.step("Slice", "maps", *axes), -1, 2 * UNITS * UNITS)
        square = graph.sum(graph.step("Mul", plain, plain), 1, keep=True)
        norm = graph.step("Sqrt", graph.step("Max", square, graph.number(1e-12)))
        unit = graph.step("Div", plain, norm)
        cosines = graph.step(
            "MatMul", unit, graph.constant(self.templates.templates.T.astype(np.float32))
        )
        there = graph.constant(self.there)
        graph.step("Where", there, cosines, graph.number(_ABSENT), name="scores")
        model = finish(
            graph,
            "flow-template",
            {"maps": (3, UNITS, UNITS)},
            {"scores": (len(EMOTIONS),)},
            metadata,
        )
        return bytes(model.SerializeToString(deterministic=True))
