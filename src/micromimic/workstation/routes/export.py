"""What is taken away: a study's tables, a recording's events in three formats or its frames, and
what `train` and `evaluate` read."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from fastapi import APIRouter
from starlette.responses import Response

from micromimic.workstation.context import Here
from micromimic.workstation.export.frames import FrameFormat, check_format
from micromimic.workstation.export.manifest import gather
from micromimic.workstation.export.readers import Reader as StudyReader
from micromimic.workstation.export.recording import export_events, export_frames
from micromimic.workstation.export.study import study_entries
from micromimic.workstation.export.zip import zip_pieces
from micromimic.workstation.records import recordings
from micromimic.workstation.routes.files import attachment, file_answers
from micromimic.workstation.schemas import Coder, CoderQuery, Id, IdQuery, Reader

router = APIRouter(tags=["export"])

Format = Literal["json", "csv", "eaf", "boris"]
_ATTACHED: Final = "The file, as an attachment."


@router.get(
    "/export/study.zip",
    responses=file_answers(".zip", also=(404, 409), description=_ATTACHED),
    response_class=Response,
)
def export_study(here: Here, reader: Reader = None, frames: FrameFormat | None = None) -> Response:
    """A whole study as tables for statistics with their codebook, as who asks may see it.

    ``frames``: a table of every frame of each recording as well.
    """
    if frames is not None:
        check_format(frames)
    entries = study_entries(here.store, StudyReader(reader), frames=frames)
    return attachment(zip_pieces(entries), "study.zip")


@router.get(
    "/recordings/{recording_id}/export/frames.{kind}",
    responses=file_answers(".csv", ".parquet", also=(404, 409), description=_ATTACHED),
    response_class=Response,
)
def export_recording_frames(
    recording_id: Id, kind: FrameFormat, here: Here, reader: Reader = None
) -> Response:
    """A recording frame by frame: score, limits, regions, action units, head, lids, landmarks."""
    recording = recordings.get_recording(here.store, recording_id)
    content = export_frames(here.store, recording_id, reader=reader, format=check_format(kind))
    return attachment(content, f"{_stem(recording.name)}.frames.{kind}")


@router.get(
    "/recordings/{recording_id}/export/{kind}",
    responses=file_answers(
        *(f".{kind}" for kind in get_args(Format)), also=(404, 409), description=_ATTACHED
    ),
    response_class=Response,
)
def export(
    recording_id: Id, kind: Format, here: Here, coder: CoderQuery = None, reader: Reader = None
) -> Response:
    """One recording's events: the machine's, or as one coder sees them."""
    recording = recordings.get_recording(here.store, recording_id)
    content = export_events(here.store, recording_id, coder=coder, reader=reader, format=kind)
    who = f".{_plain(coder)}" if coder else ""
    return attachment(content, f"{_stem(recording.name)}{who}.events.{kind}")


@router.get(
    "/export/manifest.zip",
    responses=file_answers(".zip", also=(404, 409), description=_ATTACHED),
    response_class=Response,
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
    return attachment(zip_pieces(found.entries()), "manifest.zip")


def _stem(name: str) -> str:
    return _plain(name.rsplit(".", 1)[0])


def _plain(text: str) -> str:
    """A piece of a file name that every system and header takes.

    >>> _plain('P 01/"x".mp4'), _plain("\\u202e")
    ('P_01_x_.mp4', 'recording')
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip(".")[:80].strip("_") or "recording"
