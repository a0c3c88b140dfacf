"""Lines on stdout from a thread of their own: whoever reads them slowly holds nobody else up."""

from __future__ import annotations

import select
import sys
import threading
from types import TracebackType
from typing import Final

from micromimic._cli.console import say
from micromimic._cli.live_status import StatusLine, Stopper
from micromimic.media.closing import Closing
from micromimic.pipelines.live_messages import (
    CurvePoint,
    FaceShape,
    LiveMessage,
    Status,
    json_line,
)
from micromimic.pipelines.live_outbox import Outbox

_PIECE: Final = 4096
"""Bytes that a pipe with room takes at once."""
_LOOK_S: Final = 0.2


class Printer(Closing):
    """Writes messages, and shows the state beside them.

    Leaving ``with`` waits until all is written, however slowly it is read; an interruption is not
    waited for.

    Args:
        status: shows the state; used by this thread alone until the end.
        stopper: ends the session when nobody reads any more.
        curve: also a line for each frame, and the face's shape.
    """

    def __init__(self, status: StatusLine, stopper: Stopper, *, curve: bool) -> None:
        self._status = status
        self._stopper = stopper
        self._curve = curve
        self._outbox = Outbox()
        self._abandoned = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="micromimic-print", daemon=True)
        self._thread.start()

    @property
    def curve_dropped(self) -> int:
        """Points of the curve that could not be written in time."""
        return self._outbox.curve_dropped

    def put(self, message: LiveMessage) -> None:
        """Hand a message on; never waits."""
        if self._curve or not isinstance(message, CurvePoint | FaceShape):
            self._outbox.put(message)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits, unless somebody wants no more of it."""
        if isinstance(error, KeyboardInterrupt):
            self._abandoned.set()
        super().__exit__(kind, error, trace)

    def close(self) -> None:
        """Write what waits, then end the thread.

        Raises:
            OSError: stdout could not be written.
        """
        self._outbox.end()
        try:
            while self._thread.is_alive():
                self._thread.join(_LOOK_S)  # without a limit it could not be interrupted everywhere
        finally:
            self._abandoned.set()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._print_all()
        except Exception as error:  # noqa: BLE001 - raised where the session is watched
            self._error = error
            self._stopper.now()

    def _print_all(self) -> None:
        while (message := self._outbox.take()) is not None and not self._abandoned.is_set():
            with self._status.aside():
                heard = self._write(json_line(message))
            if not heard:
                self._stopper.now()  # whoever read has gone
            if isinstance(message, Status):
                self._status.show(message)

    def _write(self, line: str) -> bool:
        """Write a line in pieces that are waited for, never within a write: that holds a lock."""
        text = line + "\n"
        for start in range(0, len(text), _PIECE):
            while not _has_room():
                if self._abandoned.is_set():
                    return True
            if not say(text[start : start + _PIECE], end=""):
                return False
        return True


def _has_room() -> bool:
    """Whether stdout takes more now; waits a moment for it."""
    if sys.platform == "win32":  # only sockets can be asked there
        return True
    try:
        return bool(select.select([], [sys.stdout.fileno()], [], _LOOK_S)[1])
    except (OSError, ValueError):  # no file beneath: it never waits
        return True
