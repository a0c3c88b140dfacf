"""Works through the queue: claims a job, runs it in a process of its own, keeps the result.

A thread a slot claims, watches and finishes; another looks after retention. Whatever a video does
to its worker ends as one line at its job, and the slot goes on. A server that dies leaves its jobs
running: the next start queues them again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

from micromimic.core.errors import ConflictError, NotFoundError, StoreError, UnavailableError
from micromimic.workstation.jobs.limits import Limits
from micromimic.workstation.jobs.process import Message, WorkerProcess, how_it_ended
from micromimic.workstation.jobs.results_folder import clear_results, place_results, read_result
from micromimic.workstation.jobs.watch import End, Ended, Note, Patience, Wake, Watch, take
from micromimic.workstation.jobs.worker import Task
from micromimic.workstation.records.held import holding
from micromimic.workstation.records.jobs import check_same
from micromimic.workstation.records.records import Job, Recording
from micromimic.workstation.records.store import Store
from micromimic.workstation.settings import Settings

WORK_PREFIX: Final = ".work-"
"""Folders of unfinished results, inside a recording's."""

_IDLE_S: Final = 2.0
_RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
_EXPIRE_EVERY_S: Final = 3600.0
_EXPIRE_AGAIN_S: Final = 30.0
_MOST_WAITING: Final = 1000
_OUR_OWN: Final = "expected the analysis to end, got an error of the server's own; see its log"

T = TypeVar("T")

log = logging.getLogger(__name__)


