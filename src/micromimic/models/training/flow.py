"""Train a small network on flow maps: the default model's architecture, and its plain counterpart.

Every map is centred, so only the pattern of motion counts; classes are drawn in equal parts; maps
are turned, scaled, shifted and mirrored a little, with their directions kept right. The last epoch
is kept: nothing is selected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromimic.core.errors import ModelError
from micromimic.models.base import Array, EarlyStopping, FitRun, Init, Rows, other_head
from micromimic.models.networks.flow import CLASS_SIZE, PRIMARY_SIZE, FlowCapsNet, FlowCnn
from micromimic.models.onnx import SHIPPED, load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.samples import digest_of
from micromimic.models.training.batches import (
    augment_maps,
    balanced_rows,
    derive_seed,
    split_batches,
)
from micromimic.models.training.device import threads
from micromimic.models.training.loop import NetworkClassifier, Plan, seeded

NETWORKS: Final[Mapping[str, Callable[..., nn.Module]]] = {
    "flow-capsnet": FlowCapsNet,
    "flow-cnn": FlowCnn,
}


@dataclass(frozen=True)
class FlowRecipe:
    epochs: int = 30  # passes over the maps
    batch: int = 64  # maps a step
    learning_rate: float = 3e-3  # peak of the one-cycle schedule, from random weights
    tuning_rate: float = 1e-3  # the same, from given weights
    weight_decay: float = 1e-3  # of AdamW
    rotation: float = 8.0  # degrees either way
    scale: float = 0.05  # share either way
    shift: float = 1.5  # canonical units either way


class FlowNet(NetworkClassifier):
    """A network on flow maps, ``flow-capsnet`` or ``flow-cnn``.

    Where ``init`` is ``default`` a flow-capsnet starts from the shipped file; of a file with other
    labels it takes all but the head.
    """

    def __init__(
        self,
        architecture: str = "flow-capsnet",
        *,
        init: Init = "default",
        epochs: int | None = None,
        stop: EarlyStopping | None = None,
        recipe: FlowRecipe | None = None,
        random_state: int | None = None,
    ) -> None:
        self.architecture = architecture
        self.init = init
        self.epochs = epochs
        self.stop = stop
        self.recipe = recipe
        self.random_state = random_state

    def warning(self, labels: Sequence[str]) -> str | None:
        files = self.starts_from()
        if not files or set(labels) <= set(known := load_model(files[0]).labels):
            return None
        return other_head(known, labels)

    def starts_from(self) -> tuple[Path, ...]:
        if self.architecture not in NETWORKS:
            raise ModelError(f"expected one of {', '.join(NETWORKS)}, got {self.architecture!r}")
        if self.init == "download":
            raise ModelError(
                f"expected --init default, none or a file for {self.architecture}, got download; "
                "there is nothing to download"
            )
        if self.init not in ("default", "none") and not self.capsules:
            raise ModelError(
                f"expected --init default or none for {self.architecture}, got {self.init}; "
                "only flow-capsnet starts from a file"
            )
        if self.init == "none" or not self.capsules:
            return ()
        return (SHIPPED if self.init == "default" else Path(self.init),)

    @threads(1)
    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        super()._fit(X, targets, people, run)

    def plan(self, X: Rows, targets: NDArray[np.int64], run: FitRun) -> Plan:
        inputs, wanted = torch.from_numpy(center(X)), torch.from_numpy(targets)
        files, recipe, seed = self.starts_from(), self.recipe or FlowRecipe(), self.seed
        with seeded(derive_seed(seed)):
            if files:
                self.network_ = read_flow_capsnet(files[0], inputs, self.classes_.tolist())
            else:
                self.network_ = NETWORKS[self.architecture](classes=len(self.classes_))
        rate = recipe.tuning_rate if files else recipe.learning_rate
        steps = -(-len(targets) // recipe.batch)
        drawn = steps * recipe.batch  # whole batches
        epochs = self.epochs or recipe.epochs

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            generator = torch.Generator().manual_seed(derive_seed(seed, epoch, 1))
            rows = balanced_rows(targets, seed, epoch, drawn)
            for piece in split_batches(rows, recipe.batch):
                maps = augment_maps(
                    inputs[piece],
                    generator,
                    rotation=recipe.rotation,
                    scale=recipe.scale,
                    shift=recipe.shift,
                )
                yield maps, wanted[piece]

        optimizer = torch.optim.AdamW(
            self.network_.parameters(), lr=rate, weight_decay=recipe.weight_decay
        )
        return Plan(
            optimizer,
            epochs,
            batches,
            self.loss,
            settings={
                "architecture": self.architecture,
                "init": self.init,
                **asdict(recipe),
                "data": digest_of(X, targets, *self.classes_),
            },
            step_schedule=torch.optim.lr_scheduler.OneCycleLR(
                optimizer, rate, total_steps=epochs * steps, pct_start=0.2
            ),
            steps=steps,
        )

    @threads(1)
    def scores(self, X: Rows) -> Array:
        """(n, k) lengths or logits of raw maps, averaged over each map and its mirror image."""
        data = center(X)
        with torch.no_grad():
            parts = [self.network_(torch.from_numpy(view)) for view in (data, mirror(data))]
        return np.asarray((parts[0] + parts[1]).numpy() / 2, np.float64)

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        from micromimic.models.training.export import export_network  # noqa: PLC0415 - needs onnx

        return export_network(self.network_, "flow", metadata)


def read_flow_capsnet(
    path: Path, maps: Tensor, classes: Sequence[str] | None = None
) -> FlowCapsNet:
    """A network with the weights of an ONNX file, for (n, 3, 28, 28) centred maps to be trained on.

    Batch normalisation was folded into the first convolution when the file was written. Here it is
    unfolded again, with the statistics of these maps: the network says what the file's says, in
    evaluation mode exactly and in training mode as nearly as batches resemble the whole.
    """
    import onnx  # noqa: PLC0415 - slow to import
    from onnx import numpy_helper  # noqa: PLC0415

    known = list(load_model(path).labels)  # its errors are the right ones
    wanted = known if classes is None else list(classes)
    graph = onnx.load_model(path).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    nodes: dict[str, list[Any]] = {}
    for node in graph.node:
        nodes.setdefault(node.op_type, []).append(node)
    try:
        first, second = nodes["Conv"]
        product = nodes["MatMul"][-1]  # those before it balance u and v
        conv, conv_bias = (constants[name] for name in first.input[1:])
        primary, primary_bias = (constants[name] for name in second.input[1:])
        transform = constants[product.input[1]]
        balanced = first.input[0] != "maps"
        types = len(primary) // PRIMARY_SIZE
        network = FlowCapsNet(len(conv), types, balanced=balanced, classes=len(wanted))
        state = {
            "conv.weight": conv,
            "conv.bias": conv_bias,
            "primary.weight": primary,
            "primary.bias": primary_bias,
        }
        if set(wanted) <= set(known):
            heads = transform.reshape(*transform.shape[:2], len(known), CLASS_SIZE)
            heads = heads[:, :, [known.index(name) for name in wanted]]
            state["transform"] = heads.reshape(*transform.shape[:2], -1)
        own = network.state_dict()
        own |= {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
        network.load_state_dict(own)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"expected a flow-capsnet with class capsules of {CLASS_SIZE}, got another network in "
            f"{path}; pass a file that `micromimic train --model flow-capsnet` wrote"
        ) from error
    _unfold(network, maps)
    return network.eval()


def _unfold(network: FlowCapsNet, maps: Tensor) -> None:
    """Give the normalisation the statistics of these maps, and undo it by its own scale."""
    with torch.no_grad():
        hidden = network.conv(network.seen(maps))
        mean, variance = hidden.mean((0, 2, 3)), hidden.var((0, 2, 3))
        norm = network.norm
        norm.running_mean = mean.clone()
        norm.running_var = variance.clone()
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean)
