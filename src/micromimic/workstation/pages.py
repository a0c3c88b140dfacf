"""The pages: plain files of the package, and plotly from its own wheel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from micromimic.report.palette import style_sheet

FOLDER: Final = Path(__file__).parent
PAGES: Final[Mapping[str, str]] = {
    "/": "analyse.html",
    "/live": "live.html",
    "/review": "review.html",
    "/subjects": "subjects.html",
    "/export": "export.html",
    "/about": "about.html",
}
"""Address of each page and its file in ``pages/``."""


def plotly_file() -> Path:
    """plotly.min.js, found without loading plotly (half a second)."""
    from importlib.util import find_spec  # noqa: PLC0415 - needed once

    spec = find_spec("plotly")
    assert spec is not None and spec.origin is not None, "plotly is a dependency"
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def add_pages(app: FastAPI) -> None:
    """Serve the pages and what they load; not part of the API's description."""
    for address, name in PAGES.items():
        app.add_api_route(
            address, _page(FOLDER / "templates" / name), include_in_schema=False, methods=["GET"]
        )
    plotly = plotly_file()

    def serve_plotly() -> Response:
        kept = {"Cache-Control": "private, max-age=3600"}  # 4 MB that hardly ever change
        return FileResponse(plotly, media_type="text/javascript", headers=kept)

    def serve_palette() -> Response:
        return Response(style_sheet(), media_type="text/css")

    app.add_api_route("/static/plotly.min.js", serve_plotly, include_in_schema=False)
    app.add_api_route("/static/palette.css", serve_palette, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")


def _page(file: Path) -> Callable[[], Response]:
    def serve() -> Response:
        return FileResponse(file, media_type="text/html; charset=utf-8")

    return serve
