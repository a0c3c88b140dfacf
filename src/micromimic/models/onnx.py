"""Open a model file for ONNX Runtime: no torch, one thread, the shipped weights by default.

A file holds a graph and, under ``METADATA_KEY``, its description as JSON: name, version,
trained_on, classes, temperature, margin, view (``flow`` if absent), and for the view ``volume`` the
encoder, a name in `features.DESCRIPTORS`. All ends are float32:

| view | input | outputs |
|---|---|---|
| flow | ``maps`` (n, 3, 28, 28), centred by `models.preprocess.center` | ``scores`` (n, 3), or ``lengths`` (n, 3) and ``votes`` (n, 3, g, g) |
| faces | ``faces`` (n, 3, 224, 224), RGB, 0 to 1 | ``scores`` (n, 3) |
| volume | ``features`` (n, d), of the encoder | ``scores`` (n, 3) |
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args, overload

from micromimic.canonical import UNITS
from micromimic.errors import ModelError
from micromimic.face.crops import FACE_SIDE
from micromimic.labels import EMOTIONS
from micromimic.models.learner import View
from micromimic.models.recognizers import (
    Calibration,
    FaceModel,
    FlowModel,
    RecognitionModel,
    VolumeModel,
)
from micromimic.models.regions import region_shares, vote_centres
from micromimic.models.registry import ship
from micromimic.models.runtime import METADATA_KEY, open_session, read_description
from micromimic.results import ModelInfo

__all__ = [
    "METADATA_KEY",
    "SHIPPED",
    "Calibration",
    "FaceModel",
    "FlowModel",
    "RecognitionModel",
    "VolumeModel",
    "load_model",
    "region_shares",
    "shipped_model",
    "vote_centres",
]

SHIPPED: Final = Path(__file__).parent / "weights" / "flow-capsnet.onnx"

_REMEDY: Final = "pass a file that `micromimic train` wrote"
_INPUTS: Final[Mapping[View, tuple[str, tuple[int | str, ...]]]] = {
    "flow": ("maps", (3, UNITS, UNITS)),
    "faces": ("faces", (3, FACE_SIDE, FACE_SIDE)),
    "volume": ("features", ("d",)),
}


@overload
def load_model(path: None = None) -> FlowModel: ...
@overload
def load_model(path: Path | None) -> RecognitionModel: ...
def load_model(path: Path | None = None) -> RecognitionModel:
    """Open a model; what it looks at is its ``view``.

    Args:
        path: an ONNX file that ``micromimic train`` wrote; None opens the shipped flow-capsnet.

    Raises:
        ModelError: if the file is missing, no ONNX, or not a micromimic model.

    >>> load_model().info.name
    'flow-capsnet'
    """
    file = SHIPPED if path is None else Path(path)
    if not file.is_file():
        raise ModelError(
            f"expected a model at {file}, found no file; "
            + ("reinstall micromimic" if path is None else "check the path")
        )
    return open_model(file.read_bytes(), file)


def open_model(content: bytes, file: Path) -> RecognitionModel:
    """Open a model that is at hand.

    Args:
        content: of an ONNX file.
        file: its name, for errors.

    Raises:
        ModelError: if it is no ONNX, or not a micromimic model.
    """
    session = open_session(content, file)
    about = _description(session, file)
    ends = _ends(session, about.view, file)
    if about.view == "flow":
        return FlowModel(session, about.info, about.calibration)
    if about.view == "faces":
        return FaceModel(session, about.info, about.calibration)
    from micromimic.features import DESCRIPTORS  # noqa: PLC0415 - only these models need it

    if about.encoder not in DESCRIPTORS:
        raise ModelError(
            f"expected an encoder among {', '.join(DESCRIPTORS)}, got {about.encoder!r} in {file}; "
            f"{_REMEDY}"
        )
    describe = DESCRIPTORS[about.encoder]
    return VolumeModel(session, about.info, about.calibration, about.encoder, describe, ends[0])


@ship("flow-capsnet")
def shipped_model() -> FlowModel:
    """The default model."""
    return load_model()


@dataclass(frozen=True)
class _Description:
    """What a file says of itself."""

    info: ModelInfo
    calibration: Calibration
    view: View
    encoder: str


def _description(session: Any, file: Path) -> _Description:
    details = read_description(session, file, _REMEDY)
    try:
        if tuple(details["classes"]) != EMOTIONS:
            raise ValueError(f"classes are {details['classes']}")
        view = details.get("view", "flow")
        if view not in get_args(View):
            raise ValueError(f"view is {view!r}, none of {', '.join(get_args(View))}")
        return _Description(
            ModelInfo(str(details["name"]), str(details["version"]), str(details["trained_on"])),
            Calibration(float(details["temperature"]), float(details["margin"])),
            view,
            str(details["encoder"]) if view == "volume" else "",
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"expected a complete model description in {file}, got a broken one ({error}); "
            f"{_REMEDY}"
        ) from error


def _ends(session: Any, view: View, file: Path) -> tuple[int, ...]:
    """Shape of the input without its first axis, after checking all ends.

    Raises:
        ModelError: if they are not as the module says.
    """
    name, wanted = _INPUTS[view]
    inputs = {end.name: list(end.shape) for end in session.get_inputs()}
    outputs = {end.name: list(end.shape) for end in session.get_outputs()}
    shape = inputs.get(name, [])[1:]
    sized = len(shape) == 1 and isinstance(shape[0], int) and shape[0] > 0
    ranks = {end: len(axes) for end, axes in outputs.items()}
    named = ranks == {"scores": 2} or (view == "flow" and ranks == {"lengths": 2, "votes": 4})
    fits = len(inputs) == 1 and named and (sized if view == "volume" else shape == list(wanted))
    # a first axis of a fixed length takes no other number of clips
    loose = all(axes and not isinstance(axes[0], int) for axes in (inputs | outputs).values())
    kinds = {end.type for end in session.get_inputs() + session.get_outputs()}
    if not (fits and loose and kinds == {"tensor(float)"}):
        axes = ", ".join(str(n) for n in ("n", *wanted))
        also = " or lengths, votes" if view == "flow" else ""
        raise ModelError(
            f"expected input {name} ({axes}) and output scores (n, {len(EMOTIONS)}){also}, all "
            f"float32, got {inputs} and {outputs} in {file}; {_REMEDY}"
        )
    return tuple(shape)
