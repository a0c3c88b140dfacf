"""Train a network epoch by epoch: checkpoints, resuming, early stopping, progress, TensorBoard.

Nothing an epoch draws depends on the epochs before it (each starts from a seed of its own), so a
run that was killed and resumed equals an unbroken one, on a CPU to the last bit.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from micromimic.core.errors import MissingExtraError, ModelError
from micromimic.core.files import write_whole
from micromimic.core.splits import hold_out_subjects
from micromimic.models.base import ClipClassifier, EarlyStopping, FitRun, Rows
from micromimic.models.networks.capsules import margin_loss
from micromimic.models.training.batches import derive_seed
from micromimic.models.training.device import Precision, autocast, threads

Batches = Callable[[int], Iterable[tuple[Tensor, Tensor]]]
"""(inputs, targets) of an epoch, on the network's device; decided by the epoch's number alone."""
Loss = Callable[[Tensor, Tensor], Tensor]

UNREADABLE: Final = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, AttributeError),
    *(LookupError, ArithmeticError, pickle.UnpicklingError),
)
"""What `torch.load` raises at files that are none of its own: anything, as it interprets them."""


@dataclass(frozen=True)
class Plan:
    optimizer: Optimizer  # of its parameters
    epochs: int  # passes
    # of an epoch. It may draw from torch's global generator, which is seeded with (seed, epoch)
    # before each epoch and put back after it
    batches: Batches
    loss: Loss  # of the network's outputs (float32) and targets
    # what decides the outcome beside these numbers (initial weights, data, rates); a checkpoint
    # made with others is refused
    settings: Mapping[str, object] = field(default_factory=dict)
    # step_schedule, epoch_schedule: stepped after each batch, after each epoch
    step_schedule: LRScheduler | None = None
    epoch_schedule: LRScheduler | None = None
    precision: Precision = "full"  # of the forward pass
    steps: int | None = None  # batches in an epoch, for finer progress


def run_epochs(
    network: nn.Module,
    plan: Plan,
    run: FitRun,
    *,
    fitted: Callable[[nn.Module], Any],
    seed: int = 0,
    stop: EarlyStopping | None = None,
    validation: Callable[[nn.Module], float] | None = None,
) -> int:
    """Train, and leave the network in evaluation mode; epochs run, those before a resumption
    counted.

    With ``run.checkpoint``, everything needed to go on is written there after each epoch and read
    from there at the start. The file is left at the end: whoever named it removes it once the
    outcome is safe; until then, calling again gives the finished network without training.
    """
    if (validation is None) != (stop is None):
        raise ValueError("expected validation exactly when stop is given, got one of them")
    decides = {
        **plan.settings,
        "network": type(network).__name__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "seed": seed,
        "epochs": plan.epochs,
        "early stopping": stop,
    }
    trainer = _Trainer(network, plan, run, {name: str(value) for name, value in decides.items()})
    epoch = trainer.resume()
    with _log(run.log_dir, epoch) as write, threads(run.threads):
        while epoch < plan.epochs and not trainer.best.exhausted(stop):
            with seeded(derive_seed(seed, epoch), trainer.device):
                mean = trainer.epoch(epoch)
            write("train/loss", mean, epoch)
            write("train/learning_rate", plan.optimizer.param_groups[0]["lr"], epoch)
            if plan.epoch_schedule is not None:
                plan.epoch_schedule.step()
            # whatever these two draw or leave behind is gone at the next epoch, which starts from
            # its own seed and in training mode
            if validation is not None:
                value = validation(network.eval())
                write("validation/score", value, epoch)
                trainer.best.offer(value, epoch, network)
            if run.each_epoch is not None:
                run.each_epoch(epoch, fitted(network.eval()))
            epoch += 1
            # the callback comes first: a kill between the two repeats it, and loses nothing
            trainer.save(epoch)
    trainer.best.restore(network)
    network.eval()
    return epoch


class EpochClassifier(ClipClassifier):
    """A network that is trained epoch by epoch: its ``plan`` makes it and says how."""

    network_: nn.Module
    stop: EarlyStopping | None
    random_state: int | None

    @property
    def seed(self) -> int:
        return self.random_state or 0

    def plan(self, X: Rows, targets: NDArray[np.int64], run: FitRun) -> Plan:
        """Set ``network_`` to its start; how it is trained on these rows."""
        raise NotImplementedError

    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        train, validation = np.arange(len(targets), dtype=np.int64), None
        if self.stop is not None:
            train, rows = hold_out_subjects(people, targets, self.stop.share, self.seed)
            validation = self._validation(X[rows], targets[rows])
        plan = self.plan(X[train], targets[train], run)
        run_epochs(
            self.network_,
            plan,
            run,
            fitted=lambda now: self,
            seed=self.seed,
            stop=self.stop,
            validation=validation,
        )

    def _validation(self, X: Rows, targets: NDArray[np.int64]) -> Callable[[nn.Module], float]:
        """UF1 of held-out rows, over the classes that they have."""

        def score(network: nn.Module) -> float:
            predicted = self.scores(X).argmax(1)
            return float(f1_score(targets, predicted, labels=np.unique(targets), average="macro"))

        return score


class NetworkClassifier(EpochClassifier):
    """What our own networks share: capsules or logits, by the architecture's name."""

    architecture: str

    @property
    def capsules(self) -> bool:
        """Whether classes are capsules, whose lengths lie within 0..1."""
        return "capsnet" in self.architecture

    @property
    def temperature(self) -> float:  # type: ignore[override]
        return 0.2 if self.capsules else 1.0

    @property
    def loss(self) -> Loss:
        """The margin loss of capsules, the cross-entropy of logits."""
        return margin_loss if self.capsules else cross_entropy


