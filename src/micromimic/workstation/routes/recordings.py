"""Recordings: upload, list, change, remove; and the jobs that analyse them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from micromimic.core.errors import ConflictError
from micromimic.workstation import persons
from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
from micromimic.workstation.records import jobs, privacy, recordings, reviews
from micromimic.workstation.records.models import JobStatus
from micromimic.workstation.routes.files import file_body
from micromimic.workstation.schemas import (
    Id,
    IdQuery,
    Job,
    JobList,
    PersonIn,
    PersonList,
    Recording,
    RecordingChange,
    RecordingList,
)
from micromimic.workstation.uploads import Upload, receive_upload

router = APIRouter(tags=["recordings"])


@router.get("/recordings", responses=answers(404))
def list_recordings(
    here: Here,
    session_id: IdQuery = None,
    subject_id: IdQuery = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> RecordingList:
    """Recordings, newest first."""
    where = {"session_id": session_id, "subject_id": subject_id}
    found = recordings.list_recordings(here.store, **where, limit=limit, offset=offset)
    total = recordings.count_recordings(here.store, **where)
    return RecordingList.model_validate({"recordings": found, "total": total})


@router.post(
    "/recordings",
    status_code=201,
    responses=answers(404, 408, 413, 415, 507),
    openapi_extra=file_body("The video file itself."),
)
async def upload(request: Request, about: Annotated[Upload, Query()], here: Here) -> Recording:
    """Upload a video as the body; it is kept whole or not at all, and its analysis is queued."""
    recording = await receive_upload(request, about, here.store, here.settings)
    here.wake()
    return Recording.model_validate(recording)


@router.get("/recordings/{recording_id}", responses=answers(404))
def get_recording(recording_id: Id, here: Here) -> Recording:
    """One recording, with its latest job."""
    return Recording.model_validate(recordings.get_recording(here.store, recording_id))


@router.patch("/recordings/{recording_id}", responses=answers(404, 409, 413))
def change_recording(recording_id: Id, body: RecordingChange, here: Here) -> Recording:
    """Another name, session or time of expiry."""
    changes = body.model_dump(exclude_unset=True)  # a null of the time means: keep it
    return Recording.model_validate(
        recordings.change_recording(here.store, recording_id, **changes)
    )


@router.delete(
    "/recordings/{recording_id}", status_code=204, responses=answers(404), response_class=Response
)
def remove_recording(recording_id: Id, here: Here) -> None:
    """Remove a recording, its files and every decision on it."""
    privacy.remove_recording(here.store, recording_id)
    here.wake()


@router.post(
    "/recordings/{recording_id}/analyze", status_code=202, responses=answers(404, 409, 410)
)
def analyze_again(recording_id: Id, here: Here) -> Job:
    """Queue a recording again whose job failed or was cancelled."""
    job = jobs.requeue_job(here.store, recording_id)
    here.wake()
    return Job.model_validate(job)


@router.get("/recordings/{recording_id}/people", responses=answers(404))
def list_people(recording_id: Id, here: Here) -> PersonList:
    """Who was seen in the video, where several were."""
    answer = reviews.get_answer(here.store, recording_id, "people")
    seen = None if answer is None else answer.review["people"]  # older answers do not say
    return PersonList.model_validate({"people": seen or []})


@router.post(
    "/recordings/{recording_id}/people/{person}",
    status_code=201,
    responses=answers(404, 409, 507),
)
def analyse_person(
    recording_id: Id, person: Annotated[int, Path(ge=1, le=1000)], body: PersonIn, here: Here
) -> Recording:
    """Analyse another person of the video, as a recording of its own; this one stays as it is."""
    made = persons.analyse_person(here.store, here.settings, recording_id, person, body.session_id)
    here.wake()
    return Recording.model_validate(made)


@router.post("/recordings/{recording_id}/cancel", status_code=202, responses=answers(404, 409))
def cancel(recording_id: Id, here: Here) -> Job:
    """Cancel the recording's queued or running job."""
    recording = recordings.get_recording(here.store, recording_id)
    if recording.job is None:
        raise ConflictError("expected a job to cancel, got none; there is nothing to do")
    job = jobs.cancel_job(here.store, recording.job.id)
    here.wake()
    return Job.model_validate(job)


@router.get("/jobs", responses=answers())
def list_jobs(here: Here, status: JobStatus | None = None) -> JobList:
    """Jobs, the newest thousand, newest first."""
    return JobList.model_validate({"jobs": jobs.list_jobs(here.store, status)})


@router.get("/jobs/{job_id}", responses=answers(404))
def get_job(job_id: Id, here: Here) -> Job:
    """One job."""
    return Job.model_validate(jobs.get_job(here.store, job_id))
