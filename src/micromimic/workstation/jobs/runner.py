"""Works through the queue: claims a job, runs it in a process of its own, keeps the result.

A task of the server's event loop for each job at a time claims, supervises and finishes; another
looks after retention. Whatever a video does to its worker ends as one line at its job, and the task
goes on. A server that dies leaves its jobs running: the next start queues them again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from anyio import to_thread

from micromimic.core.errors import ConflictError, NotFoundError, StoreError, UnavailableError
from micromimic.workstation.jobs.confinement import Limits
from micromimic.workstation.jobs.process import COMMAND
from micromimic.workstation.jobs.results import clear_results, place_results, read_results
from micromimic.workstation.jobs.supervise import End, Report, TimeLimits, run_worker, task_for
from micromimic.workstation.records import jobs, privacy, recordings, reviews
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.folder_lock import writing_files
from micromimic.workstation.records.models import Job, Recording
from micromimic.workstation.settings import Settings

WORK_PREFIX: Final = ".work-"
"""Folders of unfinished results, inside a recording's."""
_OWN_FAULT: Final = End(
    "failed", "expected the analysis to end, got an error of the server's own; see its log"
)

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intervals:
    """How often, in seconds: the queue is looked at unasked, records that cannot be reached are
    asked again, progress is written, a job without any is marked as alive, retention is applied,
    and tried again where it failed."""

    poll_s: float = 2.0
    retry_s: float = 2.0
    beat_s: float = 0.5
    alive_s: float = 10.0
    expire_s: float = 3600.0
    expire_again_s: float = 30.0


