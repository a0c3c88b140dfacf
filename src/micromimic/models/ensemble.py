"""Several models that look at flow maps, heard as one.

Each member's scores are divided by their spread among subjects that it had not seen, weighted, and
added up. Spread and weights come from the training part alone (`training.ensemble`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import MissingExtraError, ModelError
from micromimic.labels import EMOTIONS
from micromimic.models.learner import Fitted
from micromimic.models.onnx import load_model
from micromimic.models.recognizers import FlowModel

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """One member.

    Args:
        name: what it is, for people.
        fitted: the trained model.
        factor: its scores are multiplied by; above 0.
        share: of the sum of all members' weights; votes are averaged by it.

    Raises:
        ValueError: if a number is out of range.
    """

    name: str
    fitted: Fitted
    factor: float
    share: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.factor) and self.factor > 0 and 0 < self.share <= 1):
            raise ValueError(
                f"expected factor > 0 and share in (0, 1], got {self.factor}, {self.share}"
            )


class FrozenFlow:
    """A trained file as a `models.learner.Fitted`: it answers, and learns nothing more.

    Args:
        path: an ONNX file of a model that looks at flow.

    Raises:
        ModelError: if it is none.
    """

    def __init__(self, path: Path) -> None:
        model = load_model(path)
        if not isinstance(model, FlowModel):
            raise ModelError(
                f"expected a model that looks at flow maps, got one for {model.view} in {path}; "
                "pass a flow-capsnet"
            )
        self.path = path
        self._model = model

    def scores(self, inputs: NDArray[np.generic]) -> Array:
        """(n, 3) scores of raw maps, averaged over each map and its mirror image."""
        return self._model.scores_and_votes(inputs)[0]

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """The file as it is, with its own metadata."""
        return self.path.read_bytes()


class FittedEnsemble:
    """Trained members; `models.learner.Fitted`.

    Args:
        voices: the members.

    Raises:
        ValueError: if there is none.
    """

    def __init__(self, voices: Sequence[Voice]) -> None:
        if not voices:
            raise ValueError("expected at least one member, got none")
        self.voices = tuple(voices)

    def scores(self, inputs: NDArray[np.generic]) -> Array:
        """(n, 3) weighted sums of the members' scores of (n, 3, 28, 28) raw maps."""
        total = np.zeros((len(inputs), len(EMOTIONS)))
        for voice in self.voices:
            total += voice.factor * voice.fitted.scores(inputs)
        return total

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """One graph of all members, which `models.onnx.load_model` opens.

        Raises:
            MissingExtraError: without the package onnx.
        """
        try:
            from micromimic.models.ensemble_onnx import join  # noqa: PLC0415 - train extra
        except ImportError as error:
            raise MissingExtraError(
                "expected the package onnx, got none; pip install 'micromimic[train]'"
            ) from error
        files = [voice.fitted.to_onnx(metadata) for voice in self.voices]
        factors = [voice.factor for voice in self.voices]
        return join(files, factors, [voice.share for voice in self.voices], metadata)


def spread_of(scores: Array) -> float:
    """How far apart a model holds its classes: the root mean square about each row's mean.

    Adding a number to all scores of a row says nothing about its class, so it is taken away first.

    Args:
        scores: (n, 3), n above 0.

    Returns:
        Above 0; 1 for a model that never tells classes apart.

    >>> spread_of(np.array([[1.0, 0.0, 0.0], [5.0, 6.0, 5.0]])).__round__(3)
    0.471
    """
    apart = scores - scores.mean(1, keepdims=True)
    return float(np.sqrt(np.square(apart).mean())) or 1.0
