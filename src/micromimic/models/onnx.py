"""Open a model file for ONNX Runtime: no torch, one thread, the shipped weights by default.

A file holds a graph and, under ``METADATA_KEY``, its description as JSON: name, version,
trained_on, classes (``labels`` is read, too; the composite's three if absent), temperature, margin,
view (``flow`` if absent), fitted_to (digests of the clips and names of the people, see
`models.fitted_to`), and for the view ``volume`` the encoder, a name in `features.DESCRIPTORS`.
Of k classes, all ends float32:

| view | input | outputs |
|---|---|---|
| flow | ``maps`` (n, 3, 28, 28), centred by `models.preprocess.center` | ``scores`` (n, k), or ``lengths`` (n, k) and ``votes`` (n, k, g, g) |
| faces | ``faces`` (n, 3, 224, 224), RGB, 0 to 1 | ``scores`` (n, k) |
| volume | ``features`` (n, d), of the encoder | ``scores`` (n, k) |
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args, overload

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.core.labels import THREE, LabelSet
from micromimic.core.results import ModelInfo
from micromimic.face.crops import FACE_SIDE
from micromimic.models.fitted_to import FittedTo
from micromimic.models.recognizers import (
    About,
    Calibration,
    FaceModel,
    FlowModel,
    RecognitionModel,
    VolumeModel,
)
from micromimic.models.regions import region_shares, vote_centres
from micromimic.models.runtime import METADATA_KEY, model_file, open_session, read_description
from micromimic.models.samples import View

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


def shipped_model() -> FlowModel:
    """The default model."""
    return load_model()


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
    loose = all(axes and not isinstance(axes[0], int) for axes in (inputs | outputs).values())
    counts = {axes[1] for axes in outputs.values() if len(axes) > 1 and isinstance(axes[1], int)}
    kinds = {end.type for end in session.get_inputs() + session.get_outputs()}
    if not (fits and loose and counts <= {classes} and kinds == {"tensor(float)"}):
        axes = ", ".join(str(n) for n in ("n", *wanted))
        also = " or lengths, votes" if view == "flow" else ""
        raise ModelError(
            f"expected input {name} ({axes}) and output scores (n, {classes}){also}, all "
            f"float32, got {inputs} and {outputs} in {file}; {_REMEDY}"
        )
    return tuple(shape)
