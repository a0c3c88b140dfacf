"""What the command writes: lines of JSON for programs, and beside them a state for people."""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import shutil
import sys
from typing import Final

from micromimic.analysis.live.messages import Ended, LiveMessage, State, Status, json_line
from micromimic.cli.console import count_of, note, say
from micromimic.core.closing import Closing

_STATES: Final[dict[State, str]] = {
    "waiting": "waiting for the first frame",
    "no_face": "no face in sight",
    "learning": "learning how this face moves at rest",
    "watching": "watching",
    "lost_source": "source lost",
}
_NUMBER: Final = re.compile(r"\d+")
_CLEAR: Final = "\r\x1b[K"


class Output(Closing):
    """A source's messages to stdout, its state to stderr: on a terminal one line that renews."""

    def __init__(self, name: str, quiet: bool = False) -> None:
        self._name = name
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._shared = self._terminal and sys.stdout.isatty()
        self._line = ""
        self._noted = ("", "")

    def write(self, message: LiveMessage) -> bool:
        """Hand a message on, however slowly it is read; False if nobody reads any more."""
        line = self._line if self._shared else ""
        if line:  # out of the way, on one terminal
            self._draw("")
        read = write_line(json_line(message))
        if line:
            self._draw(line)
        if not self._quiet and isinstance(message, Status):
            self._show(message)
        elif not self._quiet and isinstance(message, Ended):
            self.close()
            note(f"{self._name}: {ended_text(message)}")
        return read

    def _show(self, status: Status) -> None:
        if self._terminal:
            self._draw(f"{self._name}: {status_text(status)}")
            return
        state = status.state, _NUMBER.sub("", status.detail)  # a count that goes on is no change
        if state != self._noted:
            self._noted = state
            detail = f"; {status.detail}" if status.detail else ""
            note(f"{self._name}: {_STATES[status.state]}{detail}")

    def close(self) -> None:
        if self._line:
            self._draw("")

    def _draw(self, line: str) -> None:
        self._line = line
        width = shutil.get_terminal_size().columns
        with contextlib.suppress(OSError):
            sys.stderr.write(_CLEAR + line[: max(0, width - 1)])
            sys.stderr.flush()


def write_line(line: str) -> bool:
    """Write a line to stdout, however slowly it is read; False if nobody reads any more.

    Not through Python's buffer: what a Ctrl-C leaves in it would be waited for again at the exit.
    """
    rest = f"{line}\n".encode()
    try:
        out = sys.stdout.fileno()
    except io.UnsupportedOperation:  # no file beneath
        return say(line)
    while rest:
        try:
            rest = rest[os.write(out, rest) :]
        except BlockingIOError:  # whoever has the other end made it so
            select.select([], [out], [])
        except BrokenPipeError:
            return False
    return True


def status_text(status: Status) -> str:
    """One calm line.

    >>> latency = {"median": 8.2, "p95": 11.0}
    >>> status_text(Status(9.0, "watching", 100.0, 100.0, 900, 900, 0, 1, 0.04, latency, 2))
    'watching, 100 frames/s, movements from 40 ms, 2 events, 8 ms behind'
    """
    parts = [_STATES[status.state]]
    if status.processed and status.state != "lost_source":
        seen = status.shortest_s and f"movements from {1000 * status.shortest_s:.0f} ms"
        parts += [
            f"{status.fps:.0f} frames/s",
            seen or "too slow for micro-expressions",
            count_of(status.events, "event"),
            f"{status.latency_ms.get('median', 0.0):.0f} ms behind",
        ]
    if status.dropped:
        parts.append(f"{count_of(status.dropped, 'frame')} dropped")
    return ", ".join(parts) + (f"; {status.detail}" if status.detail else "")


def ended_text(ended: Ended) -> str:
    """How it ended, and the counts.

    >>> ended_text(Ended("stopped", 900, 898, 2, 1, 0))
    'stopped; 1 event, 900 frames received, 2 dropped'
    """
    withdrawn = f", {ended.withdrawn} of them withdrawn" if ended.withdrawn else ""
    return (
        f"{ended.reason}; {count_of(ended.events, 'event')}{withdrawn}, "
        f"{count_of(ended.received, 'frame')} received, {ended.dropped} dropped"
    )
