"""Trained models as ONNX Runtime runs them: one class for each view of a clip.

Get one from `models.onnx.load_model`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import ModelError
from micromimic.core.labels import THREE, LabelSet
from micromimic.core.results import ModelInfo
from micromimic.core.types import Recognition
from micromimic.face.crops import FACE_SIDE
from micromimic.models.fitted_to import FittedTo
from micromimic.models.preprocess import center, mirror
from micromimic.models.runtime import run_graph
from micromimic.models.samples import View, softmax

Inputs = NDArray[np.generic] | Sequence[NDArray[np.generic]]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities: ``softmax(scores / temperature)``."""

    temperature: float  # above 0
    margin: float  # a lead of the first class over the second below this is ``uncertain``

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 <= self.margin <= 1):
            raise ValueError(
                "expected temperature > 0 and margin in [0, 1], got "
                f"{self.temperature}, {self.margin}"
            )

    def probabilities(self, scores: NDArray[np.floating]) -> Scores:
        """(n, k) probabilities of (n, k) scores, as capsule lengths.

        >>> Calibration(0.5, 0.1).probabilities(np.array([[0.9, 0.9, 0.9]])).round(3)
        array([[0.333, 0.333, 0.333]])
        """
        return softmax(scores, self.temperature)


@dataclass(frozen=True)
class About:
    """What a model's file says of itself."""

    info: ModelInfo
    calibration: Calibration
    labels: LabelSet = THREE  # in the order of the scores
    view: View = "flow"
    encoder: str | None = None  # the descriptor of a volume; None for other views
    fitted_to: FittedTo | None = None  # None where the file does not say


class RecognitionModel:
    """What all trained models have in common; the classes below say what they look at."""

    view: View

    def __init__(self, session: Any, about: About) -> None:
        self._session = session
        self.about = about
        self.info = about.info
        self.calibration = about.calibration
        self.labels = about.labels
        self.encoder = about.encoder

    def scores_and_votes(self, inputs: Inputs) -> tuple[Scores, Scores | None]:
        """Class scores (n, k), and votes (n, k, g, g) of models that have them."""
        raise NotImplementedError

    def probabilities(self, inputs: Inputs) -> Scores:
        """(n, k) calibrated probabilities, order ``labels``; inputs as of ``predict``."""
        return self.calibration.probabilities(self._checked(inputs)[0])

    def predict(self, inputs: Inputs) -> list[Recognition]:
        """Name each input.

        ``inputs``: what the view says. ``flow``: (n, 3, 28, 28) raw u, v, strain, as
        `types.FlowMap.channels` gives them; ``faces``: (n, 224, 224, 3) uint8 RGB, as
        `face.crops.face_crop` gives them; ``volume``: n arrays (T, 170, 140) uint8 of
        `face.crops.volume_frame`. Returns one recognition an input, with the votes of its winning
        class where the model has them.
        """
        if not len(inputs):
            return []
        scores, votes = self._checked(inputs)
        found, names = [], self.labels.names
        for number, row in enumerate(self.calibration.probabilities(scores)):
            best, second = np.argsort(-row)[:2]
            found.append(
                Recognition(
                    label=names[best],
                    probabilities={name: float(p) for name, p in zip(names, row, strict=True)},
                    uncertain=bool(row[best] - row[second] < self.calibration.margin),
                    votes=None if votes is None else votes[number, best],
                )
            )
        return found

    def _checked(self, inputs: Inputs) -> tuple[Scores, Scores | None]:
        scores, votes = self.scores_and_votes(inputs)
        wanted = (len(inputs), len(self.labels))
        if scores.shape != wanted or not np.isfinite(scores).all():
            got = scores.shape if np.isfinite(scores).all() else "NaN or infinity"
            raise ModelError(
                f"expected finite scores {wanted} of model {self.info.name}, got {got}; "
                "train it again"
            )
        return scores, votes

    def _run(self, name: str, data: NDArray[np.float32], *outputs: str) -> list[Any]:
        return run_graph(
            self._session,
            outputs or ("scores",),
            name,
            data,
            model=self.info.name,
            remedy="train it again",
        )


class FlowModel(RecognitionModel):
    """Looks at the motion from onset to apex."""

    view: View = "flow"

    def __init__(self, session: Any, about: About) -> None:
        super().__init__(session, about)
        voting = "votes" in {end.name for end in session.get_outputs()}
        self._outputs = ("lengths", "votes") if voting else ("scores",)

    def scores_and_votes(self, inputs: Inputs) -> tuple[Scores, Scores | None]:
        """Averages over each raw map, (n, 3, 28, 28), and its mirror image."""
        data = center(np.asarray(inputs))
        one = self._run("maps", data, *self._outputs)
        other = self._run("maps", mirror(data), *self._outputs)
        scores = np.asarray(one[0] + other[0], np.float64) / 2
        if len(self._outputs) == 1:
            return scores, None
        votes = np.asarray(one[1] + other[1][..., ::-1], np.float64)
        votes /= np.maximum(votes.sum((2, 3), keepdims=True), 1e-12)
        return scores, votes

    def one_view(self, view: NDArray[np.float32]) -> Scores:
        """(n, k) class scores of (n, 3, 28, 28) centred maps as they are, not mirrored."""
        return np.asarray(self._run("maps", view, self._outputs[0])[0], np.float64)


class FaceModel(RecognitionModel):
    """Looks at one picture of the face at the apex."""

    view: View = "faces"
    BATCH: Final = 16
    """Faces run at once: the networks' inner layers are large."""

    def scores_and_votes(self, inputs: Inputs) -> tuple[Scores, Scores | None]:
        """Averages over each crop, (n, 224, 224, 3) uint8 RGB, and its mirror image; no votes."""
        crops = np.asarray(inputs)
        wanted = (FACE_SIDE, FACE_SIDE, 3)
        if crops.ndim != 4 or crops.shape[1:] != wanted or crops.dtype != np.uint8:
            raise ValueError(
                f"faces must be (n, {FACE_SIDE}, {FACE_SIDE}, 3) uint8, got {crops.shape} "
                f"{crops.dtype}"
            )
        parts = [self._batch(crops[k : k + self.BATCH]) for k in range(0, len(crops), self.BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels))), None

    def _batch(self, crops: NDArray[np.generic]) -> Scores:
        data = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        one = self._run("faces", data)[0]
        other = self._run("faces", np.ascontiguousarray(data[..., ::-1]))[0]
        return np.asarray(one + other, np.float64) / 2


class VolumeModel(RecognitionModel):
    """Looks at the whole clip, through a descriptor that gives vectors of ``size``."""

    view: View = "volume"

    def __init__(
        self,
        session: Any,
        about: About,
        describe: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        size: int,
    ) -> None:
        super().__init__(session, about)
        self._describe = describe
        self._size = size

    def scores_and_votes(self, inputs: Inputs) -> tuple[Scores, Scores | None]:
        """Of n arrays (T, 170, 140) uint8; no votes. Errors as of `scores_of_features`."""
        if not len(inputs):
            return np.zeros((0, len(self.labels))), None
        features = np.stack([self._describe(np.asarray(clip, np.uint8)) for clip in inputs])
        return self.scores_of_features(features), None

    def scores_of_features(self, features: NDArray[np.floating]) -> Scores:
        """(n, k) scores of (n, d) descriptors."""
        if features.shape[1:] != (self._size,):
            raise ModelError(
                f"expected {self.encoder} to give {self._size} numbers for model "
                f"{self.info.name}, got {features.shape[1:]}; train it again with this version"
            )
        return np.asarray(self._run("features", features.astype(np.float32))[0], np.float64)
