"""Recordings: upload, list, change, remove; and the jobs that analyse them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from micromimic.core.errors import ConflictError
from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
from micromimic.workstation.records.records import Job, JobStatus, Recording
from micromimic.workstation.schemas import (
    ID_PATTERN,
    PRINTABLE,
    WRITTEN,
    Id,
    IdQuery,
    JobList,
    RecordingChange,
    RecordingList,
)
from micromimic.workstation.uploads import Upload, receive_upload

router = APIRouter(tags=["recordings"])

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The video file itself.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class UploadQuery(BaseModel):
    """What is said about a video beside its bytes.

    ``consent`` is for a video of no session; with ``session_id``, the session's consent counts.
    """

    model_config = ConfigDict(extra="ignore")

    name: str = Field("", max_length=1000, description="Of the file, for people; only shown.")
    session_id: str | None = Field(None, pattern=ID_PATTERN)
    consent: bool = Field(False, description="The person filmed has agreed.")
    noted_by: str = Field("", pattern=PRINTABLE, max_length=200)
    note: str = Field("", pattern=WRITTEN, max_length=2000)
    fps: float | None = Field(
        None, gt=0, le=10000, allow_inf_nan=False, description="Against the file's own timing."
    )
    retention_days: int | None = Field(
        None, ge=0, le=36500, description="0 keeps video and pictures until they are removed."
    )


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
    found = here.store.recordings(**where, limit=limit, offset=offset)
    return RecordingList(recordings=list(found), total=here.store.count_recordings(**where))


@router.post(
    "/recordings",
    status_code=201,
    responses=answers(404, 408, 413, 415, 507),
    openapi_extra=_BODY,
)
async def upload(request: Request, about: Annotated[UploadQuery, Query()], here: Here) -> Recording:
    """Upload a video as the body; it is kept whole or not at all, and its analysis is queued."""
    wanted = Upload(**about.model_dump())
    recording = await receive_upload(request, wanted, here.store, here.settings)
    here.wake()
    return recording


@router.get("/recordings/{recording_id}", responses=answers(404))
def get_recording(recording_id: Id, here: Here) -> Recording:
    """One recording, with its latest job."""
    return here.store.recording(recording_id)


@router.patch("/recordings/{recording_id}", responses=answers(404, 409, 413))
def change_recording(recording_id: Id, body: RecordingChange, here: Here) -> Recording:
    """Another name, session or time of expiry."""
    changes: dict[str, Any] = {"name": body.name, "session_id": body.session_id}
    if "expires_at" in body.model_fields_set:  # null means: keep it
        changes["expires_at"] = body.expires_at
    return here.store.change_recording(recording_id, **changes)


@router.delete(
    "/recordings/{recording_id}", status_code=204, responses=answers(404), response_class=Response
)
def remove_recording(recording_id: Id, here: Here) -> None:
    """Remove a recording, its files and every decision on it."""
    here.store.remove_recording(recording_id)
    here.wake()


@router.post(
    "/recordings/{recording_id}/analyze", status_code=202, responses=answers(404, 409, 410)
)
def analyze_again(recording_id: Id, here: Here) -> Job:
    """Queue a recording again whose job failed or was cancelled."""
    job = here.store.requeue_job(recording_id)
    here.wake()
    return job


@router.post("/recordings/{recording_id}/cancel", status_code=202, responses=answers(404, 409))
def cancel(recording_id: Id, here: Here) -> Job:
    """Cancel the recording's queued or running job."""
    recording = here.store.recording(recording_id)
    if recording.job is None:
        raise ConflictError("expected a job to cancel, got none; there is nothing to do")
    here.store.cancel_job(recording.job.id)
    here.wake()
    return here.store.job(recording.job.id)


@router.get("/jobs", responses=answers())
def list_jobs(here: Here, status: JobStatus | None = None) -> JobList:
    """Jobs, oldest first."""
    return JobList(jobs=list(here.store.jobs(status)))


@router.get("/jobs/{job_id}", responses=answers(404))
def get_job(job_id: Id, here: Here) -> Job:
    """One job."""
    return here.store.job(job_id)
