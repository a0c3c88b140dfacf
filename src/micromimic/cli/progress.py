"""Progress: a bar on a terminal, a line at start and end elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from micromimic.cli.console import note

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress, ProgressColumn, Task, TaskID
    from rich.text import Text

_REFRESH_S: Final = 0.1
_OTHER_UNITS: Final = {"evidence": "events"}


class Shown(Protocol):
    """A `Progress`, and how the work ended: set ``ended`` where it is not "finished"."""

    ended: str

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        """Take what is done, of how many, in which stage."""


@contextmanager
def show_progress(title: str, unit: str = "frames") -> Iterator[Shown]:
    """Show the progress of one piece of work on stderr; yields the callback for it."""
    if sys.stderr.isatty():
        with _bar() as bar:
            yield _BarProgress(bar, title, unit)
        return
    note(f"{title}: started")
    began = time.monotonic()
    lines = _LineProgress()
    yield lines
    seconds = time.monotonic() - began
    told = f", {lines.most / seconds:.0f} {unit}/s" if lines.one_count and seconds > 0 else ""
    note(f"{title}: {lines.ended} in {seconds:.1f} s{told if lines.ended == 'finished' else ''}")


class _LineProgress:
    """Counts, and says nothing."""

    def __init__(self) -> None:
        self.ended = "finished"
        self.most = 0
        self._stages: set[str] = set()

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        if stage not in _OTHER_UNITS:
            self._stages.add(stage)
            self.most = max(self.most, done)

    @property
    def one_count(self) -> bool:
        """Whether a single stage counted frames, so that one rate says it all."""
        return len(self._stages) == 1 and self.most > 0


def _bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as RichProgress,
        TextColumn,
        TimeRemainingColumn as Remaining,
    )

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        _rate_column(),
        Remaining(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    )


def _rate_column() -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.text import Text as RichText

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            unit = task.fields.get("unit", "")
            return RichText(f"{speed:.0f} {unit}/s" if speed else "", style="cyan")

    return Rate()


class _BarProgress:
    """One bar a stage, so that the rate of one stage does not colour the next.

    Ten calls a second are passed on, and every first and last of a stage.
    """

    def __init__(self, bar: RichProgress, title: str, unit: str) -> None:
        self.ended = "finished"
        self._bar = bar
        self._title = title
        self._unit = unit
        self._tasks: dict[str, TaskID] = {}
        self._shown_at = 0.0

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        now = time.monotonic()
        if stage not in self._tasks:
            for task in self._tasks.values():
                self._bar.update(task, visible=False)
            label = f"{self._title}: {stage}" if stage else self._title
            unit = _OTHER_UNITS.get(stage, self._unit)
            self._tasks[stage] = self._bar.add_task(label, total=total, unit=unit)
        elif now - self._shown_at < _REFRESH_S and done != total:
            return
        self._shown_at = now
        self._bar.update(self._tasks[stage], completed=done, total=total)
