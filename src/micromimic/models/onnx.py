"""Run a flow model through ONNX Runtime: no torch, one thread, the shipped weights by default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import UNITS
from micromimic.errors import ModelError
from micromimic.labels import CELLS, EMOTIONS
from micromimic.models.preprocess import center, mirror
from micromimic.models.registry import register
from micromimic.results import ModelInfo
from micromimic.types import Recognition

METADATA_KEY: Final = "micromimic.model"
SHIPPED: Final = Path(__file__).parent / "weights" / "flow-capsnet.onnx"

_W: Final = 5.7
_CENTRES: Final[Mapping[str, tuple[float, float]]] = {
    "mouth_corner_right": (7.7, 20.3),
    "mouth_corner_left": (19.1, 20.3),
    "chin": (13.4, 26.0),
    "nose_wing_right": (7.7, 20.3 - _W),
    "nose_wing_left": (19.1, 20.3 - _W),
    "outer_eye_right": (2.6 - _W / 2, 6.6),
    "outer_eye_left": (24.2 + _W / 2, 6.6),
    "brow_right": (13.4 - _W, 2.0),
    "brow_centre": (13.4, 2.0),
    "brow_left": (13.4 + _W, 2.0),
}


@dataclass(frozen=True)
class Calibration:
    """How lengths become probabilities: ``softmax(lengths / temperature)``.

    Args:
        temperature: above 0.
        margin: a lead of the first class over the second below this is ``uncertain``.
    """

    temperature: float
    margin: float

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 <= self.margin <= 1):
            raise ValueError(
                "expected temperature > 0 and margin in [0, 1], got "
                f"{self.temperature}, {self.margin}"
            )

    def probabilities(self, lengths: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, 3) probabilities of (n, 3) capsule lengths.

        >>> Calibration(0.5, 0.1).probabilities(np.array([[0.9, 0.9, 0.9]])).round(3)
        array([[0.333, 0.333, 0.333]])
        """
        scaled = np.asarray(lengths, np.float64) / self.temperature
        powers = np.exp(scaled - scaled.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))


