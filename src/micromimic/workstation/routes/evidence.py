"""What the machine makes of a stretch that a coder chose: made on demand."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
from micromimic.workstation.evidence import evidence
from micromimic.workstation.schemas import Body, Frame, Id, Name

router = APIRouter(prefix="/recordings/{recording_id}/evidence", tags=["review"])


class StretchIn(Body):
    """Onset, apex and offset of a stretch, and who asks."""

    coder: Name
    onset_frame: Frame
    apex_frame: Frame
    offset_frame: Frame


class EvidenceView(BaseModel):
    """As an entry of ``events`` in ``review.json``; ``machine`` as one of ``events.json``."""

    model_config = ConfigDict(extra="allow")

    machine: dict[str, Any]
    clip: dict[str, Any]


@router.post("", status_code=201, responses=answers(404, 409, 413))
async def make_evidence(recording_id: Id, body: StretchIn, here: Here) -> EvidenceView:
    """Flow, units, class and pictures of a stretch; takes seconds where nobody asked before."""
    stretch = body.onset_frame, body.apex_frame, body.offset_frame
    return EvidenceView.model_validate(await evidence(here, recording_id, body.coder, stretch))
