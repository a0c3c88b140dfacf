"""The one loop: the package's own, fed with maps that are mirrored half of the time.

Everything that a fit draws comes from one stream of chance that starts at its seed (initial
weights, then order, mirroring and dropout), as when the weights that ship were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from micromimic.core.progress import Progress
from micromimic.models.base import FitRun
from micromimic.models.training.loop import Loss, Plan, run_epochs, seeded
from weights.config import TrainConfig

Network = TypeVar("Network", bound=nn.Module)


def fit(
    make: Callable[[], Network],
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: Loss,
    mirror: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    seed: int,
    epochs: int,
    config: TrainConfig,
    progress: Progress | None = None,
    stage: str = "training",
) -> Network:
    """A network fitted by AdamW and a one-cycle schedule, in evaluation mode.

    ``make`` starts it from torch's global generator, ``mirror`` makes the mirror images of a
    batch's inputs and targets, ``seed`` decides everything drawn. What is left over of whole
    batches waits for another pass.
    """
    with seeded(seed):
        network = make()
        chance = torch.get_rng_state()
    steps = max(1, len(inputs) // config.batch)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal chance
        torch.set_rng_state(chance)
        order = torch.randperm(len(inputs))
        for start in range(0, steps * config.batch, config.batch):
            rows = order[start : start + config.batch]
            chosen = torch.rand(len(rows)) < 0.5
            seen = inputs[rows], targets[rows]
            maps, wanted = (
                torch.where(chosen.view(-1, *(1,) * (one.ndim - 1)), other, one)
                for one, other in zip(seen, mirror(*seen), strict=True)
            )
            yield maps, wanted
        chance = torch.get_rng_state()

    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=epochs * steps, pct_start=0.2
    )
    run_epochs(
        network,
        Plan(optimizer, epochs, batches, loss, step_schedule=schedule, steps=steps),
        FitRun(progress=progress and (lambda done, total, _: progress(done, total, stage))),
        fitted=lambda trained: trained,
    )
    return network
