"""Files that requests bring and answers carry: how they are described, and how they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from micromimic.workstation.errors import answers

TYPES: Final[Mapping[str, str]] = {
    ".json": "application/json",
    ".boris": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".eaf": "application/xml",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".parquet": "application/vnd.apache.parquet",
    ".bin": "application/octet-stream",
    ".npz": "application/zip",
    ".zip": "application/zip",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
}
"""Media types by the ending of a file's name."""
BINARY: Final[Mapping[str, Any]] = {"schema": {"type": "string", "format": "binary"}}


def file_body(description: str) -> dict[str, Any]:
    """Of a route whose body is a file, for the OpenAPI description."""
    content = {"application/octet-stream": BINARY}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def file_answers(
    *endings: str, also: Iterable[int] = (), description: str = "The file."
) -> dict[int | str, dict[str, Any]]:
    """Of a route that answers with a file of one of these kinds, for the OpenAPI description."""
    kinds = [TYPES[ending].partition(";")[0] for ending in endings]
    document = {"schema": {"type": "object"}}
    content = {kind: document if kind == "application/json" else BINARY for kind in kinds}
    return {**answers(*also), 200: {"description": description, "content": content}}


def attachment(content: bytes | str | Iterable[bytes], name: str) -> Response:
    """A file to be saved under a name, which says what it is."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    kind = TYPES[Path(name).suffix]
    if isinstance(content, bytes | str):
        return Response(content, media_type=kind, headers=headers)
    return StreamingResponse(content, media_type=kind, headers=headers)
