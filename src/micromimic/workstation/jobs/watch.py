"""The watch over one worker: what it says goes to the records, what overstays is ended."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from micromimic.core.errors import ConflictError, NotFoundError, UnavailableError
from micromimic.workstation.jobs.process import Message
from micromimic.workstation.jobs.worker import LONGEST_ERROR
from micromimic.workstation.records.records import Job
from micromimic.workstation.records.store import Store

_BEAT_S: Final = 0.5
_STILL_THERE_S: Final = 10.0


@dataclass(frozen=True)
class Patience:
    """How long a worker may take.

    Args:
        whole_s: seconds for any job, by the clock on the wall.
        silence_s: seconds without a word from it.
        start_s: seconds for a job beside its work.
        pixels_a_second: looked at, at least; a sixth of what a core of today does.
    """

    whole_s: float
    silence_s: float = 300.0
    start_s: float = 600.0
    pixels_a_second: float = 5e6

    def of(self, frames: int, pixels: int) -> float:
        """Seconds for so many frames of so many pixels: small frames cost as much as 640 x 480.

        >>> round(Patience(whole_s=43_800).of(3000, 640 * 480))
        784
        """
        work = frames * max(pixels, 640 * 480)
        return min(self.whole_s, self.start_s + work / self.pixels_a_second)


@dataclass(frozen=True)
class End:
    """How the watch over a worker ended; ``line`` says why it failed."""

    kind: Literal["finished", "failed", "dropped", "stopped"]
    line: str = ""


class Wake:
    """Lies in an inbox when the queue or a job has changed."""


class Ended:
    """Lies in an inbox when a worker has said its last."""


Note = Message | Wake | Ended
"""What an inbox holds."""


class Watch:
    """Hears one worker out, says to the records how far it is, and notices what ends it early.

    Args:
        store, worker: the records, and this server's name there.
        job: which.
        inbox: messages of the worker, and wakes.
        patience: how long it may take.
        stopping: set when the server stops.
        missing: told what the system cannot limit.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        job: Job,
        inbox: queue.Queue[Note],
        patience: Patience,
        stopping: threading.Event,
        missing: Callable[[object], None],
    ) -> None:
        self._store = store
        self._worker = worker
        self._job = job
        self._inbox = inbox
        self._patience = patience
        self._whole_s = patience.whole_s
        self._stopping = stopping
        self._missing = missing
        self._progress: tuple[str, int, int | None] = ("starting", 0, None)
        self._beaten: tuple[str, int, int | None] | None = None
        self._beat_at = -_STILL_THERE_S
        self._end: End | None = None

    def end(self) -> End:
        """Watch until there is nothing more to watch."""
        started = heard = time.monotonic()
        while True:
            note = take(self._inbox, _BEAT_S)
            now = time.monotonic()
            if self._stopping.is_set():
                return End("stopped")
            if isinstance(note, Ended):
                return self._end or End("failed")
            if isinstance(note, Mapping):
                heard = now
                self._hear(note)
            if now - started > self._whole_s:
                return End("failed", _too_long(self._whole_s))
            if now - heard > self._patience.silence_s:
                return End("failed", _too_quiet(self._patience.silence_s))
            if not self._beat(now, isinstance(note, Wake)):
                return End("dropped")

    def _hear(self, message: Message) -> None:
        if "error" in message:
            self._end = End("failed", str(message["error"])[:LONGEST_ERROR] or "failed")
        elif message.get("finished") is True:
            self._end = End("finished")
        elif "pixels" in message:
            frames, pixels = message.get("frames"), message["pixels"]
            if isinstance(frames, int) and isinstance(pixels, int) and min(frames, pixels) > 0:
                self._whole_s = self._patience.of(frames, pixels)
        elif "missing" in message:
            self._missing(message["missing"])
        elif "stage" in message:
            done, total = message.get("done"), message.get("total")
            self._progress = (
                str(message["stage"])[:100],
                done if isinstance(done, int) and done >= 0 else 0,
                total if isinstance(total, int) and total >= 0 else None,
            )

    def _beat(self, now: float, at_once: bool) -> bool:
        """Say how far it is, at most twice a second; whether the job is still wanted."""
        age = now - self._beat_at
        changed = self._progress != self._beaten
        if not at_once and (age < _BEAT_S or (not changed and age < _STILL_THERE_S)):
            return True
        self._beat_at, self._beaten = now, self._progress
        stage, done, total = self._progress
        try:
            self._store.beat(self._job.id, stage=stage, done=done, total=total, worker=self._worker)
        except UnavailableError:
            return True  # it may come back before the work is done
        except (ConflictError, NotFoundError):
            return False
        return True


def _too_long(limit_s: float) -> str:
    return (
        f"expected an analysis within {limit_s / 60:.0f} min, got a longer one; cut the video into "
        "parts"
    )


def _too_quiet(limit_s: float) -> str:
    return f"expected progress within {limit_s:.0f} s, got none; the file may be damaged"


def take(inbox: queue.Queue[Note], timeout: float) -> Note | None:
    """The next note; None if there was none within ``timeout`` seconds."""
    try:
        return inbox.get(timeout=timeout)
    except queue.Empty:
        return None
