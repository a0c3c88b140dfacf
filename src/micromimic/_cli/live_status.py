"""What a person sees beside the lines of JSON."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Final

from micromimic._cli.console import note
from micromimic.media.closing import Closing
from micromimic.pipelines.live_messages import Ended, State, Status

_STATES: Final[dict[State, str]] = {
    "waiting": "waiting for the first frame",
    "no_face": "no face in sight",
    "learning": "learning how this face moves at rest",
    "watching": "watching",
    "lost_source": "source lost",
}
_NUMBER: Final = re.compile(r"\d+")
_CLEAR: Final = "\r\x1b[K"


def status_text(status: Status) -> str:
    """One calm line.

    >>> latency = {"median": 8.2, "p95": 11.0}
    >>> status_text(Status(9.0, "watching", 100.0, 100.0, 900, 900, 0, 1, 0.04, latency, 2))
    'watching, 100 frames/s, movements from 40 ms, 2 events, 8 ms behind'
    """
    parts = [_STATES[status.state]]
    if status.processed and status.state != "lost_source":
        parts.append(f"{status.fps:.0f} frames/s")
        parts.append(
            "too slow for micro-expressions"
            if status.shortest_s is None
            else f"movements from {1000 * status.shortest_s:.0f} ms"
        )
        parts.append(_count(status.events, "event"))
        parts.append(f"{status.latency_ms.get('median', 0.0):.0f} ms behind")
    if status.dropped:
        parts.append(f"{_count(status.dropped, 'frame')} dropped")
    return ", ".join(parts) + (f"; {status.detail}" if status.detail else "")


def ended_text(ended: Ended) -> str:
    """How it ended, and the counts.

    >>> ended_text(Ended("stopped", 900, 898, 2, 1, 0))
    'stopped; 1 event, 900 frames received, 2 dropped'
    """
    events = _count(ended.events, "event")
    withdrawn = f", {ended.withdrawn} of them withdrawn" if ended.withdrawn else ""
    return (
        f"{ended.reason}; {events}{withdrawn}, {_count(ended.received, 'frame')} received, "
        f"{ended.dropped} dropped"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class StatusLine(Closing):
    """The state on stderr: a line that renews itself on a terminal, elsewhere a line a change.

    Args:
        name: of the source.
        quiet: say nothing.
    """

    def __init__(self, name: str, quiet: bool = False) -> None:
        self._name = name
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._shared = self._terminal and sys.stdout.isatty()
        self._line = ""
        self._said = ("", "")

    def show(self, status: Status) -> None:
        """Show a new state."""
        if self._quiet:
            return
        if self._terminal:
            self._draw(f"{self._name}: {status_text(status)}")
            return
        said = status.state, _NUMBER.sub("", status.detail)  # a count that goes on is no change
        if said != self._said:
            self._said = said
            detail = f"; {status.detail}" if status.detail else ""
            note(f"{self._name}: {_STATES[status.state]}{detail}")

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Make room for a line on stdout where both are one terminal."""
        if not (self._shared and self._line):
            yield
            return
        line = self._line
        self._draw("")
        try:
            yield
        finally:
            self._draw(line)

    def end(self, ended: Ended) -> None:
        """Say how it ended."""
        self.close()
        if not self._quiet:
            note(f"{self._name}: {ended_text(ended)}")

    def close(self) -> None:
        """Take the line away."""
        if self._line:
            self._draw("")

    def _draw(self, line: str) -> None:
        self._line = line
        width = shutil.get_terminal_size().columns
        with contextlib.suppress(OSError):
            sys.stderr.write(_CLEAR + line[: max(0, width - 1)])
            sys.stderr.flush()
