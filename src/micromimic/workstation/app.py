"""The application: guard, routes, pages, and what lives as long as the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.security import APIKeyCookie, HTTPBearer

import micromimic
from micromimic.workstation.access import API, guarded_app
from micromimic.workstation.context import Workstation
from micromimic.workstation.jobs.runner import JobRunner
from micromimic.workstation.live import socket
from micromimic.workstation.pages import add_pages
from micromimic.workstation.records.database import Store
from micromimic.workstation.routes import (
    agreement,
    decision_report,
    evidence,
    export,
    imports,
    info,
    media,
    project,
    recordings,
    review,
    study,
    subjects,
)
from micromimic.workstation.settings import Settings

_ABOUT: Final = (
    "Candidate micro-expressions in video: upload, review, export. Candidates, not verdicts; no "
    "lie detector. Inferring emotions at work or in education is prohibited in the EU (AI Act, "
    "Article 5(1)(f)) outside medical and safety uses. Live sessions use the WebSocket "
    f"{API}/live, which docs/workstation.md describes."
)


def create_app(settings: Settings, store: Store, *, runner: JobRunner | None = None) -> FastAPI:
    """The workstation as an ASGI application.

    The caller closes the ``store``. The ``runner`` works through the queue while the application
    runs; without one jobs stay queued.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if runner is None:
            yield
            return
        try:
            await runner.start()
        except Exception as error:
            app.state.failure = error
            raise
        try:
            yield
        finally:
            await runner.stop()

    app = guarded_app(
        settings,
        title="micromimic workstation",
        version=micromimic.__version__,
        description=_ABOUT,
        openapi_url=f"{API}/openapi.json",
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    open_live = partial(socket.open_session, model=settings.model)
    app.state.workstation = Workstation(settings, store, runner, open_live)
    described: list[Any] = []
    if settings.token is not None:  # for the description only: the guard has already looked
        described = [
            Depends(HTTPBearer(auto_error=False, scheme_name="token")),
            Depends(
                APIKeyCookie(name=settings.cookie_name, auto_error=False, scheme_name="cookie")
            ),
        ]
    for part in (
        *(info, study, subjects, recordings, media, review, evidence, agreement, export),
        *(decision_report, imports, project),
    ):
        app.include_router(part.router, prefix=API, dependencies=described)
    app.include_router(socket.router, prefix=API)
    add_pages(app)
    return app
