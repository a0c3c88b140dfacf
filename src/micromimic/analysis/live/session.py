"""Live analysis: frames in, candidate micro-expressions out, most half a second after they end.

A thread each for reading, tracking and naming, with bounded queues between them::

    source -> FrameBuffer -> Follower (track, curve, spot) -> Namer (flow, class) -> Listeners

Whatever happens in one of them, all end; what went wrong is raised where messages are read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import load_late
from micromimic.analysis.live.buffer import (
    POLL_S,
    FrameBuffer,
    Gap,
    Meter,
    Reader,
    shortest_movement,
)
from micromimic.analysis.live.follow import LONGEST_SIDE, FaceRing, Follower, Namer, Naming
from micromimic.analysis.live.messages import (
    MOST_PASSING,
    CurvePoint,
    Ended,
    Listeners,
    LiveMessage,
    Started,
    State,
    Status,
)
from micromimic.analysis.second_pass import AnalyzeConfig
from micromimic.core.closing import Closing
from micromimic.core.errors import InputError
from micromimic.core.mailbox import Mailbox
from micromimic.face.landmarks import LandmarkBackend
from micromimic.face.tracking import FaceTracker, TrackingConfig
from micromimic.media.live.open import open_live
from micromimic.media.live.source import LiveSource, join_reader
from micromimic.models.onnx import opened_model
from micromimic.motion.flow import FlowConfig
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.live import LiveSpotter, LiveTiming, Verdict


@dataclass(frozen=True)
class _LiveOrder:
    """The fields' places in a call, which are those of 0.1 and not `AnalyzeConfig`'s."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    spotting: SpottingConfig = field(default_factory=SpottingConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    timing: LiveTiming = field(default_factory=LiveTiming)
    model: str | Path | None = None
    average: float = 0.01
    evidence: bool = False
    curve: bool = True
    may_drop: bool = True
    waiting: int = MOST_PASSING
    buffer_s: float = 0.5
    ring_bytes: int = 256 * 2**20


@dataclass(frozen=True)
class LiveConfig(AnalyzeConfig, _LiveOrder):
    """Everything that can be set: as for ``analyze``, without pictures by default, and more.

    Parameters
    ----------
    timing : LiveTiming
        When the spotter looks and speaks.
    curve : bool
        Who iterates over the session gets the motion of each frame and the face's shape.
    may_drop : bool
        False makes the source wait where the machine cannot keep up: for a source that need not
        keep a pace.
    waiting : int
        Messages of passing interest (curve, shape, status) that may wait to be read.
    buffer_s : float
        Seconds for which a frame may wait.
    ring_bytes : int
        Memory for the recent frames that events are named from.
    """

    evidence: bool = False

    @property
    def policy(self) -> str:
        """What happens when the machine cannot keep up, in one sentence."""
        smaller = f"frames of more than {LONGEST_SIDE} pixels a side are made smaller first"
        if not self.may_drop:
            return f"no frame is dropped, the source waits; {smaller}"
        return (
            f"a frame waits at most {self.buffer_s:g} s; beyond half of that every 2nd, 3rd, ... "
            "frame is taken, what finds no room is refused, all are counted, and the shortest "
            f"movement that can be seen is restated; {smaller}"
        )


STATUS_S: Final = 1.0
MOST_UNNAMED: Final = 64
"""Movements that may wait to be named; then tracking waits, and frames are thinned."""
REMEMBER_S: Final = 30.0  # seconds of measurements that tracking keeps