class JobRunner:
    """Runs queued jobs until it is stopped.

    Args:
        store: the records.
        settings: of the server.
        limits: what a worker may take; by the settings when None.
        patience: how long it may take; by the longest video allowed when None.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        limits: Limits | None = None,
        patience: Patience | None = None,
    ) -> None:
        # 640 x 480 at 200 frames a second takes some twice its length: this ends what is stuck.
        whole = 600.0 + 12.0 * settings.max_seconds
        self._store = store
        self._settings = settings
        self._patience = patience or Patience(whole)
        self._limits = limits or Limits(
            memory_mb=settings.memory_mb,
            cpu_s=round(2 * whole),
            file_mb=max(1024, settings.max_bytes >> 20),
        )
        place = hashlib.sha256(str(settings.data.absolute()).encode()).hexdigest()[:12]
        self.name = f"{platform.node() or 'server'}/{place}"
        self._stopping = threading.Event()
        self._inboxes: list[queue.Queue[Note]] = []
        self._threads: list[threading.Thread] = []
        self._told: set[str] = set()
        self._busy: set[str] = set()
        self._turn = threading.Condition()

    def start(self) -> None:
        """Clear up after an earlier server, and begin to work through the queue.

        Raises:
            UnavailableError: the records cannot be read.
        """
        self._stopping.clear()
        for path in self._store.restrict_access():
            log.warning("%s can be read by others: it belongs to another user", path)
        for path in self._store.foreign():
            log.warning("%s is not micromimic's: neither forgetting nor retention removes it", path)
        self._clear_up()  # first of all, for it makes room on a full disk
        for job in self._store.recover_jobs(self.name):
            log.info("job %s was running when the server ended: %s", job.id, job.status)
        try:
            for job in self._store.redo_lost():
                log.warning("recording %s has lost files: analysed again", job.recording_id)
        except StoreError as error:
            log.warning("recordings that have lost files wait: %s", error)
        self._inboxes = [queue.Queue() for _ in range(self._settings.jobs)]
        self._threads = [
            threading.Thread(target=self._serve, args=(inbox,), name="micromimic-job", daemon=True)
            for inbox in self._inboxes
        ]
        self._threads.append(
            threading.Thread(target=self._look_after, name="micromimic-expire", daemon=True)
        )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End running workers, give their jobs back to the queue, and wait for all threads."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            thread.join()
        self._threads, self._inboxes = [], []

    def wake(self) -> None:
        """Look at the queue now: something was added, cancelled or removed."""
        for inbox in self._inboxes:
            inbox.put(Wake())

    def _clear_up(self) -> None:
        """Finish removals that were begun, and remove what no record owns."""
        try:
            self._store.finish_removals()
            self._store.sweep()
        except (StoreError, OSError) as error:
            log.warning("some left-over files stay: %s", error)

    def _look_after(self) -> None:
        """Remove what has expired and what is left over: at once, then every hour."""
        wait = 0.0
        while not self._stopping.wait(wait):
            if wait == _EXPIRE_EVERY_S:  # else it was just done
                self._clear_up()
            wait = _EXPIRE_EVERY_S
            try:
                for gone in self._store.expire():
                    log.info("recording %s has expired: video and pictures removed", gone)
            except (StoreError, OSError) as error:
                log.warning("retention waits: %s", error)
                wait = _EXPIRE_AGAIN_S

    def _serve(self, inbox: queue.Queue[Note]) -> None:
        """One slot's life."""
        told = ""
        while not self._stopping.is_set():
            try:
                job = self._store.claim_job(self.name)
                told = ""
            except Exception as error:  # noqa: BLE001 - a slot that ended would be missed by nobody
                job = None
                if str(error) != told:
                    log.warning("the queue waits: %s", error)
                told = str(error)
            if job is None:
                take(inbox, _IDLE_S)
                continue
            try:
                with self._alone(job.recording_id):
                    self._do(job, inbox)
            except Exception:  # one job's failure must not end the others
                log.exception("job %s failed in the server", job.id)
                self._fail(job, _OUR_OWN)

    @contextmanager
    def _alone(self, recording_id: str) -> Iterator[None]:
        """One job of a recording at a time: a cancelled one may still be clearing up."""
        with self._turn:
            self._turn.wait_for(lambda: recording_id not in self._busy)
            self._busy.add(recording_id)
        try:
            with holding(recording_id):
                yield
        finally:
            with self._turn:
                self._busy.discard(recording_id)
                self._turn.notify_all()

    def _do(self, job: Job, inbox: queue.Queue[Note]) -> None:
        """One job from its claim to its end."""
        recording = self._insist(job, lambda: self._store.recording(job.recording_id))
        if recording is None:
            return  # removed since it was claimed, and its job with it
        folder = self._store.folder(recording.id)
        work = folder / f"{WORK_PREFIX}{job.id}"
        out = work / "out"
        try:
            try:
                clear_results(folder)
                out.mkdir(parents=True, mode=0o700)
            except OSError as error:
                self._fail(job, f"expected room for the results, got: {error.strerror}; make some")
                return
            task = Task(
                video=str(folder / f"video{recording.extension}"),
                folder=str(out),
                name=recording.name,
                parent=os.getpid(),
                fps=recording.fps,
                max_seconds=self._settings.max_seconds,
                limits=self._limits,
                model=None if self._settings.model is None else str(self._settings.model),
            )
            end = self._run(job, task, work / "log", inbox)
            if end.kind == "finished":
                end = self._keep(job, out, folder)
            if end.kind == "failed":
                self._fail(job, end.line)
            elif end.kind == "stopped":
                self._release(job)
        finally:
            self._tidy(job, folder, work)

    def _run(self, job: Job, task: Task, printed: Path, inbox: queue.Queue[Note]) -> End:
        """Start a worker, watch it to its end, and see that nothing of it is left."""

        def hear(message: Message | None) -> None:
            if message is None:
                inbox.put(Ended())
            elif inbox.qsize() < _MOST_WAITING:  # a worker gone wild fills no memory of ours
                inbox.put(message)

        try:
            process = WorkerProcess(task, printed, hear)
        except OSError as error:
            return End("failed", f"expected to start a worker, got: {error.strerror}; try again")
        try:
            end = Watch(
                self._store,
                self.name,
                job,
                inbox,
                self._patience,
                self._stopping,
                self._tell_missing,
            ).end()
            if end.kind == "failed" and not end.line:
                status = process.wait()
                log.warning("job %s: worker ended with %d: %s", job.id, status, process.tail())
                end = End("failed", how_it_ended(status, self._limits.memory_mb))
        finally:
            process.end()
            _drain(inbox)
        return end

    def _tell_missing(self, missing: object) -> None:
        """Say once what this system cannot limit."""
        for what in missing if isinstance(missing, list) else []:
            if what not in self._told:
                self._told.add(what)
                log.warning("this system has no %s for workers; the time limits hold", what)

    def _keep(self, job: Job, out: Path, folder: Path) -> End:
        """Files into place, then the answer into the records, however long that takes."""
        try:
            payload, review = read_result(out)
            stored = self._insist(job, lambda: (self._store.analysis(job.recording_id),))
            if stored is None:
                return End("dropped")
            if stored[0] is not None:
                check_same(stored[0], payload)
            place_results(out, folder)
        except ConflictError as error:
            return End("failed", str(error))
        except (OSError, ValueError) as error:
            log.warning("job %s: %s", job.id, error)
            return End("failed", "expected complete results, got a part; make room and try again")
        store = self._store

        def finish() -> Recording:
            return store.finish_job(job.id, payload=payload, review=review, worker=self.name)

        return End("finished" if self._insist(job, finish) else "dropped")

    def _fail(self, job: Job, line: str) -> None:
        self._insist(job, lambda: self._store.fail_job(job.id, line, worker=self.name))

    def _insist(self, job: Job, call: Callable[[], T]) -> T | None:
        """Ask the records, again and again while they are locked or gone.

        Returns:
            What they say; None where the job is no longer this server's, or the server stops
            meanwhile: then the next start queues it again.
        """
        for attempt in count():
            try:
                return call()
            except UnavailableError as error:
                if attempt == 0:
                    log.warning("job %s waits for the records: %s", job.id, error)
            except StoreError as error:
                log.info("job %s is let go: %s", job.id, error)
                return None
            if self._stopping.wait(_RETRY_S[min(attempt, len(_RETRY_S) - 1)]):
                return None
        return None

    def _release(self, job: Job) -> None:
        try:
            self._store.release_job(job.id, worker=self.name)
        except StoreError as error:
            log.info("job %s stays as it is until the next start: %s", job.id, error)

    def _tidy(self, job: Job, folder: Path, work: Path) -> None:
        """Leave nothing behind of a job that came to nothing."""
        shutil.rmtree(work, ignore_errors=True)
        try:
            recording = self._store.recording(job.recording_id)
        except NotFoundError:
            # Forgotten while its worker still wrote: no file of it may come back.
            shutil.rmtree(folder, ignore_errors=True)
        except StoreError as error:
            log.info("job %s: left for the next start to clear up: %s", job.id, error)
        else:
            if recording.events is None:
                clear_results(folder)


def _drain(inbox: queue.Queue[Note]) -> None:
    while not inbox.empty():
        inbox.get_nowait()
