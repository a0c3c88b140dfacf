"""Who may ask: addresses, host names, origins, the token, sizes of bodies, headers of answers.

A page of another site can make a browser send requests here, to loopback too. So: the ``Host``
header must name this machine unless a token protects the server (DNS rebinding); a request that
changes something, and every WebSocket, must come from a page of our own where the browser says
where it comes from (CSRF); with a token, everything carries it, in a header or in a cookie.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from micromimic.workstation.errors import error_response, install_handlers

API: Final = "/api/v1"
UPLOADS: Final = frozenset(
    f"{API}/{path}" for path in ("recordings", "imports/markers", "imports/coding", "project")
)
"""Where a POST brings a file: its own route limits it, and how long it may pause."""
MAX_JSON_BYTES: Final = 256 * 1024
"""Largest body of a request that is no upload."""
BODY_S: Final = 30.0
"""Seconds that such a body may take."""
COOKIE_SECONDS: Final = 30 * 86400
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
}
_TOO_LONG: Final = f"expected a body of at most {MAX_JSON_BYTES} bytes, got more; send less"


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a server listens, and who may enter.

    A ``port`` of 0 takes a free one; any ``host`` but loopback needs a ``token``, which every
    request must carry then. ValueError: no such port or token, or an open address without one.
    """

    host: str = "127.0.0.1"
    port: int = 8420
    token: str | None = None

    def __post_init__(self) -> None:
        check_range("port", self.port, 0, 65535)
        token = self.token
        if token is None and not is_loopback(self.host):
            raise ValueError(
                f"expected a token for the open address {self.host}, got none; pass --token-file"
            )
        # What a header and a link can carry.
        if token is not None and not (
            1 <= len(token) <= 256
            and token.isascii()
            and all(c.isalnum() or c in "._~-" for c in token)
        ):
            raise ValueError(
                "expected a token of 1 to 256 letters, digits, '.', '_', '~' or '-', got another; "
                "choose a plain one, 20 characters or more"
            )

    @property
    def cookie_name(self) -> str:
        """One name a port: browsers share cookies between the ports of a host."""
        return f"micromimic_{self.port}"


def check_range(name: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"expected {name} from {low} to {high}, got {value}")


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``[HOST:]PORT``; the host is this machine where it is left out.

    >>> parse_address("8421"), parse_address("0.0.0.0:80"), parse_address("[::1]:9000")
    (('127.0.0.1', 8421), ('0.0.0.0', 80), ('::1', 9000))
    """
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not 0 <= number <= 65535 or (":" in bare and bare == host):
        raise ValueError(
            f"expected PORT or HOST:PORT with a port from 0 to 65535, got {text!r}; "
            "pass for example 8421"
        )
    return bare or "127.0.0.1", number


def is_loopback(host: str) -> bool:
    """Whether a name or address can only mean this machine.

    >>> [is_loopback(h) for h in ("::1", "localhost", "0.0.0.0", "localhost.evil.example")]
    [True, True, False, False]
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def guarded_app(access: Access, *, read_only: bool = False, **options: Any) -> FastAPI:
    """An application without routes, behind the guard; ``options`` are FastAPI's."""
    app = FastAPI(
        docs_url=None,  # they would load scripts from the network
        redoc_url=None,
        middleware=[Middleware(Guard, access=access, read_only=read_only)],
        redirect_slashes=False,
        **options,
    )
    install_handlers(app)
    return app


