"""Tasks on this machine's cores or on a cluster, through joblib."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal, get_args

from micromimic.core.errors import InputError, MicromimicError, MissingExtraError

Backend = Literal["loky", "dask"]
CONNECT_S: Final = 15


class WorkerLostError(MicromimicError):
    """A worker process was killed from outside; what had ended is kept."""


@dataclass(frozen=True)
class Workers:
    """Where tasks run.

    Parameters
    ----------
    jobs
        Processes on this machine; 1 runs in this process.
    backend
        ``loky`` for this machine, ``dask`` for a cluster.
    scheduler
        Address of the dask scheduler, as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    InputError
        dask without a scheduler, a scheduler without dask, no job.

    Examples
    --------
    >>> Workers(jobs=4).side_by_side(tasks=1)
    False
    """

    jobs: int = 1
    backend: Backend = "loky"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            raise InputError(
                f"expected backend loky or dask, got {self.backend!r}; pass one of them"
            )
        if (self.backend == "dask") != (self.scheduler is not None):
            raise InputError(
                "expected --scheduler ADDRESS with --backend dask and only there, got "
                f"{self.backend} and {self.scheduler}; pass both"
            )
        if self.jobs < 1:
            raise InputError(f"expected at least 1 job, got {self.jobs}; pass --jobs 1")

    def side_by_side(self, tasks: int) -> bool:
        """Whether so many tasks go to other processes: any on a cluster, here two or more."""
        return min(self.jobs, tasks) > 1 or (self.backend == "dask" and tasks > 0)

    def dashboard(self) -> str | None:
        """Address of the cluster's dashboard; None where there is no cluster, or none is served."""
        if self.backend == "loky":
            return None
        with _client(self) as client:
            served = "dashboard" in client.scheduler_info()["services"]
            return str(client.dashboard_link) if served else None


@contextmanager
def on_workers(workers: Workers) -> Iterator[None]:
    """Inside, every ``joblib.Parallel()`` without arguments of its own runs on these workers."""
    from joblib import parallel_config  # noqa: PLC0415 - slow to import

    if workers.backend == "loky":
        # one thread a process: more of them compete for the same cores, and a fold's figures
        # would depend on how many there are
        # max_nbytes: joblib would write large arrays, faces among them, to the temporary folder
        with parallel_config("loky", n_jobs=workers.jobs, inner_max_num_threads=1, max_nbytes=None):
            yield
        return
    with _client(workers) as client, client.as_current(), parallel_config("dask", n_jobs=-1):
        yield


@contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    if find_spec("distributed") is None:
        raise MissingExtraError(
            "expected the package distributed, got none; pip install 'micromimic[cluster]'"
        )
    from distributed import Client  # noqa: PLC0415

    try:
        client = Client(  # type: ignore[no-untyped-call]
            workers.scheduler, timeout=CONNECT_S, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"expected a dask scheduler at {workers.scheduler}, got no answer "
            f"({type(error).__name__}); start one with `dask scheduler` and check the address"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise InputError(
                f"expected workers at {workers.scheduler}, got a scheduler without any; "
                "start some with `dask worker ADDRESS`"
            )
        yield client


def run_tasks(tasks: Iterable[Any]) -> Iterator[Any]:
    """Results of ``joblib.delayed`` calls as they end, in any order. In another process each has
    its share of the machine's cores (`own_threads`), and leaves Ctrl-C to this one."""
    from joblib import Parallel, cpu_count, delayed  # noqa: PLC0415
    from joblib.externals.loky.process_executor import BrokenProcessPool  # noqa: PLC0415

    killed: tuple[type[Exception], ...] = (BrokenProcessPool,)
    if "distributed" in sys.modules:  # where it is not, no task can be lost there
        killed += (sys.modules["distributed"].KilledWorker,)
    work = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    # A cluster's worker has as many tasks at a time as it has threads.
    share = max(1, cpu_count() // work.n_jobs) if work.n_jobs > 0 else 1
    try:
        yield from work(delayed(_in_worker)(os.getpid(), share, *task) for task in tasks)
    except killed:
        raise WorkerLostError(
            "expected every worker to finish, got one killed (memory?); what had ended is kept: "
            "run the same command again, with fewer --jobs or workers with more memory"
        ) from None


def own_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_threads: int | None = None


def own_threads() -> int | None:
    """Threads that work in this process may keep busy; None where it has the machine to itself.

    N processes with as many threads as there are cores, each, would wait for each other.
    """
    return _threads


def _in_worker(
    parent: int, share: int, task: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    """Do one task; ``parent`` is the process that wants it, and may be this one."""
    global _threads  # noqa: PLW0603 - what a process may use is the process's
    if os.getpid() != parent:
        _threads = share
        if threading.current_thread() is threading.main_thread():
            # It reaches the whole process group, and only the parent is to answer it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return task(*given, **named)
