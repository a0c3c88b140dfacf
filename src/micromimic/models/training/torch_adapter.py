"""Any torch module as a classifier of clips, trained as our own networks are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from micromimic.models.base import Array, EarlyStopping, FitRun, Rows
from micromimic.models.preprocess import center
from micromimic.models.samples import View, digest_of
from micromimic.models.training.batches import (
    balanced_rows,
    derive_seed,
    shuffled_rows,
    split_batches,
)
from micromimic.models.training.device import choose_hardware
from micromimic.models.training.loop import EpochClassifier, Loss, Plan, seeded
from micromimic.models.views import AsItIs, Volumes

_AT_ONCE = 64


class TorchClassifier(EpochClassifier):
    """A module that gives logits, as a scikit-learn classifier.

    Parameters
    ----------
    module : Callable[[int], nn.Module]
        makes the module for a number of classes. It sees, in float32, centred flow maps (B, 3, 28,
        28), faces at the apex (B, 3, 224, 224) in 0..1, or volumes of ten frames (B, 10, 170, 140)
        in 0..1, and gives (B, classes) logits.
    view : View
        what of a clip it looks at.
    epochs : int
        passes; the last one is kept, nothing is selected.
    lr : float
        learning rate of AdamW, constant.
    batch : int
        clips a step.
    weight_decay : float
        of AdamW.
    balanced : bool
        draw the classes in equal parts.
    loss : Loss
        of logits and class numbers.
    stop : EarlyStopping | None
        early stopping by groups of the training part; None trains all epochs.
    random_state : int | None
        of initial weights and order; None is 0.
    """

    def __init__(
        self,
        module: Callable[[int], nn.Module],
        *,
        view: View = "flow",
        epochs: int = 20,
        lr: float = 1e-3,
        batch: int = 32,
        weight_decay: float = 0.01,
        balanced: bool = True,
        loss: Loss = cross_entropy,
        stop: EarlyStopping | None = None,
        random_state: int | None = None,
    ) -> None:
        self.module = module
        self.view = view
        self.epochs = epochs
        self.lr = lr
        self.batch = batch
        self.weight_decay = weight_decay
        self.balanced = balanced
        self.loss = loss
        self.stop = stop
        self.random_state = random_state

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """One clip's view as one row."""
        return (Volumes() if self.view == "volume" else AsItIs(self.view)).encode(clip)

    def plan(self, X: Rows, targets: NDArray[np.int64], run: FitRun) -> Plan:
        """The module at its start, AdamW, and batches of these rows."""
        device = choose_hardware(run.device).device
        with seeded(derive_seed(self.seed)):
            self.network_ = self.module(len(self.classes_)).to(device)
        inputs, wanted = self._seen(X), torch.from_numpy(targets)

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            if self.balanced:
                rows = balanced_rows(targets, self.seed, epoch)
            else:
                rows = shuffled_rows(len(targets), self.seed, epoch)
            for piece in split_batches(rows, self.batch):
                yield inputs[piece].to(device), wanted[piece].to(device)

        weights = self.network_.parameters()
        params = {k: repr(v) for k, v in self.get_params().items() if not callable(v)}
        return Plan(
            torch.optim.AdamW(weights, lr=self.lr, weight_decay=self.weight_decay),
            self.epochs,
            batches,
            self.loss,
            settings={**params, "data": digest_of(X, targets, *self.classes_)},
        )

    def scores(self, X: Rows) -> Array:
        """(n, k) logits."""
        device = next(self.network_.parameters()).device
        found = [np.empty((0, len(self.classes_)))]
        with torch.inference_mode():
            for piece in torch.split(self._seen(np.asarray(X)), _AT_ONCE):
                found.append(self.network_(piece.to(device)).double().cpu().numpy())
        return np.concatenate(found)

    def _seen(self, X: Rows) -> Tensor:
        """What the module sees of encoded clips."""
        if self.view == "flow":
            return torch.from_numpy(center(X))
        data = torch.from_numpy(np.ascontiguousarray(X))
        if self.view == "faces":
            apexes = data[:, 0] if data.dim() == 5 else data
            data = apexes.permute(0, 3, 1, 2)
        return data.float() / 255