def live(
    source: int | str | Path | LiveSource | None = None,
    *,
    config: LiveConfig | None = None,
    backend: LandmarkBackend | None = None,
) -> LiveSession:
    """Watch a face live.

    Parameters
    ----------
    source : int or str or Path or LiveSource or None, optional
        None: frames are pushed with ``LiveSession.push``; a number or ``/dev/video0``: a
        camera; a video file, played at its own speed; ``rtsp://`` or ``http(s)://``: a stream;
        or any ``LiveSource``.
    config : LiveConfig or None, optional
        Settings; the defaults are what the benchmarks measure.
    backend : LandmarkBackend or None, optional
        Landmark library; dlib when None.

    Returns
    -------
    LiveSession
        A session: use it with ``with`` and iterate over its messages.

    Raises
    ------
    InputError
        The source cannot be opened.
    ModelError
        The model file is unusable.

    Examples
    --------
    >>> import micromimic
    >>> with micromimic.live("interview.mp4") as session:  # doctest: +SKIP
    ...     for message in session:
    ...         print(message.to_dict())
    """
    opened = open_live(source)
    try:
        return LiveSession(opened, config, backend)
    except BaseException:
        opened.close()
        raise


class LiveSession(Closing):
    """One session: iterate over its messages; leave ``with`` to end it.

    Iteration ends after ``Ended``. If something failed, ``Ended`` says so, and then the error is
    raised. Threads start with ``with``, the first message asked for, or the first ``push``; after
    ``with`` none is left, whatever happened, and the source is closed. ``mailbox`` is what
    iteration reads; it may be awaited instead, once the session has started.
    """

    def __init__(
        self,
        source: LiveSource,
        config: LiveConfig | None = None,
        backend: LandmarkBackend | None = None,
    ) -> None:
        self.config = config = config or LiveConfig()
        self._source = source
        load_late(config.model)  # no frame waits for it
        model = opened_model(config.model)
        self._buffer = FrameBuffer(config.buffer_s, may_drop=config.may_drop)
        self._listeners = Listeners()
        self._jobs = Mailbox[Naming | Verdict](MOST_UNNAMED)
        self._meter = Meter()
        self._reader = Reader(source, self._buffer, self._meter)
        tracker = FaceTracker(config.tracking, backend, keep_s=REMEMBER_S)
        tracker.prepare()
        ring = FaceRing(config.ring_bytes, max(7.0, config.crop_margin, config.flow.margin))
        self._follower = Follower(
            tracker,
            LiveSpotter(config.spotting, config.timing, ring),
            ring,
            self._listeners.put,
            partial(self._jobs.offer, wait=True),
            colour=config.evidence or model.view == "faces",
        )
        self._namer = Namer(model, config)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._aborted = False
        self._error: BaseException | None = None
        self._listeners.put(Started(source.name, model.info, config.policy))
        self.mailbox = self._listeners.add(config.waiting, curve=config.curve)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LiveMessage:
        self.start()
        for message in self.mailbox:
            return message
        self.close()
        error = self.take_error()
        try:
            raise error or StopIteration
        finally:
            del error  # its traceback holds this frame, and so would the frame hold it: a circle

    @property
    def curve_dropped(self) -> int:
        """Points of the curve that nobody read in time."""
        return self.mailbox.dropped[CurvePoint]

    @property
    def face_seen(self) -> bool:
        """Whether there was a face so far."""
        return self._follower.segment >= 0

    def listen(self, waiting: int) -> Mailbox[LiveMessage]:
        """A mailbox of one's own until it is closed, with everything from now on; any number may.
        At most ``waiting`` messages of passing interest wait in it."""
        return self._listeners.add(waiting)

    def take_error(self) -> BaseException | None:
        """What ended the session if it was no regular end, once.

        It is not kept: its traceback holds the threads' frames, and they hold the session.
        """
        error, self._error = self._error, None
        return error

    def push(self, picture: NDArray[np.uint8], time: float | None = None) -> bool:
        """Hand in a frame, for a session with source None; False if it was dropped. ``picture``:
        (H, W) grey or (H, W, 3) RGB, uint8; ``time``: seconds, rising; None: when it comes."""
        put: Callable[..., Any] | None = getattr(self._source, "put", None)
        if put is None:
            raise InputError(
                f"expected a session without a source of its own, got {self._source.name}; "
                "call micromimic.live() without a source to push frames"
            )
        self.start()
        return bool(put(picture, time))

    def start(self) -> None:
        """Begin, unless that was done before."""
        with self._lock:
            if self._threads:
                return
            if self._reader.stopping:
                self._listeners.end()
                return
            # What each thread does, what ends with it, and what it does to the rest if it fails.
            for name, *work in (
                ("micromimic-live-name", self._name, self._report_end, self._abort),
                ("micromimic-live-track", self._track, self._jobs.end, self._abort),
                ("micromimic-live-read", self._reader.run, self._buffer.end, self.stop),
            ):
                thread = threading.Thread(target=self._work, args=work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(
        self, work: Callable[[], None], end: Callable[[], None], fail: Callable[[], None]
    ) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised where messages are read
            with self._lock:
                if self._error is None and not self._aborted:
                    self._error = error
            fail()
        finally:
            end()

    def stop(self) -> None:
        """End soon: what was received is finished, ``Ended`` follows. Safe in a signal handler."""
        self._reader.stopping = True  # no lock: a handler may interrupt who holds it

    def _abort(self) -> None:
        """End without finishing what was received."""
        self._aborted = self._reader.stopping = True
        self._buffer.end(discard=True)
        self._jobs.close()

    def close(self) -> None:
        """End now, and wait until no thread is left; may be called twice."""
        self._abort()
        try:
            # It may be what a thread waits for; closing it wakes that.
            self._source.close()
        finally:
            for thread in self._threads:
                join_reader(thread, self._source.name)
            self._listeners.end()
            self._follower.release()

    def _track(self) -> None:
        status_at = time.monotonic()
        while True:
            try:
                item = self._buffer.take(POLL_S)
            except EOFError:
                break
            if isinstance(item, Gap):
                self._follower.gap()
            elif item is not None:
                self._follower.track(item.frame, partial(self._meter.age, item))
                self._meter.finish(item)
                self._follower.spot()
            if time.monotonic() - status_at >= STATUS_S:
                status_at = time.monotonic()
                self._listeners.put(self.status())
        if not self._aborted:
            self._follower.finish()

    def _name(self) -> None:
        """From movements to events, and to what a second look says of them."""
        for job in self._jobs:
            message: LiveMessage | None
            if isinstance(job, Verdict):
                message = self._namer.settle(job)
            else:
                message = self._namer.name(job, self._meter.source_time)
            if message is not None:
                self._listeners.put(message)

    def _report_end(self) -> None:
        error = self._error
        failed = "" if error is None else (str(error) or type(error).__name__)
        ended = Ended(
            reason=" ".join(failed.split()) or self._reader.reason,
            received=self._buffer.received,
            processed=self._meter.processed,
            dropped=self._buffer.dropped,
            events=self._namer.events,
            withdrawn=self._namer.withdrawn,
        )
        self._listeners.put(ended)
        self._listeners.end()

    def status(self) -> Status:
        """How the session is doing now."""
        fps, source_fps = self._meter.rates()
        return Status(
            time=self._meter.last_time,
            state=self._state(),
            fps=fps,
            source_fps=source_fps,
            received=self._buffer.received,
            processed=self._meter.processed,
            dropped=self._buffer.dropped,
            thinning=self._buffer.thinning,
            shortest_s=shortest_movement(fps),
            latency_ms=self._meter.latency_ms(),
            events=self._namer.events,
            detail=self._detail(),
        )

    def _state(self) -> State:
        if self._reader.lost:
            return "lost_source"
        if not self._meter.processed:
            return "waiting"
        if not self._follower.found:
            return "no_face"
        return "learning" if self._follower.learning else "watching"

    def _detail(self) -> str:
        thinning, unnamed = self._buffer.thinning, self._follower.unnamed
        lines = {
            self._reader.lost: True,
            f"the machine cannot keep up: one frame of {thinning} is taken": thinning > 1,
            "another person than the one watched so far is in the picture": self._follower.other,
            f"{unnamed} movements could not be named: their frames were no longer held; allow more "
            "memory for the ring": unnamed,
            f"{self.curve_dropped} points of the curve were not read in time": self.curve_dropped,
        }
        return "; ".join(line for line, holds in lines.items() if line and holds)
