"""The study as one portable file: out, and in from another machine."""

from __future__ import annotations

import re
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
from micromimic.workstation.export.zip import zip_pieces
from micromimic.workstation.project.file import ENDING, gather_project
from micromimic.workstation.project.merge import look_into, merge_project
from micromimic.workstation.routes.files import attachment, file_answers, file_body
from micromimic.workstation.schemas import Coder, RecordView, read_pairs
from micromimic.workstation.uploads import received_file

router = APIRouter(prefix="/project", tags=["project"])


class ConflictView(RecordView):
    """What differs between the file and the records, and the answers that there are, in words."""

    key: str
    text: str
    choices: dict[str, str]


class MergeView(RecordView):
    """What the file brings, or brought: new rows by kind, conflicts, and what is left out."""

    title: str
    added: dict[str, int]
    conflicts: list[ConflictView]
    notes: list[str]


class Merged(BaseModel):
    """Whether it was carried out, or only looked into."""

    applied: bool
    merge: MergeView


@router.get(
    "",
    responses=file_answers(".zip", also=(409,)),
    response_class=Response,
)
def export_project(
    coder: Coder,
    here: Here,
    videos: Annotated[bool, Query(description="With videos and pictures.")] = False,
) -> Response:
    """Everything of the study that this coder may see, as one file.

    What others decided on recordings that the coder has not marked done is left out; 409 where the
    study is coded blind and the coder is not done everywhere.
    """
    packed = gather_project(here.store, videos=videos, reader=coder)
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", packed.title).strip("._")[:60] or "study"
    return attachment(zip_pieces(packed.entries()), stem + ENDING)


@router.post("", responses=answers(408, 409, 413, 507), openapi_extra=file_body("A project file."))
async def import_project(
    request: Request,
    here: Here,
    name: Annotated[str, Query(max_length=1000, description="Of the file, for people.")] = "",
    apply: bool = False,
    resolve: Annotated[
        list[str], Query(max_length=2000, description="KEY=CHOICE for each conflict.")
    ] = [],  # noqa: B006 - FastAPI copies it
) -> Merged:
    """Look into a project file, or join it: whole, or not at all.

    409 where something differs that ``resolve`` does not answer; without ``apply`` nothing changes
    and conflicts are told.
    """
    answered = read_pairs(resolve, "KEY=CHOICE", "look into the file, which names them")
    async with received_file(request, here.settings, name) as path:
        found = await to_thread.run_sync(
            lambda: (
                merge_project(here.store, path, answered) if apply else look_into(here.store, path)
            )
        )
    if apply:
        here.wake()
    return Merged(applied=apply, merge=MergeView.model_validate(found))
