"""What both live WebSockets have in common: messages out to a client that may be slow or gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

WAITING: Final = 400
"""Points of the curve that may wait for a client: two seconds at 200 frames/s."""
SILENCE_S: Final = 20.0
"""A client that sends nothing where it should, or takes nothing, for longer is given up."""
GONE_AWAY, NOT_UNDERSTOOD, NOT_ALLOWED, BROKEN, TRY_LATER = 1001, 1003, 1008, 1011, 1013


async def send(socket: WebSocket, text: str) -> None:
    """Send one message; WebSocketDisconnect where the client has gone, or takes nothing."""
    try:
        async with asyncio.timeout(SILENCE_S):
            await socket.send_text(text)
    except (TimeoutError, RuntimeError):  # RuntimeError: closed while this was on its way
        raise WebSocketDisconnect(1006) from None


async def close(socket: WebSocket, code: int, reason: str = "") -> None:
    """Close the socket of a client that is still there."""
    if socket.application_state is WebSocketState.CONNECTED:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await socket.close(code, reason)
