"""Train networks on face crops: the article's CapsuleNet and its baselines, by its recipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromimic.core.errors import ModelError
from micromimic.core.labels import THREE
from micromimic.face.crops import FACE_SIDE
from micromimic.models.base import Array, EarlyStopping, FitRun, Init, Rows, init_of, other_head
from micromimic.models.networks.faces import Backbone, CapsNet, CnnName, FaceCnn, make_stem
from micromimic.models.samples import FittedTo, View, digest_of
from micromimic.models.training.batches import (
    FaceAugment,
    augment_faces,
    balanced_rows,
    derive_seed,
    split_batches,
    unit_range,
)
from micromimic.models.training.device import Hardware, Precision, choose_hardware
from micromimic.models.training.imagenet import (
    Start,
    local_file,
    missing_weights,
    pack_state,
    starting_weights,
    state_labels,
    state_of,
)
from micromimic.models.training.loop import NetworkClassifier, Plan, seeded

BACKBONES: Final[Mapping[str, Backbone]] = {
    "capsnet-resnet18": "resnet18",
    "capsnet-vgg11": "vgg11",
    "capsnet-mobilenetv2": "mobilenet_v2",
    "resnet18": "resnet18",
    "vgg11": "vgg11",
}
"""The ImageNet network inside each architecture."""

_SCORED_AT_ONCE: Final = 32
_HEADS: Final = {"transform", *(f"backbone.{layer}.{part}" for layer in ("fc", "classifier.6")
                                for part in ("weight", "bias"))}  # fmt: skip
"""Weights of the last layer, by name."""

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Recipe:
    """Defaults of section 5 of Quang, Chun, Tokuyama (FG 2019) and the article that re-tells it."""

    epochs: int = 20  # passes over the data
    batch: int = 16  # examples a step
    learning_rate: float = 1e-4  # at the start
    decay: float = 0.9  # factor on the learning rate after each epoch
    weight_decay: float = 0.0  # of the optimiser

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError(
                f"expected at least 1 epoch and 1 example a batch, got {self.epochs}, {self.batch}"
            )
        if not (self.learning_rate > 0 and 0 < self.decay <= 1 and self.weight_decay >= 0):
            raise ValueError(
                "expected learning_rate > 0, decay in (0, 1], weight_decay >= 0, got "
                f"{self.learning_rate}, {self.decay}, {self.weight_decay}"
            )


@dataclass(frozen=True)
class FaceSettings:
    """docs/article.md says where the defaults differ from the article."""

    recipe: Recipe = field(default_factory=Recipe)  # optimiser and schedule
    augment: FaceAugment = field(default_factory=FaceAugment)  # how much the crops vary
    # asked about a clip, average the apex and its mirror image; else the apex alone
    mirrored: bool = True
    plain: bool = False  # of `capsnet.CapsNet`: its initial weights
    # precision, workers: None take what suits the device (`device.choose_hardware`)
    precision: Precision | None = None
    workers: int | None = None


ARTICLE: Final = FaceSettings(
    Recipe(batch=32), FaceAugment(zoom=15 / 14, resized=True), mirrored=False, plain=True
)
"""The article's way; where it is silent (batch, sizes, initial weights), its published code's."""


class FaceNet(NetworkClassifier):
    """A network on face crops, one of `BACKBONES`.

    The apex and its neighbours are training examples of their own; an epoch draws as many as there
    are, the classes in equal parts. Asked about a clip, the network sees the apex only, and its
    mirror image.
    """

    view: View = "faces"

    def __init__(
        self,
        architecture: str = "capsnet-resnet18",
        *,
        init: Init = "default",
        epochs: int | None = None,
        stop: EarlyStopping | None = None,
        settings: FaceSettings | None = None,
        random_state: int | None = None,
    ) -> None:
        self.architecture = architecture
        self.init = init
        self.epochs = epochs
        self.stop = stop
        self.settings = settings
        self.random_state = random_state

    @property
    def backbone(self) -> Backbone:
        if self.architecture not in BACKBONES:
            raise ModelError(f"expected one of {', '.join(BACKBONES)}, got {self.architecture!r}")
        return BACKBONES[self.architecture]

    def as_article(self) -> Self:
        return cast(Self, self.set_params(settings=ARTICLE))

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The crops themselves, (k, 224, 224, 3)."""
        return np.asarray(clip, np.uint8)

    def warning(self, labels: Sequence[str]) -> str | None:
        """That ImageNet weights are wanted and not there, or a file has other labels, if so."""
        state = _state_of(self.init)
        if state is None or (known := state_labels(state)) == tuple(labels):
            return missing_weights(self.backbone, init_of(self.init))
        return other_head(known, labels)

    def starts_from(self) -> tuple[Path, ...]:
        if self.init == "default":
            file = local_file(self.backbone)
            return () if file is None else (file,)
        init = init_of(self.init)
        return (init,) if isinstance(init, Path) else ()

    def started_from(self) -> FittedTo | None:
        """What the state file that it starts from was fitted to; ImageNet is nobody's face."""
        state = _state_of(self.init)
        return FittedTo() if state is None else FittedTo.from_json(state.get("fitted_to"))

    def plan(self, X: Rows, targets: NDArray[np.int64], run: FitRun) -> Plan:
        if X.ndim != 5:
            raise ValueError(f"faces must be (n, k, height, width, 3), got {X.shape}")
        _check_faces(X[:, 0])
        chosen = self.settings or FaceSettings()
        recipe = chosen.recipe
        hardware = choose_hardware(run.device, chosen.precision, chosen.workers)
        start = starting_weights(self.backbone, self.architecture, init_of(self.init))
        network = build_network(
            self.architecture, start, self.seed, self.classes_.tolist(), plain=chosen.plain
        )
        self.network_ = network.to(hardware.device)
        if hardware.device.type == "cuda":
            # the order that tensor cores want
            self.network_ = self.network_.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(
            self.network_.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        faces = cast(NDArray[np.uint8], X)
        examples = FaceBatches(faces, targets, self.seed, chosen, hardware)
        return Plan(
            optimizer,
            recipe.epochs if self.epochs is None else self.epochs,
            examples.batches,
            self.loss,
            settings={
                "architecture": self.architecture,
                "init": self.init,
                **asdict(recipe),
                **asdict(chosen.augment),
                "plain": chosen.plain,
                "weights": start.source,
                "data": digest_of(faces, targets) if run.checkpoint else "",
            },
            epoch_schedule=torch.optim.lr_scheduler.ExponentialLR(optimizer, recipe.decay),
            precision=hardware.precision,
            steps=examples.steps,
        )

    def scores(self, X: Rows) -> Array:
        """(n, k) of (n, k, 224, 224, 3) uint8, the apex first, or of (n, 224, 224, 3), the apex."""
        mirrored = (self.settings or FaceSettings()).mirrored
        return face_scores(self.network_, X, len(self.classes_), mirrored=mirrored)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        from micromimic.models.training.export import export_network  # noqa: PLC0415 - slow to import

        return export_network(self.network_, "faces", metadata)

    def state(self, fitted_to: Mapping[str, object] | None = None) -> bytes:
        """A state file: ``--init FILE`` goes on from it."""
        weights = self.network_.state_dict()
        return pack_state(self.architecture, weights, fitted_to, self.classes_.tolist())


def face_scores(
    network: nn.Module, faces: NDArray[np.generic], classes: int, *, mirrored: bool = True
) -> Array:
    """(n, classes) outputs for each apex, ``mirrored`` averaged over it and its mirror image."""
    data = np.asarray(faces)
    apexes = data[:, 0] if data.ndim == 5 else data
    _check_faces(apexes)
    device = next(network.parameters()).device
    found = [np.empty((0, classes))]
    with torch.inference_mode():
        for start in range(0, len(apexes), _SCORED_AT_ONCE):
            part = np.array(apexes[start : start + _SCORED_AT_ONCE])
            views = unit_range(_channels_first(part).to(device))
            scored = (network(views) + network(views.flip(3))) / 2 if mirrored else network(views)
            found.append(scored.double().cpu().numpy())
    return np.concatenate(found)


def _state_of(init: str | Path) -> Mapping[str, Any] | None:
    file = init_of(init)
    return state_of(file) if isinstance(file, Path) else None


def build_network(
    architecture: str,
    start: Start,
    seed: int,
    labels: Sequence[str] = THREE.names,
    *,
    plain: bool = False,
) -> nn.Module:
    """The network at its start, on the CPU; torch's global generator is left as it was."""
    backbone = BACKBONES[architecture]
    with seeded(derive_seed(seed)):
        try:
            network: nn.Module
            if architecture.startswith("capsnet-"):
                stem = make_stem(backbone, start.imagenet)
                network = CapsNet(stem, classes=len(labels), plain=plain)
            else:
                network = FaceCnn(cast(CnnName, backbone), start.imagenet, len(labels))
            if start.network is not None:
                own = network.state_dict() if start.labels != tuple(labels) else {}
                head = {name: own[name] for name in _HEADS & own.keys()}
                network.load_state_dict({**start.network, **head}, strict=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:120]
            raise ModelError(
                f"expected weights that fit {architecture}, got others ({reason}); check --init"
            ) from error
    return network


class FaceBatches:
    """Batches of single crops: every frame of every clip, each epoch with draws of its own."""

    def __init__(
        self,
        faces: NDArray[np.uint8],
        targets: NDArray[np.int64],
        seed: int,
        settings: FaceSettings,
        hardware: Hardware,
    ) -> None:
        self.pixels = faces
        self.frames = self.pixels.shape[1]
        self.targets = np.repeat(targets, self.frames)
        self.seed = seed
        self.settings = settings
        self.hardware = hardware
        rows = np.arange(len(self.targets))
        self.steps = len(list(split_batches(rows, settings.recipe.batch)))

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(B, 3, 224, 224) varied crops in 0..1 and (B,) targets, on the device."""
        device = self.hardware.device
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch, 1))
        rows = balanced_rows(self.targets, self.seed, epoch)
        pieces = split_batches(rows, self.settings.recipe.batch)
        # threads only fetch; what is drawn is drawn here, so their number changes nothing
        for faces, targets in ahead(self._fetch, pieces, self.hardware.workers):
            there = faces.to(device, non_blocking=True)
            varied = augment_faces(there, generator, self.settings.augment)
            yield varied, targets.to(device, non_blocking=True)

    def _fetch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        crops = _channels_first(self.pixels[rows // self.frames, rows % self.frames])
        targets = torch.from_numpy(self.targets[rows])
        if self.hardware.device.type == "cuda":
            return crops.pin_memory(), targets.pin_memory()
        return crops, targets


def ahead(make: Callable[[Given], Made], items: Iterable[Given], workers: int) -> Iterator[Made]:
    """``make(item)`` of each item, in their order; so many threads work ahead.

    Up to twice as many results wait; without threads each is made when it is asked for. An error of
    ``make`` is raised where its result would have come.

    >>> list(ahead(lambda x: x * x, range(4), workers=2))
    [0, 1, 4, 9]
    """
    if workers == 0:
        yield from map(make, items)
        return
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def _channels_first(faces: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(faces).permute(0, 3, 1, 2)


def _check_faces(faces: NDArray[np.generic]) -> None:
    wanted = (FACE_SIDE, FACE_SIDE, 3)
    if faces.shape[1:] != wanted or faces.dtype != np.uint8:
        raise ValueError(f"faces must be {wanted} uint8 each, got {faces.shape[1:]} {faces.dtype}")
