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
from dataclasses import dataclass
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

from micromimic.errors import MissingExtraError, ModelError
from micromimic.evaluation.splits import hold_out_subjects
from micromimic.files import write_whole
from micromimic.models.base import ClipClassifier, EarlyStopping, FitOptions, FitRun
from micromimic.models.capsules import margin_loss
from micromimic.training.device import Precision, autocast, threads
from micromimic.training.sampling import derive_seed

Batches = Callable[[int], Iterable[tuple[Tensor, Tensor]]]
"""(inputs, targets) of an epoch, on the network's device; decided by the epoch's number alone."""


UNREADABLE: Final = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, AttributeError),
    *(LookupError, ArithmeticError, pickle.UnpicklingError),
)
"""What `torch.load` raises at files that are none of its own: anything, as it interprets them."""


def run_epochs(
    network: nn.Module,
    optimizer: Optimizer,
    *,
    epochs: int,
    batches: Batches,
    loss: Callable[[Tensor, Tensor], Tensor],
    options: FitOptions,
    fitted: Callable[[nn.Module], Any],
    settings: Mapping[str, object] | None = None,
    step_schedule: LRScheduler | None = None,
    epoch_schedule: LRScheduler | None = None,
    validation: Callable[[nn.Module], float] | None = None,
    precision: Precision = "full",
    steps: int | None = None,
) -> int:
    """Train.

    With ``options.checkpoint``, everything needed to go on is written there after each epoch and
    read from there at the start. The file is left at the end: whoever named it removes it once the
    outcome is safe; until then, calling again gives the finished network without training.

    Args:
        network: trained in place, left in evaluation mode; its device is where training happens.
        optimizer: of its parameters.
        epochs: passes, `FitOptions.epochs` already heeded.
        batches: of an epoch. It may draw from torch's global generator, which is seeded with
            (seed, epoch) before each epoch and put back after it.
        loss: of the network's outputs (float32) and targets.
        options: seed, checkpoint, early stopping, callbacks.
        fitted: wraps the network for ``options.each_epoch``; what it gives is the network as it
            trains, so it holds during the callback only.
        settings: what decides the outcome beside seed, epochs, initial weights and early stopping;
            a checkpoint made with others is refused.
        step_schedule: stepped after each batch.
        epoch_schedule: stepped after each epoch.
        validation: a score of the network, higher is better, on subjects held out of the training
            part; given exactly when ``options.stop`` is. The best epoch is kept.
        precision: of the forward pass.
        steps: batches in an epoch, for finer progress.

    Returns:
        Epochs run, those before a resumption counted.

    Raises:
        ModelError: if the checkpoint is of other settings or broken, or the loss is not finite.
        ValueError: if only one of ``validation`` and ``options.stop`` is given.
    """
    if (validation is None) != (options.stop is None):
        raise ValueError("expected validation exactly when options.stop is given, got one of them")
    trainer = _Trainer(network, optimizer, loss, options, precision, step_schedule, epoch_schedule)
    trainer.settings = _settings(network, epochs, options, settings or {})
    start = trainer.resume()
    epoch = start
    with _log(options, start) as write, threads(options.threads):
        while epoch < epochs and not trainer.best.exhausted(options.stop):
            with _seeded(trainer.device, derive_seed(options.seed, epoch)):
                mean = trainer.epoch(epoch, batches(epoch), epochs, steps)
            write("train/loss", mean, epoch)
            write("train/learning_rate", optimizer.param_groups[0]["lr"], epoch)
            if epoch_schedule is not None:
                epoch_schedule.step()
            # whatever these two draw or leave behind is gone at the next epoch, which starts from
            # its own seed and in training mode
            if validation is not None:
                value = validation(network.eval())
                write("validation/score", value, epoch)
                trainer.best.offer(value, epoch, network)
            if options.each_epoch is not None:
                options.each_epoch(epoch, fitted(network.eval()))
            epoch += 1
            # the callback comes first: a kill between the two repeats it, and loses nothing
            trainer.save(epoch)
    trainer.best.restore(network)
    network.eval()
    return epoch


class NetworkClassifier(ClipClassifier):
    """What our own networks share: capsules or logits, by the architecture's name."""

    architecture: str
    network_: nn.Module

    @property
    def capsules(self) -> bool:
        """Whether classes are capsules, whose lengths lie within 0..1."""
        return "capsnet" in self.architecture

    @property
    def temperature(self) -> float:  # type: ignore[override]
        """Of lengths or of logits."""
        return 0.2 if self.capsules else 1.0

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The margin loss of capsules, the cross-entropy of logits."""
        return (margin_loss if self.capsules else cross_entropy)(outputs, targets)


def options_of(model: Any, run: FitRun) -> FitOptions:
    """How an estimator's parameters and a run say that it is trained."""
    return FitOptions(
        **vars(run),
        seed=model.random_state or 0,
        init=getattr(model, "init", "none"),
        epochs=model.epochs,
        stop=model.stop,
    )


