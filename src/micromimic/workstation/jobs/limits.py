"""What a worker takes away from itself before it opens a file that somebody sent.

Linux has all of it. Where a system lacks a limit it is left out and named, so that the server can
say so; the wall-clock and silence limits of `workstation.jobs.queue` hold everywhere.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from micromimic.workstation.jobs.calls import ban_calls

MIB: Final = 1 << 20
ORPHANED: Final = 3
"""Exit status of a worker whose server is gone."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_NICE: Final = 10


@dataclass(frozen=True)
class Limits:
    """What one worker may take.

    Args:
        memory_mb: address space beside the program itself, MiB.
        cpu_s: seconds of processor time.
        file_mb: size of any file it writes, MiB.
        open_files: files open at once.

    Raises:
        ValueError: a value below 1.
    """

    memory_mb: int = 4096
    cpu_s: int = 36_000
    file_mb: int = 4096
    open_files: int = 256

    def __post_init__(self) -> None:
        for name in ("memory_mb", "cpu_s", "file_mb", "open_files"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")


def confine(limits: Limits) -> list[str]:
    """Set the limits on this process; call it after imports and before any input is touched.

    On Linux it can start no process and open no socket from then on; threads go on as before.

    Returns:
        What this system could not do, a few words each; empty on Linux.
    """
    missing: list[str] = []
    steps: list[tuple[str, Callable[[], None]]] = [
        ("limits on processor time, files and core dumps", lambda: _limit_use(limits)),
        ("a limit on memory", lambda: _limit_memory(limits.memory_mb)),
        ("a lock on privileges", lambda: _prctl(_PR_SET_NO_NEW_PRIVS, 1)),
        ("a lower priority", _lower_priority),
        ("a ban on new processes and sockets", ban_calls),
    ]
    for what, step in steps:
        try:
            step()
        except (ImportError, AttributeError, OSError, ValueError):
            missing.append(what)
    return missing


def _limit_use(limits: Limits) -> None:
    import resource  # noqa: PLC0415 - not on Windows

    # The soft limit sends SIGXCPU, which ends the process and tells why; the hard one kills.
    _set(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 5)
    _set(resource.RLIMIT_FSIZE, limits.file_mb * MIB)
    _set(resource.RLIMIT_NOFILE, limits.open_files)
    _set(resource.RLIMIT_CORE, 0)


def _limit_memory(memory_mb: int) -> None:
    """What is mapped now stays outside the count: libraries reserve more than they use."""
    import resource  # noqa: PLC0415 - not on Windows

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _set(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_mb * MIB)


def _set(what: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit; one that is lower already stays."""
    import resource  # noqa: PLC0415 - not on Windows

    highest = resource.getrlimit(what)[1]
    wanted = soft if hard is None else hard
    ceiling = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
    resource.setrlimit(what, (min(soft, ceiling), ceiling))


def _lower_priority() -> None:
    os.nice(_NICE)


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        raise OSError("prctl is Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def end_with_server(parent: int, handle: int = 0) -> None:
    """See to it that this process never outlives its server.

    The kernel kills it with the server's thread (Linux); everywhere a thread waits for the end of
    the pipe that the server holds open.

    Args:
        parent: process id of the server.
        handle: file descriptor of the pipe.
    """
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        pass  # the pipe tells, too
    else:
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(ORPHANED)
    threading.Thread(target=_wait_for_end, args=(handle,), name="server", daemon=True).start()


def _wait_for_end(handle: int) -> None:
    try:
        while os.read(handle, 4096):
            pass
    finally:
        os._exit(ORPHANED)
