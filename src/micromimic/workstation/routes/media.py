"""What an analysis left in a recording's folder: the proxy video, pictures, result files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from anyio import to_thread
from fastapi import APIRouter, Path as PathParameter
from starlette.responses import FileResponse, Response

from micromimic.workstation.context import Here, Workstation
from micromimic.workstation.errors import ApiError
from micromimic.workstation.evidence import CLIPS, make_clips
from micromimic.workstation.records import recordings, reviews
from micromimic.workstation.routes.files import BINARY, TYPES, file_answers
from micromimic.workstation.schemas import CoderQuery, Id

router = APIRouter(prefix="/recordings/{recording_id}", tags=["media"])

FileName = Literal[
    "events.json",
    "events.csv",
    "events.eaf",
    "curve.csv",
    "report.html",
    "review.json",
    "frames.bin",
    "track.npz",
    "waveform.json",
]
_ANSWERS: Final = (
    *("events.json", "events.csv", "events.eaf", "report.html", "review.json"),
    "track.npz",
)
"""Files that hold what the machine found; each action unit's movement in the last."""
FaceName = Literal["onset.jpg", "apex.jpg"]
PictureName = Literal["onset.jpg", "apex.jpg", "magnified.mp4", "face.mp4"]
Stretch = Annotated[
    str,
    PathParameter(
        pattern=r"^[0-9]{1,9}-[0-9]{1,9}-[0-9]{1,9}$", description="ONSET-APEX-OFFSET, frames."
    ),
]
Index = Annotated[int, PathParameter(ge=0, le=99_999, description="From 0, as in events.json.")]

REPORT_POLICY: Final = (
    "sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "media-src data:; frame-ancestors 'none'"
)
"""A report carries its own scripts: it may run them, and reach nothing of this server."""


def _files(*endings: str) -> dict[int | str, dict[str, Any]]:
    """Answers of a route that sends a file, whole or in part."""
    described = file_answers(*endings, also=(404, 409, 410))
    ranges = dict.fromkeys((*described[200]["content"], "multipart/byteranges"), BINARY)
    described[206] = {"description": "The ranges asked for.", "content": ranges}
    text = {"text/plain": {"schema": {"type": "string"}}}
    described[400] = {"description": "A Range header that cannot be read.", "content": text}
    described[416] = {"description": "A range outside the file.", "content": text}
    return described


@router.get("/video", responses=_files(".mp4"), response_class=FileResponse)
def get_video(recording_id: Id, here: Here) -> Response:
    """The video as the review page plays it: every frame once, at its own time. Takes ranges."""
    return _send(here, recording_id, "proxy.mp4")


@router.get(
    "/files/{name}",
    responses=_files(*(Path(name).suffix for name in get_args(FileName))),
    response_class=FileResponse,
)
def get_file(recording_id: Id, name: FileName, here: Here, coder: CoderQuery = None) -> Response:
    """One file of the analysis; 409 where it holds the machine's answer, the study is coded blind,
    and the coder who asks is not done.
    """
    if name in _ANSWERS:
        reviews.check_machine_open(here.store, recording_id, coder)
    return _send(here, recording_id, name)


@router.get(
    "/events/{index}/{picture}",
    responses=_files(".jpg", ".mp4"),
    response_class=FileResponse,
)
async def get_picture(
    recording_id: Id, index: Index, picture: PictureName, here: Here, coder: CoderQuery = None
) -> Response:
    """The face at onset and apex of a candidate, and its short clips, which take seconds where
    nobody asked before; 409 where the study is coded blind and the coder who asks has not decided
    it.
    """
    await to_thread.run_sync(reviews.check_machine_open, here.store, recording_id, coder, index)
    if picture in CLIPS:
        await make_clips(here, recording_id, coder, index)
    return await to_thread.run_sync(_send, here, recording_id, f"events/{index}/{picture}")


@router.get("/held-back/{index}/{picture}", responses=_files(".jpg"), response_class=FileResponse)
def get_held_back_picture(
    recording_id: Id, index: Index, picture: FaceName, here: Here, coder: CoderQuery = None
) -> Response:
    """The face at onset and apex of a movement that was held back; numbers as in review.json. 409
    where the study is coded blind and the coder who asks is not done.
    """
    reviews.check_machine_open(here.store, recording_id, coder)
    return _send(here, recording_id, f"events/held-back/{index}/{picture}")


@router.get(
    "/evidence/{stretch}/{picture}",
    responses=_files(".jpg", ".mp4"),
    response_class=FileResponse,
)
def get_evidence_picture(
    recording_id: Id, stretch: Stretch, picture: PictureName, here: Here
) -> Response:
    """The face at onset and apex of a stretch that a coder chose, and its clips, once made."""
    return _send(here, recording_id, f"events/{stretch}/{picture}")


@router.get("/people/{person}.jpg", responses=_files(".jpg"), response_class=FileResponse)
def get_person_picture(
    recording_id: Id, person: Annotated[int, PathParameter(ge=1, le=1000)], here: Here
) -> Response:
    """The face of one of several people, by the numbers in review.json, where it is largest."""
    return _send(here, recording_id, f"events/people/{person}.jpg")


def _send(here: Workstation, recording_id: str, name: str) -> Response:
    """A file by a name of ours; 404 where there is none, 410 where retention removed it."""
    recording = recordings.get_recording(here.store, recording_id)
    path = here.store.folder(recording_id) / name
    if not path.is_file():
        if recording.media == "expired":
            raise ApiError(
                410,
                f"expected {Path(name).name} of {recording.name}, got none: kept until its "
                "retention ended, then removed; the events and decisions are still there",
            )
        what = "wait until its analysis is done"
        if recording.media == "none":
            what = "it came from another machine without its video"
        raise ApiError(404, f"expected {Path(name).name} of {recording.name}, got none; {what}")
    headers = {"Content-Security-Policy": REPORT_POLICY} if path.suffix == ".html" else None
    return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)
