"""Jobs: queued with their recording, claimed by one server, finished or failed once.

Where ``worker`` names the server that asks, a running job must be its: `ConflictError` else, as
where the job no longer runs (it was cancelled meanwhile).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select, func, or_, select, update

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.core.results import kind_counts, kind_of
from micromimic.workstation.records import values
from micromimic.workstation.records.database import Transaction, reading, writing
from micromimic.workstation.records.folder import results_lost
from micromimic.workstation.records.models import ACTIVE, AnalysisRecord, Job, JobStatus, Recording

_LATELY: Final = 20
"""Jobs from whose time that of the next ones is estimated."""


@writing
def claim_job(transaction: Transaction, worker: str) -> Job | None:
    """The oldest queued job, now running for this worker; None where nothing waits.

    However many ask at once, a job goes to one of them. ``worker`` is the name of the server that
    asks, the same after its restart.
    """
    name = values.line(worker, "a worker's name", values.LONGEST_NAME)
    oldest = (
        select(Job)
        .where(Job.status == "queued")
        .order_by(Job.created_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    job = transaction.scalars(oldest).one_or_none()
    if job is not None:
        _restart(job)
        job.status, job.worker, job.error = "running", name, ""
        job.attempts += 1
        job.started_at = job.beat_at = transaction.now
    return job


@writing
def beat(
    transaction: Transaction,
    job_id: str,
    *,
    stage: str,
    done: int,
    total: int | None,
    worker: str | None = None,
) -> Job:
    """How far a running job is; also the sign that its server lives."""
    job = _running(transaction, job_id, worker)
    job.stage, job.done, job.total = stage, done, total
    job.beat_at = transaction.now
    return job


@writing
def finish_job(
    transaction: Transaction,
    job_id: str,
    *,
    payload: Mapping[str, Any],
    review: Mapping[str, Any],
    worker: str | None = None,
) -> Recording:
    """The machine's answer, written once, and the job done: both or neither.

    ``payload`` and ``review`` are the contents of ``events.json`` and ``review.json``. Where the
    answer is there already (its files were lost and made again) it stays as it is; `ConflictError`
    where its events are others.
    """
    now = transaction.now
    job = _running(transaction, job_id, worker)
    stored = transaction.get(AnalysisRecord, job.recording_id)
    if stored is not None:
        check_same(stored, payload)
    else:
        counts = kind_counts(payload["events"])
        made = AnalysisRecord(
            recording_id=job.recording_id,
            payload=dict(payload),
            review=dict(review),
            events=counts["micro"],
            created_at=now,
        )
        transaction.add(made)
        recording = transaction.require(Recording, job.recording_id)
        recording.events, recording.longer = counts["micro"], counts["macro"]
        recording.duration_s = payload.get("source", {}).get("duration_s")
        recording.others = payload.get("face", {}).get("others_seen")
        recording.observed_s = (payload.get("indicators", {}).get("observed_s") or {}).get("value")
    job.status, job.error, job.finished_at, job.beat_at = "done", "", now, now
    return transaction.require(Recording, job.recording_id)


@writing
def fail_job(
    transaction: Transaction,
    job_id: str,
    error: str,
    *,
    refused: bool = False,
    worker: str | None = None,
) -> Job:
    """A running job has failed, for a reason of one line; its stage is ``refused`` where the video
    itself is at fault, so that it would fail again."""
    job = _running(transaction, job_id, worker)
    job.stage = "refused" if refused else job.stage
    job.status, job.finished_at = "failed", transaction.now
    job.error = values.one_line(error) or "the analysis failed without a word"
    return job


@writing
def release_job(transaction: Transaction, job_id: str, *, worker: str | None = None) -> Job:
    """A running job goes back to the queue unharmed, as when the server is stopped."""
    job = _running(transaction, job_id, worker)
    _queue_again(job)
    job.attempts = max(0, job.attempts - 1)
    return job


@writing
def cancel_job(transaction: Transaction, job_id: str) -> Job:
    """A waiting or running job is not wanted any more; its server notices at the next beat."""
    job = transaction.require(Job, job_id, lock=True)
    if job.status not in ACTIVE:
        raise ConflictError(
            f"expected a job that waits or runs, got one that is {job.status}; reload it"
        )
    job.status, job.finished_at = "cancelled", transaction.now
    return job


@writing
def requeue_job(transaction: Transaction, recording_id: str) -> Job:
    """A new job for a recording whose last one failed or was cancelled, or lost its files."""
    recording = transaction.require(Recording, recording_id)
    status = recording.job.status if recording.job else "failed"
    lost = recording.events is not None and _lost(transaction, recording)
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
    return place_jobs(transaction, (add_job(transaction, recording_id),))[0]


@writing
def requeue_lost(transaction: Transaction) -> tuple[Job, ...]:
    """Queue what is done but has lost files, as by a power cut; the answers stay."""
    done = select(Job.recording_id).where(Job.status == "done")
    query = select(Recording).where(Recording.media == "kept", Recording.id.in_(done))
    return tuple(
        add_job(transaction, recording.id)
        for recording in transaction.scalars(query).all()
        if recording.job is not None
        and recording.job.status == "done"
        and recording.consent.given
        and _lost(transaction, recording)
    )


@writing
def recover_jobs(
    transaction: Transaction, worker: str, *, stale_s: float = 120.0, max_attempts: int = 3
) -> tuple[Job, ...]:
    """Jobs that a server left running: queued again, or failed after too many attempts.

    All of this ``worker``'s are, since it only starts now, and others' without a beat for
    ``stale_s`` seconds.
    """
    now = transaction.now
    stale = Job.beat_at < now - timedelta(seconds=stale_s)
    query = (
        select(Job)
        .where(Job.status == "running", or_(Job.worker == worker, stale))
        .order_by(Job.created_at, Job.id)
        .with_for_update(skip_locked=True)
    )
    found = tuple(transaction.scalars(query))
    for job in found:
        if job.attempts < max_attempts:
            _queue_again(job)
            continue
        job.status, job.finished_at = "failed", now
        job.error = (
            f"expected the analysis to end, got none in {job.attempts} attempts; the file "
            "may be damaged"
        )
    return found


@reading
def list_jobs(transaction: Transaction, status: JobStatus | None = None) -> tuple[Job, ...]:
    """The newest thousand, the newest first, all or of one status."""
    query = select(Job).order_by(Job.created_at.desc(), Job.id).limit(1000)
    if status is not None:
        query = query.where(Job.status == status)
    return place_jobs(transaction, tuple(transaction.scalars(query)))


@reading
def get_job(transaction: Transaction, job_id: str) -> Job:
    return place_jobs(transaction, (transaction.require(Job, job_id),))[0]


def place_jobs(transaction: Transaction, found: tuple[Job, ...]) -> tuple[Job, ...]:
    """Say of jobs that wait or run where they stand, and about how long it takes until they end.

    A job is taken to need as long for its bytes as the last ones did, and as many to run at once
    as do now; unknown before the first has ended.
    """
    if not any(job.status in ACTIVE for job in found):
        return found
    rate = _seconds_a_byte(transaction)
    query = (
        select(Job.id, Job.status, Job.started_at, Recording.size_bytes)
        .join(Recording, Recording.id == Job.recording_id)
        .where(Job.status.in_(ACTIVE))
        .order_by(Job.status.desc(), Job.created_at, Job.id)  # those that run first
    )
    rows = transaction.execute(query).all()
    side_by_side = max(1, sum(row.status == "running" for row in rows))
    waited, place = 0.0, 0
    placed: dict[str, tuple[int | None, float | None]] = {}
    for row in rows:
        left = None if rate is None else rate * row.size_bytes
        if row.status == "running":
            if left is not None and row.started_at is not None:
                left = max(1.0, left - (transaction.now - row.started_at).total_seconds())
            placed[row.id] = None, left
        else:
            place += 1
            placed[row.id] = place, None if left is None else waited / side_by_side + left
        waited += left or 0.0
    for job in found:
        job.place, job.seconds_left = placed.get(job.id, (None, None))
    return found


def _seconds_a_byte(transaction: Transaction) -> float | None:
    """What an analysis took of late; None before the first."""
    query = (
        select(Job.started_at, Job.finished_at, Recording.size_bytes)
        .join(Recording, Recording.id == Job.recording_id)
        .where(Job.status == "done", Job.started_at.is_not(None), Job.finished_at.is_not(None))
        .order_by(Job.created_at.desc(), Job.id)
        .limit(_LATELY)
    )
    rows = transaction.execute(query).all()
    size = sum(row.size_bytes for row in rows)
    took = sum((row.finished_at - row.started_at).total_seconds() for row in rows)
    return took / size if size and took > 0 else None


def add_job(transaction: Transaction, recording_id: str) -> Job:
    last = select(func.coalesce(func.max(Job.number), 0)).where(Job.recording_id == recording_id)
    number = transaction.scalars(last).one() + 1
    job = Job(recording_id=recording_id, number=number, created_at=transaction.now)
    transaction.add(job)
    transaction.flush()
    return job


def cancel_active(transaction: Transaction, recording_ids: Select[Any], why: str) -> None:
    transaction.execute(
        update(Job)
        .where(Job.recording_id.in_(recording_ids), Job.status.in_(ACTIVE))
        .values(status="cancelled", error=why, finished_at=transaction.now),
        execution_options={"synchronize_session": False},
    )


def check_same(stored: AnalysisRecord, payload: Mapping[str, Any]) -> None:
    """Files made again belong to the answer that is kept, or to none: else `ConflictError`."""
    if _of_any_version(stored.payload) != _of_any_version(payload):
        raise ConflictError(
            "expected the events of the answer that is kept, got others, as another version of "
            "micromimic may find; decisions on them stay, upload the video again for the new ones"
        )


def _of_any_version(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**event, "kind": kind_of(event)} for event in payload["events"]]


def _lost(transaction: Transaction, recording: Recording) -> bool:
    return recording.media == "kept" and results_lost(
        transaction.store.folder(recording.id), recording.extension
    )


def _running(transaction: Transaction, job_id: str, worker: str | None) -> Job:
    job = transaction.require(Job, job_id, lock=True)
    if job.status != "running" or worker not in (None, job.worker):
        got = f"one that is {job.status}" if job.status != "running" else f"one of {job.worker}"
        raise ConflictError(f"expected a running job of this server, got {got}; let it go")
    return job


def _queue_again(job: Job) -> None:
    _restart(job)
    job.status, job.worker = "queued", ""
    job.started_at = job.beat_at = None


def _restart(job: Job) -> None:
    job.stage, job.done, job.total = "", 0, None
