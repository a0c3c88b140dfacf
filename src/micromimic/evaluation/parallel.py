"""`micromimic.core.workers` under its former name, for scripts written before it moved."""

from __future__ import annotations

import warnings

from micromimic.core.workers import Backend, WorkerLostError, Workers, on_workers, run_tasks

__all__ = ["Backend", "WorkerLostError", "Workers", "on_workers", "run_tasks"]

warnings.warn(
    "micromimic.evaluation.parallel is micromimic.core.workers now, and its old name will go",
    DeprecationWarning,
    stacklevel=2,
)