class Guard:
    """ASGI middleware: lets in who may, limits bodies, and sets headers on every answer.

    Where it is ``read_only``, a WebSocket changes nothing: pages of this machine may open one, and
    with the token any page.
    """

    def __init__(self, app: ASGIApp, access: Access, *, read_only: bool = False) -> None:
        self._app = app
        self._token = access.token
        self._cookie = access.cookie_name
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        refusal = self._refusal(asked)
        if scope["type"] == "websocket":
            await (refusal or self._app)(scope, receive, send)
            return
        answer = refusal or self._login(asked) or _refuse_length(asked)
        if answer is not None:
            await answer(scope, receive, _with_headers(scope, send))
            return
        await self._app(scope, _limited(scope, receive), _with_headers(scope, send))

    def _refusal(self, asked: HTTPConnection) -> Response | None:
        host = asked.headers.get("host", "")
        if self._token is None and not is_loopback(_host_name(host)):
            return error_response(
                403,
                "expected a Host header that names this machine, got another; open the address "
                "that the server printed",
            )
        is_socket = asked.scope["type"] == "websocket"
        changes = is_socket or asked.scope["method"] not in _SAFE_METHODS
        if changes and not self._is_allowed_origin(asked.headers, host):
            return error_response(
                403, "expected a request from this server's own pages, got one from another site"
            )
        if self._token is None or self._has_token(asked, self._token):
            return None
        if asked.scope["path"].startswith(API) or is_socket:
            return error_response(
                401,
                "expected the server's token, got none or a wrong one; send Authorization: Bearer",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return PlainTextResponse(
            "This server needs its token: open the link that it printed when it started.\n",
            401,
            {"WWW-Authenticate": "Bearer"},
        )

    def _is_allowed_origin(self, headers: Headers, host: str) -> bool:
        if self._read_only and (
            self._token is not None
            or is_loopback(_host_name(headers.get("origin", "").partition("://")[2]))
        ):
            return True
        return _is_own_origin(headers, host)

    def _has_token(self, asked: HTTPConnection, token: str) -> bool:
        scheme, _, given = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(given.strip(), token):
            return True
        if _equal(asked.cookies.get(self._cookie, ""), _cookie_value(token)):
            return True
        return asked.scope["path"] == "/" and _equal(asked.query_params.get("token", ""), token)

    def _login(self, asked: HTTPConnection) -> Response | None:
        """The link with the token: keep it as a cookie, and take it out of the address."""
        scope, query = asked.scope, asked.query_params
        if self._token is None or "token" not in query:
            return None
        if scope["path"] != "/" or scope["method"] != "GET":
            return None
        rest = urlencode([(k, v) for k, v in query.multi_items() if k != "token"])
        answer = RedirectResponse("/" + (f"?{rest}" if rest else ""), 303)
        answer.set_cookie(
            self._cookie,
            _cookie_value(self._token),
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] in ("https", "wss"),
        )
        return answer


def _equal(given: str, wanted: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell how far."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _cookie_value(token: str) -> str:
    """Made from the token, which itself stays out of the browser."""
    return hmac.new(token.encode(), b"micromimic cookie", hashlib.sha256).hexdigest()


def _host_name(host: str) -> str:
    """The name without its port.

    >>> [_host_name(h) for h in ("localhost:8420", "[::1]:8420", "127.0.0.1", "a b@x")]
    ['localhost', '::1', '127.0.0.1', '']
    """
    if any(c in host for c in " /@\\?#"):
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own_origin(headers: Headers, host: str) -> bool:
    """Whether the browser says nothing of where a request comes from, or that it is from here."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        scheme, netloc = urlsplit(origin)[:2]
        return scheme in ("http", "https") and _place(netloc, scheme) == _place(host, scheme)
    except ValueError:
        return False


def _place(netloc: str, scheme: str) -> tuple[str, int]:
    parts = urlsplit(f"//{netloc}")
    return (parts.hostname or "").rstrip("."), parts.port or (443 if scheme == "https" else 80)


def _is_upload(scope: Scope) -> bool:
    return bool(scope["method"] == "POST" and scope["path"].rstrip("/") in UPLOADS)


def _refuse_length(asked: HTTPConnection) -> Response | None:
    """Refuse by Content-Length, before anything is read; uploads have their own limit."""
    length = asked.headers.get("content-length", "0")
    if _is_upload(asked.scope) or not length.isdecimal() or int(length[:20]) <= MAX_JSON_BYTES:
        return None
    return error_response(413, _TOO_LONG, headers={"Connection": "close"})


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Count what comes, and how long it takes, for bodies that do not say how long they are."""
    if _is_upload(scope):
        return receive
    seen, whole = 0, False
    ends: float | None = None

    async def counted() -> Message:
        nonlocal seen, whole, ends
        if whole:  # what is waited for now is the client's going
            return await receive()
        if ends is None:
            ends = asyncio.get_running_loop().time() + BODY_S
        try:
            async with asyncio.timeout_at(ends):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                408,
                f"expected the body within {BODY_S:g} s, got a part of it; send it again",
                headers={"Connection": "close"},
            ) from None
        if message["type"] == "http.request":
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > MAX_JSON_BYTES:
                raise HTTPException(413, _TOO_LONG, headers={"Connection": "close"})
        return message

    return counted


def _with_headers(scope: Scope, send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            caching = "no-store" if scope["path"].startswith(API) else "no-cache"
            headers.setdefault("Cache-Control", caching)
        await send(message)

    return sender
