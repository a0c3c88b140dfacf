"""Optimiser and schedule of a fit, with the article's figures as defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted.

    The defaults are those of section 5 of Quang, Chun, Tokuyama (FG 2019) and the article that
    re-tells it: Adam at 1e-4, multiplied by 0.9 after each epoch, 20 epochs.

    Args:
        epochs: passes over the data.
        batch: examples a step.
        learning_rate: at the start.
        decay: factor on the learning rate after each epoch.
        weight_decay: of the optimiser.

    >>> Recipe().learning_rate_at(2)
    8.1e-05
    """

    epochs: int = 20
    batch: int = 16
    learning_rate: float = 1e-4
    decay: float = 0.9
    weight_decay: float = 0.0

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

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.decay**epoch
