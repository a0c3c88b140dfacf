"""Jobs: queued with their recording, claimed by one server, finished or failed once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import Connection, Select, func, insert, or_, select, update

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.core.results import kind_counts, kind_of
from micromimic.workstation.records import rows, values
from micromimic.workstation.records.base import Records
from micromimic.workstation.records.records import Analysis, Job, JobStatus, Recording
from micromimic.workstation.records.sweep import results_lost
from micromimic.workstation.records.tables import analyses, jobs, recordings

ACTIVE: tuple[JobStatus, ...] = ("queued", "running")


class JobRecords(Records):
    """What is to be analysed, and how far it is."""

    def claim_job(self, worker: str) -> Job | None:
        """The oldest queued job, now running for this worker; None where nothing waits.

        However many ask at once, a job goes to one of them.

        Args:
            worker: name of the server that asks, the same after its restart.
        """
        name = values.line(worker, "a worker's name", values.LONGEST_NAME)
        now = self.clock()
        oldest = (
            select(jobs.c.id)
            .where(jobs.c.status == "queued")
            .order_by(jobs.c.created_at, jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self.database.write() as connection:
            job_id = connection.execute(oldest).scalar()
            if job_id is None:
                return None
            _set(
                connection,
                job_id,
                status="running",
                worker=name,
                stage="",
                done=0,
                total=None,
                attempts=jobs.c.attempts + 1,
                error="",
                started_at=now,
                beat_at=now,
            )
            return rows.read_job(connection, job_id)

    def beat(
        self, job_id: str, *, stage: str, done: int, total: int | None, worker: str | None = None
    ) -> Job:
        """How far a running job is; also the sign that its server lives.

        Args:
            job_id: which.
            stage: what is being done, a word or two.
            done, total: of this stage; total is None while unknown.
            worker: who asks; where given, the job must still be its.

        Raises:
            ConflictError: it no longer runs (cancelled), or not for this worker.
            NotFoundError: no such job.
        """
        with self.database.write() as connection:
            _lock_running(connection, job_id, worker)
            _set(
                connection,
                job_id,
                stage=values.one_line(stage, 100),
                done=values.count(done, "a count"),
                total=None if total is None else values.count(total, "a count"),
                beat_at=self.clock(),
            )
            return rows.read_job(connection, job_id)

    def finish_job(
        self,
        job_id: str,
        *,
        payload: Mapping[str, Any],
        review: Mapping[str, Any],
        worker: str | None = None,
    ) -> Recording:
        """The machine's answer, written once, and the job done: both or neither.

        Where the answer is there already (its files were lost and made again) it stays as it is.

        Args:
            job_id: which; it must be running.
            payload: the content of ``events.json``.
            review: the content of ``review.json``.
            worker: who asks; where given, the job must still be its.

        Raises:
            ConflictError: it no longer runs, or the recording has an answer of other events.
            NotFoundError: no such job.
            RefusedError: a number that JSON does not know, such as NaN.
        """
        now = self.clock()
        with self.database.write() as connection:
            job = _lock_running(connection, job_id, worker)
            stored = rows.read_analysis(connection, job.recording_id)
            if stored is None:
                connection.execute(
                    insert(analyses).values(
                        recording_id=job.recording_id,
                        payload=dict(payload),
                        review=dict(review),
                        events=kind_counts(payload["events"])["micro"],
                        created_at=now,
                    )
                )
            else:
                check_same(stored, payload)
            _set(connection, job_id, status="done", error="", finished_at=now, beat_at=now)
            return rows.read_recording(connection, job.recording_id)

    def fail_job(self, job_id: str, error: str, *, worker: str | None = None) -> Job:
        """A running job has failed.

        Args:
            job_id: which.
            error: one line for people.
            worker: who asks; where given, the job must still be its.

        Raises:
            ConflictError: it no longer runs.
            NotFoundError: no such job.
        """
        now = self.clock()
        with self.database.write() as connection:
            _lock_running(connection, job_id, worker)
            told = values.one_line(error) or "the analysis failed without a word"
            _set(connection, job_id, status="failed", error=told, finished_at=now)
            return rows.read_job(connection, job_id)

    def release_job(self, job_id: str, *, worker: str | None = None) -> Job:
        """A running job goes back to the queue unharmed, as when the server is stopped.

        Raises:
            ConflictError: it no longer runs.
            NotFoundError: no such job.
        """
        with self.database.write() as connection:
            job = _lock_running(connection, job_id, worker)
            _queue_again(connection, job_id, attempts=max(0, job.attempts - 1))
            return rows.read_job(connection, job_id)

    def cancel_job(self, job_id: str) -> Job:
        """A waiting or running job is not wanted any more; its server notices at the next beat.

        Raises:
            ConflictError: it has ended already.
            NotFoundError: no such job.
        """
        now = self.clock()
        with self.database.write() as connection:
            job = _lock(connection, job_id)
            if job.status not in ACTIVE:
                raise ConflictError(
                    f"expected a job that waits or runs, got one that is {job.status}; reload it"
                )
            _set(connection, job_id, status="cancelled", finished_at=now)
            return rows.read_job(connection, job_id)

    def requeue_job(self, recording_id: str) -> Job:
        """A new job for a recording whose last one failed or was cancelled, or lost its files.

        Raises:
            ConflictError: one waits or runs, or the answer and its files are there.
            NotFoundError: no such recording.
            RefusedError: the video is gone, or consent was withdrawn.
        """
        with self.database.write() as connection:
            recording = rows.read_recording(connection, recording_id)
            status = recording.job.status if recording.job else "failed"
            lost = recording.events is not None and self._lost(recording)
            ended = ("failed", "cancelled", "done") if lost else ("failed", "cancelled")
            if (recording.events is not None and not lost) or status not in ended:
                raise ConflictError(
                    f"expected an analysis that failed or was cancelled, got one that is {status}; "
                    "the machine answers once"
                )
            if recording.media != "kept" or not recording.consent.given:
                got = "no consent" if recording.media == "kept" else "one that was removed"
                raise RefusedError(
                    f"expected a video with consent that is still kept, got {got}; upload it again"
                )
            job_id = insert_job(connection, recording_id, self.clock())
            return rows.read_job(connection, job_id)

    def redo_lost(self) -> tuple[Job, ...]:
        """Queue what is done but has lost files, as by a power cut; the answers stay.

        Returns:
            The new jobs.
        """
        done = select(jobs.c.recording_id).where(jobs.c.status == "done")
        query = rows.select_recordings().where(recordings.c.media == "kept")
        with self.database.read() as connection:
            found = rows.read_recordings(connection, query.where(recordings.c.id.in_(done)))
        lost = [
            recording
            for recording in found
            if recording.job is not None
            and recording.job.status == "done"
            and recording.consent.given
            and self._lost(recording)
        ]
        return tuple(self.requeue_job(recording.id) for recording in lost)

    def _lost(self, recording: Recording) -> bool:
        return recording.media == "kept" and results_lost(
            self.folder(recording.id), recording.extension
        )

    def recover_jobs(
        self, worker: str, *, stale_s: float = 120.0, max_attempts: int = 3
    ) -> tuple[Job, ...]:
        """Jobs that a server left running: queued again, or failed after too many attempts.

        Args:
            worker: all of this one's, since it only starts now.
            stale_s: others' without a beat for so long.
            max_attempts: a job that took the server down so often is not tried again.

        Returns:
            Those that were changed.
        """
        now = self.clock()
        left = (
            select(jobs)
            .where(
                jobs.c.status == "running",
                or_(jobs.c.worker == worker, jobs.c.beat_at < now - timedelta(seconds=stale_s)),
            )
            .order_by(jobs.c.created_at, jobs.c.id)
            .with_for_update(skip_locked=True)
        )
        with self.database.write() as connection:
            found = [rows.job(row) for row in connection.execute(left)]
            for job in found:
                if job.attempts < max_attempts:
                    _queue_again(connection, job.id, attempts=job.attempts)
                    continue
                told = (
                    f"expected the analysis to end, got none in {job.attempts} attempts; the file "
                    "may be damaged"
                )
                _set(connection, job.id, status="failed", error=told, finished_at=now)
            return tuple(rows.read_job(connection, job.id) for job in found)

    def jobs(self, status: str | None = None, *, limit: int = 1000) -> tuple[Job, ...]:
        """The newest first, all or of one status.

        Raises:
            RefusedError: no such status, or a limit that cannot be.
        """
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id)
        query = query.limit(values.count(limit, "a limit", 10_000))
        if status is not None:
            known = get_args(JobStatus)
            if status not in known:
                raise RefusedError(
                    f"expected a status among {', '.join(known)}, got {status[:40]!r}; use one"
                )
            query = query.where(jobs.c.status == status)
        with self.database.read() as connection:
            return tuple(rows.job(row) for row in connection.execute(query))

    def job(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFoundError: no such job.
        """
        with self.database.read() as connection:
            return rows.read_job(connection, job_id)