@dataclass
class _Best:
    value: float = -math.inf
    epoch: int = -1
    last: int = -1
    weights: dict[str, Tensor] | None = None

    def offer(self, value: float, epoch: int, network: nn.Module) -> None:
        """Keep the network if it is better; of equals the first stays."""
        if math.isnan(value):
            raise ValueError("expected a validation score, got NaN")
        self.last = epoch
        if value > self.value:
            weights = {name: t.detach().cpu().clone() for name, t in network.state_dict().items()}
            self.value, self.epoch, self.weights = value, epoch, weights

    def exhausted(self, stop: EarlyStopping | None) -> bool:
        return stop is not None and self.epoch >= 0 and self.last - self.epoch >= stop.patience

    def restore(self, network: nn.Module) -> None:
        if self.weights is not None:
            network.load_state_dict(self.weights)


@dataclass
class _Trainer:
    network: nn.Module
    plan: Plan
    run: FitRun
    settings: Mapping[str, str]

    def __post_init__(self) -> None:
        plan = self.plan
        self.device = next(self.network.parameters()).device
        self.best = _Best()
        # float16 gradients vanish without scaling; for the other formats this does nothing
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=plan.precision == "fp16")
        parts = {"network": self.network, "optimizer": plan.optimizer, "scaler": self.scaler}
        parts |= {"step_schedule": plan.step_schedule, "epoch_schedule": plan.epoch_schedule}
        self.parts: dict[str, Any] = {k: part for k, part in parts.items() if part is not None}

    def epoch(self, number: int) -> float:
        """One pass; the mean loss of its examples."""
        self.network.train()
        total, count = torch.zeros((), device=self.device), 0
        progress, plan = self.run.progress, self.plan
        for step, (inputs, targets) in enumerate(plan.batches(number)):
            with autocast(self.device, plan.precision):
                outputs = self.network(inputs)
            value = plan.loss(outputs.float(), targets)
            plan.optimizer.zero_grad()
            self.scaler.scale(value).backward()  # type: ignore[no-untyped-call]
            self.scaler.step(plan.optimizer)
            self.scaler.update()
            if plan.step_schedule is not None:
                plan.step_schedule.step()
            # summed on the device: asking for the number each step would make it wait
            total += value.detach().float() * len(inputs)
            count += len(inputs)
            if progress is not None and plan.steps is not None:
                done = number * plan.steps + step + 1
                progress(done, plan.epochs * plan.steps, "training")
        if progress is not None and plan.steps is None:
            progress(number + 1, plan.epochs, "training")
        mean = float(total) / max(1, count)
        if not math.isfinite(mean):
            raise ModelError(
                f"expected a finite loss, got {mean} in epoch {number + 1}; "
                "lower the learning rate or train in full precision"
            )
        return mean

    def save(self, epoch: int) -> None:
        if self.run.checkpoint is None:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"settings": dict(self.settings), "epoch": epoch, "best": vars(self.best)}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(self.run.checkpoint, buffer.getvalue())

    def resume(self) -> int:
        """The epoch to go on with, everything as the checkpoint has it."""
        path = self.run.checkpoint
        if path is None or not path.is_file():
            return 0
        state = _read_checkpoint(path, self.settings)
        try:
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.best = _Best(**state["best"])
            return int(state["epoch"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"expected a checkpoint of this network in {path}, got another "
                f"({first_line(error)}); remove the file to train anew"
            ) from error


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Torch's global generators start from the seed, and are put back afterwards."""
    with torch.random.fork_rng(devices=[device] if device and device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def _log(folder: Path | None, start: int) -> Iterator[Callable[[str, float, int], None]]:
    """A function that notes one number of an epoch for TensorBoard, if that is wanted."""
    if folder is None:
        yield lambda name, value, epoch: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - seconds to import
    except ImportError as error:
        raise MissingExtraError(
            "expected the package tensorboard, got none; pip install 'micromimic[train]'"
        ) from error
    # a resumed run overwrites what the killed one noted of the epoch that it did not finish
    writer = SummaryWriter(str(folder), purge_step=start or None)
    try:
        yield writer.add_scalar
    finally:
        writer.close()


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_checkpoint(path: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = dict(state["settings"])
    except UNREADABLE as error:
        raise ModelError(
            f"expected a checkpoint at {path}, got an unreadable file ({first_line(error)}); "
            "remove it to train anew"
        ) from error
    for name in sorted(found.keys() | settings.keys()):
        if found.get(name) != settings.get(name):
            raise ModelError(
                f"expected a checkpoint with {name} {settings.get(name)}, got {found.get(name)} "
                f"in {path}; remove the file to train anew, or use the settings it was made with"
            )
    return dict(state)
