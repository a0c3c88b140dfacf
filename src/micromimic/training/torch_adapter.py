"""Any torch module as a classifier of clips, trained as our own networks are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from micromimic.models.base import Array, ClipClassifier, EarlyStopping, FitRun, Rows
from micromimic.models.preprocess import center
from micromimic.models.samples import View, digest_of
from micromimic.models.views import AsItIs, Volumes
from micromimic.training.device import choose_hardware
from micromimic.training.loop import held_out, options_of, run_epochs, stopping_score
from micromimic.training.sampling import balanced_rows, derive_seed, shuffled_rows, split_batches

_AT_ONCE = 64


class TorchClassifier(ClipClassifier):
    """A module that gives logits, as a scikit-learn classifier.

    Args:
        module: makes the module for a number of classes. It sees, in float32, centred flow maps
            (B, 3, 28, 28), faces at the apex (B, 3, 224, 224) in 0..1, or volumes of ten frames
            (B, 10, 170, 140) in 0..1, and gives (B, classes) logits.
        view: what of a clip it looks at.
        epochs: passes; the last one is kept, nothing is selected.
        lr: learning rate of AdamW, constant.
        batch: clips a step.
        weight_decay: of AdamW.
        balanced: draw the classes in equal parts.
        loss: of logits and class numbers.
        stop: early stopping by groups of the training part; None trains all epochs.
        random_state: of initial weights and order; None is 0.
    """

    module_: nn.Module

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
        loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
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

    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        options, device = options_of(self, run), choose_hardware(run.device).device
        train, held = held_out(people, targets, options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(options.seed))
            self.module_ = self.module(len(self.classes_)).to(device)
        inputs, wanted = self._seen(X[train]), torch.from_numpy(targets[train])

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            if self.balanced:
                rows = balanced_rows(targets[train], options.seed, epoch)
            else:
                rows = shuffled_rows(len(train), options.seed, epoch)
            for piece in split_batches(rows, self.batch):
                yield inputs[piece].to(device), wanted[piece].to(device)

        params = {k: repr(v) for k, v in self.get_params().items() if not callable(v)}
        run_epochs(
            self.module_,
            torch.optim.AdamW(
                self.module_.parameters(), lr=self.lr, weight_decay=self.weight_decay
            ),
            epochs=self.epochs,
            batches=batches,
            loss=self.loss,
            options=options,
            fitted=lambda now: self,
            settings={**params, "data": digest_of(X[train], targets[train], *self.classes_)},
            validation=None if held is None else stopping_score(self, X[held], targets[held]),
        )

    def scores(self, X: Rows) -> Array:
        """(n, k) logits."""
        device = next(self.module_.parameters()).device
        found = [np.empty((0, len(self.classes_)))]
        with torch.inference_mode():
            for piece in torch.split(self._seen(np.asarray(X)), _AT_ONCE):
                found.append(self.module_(piece.to(device)).double().cpu().numpy())
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
