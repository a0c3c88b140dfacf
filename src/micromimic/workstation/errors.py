"""Errors as the API tells them: one shape, one status for each kind, nothing of the inside."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from micromimic.core.errors import (
    ConflictError,
    InputError,
    MicromimicError,
    MissingExtraError,
    NotFoundError,
    OutputError,
    RefusedError,
    UnavailableError,
)

Code = Literal[
    "invalid",
    "unauthorized",
    "forbidden",
    "not_found",
    "not_allowed",
    "timeout",
    "conflict",
    "gone",
    "too_large",
    "unsupported",
    "out_of_range",
    "refused",
    "internal",
    "unavailable",
    "no_space",
]

RETRY_AFTER_S: Final = 2
"""Seconds after which a client may ask a locked database again."""
NOT_ANALYSED: Final = (
    "expected an analysed recording, got one whose analysis is not done; wait for it"
)
DISK_FULL: Final = "expected room on the server's disk, got none left; free some and try again"

_STATUSES: Final[Mapping[int, tuple[Code, str]]] = {
    400: ("invalid", "The request cannot be read."),
    401: ("unauthorized", "The token is missing or wrong."),
    403: ("forbidden", "The request comes from another site, or names another host."),
    404: ("not_found", "There is no such record or file."),
    405: ("not_allowed", "The path knows no such method."),
    408: ("timeout", "Nothing came for too long."),
    409: ("conflict", "Somebody changed it in the meantime, or it exists already."),
    410: ("gone", "It was there; retention has removed it."),
    413: ("too_large", "The body is larger than allowed."),
    415: ("unsupported", "This is no video."),
    416: ("out_of_range", "The range lies outside the file."),
    422: ("invalid", "The request is not as described here, or a rule forbids it."),
    503: ("unavailable", "The database is locked or gone; ask again after Retry-After seconds."),
    507: ("no_space", "The disk is full."),
}
"""The usual code of a status, and what it means in the OpenAPI description."""
_EXCEPTIONS: Final[tuple[tuple[type[Exception], int, Code], ...]] = (
    (NotFoundError, 404, "not_found"),
    (ConflictError, 409, "conflict"),
    (RefusedError, 422, "refused"),
    (InputError, 422, "invalid"),
    (MissingExtraError, 422, "invalid"),
    (UnavailableError, 503, "unavailable"),
    (OutputError, 507, "no_space"),
)
_LINES: Final[Mapping[int, str]] = {
    404: "expected a path of this server, got an unknown one; see /api/v1/openapi.json",
    405: "expected a method that this path knows, got another; see /api/v1/openapi.json",
    400: "expected a body of JSON in UTF-8, got something else; correct the request",
}
_LOG: Final = logging.getLogger("micromimic.workstation")


class ErrorDetail(BaseModel):
    """What went wrong: a code for programs, one line for people."""

    code: Code
    message: str


class ErrorBody(BaseModel):
    """Every answer of 400 and above."""

    error: ErrorDetail


class ApiError(Exception):
    """An answer that is no success; ``code`` where it is not the status's usual one."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: Code | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.response = error_response(status, message, code, headers)


def error_response(
    status: int, message: str, code: Code | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    line = " ".join(message.split()).encode("utf-8", "replace").decode()
    usual = _STATUSES.get(status, ("invalid", ""))[0]
    body = {"error": {"code": code or usual, "message": line}}
    return JSONResponse(body, status, headers=dict(headers or {}))


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside its success, for the OpenAPI description.

    Every route may answer 401, 403, 422 and 503.

    >>> sorted(answers(404))
    [401, 403, 404, 422, 503]
    """
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 401, 403, 422, 503}):
        described[status] = {"model": ErrorBody, "description": _STATUSES[status][1]}
    described[503]["headers"] = {
        "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
    }
    return described


def response_for(error: Exception) -> JSONResponse:
    """The answer to an exception; unexpected ones are logged and told as such."""
    if isinstance(error, ApiError):
        return error.response
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return error_response(507, DISK_FULL)
    for kind, status, code in _EXCEPTIONS:
        if isinstance(error, kind):
            retry = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
            return error_response(status, str(error), code, retry)
    _LOG.error("unexpected %s", type(error).__name__, exc_info=error)
    return error_response(500, "unexpected error in the server; see its log", "internal")


def install_handlers(app: FastAPI) -> None:

    def raised(request: Request, error: Exception) -> JSONResponse:
        return response_for(error)

    def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(422, _validation_line(error.errors()))

    def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        status = 422 if error.status_code == 400 else error.status_code
        line = _LINES.get(error.status_code, str(error.detail))
        return error_response(status, line, headers=error.headers)

    for kind in (ApiError, MicromimicError, OSError, Exception):
        app.add_exception_handler(kind, raised)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)


def _validation_line(problems: Sequence[Any]) -> str:
    """The first problems as one line: where, and what was expected."""
    parts = []
    for problem in problems[:3]:
        place = [str(part) for part in problem.get("loc", ())]
        where = ".".join(place[1:] if len(place) > 1 else place) or "body"
        parts.append(f"{where}: {str(problem.get('msg', 'not as described')).lower()}")
    return f"expected a request as /api/v1/openapi.json describes it, got {'; '.join(parts)}"
