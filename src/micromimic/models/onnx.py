"""Trained models as ONNX Runtime runs them: no torch, one thread, the shipped weights by default.

A file holds a graph and, under ``METADATA_KEY``, its description as JSON: name, version,
trained_on, classes (``labels`` is read, too; the composite's three if absent), temperature, margin,
view (``flow`` if absent), fitted_to (`models.samples.FittedTo`), and for the view ``volume`` the
encoder, a name in `motion.features.DESCRIPTORS`. Of k classes, all ends float32:

- flow: ``maps`` (n, 3, 28, 28), centred by `models.preprocess.center`, to ``scores`` (n, k), or
  ``lengths`` (n, k) and ``votes`` (n, k, g, g);
- faces: ``faces`` (n, 3, 224, 224), RGB from 0 to 1, to ``scores`` (n, k);
- volume: ``features`` (n, d), of the encoder, to ``scores`` (n, k).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, get_args, overload

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.core.labels import THREE, LabelSet
from micromimic.core.results import ModelInfo
from micromimic.core.types import Recognition
from micromimic.face.crops import FACE_SIDE
from micromimic.models.preprocess import center, mirror
from micromimic.models.runtime import model_file, open_session, read_description, run_graph
from micromimic.models.samples import FittedTo, View, softmax

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
        return softmax(scores, self.temperature)


@dataclass(frozen=True)
class About:
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
        """Name each input; the votes are of its winning class, where the model has them.

        ``flow``: (n, 3, 28, 28) raw u, v, strain; ``faces``: (n, 224, 224, 3) uint8 RGB of
        `face.crops.face_crop`; ``volume``: n arrays (T, 170, 140) uint8 of
        `face.crops.volume_frame`.
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
        if features.shape[1:] != (self._size,):
            raise ModelError(
                f"expected {self.encoder} to give {self._size} numbers for model "
                f"{self.info.name}, got {features.shape[1:]}; train it again with this version"
            )
        return np.asarray(self._run("features", features.astype(np.float32))[0], np.float64)


SHIPPED: Final = Path(__file__).parent / "weights" / "flow-capsnet.onnx"

_SYNTHETIC: Final = "synthetic motion only"
"""What `trained_on` begins with where no clip of anybody was seen: true of the shipped files."""
_REMEDY: Final = "pass a file that `micromimic train` wrote"
_INPUTS: Final[Mapping[View, tuple[str, tuple[int | str, ...]]]] = {
    "flow": ("maps", (3, UNITS, UNITS)),
    "faces": ("faces", (3, FACE_SIDE, FACE_SIDE)),
    "volume": ("features", ("d",)),
}


@overload
def load_model(path: None = None) -> FlowModel: ...
@overload
def load_model(path: str | Path | None) -> RecognitionModel: ...
def load_model(path: str | Path | None = None) -> RecognitionModel:
    """Open a model; what it looks at is its ``view``.

    Parameters
    ----------
    path : str | Path | None
        an ONNX file that ``micromimic train`` wrote; None opens the shipped flow-capsnet.

    Raises
    ------
    ModelError
        if the file is missing, no ONNX, or not a micromimic model.

    Examples
    --------
    >>> load_model().info.name
    'flow-capsnet'
    """
    file = model_file(path, SHIPPED)
    return open_model(file.read_bytes(), file)


def opened_model(path: str | Path | None = None) -> RecognitionModel:
    """As `load_model`, opened once a process for each content of the file."""
    if path is None or not Path(path).is_file():
        return _opened(path, None)
    state = Path(path).stat()
    return _opened(Path(path).resolve(), (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=4)
def _opened(path: str | Path | None, _state: tuple[int, int, int] | None) -> RecognitionModel:
    return load_model(path)


def open_model(content: bytes, file: Path) -> RecognitionModel:
    """Open the content of an ONNX file, whose name is for errors."""
    session = open_session(content, file)
    about = _description(session, file)
    ends = _ends(session, about, file)
    if about.view == "flow":
        return FlowModel(session, about)
    if about.view == "faces":
        return FaceModel(session, about)
    from micromimic.motion.features import DESCRIPTORS  # noqa: PLC0415 - only these models need it

    if about.encoder is None or about.encoder not in DESCRIPTORS:
        raise ModelError(
            f"expected an encoder among {', '.join(DESCRIPTORS)}, got {about.encoder!r} in {file}; "
            f"{_REMEDY}"
        )
    return VolumeModel(session, about, DESCRIPTORS[about.encoder], ends[0])


def _description(session: Any, file: Path) -> About:
    details = read_description(session, file, _REMEDY)
    try:
        names = [str(n) for n in details.get("labels", details.get("classes", THREE.names))]
        view = details.get("view", "flow")
        if view not in get_args(View):
            raise ValueError(f"view is {view!r}, none of {', '.join(get_args(View))}")
        trained_on = str(details["trained_on"])
        fitted_to = FittedTo.from_json(details.get("fitted_to"))
        if fitted_to is None and trained_on.startswith(_SYNTHETIC):
            fitted_to = FittedTo()
        labels = THREE if names == list(THREE) else LabelSet("any", tuple(names))
        name, version = str(details["name"]), str(details["version"])
        return About(
            ModelInfo(name, version, trained_on, labels.names),
            Calibration(float(details["temperature"]), float(details["margin"])),
            labels,
            view,
            str(details["encoder"]) if view == "volume" else None,
            fitted_to,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"expected a complete model description in {file}, got a broken one ({error}); "
            f"{_REMEDY}"
        ) from error


def _ends(session: Any, about: About, file: Path) -> tuple[int, ...]:
    """Shape of the input without its first axis, after checking that all ends are as said above."""
    view, classes = about.view, len(about.labels)
    name, wanted = _INPUTS[view]
    inputs = {end.name: list(end.shape) for end in session.get_inputs()}
    outputs = {end.name: list(end.shape) for end in session.get_outputs()}
    shape = inputs.get(name, [])[1:]
    sized = len(shape) == 1 and isinstance(shape[0], int) and shape[0] > 0
    ranks = {end: len(axes) for end, axes in outputs.items()}
    named = ranks == {"scores": 2} or (view == "flow" and ranks == {"lengths": 2, "votes": 4})
    fits = len(inputs) == 1 and named and (sized if view == "volume" else shape == list(wanted))
    # a first axis of a fixed length takes no other number of clips
    free_axis = all(axes and not isinstance(axes[0], int) for axes in (inputs | outputs).values())
    counts = {axes[1] for axes in outputs.values() if len(axes) > 1 and isinstance(axes[1], int)}
    types = {end.type for end in session.get_inputs() + session.get_outputs()}
    if not (fits and free_axis and counts <= {classes} and types == {"tensor(float)"}):
        axes = ", ".join(str(n) for n in ("n", *wanted))
        also = " or lengths, votes" if view == "flow" else ""
        raise ModelError(
            f"expected input {name} ({axes}) and output scores (n, {classes}){also}, all "
            f"float32, got {inputs} and {outputs} in {file}; {_REMEDY}"
        )
    return tuple(shape)
