"""`micromimic live`: what a camera, file or stream shows, as lines of JSON."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic._cli.app import app, interruptible, positive
from micromimic._cli.console import note
from micromimic._cli.secrets import TokenFile, token_of

if TYPE_CHECKING:
    from types import FrameType

    from micromimic._cli.live_status import StatusLine, Stopper
    from micromimic.media.live import LiveSource
    from micromimic.pipelines.live import LiveSession
    from micromimic.pipelines.live_messages import Ended
    from micromimic.web.publish import Publisher


@dataclass(frozen=True)
class LiveOptions:
    """What the command line asks for; see the command's help."""

    source: str = "0"
    curve: bool = False
    model: Path | None = None
    websocket: str | None = None
    token: str | None = None
    seconds: float | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    track: int | None = None
    quiet: bool = False


def _size(text: str | None) -> str | None:
    if text is not None and re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", text) is None:
        raise typer.BadParameter(f"expected WIDTHxHEIGHT, for example 1280x720, got {text}")
    return text


def _address(text: str | None) -> str | None:
    if text is not None:
        from micromimic.errors import InputError
        from micromimic.web.publish import parse_address

        try:
            parse_address(text)
        except InputError as error:
            raise typer.BadParameter(str(error)) from None
    return text


Source = Annotated[
    str,
    typer.Argument(
        help="A camera's number or device (0, /dev/video0), a video file at its own speed, "
        "or an rtsp:// or http(s):// stream.",
    ),
]
Curve = Annotated[
    bool, typer.Option("--curve", help="Also a line for each frame: the motion curve.")
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A model that `micromimic train` wrote; the shipped one if left out.",
        show_default=False,
    ),
]
WebSocket = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:]PORT",
        callback=_address,
        help="Also send every message to WebSocket clients.",
        show_default=False,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        help="What WebSocket clients must say, needed where HOST is not this machine; "
        "MICROMIMIC_TOKEN if left out. --token-file keeps it out of the list of processes.",
        show_default=False,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(callback=positive, help="Stop after this long.", show_default=False),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        callback=_size,
        help="Picture size to ask a camera for; 640x480 if left out.",
        show_default=False,
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        callback=positive,
        help="Frames a second: asked of a camera (the highest if left out); for a file it "
        "overrides the file's own times.",
        show_default=False,
    ),
]
Track = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Which video track of a file that has several, from 1.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Nothing on stderr but errors.")]


@app.command()
@interruptible
def live(
    source: Source = "0",
    curve: Curve = False,
    model: ModelFile = None,
    websocket: WebSocket = None,
    token: Token = None,
    token_file: TokenFile = None,
    seconds: Seconds = None,
    size: Size = None,
    fps: Rate = None,
    track: Track = None,
    quiet: Quiet = False,
) -> None:
    """Watch a face live: events as lines of JSON, at most half a second after they end.

    Ctrl-C ends it. Frames are kept nowhere. Exit code: 0 ended or stopped, 1 the source cannot be
    opened or read, or showed no face to its end, 2 wrong usage.
    """
    pixels = None if size is None else size.split("x")
    options = LiveOptions(
        source=source,
        curve=curve,
        model=model,
        websocket=websocket,
        token=token_of(token, token_file) if websocket is not None else None,
        seconds=seconds,
        size=None if pixels is None else (int(pixels[0]), int(pixels[1])),
        fps=fps,
        track=track,
        quiet=quiet,
    )
    raise typer.Exit(run(options))


def run(options: LiveOptions) -> int:
    """Watch until the source ends, or somebody stops it; returns the exit code.

    Raises:
        InputError: the source cannot be opened, or the address not be listened on.
        ModelError: the model file is unusable.
    """
    from micromimic._cli.live_status import StatusLine, Stopper
    from micromimic.pipelines.live import LiveConfig
    from micromimic.pipelines.live import live as start

    with contextlib.ExitStack() as stack:
        source = _open(options)
        stack.callback(source.close)
        if not options.quiet:
            for notice in getattr(source, "notices", ()):  # of a file
                note(f"micromimic: {notice.message}")
        publisher = _publisher(options)
        if publisher is not None:
            stack.enter_context(publisher)
            note(f"micromimic: messages at {publisher.address}")
        session = stack.enter_context(start(source, config=LiveConfig(model=options.model)))
        stopper = stack.enter_context(Stopper(session.stop))
        stack.enter_context(_signals(stopper))
        status = stack.enter_context(StatusLine(source.name, options.quiet))
        return _Watch(options, session, stopper, status, publisher).run(source)


def _open(options: LiveOptions) -> LiveSource:
    from micromimic.media.live_camera import CameraOptions
    from micromimic.media.live_open import open_live

    width, height = options.size or (CameraOptions.width, CameraOptions.height)
    camera = CameraOptions(width, height, options.fps)
    return open_live(options.source, fps=options.fps, camera=camera, track=options.track)


def _publisher(options: LiveOptions) -> Publisher | None:
    if options.websocket is None:
        return None
    from micromimic.web.publish import Publisher, parse_address

    host, port = parse_address(options.websocket)
    return Publisher(host, port, options.token)


class _Watch:
    """One run: hands messages on, and notes what the exit code depends on."""

    def __init__(
        self,
        options: LiveOptions,
        session: LiveSession,
        stopper: Stopper,
        status: StatusLine,
        publisher: Publisher | None,
    ) -> None:
        self._options = options
        self._session = session
        self._stopper = stopper
        self._status = status
        self._publisher = publisher
        self._face = False

    def run(self, source: LiveSource) -> int:
        """Hand every message on; the exit code."""
        from micromimic._cli.live_print import Printer
        from micromimic.pipelines.live_messages import Ended, FaceShape, Started

        ended: Ended | None = None
        with Printer(self._status, self._stopper, curve=self._options.curve) as printer:
            for message in self._session:
                if isinstance(message, Started) and self._options.seconds is not None:
                    self._stopper.after(self._options.seconds)
                self._face |= isinstance(message, FaceShape)
                if self._publisher is not None:
                    self._publisher.publish(message)
                printer.put(message)
                if isinstance(message, Ended):
                    ended = message
        if printer.curve_dropped:
            note(f"{printer.curve_dropped} points of the curve were not read in time on stdout")
        return self._outcome(source, ended)

    def _outcome(self, source: LiveSource, ended: Ended | None) -> int:
        from micromimic.errors import NoFaceError

        if ended is not None:
            self._status.end(ended)
        if source.finite and not self._face and not self._stopper.asked:
            raise NoFaceError(
                f"expected a face in {source.name}, got none to its end; "
                "use a video with a face that is frontal, lit and at least 60 pixels wide"
            )
        return 0


@contextlib.contextmanager
def _signals(stopper: Stopper) -> Iterator[None]:
    """Ctrl-C and a polite kill stop the session; a second Ctrl-C is not waited for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        stopper.now()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
