"""The server's end of a worker: starts it, hears what it says, ends it, explains how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from micromimic.workstation.jobs.worker import MODULE, Task

_KEPT_VARIABLES: Final = frozenset(
    {"PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV"}
    | {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"}
)
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LONGEST_LINE: Final = 1 << 16
_TAIL_BYTES: Final = 4000
_GONE_WITHIN_S: Final = 30.0

Message = Mapping[str, Any]


class WorkerProcess:
    """One running worker.

    Args:
        task: what it is to do.
        log: gets what it prints beside its messages.
        hear: called with each message, from a thread of its own, and with None after the last.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, task: Task, log: Path, hear: Callable[[Message | None], None]) -> None:
        self._log = log
        self._hear = hear
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=Path(task.folder).anchor,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is the server's to answer
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and its exit status tells why
            self._process.stdin.write(task.to_line())
            self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read, name="micromimic-worker", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in iter(lambda: self._process.stdout.readline(_LONGEST_LINE), b""):  # type: ignore[union-attr]
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a line cut off as it died
            if isinstance(message, dict):
                self._hear(message)
        self._hear(None)

    def end(self) -> int:
        """Kill it if it still runs, and wait until it is gone; its exit status."""
        if self._process.poll() is None:
            self._process.kill()
        status = self._process.wait(_GONE_WITHIN_S)
        self._reader.join(_GONE_WITHIN_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a task that it never read
                    pipe.close()
        return status

    def wait(self) -> int:
        """Wait until it has ended by itself after its last message; its exit status."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # it has said all it had to say
            self._process.wait(_GONE_WITHIN_S)
        return self.end()

    def tail(self) -> str:
        """The last that it printed."""
        try:
            return self._log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
        except OSError:
            return ""


def command() -> list[str]:
    """What is run."""
    # -P: nothing is imported from the folder that it starts in.
    return [sys.executable, "-P", "-m", MODULE]


def how_it_ended(status: int, memory_mb: int) -> str:
    """One line about a worker that ended without a result.

    >>> how_it_ended(1, 4096)
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


def _environment() -> dict[str, str]:
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
