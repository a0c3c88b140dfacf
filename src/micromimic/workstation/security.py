"""Who may ask: host names, origins, the token, sizes of bodies, and headers of every answer.

A page of another site can make a browser send requests here, to loopback too. So: the ``Host``
header must name this machine unless a token protects the server (DNS rebinding); a request that
changes something, and every WebSocket, must come from a page of our own where the browser says
where it comes from (CSRF); with a token, everything carries it, in a header or in a cookie.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from micromimic.workstation.errors import error_response
from micromimic.workstation.settings import Access, is_loopback

API: Final = "/api/v1"
UPLOAD_PATH: Final = f"{API}/recordings"
MAX_JSON_BYTES: Final = 256 * 1024
"""Largest body of a request that is no upload."""
BODY_S: Final = 30.0
"""Seconds that such a body may take."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CONTENT_POLICY: Final = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
}
COOKIE_SECONDS: Final = 30 * 86400


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell how far."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def cookie_name(access: Access) -> str:
    """One name a port: browsers share cookies between the ports of a host."""
    return f"micromimic_{access.port}"


def cookie_value(token: str) -> str:
    """What the cookie carries: made from the token, which itself stays out of the browser."""
    return hmac.new(token.encode(), b"micromimic cookie", hashlib.sha256).hexdigest()


class Guard:
    """ASGI middleware: lets in who may, limits bodies, and sets headers on every answer.

    Args:
        app: what it guards.
        access: ``token``.
        read_only: a WebSocket changes nothing here: pages of this machine may open one, and with
            the token any page.
    """

    def __init__(self, app: ASGIApp, access: Access, *, read_only: bool = False) -> None:
        self._app = app
        self._token = access.token
        self._cookie = cookie_name(access)
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            await (refusal or self._app)(scope, receive, send)
            return
        answer = refusal or self._login(scope) or _too_long(scope)
        if answer is not None:
            await answer(scope, receive, _with_headers(scope, send))
            return
        await self._app(scope, _limited(scope, receive), _with_headers(scope, send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._token is None and not is_loopback(_host_name(host)):
            return error_response(
                403,
                "expected a Host header that names this machine, got another; open the address "
                "that the server printed",
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not self._from_where_it_may(headers, host):
            return error_response(
                403, "expected a request from this server's own pages, got one from another site"
            )
        if self._token is None or self._may_enter(scope, headers):
            return None
        if scope["path"].startswith(API) or scope["type"] == "websocket":
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

    def _from_where_it_may(self, headers: Headers, host: str) -> bool:
        if not self._read_only:
            return _own_origin(headers, host)
        page = headers.get("origin", "").partition("://")[2]
        return (
            self._token is not None or is_loopback(_host_name(page)) or _own_origin(headers, host)
        )

    def _may_enter(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and same(given.strip(), self._token):
            return True
        cookie = _cookie(headers, self._cookie)
        if cookie is not None and same(cookie, cookie_value(self._token)):
            return True
        asked = _query_token(scope)
        return scope["path"] == "/" and asked is not None and same(asked, self._token)

    def _login(self, scope: Scope) -> Response | None:
        """The link with the token: keep it as a cookie, and take it out of the address."""
        if self._token is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        if _query_token(scope) is None:
            return None
        rest = [(k, v) for k, v in parse_qsl(_query(scope)) if k != "token"]
        answer = RedirectResponse("/" + (f"?{urlencode(rest)}" if rest else ""), 303)
        answer.set_cookie(
            self._cookie,
            cookie_value(self._token),
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] in ("https", "wss"),
        )
        return answer


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


def _own_origin(headers: Headers, host: str) -> bool:
    """Whether the browser says nothing of where a request comes from, or that it is from here."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        place = urlsplit(origin)
        return place.scheme in ("http", "https") and _place(place.netloc, place.scheme) == _place(
            host, place.scheme
        )
    except ValueError:
        return False


def _place(netloc: str, scheme: str) -> tuple[str, int]:
    parts = urlsplit(f"//{netloc}")
    return (parts.hostname or "").rstrip("."), parts.port or (443 if scheme == "https" else 80)


def _query(scope: Scope) -> str:
    return str(scope.get("query_string", b"").decode("latin-1"))


def _query_token(scope: Scope) -> str | None:
    return dict(parse_qsl(_query(scope))).get("token")


def _cookie(headers: Headers, name: str) -> str | None:
    jar = SimpleCookie()
    for line in headers.getlist("cookie"):
        try:
            jar.load(line)
        except CookieError:
            continue
    return jar[name].value if name in jar else None


def _is_upload(scope: Scope) -> bool:
    return bool(scope["method"] == "POST" and scope["path"].rstrip("/") == UPLOAD_PATH)


_TOO_LONG: Final = f"expected a body of at most {MAX_JSON_BYTES} bytes, got more; send less"


def _too_long(scope: Scope) -> Response | None:
    """Refuse by Content-Length, before anything is read; uploads have their own limit."""
    length = Headers(scope=scope).get("content-length", "0")
    if _is_upload(scope) or not length.isdecimal() or int(length[:20]) <= MAX_JSON_BYTES:
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
            kept = "no-store" if scope["path"].startswith(API) else "no-cache"
            headers.setdefault("Cache-Control", kept)
        await send(message)

    return sender
