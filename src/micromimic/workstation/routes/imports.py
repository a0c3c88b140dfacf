"""What other tools said, brought in: markers, codings, and the table of whose each video is."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Annotated, Final, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from micromimic.core.errors import InputError, RefusedError
from micromimic.datasets.assignments import read_assignments
from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
from micromimic.workstation.imports import assignments, markers_and_codings
from micromimic.workstation.records.models import Consent
from micromimic.workstation.routes.files import attachment, file_answers, file_body
from micromimic.workstation.schemas import (
    Body,
    Coder,
    ConsentIn,
    IdQuery,
    Line,
    Name,
    RecordView,
    read_pairs,
)
from micromimic.workstation.uploads import Incoming, received_file

router = APIRouter(tags=["imports"])

MAX_BYTES: Final = 64 << 20
"""Of a file to import: codings are text."""
_BODY: Final = file_body(
    "An ELAN file (.eaf), a BORIS project or table, or a table of events (CSV)."
)

FileName = Annotated[str, Query(max_length=1000, description="Of the file, for people.")]
Tiers = Annotated[
    list[str], Query(max_length=100, description="Which of the file; all, or the only one.")
]
AnyMedia = Annotated[bool, Query(description="Take a file that names another video.")]


class ImportedView(RecordView):
    """What came into one recording."""

    recording_id: str
    recording: str
    count: int
    tiers: list[str]
    note: str


class ImportedList(BaseModel):
    """By recording."""

    imported: list[ImportedView]


class AssignmentsIn(Body):
    """A table ``video,subject,session,condition,date`` as text, to be checked or carried out.

    ``coming`` are names, or paths, of files that are about to be uploaded. ``apply``: move the
    recordings that are there, and make the sessions that lack, with this consent.
    """

    table: Annotated[str, Field(max_length=200_000)]
    coming: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=10_000)] = (
        Field(default_factory=list)
    )
    apply: bool = False
    new_subjects: bool = False
    consent: ConsentIn | None = None


class AssignmentView(BaseModel):
    """A row, and the recording or the coming file that it is of.

    ``session_id`` is where it belongs; null where that session is still to be made.
    """

    line: int
    video: str
    subject: Name
    session: Line
    condition: Line
    date: date | None
    state: Literal["there", "coming"]
    recording_id: str | None
    name: str
    session_id: str | None
    subject_known: bool


class AssignmentList(BaseModel):
    """By row."""

    rows: list[AssignmentView]


@router.post(
    "/imports/markers",
    status_code=201,
    responses=answers(404, 408, 409, 413, 507),
    openapi_extra=_BODY,
)
async def import_markers(
    request: Request,
    here: Here,
    name: FileName = "",
    recording_id: IdQuery = None,
    tier: Tiers = [],  # noqa: B006 - FastAPI copies it
    any_media: AnyMedia = False,
) -> ImportedList:
    """Stimuli, trials and conditions as rows of the timeline; the same file's are replaced.

    Without a recording, each video that the file names must be one of a recording.
    """
    async with received_file(request, here.settings, name, MAX_BYTES) as path:
        found = await to_thread.run_sync(
            lambda: markers_and_codings.import_markers(
                here.store, path, recording_id=recording_id, tiers=tier, any_media=any_media
            )
        )
    return ImportedList.model_validate({"imported": found}, from_attributes=True)


@router.post(
    "/imports/coding",
    status_code=201,
    responses=answers(404, 408, 409, 413, 507),
    openapi_extra=_BODY,
)
async def import_coding(
    request: Request,
    here: Here,
    coder: Coder,
    name: FileName = "",
    recording_id: IdQuery = None,
    tier: Tiers = [],  # noqa: B006
    label: Annotated[
        list[str], Query(max_length=200, description="LABEL=CLASS where the file has other words.")
    ] = [],  # noqa: B006
    any_media: AnyMedia = False,
) -> ImportedList:
    """Somebody's coding that was made elsewhere, as that coder's, to compare with.

    409 where that coder has decided something there already.
    """
    classes = read_pairs(label, "LABEL=CLASS", "write smile=happiness")
    async with received_file(request, here.settings, name, MAX_BYTES) as path:
        found = await to_thread.run_sync(
            lambda: markers_and_codings.import_coding(
                here.store,
                path,
                coder=coder,
                recording_id=recording_id,
                tiers=tier,
                classes=classes,
                any_media=any_media,
            )
        )
    return ImportedList.model_validate({"imported": found}, from_attributes=True)


@router.post("/assignments", responses=answers(404, 409, 413, 507))
def assign(body: AssignmentsIn, here: Here) -> AssignmentList:
    """Check the table of whose each video is against recordings and coming files, or carry it out.

    One line, and nothing changed, where a subject is unknown (unless ``new_subjects``), two rows
    are of one video, or a video is neither there nor coming.
    """
    incoming = Incoming(here.settings.data)
    try:
        incoming.write(body.table.encode("utf-8", "replace"))
        rows = read_assignments(incoming.named("table.csv"))
        noted = None if body.consent is None else Consent(**dict(body.consent))
        look = partial(assignments.assign, consent=noted)
        found = (look if body.apply else assignments.check_assignments)(
            here.store, rows, body.coming, new_subjects=body.new_subjects
        )
    except InputError as error:
        raise RefusedError(str(error)) from None
    finally:
        incoming.discard()
    return AssignmentList.model_validate(
        {
            "rows": [
                {**vars(i.row), **vars(i), "state": i.state, "date": i.row.held_on} for i in found
            ]
        }
    )


@router.get(
    "/assignments",
    responses=file_answers(".csv", description="The table."),
    response_class=Response,
)
def get_assignments(here: Here) -> Response:
    """The table of all recordings that belong to a session."""
    return attachment(assignments.assignment_table(here.store), "assignments.csv")