class JobRunner:
    """Runs queued jobs from ``start`` to ``stop``, both awaited in the server's event loop.

    ``limits`` and ``times`` go by the settings where they are None; ``command`` gives what is run
    as a worker; ``on_step`` is called in the loop after each thing done for a job.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        limits: Limits | None = None,
        times: TimeLimits | None = None,
        intervals: Intervals = Intervals(),
        command: Callable[[], Sequence[str]] = lambda: COMMAND,
        on_step: Callable[[], object] = lambda: None,
    ) -> None:
        # 640 x 480 at 200 frames a second takes some twice its length: this ends what is stuck.
        whole_s = 600.0 + 12.0 * settings.max_seconds
        self._store = store
        self._settings = settings
        self._every = intervals
        self._command = command
        self._on_step = on_step
        self.times = times or TimeLimits(whole_s)
        self.limits = limits or Limits(
            memory_mb=settings.memory_mb,
            cpu_s=round(2 * whole_s),
            file_mb=max(1024, settings.max_bytes >> 20),
        )
        place = hashlib.sha256(str(settings.data.absolute()).encode()).hexdigest()[:12]
        self.name = f"{platform.node() or 'server'}/{place}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._locks = WeakValueDictionary[str, asyncio.Lock]()
        self._lacks: set[str] = set()

    async def start(self) -> None:
        """Clear up after an earlier server, and begin to work through the queue.

        `UnavailableError` where the records cannot be read.
        """
        await self._in_thread(self._recover)
        self._loop = asyncio.get_running_loop()
        self._stopping, self._changed = asyncio.Event(), asyncio.Event()
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._settings.jobs)]
        self._tasks.append(asyncio.create_task(self._expire()))

    async def stop(self) -> None:
        """End running workers, give their jobs back to the queue, and wait for all of it."""
        self._stopping.set()
        self._announce()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, BaseException):
                log.error("a task of the queue had ended early", exc_info=ended)
        self._loop, self._tasks = None, []

    def wake(self) -> None:
        """Look at the queue now: something was added, cancelled or removed; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._announce)

    def _announce(self) -> None:
        """Whoever waits for the event that was current hears of it."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        try:
            return await to_thread.run_sync(call, *args)
        finally:
            self._on_step()

    async def _pause(self, seconds: float, event: asyncio.Event | None = None) -> None:
        """Until the event, by default the stop, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await (event or self._stopping).wait()

    def _recover(self) -> None:
        for path in privacy.restrict_access(self._store):
            log.warning("%s can be read by others: it belongs to another user", path)
        for path in privacy.foreign_files(self._store):
            log.warning("%s is not micromimic's: neither forgetting nor retention removes it", path)
        self._clear_up()  # first of all, for it makes room on a full disk
        for job in jobs.recover_jobs(self._store, self.name):
            log.info("job %s was running when the server ended: %s", job.id, job.status)
        try:
            for job in jobs.requeue_lost(self._store):
                log.warning("recording %s has lost files: analysed again", job.recording_id)
        except StoreError as error:
            log.warning("recordings that have lost files wait: %s", error)

    def _clear_up(self) -> None:
        """Finish removals that were begun, and remove what no record owns."""
        try:
            privacy.finish_removals(self._store)
            privacy.sweep(self._store)
        except (StoreError, OSError) as error:
            log.warning("some left-over files stay: %s", error)

    async def _expire(self) -> None:
        """Remove what has expired and what is left over: at once, then every hour."""

        def expire() -> None:
            for recording_id in privacy.expire(self._store):
                log.info("recording %s has expired: video and pictures removed", recording_id)

        while not self._stopping.is_set():
            wait = self._every.expire_s
            try:
                await self._in_thread(expire)
            except (StoreError, OSError) as error:
                log.warning("retention waits: %s", error)
                wait = self._every.expire_again_s
            await self._pause(wait)
            if wait == self._every.expire_s and not self._stopping.is_set():
                await self._in_thread(self._clear_up)

    async def _work(self) -> None:
        problem = ""
        while not self._stopping.is_set():
            changed = self._changed  # taken before the look: what comes meanwhile is not missed
            try:
                job = await self._in_thread(jobs.claim_job, self._store, self.name)
                problem = ""
            except Exception as error:  # noqa: BLE001 - a task that ended would be missed by nobody
                job = None
                if str(error) != problem:
                    log.warning("the queue waits: %s", error)
                problem = str(error)
            if job is None:
                await self._pause(self._every.poll_s, changed)
                continue
            # One job of a recording at a time: a cancelled one may still be clearing up.
            lock = self._locks.setdefault(job.recording_id, asyncio.Lock())
            try:
                async with lock:
                    with writing_files(job.recording_id):
                        await self._do(job)
            except Exception:  # one job's failure must not end the others
                log.exception("job %s failed in the server", job.id)
                await self._fail(job, _OWN_FAULT)

    async def _do(self, job: Job) -> None:
        recording = await self._with_retries(
            job, lambda: recordings.get_recording(self._store, job.recording_id)
        )
        if recording is None:
            return  # removed since it was claimed, and its job with it
        folder = self._store.folder(recording.id)
        work = folder / f"{WORK_PREFIX}{job.id}"
        try:
            end = await self._analysed(job, recording, folder, work)
            if end.kind == "finished":
                end = await self.keep(job, work / "out", folder)
            if end.kind == "failed":
                await self._fail(job, end)
            elif end.kind == "stopped":
                await self._in_thread(self._release, job)
        finally:
            await self._in_thread(self._tidy, job, folder, work)

    async def _analysed(self, job: Job, recording: Recording, folder: Path, work: Path) -> End:
        """A worker's end, with its results in ``work``."""

        def prepare() -> None:
            clear_results(folder)
            (work / "out").mkdir(parents=True, mode=0o700)

        try:
            await self._in_thread(prepare)
        except OSError as error:
            line = f"expected room for the results, got: {error.strerror}; make some"
            return End("failed", line)
        task = task_for(
            recording,
            folder,
            work / "out",
            self._settings,
            self.limits,
            person=recording.person,
            max_seconds=self._settings.max_seconds,
        )
        clock = asyncio.get_running_loop().time
        written, written_at = None, 0.0

        async def look(report: Report, woken: bool) -> End | None:
            nonlocal written, written_at
            if self._stopping.is_set():
                return End("stopped")
            for what in set(report.lacks) - self._lacks:  # said once
                self._lacks.add(what)
                log.warning("this system has no %s for workers; the time limits hold", what)
            late = clock() - written_at >= self._every.alive_s
            if woken or late or report.progress != written:
                written, written_at = report.progress, clock()
                if not await self._in_thread(self._beat, job, *written):
                    return End("dropped")
            return None

        return await run_worker(
            task,
            work / "log",
            look,
            times=self.times,
            every_s=self._every.beat_s,
            command=self._command(),
            changed=lambda: self._changed,
        )

    def _beat(self, job: Job, stage: str, done: int, total: int | None) -> bool:
        """Write how far it is; whether the job is still wanted."""
        try:
            jobs.beat(self._store, job.id, stage=stage, done=done, total=total, worker=self.name)
        except UnavailableError:
            return True  # it may come back before the work is done
        except (ConflictError, NotFoundError):
            return False
        return True

    async def keep(self, job: Job, out: Path, folder: Path) -> End:
        """Files into place, then the answer into the records, however long that takes."""
        try:
            payload, review = await self._in_thread(read_results, out)
            stored = await self._with_retries(
                job, lambda: (reviews.get_analysis(self._store, job.recording_id),)
            )
            if stored is None:
                return End("dropped")
            if stored[0] is not None:
                jobs.check_same(stored[0], payload)
            await self._in_thread(place_results, out, folder)
        except ConflictError as error:
            return End("failed", str(error))
        except (OSError, ValueError) as error:
            log.warning("job %s: %s", job.id, error)
            return End("failed", "expected complete results, got a part; make room and try again")
        finished = await self._with_retries(
            job,
            lambda: jobs.finish_job(
                self._store, job.id, payload=payload, review=review, worker=self.name
            ),
        )
        return End("finished" if finished else "dropped")

    async def _fail(self, job: Job, end: End) -> None:
        await self._with_retries(
            job,
            lambda: jobs.fail_job(
                self._store, job.id, end.line, refused=end.refused, worker=self.name
            ),
        )

    async def _with_retries(self, job: Job, call: Callable[[], T]) -> T | None:
        """Ask the records, again and again while they are locked or gone.

        None where the job is no longer this server's, or the server stops meanwhile: then the next
        start queues it again.
        """
        level = logging.WARNING
        while True:
            try:
                return await self._in_thread(call)
            except UnavailableError as error:
                log.log(level, "job %s waits for the records: %s", job.id, error)
                level = logging.DEBUG  # said once
            except StoreError as error:
                log.info("job %s is let go: %s", job.id, error)
                return None
            await self._pause(self._every.retry_s)
            if self._stopping.is_set():
                return None

    def _release(self, job: Job) -> None:
        try:
            jobs.release_job(self._store, job.id, worker=self.name)
        except StoreError as error:
            log.info("job %s stays as it is until the next start: %s", job.id, error)

    def _tidy(self, job: Job, folder: Path, work: Path) -> None:
        """Leave nothing behind of a job that came to nothing."""
        shutil.rmtree(work, ignore_errors=True)
        try:
            recording = recordings.get_recording(self._store, job.recording_id)
        except NotFoundError:
            # Forgotten while its worker still wrote: no file of it may come back.
            shutil.rmtree(folder, ignore_errors=True)
        except StoreError as error:
            log.info("job %s: left for the next start to clear up: %s", job.id, error)
        else:
            if recording.events is None:
                clear_results(folder)
