"""Train a small network on flow maps: the default model's architecture, and its plain counterpart.

Every map is centred, so only the pattern of motion counts; classes are drawn in equal parts; maps
are turned, scaled, shifted and mirrored a little, with their directions kept right. The last epoch
is kept: nothing is selected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromimic.errors import ModelError
from micromimic.evaluation.metrics import uf1
from micromimic.evaluation.splits import hold_out_subjects
from micromimic.labels import EMOTIONS
from micromimic.models.capsules import margin_loss
from micromimic.models.flow_capsnet import FlowCapsNet
from micromimic.models.flow_cnn import FlowCnn
from micromimic.models.learner import FitOptions, Init, Samples, View, expect_classes
from micromimic.models.onnx import SHIPPED
from micromimic.models.preprocess import center, mirror
from micromimic.training.augment import augment_maps
from micromimic.training.export import build_onnx
from micromimic.training.flow_weights import read_flow_capsnet
from micromimic.training.loop import run_epochs
from micromimic.training.sampling import balanced_rows, derive_seed, split_batches
from micromimic.training.threads import threads

NETWORKS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "flow-capsnet": FlowCapsNet,
    "flow-cnn": FlowCnn,
}


@dataclass(frozen=True)
class FlowRecipe:
    """How a network is fitted to flow maps.

    Args:
        epochs: passes over the maps.
        batch: maps a step.
        learning_rate: peak of the one-cycle schedule, from random weights.
        tuning_rate: the same, from given weights.
        weight_decay: of AdamW.
        rotation: degrees either way.
        scale: share either way.
        shift: canonical units either way.
    """

    epochs: int = 30
    batch: int = 64
    learning_rate: float = 3e-3
    tuning_rate: float = 1e-3
    weight_decay: float = 1e-3
    rotation: float = 8.0
    scale: float = 0.05
    shift: float = 1.5


class FlowLearner:
    """A network on flow maps, as a `models.learner.Learner`.

    Args:
        architecture: ``flow-capsnet`` or ``flow-cnn``.
        recipe: how it is fitted.

    >>> FlowLearner("flow-capsnet").view
    'flow'
    """

    view: View = "flow"
    encoder: str | None = None

    def __init__(self, architecture: str, recipe: FlowRecipe | None = None) -> None:
        if architecture not in NETWORKS:
            raise ModelError(f"expected one of {', '.join(NETWORKS)}, got {architecture!r}")
        self.architecture = architecture
        self.recipe = recipe or FlowRecipe()
        self.capsules = architecture == "flow-capsnet"
        # capsule lengths lie within 0..1, logits do not
        self.temperature = 0.2 if self.capsules else 1.0
        self.settings: Mapping[str, object] = {
            "architecture": architecture,
            **asdict(self.recipe),
        }

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.float32]:
        """The raw map itself, (3, 28, 28)."""
        return np.asarray(clip, np.float32)

    def warning(self, init: Init) -> str | None:
        """Nothing to say."""
        return None

    def fit(self, samples: Samples, options: FitOptions) -> FittedFlow:
        """Train; see `models.learner.Learner.fit`."""
        with threads(1):
            return self._fit(samples, options)

    def _fit(self, samples: Samples, options: FitOptions) -> FittedFlow:
        expect_classes(samples)
        held: Samples | None = None
        if options.stop is not None:
            train, rest = hold_out_subjects(
                samples.subjects, samples.targets, options.stop.share, options.seed
            )
            samples, held = samples.take(train), samples.take(rest)
        inputs = torch.from_numpy(center(samples.inputs))
        targets = torch.from_numpy(samples.targets)
        network, tuned = self._network(options, inputs)
        recipe = self.recipe
        rate = recipe.tuning_rate if tuned else recipe.learning_rate
        epochs = options.epochs or recipe.epochs
        steps = len(list(split_batches(np.arange(self._drawn(len(samples))), recipe.batch)))
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=rate, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=epochs * steps, pct_start=0.2
        )

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            generator = torch.Generator().manual_seed(derive_seed(options.seed, epoch, 1))
            rows = balanced_rows(samples.targets, options.seed, epoch, self._drawn(len(samples)))
            for piece in split_batches(rows, recipe.batch):
                maps = augment_maps(
                    inputs[piece],
                    generator,
                    rotation=recipe.rotation,
                    scale=recipe.scale,
                    shift=recipe.shift,
                )
                yield maps, targets[piece]

        def validation(now: nn.Module) -> float:
            assert held is not None
            said = FittedFlow(self, now).scores(held.inputs).argmax(1)
            return uf1(held.labels, np.asarray(EMOTIONS)[said])

        run_epochs(
            network,
            optimizer,
            epochs=epochs,
            batches=batches,
            loss=margin_loss if self.capsules else nn.functional.cross_entropy,
            options=options,
            fitted=lambda now: FittedFlow(self, now),
            settings={**self.settings, "data": samples.digest()},
            step_schedule=schedule,
            validation=validation if held is not None else None,
            steps=steps,
        )
        return FittedFlow(self, network)

    def _drawn(self, count: int) -> int:
        """Maps drawn an epoch: whole batches."""
        return -(-count // self.recipe.batch) * self.recipe.batch

    def _network(self, options: FitOptions, inputs: Tensor) -> tuple[nn.Module, bool]:
        """The network at its start, and whether its weights were trained before."""
        file: Path | None = options.init if isinstance(options.init, Path) else None
        if options.init == "download":
            raise ModelError(
                f"expected --init default, none or a file for {self.architecture}, got download; "
                "there is nothing to download"
            )
        if options.init == "default" and self.capsules:
            file = SHIPPED
        if file is not None:
            if not self.capsules:
                raise ModelError(
                    f"expected --init default or none for {self.architecture}, got {file}; "
                    "only flow-capsnet starts from a file"
                )
            return read_flow_capsnet(file, inputs), True
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(options.seed))
            return NETWORKS[self.architecture](), False


class FittedFlow:
    """A trained network on flow maps, as a `models.learner.Fitted`.

    Args:
        learner: what it was trained by.
        network: in evaluation mode.
    """

    def __init__(self, learner: FlowLearner, network: nn.Module) -> None:
        self.learner = learner
        self.network = network

    def scores(self, inputs: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) class lengths or logits of raw maps, averaged over each map and its mirror."""
        data = center(inputs)
        with threads(1), torch.no_grad():
            parts = [self.network(torch.from_numpy(view)) for view in (data, mirror(data))]
        return np.asarray((parts[0] + parts[1]).numpy() / 2, np.float64)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """An ONNX file that `models.onnx.load_model` opens."""
        if isinstance(self.network, FlowCapsNet):
            model = build_onnx(self.network, metadata)
            return bytes(model.SerializeToString(deterministic=True))
        from micromimic.training.torch_onnx import export_network  # noqa: PLC0415 - slow to import

        return export_network(self.network, "flow", metadata)