def insert_job(connection: Connection, recording_id: str, now: datetime) -> str:
    """Queue a job for a recording; its id."""
    job_id = values.new_id()
    last = select(func.coalesce(func.max(jobs.c.number), 0) + 1).where(
        jobs.c.recording_id == recording_id
    )
    connection.execute(
        insert(jobs).values(
            id=job_id,
            recording_id=recording_id,
            number=last.scalar_subquery(),
            status="queued",
            stage="",
            done=0,
            attempts=0,
            error="",
            worker="",
            created_at=now,
        )
    )
    return job_id


def check_same(stored: Analysis, payload: Mapping[str, Any]) -> None:
    """Files made again belong to the answer that is kept, or to none.

    Raises:
        ConflictError: other events were found.
    """
    if _of_any_version(stored.payload) != _of_any_version(payload):
        raise ConflictError(
            "expected the events of the answer that is kept, got others, as another version of "
            "micromimic may find; decisions on them stay, upload the video again for the new ones"
        )


def _of_any_version(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**event, "kind": kind_of(event)} for event in payload["events"]]


def cancel_active(
    connection: Connection, recording_ids: Select[Any], why: str, now: datetime
) -> None:
    """Cancel what waits or runs for these recordings."""
    connection.execute(
        update(jobs)
        .where(jobs.c.recording_id.in_(recording_ids), jobs.c.status.in_(ACTIVE))
        .values(status="cancelled", error=why, finished_at=now)
    )


def _lock(connection: Connection, job_id: str) -> Job:
    connection.execute(
        select(jobs.c.id).where(jobs.c.id == values.known_id(job_id, "job")).with_for_update()
    )
    return rows.read_job(connection, job_id)


def _lock_running(connection: Connection, job_id: str, worker: str | None) -> Job:
    job = _lock(connection, job_id)
    owner = connection.execute(select(jobs.c.worker).where(jobs.c.id == job_id)).scalar()
    if job.status != "running" or worker not in (None, owner):
        got = f"one that is {job.status}" if job.status != "running" else f"one of {owner}"
        raise ConflictError(f"expected a running job of this server, got {got}; let it go")
    return job


def _queue_again(connection: Connection, job_id: str, *, attempts: int) -> None:
    _set(
        connection,
        job_id,
        status="queued",
        stage="",
        done=0,
        total=None,
        attempts=attempts,
        worker="",
        started_at=None,
        beat_at=None,
    )


def _set(connection: Connection, job_id: str, **columns: Any) -> None:
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**columns))