class FlowModel:
    """A loaded model; get one from `load_model`.

    Args:
        session: an ONNX Runtime session.
        info: name, version, training data.
        calibration: lengths to probabilities.
    """

    def __init__(self, session: Any, info: ModelInfo, calibration: Calibration) -> None:
        self._session = session
        self.info = info
        self.calibration = calibration

    def lengths_and_votes(
        self, maps: NDArray[np.generic]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Class lengths (n, 3) and votes (n, 3, g, g), averaged over each map and its mirror image.

        Args:
            maps: (n, 3, 28, 28) raw u, v, strain.
        """
        data = center(maps)
        lengths, votes = self._session.run(["lengths", "votes"], {"maps": data})
        other, turned = self._session.run(["lengths", "votes"], {"maps": mirror(data)})
        both = np.asarray(votes + turned[..., ::-1], np.float64)
        both /= np.maximum(both.sum((2, 3), keepdims=True), 1e-12)
        return np.asarray(lengths + other, np.float64) / 2, both

    def probabilities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) calibrated probabilities, order ``labels.EMOTIONS``, of raw maps."""
        return self.calibration.probabilities(self.lengths_and_votes(maps)[0])

    def predict(self, maps: NDArray[np.generic]) -> list[Recognition]:
        """Name each map.

        Args:
            maps: (n, 3, 28, 28) raw u, v, strain, as `types.FlowMap.channels` gives them.

        Returns:
            One recognition a map, with the votes of its winning class.

        Raises:
            ValueError: if the shape is wrong or a value is not finite.
        """
        if not len(maps):
            return []
        lengths, votes = self.lengths_and_votes(maps)
        found = []
        for row, places in zip(self.calibration.probabilities(lengths), votes, strict=True):
            best, second = np.argsort(-row)[:2]
            found.append(
                Recognition(
                    label=EMOTIONS[best],
                    probabilities={name: float(p) for name, p in zip(EMOTIONS, row, strict=True)},
                    uncertain=bool(row[best] - row[second] < self.calibration.margin),
                    votes=places[best],
                )
            )
        return found


def load_model(path: Path | None = None) -> FlowModel:
    """Open a flow model.

    Args:
        path: an ONNX file written by ``python -m micromimic.training.flow``; None opens the
            shipped one.

    Raises:
        ModelError: if the file is missing, no ONNX, or not a micromimic flow model.

    >>> load_model().info.name
    'flow-capsnet'
    """
    import onnxruntime  # noqa: PLC0415 - slow to import; `micromimic --help` does not need it

    file = SHIPPED if path is None else Path(path)
    if not file.is_file():
        raise ModelError(
            f"expected a model at {file}, found no file; "
            + ("reinstall micromimic" if path is None else "check the path")
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            file.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime raises many types, and all mean one thing
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "unreadable"
        raise ModelError(
            f"expected an ONNX model, got an unusable file {file} ({reason}); {_REMEDY}"
        ) from error
    details = _metadata(session, file)
    _check_ends(session, file)
    return FlowModel(
        session,
        ModelInfo(details["name"], details["version"], details["trained_on"]),
        Calibration(float(details["temperature"]), float(details["margin"])),
    )


@register("flow-capsnet")
def shipped_model() -> FlowModel:
    """The default model."""
    return load_model()


def region_shares(
    votes: NDArray[np.floating], cells: NDArray[np.floating] | None = None
) -> dict[str, float]:
    """Split the votes among the ten cells: every place goes to the nearest cell's centre.

    Args:
        votes: (g, g) shares; place (row, column) is centred at ``(column + 0.5) * 28 / g`` units
            to the right and likewise down.
        cells: (10, 4) left, top, right, bottom in canonical units, order ``labels.CELLS``; None
            takes the mean face's.

    Returns:
        Share by cell name, summing to 1; all 0 if there are no votes.

    Raises:
        ValueError: if a shape is wrong or a vote is negative or not finite.

    >>> votes = np.zeros((7, 7)); votes[5, 1] = 1.0
    >>> shares = region_shares(votes)
    >>> max(shares, key=shares.get)
    'mouth_corner_right'
    """
    places = np.asarray(votes, np.float64)
    if places.ndim != 2 or places.shape[0] != places.shape[1]:
        raise ValueError(f"votes must be (g, g), got {places.shape}")
    if not (np.isfinite(places).all() and (places >= 0).all()):
        raise ValueError("votes must be finite and not negative, got others; pass shares")
    centres = np.array(list(_CENTRES.values()))
    if cells is not None:
        boxes = np.asarray(cells, np.float64)
        if boxes.shape != (len(CELLS), 4):
            raise ValueError(f"cells must be ({len(CELLS)}, 4), got {boxes.shape}")
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    points = vote_centres(len(places))
    nearest = np.linalg.norm(points[:, :, None] - centres, axis=3).argmin(2)
    total = places.sum()
    sums = np.bincount(nearest.ravel(), places.ravel(), len(CELLS)) / (total if total > 0 else 1.0)
    return {name: float(share) for name, share in zip(CELLS, sums, strict=True)}


def vote_centres(grid: int) -> NDArray[np.float64]:
    """(g, g, 2) canonical x, y of each place of the vote grid, which tiles the 28 x 28 square.

    >>> vote_centres(7)[0, 6]
    array([26.,  2.])
    """
    axis = (np.arange(grid) + 0.5) * UNITS / grid
    x, y = np.meshgrid(axis, axis)
    return np.stack([x, y], axis=2)


_REMEDY: Final = "pass a file written by python -m micromimic.training.flow"


def _metadata(session: Any, file: Path) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"expected a micromimic flow model, got an ONNX file without its description: {file}; "
            f"{_REMEDY}"
        )
    try:
        details = json.loads(text)
        Calibration(float(details["temperature"]), float(details["margin"]))
        if tuple(details["classes"]) != EMOTIONS:
            raise ValueError(f"classes are {details['classes']}")
        return {**details, **{k: str(details[k]) for k in ("name", "version", "trained_on")}}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"expected a complete model description in {file}, got a broken one ({error}); "
            f"{_REMEDY}"
        ) from error


def _check_ends(session: Any, file: Path) -> None:
    inputs = {end.name: end.shape[1:] for end in session.get_inputs()}
    outputs = {end.name: len(end.shape) for end in session.get_outputs()}
    if inputs != {"maps": [3, UNITS, UNITS]} or outputs != {"lengths": 2, "votes": 4}:
        raise ModelError(
            f"expected input maps (n, 3, {UNITS}, {UNITS}) and outputs lengths, votes, got "
            f"{inputs} and {sorted(outputs)} in {file}; {_REMEDY}"
        )
