"""`micromimic live`: what a camera, file or stream shows, as lines of JSON."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import needs_web, note
from micromimic.cli.options import above_zero, unset

if TYPE_CHECKING:
    from types import FrameType

    from micromimic.analysis.live.session import LiveSession
    from micromimic.cli.live_output import Output
    from micromimic.media.live.source import LiveSource
    from micromimic.workstation.access import Access

Source = Annotated[
    str,
    typer.Argument(
        help="A camera's number or device (0, /dev/video0), a video file at its own speed, "
        "or an rtsp:// or http(s):// stream.",
    ),
]
WebSocket = Annotated[
    str | None, unset("Also send every message to WebSocket clients.", metavar="[HOST:]PORT")
]
Token = Annotated[
    str | None,
    unset(
        "What WebSocket clients must say, needed where HOST is not this machine; "
        "MICROMIMIC_TOKEN if left out. --token-file keeps it out of the list of processes."
    ),
]
Rate = Annotated[
    float | None,
    unset(
        "Frames a second: asked of a camera (the highest if left out); for a file it "
        "overrides the file's own times.",
        callback=above_zero,
    ),
]


def live(
    source: Source = "0",
    curve: Annotated[
        bool, typer.Option("--curve", help="Also a line for each frame: the motion curve.")
    ] = False,
    model: options.Model = None,
    websocket: WebSocket = None,
    token: Token = None,
    token_file: options.TokenFile = None,
    seconds: Annotated[float | None, unset("Stop after this long.", callback=above_zero)] = None,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Picture size to ask a camera for.")
    ] = "640x480",
    fps: Rate = None,
    track: options.Track = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing on stderr but errors.")] = False,
) -> None:
    """Watch a face live: events as lines of JSON, most within half a second of their end.

    Ctrl-C ends it. Frames are kept nowhere. Exit code: 0 ended or stopped, 1 the source cannot be
    opened or read, or showed no face to its end, 2 wrong usage.
    """
    access = None
    if websocket is not None:
        access = access_of(websocket, options.token_of(token, token_file))
    asked = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if asked is None:
        raise typer.BadParameter(f"expected WIDTHxHEIGHT, for example 1280x720, got {size}")

    import cv2

    from micromimic.analysis.live.session import LiveConfig, live as start
    from micromimic.cli.live_output import Output
    from micromimic.media.live.camera import CameraOptions
    from micromimic.media.live.open import open_live

    cv2.setNumThreads(1)  # reading, tracking and flow have a thread each already
    camera = CameraOptions(int(asked[1]), int(asked[2]), fps)
    with contextlib.ExitStack() as stack:
        opened = open_live(source, fps=fps, camera=camera, track=track)
        stack.callback(opened.close)
        if not quiet:
            for notice in getattr(opened, "notices", ()):  # of a file
                note(f"micromimic: {notice.message}")
        session = start(opened, config=LiveConfig(model=model, curve=curve))
        stack.callback(session.close)
        if access is not None:
            with needs_web():
                from micromimic.workstation.live_feed import Feed
            feed = stack.enter_context(Feed(access, session.listen))
            note(f"micromimic: messages at {feed.address}")
        stack.enter_context(session)
        _stop_on_signals(stack, session)
        if seconds is not None:
            timer = threading.Timer(seconds, session.stop)
            timer.daemon = True
            stack.callback(timer.cancel)
            timer.start()
        _watch(session, opened, stack.enter_context(Output(opened.name, quiet)))


def access_of(websocket: str, token: str | None) -> Access:
    from micromimic.core.errors import InputError

    with needs_web():
        from micromimic.workstation.access import Access, parse_address

    try:
        host, port = parse_address(websocket)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        return Access(host=host, port=port, token=token)
    except ValueError as error:
        raise InputError(str(error)) from None


def _watch(session: LiveSession, source: LiveSource, output: Output) -> None:
    """Hand every message on; NoFaceError where a recording showed none."""
    from micromimic.analysis.live.messages import Ended
    from micromimic.core.errors import NoFaceError

    for message in session:
        if not output.write(message):
            session.stop()  # whoever read has gone
    if session.curve_dropped:
        note(f"{session.curve_dropped} points of the curve were not read in time on stdout")
    stopped = isinstance(message, Ended) and message.reason == "stopped"
    if source.finite and not session.face_seen and not stopped:
        raise NoFaceError(
            f"expected a face in {source.name}, got none to its end; "
            "use a video with a face that is frontal, lit and at least 60 pixels wide"
        )


def _stop_on_signals(stack: contextlib.ExitStack, session: LiveSession) -> None:
    """Ctrl-C and a polite kill stop the session; a second Ctrl-C is not waited for."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        session.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        stack.callback(signal.signal, number, signal.signal(number, stop))
