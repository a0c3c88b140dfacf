"""How a model was trained under the first version's names, for scripts written before they went."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from micromimic.models.base import EarlyStopping, FitRun

__all__ = ["EarlyStopping", "FitOptions"]

warnings.warn(
    "micromimic.models.learner is going: models are scikit-learn classifiers of micromimic.models, "
    "and what FitOptions held is passed to micromimic.train by name",
    DeprecationWarning,
    stacklevel=2,
)


@dataclass(frozen=True)
class FitOptions:
    """What ``train`` took as its fourth argument; see `evaluation.train.train`."""

    seed: int = 0
    init: str | Path = "default"
    epochs: int | None = None
    stop: EarlyStopping | None = None
    checkpoint: Path | None = None
    each_epoch: Callable[[int, Any], None] | None = None
    report: Callable[[str, int, int], None] | None = None
    log_dir: Path | None = None
    device: str | None = None
    threads: int | None = None

    def by_name(self) -> dict[str, Any]:
        """The same as ``train`` takes it now."""
        report = self.report
        run = FitRun(
            checkpoint=self.checkpoint,
            each_epoch=self.each_epoch,
            progress=report and (lambda done, total, stage: report(stage, done, total or 0)),
            log_dir=self.log_dir,
            device=self.device,
            threads=self.threads,
        )
        return {
            **{name: getattr(self, name) for name in ("seed", "init", "epochs", "stop")},
            "run": run,
        }
