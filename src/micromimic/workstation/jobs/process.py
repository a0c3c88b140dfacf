"""The server's end of a worker: starts it, reads its messages, ends it, explains how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from micromimic.workstation.jobs.worker import MODULE, Task

# -P: nothing is imported from the folder that it starts in.
COMMAND: Final = (sys.executable, "-P", "-m", MODULE)
_KEPT_VARIABLES: Final = frozenset(
    {"PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV"}
    | {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"}
)
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LONGEST_LINE: Final = 1 << 16
_LEAST_BETWEEN_S: Final = 0.001
"""Between two messages: one that talks without end waits at its own pipe, not we for it."""
_TAIL_BYTES: Final = 4000
_EXIT_WITHIN_S: Final = 30.0

Message = Mapping[str, Any]


class WorkerProcess:
    """One running worker; what it prints beside its messages goes to the file ``log``."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid

    async def messages(self) -> AsyncIterator[Message]:
        """What it says, until it has closed its output."""
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
                if not line:
                    return
                message = json.loads(line)
            except ValueError:  # too long, or cut off as it died
                continue
            if isinstance(message, dict):
                yield message
            await asyncio.sleep(_LEAST_BETWEEN_S)

    async def wait(self) -> int:
        """The exit status, once it has ended by itself after its last message."""
        with contextlib.suppress(TimeoutError):  # it has said all it had to say
            async with asyncio.timeout(_EXIT_WITHIN_S):
                await self._process.wait()
        return await self.end()

    async def end(self) -> int:
        """Kill it if it still runs, and wait until it is gone; the exit status."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                if sys.platform == "win32":
                    self._process.kill()
                else:  # Popen.kill asks for the exit status, which is asyncio's to collect
                    os.kill(self.pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode

    def tail(self) -> str:
        try:
            with self._log.open("rb") as log:  # it may be as long as any file of a worker
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                return log.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""


@asynccontextmanager
async def running_worker(
    task: Task, log: Path, command: Sequence[str] = COMMAND
) -> AsyncIterator[WorkerProcess]:
    """A worker at its task, killed where it still runs at the end; OSError if it cannot start."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=_LONGEST_LINE,
            cwd=Path(task.folder).anchor,
            env=worker_environment(),
            start_new_session=True,  # Ctrl-C is the server's to answer
        )
    worker = WorkerProcess(process, log)
    try:
        assert process.stdin is not None
        process.stdin.write(task.to_line())  # stays open: its end tells that the server has gone
        yield worker
    finally:
        await worker.end()


def end_of_process(status: int, memory_mb: int) -> str:
    """One line about a worker that ended without a result.

    >>> end_of_process(1, 4096)
    "expected the analysis to end with a result, got status 1; see the server's log"
    """
    if status >= 0:
        return (
            f"expected the analysis to end with a result, got status {status}; see the server's log"
        )
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    if name == "SIGXCPU":
        return (
            "expected an analysis within the limit of processor time, got a longer one; cut the "
            "video into parts"
        )
    return (
        f"expected the analysis to end, got its process ended by {name}; the file is damaged or "
        f"needs more than {memory_mb} MB of memory"
    )


def worker_environment() -> dict[str, str]:
    """What a worker may know of the server's: no database's password, no token."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT_VARIABLES or name.startswith(("LC_", "PYTHON"))
    }
    # Each arena of the C library reserves address space, which is limited.
    return {
        **kept,
        **dict.fromkeys(_THREADS, "1"),
        "MALLOC_ARENA_MAX": "2",
        "PYTHONUNBUFFERED": "1",
    }
