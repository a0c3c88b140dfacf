"""What a worker takes away from itself before it opens a file that somebody sent.

Resource limits, and a seccomp filter in the classic BPF that the kernel takes, with no library: a
hostile file that takes a decoder over can neither start a program nor reach another machine, and
our own code gets an ordinary error. Linux has all of it; what a system lacks is left out and named,
so that the server can say so. The limits on time in `jobs.runner` hold everywhere.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from micromimic.core.errors import InputError

MIB: Final = 1 << 20
ORPHANED: Final = 3
"""Exit status of a worker whose server is gone."""
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_NICE: Final = 10


class LimitError(InputError):
    """A video is more than this server takes; with other limits it may be taken."""


@dataclass(frozen=True)
class Limits:
    """What one worker may take: ``memory_mb`` (MiB) is address space beside the program itself,
    ``file_mb`` the size of any file that it writes."""

    memory_mb: int = 4096
    cpu_s: int = 36_000
    file_mb: int = 4096
    open_files: int = 256

    def __post_init__(self) -> None:
        for name in ("memory_mb", "cpu_s", "file_mb", "open_files"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")


def confine(limits: Limits) -> list[str]:
    """Set the limits on this process, after imports and before any input is touched.

    On Linux it can start no process and open no socket from then on; threads go on as before.
    Returned is what this system could not do, a few words each; empty on Linux.
    """
    missing: list[str] = []
    steps: list[tuple[str, Callable[[], object]]] = [
        ("limits on processor time, files and core dumps", lambda: _limit_use(limits)),
        ("a limit on memory", lambda: _limit_memory(limits.memory_mb)),
        ("a lock on privileges", lambda: _prctl(_PR_SET_NO_NEW_PRIVS, 1)),
        ("a lower priority", lambda: os.nice(_NICE)),
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
    _set_limit(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 5)
    _set_limit(resource.RLIMIT_FSIZE, limits.file_mb * MIB)
    _set_limit(resource.RLIMIT_NOFILE, limits.open_files)
    _set_limit(resource.RLIMIT_CORE, 0)


def _limit_memory(memory_mb: int) -> None:
    """What is mapped now stays outside the count: libraries reserve more than they use."""
    import resource  # noqa: PLC0415 - not on Windows

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _set_limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_mb * MIB)


def _set_limit(what: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit; one that is lower already stays."""
    import resource  # noqa: PLC0415 - not on Windows

    highest = resource.getrlimit(what)[1]
    wanted = soft if hard is None else hard
    ceiling = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
    resource.setrlimit(what, (min(soft, ceiling), ceiling))


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        raise OSError("prctl is Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def end_with_server(parent: int) -> None:
    """Never outlive the server, whose process id is ``parent``.

    The kernel kills this process with the server's thread (Linux); everywhere a thread waits for
    the end of stdin, which the server holds open.
    """
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        pass  # the pipe tells, too
    else:
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(ORPHANED)
    threading.Thread(target=_exit_at_end_of_input, name="server", daemon=True).start()


def _exit_at_end_of_input() -> None:
    try:
        while os.read(0, 4096):
            pass
    finally:
        os._exit(ORPHANED)


# --- the filter of system calls ------------------------------------------------------------------

_SECCOMP_SET_MODE_FILTER: Final = 1
_TSYNC: Final = 1
"""The filter holds for every thread, also those that run already."""
_CLONE_THREAD: Final = 0x10000
_CLONE3: Final = 435
_X32: Final = 0x40000000
"""Calls of x86_64's second ABI have this bit in their number."""
_LOAD, _EQUAL, _AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in the kernel's ``struct seccomp_data``; of the argument the lower half."""
_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000

_BANNED: Final[Mapping[str, tuple[int, int]]] = {
    # x86_64, aarch64; -1 where the machine has no such call
    "fork": (57, -1),
    "vfork": (58, -1),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
    "bind": (49, 200),
    "listen": (50, 201),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "io_uring_setup": (425, 425),  # it opens sockets past any filter
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}


class _Machine(NamedTuple):
    """What one kind of processor calls things; ``column`` is its own in the table above."""

    column: int
    audit: int
    seccomp: int
    clone: int
    tgkill: int


_MACHINES: Final[Mapping[str, _Machine]] = {
    "x86_64": _Machine(0, 0xC000003E, seccomp=317, clone=56, tgkill=234),
    "aarch64": _Machine(1, 0xC00000B7, seccomp=277, clone=220, tgkill=131),
}


class _Step(ctypes.Structure):
    """``struct sock_filter``."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def ban_calls() -> None:
    """Forbid this process, all of its threads, new processes and sockets; it cannot be undone.

    The process must have given up new privileges before (``PR_SET_NO_NEW_PRIVS``); OSError where
    this system has no such filter.
    """
    machine = _MACHINES.get(os.uname().machine) if sys.platform == "linux" else None
    if machine is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(errno.ENOSYS, "no filter of system calls for this system")
    listed = _filter(machine, os.getpid())
    steps = (_Step * len(listed))(*(_Step(*step) for step in listed))
    program = _Program(len(listed), steps)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    asked = (machine.seccomp, _SECCOMP_SET_MODE_FILTER, _TSYNC)
    refused = libc.syscall(*map(ctypes.c_long, asked), ctypes.byref(program))
    if refused:  # below 0: an error; else the thread that has a filter of its own
        raise OSError(ctypes.get_errno() if refused < 0 else errno.EBUSY, "seccomp")


def _filter(machine: _Machine, pid: int) -> list[tuple[int, int, int, int]]:
    """The program: ``(code, steps over if true, if false, value)``, from the first to the last."""
    fail, allow = (_RETURN, 0, 0, _FAIL | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    absent = (_RETURN, 0, 0, _FAIL | errno.ENOSYS)
    steps = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, machine.audit),  # else a call of 32 bits, which has other numbers
        fail,
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        fail,
        # Its flags lie in memory, where no filter can look; libraries take clone instead.
        (_EQUAL, 0, 1, _CLONE3),
        absent,
        (_EQUAL, 0, 4, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_HAS, 0, 1, _CLONE_THREAD),
        allow,
        fail,
        # abort() signals its own process; nobody else is to be signalled, the server least.
        (_EQUAL, 0, 4, machine.tgkill),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, pid),
        allow,
        fail,
    ]
    for numbers in _BANNED.values():
        if numbers[machine.column] >= 0:
            steps += [(_EQUAL, 0, 1, numbers[machine.column]), fail]
    return [*steps, allow]
