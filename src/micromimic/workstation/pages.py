"""The workstation's pages, rendered once from their templates, and the files that they load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

import micromimic.report
from micromimic.report.palette import style_sheet
from micromimic.report.rendering import environment

FOLDER: Final = Path(__file__).parent
VIEWER: Final = Path(micromimic.report.__file__).parent / "viewer"
"""What draws curves, on these pages and in the report."""
PAGES: Final[Mapping[str, str]] = {
    "/": "analyse.html.jinja",
    "/live": "live.html.jinja",
    "/review": "review.html.jinja",
    "/subjects": "subjects.html.jinja",
    "/study": "study.html.jinja",
    "/export": "export.html.jinja",
    "/about": "about.html.jinja",
}
"""Address of each page and its file in ``templates/``."""


def add_pages(app: FastAPI) -> None:
    """Serve the pages and what they load; not part of the API's description."""
    templates = environment(FOLDER / "templates")
    for address, name in PAGES.items():
        page = _text(templates.get_template(name).render(), "text/html")
        app.add_api_route(address, page, include_in_schema=False, methods=["GET"])
    palette = _text(style_sheet(), "text/css")
    app.add_api_route("/static/palette.css", palette, include_in_schema=False)
    # Asked for by browsers where an answer is no page, such as a picture in a window of its own.
    icon = _text((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8"), "image/svg+xml")
    app.add_api_route("/favicon.ico", icon, include_in_schema=False)
    app.mount("/static/viewer", StaticFiles(directory=VIEWER), name="viewer")
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")


def _text(content: str, media_type: str) -> Callable[[], Response]:
    def serve() -> Response:
        return Response(content, media_type=media_type)

    return serve
