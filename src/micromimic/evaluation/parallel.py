"""`micromimic.workers` under its former name."""  # until issue 14 is whole

from micromimic.workers import (
    CONNECT_S,
    Backend,
    WorkerLostError,
    Workers,
    on_workers,
    run_tasks,
)

__all__ = ["CONNECT_S", "Backend", "WorkerLostError", "Workers", "on_workers", "run_tasks"]
