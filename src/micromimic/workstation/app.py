"""The application: guard, routes, pages, and what lives as long as the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.middleware import Middleware

import micromimic
from micromimic.workstation.context import Runner, Workstation
from micromimic.workstation.errors import install_handlers
from micromimic.workstation.live import socket as live_socket
from micromimic.workstation.pages import add_pages
from micromimic.workstation.records.store import Store
from micromimic.workstation.routes import (
    export as routes_export,
    info as routes_info,
    media as routes_media,
    recordings as routes_recordings,
    review as routes_review,
    subjects as routes_subjects,
)
from micromimic.workstation.security import API, Guard, cookie_name
from micromimic.workstation.settings import Access, Settings

_ABOUT: Final = (
    "Candidate micro-expressions in video: upload, review, export. Candidates, not verdicts; no "
    "lie detector. Inferring emotions at work or in education is prohibited in the EU (AI Act, "
    "Article 5(1)(f)) outside medical and safety uses. Live sessions use the WebSocket "
    f"{API}/live, which docs/workstation.md describes."
)


def create_app(settings: Settings, store: Store, *, runner: Runner | None = None) -> FastAPI:
    """The workstation as an ASGI application.

    Args:
        settings: limits, and who may enter.
        store: the records; the caller closes it.
        runner: works through the queue while the application runs; None leaves jobs queued.
    """
    here = Workstation(settings, store, runner)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            if runner is not None:
                await to_thread.run_sync(runner.start)
        except Exception as error:
            app.state.failure = error
            raise
        try:
            yield
        finally:
            if runner is not None:
                await to_thread.run_sync(runner.stop)

    app = guarded(
        settings,
        title="micromimic workstation",
        version=micromimic.__version__,
        description=_ABOUT,
        openapi_url=f"{API}/openapi.json",
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.workstation = here
    for part in (
        routes_info,
        routes_subjects,
        routes_recordings,
        routes_media,
        routes_review,
        routes_export,
    ):
        app.include_router(part.router, prefix=API, dependencies=_credentials(settings))
    app.include_router(live_socket.router, prefix=API)
    add_pages(app)
    return app


def guarded(access: Access, *, read_only: bool = False, **options: Any) -> FastAPI:
    """An application without routes, behind the guard.

    Args:
        access: who may enter.
        read_only: nothing can be changed by it; see `security.Guard`.
        options: of FastAPI.
    """
    app = FastAPI(
        docs_url=None,  # they would load scripts from the network
        redoc_url=None,
        middleware=[Middleware(Guard, access=access, read_only=read_only)],
        redirect_slashes=False,
        **options,
    )
    install_handlers(app)
    return app


def _credentials(settings: Settings) -> list[Any]:
    """For the description only: the guard has already looked."""
    if settings.token is None:
        return []
    return [
        Depends(HTTPBearer(auto_error=False, scheme_name="token")),
        Depends(APIKeyCookie(name=cookie_name(settings), auto_error=False, scheme_name="cookie")),
    ]
