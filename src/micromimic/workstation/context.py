"""What every handler works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from micromimic.core.results import ModelInfo
from micromimic.media.live.source import LiveSource
from micromimic.models.onnx import load_model
from micromimic.workstation.connections import Backlog
from micromimic.workstation.jobs.runner import JobRunner
from micromimic.workstation.records.database import Store
from micromimic.workstation.settings import Settings

if TYPE_CHECKING:
    from micromimic.analysis.live.session import LiveSession

MAX_LIVE_SESSIONS: Final = 2
MAX_LIVE_STARTING: Final = 8
"""Live sockets that have not said yet what they want."""


@dataclass
class Workstation:
    """One running server; without a ``runner`` jobs stay queued.

    ``live`` holds the sessions that run now, ``starting`` the live sockets without one yet; both
    are touched on the event loop only. ``open_live`` opens a session on a source.
    ``making_evidence`` is held while a coder's own stretch is looked at.
    """

    settings: Settings
    store: Store
    runner: JobRunner | None
    open_live: Callable[[LiveSource], LiveSession]
    live: set[object] = field(default_factory=set)
    starting: Backlog = field(default_factory=lambda: Backlog(MAX_LIVE_STARTING))
    making_evidence: asyncio.Lock = field(default_factory=asyncio.Lock)

    @cached_property
    def model(self) -> ModelInfo:
        """Which model names the events; opened when first asked for."""
        return load_model(self.settings.model).info

    def wake(self) -> None:
        """Tell the runner, where there is one, that the queue has changed."""
        if self.runner is not None:
            self.runner.wake()


def workstation(connection: HTTPConnection) -> Workstation:
    here = connection.app.state.workstation
    assert isinstance(here, Workstation)
    return here


Here = Annotated[Workstation, Depends(workstation)]
