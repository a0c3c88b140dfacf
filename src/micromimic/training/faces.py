"""Train networks on face crops: the article's CapsuleNet and its baselines, by its recipe."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from micromimic.errors import ModelError, RandomWeightsWarning
from micromimic.evaluation.metrics import uf1
from micromimic.evaluation.splits import hold_out_subjects
from micromimic.face.crops import FACE_SIDE
from micromimic.labels import EMOTIONS
from micromimic.models.capsnet import CapsNet
from micromimic.models.capsules import margin_loss
from micromimic.models.cnn import CnnName, FaceCnn
from micromimic.models.learner import FitOptions, Init, Samples, View, expect_classes
from micromimic.models.stems import Backbone, make_stem
from micromimic.training.augment import FaceAugment, augment_faces, unit_range
from micromimic.training.config import Recipe
from micromimic.training.device import Hardware, Precision, choose_hardware
from micromimic.training.imagenet import (
    Start,
    missing_weights,
    pack_state,
    starting_weights,
)
from micromimic.training.loop import run_epochs
from micromimic.training.sampling import balanced_rows, derive_seed, split_batches
from micromimic.training.threads import threads
from micromimic.training.workers import ahead

BACKBONES: Final[Mapping[str, Backbone]] = {
    "capsnet-resnet18": "resnet18",
    "capsnet-vgg11": "vgg11",
    "capsnet-mobilenetv2": "mobilenet_v2",
    "resnet18": "resnet18",
    "vgg11": "vgg11",
}
"""The ImageNet network inside each architecture."""

_SCORED_AT_ONCE: Final = 32


@dataclass(frozen=True)
class FaceSettings:
    """How a network is fitted to face crops; the defaults are the article's.

    Args:
        recipe: optimiser and schedule.
        augment: how much the crops vary.
        precision, workers: None take what suits the device (`device.choose_hardware`).
    """

    recipe: Recipe = field(default_factory=Recipe)
    augment: FaceAugment = field(default_factory=FaceAugment)
    precision: Precision | None = None
    workers: int | None = None


class FaceLearner:
    """A network on face crops, as a `models.learner.Learner`.

    The apex and its neighbours are training examples of their own; an epoch draws as many as there
    are, the classes in equal parts. Asked about a clip, the network sees the apex only, and its
    mirror image.

    Args:
        architecture: one of `BACKBONES`.
        settings: how it is fitted; None is the article's way.

    Raises:
        ModelError: if the architecture is unknown.

    >>> FaceLearner("capsnet-resnet18").settings["learning_rate"]
    0.0001
    """

    view: View = "faces"
    encoder: str | None = None

    def __init__(self, architecture: str, settings: FaceSettings | None = None) -> None:
        if architecture not in BACKBONES:
            raise ModelError(f"expected one of {', '.join(BACKBONES)}, got {architecture!r}")
        self.architecture = architecture
        self.chosen = settings or FaceSettings()
        self.backbone = BACKBONES[architecture]
        capsules = architecture.startswith("capsnet-")
        self.loss: Callable[[Tensor, Tensor], Tensor] = margin_loss if capsules else cross_entropy
        # capsule lengths lie within 0..1, logits do not
        self.temperature = 0.2 if capsules else 1.0
        self.settings: Mapping[str, object] = {
            "architecture": architecture,
            "loss": "margin" if capsules else "cross-entropy",
            **asdict(self.chosen.recipe),
            **asdict(self.chosen.augment),
        }

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The crops themselves, (k, 224, 224, 3)."""
        return np.asarray(clip, np.uint8)

    def warning(self, init: Init) -> str | None:
        """What a runner should say once before training with ``init``, if anything."""
        return missing_weights(self.backbone, init)

    def fit(self, samples: Samples, options: FitOptions) -> FittedFaces:
        """Train; see `models.learner.Learner.fit`.

        Raises:
            InputError: if there is one class only.
            ModelError: if ``options.init``, ``device`` or ``checkpoint`` do not fit.
        """
        with threads(options.threads):
            return self._fit(samples, options)

    def _fit(self, samples: Samples, options: FitOptions) -> FittedFaces:
        _check(samples)
        hardware = choose_hardware(options.device, self.chosen.precision, self.chosen.workers)
        held: Samples | None = None
        if options.stop is not None:
            train, rest = hold_out_subjects(
                samples.subjects, samples.targets, options.stop.share, options.seed
            )
            held, samples = samples.take(rest), samples.take(train)
        network, source = self._network(options, hardware)
        recipe = self.chosen.recipe
        optimizer = torch.optim.Adam(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        examples = FaceBatches(samples, options.seed, self.chosen, hardware)

        def validation(now: nn.Module) -> float:
            assert held is not None
            said = self._fitted(now).scores(held.inputs).argmax(1)
            return uf1(held.labels, np.asarray(EMOTIONS)[said])

        run_epochs(
            network,
            optimizer,
            epochs=recipe.epochs if options.epochs is None else options.epochs,
            batches=examples.batches,
            loss=self.loss,
            options=options,
            fitted=self._fitted,
            settings={
                **self.settings,
                "weights": source,
                "data": samples.digest() if options.checkpoint else "",
            },
            epoch_schedule=torch.optim.lr_scheduler.ExponentialLR(optimizer, recipe.decay),
            validation=None if held is None else validation,
            precision=hardware.precision,
            steps=examples.steps,
        )
        return self._fitted(network)

    def _network(self, options: FitOptions, hardware: Hardware) -> tuple[nn.Module, str]:
        """The network at its start, and where its weights are from."""
        text = self.warning(options.init)
        if text is not None:
            warnings.warn(text, RandomWeightsWarning, stacklevel=3)
        start = starting_weights(self.backbone, self.architecture, options.init)
        network = build_network(self.architecture, start, options.seed).to(hardware.device)
        if hardware.device.type == "cuda":
            # the order that tensor cores want
            network = network.to(memory_format=torch.channels_last)
        return network, start.source

    def _fitted(self, network: nn.Module) -> FittedFaces:
        return FittedFaces(self.architecture, network)


def build_network(architecture: str, start: Start, seed: int) -> nn.Module:
    """The network at its start, on the CPU; torch's global generator is left as it was.

    Args:
        architecture: one of `BACKBONES`.
        start: given weights.
        seed: decides those that are not given.

    Raises:
        ModelError: if the given weights do not fit.
    """
    backbone = BACKBONES[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed))
        try:
            network: nn.Module
            if architecture.startswith("capsnet-"):
                network = CapsNet(make_stem(backbone, start.imagenet))
            else:
                network = FaceCnn(cast(CnnName, backbone), start.imagenet)
            if start.network is not None:
                network.load_state_dict(start.network, strict=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:120]
            raise ModelError(
                f"expected weights that fit {architecture}, got others ({reason}); check --init"
            ) from error
    return network


