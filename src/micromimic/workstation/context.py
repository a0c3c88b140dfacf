"""What every handler works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection

from micromimic.core.mailbox import Mailbox
from micromimic.core.results import ModelInfo
from micromimic.media.live.source import LiveSource
from micromimic.models.onnx import load_model
from micromimic.workstation.live.wire import WAITING
from micromimic.workstation.lobby import Lobby
from micromimic.workstation.records.store import Store
from micromimic.workstation.settings import Settings

MAX_LIVE_SESSIONS: Final = 2
MAX_LIVE_STARTING: Final = 8
"""Live sockets that have not said yet what they want."""


class Runner(Protocol):
    """What the server needs of `workstation.jobs.queue.JobRunner`."""

    def start(self) -> None:
        """Begin to work through the queue."""

    def stop(self) -> None:
        """End running workers and give their jobs back to the queue."""

    def wake(self) -> None:
        """Look at the queue now: something was added, cancelled or removed."""


class Watched(Protocol):
    """What is needed of `analysis.live.session.LiveSession`, which says what each does."""

    @property
    def mailbox(self) -> Mailbox[Any]:
        """Its messages."""

    @property
    def curve_dropped(self) -> int:
        """Points of the curve that were not read in time."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """End now, and wait until no thread is left."""

    def take_error(self) -> BaseException | None:
        """What ended it if it was no regular end, once."""


def open_session(source: LiveSource, model: Path | None = None) -> Watched:
    """A live session; None is the shipped model."""
    from micromimic.analysis.live.session import LiveConfig, live  # noqa: PLC0415 - the whole pipeline

    return live(source, config=LiveConfig(waiting=WAITING, model=model))


@dataclass
class Workstation:
    """One running server.

    Args:
        settings: as started.
        store: the records.
        runner: works through the queue; None leaves jobs queued.
        live: sessions that are running now; touched on the event loop only.
        starting: live sockets without a session yet.
        watch: opens a live session on a source.
    """

    settings: Settings
    store: Store
    runner: Runner | None
    live: set[object] = field(default_factory=set)
    starting: Lobby = field(default_factory=lambda: Lobby(MAX_LIVE_STARTING))
    watch: Callable[[LiveSource], Watched] = field(init=False)

    def __post_init__(self) -> None:
        self.watch = partial(open_session, model=self.settings.model)

    @cached_property
    def model(self) -> ModelInfo:
        """Which model names the events; opened when first asked for."""
        return load_model(self.settings.model).info

    def wake(self) -> None:
        """Tell the runner, where there is one, that the queue has changed."""
        if self.runner is not None:
            self.runner.wake()


def workstation(connection: HTTPConnection) -> Workstation:
    """The server that a request came to."""
    here = connection.app.state.workstation
    assert isinstance(here, Workstation)
    return here


Here = Annotated[Workstation, Depends(workstation)]
