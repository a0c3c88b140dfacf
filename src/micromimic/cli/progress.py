"""Progress: a bar on a terminal, a line at start and end elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from micromimic.cli.console import note

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress, TaskID

REFRESH_S: Final = 0.1
_OTHER_UNITS: Final = {"evidence": "events"}


class ShownProgress:
    """A `Progress` that counts, and how the work ``ended``."""

    def __init__(self, ended: str) -> None:
        self.ended = ended
        self._most = 0
        self._stages: set[str] = set()

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        if stage not in _OTHER_UNITS:
            self._stages.add(stage)
            self._most = max(self._most, done)

    def rate(self, seconds: float) -> float:
        """Done in a second, where a single stage counted, so that one rate says it all; else 0."""
        return self._most / seconds if len(self._stages) == 1 and seconds > 0 else 0.0


@contextmanager
def show_progress(
    title: str, unit: str = "frames", *, ended: str = "finished", refresh_s: float = REFRESH_S
) -> Iterator[ShownProgress]:
    """Show the progress of one piece of work on stderr; yields the callback for it."""
    if sys.stderr.isatty():
        with ExitStack() as stack:
            yield _BarProgress(stack, title, unit, ended, refresh_s)
        return
    note(f"{title}: started")
    began = time.monotonic()
    progress = ShownProgress(ended)
    yield progress
    seconds = time.monotonic() - began
    rate = progress.rate(seconds) if progress.ended == "finished" else 0.0
    note(f"{title}: {progress.ended} in {seconds:.1f} s{f', {rate:.0f} {unit}/s' if rate else ''}")


class _BarProgress(ShownProgress):
    """One bar a stage, so that the rate of one stage does not colour the next.

    What draws is loaded at the first call: until then there is nothing to show. Ten calls a second
    are passed on, and every first and last of a stage.
    """

    def __init__(
        self, stack: ExitStack, title: str, unit: str, ended: str, refresh_s: float
    ) -> None:
        super().__init__(ended)
        self._stack = stack
        self._bar: RichProgress | None = None
        self._title = title
        self._unit = unit
        self._refresh_s = refresh_s
        self._tasks: dict[str, TaskID] = {}
        self._shown_at = 0.0

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        now = time.monotonic()
        bar = self._bar = self._bar or self._stack.enter_context(_bar())
        if stage not in self._tasks:
            for task in self._tasks.values():
                bar.update(task, visible=False)
            label = f"{self._title}: {stage}" if stage else self._title
            self._tasks[stage] = bar.add_task(label, total=total, rate="")
        elif now - self._shown_at < self._refresh_s and done != total:
            return
        self._shown_at = now
        task = self._tasks[stage]
        bar.update(task, completed=done, total=total)
        speed = bar.tasks[task].finished_speed or bar.tasks[task].speed
        if speed:
            bar.update(task, rate=f"{speed:.0f} {_OTHER_UNITS.get(stage, self._unit)}/s")


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
        TextColumn("{task.fields[rate]}", style="cyan"),
        Remaining(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    )