class FittedFaces:
    """A trained network on face crops, as a `models.learner.Fitted`.

    Args:
        architecture: its name.
        network: in evaluation mode.
    """

    def __init__(self, architecture: str, network: nn.Module) -> None:
        self.architecture = architecture
        self.network = network

    def scores(self, inputs: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) capsule lengths or logits, averaged over each apex and its mirror image.

        Args:
            inputs: (n, k, 224, 224, 3) uint8, the apex first, or (n, 224, 224, 3), the apex.
        """
        faces = np.asarray(inputs)
        apexes = faces[:, 0] if faces.ndim == 5 else faces
        _check_faces(apexes)
        device = next(self.network.parameters()).device
        found = [np.empty((0, len(EMOTIONS)))]
        with torch.inference_mode():
            for start in range(0, len(apexes), _SCORED_AT_ONCE):
                part = np.array(apexes[start : start + _SCORED_AT_ONCE])
                views = unit_range(_channels_first(part).to(device))
                both = self.network(views) + self.network(views.flip(3))
                found.append(both.double().cpu().numpy() / 2)
        return np.concatenate(found)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """An ONNX file that `models.onnx.load_model` opens, checked against torch.

        Raises:
            ModelError: if its scores differ from torch's.
        """
        from micromimic.training.torch_onnx import export_network  # noqa: PLC0415 - slow to import

        return export_network(self.network, "faces", metadata)

    def state(self) -> bytes:
        """A state file: ``--init FILE`` goes on from it."""
        return pack_state(self.architecture, self.network.state_dict())


class FaceBatches:
    """Batches of single crops: every frame of every clip, each epoch with draws of its own."""

    def __init__(
        self,
        samples: Samples,
        seed: int,
        settings: FaceSettings,
        hardware: Hardware,
    ) -> None:
        self.pixels = cast(NDArray[np.uint8], samples.inputs)
        self.frames = self.pixels.shape[1]
        self.targets = np.repeat(samples.targets, self.frames)
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


def _channels_first(faces: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(faces).permute(0, 3, 1, 2)


def _check(samples: Samples) -> None:
    expect_classes(samples)
    if samples.inputs.ndim != 5:
        raise ValueError(f"faces must be (n, k, height, width, 3), got {samples.inputs.shape}")
    _check_faces(samples.inputs[:, 0])


def _check_faces(faces: NDArray[np.generic]) -> None:
    wanted = (FACE_SIDE, FACE_SIDE, 3)
    if faces.shape[1:] != wanted or faces.dtype != np.uint8:
        raise ValueError(f"faces must be {wanted} uint8 each, got {faces.shape[1:]} {faces.dtype}")
