"""What this server is, allows, and is not for."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter

import micromimic
from micromimic.core.notices import cannot_tell
from micromimic.workstation.context import MAX_LIVE_SESSIONS, Here
from micromimic.workstation.errors import answers
from micromimic.workstation.live.socket import MAX_PIXELS
from micromimic.workstation.records import recordings
from micromimic.workstation.schemas import Health, Info, Limits, LiveLimits, ModelView

router = APIRouter(tags=["server"])


@router.get("/health", responses=answers())
def get_health(here: Here) -> Health:
    """Whether the server and its database answer."""
    recordings.count_recordings(here.store)
    return Health(status="ok", time=datetime.now(UTC))


@router.get("/info", responses=answers())
def get_info(here: Here) -> Info:
    """Version, model, limits, and what the tool is not for."""
    return Info(
        version=micromimic.__version__,
        model=ModelView.model_validate(here.model),
        limits=Limits.model_validate(here.settings),
        statements=list(cannot_tell(len(here.model.labels))),
        database="sqlite" if here.settings.url is None else "postgresql",
        live=LiveLimits(max_sessions=MAX_LIVE_SESSIONS, max_pixels=MAX_PIXELS),
    )
