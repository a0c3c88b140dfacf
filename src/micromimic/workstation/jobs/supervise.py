"""A worker from its start to its end: what it says, how long it may take, how it ended."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from micromimic.workstation.jobs.confinement import Limits
from micromimic.workstation.jobs.process import (
    COMMAND,
    Message,
    WorkerProcess,
    end_of_process,
    running_worker,
)
from micromimic.workstation.jobs.worker import LONGEST_ERROR, Task
from micromimic.workstation.records.models import Recording
from micromimic.workstation.settings import Settings

log = logging.getLogger(__name__)


def task_for(
    recording: Recording, place: Path, out: Path, settings: Settings, limits: Limits, **more: Any
) -> Task:
    """What a worker is to do with the video of a recording, whose folder is ``place``."""
    return Task(
        video=str(place / f"video{recording.extension}"),
        folder=str(out),
        name=recording.name,
        parent=os.getpid(),
        fps=recording.fps,
        limits=limits,
        model=None if settings.model is None else str(settings.model),
        **more,
    )


@dataclass(frozen=True)
class TimeLimits:
    """How long a worker may take, seconds by the clock on the wall.

    ``silence_s`` may pass between two messages of it, ``whole_s`` for any job; one whose file
    states its work has ``start_s`` and a second for each ``pixels_per_s``, a sixth of what a core
    of today does.
    """

    whole_s: float
    silence_s: float = 300.0
    start_s: float = 600.0
    pixels_per_s: float = 5e6

    def for_work(self, frames: int, pixels: int) -> float:
        """Seconds for so many frames of so many pixels: small frames cost as much as 640 x 480.

        >>> round(TimeLimits(whole_s=43_800).for_work(3000, 640 * 480))
        784
        """
        work = frames * max(pixels, 640 * 480)
        return min(self.whole_s, self.start_s + work / self.pixels_per_s)


@dataclass(frozen=True)
class End:
    """How a worker or its job ended; ``line`` says why it failed, ``refused`` that it would again:
    the video itself is at fault."""

    kind: Literal["finished", "failed", "dropped", "stopped"]
    line: str = ""
    refused: bool = False


class Report:
    """What a worker has said so far; `progress` is its stage, what is done of it, of how many,
    `lacks` what its system cannot limit."""

    def __init__(self, times: TimeLimits, now: float) -> None:
        self.progress: tuple[str, int, int | None] = ("starting", 0, None)
        self.lacks: list[str] = []
        self.end: End | None = None
        self._times = times
        self._whole_s = times.whole_s
        self._started = self._heard = now

    def take(self, message: Message, now: float) -> None:
        self._heard = now
        if "error" in message:
            line = str(message["error"])[:LONGEST_ERROR] or "failed"
            self.end = End("failed", line, message.get("refused") is True)
        elif message.get("finished") is True:
            self.end = End("finished")
        elif isinstance(lacks := message.get("missing"), list):
            self.lacks = [str(what) for what in lacks]
        elif "pixels" in message:
            frames, pixels = message.get("frames"), message["pixels"]
            if isinstance(frames, int) and isinstance(pixels, int) and min(frames, pixels) > 0:
                self._whole_s = self._times.for_work(frames, pixels)
        elif "stage" in message:
            done, total = message.get("done"), message.get("total")
            self.progress = (
                str(message["stage"])[:100],
                done if isinstance(done, int) and done >= 0 else 0,
                total if isinstance(total, int) and total >= 0 else None,
            )

    def overdue(self, now: float) -> str:
        """One line where it has taken too long, else nothing."""
        if now - self._started > self._whole_s:
            return (
                f"expected an analysis within {self._whole_s / 60:.0f} min, got a longer one; cut "
                "the video into parts"
            )
        if now - self._heard > self._times.silence_s:
            return (
                f"expected progress within {self._times.silence_s:.0f} s, got none; the file may "
                "be damaged"
            )
        return ""


async def run_worker(
    task: Task,
    printed: Path,
    look: Callable[[Report, bool], Awaitable[End | None]],
    *,
    times: TimeLimits,
    every_s: float,
    command: Sequence[str] = COMMAND,
    changed: Callable[[], asyncio.Event] = asyncio.Event,
) -> End:
    """Start a worker, supervise it to its end, and see that nothing of it is left.

    ``look`` is awaited every ``every_s`` and, with True, once the event that ``changed`` gave is
    set; what it returns or raises ends the worker. ``printed`` is for what the worker prints beside
    its messages.
    """
    clock = asyncio.get_running_loop().time
    report, woken = Report(times, clock()), False

    async def read(process: WorkerProcess) -> None:
        async for message in process.messages():
            report.take(message, clock())

    try:
        async with running_worker(task, printed, command) as process:
            reading = asyncio.create_task(read(process))
            try:
                while not reading.done():
                    event = changed()  # taken before the look: what comes meanwhile is not missed
                    line = report.overdue(clock())
                    if end := End("failed", line) if line else await look(report, woken):
                        return end
                    waiting = asyncio.create_task(event.wait())
                    both = {reading, waiting}
                    await asyncio.wait(both, timeout=every_s, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    woken = event.is_set()
                reading.result()
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            if report.end is None:
                status = await process.wait()
                log.warning("%s: worker ended with %d: %s", task.name, status, process.tail())
                return End("failed", end_of_process(status, task.limits.memory_mb))
            return report.end
    except OSError as error:
        return End("failed", f"expected to start a worker, got: {error.strerror}; try again")
