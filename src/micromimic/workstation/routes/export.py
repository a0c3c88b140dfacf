"""Events to take away: one recording's in three formats, and what `train` and `evaluate` read."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers, file_content
from micromimic.workstation.export import export_events
from micromimic.workstation.export_manifest import gather, zipped
from micromimic.workstation.records import recordings
from micromimic.workstation.schemas import Coder, CoderQuery, Id, IdQuery, Reader

router = APIRouter(tags=["export"])

Format = Literal["json", "csv", "eaf"]
_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "eaf": "application/xml",
}


def _attachment(*types: str) -> dict[int | str, dict[str, Any]]:
    described = answers(404, 409)
    described[200] = {
        "description": "The file, as an attachment.",
        "content": file_content(*types),
    }
    return described


@router.get(
    "/recordings/{recording_id}/export/{kind}",
    responses=_attachment(*_TYPES.values()),
    response_class=Response,
)
def export(
    recording_id: Id, kind: Format, here: Here, coder: CoderQuery = None, reader: Reader = None
) -> Response:
    """One recording's events: the machine's, or as one coder sees them."""
    recording = recordings.get_recording(here.store, recording_id)
    content = export_events(here.store, recording_id, coder=coder, reader=reader, format=kind)
    stem = _plain(recording.name.rsplit(".", 1)[0])
    who = f".{_plain(coder)}" if coder else ""
    name = f"{stem}{who}.events.{kind}"
    return Response(
        content,
        media_type=_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(
    "/export/manifest.zip", responses=_attachment("application/zip"), response_class=Response
)
def export_manifest(
    coder: Coder,
    here: Here,
    reader: Reader = None,
    subject_id: IdQuery = None,
    session_id: IdQuery = None,
) -> Response:
    """A manifest and its videos for `micromimic train` and `evaluate`.

    Only events that the coder accepted or added, in videos that are still kept.
    """
    found = gather(
        here.store, coder=coder, reader=reader, subject_id=subject_id, session_id=session_id
    )
    return StreamingResponse(
        zipped(found),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="manifest.zip"'},
    )


def _plain(text: str) -> str:
    """A piece of a file name that every system and header takes.

    >>> _plain('P 01/"x".mp4'), _plain("\\u202e")
    ('P_01_x_.mp4', 'recording')
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip(".")[:80].strip("_") or "recording"