def held_out(
    people: NDArray[np.str_], targets: NDArray[np.int64], options: FitOptions
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Rows to train on, and those of subjects held out to stop by; None without early stopping.

    Raises:
        InputError: if nobody can be held out.
    """
    if options.stop is None:
        return np.arange(len(targets), dtype=np.int64), None
    return hold_out_subjects(people, targets, options.stop.share, options.seed)


def stopping_score(
    model: Any, X: NDArray[np.generic], targets: NDArray[np.int64]
) -> Callable[[nn.Module], float]:
    """UF1 of a model on held-out rows, over the classes that they have."""

    def score(network: nn.Module) -> float:
        said = model.scores(X).argmax(1)
        return float(f1_score(targets, said, labels=np.unique(targets), average="macro"))

    return score


@dataclass
class _Best:
    """The best epoch so far by the held-out subjects."""

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


class _Trainer:
    """The parts of one run that change while it runs."""

    settings: Mapping[str, str]

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        loss: Callable[[Tensor, Tensor], Tensor],
        options: FitOptions,
        precision: Precision,
        step_schedule: LRScheduler | None,
        epoch_schedule: LRScheduler | None,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.loss = loss
        self.options = options
        self.precision = precision
        self.step_schedule = step_schedule
        self.device = next(network.parameters()).device
        self.best = _Best()
        # float16 gradients vanish without scaling; for the other formats this does nothing
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        parts = {"network": network, "optimizer": optimizer, "scaler": self.scaler}
        parts |= {"step_schedule": step_schedule, "epoch_schedule": epoch_schedule}
        self.parts: dict[str, Any] = {k: part for k, part in parts.items() if part is not None}

    def epoch(
        self,
        number: int,
        batches: Iterable[tuple[Tensor, Tensor]],
        epochs: int,
        steps: int | None,
    ) -> float:
        """One pass; the mean loss of its examples."""
        self.network.train()
        total, count = torch.zeros((), device=self.device), 0
        progress = self.options.progress
        for step, (inputs, targets) in enumerate(batches):
            with autocast(self.device, self.precision):
                outputs = self.network(inputs)
            value = self.loss(outputs.float(), targets)
            self.optimizer.zero_grad()
            self.scaler.scale(value).backward()  # type: ignore[no-untyped-call]
            self.scaler.step(self.optimizer)
            self.scaler.update()
            if self.step_schedule is not None:
                self.step_schedule.step()
            # summed on the device: asking for the number each step would make it wait
            total += value.detach().float() * len(inputs)
            count += len(inputs)
            if progress is not None and steps is not None:
                progress(number * steps + step + 1, epochs * steps, "training")
        if progress is not None and steps is None:
            progress(number + 1, epochs, "training")
        mean = float(total) / max(1, count)
        if not math.isfinite(mean):
            raise ModelError(
                f"expected a finite loss, got {mean} in epoch {number + 1}; "
                "lower the learning rate or train in full precision"
            )
        return mean

    def save(self, epoch: int) -> None:
        """Write the checkpoint, if one is wanted."""
        if self.options.checkpoint is None:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"epoch": epoch, "best": vars(self.best)}
        write_checkpoint(self.options.checkpoint, self.settings, state)

    def resume(self) -> int:
        """Go back to the checkpoint, if there is one; the epoch to go on with."""
        path = self.options.checkpoint
        if path is None or not path.is_file():
            return 0
        state = read_checkpoint(path, self.settings)
        try:
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.best = _Best(**state["best"])
            return int(state["epoch"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(
                f"expected a checkpoint of this network in {path}, got another ({reason}); "
                "remove the file to train anew"
            ) from error


def _settings(
    network: nn.Module, epochs: int, options: FitOptions, settings: Mapping[str, object]
) -> dict[str, str]:
    """Everything that decides the outcome, as text."""
    own = {
        "network": type(network).__name__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "seed": options.seed,
        "epochs": epochs,
        "init": options.init,
        "early stopping": options.stop,
    }
    return {name: str(value) for name, value in {**settings, **own}.items()}


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Torch's global generators start from the seed, and are put back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def _log(options: FitOptions, start: int) -> Iterator[Callable[[str, float, int], None]]:
    """A function that notes one number of an epoch for TensorBoard, if that is wanted."""
    if options.log_dir is None:
        yield lambda name, value, epoch: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - seconds to import
    except ImportError as error:
        raise MissingExtraError(
            "expected the package tensorboard, got none; pip install 'micromimic[train]'"
        ) from error
    # a resumed run overwrites what the killed one noted of the epoch that it did not finish
    writer = SummaryWriter(str(options.log_dir), purge_step=start or None)
    try:
        yield writer.add_scalar
    finally:
        writer.close()


def write_checkpoint(path: Path, settings: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """Write a checkpoint whole; the one before it stays until then.

    Raises:
        OutputError: if it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"settings": dict(settings), **state}, buffer)
    write_whole(path, buffer.getvalue())


def read_checkpoint(path: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """Read a checkpoint made with the same settings.

    Raises:
        ModelError: if it is broken or of other settings; the message names a difference.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = dict(state["settings"])
    except UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"expected a checkpoint at {path}, got an unreadable file ({reason}); "
            "remove it to train anew"
        ) from error
    for name in sorted(found.keys() | settings.keys()):
        if found.get(name) != settings.get(name):
            raise ModelError(
                f"expected a checkpoint with {name} {settings.get(name)}, got {found.get(name)} "
                f"in {path}; remove the file to train anew, or use the settings it was made with"
            )
    return dict(state)
