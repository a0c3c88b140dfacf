"""How the first version called ``evaluate`` and ``train``: still understood, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from micromimic.models.base import EarlyStopping, FitRun

P = ParamSpec("P")
R = TypeVar("R")


def former_call(
    is_former: Callable[[tuple[Any, ...]], bool], do: Callable[..., Any], now: str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Understand a call as the first version had it, told by its positional arguments.

    ``do`` is what it meant, ``now`` how the same is said today, for the warning.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            if not is_former(args):
                return function(*args, **kwargs)
            warnings.warn(f"this call is going: {now}", DeprecationWarning, stacklevel=2)
            result: R = do(*args, **kwargs)
            return result

        return called

    return decorate


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
        report = self.report
        names = ("checkpoint", "each_epoch", "log_dir", "device", "threads")
        run = FitRun(
            progress=report and (lambda done, total, stage: report(stage, done, total or 0)),
            **{name: getattr(self, name) for name in names},
        )
        return {**{n: getattr(self, n) for n in ("seed", "init", "epochs", "stop")}, "run": run}
