"""Which of a file's video tracks holds the person."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import av
import av.container
import av.error
import av.stream

from micromimic.core.errors import InputError
from micromimic.media.frames import Notice

_PACKETS: Final = 2000
"""Where a file does not say how many frames a track has, this many packets are counted."""

_PICTURES: Final = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails


def playable(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Video tracks in the order of the file: no cover, no thumbnails, no unknown codec."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _PICTURES
    ]


def packets_of(
    container: av.container.InputContainer, *streams: av.VideoStream
) -> Iterator[av.Packet[av.VideoStream]]:
    """Packets of some tracks, to the end."""
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:  # PyAV's, at the end, of a track that began after the file was opened
            return
        if packet is None:
            return
        yield packet


def is_default(stream: av.VideoStream) -> bool:
    """Whether the file says that players show this track."""
    return bool(stream.disposition & av.stream.Disposition.default)


def choose_track(
    container: av.container.InputContainer,
    path: Path,
    wanted: int | None,
    reopen: Callable[[], av.container.InputContainer],
) -> tuple[int, Notice | None]:
    """Choose the track to be read.

    Tracks of a single picture are no choice. Among the others the file's default goes first, then
    the one with the most frames, then the larger, then the first. ``wanted``: number of a track,
    from 1, as the notice counts them; None leaves it to the rule.
    """
    streams = playable(container)
    if not streams:
        raise InputError(
            f"expected a video, got {path} without a video stream ({container.format.long_name}); "
            "pass a video file"
        )
    if wanted is not None:
        if not 1 <= wanted <= len(streams):
            raise InputError(
                f"expected a video track from 1 to {len(streams)} in {path}, got {wanted}; "
                "pass one of them with --track"
            )
        return wanted, None
    if len(streams) == 1:
        return 1, None
    frames = _frames(streams, reopen)
    moving = [n for n, count in enumerate(frames) if count > 1]
    best = max(
        moving or range(len(streams)),
        key=lambda n: (is_default(streams[n]), frames[n], streams[n].width * streams[n].height),
    )
    if len(moving) < 2:
        return best + 1, None
    names = ", ".join(f"{n + 1} of {streams[n].width} x {streams[n].height} pixels" for n in moving)
    return best + 1, Notice(
        "several_tracks",
        f"expected one video track, got {len(moving)} (number {names}); number {best + 1} is "
        "analysed and the others are not looked at; choose another with --track",
    )


def _frames(
    streams: Sequence[av.VideoStream], reopen: Callable[[], av.container.InputContainer]
) -> list[int]:
    """Frames of each track: as all of them state, else as counted in the file's first part."""
    stated = [_stated_frames(stream) for stream in streams]
    if all(stated):
        return stated
    counted: Counter[int] = Counter()
    with contextlib.suppress(av.error.FFmpegError), reopen() as container:
        known = {stream.index: stream for stream in container.streams.video}
        same = [known[stream.index] for stream in streams if stream.index in known]
        for packet in islice(packets_of(container, *same), _PACKETS):
            counted[packet.stream_index] += packet.size > 0
    return [counted[stream.index] for stream in streams]


def _stated_frames(stream: av.VideoStream) -> int:
    """0 where the file does not say; Matroska says it in a tag whose name may end in a language."""
    tags = stream.metadata.items()
    tagged = [int(v) for k, v in tags if k.startswith("NUMBER_OF_FRAMES") and v.isdecimal()]
    return stream.frames or max(tagged, default=0)
