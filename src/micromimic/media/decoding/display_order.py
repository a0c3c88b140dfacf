"""Times in the order of display, where a container has stored those of decoding only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from heapq import heappop, heappush
from typing import Final

import av

from micromimic.media.decoding.clock import JUMP_BACK_S

DEEPEST: Final = 16  # no codec moves a picture by more places than this (H.264 and HEVC allow 16)


class DisplayOrder:
    """Gives each picture the time that its place in the order of display has.

    AVI, among others, stores when a packet is to be decoded. Where a codec reorders pictures, each
    then carries another one's time: the n-th shown has the n-th smallest. So pictures are held
    until their times can be sorted, as long as it is in doubt what the container stores: that is
    only with a codec that reorders, and until a packet's time falls, as times of display must
    there. An ordinary file is passed on at once. ``honest``: the container stores times of display;
    ``decode_times``: times had to be sorted; ``first``: time of the first packet in the order of
    decoding, ticks; None if there is none.
    """

    def __init__(self, time_base: Fraction | None) -> None:
        self.honest = False
        self.decode_times = False
        self.first: int | None = None
        self._jump = JUMP_BACK_S / float(time_base or 1)
        self.restart()

    def restart(self) -> None:
        """Forget pictures that are held: the next come from elsewhere."""
        self._highest: int | None = None
        self._held: deque[av.VideoFrame] = deque()
        self._times: list[int] = []
        self._last: int | None = None

    def note(self, packet: av.Packet[av.VideoStream]) -> None:
        """Look at the next packet, before it is decoded."""
        if self.first is None:
            self.first = packet.dts
        if packet.pts is None:
            return
        if self._highest is not None and 0 < self._highest - packet.pts <= self._jump:
            self.honest = True
        self._highest = max(packet.pts, self._highest or packet.pts)

    def sorted(self, pictures: Iterable[av.VideoFrame], reorders: bool) -> Iterator[av.VideoFrame]:
        """Those whose times are known by now."""
        for picture in pictures:
            if self.honest or not reorders or picture.pts is None:
                yield from self.rest()
                yield picture
                continue
            if self._last is not None and self._last - picture.pts > self._jump:
                yield from self.rest()  # the clock starts again
            self._last = picture.pts
            self._held.append(picture)
            heappush(self._times, picture.pts)
            if len(self._held) > DEEPEST:
                yield self._next()

    def rest(self) -> Iterator[av.VideoFrame]:
        """All that are held."""
        while self._held:
            yield self._next()

    def _next(self) -> av.VideoFrame:
        picture, time = self._held.popleft(), heappop(self._times)
        self.decode_times |= picture.pts != time
        picture.pts = time
        return picture
